"""What counts as a difference between models and database, beyond what Alembic sees by itself.

Start at `compare_type` and `include_object`.
"""

import re
from contextlib import suppress
from functools import cached_property
from typing import Any

from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    Column,
    Computed,
    Connection,
    Dialect,
    Enum,
    Index,
    LargeBinary,
    MetaData,
    String,
)
from sqlalchemy.schema import DefaultClause

from sqlmodelkit.catalogs import partial_tables, to_its_bracket
from sqlmodelkit.columns import plain_type
from sqlmodelkit.models import utcnow

JOURNAL = "sqlmodelkit_migration_steps"
LIVE = "live_"


def include_object(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Tell whether something is compared at all: what we keep for ourselves is not."""
    if kind == "table" and name == JOURNAL:
        return False
    if kind == "column" and reflected and other is None:
        # The column that `unique_live` needs on MySQL, where there are no partial indexes.
        return not (str(name).startswith(LIVE) and thing.computed is not None)
    if kind == "index" and isinstance(other, Index):
        return not (_has_live_column(thing) or _has_live_column(other))
    return True


class Whole:
    """Tells by its name whether a table is compared: a part of another is not, but for a model's."""

    def __init__(self, metadata: MetaData, connection: Connection | None) -> None:
        self._metadata = metadata
        self._connection = connection

    def __call__(self, name: str | None, kind: str, parents: Any) -> bool:
        """Answer Alembic, which asks before it looks at the table."""
        if kind != "table" or name in self._metadata.tables:
            return True
        return name not in self._partial

    @cached_property
    def _partial(self) -> frozenset[str]:
        # Asked for only when something is compared: Alembic minds a transaction that has begun.
        return frozenset() if self._connection is None else partial_tables(self._connection)


def _has_live_column(index: Index) -> bool:
    return any(column.name == f"{LIVE}{index.name}"[:64] for column in index.columns)


def compare_type(
    migrations: Any, found: Column[Any], wanted: Column[Any], found_type: Any, wanted_type: Any
) -> bool | None:
    """Tell whether a type differs; None leaves it to Alembic.

    Values of enums are compared apart, see `enums`.
    """
    if isinstance(wanted_type, Enum):
        if isinstance(found_type, Enum):
            # The type of another column, which keeps it: this one needs its own.
            return migrations.dialect.name == "postgresql" and _is_of_others(
                found_type, wanted_type, migrations.opts["target_metadata"]
            )
        return (
            None
            if not isinstance(found_type, String)
            else wanted_type.native_enum and (migrations.dialect.name != "sqlite")
        )
    if isinstance(found_type, Enum) and isinstance(wanted_type, String):
        return True
    if isinstance(wanted_type, LargeBinary) and wanted_type.length:
        return _is_other_blob(migrations.dialect.name, found_type, wanted_type.length)
    return None


def _is_other_blob(dialect: str, found: Any, length: int) -> bool | None:
    """Tell whether MySQL would store BLOB(length) otherwise: it takes the smallest that fits."""
    if dialect not in ("mysql", "mariadb"):
        return None
    kinds = ("TINYBLOB", 8), ("BLOB", 16), ("MEDIUMBLOB", 24), ("LONGBLOB", 32)
    fitting = next(name for name, bits in kinds if length < 2**bits)
    return bool(found.__visit_name__ != fitting)


def _is_of_others(found: Enum, wanted: Enum, metadata: MetaData) -> bool:
    if found.name == wanted.name:
        return False
    types: list[Any] = [c.type for table in metadata.tables.values() for c in table.columns]
    return any(isinstance(each, Enum) and each.name == found.name for each in types)


def _compare_default(  # noqa: PLR0913, PLR0917 - what Alembic calls it with
    generating: Any,
    change: Any,
    schema: str | None,
    table: str,
    name: str,
    found: Column[Any],
    wanted: Column[Any],
) -> PriorityDispatchResult:
    """Say whether a server default differs, where Alembic minds the way it is written.

    So with what a column is generated from, which cannot be changed: Alembic warns of that.
    """
    ours, theirs = wanted.server_default, found.server_default
    written = [_written(each, generating.dialect) for each in (ours, theirs)]
    if None in written or type(ours) is not type(theirs):
        return PriorityDispatchResult.CONTINUE
    is_same = written[0] == written[1]
    is_certain = isinstance(ours, DefaultClause) and _is_kept(ours, wanted)
    if is_certain and not is_same:
        change.modify_server_default = ours
    return PriorityDispatchResult.STOP if is_same or is_certain else PriorityDispatchResult.CONTINUE


def _is_kept(default: DefaultClause, column: Column[Any]) -> bool:
    """Tell whether engines keep a default in the form that it was given in."""
    is_text = isinstance(default.arg, str) and isinstance(plain_type(column.type), String)
    return is_text or isinstance(default.arg, utcnow)


def _written(default: Any, dialect: Dialect) -> str | None:
    """Return a default in a form that all engines share; None if it has no text."""
    if isinstance(default, Computed):
        clause: Any = default.sqltext
        if dialect.name == "sqlite":
            return _plain(to_its_bracket(str(clause)))
    elif isinstance(default, DefaultClause):
        clause = default.arg
    else:
        return None
    if isinstance(clause, str):
        return clause
    return _plain(str(clause.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))


def _plain(text: str) -> str:
    """Return SQL without what engines add to it: casts, brackets, quotes, spaces, case.

    What stands between quotes is a value, and stays as it is.
    """
    parts = re.split(r"'((?:[^']|'')*)'", text)
    for place, part in enumerate(parts):
        if place % 2:
            parts[place] = part.replace("''", "'")
        else:
            bare = re.sub(r"::[\w .\"]+(\(\d+\))?(\[\])?|\b_utf8mb4\b", "", part)
            parts[place] = re.sub(r"[\s()\"`]", "", bare).lower()
    return "".join(parts)


def _plugged() -> str:
    """Give Alembic our comparison of defaults, for the environments that name it."""
    name = "sqlmodelkit.defaults"
    # Alembic keeps it, also when this module is loaded anew.
    with suppress(ValueError):
        Plugin(name).add_autogenerate_comparator(
            _compare_default, "column", "server_default", priority=DispatchPriority.FIRST
        )
    return name


PLUGINS = ("alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", _plugged())
"""What compares models with a database: Alembic, names of checks, and defaults as we know them."""
