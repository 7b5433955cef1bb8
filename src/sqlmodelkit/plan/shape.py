"""A response model laid over its table: which columns and relations it shows, and no more."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo
from sqlmodel import SQLModel

from sqlmodelkit.columns import columns_of, relations_of
from sqlmodelkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation that the response shows.

    Attributes:
        name: The relation's attribute on the table model.
        many: Whether it is a collection.
        shape: What of its rows is shown.
        field: The response model's field.
        key: The name under which Pydantic reads the field: its alias, or its own.
    """

    name: str
    many: bool
    shape: "Shape"
    field: str
    key: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A column that the response shows: attribute, response field, and the field's input name."""

    attribute: str
    field: str
    key: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a response model shows of a table.

    Attributes:
        model: The table model.
        response: The response model.
        fields: Columns that are shown.
        relations: Relations that are shown.
        opaque: Attributes whose columns cannot be told (properties): every column is read.
    """

    model: type[SQLModel]
    response: type[BaseModel]
    fields: tuple[Shown, ...]
    relations: tuple[Edge, ...]
    opaque: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the attributes of the columns that are shown."""
        return tuple(dict.fromkeys(shown.attribute for shown in self.fields))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the input names of columns and relations, in the order of the response's fields."""
        keys = {shown.field: shown.key for shown in self.fields}
        keys |= {edge.field: edge.key for edge in self.relations}
        return tuple(
            dict.fromkeys(keys[name] for name in self.response.model_fields if name in keys)
        )

    def edges(self) -> Iterator[Edge]:
        """Yield the relations at every depth."""
        for edge in self.relations:
            yield edge
            yield from edge.shape.edges()


def shape_of(model: type[SQLModel], response: type[BaseModel]) -> Shape:
    """Lay a response model over a table model.

    Raises:
        ConfigError: The response model is itself a table, loops, nests a table, or has a required
            field that the table has not. The error names the field or the cycle.
    """
    return _shape(model, response, ())


def _shape(
    model: type[SQLModel], response: type[BaseModel], path: tuple[type[BaseModel], ...]
) -> Shape:
    _refuse_table(response, path)
    if response in path:
        cycle = " -> ".join(step.__name__ for step in (*path[path.index(response) :], response))
        raise ConfigError(
            f"The response model loops: {cycle}.",
            hint="Give the inner one a model of its own, without the field that leads back.",
        )
    if not response.__pydantic_complete__ and not response.model_rebuild(raise_errors=False):
        raise ConfigError(
            f"{response.__name__} refers to a model that is not declared yet.",
            hint="Declare it before the service, or call model_rebuild() after it.",
        )
    columns, relations = columns_of(model), relations_of(model)
    shown: list[Shown] = []
    edges: list[Edge] = []
    opaque: list[str] = []
    for field_name, field in response.model_fields.items():
        for nested in nested_models(field.annotation):
            _refuse_table(nested, (*path, response))
        name = _source(field_name, field, model, response)
        if name is None:
            if field.is_required():
                raise ConfigError(
                    f"{response.__name__}.{field_name} has no counterpart on {model.__name__}.",
                    hint="Rename it, give it a default, or make it a property of the table model.",
                )
        elif name in columns:
            shown.append(Shown(name, field_name, _key(name, field_name, field)))
        elif name in relations:
            edges.append(_edge(model, name, field_name, response, path))
        else:
            opaque.append(name)
    return Shape(model, response, tuple(shown), tuple(edges), tuple(opaque))


def _refuse_table(response: type[BaseModel], path: tuple[type[BaseModel], ...]) -> None:
    if issubclass(response, SQLModel) and hasattr(response, "__table__"):
        inside = f" inside {path[-1].__name__}" if path else ""
        raise ConfigError(
            f"{response.__name__} is a table and cannot be a response model{inside}.",
            hint=f"Declare a {response.__name__}Public with the fields to show.",
        )


def _edge(
    model: type[SQLModel],
    name: str,
    field_name: str,
    response: type[BaseModel],
    path: tuple[type[BaseModel], ...],
) -> Edge:
    field = response.model_fields[field_name]
    nested = list(nested_models(field.annotation))
    relation = relations_of(model)[name]
    if len(nested) != 1:
        raise ConfigError(
            f"{response.__name__}.{field_name} shows the relation {model.__name__}.{name} "
            f"by {len(nested)} models.",
            hint="Annotate it with one response model, or a list of one.",
        )
    if bool(relation.uselist) != _is_collection(field.annotation):
        right = f"list[{nested[0].__name__}]" if relation.uselist else nested[0].__name__
        raise ConfigError(
            f"{response.__name__}.{field_name} does not fit the relation {model.__name__}.{name}.",
            hint=f"Annotate it with {right}.",
        )
    shape = _shape(relation.mapper.class_, nested[0], (*path, response))
    return Edge(name, bool(relation.uselist), shape, field_name, _key(name, field_name, field))


def _is_collection(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        return any(_is_collection(argument) for argument in get_args(annotation))
    return origin is not None


def _source(
    field_name: str, field: FieldInfo, model: type[SQLModel], response: type[BaseModel]
) -> str | None:
    """Return the attribute that Pydantic reads the field from, None when the table has none."""
    config = response.model_config
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    aliases = _aliases(field)
    names = list(aliases if config.get("validate_by_alias", True) else ())
    if by_name or not aliases:
        names.append(field_name)
    for name in names:
        if hasattr(model, name) or name in model.model_fields:
            return name
    return None


def _key(name: str, field_name: str, field: FieldInfo) -> str:
    """Return the name under which the value of attribute `name` is given to Pydantic."""
    aliases = _aliases(field)
    return name if name in aliases else next(iter(aliases), field_name)


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
