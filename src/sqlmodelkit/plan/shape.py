"""A response model laid over its table: which columns and relations it shows, and no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo
from sqlmodel import SQLModel
from sqlmodel.main import FieldInfoMetadata

from sqlmodelkit.columns import columns_of, relations_of, without_none
from sqlmodelkit.errors import ConfigError, SortError
from sqlmodelkit.pages import sort_fields


@dataclass(frozen=True)
class Limit:
    """Shows the first rows of a collection only, read by the same statement.

    ```python
    class CustomerPublic(BaseModel):
        name: str
        latest: Annotated[list[OrderPublic], Limit(3, sort="-placed_at")] = Field(
            validation_alias="orders"
        )
    ```

    Attributes:
        number: The most rows of each collection.
        sort: Which come first: fields of the child's table, as for a page; by default the
            relation's own order. The key decides between equals.

    Raises:
        ConfigError: The number is less than 1.
    """

    number: int
    sort: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        if self.number < 1:
            raise ConfigError(
                f"Limit({self.number}) shows nothing.", hint="Give it a number of 1 or more."
            )
        if self.sort is not None and not isinstance(self.sort, str):
            # Annotations are compared and kept by hash.
            object.__setattr__(self, "sort", tuple(self.sort))


@dataclass(frozen=True)
class Depth:
    """Lets a response model show itself, so many levels deep; below, the field has its default.

    ```python
    class CategoryPublic(BaseModel):
        name: str
        children: Annotated[list["CategoryPublic"], Depth(3)] = []
    ```

    Attributes:
        levels: How many levels of the response model are shown below the first.

    Raises:
        ConfigError: There is no level.
    """

    levels: int

    def __post_init__(self) -> None:
        """Check the number."""
        if self.levels < 1:
            raise ConfigError(
                f"Depth({self.levels}) shows nothing.", hint="Give it a number of 1 or more."
            )


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation that the response shows.

    Attributes:
        name: The relation's attribute on the table model.
        many: Whether it is a collection.
        shape: What of its rows is shown.
        field: The response model's field.
        key: The name under which Pydantic reads the field: its alias, or its own.
        limit: The most rows of a collection that are shown; None for all of them.
        order: The sort that says which come first; empty for the relation's own order.
    """

    name: str
    many: bool
    shape: "Shape"
    field: str
    key: str
    limit: int | None = None
    order: tuple[str, ...] = ()

    @property
    def part(self) -> tuple[Any, ...]:
        """What of the relation is shown: equal for fields that show the same."""
        return self.name, self.shape.response, self.limit, self.order


@dataclass(frozen=True, slots=True)
class Shown:
    """A column that the response shows: attribute, response field, and the field's input name."""

    attribute: str
    field: str
    key: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A relation that is not followed any further: its field has its default.

    Attributes:
        name: The relation's attribute on the table model.
        field: The response model's field.
        key: The name under which Pydantic would read the field.
        names: All names under which Pydantic may look for it.
        constant: The default's source, `None` or `[]`, where it is sure to be printed like that.
    """

    name: str
    field: str
    key: str
    names: frozenset[str]
    constant: str | None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a response model shows of a table.

    Attributes:
        model: The table model.
        response: The response model.
        fields: Columns that are shown.
        relations: Relations that are shown.
        opaque: Attributes whose columns cannot be told (properties): every column is read.
        cuts: Relations that are shown on the levels above, and no more on this one.
    """

    model: type[SQLModel]
    response: type[BaseModel]
    fields: tuple[Shown, ...]
    relations: tuple[Edge, ...]
    opaque: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the attributes of the columns that are shown."""
        return tuple(dict.fromkeys(shown.attribute for shown in self.fields))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the input names of columns and relations, each of them once."""
        keys = [*(shown.key for shown in self.fields), *(edge.key for edge in self.relations)]
        return tuple(dict.fromkeys(keys))

    @property
    def is_partial(self) -> bool:
        """Whether a relation is shown in part, at any depth: by a limit, or not down to its end."""
        return bool(self.cuts) or any(
            edge.limit is not None or edge.shape.is_partial for edge in self.relations
        )

    def edges(self) -> Iterator[Edge]:
        """Yield the relations at every depth."""
        for edge in self.relations:
            yield edge
            yield from edge.shape.edges()

    def shared(self) -> Iterator[tuple[Edge, Edge]]:
        """Yield relations that Pydantic reads under one name, though they show different things."""
        for number, edge in enumerate(self.relations):
            for other in self.relations[:number]:
                if other.key == edge.key and other.part != edge.part:
                    yield other, edge


@dataclass(frozen=True, slots=True)
class _Step:
    """A response model on the way to a nested one, and whether its field declares a depth."""

    response: type[BaseModel]
    has_depth: bool


_Path = tuple[_Step, ...]


def shape_of(model: type[SQLModel], response: type[BaseModel]) -> Shape:
    """Lay a response model over a table model.

    Raises:
        ConfigError: The response model is itself a table, loops without a `Depth`, nests a table,
            has a required field that the table has not, or a `Limit` or `Depth` that does not
            fit. The error names the field or the cycle.
    """
    return _shape(model, response, ())


def _shape(model: type[SQLModel], response: type[BaseModel], path: _Path) -> Shape:
    _refuse_table(response, path)
    _refuse_loop(response, path)
    if not response.__pydantic_complete__ and not response.model_rebuild(raise_errors=False):
        raise ConfigError(
            f"{response.__name__} refers to a model that is not declared yet.",
            hint="Declare it before the service, or call model_rebuild() after it.",
        )
    columns, relations = columns_of(model), relations_of(model)
    shown: list[Shown] = []
    edges: list[Edge] = []
    cuts: list[Cut] = []
    opaque: list[str] = []
    for field_name, field in response.model_fields.items():
        for nested in nested_models(field.annotation):
            _refuse_table(nested, (*path, _Step(response, False)))
        name = _source(field_name, response, model)
        if name is not None and name in relations:
            found = _relation(model, name, field_name, response, path)
            if isinstance(found, Edge):
                edges.append(found)
            else:
                cuts.append(found)
            continue
        _refuse_marks(response, field_name)
        if name is None:
            if field.is_required():
                raise ConfigError(
                    f"{response.__name__}.{field_name} has no counterpart on {model.__name__}.",
                    hint="Rename it, give it a default, or make it a property of the table model.",
                )
        elif name in columns:
            names = _input_names(field_name, response)
            shown.append(Shown(name, field_name, name if name in names else names[0]))
        else:
            opaque.append(name)
    shape = Shape(model, response, tuple(shown), tuple(edges), tuple(opaque), tuple(cuts))
    _refuse_shared(shape)
    return shape


def _refuse_table(response: type[BaseModel], path: _Path) -> None:
    if issubclass(response, SQLModel) and hasattr(response, "__table__"):
        inside = f" inside {path[-1].response.__name__}" if path else ""
        raise ConfigError(
            f"{response.__name__} is a table and cannot be a response model{inside}.",
            hint=f"Declare a {response.__name__}Public with the fields to show.",
        )


def _refuse_loop(response: type[BaseModel], path: _Path) -> None:
    """Refuse a way from a response model back to itself that no declared depth ends."""
    seen = [number for number, step in enumerate(path) if step.response is response]
    loop = path[seen[-1] :] if seen else ()
    if loop and not any(step.has_depth for step in loop):
        cycle = " -> ".join([*(step.response.__name__ for step in loop), response.__name__])
        raise ConfigError(
            f"The response model loops: {cycle}.",
            hint="Declare how deep, as in `Annotated[..., Depth(3)]` with a default, or give "
            "the inner one a model of its own, without the field that leads back.",
        )


def _refuse_marks(response: type[BaseModel], field_name: str) -> None:
    for mark in _marks(response.model_fields[field_name]):
        raise ConfigError(
            f"{response.__name__}.{field_name} has a {type(mark).__name__} and shows no relation.",
            hint="Remove it, or name the relation by validation_alias.",
            fields=[field_name],
        )


def _refuse_shared(shape: Shape) -> None:
    """Refuse fields that Pydantic reads under one name, though something else is shown by each.

    Where all rows are shown by each of them, they can be read from table rows: see `Shape.shared`.
    """
    name = shape.response.__name__
    for first, second in shape.shared():
        if first.name != second.name or first.limit != second.limit or first.order != second.order:
            later = second if second.limit is not None else first
            raise ConfigError(
                f"{name}.{first.field} and {name}.{second.field} are both read from "
                f"{first.key!r}, and show different rows.",
                hint=f"Give {later.field} a name of its own that comes first: "
                f'Field(validation_alias=AliasChoices("{later.field}", "{later.name}")).',
                fields=[first.field, second.field],
            )
    for cut in shape.cuts:
        for edge in shape.relations:
            if edge.key in cut.names:
                raise ConfigError(
                    f"{name}.{cut.field} and {name}.{edge.field} are both read from "
                    f"{edge.key!r}, and only one has a depth.",
                    hint="Give both the same Depth, or each an alias of its own.",
                    fields=[cut.field, edge.field],
                )


def _relation(
    model: type[SQLModel],
    name: str,
    field_name: str,
    response: type[BaseModel],
    path: _Path,
) -> Edge | Cut:
    """Follow a relation, unless its depth has been reached."""
    field = response.model_fields[field_name]
    many = bool(relations_of(model)[name].uselist)
    nested = _nested(model, name, field_name, response)
    limit, depth = _limit_and_depth(response, field_name, many=many)
    names = _input_names(field_name, response)
    if depth is not None:
        if field.is_required():
            raise ConfigError(
                f"{response.__name__}.{field_name} has a depth and needs a default, "
                "which is shown below it.",
                hint=f"Write `= {'[]' if many else 'None'}`.",
                fields=[field_name],
            )
        if sum(step.response is response for step in path) >= depth.levels:
            constant = _constant(response, field, many=many)
            return Cut(name, field_name, names[0], frozenset(names), constant)
    child = relations_of(model)[name].mapper.class_
    order = _order(child, limit, f"{response.__name__}.{field_name}")
    shape = _shape(child, nested, (*path, _Step(response, depth is not None)))
    return Edge(name, many, shape, field_name, names[0], limit.number if limit else None, order)


def _nested(
    model: type[SQLModel], name: str, field_name: str, response: type[BaseModel]
) -> type[BaseModel]:
    """Return the response model that shows the rows of a relation."""
    annotation = response.model_fields[field_name].annotation
    nested = list(nested_models(annotation))
    many = bool(relations_of(model)[name].uselist)
    if len(nested) != 1:
        raise ConfigError(
            f"{response.__name__}.{field_name} shows the relation {model.__name__}.{name} "
            f"by {len(nested)} models.",
            hint="Annotate it with one response model, or a list of one.",
        )
    if many != _is_collection(annotation):
        right = f"list[{nested[0].__name__}]" if many else nested[0].__name__
        raise ConfigError(
            f"{response.__name__}.{field_name} does not fit the relation {model.__name__}.{name}.",
            hint=f"Annotate it with {right}.",
        )
    return nested[0]


def _limit_and_depth(
    response: type[BaseModel], field_name: str, *, many: bool
) -> tuple[Limit | None, Depth | None]:
    marks = list(_marks(response.model_fields[field_name]))
    limits = [mark for mark in marks if isinstance(mark, Limit)]
    depths = [mark for mark in marks if isinstance(mark, Depth)]
    name = f"{response.__name__}.{field_name}"
    if len(limits) > 1 or len(depths) > 1:
        raise ConfigError(
            f"{name} has more than one Limit or Depth.", hint="Keep one.", fields=[field_name]
        )
    if limits and not many:
        raise ConfigError(
            f"{name} has a Limit and is no collection.", hint="Remove it.", fields=[field_name]
        )
    return next(iter(limits), None), next(iter(depths), None)


def _order(child: type[SQLModel], limit: Limit | None, field: str) -> tuple[str, ...]:
    """Return the checked sort of a limited collection."""
    sort = limit.sort if limit else None
    try:
        return sort_fields(child, sort if sort is None or isinstance(sort, str) else tuple(sort))
    except SortError as error:
        raise ConfigError(f"{field}: {error.message}", hint=error.hint, fields=[field]) from error


def _constant(response: type[BaseModel], field: FieldInfo, *, many: bool) -> str | None:
    """Return the source of a default that validation would not change: see `Cut`."""
    decorators = response.__pydantic_decorators__
    if decorators.validators or decorators.field_validators or plain_metadata(field):
        return None
    if many:
        empty = field.default_factory is list or (type(field.default) is list and not field.default)
        return "[]" if empty and get_origin(field.annotation) is list else None
    optional = without_none(field.annotation) is not field.annotation
    return "None" if optional and field.default is None and not field.default_factory else None


def plain_metadata(field: FieldInfo) -> list[Any]:
    """Return what a field's annotation says to Pydantic: not to us, and not to SQLModel."""
    ours = (Limit, Depth, FieldInfoMetadata)
    return [item for item in field.metadata if not isinstance(item, ours)]


def _marks(field: FieldInfo) -> Iterator[Limit | Depth]:
    """Yield what the annotation of a field says to us, wherever in it."""
    annotations = [*field.metadata, field.annotation]
    while annotations:
        annotation = annotations.pop()
        if isinstance(annotation, (Limit, Depth)):
            yield annotation
        elif get_origin(annotation) is Annotated:
            annotations += [annotation.__origin__, *annotation.__metadata__]
        else:
            annotations += get_args(annotation)


def _is_collection(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        return any(_is_collection(argument) for argument in get_args(annotation))
    return origin is not None


def _source(field_name: str, response: type[BaseModel], model: type[SQLModel]) -> str | None:
    """Return the attribute that Pydantic reads the field from, None when the table has none."""
    for name in _input_names(field_name, response):
        if hasattr(model, name) or name in model.model_fields:
            return name
    return None


def _input_names(field_name: str, response: type[BaseModel]) -> tuple[str, ...]:
    """Return the names under which Pydantic looks for a field, in its order."""
    config = response.model_config
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    aliases = _aliases(response.model_fields[field_name])
    if not config.get("validate_by_alias", True):
        return (field_name,)
    return aliases if aliases and not by_name else (*aliases, field_name)


def has_path(field: FieldInfo) -> bool:
    """Tell whether Pydantic looks for a field inside of another value."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return any(isinstance(choice, AliasPath) for choice in choices)


def _aliases(field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return tuple(
        str(choice.path[0]) if isinstance(choice, AliasPath) else choice
        for choice in choices
        if choice is not None
    )


def nested_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models inside an annotation such as `list[TeamPublic] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from nested_models(get_args(annotation)[0])
    elif origin in (Union, UnionType) or origin is not None:
        for argument in get_args(annotation):
            yield from nested_models(argument)
