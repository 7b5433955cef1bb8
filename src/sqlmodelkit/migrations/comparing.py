"""What counts as a difference between models and database, beyond what Alembic sees by itself.

Start at `compare_type` and `include_object`.
"""

import re
from typing import Any

from sqlalchemy import Column, Enum, Index, LargeBinary, MetaData, String
from sqlalchemy.schema import DefaultClause

from sqlmodelkit.models import utcnow

PLUGINS = ("alembic.autogenerate.*", "alembic.ext.checkconstraint_byname")
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


def compare_default(
    migrations: Any,
    found: Column[Any],
    wanted: Column[Any],
    found_text: str | None,
    wanted_default: Any,
    wanted_text: str | None,
) -> bool | None:
    """Tell whether a server default differs; None leaves it to Alembic."""
    if found_text is None or wanted_text is None:
        return None
    if isinstance(wanted_default, DefaultClause) and isinstance(wanted_default.arg, utcnow):
        compiled = str(wanted_default.arg.compile(dialect=migrations.dialect))
        return _plain(found_text) != _plain(compiled)
    if _plain(found_text) == _plain(wanted_text):
        return False
    return None


def _plain(text: str) -> str:
    """Return a default without what engines add to it: casts, brackets, quotes, spaces, case."""
    text = re.sub(r"::[\w .\"]+(\(\d+\))?(\[\])?", "", text)
    return re.sub(r"[\s()'\"]", "", text).lower()
