"""The plan over plain rows: one flat statement for the table and its to-one relations, one more
for each collection, put together as dictionaries that Pydantic reads or prints.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Cast,
    Enum,
    FromClause,
    Integer,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty, aliased
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql.visitors import replacement_traverse
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from sqlmodelkit.columns import columns_of, in_table_order, key_of, mapper_of, relations_of
from sqlmodelkit.pages import order_by

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
        columns: What is selected.
        joins: To-one relations, each with the alias it is joined as.
        item: The Python expression of a row's dictionary: the row is `r`, the groups are `g`.
        collections: One more statement each.
        key: The key of the row, alone or as a tuple.
        names: What the expression names besides.
        options: How table rows are loaded, where those are selected.
    """

    model: type[SQLModel]
    columns: tuple[Any, ...]
    joins: tuple[tuple[Any, Any], ...]
    item: str
    collections: tuple["Collection", ...]
    key: Callable[[Row], Any]
    names: dict[str, Any] = field(default_factory=dict)
    options: tuple[ORMOption, ...] = ()

    def select(self, base: AnySelect) -> AnySelect:
        """Turn a select of the table model into this statement, with its filters and its page."""
        return self.joined(base.with_only_columns(*self.columns))

    def joined(self, statement: AnySelect) -> AnySelect:
        """Join the to-one relations to a statement that has the columns."""
        for target, along in self.joins:
            statement = statement.outerjoin(target, along)
        return statement.options(*self.options) if self.options else statement

    @cached_property
    def build(self) -> Callable[[Sequence[Row], Groups], list[Item]]:
        """Make the dictionaries of rows."""
        return _compiled(f"lambda rows, g: [{self.item} for r in rows]", self.names)

    def groups(self) -> Groups:
        """Return the empty lists that `build` asks to be filled."""
        return tuple({} for _ in self.collections)


@dataclass(frozen=True, eq=False)
class Collection:
    """The statement that reads one collection of many parents, in the collection's order.

    Attributes:
        model: The parents' table model.
        edge: The relation.
        layout: How the children are selected.
    """

    model: type[SQLModel]
    edge: Edge
    layout: type["Layout"]

    @cached_property
    def fetch(self) -> Fetch:
        """What is read of the children."""
        return self._fetch(self.edge.shape.model)

    @property
    def columns(self) -> tuple[Any, ...]:
        """What is selected: the parent's key comes first, where the children do not show it."""
        return self.fetch.columns if self._shown else (*self._source[1], *self.fetch.columns)

    def size(self, number: int, dialect: str) -> int:
        """Return for how many keys the statement is made that takes `number` of them, or most."""
        if dialect == "postgresql" and self._width == 1 and _is_plain(self._source[1][0].type):
            return 0
        sizes = _SIZES if self._width == 1 else _COMPOSITE_SIZES
        return next((size for size in sizes if size >= number), sizes[-1])

    def select(self, size: int) -> AnySelect:
        """Return the statement for the children of `size` parents; 0 takes an array of keys."""
        known = self._selects.get(size)
        if known is None:
            known = self._selects[size] = self._select(size)
        return known

    def _select(self, size: int) -> AnySelect:
        source, key = self._source
        # Only PostgreSQL takes an array.
        order = collection_order(self.model, self.edge, "" if size else "postgresql")
        if self.edge.limit is None:
            statement = self.fetch.joined(source.with_only_columns(*self.columns))
            return _where_key(statement, key, size).order_by(*order)
        if size == 0 and _has_index(self.edge.shape.model, key[0], order):
            return self._select_each(self.edge.limit, order)
        return self._select_ranked(self.edge.limit, order, size)

    def _select_ranked(self, limit: int, order: Sequence[Any], size: int) -> AnySelect:
        """Number the children of each parent, and keep the first ones."""
        source, key = self._source
        labels = _labels(key)
        place = func.row_number().over(partition_by=key, order_by=order).label("place")
        inner = source.with_only_columns(self.edge.shape.model, *labels, place)
        ranked = _where_key(inner, key, size).subquery()
        child = aliased(self.edge.shape.model, ranked)
        statement = self._select_from(child, ranked, labels, select().select_from(child))
        reached: Any = ranked.corresponding_column(place)
        return statement.where(reached <= limit).order_by(reached)

    def _select_each(self, limit: int, order: Sequence[Any]) -> AnySelect:
        """Take the first children of one parent after the other, each from the index."""
        source, key = self._source
        labels = _labels(key)
        keys = func.unnest(_keys_of(key[0])).column_valued("parents")
        inner = source.with_only_columns(self.edge.shape.model, *labels).where(key[0] == keys)
        first = inner.order_by(*order).limit(limit).lateral()
        child = aliased(self.edge.shape.model, first)
        whole = select().select_from(keys.scalar_alias).join(child, true())
        statement = self._select_from(child, first, labels, whole)
        moved = _moved(self.edge.shape.model, child)
        return statement.order_by(*(moved(part.expression) for part in order))

    def _select_from(
        self, child: Any, chosen: FromClause, labels: Sequence[Any], whole: AnySelect
    ) -> AnySelect:
        """Select what is shown of the children that a subquery has chosen."""
        fetch = self._fetch(child)
        key: list[Any] = [chosen.corresponding_column(label) for label in labels]
        return fetch.joined(whole.with_only_columns(*key, *fetch.columns))

    def values(self, keys: Sequence[Any], size: int) -> dict[str, Any]:
        """Return the parameters for these keys, the last of them repeated to fill the statement."""
        if size == 0:
            return {"keys": [str(key) for key in keys]}
        filled = [*keys, *[keys[-1]] * (size - len(keys))]
        return {
            f"key_{row}_{number}": part
            for row, key in enumerate(filled)
            for number, part in enumerate((key,) if self._width == 1 else key)
        }

    @cached_property
    def fill(self) -> Callable[[Sequence[Row], dict[Any, list[Item]], Groups], object]:
        """Append each child to the list of its parent."""
        parent = _at(self._shown or range(self._width))
        return _compiled(
            f"lambda rows, into, g: [into[{parent}].append({self.fetch.item}) for r in rows]",
            self.fetch.names,
        )

    @cached_property
    def _selects(self) -> dict[int, AnySelect]:
        return {}

    @property
    def _width(self) -> int:
        return len(key_of(self.model))

    @cached_property
    def _source(self) -> tuple[AnySelect, list[Any]]:
        """Where the children are found; answer it and the columns of the parent's key."""
        foreign = _foreign_key(self.model, relations_of(self.model)[self.edge.name])
        if foreign is not None:
            return select().select_from(self.edge.shape.model), foreign
        relation = relations_of(self.model)[self.edge.name]
        linked = _link_key(self.model, relation)
        if linked is not None:
            source = select().select_from(self.edge.shape.model)
            link: Any = relation.secondary
            return source.join(link, relation.secondaryjoin), linked
        parent = aliased(self.model)
        source = select().select_from(parent).join(getattr(parent, self.edge.name))
        return source, [getattr(parent, name) for name in key_of(self.model)]

    @cached_property
    def _shown(self) -> list[int]:
        """Where the parent's key is among what is shown of the children; empty when it is not."""
        if self.edge.limit is not None:
            return []
        columns = self.layout(0).fetch(self.edge.shape, self.edge.shape.model).columns
        places = {id(column): place for place, column in enumerate(columns)}
        found = [places.get(id(column)) for column in self._source[1]]
        return [place for place in found if place is not None] if None not in found else []

    def _fetch(self, child: Any) -> Fetch:
        return self.layout(0 if self._shown else self._width).fetch(self.edge.shape, child)


def compile_rows(shape: Shape) -> Fetch:
    """Compile a shape to flat statements."""
    return Layout(0).fetch(shape, shape.model)


class Layout:
    """Collects the columns and joins of one statement while it walks the to-one relations.

    Attributes:
        places: Where the key of the statement's own rows is.
    """

    def __init__(self, offset: int) -> None:
        """Begin a statement whose first columns, `offset` of them, are others."""
        self.offset = offset
        self.columns: list[Any] = []
        self.places: list[int] = []
        self.joins: list[tuple[Any, Any]] = []
        self.collections: list[Collection] = []
        self.names: dict[str, Any] = {}
        self.options: list[ORMOption] = []

    def fetch(self, shape: Shape, entity: Any) -> Fetch:
        """Lay out the statement that reads a shape from an entity."""
        item = self.entity(entity, shape)
        return Fetch(
            shape.model,
            tuple(self.columns),
            tuple(self.joins),
            item,
            tuple(self.collections),
            self.row_key(shape.model),
            self.names,
            tuple(self.options),
        )

    def row_key(self, model: type[SQLModel]) -> Callable[[Row], Any]:
        """Return how the key is taken from a row of the statement."""
        return itemgetter(*self.places)

    def entity(self, entity: Any, shape: Shape) -> str:
        """Select an entity's columns; answer the expression of its dictionary."""
        root = not self.columns
        names = (*key_of(shape.model), *(shown.attribute for shown in shape.fields))
        chosen = in_table_order(shape.model, names) if root else list(dict.fromkeys(names))
        places = {name: self.column(getattr(entity, name)) for name in chosen}
        key = [places[name] for name in key_of(shape.model)]
        if root:
            self.places = key
        parts = {
            shown.field: f"{shown.key!r}: r[{places[shown.attribute]}]" for shown in shape.fields
        }
        for edge in shape.relations:
            parts[edge.field] = f"{edge.key!r}: {self.relation(entity, shape, edge, _at(key))}"
        for cut in shape.cuts:
            if cut.constant is not None:
                parts[cut.field] = f"{cut.key!r}: {cut.constant}"
        # What is printed has the order of the dictionary: that of the response's fields.
        ordered = (parts[name] for name in shape.response.model_fields if name in parts)
        return f"{{{', '.join(ordered)}}}"

    def column(self, column: Any) -> int:
        """Select a column; answer its position in the row."""
        self.columns.append(column)
        return self.offset + len(self.columns) - 1

    def target(self, model: type[SQLModel]) -> Any:
        """Return what a to-one relation is joined as."""
        return aliased(model)

    def relation(self, entity: Any, shape: Shape, edge: Edge, key: str) -> str:
        """Answer the expression of what a relation leads to, for the row with this key."""
        if edge.many:
            return self.filled(entity, shape, edge, key)
        target = self.target(edge.shape.model)
        self.joins.append((target, getattr(entity, edge.name).of_type(target)))
        first = self.offset + len(self.columns)
        return f"None if r[{first}] is None else {self.entity(target, edge.shape)}"

    def filled(self, entity: Any, shape: Shape, edge: Edge, key: str) -> str:
        """Answer the expression of a list that one more statement fills."""
        self.collections.append(Collection(shape.model, edge, type(self)))
        return f"g[{len(self.collections) - 1}].setdefault({key}, [])"


def collection_order(model: type[SQLModel], edge: Edge, dialect: str = "") -> list[Any]:
    """Return the order of a collection, as ORDER BY expressions of the child's table.

    It is the limit's sort, else the relation's own order, and ends in the child's key.

    Args:
        model: The parents' table model.
        edge: The relation.
        dialect: The database's name; the expressions hold for every database when it is empty.
    """
    child = edge.shape.model
    if edge.order:
        return order_by(child, edge.order, dialect=dialect)
    declared: Sequence[Any] = relations_of(model)[edge.name].order_by or []
    plain = {_plain(part) for part in declared}
    names = (name for name in key_of(child) if columns_of(child)[name] not in plain)
    return [*declared, *(getattr(child, name) for name in names)]


def _where_key(statement: AnySelect, key: Sequence[Any], size: int) -> AnySelect:
    if size == 0:
        # One statement for any number of keys, and the cheapest for PostgreSQL to prepare.
        return statement.where(key[0] == any_(_keys_of(key[0])))
    parts = [
        [bindparam(f"key_{row}_{part}", type_=column.type) for part, column in enumerate(key)]
        for row in range(size)
    ]
    if len(key) == 1:
        return statement.where(key[0].in_([part[0] for part in parts]))
    alternatives = (
        and_(*(column == given for column, given in zip(key, part, strict=True))) for part in parts
    )
    return statement.where(or_(*alternatives))


def _keys_of(column: Any) -> Cast[Any]:
    # They are sent as texts: asyncpg asks each connection for every other type of array.
    return cast(bindparam("keys", type_=ARRAY(Text)), ARRAY(column.type))


def _is_plain(kind: Any) -> bool:
    """Tell whether a key is the same after it has been a text."""
    return isinstance(kind, (Integer, Uuid, String, AutoString)) and not isinstance(kind, Enum)


def _labels(key: Sequence[Any]) -> list[Any]:
    return [column.label(f"parent_{number}") for number, column in enumerate(key)]


def _has_index(child: type[SQLModel], foreign: Any, order: Sequence[Any]) -> bool:
    """Tell whether an index has the children of one parent together, and in their order.

    Without one, looking for each parent's children by themselves costs more than reading them all.
    """
    columns = {column: name for name, column in columns_of(child).items()}
    names = [columns.get(_plain(part)) for part in (foreign, *order)]
    table = mapper_of(child).local_table
    if None in names or not isinstance(table, Table):
        return False
    indexes = [[_plain(part) for part in index.expressions] for index in table.indexes]
    keys = (PrimaryKeyConstraint, UniqueConstraint)
    indexes += [list(key.columns) for key in table.constraints if isinstance(key, keys)]
    return any([columns.get(part) for part in index[:2]] == names[:2] for index in indexes)


def _plain(expression: Any) -> Any:
    """Return the column that an expression sorts by, without its direction."""
    part = getattr(expression, "element", expression)
    return getattr(part, "expression", part)


def _moved(model: type[SQLModel], alias: Any) -> Callable[[Any], Any]:
    """Return how expressions of a table's columns become those of an alias."""
    names = {column: name for name, column in columns_of(model).items()}

    def replaced(element: Any, **options: Any) -> Any:
        return getattr(alias, names[element]) if element in names else None

    return lambda clause: replacement_traverse(clause, {}, replaced)


def _link_key(model: type[SQLModel], relation: RelationshipProperty[Any]) -> list[Any] | None:
    """Return the link table's foreign key to `model`'s key, None when it takes more to find."""
    pairs = dict(relation.synchronize_pairs)
    if relation.secondary is None or not relation.primaryjoin.compare(
        and_(*(ours == theirs for ours, theirs in pairs.items()))
    ):
        return None
    keys = [relation.parent.attrs[name].columns[0] for name in key_of(model)]
    return [pairs[column] for column in keys] if set(keys) == set(pairs) else None


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


def _compiled(source: str, names: dict[str, Any]) -> Callable[..., Any]:
    """Compile a function, as dataclasses do: eight times as fast as the same with closures.

    The source holds positions and the quoted names of fields, and nothing of a request.
    """
    function: Callable[..., Any] = eval(source, {"__builtins__": {}, **names})  # noqa: S307
    return function
