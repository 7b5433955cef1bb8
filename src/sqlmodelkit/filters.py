"""Which rows: one grammar of conditions, compiled to WHERE. Ring 2.

`age__gte=20` is a field, two underscores and an operator; without an operator it means equality;
`team__name__ilike="a%"` goes along a relation. Start at `where` and `check_filters`.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
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
    bindparam,
    false,
    or_,
    true,
)
from sqlalchemy import not_ as sql_not
from sqlalchemy.orm import QueryableAttribute, aliased
from sqlmodel import SQLModel

from .columns import cached, columns_of, incomparable, key_of, relations_of, text_type, typed
from .errors import FilterError

MAX_CONDITIONS = 50
MAX_ITEMS = 500
MAX_DEPTH = 3

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
    Operator("startswith", "text", _like, lambda text: f"{_literal(text)}%"),
    Operator("endswith", "text", _like, lambda text: f"%{_literal(text)}"),
    Operator("contains", "text", _like, lambda text: f"%{_literal(text)}%"),
    Operator("istartswith", "text", _ilike, lambda text: f"{_literal(text)}%"),
    Operator("iendswith", "text", _ilike, lambda text: f"%{_literal(text)}"),
    Operator("icontains", "text", _ilike, lambda text: f"%{_literal(text)}%"),
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


@dataclass(frozen=True, slots=True)
class Checked:
    """Filters whose fields, operators and values have been found right.

    Attributes:
        key: The same for filters that differ in their values only, and so share their SQL; None
            where an SQLAlchemy expression is among them.
        values: The values to be sent, by parameter.
    """

    key: Hashable
    values: dict[str, Any]
    parts: tuple["_Part", ...]

    def expressions(self, *, inline: bool = False) -> list[ColumnElement[bool]]:
        """Return them as SQLAlchemy expressions, to be joined by AND.

        Args:
            inline: Whether the values are part of the expressions, and not only their parameters.
        """
        return [_expression(part, inline=inline) for part in self.parts]


def check_filters(
    model: type[SQLModel],
    *filters: Filter,
    conditions: Mapping[str, Any] | None = None,
    dialect: str = "postgresql",
) -> Checked:
    """Check filters, and part their values from their form.

    Args:
        model: The table model that the fields belong to.
        filters: From `where` and its friends, or SQLAlchemy expressions.
        conditions: Further conditions by keyword.
        dialect: The database's name, for operators that not every database has.

    Raises:
        FilterError: A field or operator is unknown, or a value does not fit it. Nothing unknown
            is ever left out: a condition less would be a wider answer, or a wider delete.
    """
    everything = [*filters, *([where(**conditions)] if conditions else [])]
    if count_conditions(everything) > MAX_CONDITIONS:
        raise FilterError(f"There are more than {MAX_CONDITIONS} conditions.")
    checker = _Checker(dialect)
    parts = tuple(checker.check(model, part) for part in everything)
    key = None if checker.opaque else tuple(part.key for part in parts)
    return Checked(key, checker.values, parts)


def check_key(model: type[SQLModel], values: Mapping[str, Any], *, dialect: str) -> Checked:
    """Check the parts of a key as `check_filters` does its conditions.

    Raises:
        FilterError: A part does not fit its column.
    """
    if None in values.values():
        return check_filters(model, conditions=values, dialect=dialect)
    form = _equalities(model, tuple(values))
    sent = {
        name: _prepare_one(compared, value)
        for (name, compared), value in zip(form.compared, values.values(), strict=True)
    }
    return Checked(form.key, sent, form.parts)


@dataclass(frozen=True, slots=True)
class _Equalities:
    """What all equal comparisons of the same fields have in common."""

    compared: tuple[tuple[str, "_Compared"], ...]
    key: Hashable
    parts: tuple["_Part", ...]


@cached
def _equalities(model: type[SQLModel], names: tuple[str, ...]) -> _Equalities:
    compared = tuple((f"filter_{n}", _find(model, name)) for n, name in enumerate(names))
    parts = tuple(
        _Part((one.label, 1), _Comparison(one, None, (parameter,))) for parameter, one in compared
    )
    return _Equalities(compared, tuple(part.key for part in parts), parts)


def compile_filters(
    model: type[SQLModel],
    *filters: Filter,
    conditions: Mapping[str, Any] | None = None,
    dialect: str = "postgresql",
) -> list[ColumnElement[bool]]:
    """Turn filters into SQLAlchemy expressions with their values, to be joined by AND.

    Raises:
        FilterError: As `check_filters`, whose arguments these are.
    """
    checked = check_filters(model, *filters, conditions=conditions, dialect=dialect)
    return checked.expressions(inline=True)


def count_conditions(filters: Collection[Filter]) -> int:
    """Count the single conditions of filters, at every depth."""
    return sum(
        len(part.conditions) + count_conditions(part.parts) if isinstance(part, Where) else 1
        for part in filters
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A group of conditions, a condition, or an expression, and what tells its SQL from others."""

    key: Hashable
    source: "_Group | _Comparison | ColumnElement[bool]"


@dataclass(frozen=True, slots=True)
class _Group:
    parts: tuple[_Part, ...]
    any: bool
    negated: bool


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A comparison with parameters, by name, or with a value that is part of the SQL."""

    compared: "_Compared"
    value: Any
    names: tuple[str, ...]


class _Checker:
    """Checks filters one after the other and numbers their values."""

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.values: dict[str, Any] = {}
        self.opaque = False

    def check(self, model: type[SQLModel], part: Filter) -> _Part:
        if isinstance(part, ColumnElement):
            self.opaque = True
            return _Part(None, part)
        if not isinstance(part, Where):
            raise FilterError(
                f"{part!r} is not a filter.",
                hint="Pass field=value, where(...), or an SQLAlchemy expression.",
            )
        parts = [self.check(model, inner) for inner in part.parts]
        parts += [self.compare(model, name, value) for name, value in part.conditions]
        key = (part.any, part.negated, *(inner.key for inner in parts))
        return _Part(key, _Group(tuple(parts), part.any, part.negated))

    def compare(self, model: type[SQLModel], label: str, value: Any) -> _Part:
        compared = _find(model, label)
        prepared = _prepare(compared, value, self.dialect)
        many = compared.operator.takes in ("list", "pair")
        if prepared is None or isinstance(prepared, bool) or compared.operator.takes == "null":
            # NULL, TRUE and FALSE stand in the SQL itself.
            return _Part((label, repr(prepared)), _Comparison(compared, prepared, ()))
        values = prepared if many else [prepared]
        names = tuple(f"filter_{len(self.values) + number}" for number in range(len(values)))
        self.values.update(zip(names, values, strict=True))
        return _Part((label, len(names)), _Comparison(compared, prepared, names))


def _expression(part: _Part, *, inline: bool) -> ColumnElement[bool]:
    source = part.source
    if isinstance(source, ColumnElement):
        return source
    if isinstance(source, _Comparison):
        return _comparison(source, inline=inline)
    parts = [_expression(inner, inline=inline) for inner in source.parts]
    joined = or_(false(), *parts) if source.any else and_(true(), *parts)
    return sql_not(joined) if source.negated else joined


def _comparison(source: _Comparison, *, inline: bool) -> ColumnElement[bool]:
    compared, operator = source.compared, source.compared.operator
    entity, hops = _followed(compared)
    column = getattr(entity, compared.name)
    many = operator.takes in ("list", "pair")
    value = source.value
    if source.names:
        values = value if many else [value]
        parameters = [
            bindparam(name, sent if inline else None, type_=column.type, unique=inline)
            for name, sent in zip(source.names, values, strict=True)
        ]
        value = parameters if many else parameters[0]
    condition = operator.build(column, value)
    for relation, is_many in reversed(hops):
        condition = relation.any(condition) if is_many else relation.has(condition)
    return condition


def _followed(compared: "_Compared") -> tuple[Any, list[tuple[Any, bool]]]:
    """Return where the compared column is, and the relations that lead there."""
    entity: Any = None
    hops: list[tuple[Any, bool]] = []
    for relation, is_many in compared.along:
        here = relation if entity is None else getattr(entity, relation.key)
        target = relation.property.mapper
        entity = target.class_
        if target.common_parent(relation.property.parent):
            # Where a table leads to itself SQLAlchemy takes an alias of its own, and puts the
            # criteria of a session on the wrong side of it.
            entity = aliased(entity)
            here = here.of_type(entity)
        hops.append((here, is_many))
    return entity or compared.model, hops


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a value is compared with: the attribute, how, along which relations, and its name."""

    model: type[SQLModel]
    name: str
    operator: Operator
    label: str
    along: tuple[tuple[QueryableAttribute[Any], bool], ...] = ()


@cached
def _find(model: type[SQLModel], label: str) -> _Compared:
    along: list[tuple[QueryableAttribute[Any], bool]] = []
    rest = label
    while True:
        columns, relations = columns_of(model), relations_of(model)
        path, operator = _split(rest, columns, relations)
        if operator is None:
            raise _unknown(model, rest, label)
        if path in columns:
            break
        if len(along) == MAX_DEPTH:
            raise FilterError(
                f"{label} goes along more than {MAX_DEPTH} relations.", fields=[label]
            )
        along.append((getattr(model, path), bool(relations[path].uselist)))
        model, rest = relations[path].mapper.class_, rest[len(path) + 2 :]
    if operator.name not in operators_of(columns[path]):
        raise FilterError(
            f"{label}: {path} cannot be compared by {operator.name}.",
            hint=f"It can by {', '.join(operators_of(columns[path]))}.",
            fields=[label],
        )
    return _Compared(model, path, operator, label, tuple(along))


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
    return compared.operator.pattern(value)


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
