"""How rows are read: the verbs that change nothing. Ring 7.

Start at `Reads`; `answers` adds JSON to it, and `service` the writing verbs.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy import func, literal_column, tuple_
from sqlmodel import SQLModel

from .columns import key_of, key_values
from .errors import ConfigError, MultipleFound, NotFound, PageError
from .execution import Reader
from .filters import MAX_ITEMS, Filter, where
from .pages import (
    COUNT_CAP,
    DEFAULT_LIMIT,
    Count,
    CountedPage,
    Page,
    TotalIs,
    check_page,
    is_approximate,
)
from .plan import Plan, Spare
from .selection import Lock, Selection
from .sessions import AsyncSession
from .statements import Compiled, Latest
from .units import UnitOfWork

ModelT = TypeVar("ModelT", bound=SQLModel)
P = TypeVar("P", bound=BaseModel)

MAX_ROWS = 1000


class Reads(Generic[ModelT]):
    """Reads rows of one table, as table rows or by a response model.

    With `into=` the answer is that response model, read by its plan. Without, it is a table row
    with exactly the relations named in `load=`; any other one raises `NotLoaded`.

    Filters are keywords (`age__gte=20`), what `where` and its friends answer, or SQLAlchemy
    expressions; several are joined by AND.

    Attributes:
        model: The table model.
        count_cap: The most rows that a capped count counts.
        spare: Whose time is spared where the database can print JSON itself: that of `both`
            together, or rather of the `application` or of the `database`.
    """

    model: ClassVar[type[Any]]
    count_cap: ClassVar[int] = COUNT_CAP
    spare: ClassVar[Spare] = "both"
    _plans: ClassVar[dict[type[BaseModel], Plan[Any]]] = {}
    _statements: ClassVar[Latest[Compiled]] = Latest()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._plans = {}
        cls._statements = Latest()

    def __init__(self, session: AsyncSession | UnitOfWork) -> None:
        """Bind the service to a unit of work, or to the one that `session` belongs to."""
        unit = session if isinstance(session, UnitOfWork) else UnitOfWork.of(session)
        self._unit = unit
        self._reader = Reader(unit, self._statements)

    @property
    def session(self) -> AsyncSession:
        """The session of the unit of work."""
        return self._unit.session

    @overload
    async def get(
        self,
        key: Any,
        *,
        load: Collection[str] = (),
        lock: bool | Literal["nowait"] = False,
        include_deleted: bool = False,
    ) -> ModelT: ...
    @overload
    async def get(self, key: Any, *, into: type[P], include_deleted: bool = False) -> P: ...
    async def get(
        self,
        key: Any,
        *,
        into: type[BaseModel] | None = None,
        load: Collection[str] = (),
        lock: Lock = False,
        include_deleted: bool = False,
    ) -> Any:
        """Return the row with this key.

        Args:
            key: The key's value; a tuple for a composite key, in the key's order.
            into: The response model to answer.
            load: Relations to load, `"lines.product"` for the next level.
            lock: Hold the row against other writers until the unit of work ends; `"nowait"` does
                not wait for somebody who holds it. SQLite has no row locks: there the whole unit
                of work holds the database.
            include_deleted: Find it even when it is soft-deleted.

        Raises:
            NotFound: There is none.
            Locked: Somebody holds it, and we were not to wait.
        """
        selection = self._select_key(key, include_deleted)
        _refuse_skipping(lock)
        found = await self._read(selection, load, into, lock)
        if not found:
            raise self._not_found(key)
        return found[0][1]

    @overload
    async def find(
        self, *filters: Filter, into: type[P], include_deleted: bool = False, **conditions: Any
    ) -> P | None: ...
    @overload
    async def find(
        self,
        *filters: Filter,
        load: Collection[str] = (),
        lock: Lock = False,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> ModelT | None: ...
    async def find(
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        load: Collection[str] = (),
        lock: Lock = False,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> Any:
        """Return the only row that matches, or None.

        Args:
            filters: Conditions, joined by AND.
            into: The response model to answer.
            load: Relations to load.
            lock: As in `get`; `"skip_locked"` does not see a row that somebody else holds.
            include_deleted: See soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            MultipleFound: Several rows match.
            Locked: Somebody holds the row, and we were not to wait.
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        selection = self._select(filters, conditions, include_deleted).cut(2)
        found = await self._read(selection, load, into, lock)
        if len(found) > 1:
            raise MultipleFound(
                f"Several rows of {self.model.__name__} match where one was expected.",
                hint="Filter by a unique field, or use all().",
                model=self.model.__name__,
            )
        return found[0][1] if found else None

    @overload
    async def get_many(
        self,
        keys: Iterable[Any],
        *,
        load: Collection[str] = (),
        lock: bool | Literal["nowait"] = False,
        include_deleted: bool = False,
    ) -> list[ModelT]: ...
    @overload
    async def get_many(
        self, keys: Iterable[Any], *, into: type[P], include_deleted: bool = False
    ) -> list[P]: ...
    async def get_many(
        self,
        keys: Iterable[Any],
        *,
        into: type[BaseModel] | None = None,
        load: Collection[str] = (),
        lock: bool | Literal["nowait"] = False,
        include_deleted: bool = False,
    ) -> list[Any]:
        """Return the rows with these keys, in the order asked.

        Args:
            keys: The keys, as `get` takes one.
            into: The response model to answer.
            load: Relations to load.
            lock: As in `get`. Rows are locked in the order of their keys, whatever the order
                asked, so that two who lock the same rows do not wait for each other for ever.
            include_deleted: Find them even when they are soft-deleted.

        Raises:
            NotFound: One of them is missing; the error names the missing keys.
            Locked: Somebody holds one of them, and we were not to wait.
        """
        names = key_of(self.model)
        columns = [getattr(self.model, name) for name in names]
        single = len(columns) == 1
        parts = [tuple(key_values(self.model, key).values()) for key in keys]
        asked: list[Any] = [part[0] for part in parts] if single else list(parts)
        rows: dict[Any, Any] = {}
        distinct = sorted(set(asked)) if lock else list(dict.fromkeys(asked))
        for start in range(0, len(distinct), MAX_ITEMS):
            part = distinct[start : start + MAX_ITEMS]
            matches = where(**{f"{names[0]}__in": part}) if single else tuple_(*columns).in_(part)
            selection = self._select((matches,), {}, include_deleted)
            ordered = selection.ordered(None) if lock else selection
            rows.update(await self._read(ordered, load, into, lock))
        missing = [key for key in distinct if key not in rows]
        if missing:
            raise self._not_found(missing[0] if len(missing) == 1 else missing)
        return [rows[key] for key in asked]

    @overload
    async def all(
        self,
        *filters: Filter,
        into: type[P],
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[P]: ...
    @overload
    async def all(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        lock: Lock = False,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[ModelT]: ...
    async def all(
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        lock: Lock = False,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[Any]:
        """Return the rows that match, the first `limit` of them when a limit is given.

        Args:
            filters: Conditions, joined by AND.
            into: The response model to answer.
            sort: Field names, `-` before those that descend.
            limit: The most rows.
            load: Relations to load.
            lock: As in `get`; `"skip_locked"` leaves out the rows that somebody else holds.
            include_deleted: See soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            PageError: No limit was given and more than 1,000 rows match: a short answer would
                pass for a whole one.
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by.
            Locked: Somebody holds one of the rows, and we were not to wait.
        """
        selection = self._select(filters, conditions, include_deleted)
        found = await self._read(whole(selection, sort, limit), load, into, lock)
        self._checkwhole(len(found), limit)
        return [result for _, result in found]

    @overload
    async def page(
        self,
        *filters: Filter,
        into: type[P],
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        count: Count = "exact",
        include_deleted: bool = False,
        **conditions: Any,
    ) -> Page[P]: ...
    @overload
    async def page(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        count: Count = "exact",
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> Page[ModelT]: ...
    async def page(  # noqa: PLR0913 - all by name
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        count: Count = "exact",
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> Page[Any]:
        """Return a part of the rows that match, and how many match in all.

        Args:
            filters: Conditions, joined by AND.
            into: The response model of the items.
            sort: Field names, `-` before those that descend: `"-price,name"`.
            limit: The most rows, 1 to 1,000.
            offset: Rows to skip.
            count: `"exact"` also asks how many match, `"none"` does not; with `"capped"` and
                `"estimated"` the page is a `CountedPage`, which says what its total is.
            load: Relations to load when there is no `into`.
            include_deleted: Show soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            PageError: The limit or the offset is out of bounds.
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by.
        """
        selection = self._select(filters, conditions, include_deleted)
        part = part_of(selection, sort, limit, offset)
        approximate = is_approximate(count)
        items = [result for _, result in await self._read(part, load, into)]
        if approximate:
            place = (limit, offset)
            guess, total_is = await self._approximate(selection, len(items), place, count)
            return CountedPage[Any].model_construct(
                items=items, total=guess, limit=limit, offset=offset, total_is=total_is
            )
        total = await self._total(selection, len(items), part, count)
        return Page[Any].model_construct(items=items, total=total, limit=limit, offset=offset)

    async def count(
        self, *filters: Filter, include_deleted: bool = False, **conditions: Any
    ) -> int:
        """Return how many rows match.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        selection = self._select(filters, conditions, include_deleted)
        return int(await self._reader.value(selection, func.count()))

    async def exists(
        self, *filters: Filter, include_deleted: bool = False, **conditions: Any
    ) -> bool:
        """Tell whether a row matches, without counting.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        selection = self._select(filters, conditions, include_deleted).cut(1)
        return await self._reader.value(selection, literal_column("1")) is not None

    def _checkwhole(self, number: int, limit: int | None) -> None:
        if limit is None and number > MAX_ROWS:
            raise PageError(
                f"More than {MAX_ROWS} rows of {self.model.__name__} match.",
                hint="Give a limit, or read them with page().",
                fields=["limit"],
            )

    async def _total(
        self, selection: Selection, number: int, part: Selection, count: Count
    ) -> int | None:
        if count == "none" or part.part is None:
            return None
        limit, offset = part.part
        if number < limit and (number or offset == 0):
            # A page that is not full ends at the last row: that is the number.
            return offset + number
        return int(await self._reader.value(selection, func.count()))

    async def _approximate(
        self, selection: Selection, number: int, part: tuple[int, int], count: Count
    ) -> tuple[int, TotalIs]:
        """Count as `capped` or `estimated` do: a total, and what it is."""
        limit, offset = part
        if number < limit and (number or offset == 0):
            return offset + number, "exact"
        if count == "estimated":
            guess = await self._reader.estimate(selection)
            if guess is not None:
                # Past the end no row was seen, and there are no more than were skipped.
                return max(guess, offset + number) if number else min(guess, offset), "estimate"
        counted = await self._reader.count_up_to(selection, self.count_cap + 1)
        if counted > self.count_cap:
            return max(self.count_cap, offset + number if number else 0), "at_least"
        return counted, "exact"

    def _select(
        self, filters: Sequence[Filter], conditions: dict[str, Any], include_deleted: bool
    ) -> Selection:
        return Selection.of(
            self.model,
            filters,
            conditions,
            dialect=self._unit.dialect,
            include_deleted=include_deleted,
            limits=self._unit.scope,
        )

    def _select_key(self, key: Any, include_deleted: bool) -> Selection:
        return Selection.of_key(
            self.model,
            key_values(self.model, key),
            dialect=self._unit.dialect,
            include_deleted=include_deleted,
            limits=self._unit.scope,
        )

    async def _read(
        self,
        selection: Selection,
        load: Collection[str],
        into: type[BaseModel] | None,
        lock: Lock = False,
    ) -> list[tuple[Any, Any]]:
        """Read a selection; answer key and result of each row."""
        if into is None:
            return await self._reader.rows(selection, load, lock=lock)
        if lock:
            raise _only_rows()
        return await self._reader.responses(selection, self.plan(into))

    @classmethod
    def plan(cls, response: type[P]) -> Plan[P]:
        """Return how a response model is read from this table; `.explain()` prints it.

        Raises:
            ConfigError: The response model loops or does not fit the table.
        """
        plan = cls._plans.get(response)
        if plan is None:
            plan = cls._plans[response] = Plan.of(cls.model, response)
        return plan

    @classmethod
    def _not_found(cls, key: Any) -> NotFound:
        name = cls.model.__name__
        shown = ", ".join(map(str, key)) if isinstance(key, (tuple, list)) else key
        return NotFound(f"There is no {name} with the key {shown}.", model=name, key=key)


def whole(selection: Selection, sort: str | Sequence[str] | None, limit: int | None) -> Selection:
    """Return what `all` reads of a selection: at most one row more than it may.

    Raises:
        PageError, SortError: The limit is out of bounds, or a field cannot be sorted by.
    """
    if limit is not None:
        check_page(limit, 0, max_limit=MAX_ROWS)
    return selection.ordered(sort, (limit or MAX_ROWS + 1, 0))


def part_of(
    selection: Selection, sort: str | Sequence[str] | None, limit: int, offset: int
) -> Selection:
    """Return what `page` reads of a selection.

    Raises:
        PageError, SortError: The part is out of bounds, or a field cannot be sorted by.
    """
    check_page(limit, offset, max_limit=MAX_ROWS)
    return selection.ordered(sort, (limit, offset))


def _refuse_skipping(lock: Lock) -> None:
    if lock == "skip_locked":
        raise ConfigError(
            "get() cannot skip the only row that it is asked for.",
            hint='Use find(..., lock="skip_locked"), which answers None.',
        )


def _only_rows() -> ConfigError:
    return ConfigError(
        "Only table rows can be locked.",
        hint="Read with lock= and without into=, and answer with get(key, into=...).",
    )
