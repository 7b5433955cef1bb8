"""How rows are read: the verbs that change nothing. Ring 4.

Start at `Reads`, which `service.ServiceBase` adds the writing verbs to.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy import func, literal, tuple_
from sqlmodel import SQLModel, select
from sqlmodel.sql.expression import SelectOfScalar

from .columns import key_of, key_values
from .errors import MultipleFound, NotFound, PageError
from .filters import MAX_ITEMS, Filter, compile_filters
from .pages import DEFAULT_LIMIT, Count, Page, check_page, order_by
from .plan import Plan
from .plan.objects import row_options
from .sessions import INCLUDE_DELETED, AsyncSession, translating

ModelT = TypeVar("ModelT", bound=SQLModel)
P = TypeVar("P", bound=BaseModel)

MAX_ROWS = 1000


class Reads(Generic[ModelT]):
    """Reads rows of one table, as table rows or by a response model.

    With `into=` the answer is that response model, read by its plan. Without, it is a table row
    with exactly the relations named in `load=`; any other one raises `NotLoaded`.

    Filters are keywords (`age__gte=20`), what `where` and its friends answer, or SQLAlchemy
    expressions; several are joined by AND.
    """

    model: ClassVar[type[Any]]
    _plans: ClassVar[dict[type[BaseModel], Plan[Any]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._plans = {}

    def __init__(self, session: AsyncSession) -> None:
        """Bind the service to the unit of work that `session` belongs to."""
        self.session = session

    @overload
    async def get(
        self,
        key: Any,
        *,
        load: Collection[str] = (),
        lock: bool = False,
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
        lock: bool = False,
        include_deleted: bool = False,
    ) -> Any:
        """Return the row with this key.

        Args:
            key: The key's value; a tuple for a composite key, in the key's order.
            into: The response model to answer.
            load: Relations to load, `"lines.product"` for the next level.
            lock: Hold the row against other writers until the unit of work ends. SQLite has no
                row locks: there the whole unit of work holds the database.
            include_deleted: Find it even when it is soft-deleted.

        Raises:
            NotFound: There is none.
        """
        statement = self._select((), key_values(self.model, key), include_deleted)
        if lock:
            # What was read before the lock was given may have changed since.
            statement = statement.with_for_update(of=self.model).execution_options(
                populate_existing=True
            )
        found = await self._read(statement, load, into)
        if not found:
            raise self._not_found(key)
        return found[0][1]

    @overload
    async def find(
        self,
        *filters: Filter,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> ModelT | None: ...
    @overload
    async def find(
        self, *filters: Filter, into: type[P], include_deleted: bool = False, **conditions: Any
    ) -> P | None: ...
    async def find(
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> Any:
        """Return the only row that matches, or None.

        Raises:
            MultipleFound: Several rows match.
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        statement = self._select(filters, conditions, include_deleted).limit(2)
        found = await self._read(statement, load, into)
        if len(found) > 1:
            raise MultipleFound(
                f"Several rows of {self.model.__name__} match where one was expected.",
                hint="Filter by a unique field, or use all().",
                model=self.model.__name__,
            )
        return found[0][1] if found else None

    @overload
    async def get_many(
        self, keys: Iterable[Any], *, load: Collection[str] = (), include_deleted: bool = False
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
        include_deleted: bool = False,
    ) -> list[Any]:
        """Return the rows with these keys, in the order asked.

        Raises:
            NotFound: One of them is missing; the error names the missing keys.
        """
        asked = [tuple(key_values(self.model, key).values()) for key in keys]
        columns = [getattr(self.model, name) for name in key_of(self.model)]
        rows: dict[tuple[Any, ...], Any] = {}
        distinct = list(dict.fromkeys(asked))
        for start in range(0, len(distinct), MAX_ITEMS):
            part = distinct[start : start + MAX_ITEMS]
            matches = (
                columns[0].in_([key[0] for key in part])
                if len(columns) == 1
                else tuple_(*columns).in_(part)
            )
            statement = self._select((matches,), {}, include_deleted)
            rows.update(await self._read(statement, load, into))
        missing = [key for key in distinct if key not in rows]
        if missing:
            raise self._not_found(missing[0] if len(missing) == 1 else missing)
        return [rows[key] for key in asked]

    @overload
    async def all(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[ModelT]: ...
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
    async def all(
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[Any]:
        """Return the rows that match, the first `limit` of them when a limit is given.

        Raises:
            PageError: No limit was given and more than 1,000 rows match: a short answer would
                pass for a whole one.
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by.
        """
        if limit is not None:
            check_page(limit, 0, max_limit=MAX_ROWS)
        statement = self._select(filters, conditions, include_deleted)
        statement = statement.order_by(*self._order(sort)).limit(limit or MAX_ROWS + 1)
        found = await self._read(statement, load, into)
        if limit is None and len(found) > MAX_ROWS:
            raise PageError(
                f"More than {MAX_ROWS} rows of {self.model.__name__} match.",
                hint="Give a limit, or read them with page().",
                fields=["limit"],
            )
        return [result for _, result in found]

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
            count: `"exact"` also asks how many match, `"none"` does not.
            load: Relations to load when there is no `into`.
            include_deleted: Show soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            PageError: The limit or the offset is out of bounds.
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by.
        """
        check_page(limit, offset, max_limit=MAX_ROWS)
        statement = self._select(filters, conditions, include_deleted)
        ordered = statement.order_by(*self._order(sort)).limit(limit).offset(offset)
        items = [result for _, result in await self._read(ordered, load, into)]
        total: int | None = None
        if count == "exact":
            # A page that is not full ends at the last row: that is the number.
            ends = len(items) < limit and (items or offset == 0)
            total = offset + len(items) if ends else await self._scalar(statement, func.count())
        return Page[Any].model_construct(items=items, total=total, limit=limit, offset=offset)

    async def count(
        self, *filters: Filter, include_deleted: bool = False, **conditions: Any
    ) -> int:
        """Return how many rows match.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        statement = self._select(filters, conditions, include_deleted)
        return int(await self._scalar(statement, func.count()))

    async def exists(
        self, *filters: Filter, include_deleted: bool = False, **conditions: Any
    ) -> bool:
        """Tell whether a row matches, without counting.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        statement = self._select(filters, conditions, include_deleted).limit(1)
        return await self._scalar(statement, literal(1)) is not None

    async def _scalar(self, statement: SelectOfScalar[ModelT], column: Any) -> Any:
        """Select one value in place of the rows."""
        with translating():
            return await self.session.scalar(
                statement.with_only_columns(column, maintain_column_froms=True)
            )

    def _select(
        self, filters: Sequence[Filter], conditions: dict[str, Any], include_deleted: bool
    ) -> SelectOfScalar[ModelT]:
        expressions = compile_filters(
            self.model, *filters, conditions=conditions, dialect=self._dialect
        )
        statement = select(self.model).where(*expressions)
        if include_deleted:
            statement = statement.execution_options(**{INCLUDE_DELETED: True})
        return statement

    def _order(self, sort: str | Sequence[str] | None) -> list[Any]:
        return order_by(self.model, sort, dialect=self._dialect)

    @property
    def _dialect(self) -> str:
        return self.session.get_bind().dialect.name

    async def _read(
        self,
        statement: SelectOfScalar[ModelT],
        load: Collection[str],
        into: type[BaseModel] | None,
    ) -> list[tuple[tuple[Any, ...], Any]]:
        """Run a select; answer key and result of each row."""
        with translating():
            if into is None:
                rows = await self.session.exec(statement.options(*row_options(self.model, load)))
                return [(self._key_of(row), row) for row in rows]
            plan = self.plan(into)
            # Rows of the plan are partly loaded: a session of their own keeps them, and what
            # happens to be in the unit of work's session, apart.
            await self.session.flush()
            connection = await self.session.connection()
            async with AsyncSession(connection, join_transaction_mode="rollback_only") as reader:
                rows = await reader.exec(statement.options(*plan.options))
                return [(self._key_of(row), plan.build(row)) for row in rows]

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
    def _key_of(cls, row: SQLModel) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in key_of(cls.model))

    @classmethod
    def _not_found(cls, key: Any) -> NotFound:
        name = cls.model.__name__
        shown = ", ".join(map(str, key)) if isinstance(key, (tuple, list)) else key
        return NotFound(f"There is no {name} with the key {shown}.", model=name, key=key)
