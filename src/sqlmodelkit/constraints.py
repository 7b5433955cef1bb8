"""Which constraint of the models a database's error is about, and which fields it has. Ring 0.

The tables are read once: when the application starts, or at the first error. They are read again
when a name is unknown and there are more tables by then. Start at `catalogue`.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel

Kind = Literal["key", "unique", "check", "foreign key"]

_LONGEST_NAME = 63
_STAYS = ("NO ACTION", "RESTRICT")


@dataclass(frozen=True, slots=True)
class Known:
    """A constraint or unique index of a table.

    Attributes:
        name: Its name in the models, which the database may have cut.
        kind: What it demands.
        table: Whose it is.
        columns: The columns that it is about, in its order.
        refers_to: The table that a foreign key leads to.
        stays: Whether a row that is referred to has to stay.
    """

    name: str | None
    kind: Kind
    table: Table
    columns: tuple[str, ...]
    refers_to: Table | None = None
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every constraint of a set of tables, to be looked up by what the databases say."""

    tables: dict[str, list[Table]] = field(default_factory=dict)
    mappers: dict[Table, Mapper[Any]] = field(default_factory=dict)
    of_table: dict[Table, tuple[Known, ...]] = field(default_factory=dict)
    named: dict[str, list[Known]] = field(default_factory=dict)

    def add(self, table: Table) -> None:
        """Take a table in."""
        known = tuple(_constraints(table))
        self.tables.setdefault(table.name, []).append(table)
        self.of_table[table] = known
        for one in known:
            self.named.setdefault(one.name or "", []).append(one)

    def find(self, name: str, tables: Iterable[str | None]) -> Known | None:
        """Return the constraint of this name, rather of one of these tables."""
        found = self.named.get(name) or [
            one for long in self.named if _is_cut(long, name) for one in self.named[long]
        ]
        wanted = [table for table in tables if table]
        ranked = [one for table in wanted for one in found if one.table.name == table]
        return next(iter(ranked or found), None)

    def key(self, table: str | None) -> Known | None:
        """Return the primary key of a table."""
        return next((one for one in self._of(table) if one.kind == "key"), None)

    def over(self, table: str | None, columns: tuple[str, ...]) -> Known | None:
        """Return what keeps these columns of a table unique."""
        return next(
            (
                one
                for one in self._of(table)
                if one.kind in ("key", "unique") and one.columns == columns
            ),
            None,
        )

    def leading(self, table: str | None, columns: Collection[str]) -> list[Known]:
        """Return the foreign keys of a table that have one of these columns."""
        return [
            one
            for one in self._of(table)
            if one.kind == "foreign key" and not set(one.columns).isdisjoint(columns)
        ]

    def holding(self, table: str | None) -> list[Known]:
        """Return the foreign keys because of which rows of a table may have to stay.

        A row takes those with it that go when it goes, and theirs.
        """
        reached = list(self.tables.get(table or "", ())[:1])
        found: list[Known] = []
        keys = [
            one for known in self.of_table.values() for one in known if one.refers_to is not None
        ]
        for goal in reached:
            for one in keys:
                if one.refers_to is goal and one.stays:
                    found.append(one)
                elif one.refers_to is goal and one.table not in reached:
                    reached.append(one.table)
        return found

    def table(self, name: str | None, columns: Collection[str] = ()) -> Table | None:
        """Return the table of this name, rather one that has these columns."""
        tables = self.tables.get(name or "", [])
        fitting = (table for table in tables if all(column in table.c for column in columns))
        return next(fitting, next(iter(tables), None))

    def model(self, table: Table | None) -> str | None:
        """Return the name of a table's model."""
        mapper = self.mappers.get(table) if table is not None else None
        return mapper.class_.__name__ if mapper else None

    def fields(self, table: Table | None, columns: Iterable[str]) -> tuple[str, ...]:
        """Return what the model calls these columns; those that nobody knows keep their name."""
        mapper = self.mappers.get(table) if table is not None else None
        return tuple(
            mapper.get_property_by_column(table.c[name]).key
            if mapper is not None and table is not None and name in table.c
            else name
            for name in columns
        )

    def _of(self, table: str | None) -> Iterator[Known]:
        for one in self.tables.get(table or "", ()):
            yield from self.of_table[one]


def _constraints(table: Table) -> Iterator[Known]:
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        columns = tuple(column.name for column in getattr(constraint, "columns", ()))
        name = str(constraint.name) if isinstance(constraint.name, str) else None
        match constraint:
            case PrimaryKeyConstraint():
                yield Known(name, "key", table, columns)
            case UniqueConstraint():
                yield Known(name, "unique", table, columns)
            case CheckConstraint():
                words = set(re.findall(r"\w+", str(constraint.sqltext)))
                named = tuple(column.name for column in table.c if column.name in words)
                yield Known(name, "check", table, named)
            case ForeignKeyConstraint():
                stays = (constraint.ondelete or "NO ACTION").upper() in _STAYS
                yield Known(name, "foreign key", table, columns, _goal(constraint), stays)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique:
            named = tuple(column.name for column in index.columns)
            yield Known(str(index.name), "unique", table, named)


def _goal(constraint: ForeignKeyConstraint) -> Table | None:
    try:
        return constraint.referred_table
    except NoReferenceError:
        return None


def _is_cut(ours: str, theirs: str) -> bool:
    """Compare names, knowing that SQLAlchemy ends one that is too long with a short hash."""
    cut = len(ours) > _LONGEST_NAME >= len(theirs) > _LONGEST_NAME - 10
    return cut and ours.startswith(theirs[:-5])


class _Kept:
    """The catalogue of all tables, and how many things were in it when it was made."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self.catalogue = Catalogue()

    def fresh(self) -> Catalogue:
        """Return a catalogue with every table that there is by now."""
        mappers = list(_mappers(SQLModel))
        tables = dict.fromkeys(
            table
            for metadata in dict.fromkeys(
                mapper.local_table.metadata
                for mapper in mappers
                if isinstance(mapper.local_table, Table)
            )
            for table in metadata.tables.values()
        )
        parts = sum(len(table.constraints) + len(table.indexes) for table in tables)
        if (len(mappers), parts) != self.size:
            made = Catalogue()
            for table in tables:
                made.add(table)
            for mapper in mappers:
                if isinstance(mapper.local_table, Table):
                    made.mappers.setdefault(mapper.local_table, mapper)
            self.size, self.catalogue = (len(mappers), parts), made
        return self.catalogue


_KEPT = _Kept()


def catalogue(*, table: str | None = None, name: str | None = None) -> Catalogue:
    """Return what is known of all tables that share a metadata with a table model.

    Args:
        table: A table that should be in it.
        name: A constraint that should be in it.
    """
    kept = _KEPT.catalogue
    if (table is None or table in kept.tables) and (name is None or name in kept.named):
        return kept
    return _KEPT.fresh()


def learn() -> None:
    """Read the tables now, so that the first error need not."""
    _KEPT.fresh()


def _mappers(base: type[SQLModel]) -> Iterator[Mapper[Any]]:
    for model in base.__subclasses__():
        mapper = inspect(model, raiseerr=False)
        if mapper is not None:
            yield mapper
        yield from _mappers(model)
