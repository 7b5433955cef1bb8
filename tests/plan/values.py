"""What columns hold in generated tests: every kind of column, and values that are apt to go wrong.

Start at `KINDS`. Annotations and options are source text, which `schemas` puts into classes.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import Dialect, String, TypeDecorator


class Colour(Enum):
    """Values that are not the names, which is what is stored."""

    RED = "red"
    NIGHT = 'ni"ght\\'
    GREEN = "grün\u2028"


class Size(IntEnum):
    """Numbers."""

    SMALL = 1
    HUGE = 2**53 + 1
    BELOW = -1


class Tone(StrEnum):
    """Texts that are their own members."""

    LOW = "low"
    HIGH = "Hi gh"


class Odd(Enum):
    """Values that are neither text nor whole numbers."""

    HALF = 1.5
    NOTHING = None
    LARGE = 1e22


def by_value(members: type[Enum]) -> list[str]:
    """Return what an enum is stored by when it is not its names."""
    return [str(member.value) for member in members]


class Backwards(TypeDecorator[str]):
    """A type with code of its own: stored the other way round."""

    impl = String(30)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Turn the text round."""
        return None if value is None else value[::-1]

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Turn it back."""
        return None if value is None else value[::-1]


@dataclass(frozen=True)
class Kind:
    """A kind of column.

    Attributes:
        annotation: Its Python type, as source.
        options: Arguments of the table's `Field`, as source.
        values: Values that are apt to go wrong.
        more: Any other value.
        comparable: Whether tests may filter and sort by it.
    """

    annotation: str
    options: str = ""
    values: tuple[Any, ...] = ()
    more: st.SearchStrategy[Any] | None = None
    comparable: bool = True


def _aware(moments: Iterable[datetime]) -> tuple[datetime, ...]:
    return tuple(moment.replace(tzinfo=UTC) for moment in moments)


_INTS = (0, 1, -1, 10)
_TEXTS = (
    "", " ", "a", "Z", '"', "'", "\\", "\\n", "</script>", "\u2028\u2029", "\x01\x1f\x7f", "\t\r\n",
    "\x08\x0c", "😀", "\U0010ffff", "é", "e\u0301", "ß", "\ufeff", "\ufffe", "null", "%s :x ?", "/",
    "a" * 20, "\u0085", "\\u0041", "{}", "\u202e",
)  # fmt: skip
_MOMENTS = tuple(
    map(
        datetime.fromisoformat,
        (
            "0001-01-01", "9999-12-31T23:59:59.999999", "1970-01-01", "2026-01-31T12:00:00.120000",
            "2026-07-01T01:02:03.000001", "0999-12-31T23:59:59", "2000-02-29T00:00:00.500000",
            "1850-06-01T12:30",
        ),
    )
)  # fmt: skip
_FLOATS = (
    0.0, -0.0, 1.0, 0.1, 0.1 + 0.2, 1e15, 1e16, 1e22, 1.5e-7, 0.00001, 5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, -1e-5, 123456789.125, 1 / 3, 100000.0, math.nan, math.inf, -math.inf,
)  # fmt: skip
_DOCUMENTS: tuple[dict[str, Any], ...] = (
    {}, {"a": 1}, {"a": 1.0, "b": [None, True, "\u2028"]}, {"é": {"": []}}, {"n": 2**63, "m": 1e22},
    {"b": 1, "a": 2, "😀": "</script>\\"}, {"a": 0.1, "x": 1.5e-7, "y": -0.0, "z": 5e-324},
)  # fmt: skip
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_documents = st.dictionaries(_texts, st.none() | st.integers(-9, 9) | _texts, max_size=2)


def _enum(members: type[Enum], options: str = "") -> Kind:
    return Kind(members.__name__, options, tuple(members))


def _decimal(digits: int, places: int, *values: str) -> Kind:
    most = Decimal(10**digits - 1).scaleb(-places)
    told = (most, -most, Decimal(1).scaleb(-places), Decimal(0), *map(Decimal, values))
    more = st.integers(-(10**digits) + 1, 10**digits - 1)
    return Kind(
        "Decimal",
        f"max_digits={digits}, decimal_places={places}",
        told,
        more.map(lambda number: Decimal(number).scaleb(-places)),
    )


KINDS: dict[str, Kind] = {
    "whole": Kind("int", "", (*_INTS, -(2**31), 2**31 - 1), st.integers(-999, 999)),
    "big": Kind("int", "sa_type=BigInteger", (*_INTS, -(2**63), 2**63 - 1, 2**53 + 1)),
    "small": Kind("int", "sa_type=SmallInteger", (*_INTS, -(2**15), 2**15 - 1)),
    "text": Kind("str", "", _TEXTS, _texts),
    "short": Kind("str", "max_length=20", _TEXTS, _texts),
    "prose": Kind("str", "sa_type=Text", (*_TEXTS, "long " * 60), _texts, comparable=False),
    "backwards": Kind("str", "sa_type=Backwards", _TEXTS, comparable=False),
    "flag": Kind("bool", "", (True, False)),
    "single": Kind("float", "", _FLOATS, st.floats(width=32), comparable=False),
    "double": Kind("float", "sa_type=Double", _FLOATS, st.floats(), comparable=False),
    "money": _decimal(12, 2, "1.50", "0.10", "-3"),
    "fine": _decimal(15, 9, "1E-7", "1.5", "1000"),
    "round": _decimal(5, 0, "100"),
    "tiny": _decimal(8, 8, "0.1"),
    "loose": Kind(
        "Decimal", "", tuple(map(Decimal, ("0", "1", "-7", "1E+3", "1.50", "0.0000001", "NaN"))),
        comparable=False,
    ),
    "token": Kind("UUID", "", (UUID(int=0), UUID(int=2**128 - 1)), st.uuids(version=4)),
    "day": Kind("date", "", (date(1, 1, 1), date(9999, 12, 31), date(2000, 2, 29)), st.dates()),
    "moment": Kind("datetime", "", _aware(_MOMENTS), st.datetimes(timezones=st.just(UTC))),
    "naive": Kind("datetime", "sa_type=DateTime", _MOMENTS, st.datetimes()),
    "hour": Kind("time", "", (time(), time(23, 59, 59, 999999), time(12, 30), time(1, 2, 3, 100))),
    "span": Kind(
        "timedelta", "",
        tuple(timedelta(*parts) for parts in ((0,), (1,), (-1,), (0, 1, 1), (0, 90), (400, 5, 10))),
        comparable=False,
    ),
    "blob": Kind("bytes", "", (b"", b"abc", "é\u2028".encode(), b"\xff\xfe", b'"\\')),
    "colour": _enum(Colour),
    "tone": _enum(Tone),
    "size": _enum(Size),
    "odd": _enum(Odd),
    "loud": _enum(Colour, "sa_type=Enum(Colour, native_enum=False, length=9)"),
    "valued": _enum(Tone, "sa_type=Enum(Tone, native_enum=False, values_callable=by_value)"),
    "facts": Kind("dict[str, Any]", "sa_type=JSON", _DOCUMENTS, _documents),
    "lists": Kind("list[Any]", "sa_type=JSON", ([], [1, 1.0, None], [_DOCUMENTS[2]], ["\x7f"])),
    "binary": Kind("dict[str, Any]", "sa_type=Binary", ({}, {"b": 1, "a": [1.0, 2]}, {"é": "\\"})),
    "nulled": Kind("dict[str, Any]", "sa_type=JSON(none_as_null=True)", _DOCUMENTS),
    "counts": Kind("dict[str, int]", "sa_type=JSON", ({}, {"a": 1})),
    "address": Kind("IPv4Address", "", ("127.0.0.1", "10.0.0.255"), comparable=False),
}  # fmt: skip
"""Every kind of column by its name, which the columns' names begin with."""

UNORDERED = {"blob", "facts", "lists", "binary", "nulled", "counts"}
"""Kinds that cannot be sorted or compared by order."""


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def storable(engine: str, name: str, value: Any) -> bool:
    """Tell whether an engine, with its driver, takes a value for a kind of column."""
    if engine == "sqlite":
        # NaN becomes NULL there, numbers go through float, intervals are moments.
        return value is None or value == value  # noqa: PLR0124 - NaN is not itself
    if engine == "mariadb":
        if isinstance(value, float):
            most = 3.4e38 if name == "single" else 1.8e308
            return _finite(value) and (value == 0 or 2.3e-308 < abs(value) < most)
        if name == "loose":
            return not value.is_nan() and abs(value) < 10**9
        if name == "single":
            return False
    return True


def values(engine: str, name: str) -> st.SearchStrategy[Any]:
    """Return values of a kind of column: mostly the telling ones."""
    kind = KINDS[name]
    told = st.sampled_from([value for value in kind.values if storable(engine, name, value)])
    if kind.more is None:
        return told
    more = kind.more.filter(lambda value: storable(engine, name, value))
    return st.one_of(told, told, told, more)
