"""Values of conditions: given the type of what they are compared with, or refused."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Boolean

from sqlmodelkit.columns import incomparable, is_typed, typed
from sqlmodelkit.errors import FilterError

from . import fulltext
from .conditions import MAX_TEXT
from .insides import Kind
from .insides import check_engine as check_inside
from .operators import PATTERNS
from .paths import Compared

MAX_ITEMS = 500
MAX_WILDCARDS = 10
_MOST_EXACT = 2**53
"""Integers in JSON are exact up to here wherever numbers are of eight bytes."""


def prepare(compared: Compared, value: Any, dialect: str) -> Any:
    """Give a value the type of its column, or refuse it.

    Raises:
        FilterError: The value does not fit, or the engine lacks the operator.
    """
    match compared.operator.takes:
        case "value":
            if value is None and compared.operator.name in ("eq", "ne"):
                return None
            return prepare_one(compared, value)
        case "text":
            if compared.operator.name == "match":
                fulltext.check_engine(compared.label, compared.column, dialect)
                return fulltext.words(_pattern(compared, value), dialect)
            return _pattern(compared, value)
        case "list" | "pair":
            values: list[Any] = [prepare_one(compared, item) for item in _items(compared, value)]
            return _pair(compared, value, values) if compared.operator.takes == "pair" else values
        case "null":
            flag = isinstance(compared.column.type, Boolean)
            if value is None or (flag and isinstance(value, bool)):
                return value
            raise _wrong(compared.label, value, "null, true or false" if flag else "null")


def prepare_one(compared: Compared, value: Any) -> Any:
    """Give one value the type of its column.

    Raises:
        FilterError: It does not fit.
    """
    if value is None:
        raise _no_null(compared)
    if is_typed(compared.model, compared.name, value):
        return value
    try:
        read = typed(compared.model, compared.name, value)
    except ValidationError as error:
        raise _wrong(compared.label, value, error.errors()[0]["msg"]) from None
    reason = incomparable(compared.column, read)
    if reason is not None:
        raise _wrong(compared.label, value, reason)
    return read


def prepare_inside(compared: Compared, value: Any, dialect: str) -> tuple[Any, Kind]:
    """Check a value to be compared with one inside JSON, and tell its kind.

    Raises:
        FilterError: It is neither text, number, flag nor NULL, or does not fit the operator.
    """
    operator, label = compared.operator, compared.label
    check_inside(label, dialect)
    match operator.takes:
        case "null":
            if value is not None:
                raise _wrong(label, value, "null")
            return None, "any"
        case "text":
            return _pattern(compared, value), "text"
        case "list" | "pair":
            read = [_scalar(compared, item, dialect) for item in _items(compared, value)]
            kinds: set[Kind] = {kind for _, kind in read}
            if len(kinds) > 1:
                raise _wrong(label, value, "values of one kind: texts, numbers or flags")
            given = [one for one, _ in read]
            if operator.takes == "pair":
                _pair(compared, value, given)
            return given, kinds.pop() if kinds else "text"
        case "value":
            if value is None and operator.name in ("eq", "ne"):
                return None, "any"
            return _scalar(compared, value, dialect)


def _scalar(compared: Compared, value: Any, dialect: str) -> tuple[Any, Kind]:
    match value:
        case None:
            raise _no_null(compared)
        case bool():
            if compared.operator.name not in ("eq", "ne", "in", "not_in"):
                raise _wrong(compared.label, value, "a text or a number")
            return str(value).lower(), "flag"
        case str():
            return _text(compared, value), "text"
        case int() | float() | Decimal():
            if not Decimal(value).is_finite() or abs(Decimal(value)) > _MOST_EXACT:
                raise _wrong(compared.label, value, "a number up to 2**53")
            return Decimal(str(value)) if dialect == "postgresql" else float(value), "number"
    raise _wrong(compared.label, value, "a text, a number, true or false")


def _pattern(compared: Compared, value: Any) -> str:
    text = _text(compared, value)
    operator = compared.operator
    if len(text) > MAX_TEXT:
        raise FilterError(
            f"{compared.label}: the text is longer than {MAX_TEXT} characters.",
            fields=[compared.label],
        )
    if operator.name in PATTERNS and text.count("%") + text.count("_") > MAX_WILDCARDS:
        # Each % may double the work for a row.
        raise FilterError(
            f"{compared.label}: the pattern has more than {MAX_WILDCARDS} wildcards.",
            fields=[compared.label],
        )
    if operator.name in PATTERNS and (len(text) - len(text.rstrip("\\"))) % 2:
        raise FilterError(
            f"{compared.label}: the pattern ends in an escape.",
            hint=r"Write \\ for a backslash.",
            fields=[compared.label],
        )
    return operator.pattern(text)


def _text(compared: Compared, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(compared.label, value, "a text without the character NUL")
    reason = incomparable(compared.column, value)
    if reason is not None:
        raise _wrong(compared.label, value, reason)
    return value


def _items(compared: Compared, value: Any) -> Collection[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        raise _wrong(compared.label, value, "a list of values")
    if len(value) > MAX_ITEMS:
        raise FilterError(
            f"{compared.label} has more than {MAX_ITEMS} values.", fields=[compared.label]
        )
    return value


def _pair(compared: Compared, given: Any, values: list[Any]) -> list[Any]:
    if len(values) != 2:
        raise _wrong(compared.label, given, "two values, the least and the greatest")
    if type(values[0]) is type(values[1]) and values[0] > values[1]:
        raise FilterError(
            f"{compared.label}: the first value is greater than the second.",
            fields=[compared.label],
        )
    return values


def _no_null(compared: Compared) -> FilterError:
    instead = compared.label.removesuffix(f"__{compared.operator.name}")
    instead = instead if compared.steps else compared.name
    return FilterError(
        f"{compared.label}: NULL is neither less, greater nor in a list.",
        hint=f"Use {instead}__is=None.",
        fields=[compared.label],
    )


def _wrong(label: str, value: Any, expected: str) -> FilterError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return FilterError(f"{label}: {shown} does not fit: {expected}.", fields=[label])
