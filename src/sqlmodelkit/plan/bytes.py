"""The plan over bytes: one statement, whose answer is the JSON of the whole response.

Texts are put together by concatenation, on every database alike: names of fields need no columns
then, and nothing has blanks. Start at `json_select`; `bytes_obstacles` says when not to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from sqlalchemy import (
    PrimaryKeyConstraint,
    Select,
    Table,
    UniqueConstraint,
    and_,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import RelationshipProperty, aliased
from sqlalchemy.sql.visitors import replacement_traverse
from sqlmodel import SQLModel

from sqlmodelkit.columns import columns_of, in_table_order, key_of, mapper_of, relations_of

from .dialects import TEXTS
from .printing import obstacles
from .rows import collection_order
from .shape import Edge, Shape
from .texts import SQL, GatheringTexts, Part, Texts, json_text

AnySelect = Select[*tuple[Any, ...]]
"""A select of any columns."""


def bytes_obstacles(shape: Shape, dialect: str, version: tuple[int, ...]) -> Iterator[str]:
    """Yield what keeps a response from being printed by a database.

    Args:
        shape: What is shown.
        dialect: `postgresql`, `sqlite`, `mysql` or `mariadb`.
        version: The server's version, empty when it is not known.
    """
    texts = TEXTS.get(dialect)
    if texts is None:
        yield f"{dialect} is not known"
        return
    if version and version < texts.oldest:
        oldest = ".".join(map(str, texts.oldest))
        yield f"{dialect} is older than {oldest}"
    yield from obstacles(shape)
    for reason in _obstacles(shape, texts):
        yield reason.format(dialect=dialect)


def _obstacles(shape: Shape, texts: Texts) -> Iterator[str]:
    response, mapper = shape.response, mapper_of(shape.model)
    name = response.__name__
    if mapper.inherits or mapper.polymorphic_on is not None:
        yield f"{shape.model.__name__} shares its table with other models"
    for shown in shape.fields:
        reason = texts.obstacle(columns_of(shape.model)[shown.attribute].type)
        if reason and not response.model_fields[shown.field].exclude:
            yield f"{name}.{shown.field} {reason}"
    for cut in shape.cuts:
        if cut.constant is None and not response.model_fields[cut.field].exclude:
            yield f"{name}.{cut.field} ends at a depth with a default that is made in Python"
    for edge in shape.relations:
        if not response.model_fields[edge.field].exclude:
            yield from _edge_obstacles(shape, edge, texts)


def _edge_obstacles(shape: Shape, edge: Edge, texts: Texts) -> Iterator[str]:
    name = f"{shape.response.__name__}.{edge.field}"
    if edge.many and not isinstance(texts, GatheringTexts):
        yield f"{name} is a collection, which {{dialect}} cuts off or does not order"
    if not _plain(shape.model, edge):
        yield f"{name} is joined by a condition of its own"
    yield from _obstacles(edge.shape, texts)


def json_select(
    shape: Shape, base: AnySelect, dialect: str, *, total: SQL | None = None
) -> AnySelect:
    """Turn a select of the table model into one that answers the responses as JSON.

    Args:
        shape: What is shown; without any of `bytes_obstacles`.
        base: The table model's rows, filtered, ordered, cut to a page.
        dialect: The database.
        total: What shall be answered beside the responses, as an aggregate of them; for a
            database that puts rows together.

    Returns:
        A select of the columns `number` and `items`, for `json_items`, and of the total.
    """
    texts = TEXTS[dialect]
    printer = _Printer(texts)
    if not isinstance(texts, GatheringTexts):
        line = printer.item(shape, _Row.of(shape.model)).label("items")
        number: Any = literal_column("1").label("number")
        return base.with_only_columns(number, line, maintain_column_froms=True)
    names = in_table_order(shape.model, (*key_of(shape.model), *_needed(shape)))
    page = base.with_only_columns(
        *(getattr(shape.model, name).label(f"c{n}") for n, name in enumerate(names)),
        maintain_column_froms=True,
    ).subquery()
    columns = {name: page.c[f"c{n}"] for n, name in enumerate(names)}
    item = printer.item(shape, _Row(columns.__getitem__, page))
    # The page is cut before any text is made, and each text is made once: see `fence`.
    items = texts.fence(select(item.label("item")).select_from(page)).subquery()
    statement: AnySelect = select(
        func.count().label("number"), texts.all(items.c.item).label("items")
    )
    if total is not None:
        statement = statement.add_columns(total)
    # Only the outermost statement's options count; no public name gives them.
    options = getattr(base, "_with_options", ())
    return statement.options(*options).execution_options(**base.get_execution_options())


def json_lines(shape: Shape, base: AnySelect, dialect: str, more: Sequence[SQL]) -> AnySelect:
    """Turn a select of the table model into one that answers each response as JSON.

    Args:
        shape: What is shown; without any of `bytes_obstacles`.
        base: The table model's rows, filtered, ordered, cut to a page.
        dialect: The database.
        more: What is selected of each row besides.

    Returns:
        A select whose first column is the JSON, or NULL where some stored value is not what this
        database prints exactly.
    """
    line = _Printer(TEXTS[dialect]).item(shape, _Row.of(shape.model)).label("items")
    return base.with_only_columns(line, *more, maintain_column_froms=True)


def json_items(rows: Sequence[Sequence[Any]]) -> tuple[int, bytes] | None:
    """Put together what a statement of `json_select` has answered.

    Returns:
        How many items there are, and their JSON with commas between, without brackets; None when
        some stored value is not what this database prints exactly: read another way then.
    """
    if any(row[1] is None for row in rows):
        return None
    return sum(row[0] for row in rows), ",".join(row[1] for row in rows).encode()


def gathers(dialect: str) -> bool:
    """Tell whether a database puts the rows of an answer together, and so into a single row."""
    return isinstance(TEXTS[dialect], GatheringTexts)


def _needed(shape: Shape) -> Iterator[str]:
    """Yield the attributes that a row needs to be printed: what it shows, and what joins."""
    fields = shape.response.model_fields
    for shown in shape.fields:
        if not fields[shown.field].exclude:
            yield shown.attribute
    for edge in shape.relations:
        if not fields[edge.field].exclude:
            for ours, _ in _pairs(relations_of(shape.model)[edge.name]):
                yield _attribute(shape.model, ours)


_CONSTANTS = {"None": "null", "[]": "[]"}
"""The defaults of what is not read at its depth, in Python and in JSON."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Where the columns of a row are: by attribute, and the part of FROM they belong to."""

    column: Callable[[str], SQL]
    source: Any

    @classmethod
    def of(cls, entity: Any) -> "_Row":
        return cls(lambda name: getattr(entity, name), entity)


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints rows, and those below them by subqueries; NULL is what cannot be printed."""

    texts: Texts

    def item(self, shape: Shape, row: _Row) -> SQL:
        shown = {shown.field: shown for shown in shape.fields}
        edges = {edge.field: edge for edge in shape.relations}
        cuts = {cut.field: _CONSTANTS[cut.constant] for cut in shape.cuts if cut.constant}
        columns = columns_of(shape.model)
        parts: list[Part] = []
        for name, field in shape.response.model_fields.items():
            if field.exclude:
                continue
            parts.append(f"{',' if parts else ''}{json_text(_printed_name(name, field))}:")
            if name in shown:
                attribute = shown[name].attribute
                column = columns[attribute]
                value = row.column(attribute)
                parts += self.texts.parts(column.type, value, nullable=bool(column.nullable))
            elif name in cuts:
                parts.append(cuts[name])
            else:
                edge = edges[name]
                nested = self._many if edge.many else self._one
                parts += nested(relations_of(shape.model)[edge.name], edge, row)
        return self.texts.text(["{", *parts, "}"])

    def _one(self, relation: RelationshipProperty[Any], edge: Edge, row: _Row) -> list[Part]:
        target = aliased(edge.shape.model)
        missing, failed = self.texts.literal("null"), self.texts.literal("!")
        item = func.coalesce(self.item(edge.shape, _Row.of(target)), failed)
        found = self._joined(select(item), relation, target, row)[0].scalar_subquery()
        return [func.nullif(func.coalesce(found, missing), failed)]

    def _many(self, relation: RelationshipProperty[Any], edge: Edge, row: _Row) -> list[Part]:
        if not isinstance(self.texts, GatheringTexts):
            raise TypeError(f"{edge.field} has an obstacle.")
        child = aliased(edge.shape.model)
        item = self.item(edge.shape, _Row.of(child))
        statement, adapt = self._joined(select(item.label("item")), relation, child, row)
        order = [part.expression for part in collection_order(relation.parent.class_, edge)]
        items = statement.order_by(*map(adapt, order)).limit(edge.limit).subquery()
        return ["[", select(self.texts.all(items.c.item)).scalar_subquery(), "]"]

    def _joined(
        self, statement: AnySelect, relation: RelationshipProperty[Any], target: Any, row: _Row
    ) -> tuple[AnySelect, Callable[[SQL], SQL]]:
        """Select the rows that a relation leads to; answer a way to translate its columns too."""
        model = relation.mapper.class_
        names: dict[Any, str] = {column: name for name, column in columns_of(model).items()}
        link: Any = None if relation.secondary is None else relation.secondary.alias()

        def replaced(element: Any, **options: Any) -> Any:
            if link is not None and getattr(element, "table", None) is relation.secondary:
                return link.corresponding_column(element)
            return getattr(target, names[element]) if element in names else None

        statement = statement.select_from(target).correlate(row.source)
        if link is not None:
            along = (
                getattr(target, names[theirs]) == link.corresponding_column(between)
                for theirs, between in relation.secondary_synchronize_pairs or ()
            )
            statement = statement.join(link, and_(*along))
        for ours, theirs in _pairs(relation):
            there = replaced(theirs)
            statement = statement.where(
                row.column(_attribute(relation.parent.class_, ours)) == there
            )
        return statement, lambda clause: replacement_traverse(clause, {}, replaced)


def _printed_name(name: str, field: FieldInfo) -> str:
    return name if field.serialization_alias is None else field.serialization_alias


def _attribute(model: type[SQLModel], column: Any) -> str:
    return mapper_of(model).get_property_by_column(column).key


def _pairs(relation: RelationshipProperty[Any]) -> Sequence[tuple[Any, Any]]:
    """Return columns of the parent, each with what it equals: the target's, or the link's."""
    if relation.secondary is not None:
        return relation.synchronize_pairs
    return relation.local_remote_pairs or ()


def _plain(model: type[SQLModel], edge: Edge) -> bool:
    """Tell whether a relation joins equal columns only, and a single row where one is shown."""
    relation = relations_of(model)[edge.name]
    pairs = _pairs(relation)
    if not relation.primaryjoin.compare(and_(*(ours == theirs for ours, theirs in pairs))):
        return False
    if relation.secondary is not None:
        far = relation.secondary_synchronize_pairs or ()
        along = relation.secondaryjoin
        if along is None or not along.compare(and_(*(ours == theirs for ours, theirs in far))):
            return False
        return edge.many and isinstance(relation.secondary, Table)
    return edge.many or _unique(relation.mapper.local_table, {theirs for _, theirs in pairs})


def _unique(table: Any, columns: set[Any]) -> bool:
    """Tell whether no two rows of a table are equal in these columns."""
    if any(column.unique for column in columns):
        return True
    constraints = (PrimaryKeyConstraint, UniqueConstraint)
    keys: list[Any] = [item for item in table.constraints if isinstance(item, constraints)]
    keys += [index for index in table.indexes if index.unique and not index.kwargs]
    return any(len(key.columns) and set(key.columns) <= columns for key in keys)
