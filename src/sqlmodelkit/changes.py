"""How many rows are changed at once, and rows that may be there already. Ring 8.

Start at `Changes`; `service` adds the verbs for one row to it.
"""

from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy import ClauseElement, Float, Integer, Numeric, delete, func, null
from sqlalchemy import update as sql_update
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import AsBoolean, BooleanClauseList, False_, Grouping, True_

from .batches import Batches, OnConflict, RowResult
from .bulk import Bulk, renew, taken
from .columns import check, columns_of, key_values, row_key
from .errors import ConfigError, FilterError, NotFound, SerializationFailure
from .filters import Filter, compile_filters
from .models import SoftDelete, Version, utcnow
from .nesting import set_values, values_of
from .reads import ModelT, P, Reads
from .sessions import INCLUDE_DELETED, translating
from .sheets import settable, unique_key

CreateT = TypeVar("CreateT", bound=BaseModel)
UpdateT = TypeVar("UpdateT", bound=BaseModel)

Rows = Iterable[CreateT | Mapping[str, Any]] | AsyncIterable[CreateT | Mapping[str, Any]]
"""Rows to be written: input models, or mappings that are validated as such."""

BATCH_ROWS = 10_000


class Changes(Reads[ModelT], Generic[ModelT, CreateT, UpdateT]):
    """Adds to `Reads` the verbs that write many rows, or rows that may be there already.

    Attributes:
        create_model: What rows are made of.
        update_model: What rows are changed by; only fields that were set are written.
    """

    create_model: ClassVar[type[BaseModel]]
    update_model: ClassVar[type[BaseModel]]

    async def create_values(self, data: CreateT) -> dict[str, Any]:
        """Turn the input of `create` into column values; override it to add or replace some.

        A field that was not given and defaults to None is left to the table's own default;
        a None that was given is kept, and stored as NULL. Lists of input models for the rows of a
        relation become lists of such values.
        """
        return values_of(self.model, data)

    async def update_values(self, data: UpdateT) -> dict[str, Any]:
        """Turn the input of `update` into column values: the fields that were set, None included."""
        return set_values(data)

    async def update_where(
        self,
        data: UpdateT | Mapping[str, Any],
        *filters: Filter,
        everything: bool = False,
        **conditions: Any,
    ) -> int:
        """Change all rows that match, by one UPDATE, and return how many there are.

        Args:
            data: The input, of which the fields that were set are written; or values by
                attribute, among which may be SQLAlchemy expressions: `{"rank": Hero.rank + 1}`.
            filters: Conditions, joined by AND.
            everything: Change all rows; said in place of a filter, never beside one.
            conditions: Conditions by keyword.

        Raises:
            FilterError: There is no filter, or one that every row matches; or one is wrong.
            ConfigError: A name is no column, or one that cannot be set.
            InvalidValue, UniqueViolation, ForeignKeyViolation, CheckViolation: As `create`.
        """
        if isinstance(data, Mapping):
            values = dict(data)
        else:
            values = await self.update_values(data)
        settable(self.model, values)
        plain = {name: value for name, value in values.items() if not _is_expression(value)}
        check(self.model, plain)
        matches = self._matching(filters, conditions, everything=everything)
        if not values:
            return await self.count(*filters, **conditions)
        self._unit.scope.check_update(self.model, values)
        await self.session.check_references(self.model, [plain])
        return await self._send(self._changing(values).where(*matches))

    async def delete_where(
        self, *filters: Filter, everything: bool = False, **conditions: Any
    ) -> int:
        """Remove all rows that match, by one statement, and return how many there were.

        Softly where the model has `SoftDelete`, otherwise for good.

        Raises:
            FilterError: There is no filter, or one that every row matches; or one is wrong.
            ForeignKeyViolation: One of them is still referred to.
        """
        matches = self._matching(filters, conditions, everything=everything)
        if issubclass(self.model, SoftDelete):
            return await self._send(self._changing({"deleted_at": utcnow()}).where(*matches))
        return await self._send(delete(self.model).where(*matches))

    async def purge(self, *filters: Filter, everything: bool = False, **conditions: Any) -> int:
        """Remove soft-deleted rows that match for good, and return how many there were.

        `purge(deleted_at__lt=...)` removes those that have been deleted long enough. Rows that
        are not deleted stay, whatever the filter says.

        Raises:
            ConfigError: The model has no `SoftDelete`.
            FilterError: There is no filter, or one that every row matches; or one is wrong.
            ForeignKeyViolation: One of them is still referred to.
        """
        if not issubclass(self.model, SoftDelete):
            raise ConfigError(
                f"Rows of {self.model.__name__} are not deleted softly.", hint="Use delete_where."
            )
        matches = self._matching(filters, conditions, everything=everything)
        deleted: Any = self.model.deleted_at
        statement = delete(self.model).where(deleted.is_not(None), *matches)
        return await self._send(statement.execution_options(**{INCLUDE_DELETED: True}))

    @overload
    async def increment(self, key: Any, amounts: Mapping[str, int | float | Decimal]) -> ModelT: ...
    @overload
    async def increment(
        self, key: Any, amounts: Mapping[str, int | float | Decimal], *, into: type[P]
    ) -> P: ...
    async def increment(
        self,
        key: Any,
        amounts: Mapping[str, int | float | Decimal],
        *,
        into: type[BaseModel] | None = None,
    ) -> Any:
        """Add to numbers of a row where they are, and return the row: `increment(1, {"hits": 1})`.

        The database adds, so that no other's addition is lost. NULL counts as 0; a negative
        amount takes away.

        Raises:
            NotFound: There is no such row.
            ConfigError: A name is no column with a number.
            InvalidValue, CheckViolation: The sum does not fit.
        """
        settable(self.model, amounts)
        columns = columns_of(self.model)
        for name in amounts:
            if columns[name].foreign_keys or not isinstance(
                columns[name].type, (Integer, Numeric, Float)
            ):
                raise ConfigError(f"{self.model.__name__}.{name} is no number.", fields=[name])
        check(self.model, amounts)
        parts = key_values(self.model, key)
        if amounts:
            sums = {
                name: func.coalesce(getattr(self.model, name), 0) + amount
                for name, amount in amounts.items()
            }
            matches = compile_filters(self.model, conditions=parts, dialect=self._unit.dialect)
            if not await self._send(self._changing(sums).where(*matches)):
                raise self._not_found(key)
        return await (self.get(key) if into is None else self.get(key, into=into))

    @overload
    async def upsert(
        self,
        data: CreateT,
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
    ) -> ModelT: ...
    @overload
    async def upsert(
        self,
        data: CreateT,
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
        into: type[P],
    ) -> P: ...
    async def upsert(
        self,
        data: CreateT,
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
        into: type[BaseModel] | None = None,
    ) -> Any:
        """Add a row, or change the one that has its unique key, and return it.

        Args:
            data: The input.
            on: The unique key: a field, or several; the primary key when left out.
            update: The fields to write where the row is there; when left out, all that were
                given. A field that was not given is left alone in any case.
            into: The response model to answer.

        Raises:
            ConfigError: The table has no such unique key, or a name cannot be set.
            UniqueViolation: Another unique key has one of the values, or the row is out of scope:
                deleted softly, or another's.
            InvalidValue, ForeignKeyViolation, CheckViolation: As `create`.
        """
        conflict = OnConflict(unique_key(self.model, on, self._unit.dialect), update)
        row, _ = await self._put(data, conflict, into)
        return row

    @overload
    async def get_or_create(
        self, data: CreateT, *, on: str | Sequence[str] | None = None
    ) -> tuple[ModelT, bool]: ...
    @overload
    async def get_or_create(
        self, data: CreateT, *, on: str | Sequence[str] | None = None, into: type[P]
    ) -> tuple[P, bool]: ...
    async def get_or_create(
        self,
        data: CreateT,
        *,
        on: str | Sequence[str] | None = None,
        into: type[BaseModel] | None = None,
    ) -> tuple[Any, bool]:
        """Return the row with a unique key, made of `data` if there is none, and whether it was.

        However many do so at once, one of them makes the row, and all get the same.

        Raises:
            ConfigError, UniqueViolation, InvalidValue, ForeignKeyViolation: As `upsert`.
        """
        conflict = OnConflict(unique_key(self.model, on, self._unit.dialect), ())
        return await self._put(data, conflict, into)

    @overload
    async def insert_many(
        self,
        rows: Rows[CreateT],
        *,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: Literal[False] = False,
    ) -> int: ...
    @overload
    async def insert_many(
        self,
        rows: Rows[CreateT],
        *,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: Literal[True],
    ) -> list[RowResult]: ...
    async def insert_many(
        self,
        rows: Rows[CreateT],
        *,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: bool = False,
    ) -> int | list[RowResult]:
        """Add any number of rows, all or none, and return how many; `create_many` returns rows.

        Args:
            rows: Input models, or mappings, which are validated as such; they may come
                asynchronously. A batch at a time is held in memory.
            batch: The rows of a batch.
            progress: Told after each batch how many rows have been dealt with.
            report: Return what has become of each row instead: one that is refused does not keep
                the others from being stored.

        Raises:
            InvalidValue, UniqueViolation, ForeignKeyViolation, CheckViolation: As `create`.
            ConfigError: Code of the model has a say in how each row is written.
        """
        batches = self._batches(None)
        write = batches.report if report else batches.write
        return await write(rows, None, batch, progress)

    @overload
    async def upsert_many(
        self,
        rows: Rows[CreateT],
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: Literal[False] = False,
    ) -> int: ...
    @overload
    async def upsert_many(
        self,
        rows: Rows[CreateT],
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: Literal[True],
    ) -> list[RowResult]: ...
    async def upsert_many(
        self,
        rows: Rows[CreateT],
        *,
        on: str | Sequence[str] | None = None,
        update: Collection[str] | None = None,
        batch: int = BATCH_ROWS,
        progress: Callable[[int], None] | None = None,
        report: bool = False,
    ) -> int | list[RowResult]:
        """Add any number of rows or change those that are there, and return how many were written.

        Of rows with the same key among those given the last one counts, as if they came one
        after the other.

        Args:
            rows: As `insert_many`.
            on: The unique key, as `upsert`.
            update: The fields to write where the row is there, as `upsert`; `()` leaves it alone.
            batch: The rows of a batch.
            progress: Told after each batch how many rows have been dealt with.
            report: Return what has become of each row instead, as `insert_many`.

        Raises:
            ConfigError, UniqueViolation, InvalidValue, ForeignKeyViolation: As `upsert`.
        """
        conflict = OnConflict(unique_key(self.model, on, self._unit.dialect), update)
        batches = self._batches(conflict)
        write = batches.report if report else batches.write
        return await write(rows, conflict, batch, progress)

    def _batches(self, conflict: OnConflict | None) -> Batches:
        batches = Batches(
            Bulk(self.model, self._unit, self._statements),
            self.create_model,
            self.create_values,
            is_plain=type(self).create_values is Changes.create_values,
        )
        batches.check(conflict)
        return batches

    async def _put(
        self, data: CreateT, conflict: OnConflict, into: type[BaseModel] | None
    ) -> tuple[Any, bool]:
        """Write a row unless it is there; answer it, and whether it was added."""
        with translating():
            sheet, done = await self._batches(conflict).put(data, conflict)
        (parts,) = sheet.part([0]).rows()
        selection = self._select((), {name: parts[name] for name in conflict.key.names}, False)
        # What another transaction has added meanwhile is seen by who locks it, on every engine.
        locked = self._unit.dialect in ("mysql", "mariadb")
        found = await self._reader.rows(selection, (), lock=locked)
        if not found:
            raise taken(self.model)
        row = found[0][1]
        if into is not None:
            try:
                row = await self.get(row_key(self.model)(row), into=into)
            except NotFound as error:
                raise SerializationFailure(hint="Run the unit of work again.") from error
        return row, bool(done.inserted)

    def _matching(
        self, filters: Sequence[Filter], conditions: Mapping[str, Any], *, everything: bool
    ) -> list[Any]:
        """Return the conditions of a write over many rows.

        Raises:
            FilterError: They leave no row out, and that was not said by name; or the reverse.
        """
        found = compile_filters(
            self.model, *filters, conditions=conditions, dialect=self._unit.dialect
        )
        if everything and (filters or conditions):
            raise FilterError(
                "everything=True stands beside a filter.", hint="Say one or the other."
            )
        if not everything and all(_certain(condition) for condition in found):
            raise FilterError(
                f"Every row of {self.model.__name__} would be written.",
                hint="Give a filter that leaves rows out, or say everything=True.",
            )
        return found

    def _changing(self, values: Mapping[str, Any]) -> Any:
        """Return an UPDATE without a WHERE, which counts the version up."""
        if issubclass(self.model, Version):
            version: Any = self.model.version
            values = {**values, "version": version + 1}
        # None itself would be the JSON null in a JSON column.
        given = {name: null() if value is None else value for name, value in values.items()}
        return sql_update(self.model).values(**given)

    async def _send(self, statement: Any) -> int:
        """Run an UPDATE or DELETE, and bring rows in hand up to date; answer the number of rows."""
        with translating():
            await self.session.flush()
            result = await self.session.exec(statement.execution_options(synchronize_session=False))
        if self._unit.holds_rows:
            await renew(self.session, self.model)
        return int(result.rowcount)


def _certain(condition: Any) -> bool | None:
    """Tell whether a condition holds for every row, or for none; None when rows differ."""
    match condition:
        case True_() | False_():
            return isinstance(condition, True_)
        case AsBoolean() | Grouping():
            return _certain(condition.element)
        case BooleanClauseList():
            parts = {_certain(part) for part in condition.clauses}
            decisive = condition.operator is operators.or_
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
    return None


def _is_expression(value: Any) -> bool:
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")
