"""Which rows: one grammar of conditions, compiled to WHERE. Ring 2.

`age__gte=20` is a field, two underscores and an operator; without an operator it means equality;
`team__name__ilike="a%"` goes along a relation. Start at `where` and `compile_filters`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Enum,
    LargeBinary,
    and_,
    false,
    or_,
    true,
)
from sqlalchemy import not_ as sql_not
from sqlalchemy.orm import QueryableAttribute
from sqlmodel import SQLModel

from .columns import columns_of, incomparable, key_of, relations_of, text_type, typed
from .errors import FilterError

MAX_CONDITIONS = 50
MAX_ITEMS = 500
MAX_DEPTH = 3

Takes = Literal["value", "text", "list", "pair", "null"]
"""What an operator compares with: a value of the field, a text, a list, two values, or NULL."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A comparison: what it takes and how it is written in SQL."""

    name: str
    takes: Takes
    build: Callable[[Any, Any], ColumnElement[bool]]


def _in(column: Any, values: Any) -> ColumnElement[bool]:
    return column.in_(values) if values else false()


def _not_in(column: Any, values: Any) -> ColumnElement[bool]:
    return column.not_in(values) if values else true()


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
    Operator("startswith", "text", lambda column, text: column.startswith(text, autoescape=True)),
    Operator("endswith", "text", lambda column, text: column.endswith(text, autoescape=True)),
    Operator("contains", "text", lambda column, text: column.contains(text, autoescape=True)),
    Operator("istartswith", "text", lambda column, text: column.istartswith(text, autoescape=True)),
    Operator("iendswith", "text", lambda column, text: column.iendswith(text, autoescape=True)),
    Operator("icontains", "text", lambda column, text: column.icontains(text, autoescape=True)),
    Operator("match", "text", lambda column, text: column.match(text)),
)
OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _OPERATORS}
"""Every operator by name."""
ALIASES: Mapping[str, str] = {
    "ge": "gte",
    "le": "lte",
    "notlike": "not_like",
    "notilike": "not_ilike",
    "isnot": "is_not",
    "notin": "not_in",
}
"""Other spellings that people know, by the name they stand for."""


_EQUALITY = ("eq", "ne", "in", "not_in")
_ORDER = ("gt", "gte", "lt", "lte", "between")
_TEXT = tuple(operator.name for operator in _OPERATORS if operator.takes == "text")
_NULL = ("is", "is_not")


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


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions joined by `all` or `any`, perhaps negated; made by `where` and its friends."""

    parts: tuple["Filter", ...] = ()
    conditions: tuple[tuple[str, Any], ...] = ()
    any: bool = False
    negated: bool = False


Filter = Where | ColumnElement[bool] | bool
"""A condition: what `where`, `any_of`, `all_of` and `not_` answer, or an SQLAlchemy expression.

`bool` is for type checkers, to whom `Hero.age >= 20` is one; a real bool is refused.
"""


def where(**conditions: Any) -> Where:
    """Say which rows by keyword: `where(age__gte=20, team__name="A")`; all must hold."""
    return Where(conditions=tuple(conditions.items()))


def any_of(*filters: Filter) -> Where:
    """Match rows for which at least one of the filters holds; none, when there is no filter."""
    return Where(parts=filters, any=True)


def all_of(*filters: Filter) -> Where:
    """Match rows for which every one of the filters holds."""
    return Where(parts=filters)


def not_(*filters: Filter) -> Where:
    """Match rows for which the filters, taken together, do not hold."""
    return Where(parts=filters, negated=True)


def compile_filters(
    model: type[SQLModel],
    *filters: Filter,
    conditions: Mapping[str, Any] | None = None,
    dialect: str = "postgresql",
) -> list[ColumnElement[bool]]:
    """Turn filters into SQLAlchemy expressions, to be joined by AND.

    Args:
        model: The table model that the fields belong to.
        filters: From `where` and its friends, or SQLAlchemy expressions.
        conditions: Further conditions by keyword.
        dialect: The database's name, for operators that not every database has.

    Raises:
        FilterError: A field or operator is unknown, or a value does not fit it. Nothing unknown
            is ever left out: a condition less would be a wider answer, or a wider delete.
    """
    if count_conditions(filters) + len(conditions or ()) > MAX_CONDITIONS:
        raise FilterError(f"There are more than {MAX_CONDITIONS} conditions.")
    everything = [*filters, *([where(**conditions)] if conditions else [])]
    return [_compile(model, part, dialect) for part in everything]


def count_conditions(filters: Collection[Filter]) -> int:
    """Count the single conditions of filters, at every depth."""
    return sum(
        len(part.conditions) + count_conditions(part.parts) if isinstance(part, Where) else 1
        for part in filters
    )


def _compile(model: type[SQLModel], part: Filter, dialect: str) -> ColumnElement[bool]:
    if isinstance(part, ColumnElement):
        return part
    if not isinstance(part, Where):
        raise FilterError(
            f"{part!r} is not a filter.",
            hint="Pass field=value, where(...), or an SQLAlchemy expression.",
        )
    compiled = [_compile(model, inner, dialect) for inner in part.parts]
    compiled += [_condition(model, name, value, dialect) for name, value in part.conditions]
    joined = or_(false(), *compiled) if part.any else and_(true(), *compiled)
    return sql_not(joined) if part.negated else joined


def _condition(model: type[SQLModel], name: str, value: Any, dialect: str) -> ColumnElement[bool]:
    along: list[tuple[QueryableAttribute[Any], bool]] = []
    rest = name
    while True:
        columns, relations = columns_of(model), relations_of(model)
        path, operator = _split(rest, columns, relations)
        if operator is None:
            raise _unknown(model, rest, name)
        if path in columns:
            break
        if len(along) == MAX_DEPTH:
            raise FilterError(f"{name} goes along more than {MAX_DEPTH} relations.", fields=[name])
        along.append((getattr(model, path), bool(relations[path].uselist)))
        model, rest = relations[path].mapper.class_, rest[len(path) + 2 :]
    if operator.name not in operators_of(columns[path]):
        raise FilterError(
            f"{name}: {path} cannot be compared by {operator.name}.",
            hint=f"It can by {', '.join(operators_of(columns[path]))}.",
            fields=[name],
        )
    compared = _Compared(model, path, operator, name)
    condition = operator.build(getattr(model, path), _prepare(compared, value, dialect))
    for relation, many in reversed(along):
        condition = relation.any(condition) if many else relation.has(condition)
    return condition


def _split(
    name: str, columns: Collection[str], relations: Collection[str]
) -> tuple[str, Operator | None]:
    """Divide `price__lte` into column and operator, `team__name` into relation and the rest."""
    if name in columns:
        return name, OPERATORS["eq"]
    path, _, last = name.rpartition("__")
    if path in columns:
        return path, OPERATORS.get(ALIASES.get(last, last))
    first = next((known for known in relations if name.startswith(f"{known}__")), None)
    return (first, OPERATORS["eq"]) if first else (name, None)


def _unknown(model: type[SQLModel], rest: str, name: str) -> FilterError:
    """Say what is wrong with `rest`, the end of `name` that belongs to `model`."""
    columns, relations = columns_of(model), relations_of(model)
    path, _, last = rest.rpartition("__")
    if path in columns:
        return FilterError(
            f"{name}: there is no operator {last!r}.",
            hint=f"Operators are {', '.join(OPERATORS)}.",
            fields=[name],
        )
    if rest in relations:
        return FilterError(
            f"{name} is a relation of {model.__name__}.",
            hint=f"Compare one of its fields, as in {name}__{key_of(model)[0]}.",
            fields=[name],
        )
    known = ", ".join([*columns, *(f"{relation}__..." for relation in relations)])
    return FilterError(
        f"{model.__name__} has no field {path or rest!r} ({name}).",
        hint=f"Fields are {known}.",
        fields=[name],
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a value is compared with: the attribute, how, and what the caller called it."""

    model: type[SQLModel]
    name: str
    operator: Operator
    label: str


def _prepare(compared: _Compared, value: Any, dialect: str) -> Any:
    """Give a value the type of its column, or refuse it."""
    match compared.operator.takes:
        case "null":
            flag = isinstance(columns_of(compared.model)[compared.name].type, Boolean)
            if value is None or (flag and isinstance(value, bool)):
                return value
            raise _wrong(compared.label, value, "null, true or false" if flag else "null")
        case "text":
            return _prepare_text(compared, value, dialect)
        case "list" | "pair":
            return _prepare_many(compared, value)
        case "value":
            if value is None and compared.operator.name in ("eq", "ne"):
                return None
            return _prepare_one(compared, value)


def _prepare_text(compared: _Compared, value: Any, dialect: str) -> str:
    label, operator = compared.label, compared.operator.name
    column = columns_of(compared.model)[compared.name]
    if operator == "match" and dialect == "sqlite":
        raise FilterError(
            f"{label}: SQLite has no full-text search on ordinary tables.",
            hint="Use icontains.",
            fields=[label],
        )
    if not isinstance(value, str):
        raise _wrong(label, value, "a text without the character NUL")
    reason = incomparable(column, value)
    if reason is not None:
        raise _wrong(label, value, reason)
    return value


def _prepare_many(compared: _Compared, value: Any) -> list[Any]:
    label = compared.label
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        raise _wrong(label, value, "a list of values")
    if len(value) > MAX_ITEMS:
        raise FilterError(f"{label} has more than {MAX_ITEMS} values.", fields=[label])
    values = [_prepare_one(compared, item) for item in value]
    if compared.operator.takes == "pair":
        if len(values) != 2:
            raise _wrong(label, value, "two values, the least and the greatest")
        if values[0] > values[1]:
            raise FilterError(
                f"{label}: the first value is greater than the second.", fields=[label]
            )
    return values


def _prepare_one(compared: _Compared, value: Any) -> Any:
    label = compared.label
    if value is None:
        raise FilterError(
            f"{label}: NULL is neither less, greater nor in a list.",
            hint=f"Use {compared.name}__is=None.",
            fields=[label],
        )
    try:
        read = typed(compared.model, compared.name, value)
    except ValidationError as error:
        raise _wrong(label, value, error.errors()[0]["msg"]) from None
    reason = incomparable(columns_of(compared.model)[compared.name], read)
    if reason is not None:
        raise _wrong(label, value, reason)
    return read


def _wrong(label: str, value: Any, expected: str) -> FilterError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return FilterError(f"{label}: {shown} does not fit: {expected}.", fields=[label])
