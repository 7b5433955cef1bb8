"""Which rows: one grammar of conditions, compiled to WHERE. Ring 2.

`age__gte=20` is a field, two underscores and an operator; without an operator it means equality;
`team__name__ilike="a%"` goes along a relation. Start at `where` and `compile_filters`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from sqlalchemy import Column, ColumnElement, and_, false, or_, true
from sqlalchemy import not_ as sql_not
from sqlalchemy.orm import QueryableAttribute
from sqlmodel import SQLModel

from .columns import columns_of, misfit, relations_of, typed
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


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions joined by `all` or `any`, perhaps negated; made by `where` and its friends."""

    parts: tuple["Filter", ...] = ()
    conditions: tuple[tuple[str, Any], ...] = ()
    any: bool = False
    negated: bool = False


Filter = Where | ColumnElement[bool]
"""A condition: what `where`, `any_of`, `all_of` and `not_` answer, or an SQLAlchemy expression."""


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


def _condition(
    model: type[SQLModel], name: str, value: Any, dialect: str, depth: int = 0
) -> ColumnElement[bool]:
    columns, relations = columns_of(model), relations_of(model)
    path, operator = _split(name, columns, relations)
    if operator is None:
        raise _unknown(model, name, columns, relations)
    if path in columns:
        attribute: QueryableAttribute[Any] = getattr(model, path)
        prepared = _prepare(model, path, operator, value, dialect)
        return operator.build(attribute, prepared)
    if depth >= MAX_DEPTH:
        raise FilterError(f"{name} goes along more than {MAX_DEPTH} relations.", fields=[name])
    relation = relations[path]
    inner = _condition(
        relation.mapper.class_, name[len(path) + 2 :], value, dialect, depth=depth + 1
    )
    attribute = getattr(model, path)
    return attribute.any(inner) if relation.uselist else attribute.has(inner)


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


def _unknown(
    model: type[SQLModel], name: str, columns: Collection[str], relations: Collection[str]
) -> FilterError:
    path, _, last = name.rpartition("__")
    if path in columns:
        return FilterError(
            f"{name}: there is no operator {last!r}.",
            hint=f"Operators are {', '.join(OPERATORS)}.",
            fields=[name],
        )
    if name in relations:
        return FilterError(
            f"{name} is a relation of {model.__name__}.",
            hint=f"Compare one of its fields, as in {name}__id.",
            fields=[name],
        )
    known = ", ".join([*columns, *(f"{relation}__..." for relation in relations)])
    return FilterError(
        f"{model.__name__} has no field {path or name!r} ({name}).",
        hint=f"Fields are {known}.",
        fields=[name],
    )


def _prepare(model: type[SQLModel], name: str, operator: Operator, value: Any, dialect: str) -> Any:
    """Give a value the type of its column, or refuse it."""
    label = f"{name}__{operator.name}"
    column = columns_of(model)[name]
    match operator.takes:
        case "null":
            if value is None or isinstance(value, bool):
                return value
            raise _wrong(label, value, "null, true or false")
        case "text":
            if operator.name == "match" and dialect == "sqlite":
                raise FilterError(
                    f"{label}: SQLite has no full-text search on ordinary tables.",
                    hint="Use icontains.",
                    fields=[label],
                )
            if not isinstance(value, str) or "\x00" in value:
                raise _wrong(label, value, "a text without the character NUL")
            return value
        case "list" | "pair":
            return _prepare_many(model, column, name, operator, value)
        case "value":
            if value is None and operator.name in ("eq", "ne"):
                return None
            return _prepare_one(model, column, name, label, value)


def _prepare_many(
    model: type[SQLModel], column: Column[Any], name: str, operator: Operator, value: Any
) -> list[Any]:
    label = f"{name}__{operator.name}"
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
        raise _wrong(label, value, "a list of values")
    if len(value) > MAX_ITEMS:
        raise FilterError(f"{label} has more than {MAX_ITEMS} values.", fields=[label])
    values = [_prepare_one(model, column, name, label, item) for item in value]
    if operator.takes == "pair":
        if len(values) != 2:
            raise _wrong(label, value, "two values, the least and the greatest")
        if values[0] > values[1]:
            raise FilterError(
                f"{label}: the first value is greater than the second.", fields=[label]
            )
    return values


def _prepare_one(
    model: type[SQLModel], column: Column[Any], name: str, label: str, value: Any
) -> Any:
    if value is None:
        raise FilterError(
            f"{label}: NULL is neither less, greater nor in a list.",
            hint=f"Use {name}__is=None.",
            fields=[label],
        )
    try:
        read = typed(model, name, value)
    except ValidationError as error:
        raise _wrong(label, value, error.errors()[0]["msg"]) from None
    # A text may be longer than its column: it is compared, not stored.
    reason = None if isinstance(read, str) and "\x00" not in read else misfit(column, read)
    if reason is not None:
        raise _wrong(label, value, reason)
    return read


def _wrong(label: str, value: Any, expected: str) -> FilterError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return FilterError(f"{label}: {shown} does not fit: {expected}.", fields=[label])
