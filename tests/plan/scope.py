"""What generated classes may name: types, and the code that validators and serializers run.

Generated source is executed with this module's names; each schema gets a copy of them.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum as PlainEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Optional
from uuid import UUID

import pydantic
import sqlmodel
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WrapSerializer,
    WrapValidator,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Double,
    Enum,
    ForeignKeyConstraint,
    MetaData,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry

from sqlmodelkit import SoftDelete
from sqlmodelkit.models import NAMING_CONVENTION
from tests.plan.values import Backwards, Colour, Odd, Size, Tone, by_value

__all__ = [
    "JSON", "NAMING_CONVENTION", "UUID", "AfterValidator", "AliasChoices", "AliasPath", "Annotated",
    "Any", "Backwards", "BaseModel", "BeforeValidator", "BigInteger", "Binary", "Colour",
    "ConfigDict", "DateTime", "Decimal", "Double", "Enum", "ForeignKeyConstraint", "IPv4Address",
    "MetaData", "Odd", "Optional", "PlainSerializer", "Sequence", "Size", "SmallInteger",
    "SoftDelete", "Text", "Tone", "WrapSerializer", "WrapValidator", "altered", "by_kind",
    "by_value", "date", "datetime", "empty", "encased", "field_serializer", "field_validator",
    "first_three", "model_serializer", "model_validator", "pydantic", "registry", "sqlmodel",
    "time", "timedelta", "to_camel", "told", "wrapped",
]  # fmt: skip

Binary = JSON().with_variant(JSONB(), "postgresql")


def altered(value: Any) -> Any:
    """Change a value, whatever it is, to one of its type."""
    match value:
        case bool():
            return not value
        case PlainEnum() | BaseModel():
            return value
        case int():
            return value + 1
        case str():
            return value + "!"
        case list():
            return value[::-1]
    return value


def wrapped(value: Any, handler: Any) -> Any:
    """Change what a field's own validation answers."""
    return altered(handler(value))


def told(value: Any) -> str:
    """Show a value so that its type can be told too."""
    if isinstance(value, list):
        return "list"  # SQLAlchemy's own kind of list, where no validation has made another
    many = isinstance(value, (BaseModel, dict, tuple))
    return type(value).__name__ if many else repr(value)


def encased(value: Any, handler: Any) -> Any:
    """Print a value inside something."""
    return {"in": handler(value)}


def empty(value: Any) -> bool:
    """Tell whether a value is left out."""
    return not value


def first_three(value: Any) -> Any:
    """Shorten a collection before its rows are looked at."""
    return list(value)[:3]


def by_kind(value: Any) -> Any:
    """Take a row only as FastAPI gives it: an object with attributes."""
    if isinstance(value, list):
        return [each for each in value if hasattr(each, "__table__")]
    return None if isinstance(value, dict) else value
