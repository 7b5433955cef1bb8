"""What a diagram shows: tables, their columns, and foreign keys."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    MetaData,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.models import OtherType


@dataclass(frozen=True, slots=True)
class Line:
    """A column: its name, its type in lower case, and whether it is a key (`PK`, `FK`, `UK`)."""

    name: str
    type: str
    marks: tuple[str, ...]
    nullable: bool


@dataclass(frozen=True, slots=True)
class Entity:
    """A table with its columns."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key.

    Attributes:
        child: The table that has it.
        parent: The table it refers to.
        columns: Its columns in the child.
        optional: Whether a child may be without a parent.
        single: Whether a parent has one child at most.
    """

    child: str
    parent: str
    columns: tuple[str, ...]
    optional: bool
    single: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    """Tables and the foreign keys between them."""

    entities: tuple[Entity, ...]
    links: tuple[Link, ...]

    @classmethod
    def of(cls, metadata: MetaData, *, only: Iterable[str] = ()) -> Self:
        """Return what is to be drawn of the tables of `metadata`.

        Args:
            metadata: `SQLModel.metadata`, or what was reflected.
            only: The names of the tables to show; all when left out.

        Raises:
            ConfigError: There is no table, or none of a name that was given.
        """
        wanted = set(only)
        missing = sorted(wanted - set(metadata.tables))
        if missing:
            raise ConfigError(
                f"There is no table {', '.join(missing)}.",
                hint=f"Tables are {', '.join(sorted(metadata.tables)) or 'none'}.",
            )
        tables = [table for name, table in metadata.tables.items() if not wanted or name in wanted]
        if not tables:
            raise ConfigError(
                "There are no tables to draw.", hint="Import the modules with the models first."
            )
        shown = {table.fullname for table in tables}
        tables.sort(key=lambda table: table.fullname)
        links = [
            _link(constraint)
            for table in tables
            for constraint in sorted(
                table.foreign_key_constraints, key=lambda key: tuple(key.column_keys)
            )
            if constraint.referred_table.fullname in shown
        ]
        return cls(tuple(map(_entity, tables)), tuple(links))


def _entity(table: Table) -> Entity:
    return Entity(table.fullname, tuple(_line(column, table) for column in table.columns))


def _line(column: Column[object], table: Table) -> Line:
    marks = {
        "PK": column.primary_key,
        "FK": bool(column.foreign_keys),
        "UK": not column.primary_key and _is_unique(table, (column.name,)),
    }
    kind: Any = column.type
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return Line(
        column.name,
        _named(kind),
        tuple(mark for mark, true in marks.items() if true),
        bool(column.nullable) and not column.primary_key,
    )


def _named(kind: Any) -> str:
    # Of `geometry(Point, 4326)` a diagram takes the first word.
    name = kind.name if isinstance(kind, OtherType) else type(kind).__visit_name__
    return re.sub(r"\W.*", "", str(name)).lower()


def _link(constraint: ForeignKeyConstraint) -> Link:
    table = constraint.table
    columns = tuple(column.name for column in constraint.columns)
    return Link(
        table.fullname,
        constraint.referred_table.fullname,
        columns,
        any(column.nullable for column in constraint.columns),
        _is_unique(table, columns),
    )


def _is_unique(table: Table, names: tuple[str, ...]) -> bool:
    """Tell whether no two rows are equal in these columns."""
    keys = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    sets: list[set[Any]] = [{column.name for column in key.columns} for key in keys]
    sets += [
        {getattr(part, "name", None) for part in index.expressions}
        for index in table.indexes
        if index.unique and not any(key.endswith("_where") for key in index.dialect_kwargs)
    ]
    return set(names) in sets
