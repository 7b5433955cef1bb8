"""Many rows by few statements: how they are built for each database, and sent. Ring 6.

PostgreSQL takes rows by COPY where nothing is asked back, and otherwise as one array for each
column; the others take one statement for many rows from their drivers. So no number of rows meets
a limit of parameters. Start at `Bulk`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    Text,
    Time,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    inspect,
    literal_column,
    or_,
    select,
)
from sqlalchemy import exc as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel

from .cancellation import whole
from .columns import columns_of, key_of, mapper_of, plain_type
from .connections import LIVENESS
from .errors import UNFIT, UniqueViolation
from .models import SoftDelete, Version
from .sessions import AsyncSession
from .sheets import Sheet, UniqueKey
from .statements import Compiled, Latest, compile_statement
from .units import UnitOfWork
from .wires import overheard

_HITS = "@sqlmodelkit_hits"
_TOO_GREAT = 1690
_RENEWED = 500


@dataclass(frozen=True, slots=True)
class Upsert:
    """What to do where a row is there already.

    Attributes:
        key: The unique key by which it is there.
        update: The attributes to set then; none to leave it alone.
    """

    key: UniqueKey
    update: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows a statement has added, and how many it has found in scope."""

    inserted: int
    found: int


class Bulk:
    """Writes many rows of one table in a unit of work.

    Attributes:
        model: The table model.
        unit: The unit of work.
        statements: What has been compiled before, by what tells statements apart.
    """

    def __init__(
        self, model: type[SQLModel], unit: UnitOfWork, statements: Latest[Compiled]
    ) -> None:
        self.model = model
        self.unit = unit
        self.statements = statements
        self.table: Any = mapper_of(model).local_table
        self.columns = columns_of(model)

    async def insert(self, sheet: Sheet) -> int:
        """Add rows, all or none; the caller has opened a savepoint.

        Raises:
            UniqueViolation, ForeignKeyViolation, CheckViolation: As `ServiceBase.create`.
        """
        if self.unit.dialect == "postgresql" and self._copies(sheet):
            await self._copy(sheet)
            return len(sheet)
        await self._run(sheet, None)
        return len(sheet)

    async def upsert(self, sheet: Sheet, upsert: Upsert, *, exact: bool) -> Done:
        """Add rows, or change those that are there; the caller has opened a savepoint.

        Rows that are there and out of scope are neither inserted nor found, and not touched.

        Args:
            sheet: The rows, no two of them with the same key.
            upsert: What to do where a row is there.
            exact: Whether it has to be told which were there; otherwise all that were written may
                count as added.

        Raises:
            UniqueViolation: Another unique key has one of the values; or, on MySQL and MariaDB,
                a row that is there is out of scope.
            Mixed: Some were there, and it could not be told which; what was done has to be undone.
            ForeignKeyViolation, CheckViolation: As `ServiceBase.create`.
        """
        if self.unit.dialect == "postgresql":
            ((inserted, written),) = await self._run(sheet, upsert)
        elif self.unit.dialect != "sqlite":
            inserted, written = await self._upsert_mysql(sheet, upsert), len(sheet)
        elif exact:
            inserted, written = await self._upsert_sqlite(sheet, upsert)
        else:
            inserted = written = await self._run(sheet, upsert)
        if upsert.update:
            return Done(inserted, written - inserted)
        return Done(inserted, len(sheet) - inserted)

    async def _upsert_sqlite(self, sheet: Sheet, upsert: Upsert) -> tuple[int, int]:
        # One transaction writes at a time: what was not added now is there already.
        inserted = await self._run(sheet, Upsert(upsert.key, ()))
        if not upsert.update or inserted == len(sheet):
            return inserted, inserted
        if inserted == 0:
            return 0, await self._run(sheet, upsert)
        raise Mixed

    async def _upsert_mysql(self, sheet: Sheet, upsert: Upsert) -> int:
        connection = await self.unit.session.connection()
        await connection.exec_driver_sql(f"SET {_HITS} = 0")
        await self._run(sheet, upsert)
        hits = (await connection.exec_driver_sql(f"SELECT {_HITS}")).scalar_one()
        return len(sheet) - int(hits)

    async def _run(self, sheet: Sheet, upsert: Upsert | None) -> Any:
        """Send the statement for a sheet; answer its rows, or else how many it has written."""
        names = tuple(sheet.columns)
        connection = await self.unit.session.connection()
        dialect = connection.dialect
        arrays = self.unit.dialect == "postgresql" and self._unnests(names)
        form = ("bulk", names, arrays, upsert and (upsert.key.names, upsert.update))
        compiled = self.statements.get(
            (dialect, form, self._held),
            lambda: compile_statement(self._statement(names, upsert, arrays=arrays), dialect, ()),
        )
        columns = self._converted(sheet, dialect)
        try:
            arguments = tuple(columns[name] for name, _, _ in compiled.parameters)
            if arrays:
                result = await connection.exec_driver_sql(compiled.text, arguments)
                return result.all() if result.returns_rows else result.rowcount
            rows = list(zip(*arguments, strict=True))
            if self.unit.dialect == "postgresql" and upsert is not None:
                found = [
                    (await connection.exec_driver_sql(compiled.text, row)).one() for row in rows
                ]
                return [tuple(map(sum, zip(*found, strict=True)))]
            result = await connection.exec_driver_sql(compiled.text, rows)
        except sa.DBAPIError as error:
            if upsert is not None and _is_refusal(error):
                raise taken(self.model) from error
            raise
        return result.rowcount

    def _converted(self, sheet: Sheet, dialect: Any) -> dict[str, Sequence[Any]]:
        found: dict[str, Sequence[Any]] = {}
        for name, values in sheet.columns.items():
            kind = self.columns[name].type
            convert = kind.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                try:
                    values = [None if value is None else convert(value) for value in values]  # noqa: PLW2901 - the same, for the driver
                except UNFIT as error:
                    raise sa.StatementError("", None, None, error) from error
            found[f"value_{name}"] = values
        return found

    def _statement(self, names: Sequence[str], upsert: Upsert | None, *, arrays: bool) -> Any:
        insert = _INSERTS[self.unit.dialect](self.table)
        targets = [self.columns[name] for name in names]
        if arrays:
            parts = [
                cast(bindparam(f"value_{name}"), ARRAY(_carrier(self.columns[name])))
                for name in names
            ]
            given = func.unnest(*parts).table_valued(*[f"c{n}" for n in range(len(names))])
            given = given.render_derived(name="given")
            chosen = [
                cast(column(f"c{n}"), target.type) if _is_cast(target) else column(f"c{n}")
                for n, target in enumerate(targets)
            ]
            insert = insert.from_select(
                targets, select(*chosen).select_from(given), include_defaults=False
            )
        else:
            insert = insert.values(
                {
                    target: bindparam(f"value_{name}", type_=target.type)
                    for name, target in zip(names, targets, strict=True)
                }
            )
        if upsert is None:
            return insert
        if self.unit.dialect in ("postgresql", "sqlite"):
            return self._on_conflict(insert, upsert)
        return self._on_duplicate(insert, upsert)

    def _on_conflict(self, insert: Any, upsert: Upsert) -> Any:
        target = {
            "index_elements": [self.columns[name] for name in upsert.key.names],
            "index_where": upsert.key.where,
        }
        if upsert.update:
            in_scope = self._in_scope(insert.excluded)
            insert = insert.on_conflict_do_update(
                **target,
                set_=self._set(insert.excluded, upsert),
                where=and_(*in_scope) if in_scope else None,
            )
        else:
            insert = insert.on_conflict_do_nothing(**target)
        if self.unit.dialect != "postgresql":
            return insert
        # A row version that no transaction has ended is one that this statement has added.
        written = insert.returning(literal_column("xmax = 0").label("fresh")).cte("written")
        return select(func.count().filter(written.c.fresh), func.count()).select_from(written)

    def _on_duplicate(self, insert: Any, upsert: Upsert) -> Any:
        """Change the row that is there by the key that was meant, and by no other.

        MySQL takes whichever unique key is met. So a row that is not the one that was meant makes
        the statement fail, by a number that no type holds; one that is counts itself.
        """
        meant = [self.columns[name] == insert.inserted[self.columns[name].name]
                 for name in upsert.key.names]  # fmt: skip
        in_scope = self._in_scope(insert.inserted) if upsert.update else []
        right = and_(*meant, *in_scope, literal_column(f"({_HITS} := {_HITS} + 1) > 0"))
        wrong: Any = literal_column(f"(~0 + {_HITS} + 1) > 0")
        first = self.columns[key_of(self.model)[0]]
        guarded = case((or_(right, wrong), first), else_=first)
        changed = self._set(insert.inserted, upsert) if upsert.update else {}
        return insert.on_duplicate_key_update([(first.name, guarded), *changed.items()])

    def _set(self, given: Any, upsert: Upsert) -> dict[str, Any]:
        columns = self.columns
        changed = {columns[name].name: given[columns[name].name] for name in upsert.update}
        for part in columns.values():
            if part.name not in changed and part.onupdate is not None:
                onupdate: Any = part.onupdate
                changed[part.name] = onupdate.arg
        if issubclass(self.model, Version):
            changed[columns["version"].name] = columns["version"] + literal_column("1")
        return changed

    def _in_scope(self, given: Any) -> list[Any]:
        """Return the conditions of rows that are in scope: those of what is given, and alive."""
        names = [self.columns[name].name for name in self._held]
        kept = [self.table.c[name] == given[name] for name in names]
        if issubclass(self.model, SoftDelete):
            kept.append(self.columns["deleted_at"].is_(None))
        return kept

    @property
    def _held(self) -> tuple[str, ...]:
        """The attributes that the scope sets in every row."""
        scope = self.unit.scope
        return tuple(scope.stamp(self.model, {})) if scope.limits(self.model) else ()

    def _copies(self, sheet: Sheet) -> bool:
        """Tell whether rows may be sent by COPY, of which no listener hears."""
        engine = self.unit.engine
        if not isinstance(engine, AsyncEngine):
            return False
        options = engine.get_execution_options()
        liveness = options.get(LIVENESS)
        return (
            len(sheet) > 1
            and liveness is not None
            and "schema_translate_map" not in options
            and not overheard(engine, liveness)
            and all(
                part.default is None or name in sheet.columns for name, part in self.columns.items()
            )
        )

    async def _copy(self, sheet: Sheet) -> None:
        connection = await self.unit.session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        columns = self._converted(sheet, connection.dialect).values()
        names = [self.columns[name].name for name in sheet.columns]
        try:
            await driver.copy_records_to_table(
                self.table.name,
                schema_name=self.table.schema,
                columns=names,
                records=zip(*columns, strict=True),
            )
        except Exception as error:
            text = f"INSERT INTO {self.table.name} ({', '.join(names)})"
            if isinstance(error, UNFIT):
                raise sa.StatementError(str(error), text, None, error) from error
            raise sa.DBAPIError(text, None, error) from error
        except BaseException:
            # Nobody knows how much of it the server has taken.
            await whole(connection.invalidate())
            raise

    def _unnests(self, names: Iterable[str]) -> bool:
        return all(_carrier(self.columns[name]) is not None for name in names)


class Mixed(Exception):
    """Some rows were there, and some were not."""


async def renew(session: AsyncSession, model: type[SQLModel]) -> None:
    """Bring the rows that a session holds up to date, after a statement behind its back."""
    names = list(columns_of(model))
    held = [row for row in session.identity_map.values() if isinstance(row, model)]
    keys = [columns_of(model)[name] for name in key_of(model)]
    connection = await session.connection()
    for start in range(0, len(held), _RENEWED):
        # A row whose attributes a savepoint has let expire still has its identity.
        part = {inspect(row).identity: row for row in held[start : start + _RENEWED]}
        if len(keys) == 1:
            matches: Any = keys[0].in_([key[0] for key in part])
        else:
            pairs = (zip(keys, key, strict=True) for key in part)
            matches = or_(*[and_(*[column == value for column, value in pair]) for pair in pairs])
        found = await connection.execute(select(*columns_of(model).values()).where(matches))
        for values in found.all():
            stored = dict(zip(names, values, strict=True))
            row = part.pop(tuple(stored[name] for name in key_of(model)), None)
            for name, value in stored.items() if row is not None else ():
                set_committed_value(row, name, value)
        for row in part.values():
            session.expunge(row)


def taken(model: type[SQLModel]) -> UniqueViolation:
    """Return the error for a value that another row has, which this statement may not touch."""
    return UniqueViolation(
        f"{model.__name__} with one of these values already exists.",
        hint="Another unique key has it, or the row is not to be seen here: deleted, for example.",
        model=model.__name__,
    )


def _is_refusal(error: sa.DBAPIError) -> bool:
    arguments = error.orig.args if error.orig else ()
    return bool(arguments) and arguments[0] == _TOO_GREAT and "sqlmodelkit_hits" in str(error.orig)


def _carrier(target: Column[Any]) -> Any:
    """Return the type in which an array carries the values of a column; None for no such type."""
    plain = plain_type(target.type)
    if isinstance(plain, (Enum, JSON)):
        return Text()
    for known in (Integer, Boolean, Date, Uuid, LargeBinary, Interval, Time, Double):
        if isinstance(plain, known):
            return plain
    if isinstance(plain, DateTime):
        return DateTime(timezone=plain.timezone)
    if isinstance(plain, (Float, Numeric)):
        return Double() if not plain.asdecimal else Numeric()
    if hasattr(plain, "collation"):
        # A cast to a length would cut what is too long.
        return Text()
    return None


def _is_cast(target: Column[Any]) -> bool:
    return isinstance(plain_type(target.type), (Enum, JSON))


_INSERTS: Mapping[str, Callable[[Any], Any]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
    "mysql": mysql.insert,
    "mariadb": mysql.insert,
}
