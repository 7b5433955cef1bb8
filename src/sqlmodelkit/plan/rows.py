"""The plan over plain rows: one flat statement for the table and its to-one relations, one more
for each collection, put together as dictionaries that Pydantic reads or prints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Enum,
    Integer,
    Select,
    String,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty, aliased
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from sqlmodelkit.columns import key_of, relations_of

from .shape import Edge, Shape

Item = dict[str, Any]
Row = Sequence[Any]
Groups = tuple[dict[Any, list[Item]], ...]
"""For each collection of a statement: the lists to fill, by the parent's key."""

AnySelect = Select[*tuple[Any, ...]]
"""A select of any columns."""

_SIZES = (1, 8, 64, 512, 2048)
"""How many keys a statement is made for, where each key is a parameter of its own."""
_COMPOSITE_SIZES = (1, 8, 64, 256)


@dataclass(frozen=True, eq=False)
class Fetch:
    """One flat statement, and the statements for the collections below it.

    Attributes:
        columns: What is selected; the first ones are the key of `model`.
        joins: To-one relations, each with the alias it is joined as.
        item: The Python expression of a row's dictionary: the row is `r`, the groups are `g`.
        collections: One more statement each.
        key: The key of the row, alone or as a tuple.
    """

    model: type[SQLModel]
    columns: tuple[Any, ...]
    joins: tuple[tuple[Any, Any], ...]
    item: str
    collections: tuple["Collection", ...]
    key: Callable[[Row], Any]

    def select(self, base: AnySelect) -> AnySelect:
        """Turn a select of the table model into this statement, with its filters and its page."""
        return self._joined(base.with_only_columns(*self.columns))

    @cached_property
    def build(self) -> Callable[[Sequence[Row], Groups], list[Item]]:
        """Make the dictionaries of rows."""
        return _compiled(f"lambda rows, g: [{self.item} for r in rows]")

    def groups(self) -> Groups:
        """Return the empty lists that `build` asks to be filled."""
        return tuple({} for _ in self.collections)

    def _joined(self, statement: AnySelect) -> AnySelect:
        for target, along in self.joins:
            statement = statement.outerjoin(target, along)
        return statement


@dataclass(frozen=True, eq=False)
class Collection:
    """The statement that reads one collection of many parents, in the collection's order.

    Attributes:
        statement: The children of every parent; the parent's key comes first.
        parent_key: The columns of the parent's key in the statement.
        fetch: What is read of the children.
    """

    statement: AnySelect
    parent_key: tuple[Any, ...]
    fetch: Fetch

    @property
    def columns(self) -> tuple[Any, ...]:
        """What is selected."""
        return (*self.parent_key, *self.fetch.columns)

    def size(self, number: int, dialect: str) -> int:
        """Return for how many keys the statement is made that takes `number` of them, or most."""
        if self._as_array(dialect):
            return 0
        sizes = _SIZES if len(self.parent_key) == 1 else _COMPOSITE_SIZES
        return next((size for size in sizes if size >= number), sizes[-1])

    def select(self, size: int) -> AnySelect:
        """Return the statement for the children of `size` parents; 0 takes an array of keys."""
        key = self.parent_key
        if size == 0:
            # One statement for any number of keys, and the cheapest for PostgreSQL to prepare.
            # They are sent as texts: asyncpg asks each connection for every other type of array.
            keys = cast(bindparam("keys", type_=ARRAY(Text)), ARRAY(key[0].type))
            return self.statement.where(key[0] == any_(keys))
        parts = [
            [bindparam(f"key_{row}_{part}", type_=column.type) for part, column in enumerate(key)]
            for row in range(size)
        ]
        if len(key) == 1:
            return self.statement.where(key[0].in_([part[0] for part in parts]))
        alternatives = (
            and_(*(column == given for column, given in zip(key, part, strict=True)))
            for part in parts
        )
        return self.statement.where(or_(*alternatives))

    def values(self, keys: Sequence[Any], size: int) -> dict[str, Any]:
        """Return the parameters for these keys, the last of them repeated to fill the statement."""
        if size == 0:
            return {"keys": [str(key) for key in keys]}
        filled = [*keys, *[keys[-1]] * (size - len(keys))]
        single = len(self.parent_key) == 1
        return {
            f"key_{row}_{number}": part
            for row, key in enumerate(filled)
            for number, part in enumerate((key,) if single else key)
        }

    def _as_array(self, dialect: str) -> bool:
        kind = self.parent_key[0].type
        plain = isinstance(kind, (Integer, Uuid, String, AutoString)) and not isinstance(kind, Enum)
        return dialect == "postgresql" and len(self.parent_key) == 1 and plain

    @cached_property
    def fill(self) -> Callable[[Sequence[Row], dict[Any, list[Item]], Groups], object]:
        """Append each child to the list of its parent."""
        parent = _at(range(len(self.parent_key)))
        return _compiled(
            f"lambda rows, into, g: [into[{parent}].append({self.fetch.item}) for r in rows]"
        )


def compile_rows(shape: Shape) -> Fetch:
    """Compile a shape to flat statements."""
    return _Compiler(0).fetch(shape)


class _Compiler:
    """Collects the columns and joins of one statement while it walks the to-one relations."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.columns: list[Any] = []
        self.joins: list[tuple[Any, Any]] = []
        self.collections: list[Collection] = []

    def fetch(self, shape: Shape) -> Fetch:
        item = self._entity(shape.model, shape)
        width = len(key_of(shape.model))
        return Fetch(
            shape.model,
            tuple(self.columns),
            tuple(self.joins),
            item,
            tuple(self.collections),
            itemgetter(*range(self.offset, self.offset + width)),
        )

    def _entity(self, entity: Any, shape: Shape) -> str:
        """Select an entity's columns; answer the expression of its dictionary."""
        key = [self._column(getattr(entity, name)) for name in key_of(shape.model)]
        known = dict(zip(key_of(shape.model), key, strict=True))
        parts: dict[str, str] = {}
        for shown in shape.fields:
            position = known.get(shown.attribute, -1)
            if position < 0:
                position = self._column(getattr(entity, shown.attribute))
            parts[shown.key] = f"r[{position}]"
        for edge in shape.relations:
            if not edge.many:
                parts[edge.key] = self._one(entity, edge)
        for edge in shape.relations:
            if edge.many:
                parts[edge.key] = f"{self._many(shape, edge)}.setdefault({_at(key)}, [])"
        # A dictionary is printed in its own order, which has to be that of the response's fields.
        return f"{{{', '.join(f'{name!r}: {parts[name]}' for name in shape.keys)}}}"

    def _column(self, column: Any) -> int:
        self.columns.append(column)
        return self.offset + len(self.columns) - 1

    def _one(self, entity: Any, edge: Edge) -> str:
        target = aliased(edge.shape.model)
        self.joins.append((target, getattr(entity, edge.name).of_type(target)))
        first = self.offset + len(self.columns)
        return f"None if r[{first}] is None else {self._entity(target, edge.shape)}"

    def _many(self, shape: Shape, edge: Edge) -> str:
        self.collections.append(_collection(shape, edge))
        return f"g[{len(self.collections) - 1}]"


def _collection(shape: Shape, edge: Edge) -> Collection:
    relation = relations_of(shape.model)[edge.name]
    width = len(key_of(shape.model))
    fetch = _Compiler(width).fetch(edge.shape)
    child = edge.shape.model
    foreign = _foreign_key(shape.model, relation)
    if foreign is not None:
        parent_key = foreign
        statement = select(*parent_key, *fetch.columns).select_from(child)
    else:
        parent = aliased(shape.model)
        parent_key = [getattr(parent, name) for name in key_of(shape.model)]
        statement = select(*parent_key, *fetch.columns).select_from(parent)
        statement = statement.join(getattr(parent, edge.name))
    for target, along in fetch.joins:
        statement = statement.outerjoin(target, along)
    order = relation.order_by or [getattr(child, name) for name in key_of(child)]
    return Collection(statement.order_by(*order), tuple(parent_key), fetch)


def _foreign_key(model: type[SQLModel], relation: RelationshipProperty[Any]) -> list[Any] | None:
    """Return the children's foreign key to `model`'s key, None when a join has to find them."""
    pairs = dict(relation.local_remote_pairs or ())
    plain = (
        relation.direction is RelationshipDirection.ONETOMANY
        and relation.secondary is None
        and relation.primaryjoin.compare(and_(*(ours == theirs for ours, theirs in pairs.items())))
    )
    if not plain:
        return None
    parent, child = relation.parent, relation.mapper
    keys = [parent.attrs[name].columns[0] for name in key_of(model)]
    if set(keys) != set(pairs):
        return None
    names = [child.get_property_by_column(pairs[column]).key for column in keys]
    return [getattr(child.class_, name) for name in names]


def _at(positions: Sequence[int]) -> str:
    """Return the expression of a key: a value of the row, or several as a tuple."""
    parts = [f"r[{position}]" for position in positions]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _compiled(source: str) -> Callable[..., Any]:
    """Compile a function, as dataclasses do: eight times as fast as the same with closures.

    The source holds positions and the quoted names of fields, and nothing of a request.
    """
    function: Callable[..., Any] = eval(source, {"__builtins__": {}})  # noqa: S307
    return function
