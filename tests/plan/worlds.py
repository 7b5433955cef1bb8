"""Generated rows for generated tables, and questions about them.

Start at `worlds` and `questions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tests.plan.schemas import Column, Reference, Schema, Table
from tests.plan.values import KINDS, UNORDERED, storable, values

Draw = st.DrawFn
Rows = list[dict[str, Any]]
World = dict[str, Rows]
"""For each table its rows, as values by attribute; those that are referred to come first."""

_SIZES = (0, 1, 2, 3, 4, 4, 3, 4)

_KEYS: Mapping[str, Sequence[Any]] = {
    "whole": (7, -3, 2**31 - 1, 3, 12, 1),
    "token": tuple(UUID(int=number) for number in (2**128 - 1, 5, 2**100, 2**64, 1, 2**127)),
    "short": ("b", "a", 'q"', "0", "z z", "y"),
}
_DELETED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def _key(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _KEYS[column.kind][number] for column in table.key}


def _value(draw: Draw, engine: str, column: Column) -> Any:
    if column.nullable and draw(st.integers(0, 3)) == 0:
        return None
    return draw(values(engine, column.kind))


def _referred(
    draw: Draw, schema: Schema, reference: Reference, parents: Rows
) -> dict[str, Any] | None:
    """Choose a row to refer to, or none; return None when there has to be one and is not."""
    nullable = reference.columns[0].nullable
    if not parents or (nullable and draw(st.integers(0, 3)) == 0):
        return dict.fromkeys((c.name for c in reference.columns), None) if nullable else None
    row = draw(st.sampled_from(parents))
    if reference.single:
        parents.remove(row)
    keys = schema.by_name[reference.target].key
    pairs = zip(reference.columns, keys, strict=True)
    return {ours.name: row[key.name] for ours, key in pairs}


def _unusual(value: Any) -> set[str]:
    """Return by which names a value may be avoided."""
    if isinstance(value, Decimal) and value.is_nan():
        return {"NaN"}
    if isinstance(value, datetime) and value.replace(tzinfo=None) in (datetime.min, datetime.max):  # noqa: DTZ901
        return {"first and last moment"}
    return set()


def _usual(value: Any) -> Any:
    return Decimal(0) if isinstance(value, Decimal) else value.replace(year=2026)


@st.composite
def worlds(draw: Draw, schema: Schema, engine: str, avoided: Collection[str] = ()) -> World:
    """Draw rows for every table: none, or a few."""
    world: World = {}
    for table in schema.tables:
        rows = world[table.name] = []
        left = {each: list(world[each.target]) for each in table.references}
        for number in range(draw(st.sampled_from(_SIZES))):
            row = {} if table.link else _key(table, number)
            for column in table.columns:
                value = _value(draw, engine, column)
                row[column.name] = _usual(value) if _unusual(value) & set(avoided) else value
            for reference in table.references:
                itself = reference.target == table.name
                referred = _referred(draw, schema, reference, rows if itself else left[reference])
                if referred is None:
                    break
                row |= referred
            else:
                if table.soft:
                    row["deleted_at"] = draw(st.sampled_from((None, None, _DELETED)))
                if not any(all(row[c.name] == r[c.name] for c in table.key) for r in rows):
                    rows.append(row)
    return world


@dataclass(frozen=True)
class Question:
    """Which rows are asked for: perhaps a comparison, perhaps an order, and a part of them."""

    compared: tuple[str, str, Any] | None = None
    sort: str | None = None
    limit: int = 100
    offset: int = 0
    include_deleted: bool = False


def _comparable(table: Table) -> list[Column]:
    return [c for c in table.every if c.kind not in UNORDERED and KINDS[c.kind].comparable]


@st.composite
def questions(draw: Draw, table: Table, rows: Rows, engine: str) -> Question:
    """Draw a filter on a value that is there, an order, and a page."""
    compared = sort = None
    columns = [column for column in _comparable(table) if column.kind != "odd"]
    if bool(columns and rows) and draw(st.booleans()):
        column = draw(st.sampled_from(columns))
        value = draw(st.sampled_from(rows))[column.name]
        if value is None:
            compared = (column.name, "is", None)
        elif storable(engine, column.kind, value):
            ordered = column.kind in {"whole", "big", "small", "token", "day"}
            operator = draw(st.sampled_from(("eq", "ne", "gte") if ordered else ("eq", "ne")))
            compared = (column.name, operator, value)
    if bool(columns) and draw(st.booleans()):
        sort = draw(st.sampled_from(("", "-"))) + draw(st.sampled_from(columns)).name
    deleted = draw(st.integers(0, 3)) == 3
    return Question(compared, sort, draw(st.integers(1, 4)), draw(st.integers(0, 2)), deleted)
