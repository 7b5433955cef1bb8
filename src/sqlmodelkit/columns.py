"""What a column can hold: its Python type, its bounds, and whether a value fits. Ring 1.

Start at `check`. Engines differ in what they refuse (SQLite takes text of any length, MariaDB
takes NUL in text), so values are checked here, alike for all of them, before they are sent.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar, cast, get_args
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import (
    BigInteger,
    Column,
    Enum,
    Float,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Time,
    TypeDecorator,
    inspect,
)
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from .errors import ConfigError, InvalidValue

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN = (int, str, UUID)
MAX_JSON_DEPTH = 100
"""How deep JSON may be nested, as in MySQL; MariaDB itself refuses more than 31 levels."""
_MOST_PLACES = 400
"""How many places a number may have; MariaDB cannot read 1e-99999, nor PostgreSQL 0e99999."""


def cached(function: F) -> F:
    """Keep the latest answers of a function of models; its type stays what it is."""
    return cast("F", lru_cache(maxsize=2048)(function))


def mapper_of(model: type[SQLModel]) -> Mapper[Any]:
    """Return the mapper of a table model.

    Raises:
        ConfigError: The class is not a table.
    """
    mapper: Mapper[Any] | None = inspect(model, raiseerr=False)
    if mapper is None:
        raise ConfigError(f"{model.__name__} is not a table.", hint="Declare it with table=True.")
    return mapper


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a table model, worked out once."""

    columns: Mapping[str, Column[Any]]
    relations: Mapping[str, RelationshipProperty[Any]]
    key: tuple[str, ...]
    adapters: dict[str, TypeAdapter[Any]]
    tests: Mapping[str, Callable[[Any], bool]]


@cached
def _facts(model: type[SQLModel]) -> _Facts:
    mapper = mapper_of(model)
    columns = {
        attribute.key: attribute.columns[0]
        for attribute in mapper.column_attrs
        if isinstance(attribute.columns[0], Column)
    }
    relations = {relation.key: relation for relation in mapper.relationships}
    key = tuple(mapper.get_property_by_column(part).key for part in mapper.primary_key)
    tests = {name: _test(column) for name, column in columns.items()}
    return _Facts(MappingProxyType(columns), MappingProxyType(relations), key, {}, tests)


def columns_of(model: type[SQLModel]) -> Mapping[str, Column[Any]]:
    """Return the columns of a table model by the names of its attributes."""
    return _facts(model).columns


def in_table_order(model: type[SQLModel], names: Iterable[str]) -> list[str]:
    """Return attributes of a table in the order to select them by, each once.

    Where they are all of the table's columns, they come in its own order: PostgreSQL then passes
    its rows on as they are stored, which halves what sorting them costs.
    """
    chosen = dict.fromkeys(names)
    columns = columns_of(model)
    places = {column: number for number, column in enumerate(mapper_of(model).local_table.c)}
    if len(chosen) < len(places) or not all(columns[name] in places for name in chosen):
        return list(chosen)
    return sorted(chosen, key=lambda name: places[columns[name]])


def relations_of(model: type[SQLModel]) -> Mapping[str, RelationshipProperty[Any]]:
    """Return the relations of a table model by the names of its attributes."""
    return _facts(model).relations


def key_of(model: type[SQLModel]) -> tuple[str, ...]:
    """Return the attribute names of the primary key, in the key's order."""
    return _facts(model).key


def row_key(model: type[SQLModel]) -> Callable[[SQLModel], Any]:
    """Return a function from a row to its key: the value, or a tuple of them."""
    return attrgetter(*key_of(model))


def key_values(model: type[SQLModel], key: Any) -> dict[str, Any]:
    """Return a key as values by attribute; a composite key is a tuple or a mapping.

    Raises:
        ConfigError: The key has another number of parts than the table's.
    """
    names = key_of(model)
    if isinstance(key, _PLAIN) and len(names) == 1:
        return {names[0]: key}
    if isinstance(key, Mapping) and set(key) == set(names):
        return {name: key[name] for name in names}
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) != len(names):
        raise ConfigError(
            f"The key of {model.__name__} has {len(names)} parts, {len(parts)} were given.",
            hint=f"Pass ({', '.join(names)}).",
        )
    return dict(zip(names, parts, strict=True))


def value_type(model: type[SQLModel], name: str) -> Any:
    """Return the Python type of an attribute's values, without None."""
    field = model.model_fields.get(name)
    if field is None or field.annotation is None:
        return columns_of(model)[name].type.python_type
    return without_none(field.annotation)


def without_none(annotation: Any) -> Any:
    """Return the annotation of a value that may be None as that of one that is not."""
    arguments = get_args(annotation)
    if type(None) not in arguments:
        return annotation
    rest = [argument for argument in arguments if argument is not type(None)]
    return rest[0] if len(rest) == 1 else annotation


def typed(model: type[SQLModel], name: str, value: Any) -> Any:
    """Return a value in the type of an attribute, as Pydantic reads it.

    Raises:
        ValidationError: The value cannot be read as that type.
    """
    adapters = _facts(model).adapters
    adapter = adapters.get(name)
    if adapter is None:
        adapter = adapters[name] = TypeAdapter(value_type(model, name))
    return adapter.validate_python(value)


def is_typed(model: type[SQLModel], name: str, value: Any) -> bool:
    """Tell of a number, a text or a UUID at once that it is of an attribute's type, and fits.

    False says only that it takes a closer look.
    """
    of = type(value)
    return of in _PLAIN and of is _type(model, name) and _facts(model).tests[name](value)


@cached
def _type(model: type[SQLModel], name: str) -> Any:
    return value_type(model, name)


def bounds(column: Column[Any]) -> tuple[int, int] | None:
    """Return the least and the greatest number of an integer column, None for other columns."""
    if isinstance(column.type, SmallInteger):
        bits = 15
    elif isinstance(column.type, BigInteger):
        bits = 63
    elif isinstance(column.type, Integer):
        bits = 31
    else:
        return None
    return -(2**bits), 2**bits - 1


def incomparable(column: Column[Any], value: Any) -> str | None:
    """Say why a value cannot even be compared with a column, or None when it can."""
    match value:
        case bool():
            return None
        case int() | float() | Decimal():
            return _unfit_number(column, value)
        case str():
            return unwritable(value)
        case datetime():
            return _no_instant(value) if isinstance(column.type, UTCDateTime) else None
        case time() if value.tzinfo is not None:
            has_offset = isinstance(column.type, Time) and column.type.timezone
            return None if has_offset else "a time of day has no offset here"
        case dict() | list():
            return unwritable_inside(value)
    return None


def _unfit_number(column: Column[Any], value: float | Decimal) -> str | None:
    if isinstance(value, int):
        limits = bounds(column)
        if limits and not limits[0] <= value <= limits[1]:
            return f"it must be between {limits[0]} and {limits[1]}"
    elif not isfinite(value):
        return "it must be a finite number"
    elif isinstance(value, Decimal) and abs(value.adjusted()) > _MOST_PLACES:
        return f"it has more than {_MOST_PLACES} places"
    return None


def unwritable(text: str) -> str | None:
    """Say why a text can be neither stored nor looked for, or None when it can."""
    if "\x00" in text:
        return "text cannot have the character NUL"
    if not text.isascii() and any("\ud800" <= part <= "\udfff" for part in text):
        return "text cannot have a lone surrogate"
    return None


def unwritable_inside(value: Any) -> str | None:
    """Say why JSON cannot be stored, or None: one row of it would break readers of the column."""
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        reason = None
        match part:
            case dict() | list() | tuple() if depth > MAX_JSON_DEPTH:
                reason = f"it is nested more than {MAX_JSON_DEPTH} deep"
            case dict():
                waiting += [(one, depth + 1) for pair in part.items() for one in pair]
            case list() | tuple():
                waiting += [(one, depth + 1) for one in part]
            case str():
                reason = unwritable(part)
            case float():
                reason = None if isfinite(part) else "a number inside it must be finite"
        if reason is not None:
            return reason
    return None


def _no_instant(value: datetime) -> str | None:
    if value.utcoffset() is None:
        return "the time needs its offset from UTC, as in 2026-01-31T12:00:00Z"
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "in UTC it must be between the years 1 and 9999"
    return None


def misfit(column: Column[Any], value: Any) -> str | None:
    """Say why a value cannot be stored in a column, or None when it can."""
    if value is None:
        return None if column.nullable else "it must not be null"
    reason = incomparable(column, value)
    if reason is not None:
        return reason
    if isinstance(value, str):
        kind = text_type(column)
        if kind is not None and kind.length is not None and len(value) > kind.length:
            return f"it must have at most {kind.length} characters"
    if isinstance(value, Decimal) and isinstance(column.type, Numeric):
        return _decimal_misfit(column.type, value)
    return None


def _test(column: Column[Any]) -> Callable[[Any], bool]:
    """Return a quick test, which is passed by most values that fit and by no other."""
    least, most = bounds(column) or (None, None)
    kind = text_type(column)
    longest = None if kind is None else kind.length
    is_nullable = bool(column.nullable)

    def fits(value: Any) -> bool:
        of = type(value)
        if of is str:
            fine = value.isascii() and "\x00" not in value
            return fine and (longest is None or len(value) <= longest)
        if of is int:
            return least is None or most is None or least <= value <= most
        return is_nullable if value is None else of is bool or of is UUID

    return fits


def _decimal_misfit(kind: Numeric[Any], value: Decimal) -> str | None:
    if kind.precision is None:
        return None
    whole = kind.precision - (kind.scale or 0)
    # Places beyond the scale are rounded by every database, and may carry into a digit more.
    rounded = round(value, kind.scale or 0)
    if abs(rounded) >= 10**whole:
        return f"it must have at most {whole} digits before the point"
    return None


def unrounded(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type in which a value is compared with those of a type.

    As a decimal of so many places PostgreSQL would round what is compared, or refuse it.
    """
    if isinstance(kind, Numeric) and not isinstance(kind, Float):
        return Numeric(asdecimal=True) if kind.asdecimal else Numeric(asdecimal=False)
    return kind


def plain_type(kind: Any) -> Any:
    """Return the type that a decorated one is stored as."""
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def text_type(column: Column[Any]) -> String | None:
    """Return the type of a text column; None for other columns, enums among them."""
    plain = plain_type(column.type)
    return plain if isinstance(plain, String) and not isinstance(plain, Enum) else None


def check(model: type[SQLModel], values: Mapping[str, Any]) -> None:
    """Refuse values that their columns cannot hold.

    Args:
        model: The table model.
        values: Values by attribute.

    Raises:
        ConfigError: A name is not a column of the table.
        InvalidValue: A value does not fit; the error names the field.
    """
    facts = _facts(model)
    for name, value in values.items():
        fits = facts.tests.get(name)
        if fits is None:
            raise ConfigError(
                f"{model.__name__} has no column for {name!r}.",
                hint="Rename the field, or turn it into columns in create_values/update_values.",
            )
        reason = None if fits(value) else misfit(facts.columns[name], value)
        if reason is not None:
            raise InvalidValue(
                f"{name} does not fit its column: {reason}.", fields=[name], model=model.__name__
            )


_SCALARS = (str, bytes, int, float, Decimal, datetime, date, time, timedelta, UUID, enum.Enum)


@cached
def flat_fields(schema: type[BaseModel]) -> tuple[str, ...] | None:
    """Return the fields of an input model whose attributes are what it dumps; None for others."""
    decorators = schema.__pydantic_decorators__
    is_flat = (
        not decorators.field_serializers
        and not decorators.model_serializers
        and not decorators.computed_fields
        and schema.model_config.get("extra") != "allow"
        and not schema.model_config.get("serialize_by_alias")
        and not hasattr(schema, "__table__")
        and schema.model_dump in (BaseModel.model_dump, SQLModel.model_dump)
    ) and all(
        isinstance(kind := without_none(field.annotation), type)
        and issubclass(kind, _SCALARS)
        and field.default_factory is None
        and not field.exclude
        and not any(hasattr(part, "return_type") for part in field.metadata)
        for field in schema.model_fields.values()
    )
    return tuple(schema.model_fields) if is_flat else None
