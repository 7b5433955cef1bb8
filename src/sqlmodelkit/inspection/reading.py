"""What the database says of its tables, before anything is made of it.

Start at `read_tables`.
"""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Computed,
    Connection,
    DefaultClause,
    Dialect,
    MetaData,
    Table,
)
from sqlalchemy.dialects.mysql import TINYINT
from sqlalchemy.exc import CompileError
from sqlalchemy.types import NullType

from sqlmodelkit.catalogs import (
    column_checks,
    generated_from,
    parents_first,
    partition_key,
    reflect,
    type_names,
)
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.models import OtherType

OUR_OWN = ("alembic_version", "sqlmodelkit_migration_steps")
"""Tables that migrations keep for themselves."""


class TypeWriter(Protocol):
    """What is used of sqlacodegen's generator."""

    imports: dict[str, set[str]]
    enum_classes: dict[tuple[str, str], str]
    enum_values: dict[str, list[str]]

    def fix_column_types(self, table: Table) -> None:
        """Put general types in place of those of a dialect, where they mean the same."""

    def collect_imports_for_column(self, column: Column[Any]) -> None:
        """Add what a column's type needs to `imports`."""

    def render_column_type(self, column: Column[Any]) -> str:
        """Return a column's type as Python."""
        ...


@dataclass(frozen=True, slots=True)
class Raw:
    """A column as it is declared: the type in the database's words, and the default."""

    type: Any
    ddl: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read.

    Attributes:
        tables: The tables, parents before children as far as that goes.
        raw: Each column as it is declared, by table and name.
        checks: The check constraints of each table: name and condition.
        writer: Writes types.
        dialect: How this database speaks.
        partitioned: By what tables are divided into partitions.
    """

    tables: tuple[Table, ...]
    raw: Mapping[tuple[str, str], Raw]
    checks: Mapping[str, tuple[tuple[str | None, str], ...]]
    writer: TypeWriter
    dialect: Dialect
    partitioned: Mapping[str, str]


def read_tables(
    connection: Connection, *, only: Collection[str] = (), schema: str | None = None
) -> Reading:
    """Read the tables of a database, and those that they refer to.

    Raises:
        ConfigError: There are none, one that was named is missing, or sqlacodegen is.
    """
    metadata = reflect(connection, schema=schema)
    names = {table.name for table in metadata.tables.values()}
    missing = sorted(set(only) - names)
    if missing:
        raise ConfigError(
            f"There is no table {', '.join(missing)}.",
            hint=f"Tables are {', '.join(sorted(names)) or 'none'}.",
        )
    found = [table for table in metadata.tables.values() if table.name not in OUR_OWN]
    if only:
        found = _with_parents([table for table in found if table.name in only])
    if not found:
        raise ConfigError("The database has no tables.", hint="Look at its address and schema.")
    dialect = connection.dialect
    for table in found:
        _complete(table, connection)
    raw = {
        (table.fullname, column.name): Raw(column.type, ddl(column.type, dialect), _default(column))
        for table in found
        for column in table.columns
    }
    checks = {table.fullname: _checks(table) for table in found}
    writer = _writer(metadata, connection)
    for table in found:
        writer.fix_column_types(table)
    keys = {table.fullname: partition_key(connection, table) for table in found}
    partitioned = {name: key for name, key in keys.items() if key is not None}
    return Reading(tuple(parents_first(found)), raw, checks, writer, dialect, partitioned)


def _complete(table: Table, connection: Connection) -> None:
    """Put right what SQLAlchemy does not know of the types of columns."""
    checks, names = column_checks(connection, table), type_names(connection, table)
    is_sqlite = connection.dialect.name == "sqlite"
    for column in table.columns:
        kind: Any = column.type
        if is_sqlite and column.primary_key and names[column.name].upper() != "INTEGER":
            # Only that counts up, written so: sqlite.org/lang_createtable.html#rowid.
            column.autoincrement = False
        if isinstance(kind, NullType):
            # What has no type in SQLite is kept as a BLOB is: sqlite.org/datatype3.html, 3.1.
            column.type = OtherType(names[column.name] or "BLOB")
        elif checks.get(column.name) == f"json_valid(`{column.name}`)":
            # MariaDB's JSON is a text that is checked.
            del checks[column.name]
            column.type = JSON()
        elif getattr(kind, "display_width", None) and not getattr(kind, "zerofill", True):
            # It says how wide a client shows the number, not how large it may be.
            is_bool = isinstance(kind, TINYINT) and kind.display_width == 1
            kind.display_width = 1 if is_bool else None
        if column.computed is not None and is_sqlite:
            written = generated_from(connection, column)
            column.computed = Computed(written, column.computed.persisted)
    for name, condition in checks.items():
        warnings.warn(
            f"{table.name}.{name} is checked without a name, {condition}: not in the model.",
            stacklevel=2,
        )


def ddl(kind: Any, dialect: Dialect) -> str:
    """Return a type in the database's words; nothing for one that it does not declare."""
    try:
        return str(kind.compile(dialect))
    except CompileError:
        return ""


def _with_parents(tables: list[Table]) -> list[Table]:
    found = dict.fromkeys(tables)
    waiting = list(tables)
    while waiting:
        for constraint in waiting.pop().foreign_key_constraints:
            if constraint.referred_table not in found:
                found[constraint.referred_table] = None
                waiting.append(constraint.referred_table)
    return list(found)


def _default(column: Column[Any]) -> str | None:
    default = column.server_default
    return str(default.arg) if isinstance(default, DefaultClause) else None


def _checks(table: Table) -> tuple[tuple[str | None, str], ...]:
    found = [check for check in table.constraints if isinstance(check, CheckConstraint)]
    named = [(None if c.name is None else str(c.name), str(c.sqltext)) for c in found]
    return tuple(sorted(named, key=str))


def _writer(metadata: MetaData, connection: Connection) -> TypeWriter:
    try:
        from sqlacodegen.generators import SQLModelGenerator  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "Reading a database needs sqlacodegen.", hint="pip install 'sqlmodelkit[inspect]'"
        ) from error
    # What is text with a CHECK stays text: an enumeration would be another type.
    return SQLModelGenerator(metadata, connection, ("nosyntheticenums",))
