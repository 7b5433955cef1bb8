"""Enums that are new, changed or gone: PostgreSQL keeps them as types, MySQL in each column.

Start at `with_enums`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Enum, MetaData, String, inspect, select
from sqlalchemy import column as sql_column
from sqlalchemy import table as sql_table

from sqlmodelkit.catalogs import parents_first
from sqlmodelkit.errors import ConfigError

from .conversions import ChangeType, RenameColumn, RenameTableOp
from .operations import ChangeEnum, CreateEnum, DropEnum, RenameEnum

Steps = list[MigrateOperation]
Places = dict[str, dict[str, list[str]]]
"""Of each enum: its columns, as `hero.rank`, and their values."""


def with_enums(steps: Iterable[MigrateOperation], metadata: MetaData, connection: Any) -> Steps:
    """Return the steps with those that make, change and drop enums around them."""
    steps = list(steps)
    wanted = _wanted(metadata)
    found = _found(connection)
    new = set(_new_columns(steps))
    types = _types(connection)
    added: Steps = []
    first: Steps = []
    last: Steps = []
    renamed = dict(_renamed(wanted, found, types))
    for new_name, old_name in renamed.items():
        types[new_name], found[new_name] = types.pop(old_name), found.pop(old_name)
        first.append(RenameEnum(old_name, new_name))
    for name, places in wanted.items():
        values = next(iter(places.values()))
        if set(places) <= new:
            if name not in types:
                first.append(CreateEnum(name, values))
        elif changed := _change(name, places, found, types):
            if changed.only_adds():
                # New values are committed at once, with whatever stands before them.
                changed.name = renamed.get(name, name)
                changed.columns = [_before(place, steps) for place in changed.columns]
                added.append(changed)
            else:
                last.append(changed)
    kept = {name for name in wanted if name in types}
    used = {name for name, places in found.items() if name}
    last += [DropEnum(name, types[name]) for name in sorted(used - kept) if name in types]
    return added + first + steps + last


def _before(place: str, steps: Steps) -> str:
    """Return what a column was called before steps gave it, or its table, another name."""
    table, _, column = place.partition(".")
    for step in reversed(steps):
        if isinstance(step, RenameColumn) and (step.table_name, step.new) == (table, column):
            column = step.old
        elif isinstance(step, RenameTableOp) and step.new_table_name == table:
            table = str(step.table_name)
    return f"{table}.{column}"


def _renamed(
    wanted: Places, found: Places, types: dict[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """Yield the types that have another name now, and the one that they had."""
    taken: set[str] = set()
    for name, places in wanted.items():
        if name in types:
            continue
        for old in sorted(set(types) - set(wanted) - taken):
            if set(places) & set(found.get(old, {})):
                taken.add(old)
                yield name, old
                break


def refuse_unreadable(metadata: MetaData, connection: Any) -> None:
    """Refuse an enum without a value that a row still has, on SQLite, which knows no enums.

    Raises:
        ConfigError: A row has such a value, and could not be read any more.
    """
    if connection.dialect.name != "sqlite":
        return
    inspector = inspect(connection)
    for places in _wanted(metadata).values():
        for address, values in places.items():
            name, _, column = address.partition(".")
            if not inspector.has_table(name):
                continue
            if column not in {each["name"] for each in inspector.get_columns(name)}:
                continue
            found: Any = sql_column(column, String)
            asked = (
                select(found).select_from(sql_table(name)).where(found.not_in(values)).distinct()
            )
            gone = [str(value) for value in connection.scalars(asked)]
            if gone:
                raise ConfigError(
                    f"Rows have one of {', '.join(gone)} in {address}, which would go away.",
                    hint="Give these rows another value first.",
                )


def _wanted(metadata: MetaData) -> Places:
    places: Places = {}
    for table in parents_first(metadata.tables.values()):
        for column in table.columns:
            kind: Any = column.type
            if isinstance(kind, Enum) and kind.native_enum and kind.name:
                kept = places.setdefault(str(kind.name), {})
                kept[f"{table.name}.{column.name}"] = list(kind.enums)
    return places


def _found(connection: Any) -> Places:
    """Return the enums of a database; those of MySQL have no name."""
    places: Places = {}
    if connection.dialect.name == "sqlite":
        return places
    inspector = inspect(connection)
    for (_, table), columns in inspector.get_multi_columns().items():
        for column in columns:
            kind: Any = column["type"]
            if isinstance(kind, Enum):
                kept = places.setdefault(str(kind.name or ""), {})
                kept[f"{table}.{column['name']}"] = list(kind.enums)
    return places


def _types(connection: Any) -> dict[str, list[str]]:
    if connection.dialect.name != "postgresql":
        return {}
    inspector: Any = inspect(connection)
    return {each["name"]: list(each["labels"]) for each in inspector.get_enums()}


def _change(
    name: str, places: dict[str, list[str]], found: Places, types: dict[str, list[str]]
) -> ChangeEnum | None:
    new = next(iter(places.values()))
    if name in types:
        there = [address for address in places if address in found.get(name, {})]
        old = types[name]
    else:
        unnamed = found.get("", {})
        there = [address for address in places if address in unnamed and unnamed[address] != new]
        old = unnamed[there[0]] if there else new
    return ChangeEnum(name, there, old=old, new=new) if old != new and there else None


def _new_columns(steps: Steps) -> Iterable[str]:
    """Return the columns that steps make, or make hold another type."""
    for step in steps:
        if isinstance(step, ops.CreateTableOp):
            for item in step.columns:
                if isinstance(item, Column):
                    yield f"{step.table_name}.{item.name}"
        elif isinstance(step, ops.ModifyTableOps):
            for inner in step.ops:
                if isinstance(inner, ops.AddColumnOp):
                    yield f"{inner.table_name}.{inner.column.name}"
        elif isinstance(step, ChangeType):
            yield f"{step.table_name}.{step.column_name}"
