"""Rows of a caller, taken a batch at a time, validated, and written all or each for itself. Ring 7.

Start at `Batches.write`.
"""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Sequence,
)
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import select, tuple_

from .bulk import Bulk, Done, Mixed, Upsert, renew, taken
from .columns import columns_of, key_of
from .errors import BadRequest, ConfigError, Conflict, InvalidValue, SQLModelKitError
from .filters import MAX_ITEMS
from .models import Version
from .scopes import rules_of
from .sessions import INCLUDE_DELETED
from .sheets import (
    Sheet,
    UniqueKey,
    check_plain,
    check_sheet,
    completed,
    settable,
    sheets_of_models,
    sheets_of_values,
)

Outcome = Literal["inserted", "updated", "skipped", "failed"]
Rows = Iterable[Any] | AsyncIterable[Any]


@dataclass(frozen=True, slots=True)
class RowResult:
    """What has become of one of many rows.

    Attributes:
        outcome: `"inserted"`, `"updated"`, `"skipped"` (it was there, and was to be left alone),
            or `"failed"`.
        error: Why it failed.
    """

    outcome: Outcome
    error: SQLModelKitError | None = None


@dataclass(frozen=True, slots=True)
class OnConflict:
    """What the caller says about rows that are there already.

    Attributes:
        key: The unique key by which they are there.
        update: The fields to write then; None for all that were given.
    """

    key: UniqueKey
    update: Collection[str] | None


class Batches:
    """Writes a caller's rows to one table.

    Attributes:
        bulk: How they are sent.
        schema: The input model.
        values: Turns one of it into column values.
        is_plain: Whether that is what the input model says itself.
    """

    def __init__(
        self,
        bulk: Bulk,
        schema: type[BaseModel],
        values: Callable[[Any], Awaitable[dict[str, Any]]],
        *,
        is_plain: bool,
    ) -> None:
        self.bulk = bulk
        self.model = bulk.model
        self.unit = bulk.unit
        self.schema = schema
        self.values = values
        self.is_plain = is_plain
        self._adapter: TypeAdapter[list[Any]] = TypeAdapter(list[schema])  # type: ignore[valid-type]

    def check(self, conflict: OnConflict | None) -> None:
        """Refuse what cannot be written in this way.

        Raises:
            ConfigError: Somebody has a say in how each row is written, or a name cannot be set.
        """
        check_plain(self.model)
        if self.unit.overseen:
            raise ConfigError(
                f"The application listens to its sessions, which do not write {self.model.__name__}"
                " row by row here.",
                hint="Write rows of it with create, create_many and update.",
            )
        if conflict is not None and conflict.update is not None:
            if isinstance(conflict.update, str):
                raise ConfigError(
                    f"update={conflict.update!r} is a text.", hint=f'Write ["{conflict.update}"].'
                )
            settable(self.model, conflict.update)
            fixed = set(conflict.update) & {*conflict.key.names, *self._rules()}
            if fixed:
                raise ConfigError(
                    f"{', '.join(sorted(fixed))} cannot be updated: the row is found by it.",
                    fields=sorted(fixed),
                )

    async def put(self, data: BaseModel, conflict: OnConflict) -> tuple[Sheet, Done]:
        """Write one row; answer it, and whether it was there.

        Raises:
            UniqueViolation: The row is out of scope.
        """
        (sheet,) = await self._sheets([data], 0)
        sheet, upsert = await self._prepared(sheet, conflict)
        await self.unit.session.flush()
        done = await self.bulk.upsert(sheet, upsert, exact=True)
        if not done.inserted and not done.found:
            raise taken(self.model)
        await self._renew()
        return sheet, done

    async def write(
        self,
        rows: Rows,
        conflict: OnConflict | None,
        size: int,
        progress: Callable[[int], None] | None,
    ) -> int:
        """Write all rows or none; answer how many were written."""
        total = 0
        async with self.unit.session.savepoint():
            async for first, part in _batches(rows, size):
                for sheet in _in_turn(
                    await self._sheets(self._models(part, first), first), conflict
                ):
                    total += await self._send(sheet, conflict)
                if progress is not None:
                    progress(first + len(part))
        await self._renew()
        return total

    async def report(
        self,
        rows: Rows,
        conflict: OnConflict | None,
        size: int,
        progress: Callable[[int], None] | None,
    ) -> list[RowResult]:
        """Write each row for itself; answer what has become of each."""
        found: dict[int, RowResult] = {}
        await self.unit.session.flush()
        async for first, part in _batches(rows, size):
            sheets = await self._good_sheets(part, first, conflict, found)
            for sheet in _in_turn(sheets, conflict):
                for likely in await self._by_presence(sheet, conflict):
                    await self._attempt(likely, conflict, found)
            if progress is not None:
                progress(first + len(part))
        await self._renew()
        return [found[number] for number in range(len(found))]

    async def _send(self, sheet: Sheet, conflict: OnConflict | None) -> int:
        sheet, upsert = await self._prepared(sheet, conflict)
        if upsert is None:
            return await self.bulk.insert(sheet)
        done = await self.bulk.upsert(sheet, upsert, exact=False)
        if not upsert.update:
            return done.inserted
        if done.inserted + done.found < len(sheet):
            raise taken(self.model)
        return len(sheet)

    async def _attempt(
        self, sheet: Sheet, conflict: OnConflict | None, found: dict[int, RowResult]
    ) -> None:
        """Write rows that fare alike; part them where they do not."""
        try:
            async with self.unit.session.savepoint():
                outcome = await self._outcome(sheet, conflict)
        except (Mixed, BadRequest, Conflict) as error:
            if len(sheet) == 1:
                failure = error if isinstance(error, SQLModelKitError) else taken(self.model)
                found[sheet.numbers[0]] = RowResult("failed", failure)
                return
            middle = len(sheet) // 2
            await self._attempt(sheet.part(range(middle)), conflict, found)
            await self._attempt(sheet.part(range(middle, len(sheet))), conflict, found)
        else:
            found.update(dict.fromkeys(sheet.numbers, RowResult(outcome)))

    async def _outcome(self, sheet: Sheet, conflict: OnConflict | None) -> Outcome:
        prepared, upsert = await self._prepared(sheet, conflict)
        if upsert is None:
            await self.bulk.insert(prepared)
            return "inserted"
        done = await self.bulk.upsert(prepared, upsert, exact=True)
        if done.inserted == len(sheet):
            return "inserted"
        if done.found == len(sheet):
            return "updated" if upsert.update else "skipped"
        raise Mixed

    async def _prepared(self, sheet: Sheet, conflict: OnConflict | None) -> tuple[Sheet, Any]:
        """Return a sheet with all that is written, and what to do where a row is there."""
        sheet = self._stamped(sheet)
        upsert = None if conflict is None else self._upsert(sheet, conflict)
        sheet = completed(self.model, sheet)
        check_sheet(self.model, sheet)
        if self.unit.scope.references(self.model):
            await self.unit.session.check_references(self.model, sheet.rows())
        return sheet, upsert

    def _upsert(self, sheet: Sheet, conflict: OnConflict) -> Upsert:
        names = conflict.key.names
        for name in names:
            if name not in sheet.columns:
                field = self.model.model_fields.get(name)
                if field is not None and field.default_factory is None and field.default:
                    continue
                raise ConfigError(
                    f"The rows do not say their {name}, by which {self.model.__name__} is found.",
                    hint=f"Give it in {self.schema.__name__}, or name another unique key in on=.",
                    fields=[name],
                )
            if None in sheet.columns[name]:
                raise InvalidValue(
                    f"{name} is null, and NULL is never there already.",
                    fields=[name],
                    model=self.model.__name__,
                )
        fixed = {*names, *key_of(self.model), *self._rules()}
        if issubclass(self.model, Version):
            fixed.add("version")
        update = conflict.update
        return Upsert(
            conflict.key,
            tuple(
                name
                for name in columns_of(self.model)
                if name in sheet.given and name not in fixed and (update is None or name in update)
            ),
        )

    def _rules(self) -> set[str]:
        return set(rules_of(self.model).values())

    def _stamped(self, sheet: Sheet) -> Sheet:
        """Return a sheet with what the scope sets.

        Raises:
            InvalidValue: A row has another value than the scope's.
        """
        scope = self.unit.scope
        if not scope.limits(self.model):
            return sheet
        own = scope.stamp(self.model, {})
        columns = dict(sheet.columns)
        for name, value in own.items():
            given = set(columns.get(name, ())) - {None}
            for other in given:
                scope.stamp(self.model, {**own, name: other})
            columns[name] = [value] * len(sheet)
        return replace(sheet, columns=columns)

    def _models(self, part: Sequence[Any], first: int) -> Sequence[Any]:
        """Validate rows, all in one go.

        Raises:
            InvalidValue: One is not valid; the error names its place and the field.
        """
        if all(isinstance(row, self.schema) for row in part):
            return part
        try:
            return self._adapter.validate_python(part)
        except ValidationError as error:
            raise self._invalid(error, first) from error

    def _invalid(self, error: ValidationError, first: int) -> InvalidValue:
        wrong = error.errors(include_url=False, include_input=False)[0]
        number, *path = wrong["loc"]
        row = first + number + 1 if isinstance(number, int) else first + 1
        return InvalidValue(
            f"Row {row}: {'.'.join(map(str, path)) or 'the row'}: {wrong['msg']}.",
            fields=[str(path[0])] if path else [],
            model=self.model.__name__,
        )

    async def _sheets(self, models: Sequence[Any], first: int) -> list[Sheet]:
        if self.is_plain and models and all(type(row) is self.schema for row in models):
            sheets = sheets_of_models(self.model, models, first)
            if sheets is not None:
                return sheets
        return sheets_of_values(
            self.model, [await self._row(data, first + n) for n, data in enumerate(models)]
        )

    async def _row(self, data: Any, number: int) -> tuple[int, dict[str, Any], frozenset[str]]:
        values = await self.values(data)
        known = type(data).model_fields
        given = {name for name in values if name not in known or name in data.model_fields_set}
        return number, values, frozenset(given)

    async def _good_sheets(
        self,
        part: Sequence[Any],
        first: int,
        conflict: OnConflict | None,
        found: dict[int, RowResult],
    ) -> list[Sheet]:
        """Return the sheets of the rows that are valid; say of the others why they failed."""
        try:
            sheets = await self._sheets(self._models(part, first), first)
            for sheet in sheets:
                await self._prepared(sheet, conflict)
        except (BadRequest, Conflict) as error:
            if len(part) == 1:
                found[first] = RowResult("failed", error)
                return []
        else:
            return sheets
        middle = len(part) // 2
        return [
            *await self._good_sheets(part[:middle], first, conflict, found),
            *await self._good_sheets(part[middle:], first + middle, conflict, found),
        ]

    async def _by_presence(self, sheet: Sheet, conflict: OnConflict | None) -> list[Sheet]:
        """Part rows that are likely there from those that are not, so that they fare alike."""
        if conflict is None or len(sheet) == 1:
            return [sheet]
        sheet = self._stamped(sheet)
        names = conflict.key.names
        if not set(names) <= set(sheet.columns):
            return [sheet]
        columns = [getattr(self.model, name) for name in names]
        keys = sheet.keys(names)
        there: set[Any] = set()
        for start in range(0, len(keys), MAX_ITEMS):
            chunk = keys[start : start + MAX_ITEMS]
            one = len(columns) == 1
            matches = columns[0].in_(chunk) if one else tuple_(*columns).in_(chunk)
            statement = select(*columns).where(matches)
            statement = statement.execution_options(**{INCLUDE_DELETED: True})
            result: Any = await self.unit.session.exec(statement)  # type: ignore[call-overload]
            there.update(row[0] if one else tuple(row) for row in result.all())
        parts = [
            [position for position, key in enumerate(keys) if (key in there) is present]
            for present in (False, True)
        ]
        return [sheet.part(positions) for positions in parts if positions]

    async def _renew(self) -> None:
        if self.unit.holds_rows:
            await renew(self.unit.session, self.model)


def _in_turn(sheets: list[Sheet], conflict: OnConflict | None) -> Iterable[Sheet]:
    """Return sheets in which no key comes twice; what comes later is in a later one."""
    if conflict is None or not all(set(conflict.key.names) <= set(s.columns) for s in sheets):
        return sheets
    keyed = [
        (number, key, index, position)
        for index, sheet in enumerate(sheets)
        for position, (number, key) in enumerate(
            zip(sheet.numbers, sheet.keys(conflict.key.names), strict=True)
        )
    ]
    keyed.sort(key=itemgetter(0))
    seen: dict[Any, int] = {}
    turns: dict[tuple[int, int], list[int]] = {}
    for _, key, index, position in keyed:
        turn = seen[key] = seen.get(key, -1) + 1
        turns.setdefault((turn, index), []).append(position)
    if all(turn == 0 for turn, _ in turns):
        return sheets
    return [sheets[index].part(positions) for (_, index), positions in sorted(turns.items())]


async def _batches(rows: Rows, size: int) -> AsyncIterator[tuple[int, Sequence[Any]]]:
    """Yield rows a batch at a time, and the place of the first one of each."""
    if size < 1:
        raise ConfigError(f"batch={size} is less than one row.")
    first = 0
    if isinstance(rows, AsyncIterable):
        part = []
        async for row in rows:
            part.append(row)
            if len(part) == size:
                yield first, part
                first, part = first + size, []
        if part:
            yield first, part
        return
    remaining = iter(rows)
    while part := list(islice(remaining, size)):
        yield first, part
        first += len(part)
