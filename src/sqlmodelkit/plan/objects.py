"""The plan over ORM objects: exactly the shown columns and relations, everything else blocked.

Table rows are selected by the statements of the rows path, so that order, limit and number of
statements are the same; start at `compile_objects`. `row_options` is for reading without a plan.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import true
from sqlalchemy.orm import Load
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import ORMOption
from sqlmodel import SQLModel

from sqlmodelkit.columns import key_of, mapper_of, relations_of
from sqlmodelkit.errors import ConfigError

from .rows import Fetch, Layout, Row
from .shape import Edge, Shape


def compile_objects(shape: Shape, *, watched: bool = False) -> Fetch:
    """Compile a shape to statements of table rows.

    What is built of their rows is for `source_of`, once all collections are filled.

    Args:
        shape: What is shown.
        watched: Whether an application adds criteria to the statements. They need not reach
            aliases, so a table that is joined twice is read by a statement of its own.

    Raises:
        ConfigError: Two fields show the same rows in ways that cannot be told apart.
    """
    layout = _WatchedLayout if watched else _EntityLayout
    return layout(0).fetch(shape, shape.model)


class _EntityLayout(Layout):
    """Collects the table rows of one statement while it walks the to-one relations."""

    def row_key(self, model: type[SQLModel]) -> Callable[[Row], Any]:
        """Return how the key is taken from a row of the statement."""
        row, key = itemgetter(self.offset), attrgetter(*key_of(model))
        return lambda columns: key(row(columns))

    def entity(self, entity: Any, shape: Shape) -> str:
        """Select a table row; answer its expression, or that of its node."""
        self.options += _row_columns(entity, shape)
        row = f"r[{self.column(entity)}]"
        if _is_leaf(shape):
            return row
        parts = [f"{row}.{name}" for name in key_of(shape.model)]
        key = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        found = ", ".join(
            f"{edge.field!r}: {self.relation(entity, shape, edge, key)}" for edge in shape.relations
        )
        name = f"node{len(self.names)}"
        self.names[name] = _Form.of(shape).node
        return f"{name}({row}, {{{found}}})"


class _WatchedLayout(_EntityLayout):
    """The same without aliases of what is shown."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self._tables: set[type[SQLModel]] = set()

    def entity(self, entity: Any, shape: Shape) -> str:
        """Select a table row; answer its expression, or that of its node."""
        self._tables.add(shape.model)
        return super().entity(entity, shape)

    def target(self, model: type[SQLModel]) -> Any:
        """Return what a to-one relation is joined as: the model itself."""
        return model

    def relation(self, entity: Any, shape: Shape, edge: Edge, key: str) -> str:
        """Answer the expression of what a relation leads to, for the row with this key."""
        apart = edge.many or edge.shape.model in self._tables
        return (self.filled if apart else super().relation)(entity, shape, edge, key)


def _is_leaf(shape: Shape) -> bool:
    return not shape.relations and not shape.cuts


def _row_columns(entity: Any, shape: Shape) -> list[ORMOption]:
    """Return how a table row is loaded: no more columns than are shown, and no relations."""
    load = Load(entity)
    options: list[ORMOption] = [
        _block(load, getattr(entity, name)) for name in relations_of(shape.model)
    ]
    shown = {*key_of(shape.model), *shape.columns}
    for attribute in mapper_of(shape.model).column_attrs:
        # `load_only` of an alias would also leave columns of the table itself out.
        if shape.opaque or attribute.key in shown:
            if attribute.deferred:
                options.append(load.undefer(getattr(entity, attribute.key)))
        else:
            options.append(load.defer(getattr(entity, attribute.key)))
    return options


@dataclass(frozen=True, slots=True)
class _Form:
    """What is done with a row of a shape.

    Attributes:
        edges: The relations that it is given.
        is_viewed: Whether Pydantic gets a `View` of it.
        hidden: The names that a view has not.
        as_row: Whether the view passes for a row.
    """

    edges: tuple[Edge, ...]
    is_viewed: bool
    hidden: frozenset[str]
    as_row: bool

    @classmethod
    def of(cls, shape: Shape) -> "_Form":
        for first, second in shape.shared() if shape.is_partial else ():
            name = shape.response.__name__
            raise ConfigError(
                f"{name}.{first.field} and {name}.{second.field} show {first.name} differently, "
                "and have a Limit or Depth inside.",
                hint=f"Give {second.field} a name of its own that comes first: "
                f'Field(validation_alias=AliasChoices("{second.field}", "{second.name}")).',
                fields=[first.field, second.field],
            )
        hidden = frozenset(name for cut in shape.cuts for name in cut.names)
        # Pydantic takes an instance of the response model as it is: a view must not pass for one.
        as_row = not issubclass(shape.model, shape.response)
        return cls(shape.relations, shape.is_partial, hidden, as_row)

    def node(self, row: Any, found: dict[str, Any]) -> "Node":
        return Node(self, row, found)


class Node:
    """A table row, and the nodes that its relations lead to, by the response's field."""

    __slots__ = ("_form", "_found", "row")

    def __init__(self, form: _Form, row: Any, found: dict[str, Any]) -> None:
        """Keep what is found, which may be filled later."""
        self.row = row
        self._form = form
        self._found = found

    def source(self) -> Any:
        """Give the row its relations; return what Pydantic reads: the row, or a view of it."""
        shown: dict[str, Any] = {}
        for edge in self._form.edges:
            found: Any = self._found[edge.field]
            if not edge.many and isinstance(found, list):
                # A row that is read by a statement of its own comes in a list.
                (found,) = found[:1] or (None,)
            rows = found
            if found and not _is_leaf(edge.shape):
                rows = [node.row for node in found] if edge.many else found.row
                found = [node.source() for node in found] if edge.many else found.source()
            shown[edge.key] = found
            if edge.limit is None:
                set_committed_value(self.row, edge.name, rows)
        if not self._form.is_viewed:
            return self.row
        return View(self.row, shown, self._form.hidden, as_row=self._form.as_row)


def source_of(built: Any) -> Any:
    """Return what Pydantic reads: a table row that has its relations, or a view of it."""
    return built.source() if isinstance(built, Node) else built


class View:
    """A table row as a response shows it: a part of a collection, or no more of a tree."""

    __slots__ = ("__as_row", "__hidden", "__row", "__shown")

    def __init__(
        self, row: Any, shown: dict[str, Any], hidden: frozenset[str], *, as_row: bool
    ) -> None:
        """Show a row with these relations.

        Args:
            row: The table row.
            shown: What stands in place of the row's attributes, by name.
            hidden: The names that are missing.
            as_row: Whether the view passes for an instance of the row's class.
        """
        self.__row = row
        self.__shown = shown
        self.__hidden = hidden
        self.__as_row = as_row

    def __getattr__(self, name: str) -> Any:
        """Return what is shown under a name, else the row's attribute."""
        if name in self.__shown:
            return self.__shown[name]
        if name in self.__hidden:
            raise AttributeError(name)
        return getattr(self.__row, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The row's class, for validators that look at the row."""
        return type(self.__row) if self.__as_row else View


def row_options(model: type[SQLModel], load: Collection[str]) -> tuple[ORMOption, ...]:
    """Return loader options for table rows with exactly the relations named.

    Args:
        model: The table model.
        load: Relations to load; a dot goes further, as in `"lines.product"`.

    Raises:
        ConfigError: A name is not a relation.
    """
    if isinstance(load, str):
        raise ConfigError(
            f"load={load!r} is a text.", hint=f'Write load=["{load}"].', fields=["load"]
        )
    return _named(model, [name.split(".") for name in load], Load(model))


def _named(model: type[SQLModel], paths: Sequence[list[str]], load: Load) -> tuple[ORMOption, ...]:
    relations = relations_of(model)
    groups: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        if first not in relations:
            raise ConfigError(
                f"{model.__name__} has no relation {first!r} to load.",
                hint=f"Relations are {', '.join(relations) or 'none'}.",
                fields=[first],
            )
        groups.setdefault(first, []).extend([rest] if rest else [])
    options: list[ORMOption] = [
        _block(load, getattr(model, name)) for name in relations if name not in groups
    ]
    for name, inner_paths in groups.items():
        relation = relations[name]
        attribute = getattr(model, name)
        inner = load.selectinload(attribute) if relation.uselist else load.joinedload(attribute)
        options.append(inner)
        options += _named(relation.mapper.class_, inner_paths, inner)
    return tuple(options)


def _block(load: Load, relation: Any) -> Load:
    # With a criterion of its own a lazy load always asks the session, which refuses with
    # NotLoaded; without one it may answer from what happens to be in the session already.
    return load.lazyload(relation.and_(true()))
