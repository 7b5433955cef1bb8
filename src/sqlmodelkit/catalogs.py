"""What a database has, as its catalogue tells it: tables, without those that are a part of others.

Such are partitions, which jobs make and drop, and what SQLite keeps for virtual tables. Ring 2.
Start at `reflect`.
"""

import re
import warnings
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table, text
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import sort_tables_and_constraints

from .errors import ConfigError

_PARTITIONS = text(
    "SELECT relname FROM pg_class WHERE relispartition AND relkind IN ('r', 'p', 'f')"
    " AND relnamespace = CAST(quote_ident(coalesce(:schema, current_schema())) AS regnamespace)"
)
_PARTITIONED = text(
    "SELECT pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p' AND relname = :name"
    " AND relnamespace = CAST(quote_ident(coalesce(:schema, current_schema())) AS regnamespace)"
)
_TYPES = {
    "postgresql": text(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " JOIN pg_class ON pg_class.oid = attrelid WHERE attnum > 0 AND relname = :name"
        " AND relnamespace = CAST(quote_ident(coalesce(:schema, current_schema())) AS regnamespace)"
    ),
    "mysql": text(
        "SELECT column_name, column_type FROM information_schema.columns"
        " WHERE table_schema = coalesce(:schema, database()) AND table_name = :name"
    ),
    "sqlite": text("SELECT name, type FROM pragma_table_xinfo(:name)"),
}
_COLUMN_CHECKS = text(
    "SELECT constraint_name, check_clause FROM information_schema.check_constraints"
    " WHERE constraint_schema = coalesce(:schema, database()) AND table_name = :name"
    " AND level = 'Column'"
)


def reflect(connection: Connection, *, schema: str | None = None) -> MetaData:
    """Return the tables of a database.

    Args:
        connection: To the database.
        schema: Whose; left out, that in which names are looked for.

    Raises:
        ConfigError: A foreign key refers to a table that is not there, as SQLite lets it.
    """
    metadata = MetaData()
    parts = partial_tables(connection, schema=schema)
    with warnings.catch_warnings():
        # `type_names` knows them.
        warnings.filterwarnings("ignore", "Did not recognize type")
        try:
            metadata.reflect(connection, schema=schema, only=lambda name, _: name not in parts)
        except NoSuchTableError as error:
            raise ConfigError(
                f"A foreign key refers to the table {error}, which is not there.",
                hint="Make that table, or drop the foreign key.",
            ) from error
    return metadata


def parents_first(tables: Iterable[Table]) -> list[Table]:
    """Return tables so that what others refer to comes first, as far as cycles allow.

    What they refer to need not be among them.
    """
    sort: Any = sort_tables_and_constraints  # it has no types
    named = sorted(tables, key=lambda table: table.fullname)
    names = {table.fullname for table in named}

    def leads_away(key: ForeignKeyConstraint) -> bool | None:
        return None if target_of(key) in names else True

    return [table for table, _ in sort(named, filter_fn=leads_away) if table is not None]


def target_of(key: ForeignKeyConstraint) -> str:
    """Return the full name of the table that a foreign key leads to, which may be unknown."""
    return key.elements[0].target_fullname.rpartition(".")[0]


def partial_tables(connection: Connection, *, schema: str | None = None) -> frozenset[str]:
    """Return the tables that are a part of another one: partitions, and SQLite's virtual tables.

    Virtual tables and what is behind them no migration can change: sqlite.org/vtab.html.
    """
    match connection.dialect.name:
        case "postgresql":
            return frozenset(connection.scalars(_PARTITIONS, {"schema": schema}))
        case "sqlite":
            found = connection.execute(text("PRAGMA table_list")).mappings()
            return frozenset(row["name"] for row in found if row["type"] in {"shadow", "virtual"})
    return frozenset()


def partition_key(connection: Connection, table: Table) -> str | None:
    """Return by what a table of PostgreSQL is divided, as `RANGE (day)`; None where it is not."""
    if connection.dialect.name != "postgresql":
        return None
    found: str | None = connection.scalar(_PARTITIONED, _about(table))
    return found


def type_names(connection: Connection, table: Table) -> dict[str, str]:
    """Return the type of each column in the server's own words."""
    asked = _TYPES["mysql" if _is_mysql(connection) else connection.dialect.name]
    return {str(name): str(kind) for name, kind in connection.execute(asked, _about(table))}


def column_checks(connection: Connection, table: Table) -> dict[str, str]:
    """Return what MariaDB checks of each column by itself, which has no name."""
    if not getattr(connection.dialect, "is_mariadb", False):
        return {}
    return {
        str(name): str(clause) for name, clause in connection.execute(_COLUMN_CHECKS, _about(table))
    }


def generated_from(connection: Connection, column: Column[Any]) -> str:
    """Return what a column of SQLite is generated from, as its table was written."""
    asked = text("SELECT sql FROM sqlite_master WHERE name = :name")
    written = str(connection.scalar(asked, {"name": column.table.name}))
    before = rf"""[,(]\s*["`\[]?{re.escape(column.name)}["`\]]?\s(?:[^,()]|\([^()]*\))*?\bAS\s*\("""
    found = re.search(before, written, re.IGNORECASE)
    return to_its_bracket(written[found.end() :] if found else str(column.computed))


def to_its_bracket(condition: str) -> str:
    """Return an expression up to the bracket that closes what was opened before it.

    What a column of SQLite is generated from SQLAlchemy reads to the last bracket of the line.
    """
    depth, quote = 0, ""
    for place, letter in enumerate(condition):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return condition[:place]
    return condition


def _is_mysql(connection: Connection) -> bool:
    return connection.dialect.name in ("mysql", "mariadb")


def _about(table: Table) -> dict[str, str | None]:
    return {"name": table.name, "schema": table.schema}
