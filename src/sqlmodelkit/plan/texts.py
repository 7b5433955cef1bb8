"""How each database prints one value as JSON, so that the text is Pydantic's.

Whatever a database cannot print exactly comes out as NULL, which spreads to the whole answer: the
response is then read another way. So no stored value, however odd, is printed differently.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Numeric,
    Select,
    String,
    Text,
    Time,
    Uuid,
    case,
    cast,
    func,
    literal_column,
    type_coerce,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

SQL = ColumnElement[Any]
Part = str | SQL
"""A piece of a text: as it is, or by an expression."""

_OURS = ("sqlalchemy.sql.sqltypes", "sqlmodel.sql.sqltypes")
_MOST_PLACES = 6
"""Decimals with more places are printed with an exponent when they are small."""


def json_text(value: Any) -> str:
    """Return a value as Pydantic prints it."""
    return to_json(value).decode()


class Texts(ABC):
    """What differs between databases when a row is printed.

    Attributes:
        oldest: The first version that can do it.
    """

    oldest: tuple[int, ...] = ()
    _unprinted: tuple[type[Any], ...] = ()
    _uuid_is_text = True

    def obstacle(self, kind: TypeEngine[Any]) -> str | None:
        """Say why the values of a column cannot be printed here, None when they can."""
        # No public name tells whether a type is another one on some database.
        if getattr(kind, "_variant_mapping", None):
            return "has a type that depends on the database"
        way = _way(kind)
        if way is None or type(kind).__module__ not in _OURS or way.python in self._unprinted:
            return f"is stored as {type(kind).__name__}, which {{dialect}} does not print exactly"
        if isinstance(kind, Uuid) and not kind.native_uuid and not self._uuid_is_text:
            return "is a UUID that is stored as text"
        if isinstance(kind, EnumType):
            return _enum_obstacle(kind)
        if isinstance(kind, Numeric):
            places = None if kind.precision is None else kind.scale
            if places is None or places > _MOST_PLACES:
                return f"is a Decimal without a fixed scale of at most {_MOST_PLACES}"
        return None

    def parts(self, kind: TypeEngine[Any], value: SQL, *, nullable: bool) -> list[Part]:
        """Return the JSON of a column's value, piece by piece."""
        way = _way(kind)
        if way is None:
            raise TypeError(f"{type(kind).__name__} has an obstacle.")
        parts: list[Part] = [way.before, way.text(self, kind, value), way.after]
        if not nullable:
            return parts
        return [case((value.is_(None), self.literal("null")), else_=self.text(parts))]

    _characters: TypeEngine[Any] = Text()

    def decimal(self, value: SQL) -> SQL:
        """Print a number with all its places."""
        return cast(value, self._characters)

    def text(self, parts: Sequence[Part]) -> SQL:
        """Join pieces to one text."""
        merged: list[Part] = []
        for part in parts:
            last = merged[-1] if merged else None
            if isinstance(part, str) and isinstance(last, str):
                merged[-1] = last + part
            elif part != "" if isinstance(part, str) else True:
                merged.append(part)
        return self._join([self.literal(p) if isinstance(p, str) else p for p in merged])

    def _join(self, texts: Sequence[SQL]) -> SQL:
        # A tree that is as flat as can be: compilers recurse.
        if len(texts) == 1:
            return texts[0]
        middle = len(texts) // 2
        return self._join(texts[:middle]).concat(self._join(texts[middle:]))

    def literal(self, text: str) -> SQL:
        """Return a constant that needs no parameter and that no driver takes for a placeholder."""
        return literal_column(self._literal(text), String)

    @abstractmethod
    def _literal(self, text: str) -> str: ...

    def enum(self, kind: EnumType, value: SQL) -> SQL:
        """Print the value of a member that is stored by name."""
        members = zip(kind.enums, _members(kind), strict=True)
        texts = {self.literal(name): self.literal(json_text(member)) for name, member in members}
        return case(texts, value=value)

    def boolean(self, value: SQL) -> SQL:
        """Print true or false, for a database without such a type."""
        whens: dict[SQL, SQL] = {
            literal_column("1"): self.literal("true"),
            literal_column("0"): self.literal("false"),
        }
        return case(whens, value=type_coerce(value, Integer))

    @abstractmethod
    def quoted(self, value: SQL) -> SQL:
        """Print a text, with quotes and escapes."""

    @abstractmethod
    def integer(self, value: SQL) -> SQL:
        """Print a whole number."""

    def number(self, value: SQL) -> SQL:
        """Print a float."""
        raise NotImplementedError

    @abstractmethod
    def uuid(self, value: SQL) -> SQL:
        """Print a UUID, without quotes like all that follow."""

    @abstractmethod
    def date(self, value: SQL) -> SQL:
        """Print a date."""

    @abstractmethod
    def naive(self, value: SQL) -> SQL:
        """Print a moment without a zone."""

    def utc(self, value: SQL) -> SQL:
        """Print a moment of a column that is aware, in UTC, without its Z."""
        return self.naive(value)

    def time(self, value: SQL) -> SQL:
        """Print a time of the day."""
        raise NotImplementedError


class GatheringTexts(Texts):
    """A database that puts rows together, in their order, without cutting them off."""

    def all(self, items: SQL) -> SQL:
        """Put the texts of all rows together, with commas; NULL when one of them is."""
        complete = func.count() == func.count(items)
        return case((complete, func.coalesce(self._joined(items), self.literal(""))))

    @abstractmethod
    def _joined(self, items: SQL) -> SQL: ...

    @abstractmethod
    def fence(self, statement: Select[Any]) -> Select[Any]:
        """Keep a subquery as it is: merged with the query around it, it would be run twice."""


def _members(kind: EnumType) -> list[Any]:
    return list(kind.enum_class or kind.enums)


def _enum_obstacle(kind: EnumType) -> str | None:
    members = _members(kind)
    if len(members) != len(kind.enums):
        return "is an Enum stored with names of its own"
    try:
        for member in members:
            json_text(member)
    except PydanticSerializationError:
        return "is an Enum whose values are not JSON"
    return None


@dataclass(frozen=True, slots=True)
class _Way:
    """How values of a Python type are printed: by which method, and between which quotes."""

    python: type[Any]
    text: Callable[[Texts, Any, SQL], SQL]
    before: str = '"'
    after: str = '"'


_WAYS: tuple[tuple[type[TypeEngine[Any]], _Way], ...] = (
    (UTCDateTime, _Way(datetime, lambda texts, _, value: texts.utc(value), after='Z"')),
    (EnumType, _Way(Enum, lambda texts, kind, value: texts.enum(kind, value), "", "")),
    (AutoString, _Way(str, lambda texts, _, value: texts.quoted(value), "", "")),
    (String, _Way(str, lambda texts, _, value: texts.quoted(value), "", "")),
    (Boolean, _Way(bool, lambda texts, _, value: texts.boolean(value), "", "")),
    (Integer, _Way(int, lambda texts, _, value: texts.integer(value), "", "")),
    (Uuid, _Way(UUID, lambda texts, _, value: texts.uuid(value))),
    (Date, _Way(date, lambda texts, _, value: texts.date(value))),
    (DateTime, _Way(datetime, lambda texts, _, value: texts.naive(value))),
    (Time, _Way(time, lambda texts, _, value: texts.time(value))),
    (Numeric, _Way(Decimal, lambda texts, _, value: texts.decimal(value))),
    (Float, _Way(float, lambda texts, _, value: texts.number(value), "", "")),
)


def _way(kind: TypeEngine[Any]) -> _Way | None:
    if isinstance(kind, (DateTime, Time)) and kind.timezone:
        return None
    if isinstance(kind, (Numeric, Float)) and kind.asdecimal != isinstance(kind, Numeric):
        return None
    return next((way for known, way in _WAYS if isinstance(kind, known)), None)
