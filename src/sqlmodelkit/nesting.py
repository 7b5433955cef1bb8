"""Input models with lists of input models: a row and its children, created in one call. Ring 2.

Start at `values_of`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from sqlmodel import SQLModel

from .columns import (
    cached,
    check,
    columns_of,
    flat_fields,
    relations_of,
    unwritable_inside,
    without_none,
)
from .errors import InvalidValue


@cached
def nested(model: type[SQLModel], schema: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Return the fields of an input model that are lists of input models for a relation's rows."""
    relations, columns = relations_of(model), columns_of(model)
    found = {}
    for name, field in schema.model_fields.items():
        relation = relations.get(name)
        kind = without_none(field.annotation)
        inner = get_args(kind)[0] if get_origin(kind) is list else None
        if (
            relation is not None
            and name not in columns
            and relation.uselist
            and not relation.viewonly
            and isinstance(inner, type)
            and issubclass(inner, BaseModel)
            and not hasattr(inner, "__table__")
        ):
            found[name] = inner
    return found


def unknown_fields(
    model: type[SQLModel], schema: type[BaseModel], seen: tuple[type[BaseModel], ...] = ()
) -> list[str]:
    """Return the fields of an input model for which there is neither a column nor a relation."""
    inner = nested(model, schema)
    columns = columns_of(model)
    unknown = [name for name in schema.model_fields if name not in columns and name not in inner]
    for name, child in inner.items():
        if child not in seen:
            target = relations_of(model)[name].mapper.class_
            found = unknown_fields(target, child, (*seen, schema, child))
            unknown += [f"{name}.{field}" for field in found]
    return unknown


def values_of(model: type[SQLModel], data: BaseModel) -> dict[str, Any]:
    """Return what an input model says of a new row, by attribute, and of its children as lists.

    A field that was not given and defaults to None is left out; a None that was given is kept.
    """
    given = data.model_fields_set
    said = _attributes(data)
    if said is not None:
        return {name: v for name, v in said.items() if name in given or v is not None}
    inner = nested(model, type(data))
    values = dumped(data, exclude=set(inner)) if inner else dumped(data)
    found = {name: v for name, v in values.items() if name in given or v is not None}
    for name in inner:
        target = relations_of(model)[name].mapper.class_
        found[name] = [values_of(target, child) for child in getattr(data, name) or ()]
    return found


def set_values(data: BaseModel) -> dict[str, Any]:
    """Return what an input model says of a row that is there: the fields that were set."""
    said, given = _attributes(data), data.model_fields_set
    if said is None:
        return dumped(data, exclude_unset=True)
    return {name: value for name, value in said.items() if name in given}


def _attributes(data: BaseModel) -> dict[str, Any] | None:
    """Return the attributes of an input model where they are what it would dump, and no others.

    Pydantic's way takes several times as long for the few fields that a request has.
    """
    flat, said = flat_fields(type(data)), data.__dict__
    return None if flat is None else {name: said[name] for name in flat if name in said}


def dumped(data: BaseModel, **options: Any) -> dict[str, Any]:
    """Return what an input model says, by field.

    Raises:
        InvalidValue: A field has JSON that is nested too deeply for Pydantic, and for databases.
    """
    try:
        return data.model_dump(**options)
    except ValueError as error:
        for name, value in data:
            reason = unwritable_inside(value)
            if reason is not None:
                raise InvalidValue(f"{name} cannot be stored: {reason}.", fields=[name]) from error
        raise


def children(model: type[SQLModel], values: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the values that are children, by relation."""
    lists = {name: value for name, value in values.items() if isinstance(value, list)}
    return {name: lists[name] for name in relations_of(model) if name in lists} if lists else lists


def check_nested(model: type[SQLModel], values: Mapping[str, Any]) -> None:
    """Refuse values of a row or of its children that their columns cannot hold.

    Raises:
        ConfigError, InvalidValue: As `columns.check`.
    """
    inner = children(model, values)
    if inner:
        values = {name: value for name, value in values.items() if name not in inner}
    check(model, values)
    for name, rows in inner.items():
        for row in rows:
            check_nested(relations_of(model)[name].mapper.class_, row)


def made(model: type[SQLModel], values: Mapping[str, Any]) -> Iterator[SQLModel]:
    """Yield a new row, and then its children, which hang on it."""
    inner = children(model, values)
    row = model(**{name: value for name, value in values.items() if name not in inner})
    below: list[SQLModel] = []
    for name, rows in inner.items():
        made_rows = [list(made(relations_of(model)[name].mapper.class_, each)) for each in rows]
        setattr(row, name, [each[0] for each in made_rows])
        below += [part for each in made_rows for part in each]
    yield row
    yield from below
