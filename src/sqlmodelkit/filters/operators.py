"""The comparisons: what each takes, and what it is in SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import JSON, Boolean, Column, ColumnElement, Enum, LargeBinary, false, true

from sqlmodelkit.columns import text_type

_ESCAPE = "/"

Takes = Literal["value", "text", "list", "pair", "null"]
"""What an operator compares with: a value of the field, a text, a list, two values, or NULL."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A comparison: what it takes, how it is written in SQL, and the pattern made of a text."""

    name: str
    takes: Takes
    build: Callable[[Any, Any], ColumnElement[bool]]
    pattern: Callable[[str], str] = str


def _in(column: Any, values: Any) -> ColumnElement[bool]:
    return column.in_(values) if values else false()


def _not_in(column: Any, values: Any) -> ColumnElement[bool]:
    return column.not_in(values) if values else true()


def _like(column: Any, pattern: Any) -> ColumnElement[bool]:
    matches: ColumnElement[bool] = column.like(pattern, escape=_ESCAPE)
    return matches


def _ilike(column: Any, pattern: Any) -> ColumnElement[bool]:
    matches: ColumnElement[bool] = column.ilike(pattern, escape=_ESCAPE)
    return matches


def _literal(text: str) -> str:
    """Return a text as a pattern that matches just that text."""
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text


def _starts(text: str) -> str:
    return f"{_literal(text)}%"


def _ends(text: str) -> str:
    return f"%{_literal(text)}"


def _holds(text: str) -> str:
    return f"%{_literal(text)}%"


_OPERATORS = (
    Operator("eq", "value", lambda column, value: column == value),
    Operator("ne", "value", lambda column, value: column != value),
    Operator("gt", "value", lambda column, value: column > value),
    Operator("gte", "value", lambda column, value: column >= value),
    Operator("lt", "value", lambda column, value: column < value),
    Operator("lte", "value", lambda column, value: column <= value),
    Operator("between", "pair", lambda column, pair: column.between(pair[0], pair[1])),
    Operator("in", "list", _in),
    Operator("not_in", "list", _not_in),
    Operator("is", "null", lambda column, value: column.is_(value)),
    Operator("is_not", "null", lambda column, value: column.is_not(value)),
    Operator("like", "text", lambda column, text: column.like(text, escape="\\")),
    Operator("not_like", "text", lambda column, text: column.not_like(text, escape="\\")),
    Operator("ilike", "text", lambda column, text: column.ilike(text, escape="\\")),
    Operator("not_ilike", "text", lambda column, text: column.not_ilike(text, escape="\\")),
    Operator("startswith", "text", _like, _starts),
    Operator("endswith", "text", _like, _ends),
    Operator("contains", "text", _like, _holds),
    Operator("istartswith", "text", _ilike, _starts),
    Operator("iendswith", "text", _ilike, _ends),
    Operator("icontains", "text", _ilike, _holds),
    Operator("match", "text", lambda column, text: column.match(text)),
)
OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _OPERATORS}
"""Every operator by name; `match` is built by `fulltext`, each database has its own."""
ALIASES: Mapping[str, str] = {
    "ge": "gte",
    "le": "lte",
    "notlike": "not_like",
    "notilike": "not_ilike",
    "isnot": "is_not",
    "notin": "not_in",
}
"""Other spellings that people know, by the name they stand for."""
PATTERNS = frozenset({"like", "not_like", "ilike", "not_ilike"})
"""The operators whose text is a pattern of the user's."""

_EQUALITY = ("eq", "ne", "in", "not_in")
_ORDER = ("gt", "gte", "lt", "lte", "between")
_TEXT = tuple(operator.name for operator in _OPERATORS if operator.takes == "text")
_NULL = ("is", "is_not")
JSON_OPERATORS = tuple(name for name in OPERATORS if name != "match")
"""What a value inside JSON can be compared by."""


def operators_of(column: Column[Any]) -> tuple[str, ...]:
    """Return the operators that a column can be compared by, alike on every database."""
    match column.type:
        case JSON():
            return _NULL
        case Boolean() | Enum() | LargeBinary():
            return (*_EQUALITY, *_NULL)
    if text_type(column) is not None:
        return (*_EQUALITY, *_ORDER, *_TEXT, *_NULL)
    return (*_EQUALITY, *_ORDER, *_NULL)


def operator_named(name: str) -> Operator | None:
    """Return an operator by its name or another spelling of it."""
    return OPERATORS.get(ALIASES.get(name, name))


def canonical_operator(label: str) -> tuple[str, str]:
    """Divide a label such as `sold__ge` into a name and the usual name of its operator."""
    name, _, last = label.rpartition("__")
    return name, ALIASES.get(last, last)
