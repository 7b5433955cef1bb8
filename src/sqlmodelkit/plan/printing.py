"""Whether a response can be printed as it comes from the database, and the printer for it.

What the database has given needs no validation when nothing in the response model could change
it: same types as the columns, no validators, no serializers of one's own. Then Pydantic's own
serializer prints the plain dictionaries: the same text, without making the models.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import GenericAlias
from typing import Annotated, Any, cast, get_args
from uuid import UUID

import annotated_types
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo
from sqlalchemy import JSON, Column, TypeDecorator
from sqlmodel import SQLModel
from sqlmodel.main import FieldInfoMetadata
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime
from typing_extensions import TypedDict

from sqlmodelkit.columns import columns_of, relations_of, value_type, without_none
from sqlmodelkit.models import SoftDelete

from .shape import Edge, Shape, Shown, has_path, plain_metadata

_PLAIN = (str, int, bool, float, Decimal, UUID, datetime, date, time, timedelta, bytes)
_DOCUMENTS = (dict, dict[str, Any], list, list[Any], Any)
_PRINTING = {
    "ser_json_timedelta": "iso8601", "ser_json_temporal": "iso8601", "ser_json_bytes": "utf8",
    "ser_json_inf_nan": "null",
}  # fmt: skip
_HARMLESS = {
    *_PRINTING, "alias_generator", "arbitrary_types_allowed", "extra", "from_attributes", "frozen",
    "json_schema_extra", "populate_by_name", "protected_namespaces", "read_from_attributes",
    "read_with_orm_mode", "registry", "serialize_by_alias", "table", "title",
    "use_attribute_docstrings", "validate_by_alias", "validate_by_name",
}  # fmt: skip
_CHECKS = {"allow_inf_nan", "decimal_places", "max_digits", "pattern", "strict"}


def printer_of(shape: Shape) -> TypeAdapter[Any] | None:
    """Return the printer of a list of such responses; None when `obstacles` finds any."""
    if next(obstacles(shape), None) is not None:
        return None
    return TypeAdapter(cast("Any", GenericAlias(list, _printed(shape))))


def obstacles(shape: Shape) -> Iterator[str]:
    """Yield what keeps a response from being printed without making the models first."""
    response = shape.response
    yield from _model_obstacles(response)
    yield from _unread(shape)
    for shown in shape.fields:
        reason = _field_obstacle(shape.model, shown, response.model_fields[shown.field])
        if reason:
            yield f"{response.__name__}.{shown.field} {reason}"
    for edge in shape.relations:
        if not _edge_fits(shape.model, edge, response.model_fields[edge.field]):
            yield f"{response.__name__}.{edge.field} may be missing or is no plain list"
        yield from obstacles(edge.shape)


def _unread(shape: Shape) -> Iterator[str]:
    """Yield fields that have no place of their own in what is read."""
    response = shape.response
    read = {shown.field for shown in shape.fields} | {edge.field for edge in shape.relations}
    for cut in shape.cuts:
        read.add(cut.field)
        if cut.constant is None:
            yield f"{response.__name__}.{cut.field} has a default of its own below its depth"
    for name, field in response.model_fields.items():
        if getattr(field, "exclude_if", None) is not None:
            yield f"{response.__name__}.{name} is left out by code of the model"
        if name not in read:
            yield f"{response.__name__}.{name} is not a column or relation"
    if len(shape.keys) < len(shape.fields) + len(shape.relations):
        yield f"{response.__name__} shows something twice"


def _model_obstacles(response: type[BaseModel]) -> Iterator[str]:
    name, decorators = response.__name__, response.__pydantic_decorators__
    for kind in (
        "validators", "field_validators", "root_validators", "model_validators",
        "field_serializers", "model_serializers", "computed_fields",
    ):  # fmt: skip
        for method in getattr(decorators, kind):
            yield f"{name}.{method} is code of the model"
    for base in response.__mro__:
        if base in (BaseModel, SQLModel):
            continue
        for hook in ("__get_pydantic_core_schema__", "model_post_init"):
            if hook in vars(base) and base.__module__ != "pydantic.main":
                yield f"{name}.{hook} is code of the model"
    config = response.model_config
    unknown = sorted(set(config) - _HARMLESS)
    # The serializer of a typed dictionary does not heed its configuration.
    unknown += [key for key, usual in _PRINTING.items() if config.get(key, usual) != usual]
    if unknown or response.model_config.get("extra") == "allow":
        yield f"{name} is configured with {', '.join(unknown) or 'extra=allow'}"
    if response.__pydantic_root_model__:
        yield f"{name} is a root model"


def _field_obstacle(model: type[SQLModel], shown: Shown, field: FieldInfo) -> str | None:
    if has_path(field):
        return "is found by a path of aliases"
    column, kind = columns_of(model)[shown.attribute], value_type(model, shown.attribute)
    if without_none(field.annotation) != kind:
        return f"has another type than {model.__name__}.{shown.attribute}"
    if column.nullable and not _optional(field.annotation):
        return "may be NULL"
    if isinstance(column.type, JSON):
        plain = any(kind is known or kind == known for known in _DOCUMENTS)
    else:
        plain = (
            isinstance(kind, type)
            and (kind in _PLAIN or issubclass(kind, Enum))
            and _type_of(column) is kind
        )
    if not plain:
        return "has a type of its own"
    if not all(_only_checks(item) for item in field.metadata):
        return "is changed by its annotation"
    # What the table model's own field asks for holds for what is stored; more has to be looked at.
    asked = [None, *(_asked(item) for item in _metadata(model, shown.attribute))]
    if any(_asked(item) not in asked for item in field.metadata):
        return f"is checked by more than {model.__name__}.{shown.attribute}"
    return None


def _metadata(model: type[SQLModel], name: str) -> list[Any]:
    field = model.model_fields.get(name)
    return [] if field is None else field.metadata


def _asked(item: Any) -> Any:
    """Return what two pieces of annotations have in common that ask for the same."""
    if isinstance(item, FieldInfoMetadata):
        return None  # says how a column is made
    return vars(item) if hasattr(item, "__dict__") else item


def _type_of(column: Column[Any]) -> type[Any] | None:
    """Return what the column's values are, None for a type that may make anything of them."""
    if isinstance(column.type, AutoString):
        return str
    if isinstance(column.type, UTCDateTime):
        return datetime
    return None if isinstance(column.type, TypeDecorator) else column.type.python_type


def _only_checks(item: Any) -> bool:
    """Tell whether a piece of an annotation refuses values at most, and changes none."""
    if isinstance(item, (annotated_types.BaseMetadata, FieldInfoMetadata)):
        return True
    known = getattr(item, "__dict__", None)  # validators and serializers in annotations have none
    return (
        known is not None
        and type(item).__module__.startswith("pydantic.")
        and set(known) <= _CHECKS
    )


def _optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _edge_fits(model: type[SQLModel], edge: Edge, field: FieldInfo) -> bool:
    if edge.many:
        whole = field.annotation == list[edge.shape.response]  # type: ignore[name-defined]
        return whole and not plain_metadata(field)
    if plain_metadata(field) or without_none(field.annotation) is not edge.shape.response:
        return False
    local = relations_of(model)[edge.name].local_columns
    kept = not issubclass(edge.shape.model, SoftDelete)
    return _optional(field.annotation) or (kept and not any(part.nullable for part in local))


def _printed(shape: Shape) -> Any:
    """Return the typed dictionary whose text is the response's."""
    fields = shape.response.model_fields
    types: dict[str, Any] = {
        shown.key: _annotated(fields[shown.field], shown.field) for shown in shape.fields
    }
    for edge in shape.relations:
        inner = _printed(edge.shape)
        kind = GenericAlias(list, inner) if edge.many else inner | None
        types[edge.key] = _annotated(fields[edge.field], edge.field, kind)
    for cut in shape.cuts:
        kind = list[Any] if cut.constant == "[]" else None
        types[cut.key] = _annotated(fields[cut.field], cut.field, kind)
    keys = {shown.field: shown.key for shown in shape.fields}
    keys |= {edge.field: edge.key for edge in shape.relations}
    keys |= {cut.field: cut.key for cut in shape.cuts}
    ordered = {keys[name]: types[keys[name]] for name in fields}
    printed: Any = cast("Any", TypedDict)(shape.response.__name__, ordered)
    return printed


def _annotated(field: FieldInfo, name: str, kind: Any = None) -> Any:
    annotation = field.annotation if kind is None else kind
    alias = name if field.serialization_alias is None else field.serialization_alias
    return Annotated[annotation, Field(serialization_alias=alias, exclude=field.exclude)]
