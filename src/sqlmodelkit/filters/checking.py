"""Filters found right, and turned into SQL. Start at `check_filters`."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, false, or_, true
from sqlalchemy import not_ as sql_not
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel

from sqlmodelkit.columns import cached, unrounded
from sqlmodelkit.errors import FilterError

from .conditions import EVERYTHING, Filter, Where, count_conditions, where
from .fulltext import matching
from .insides import Kind, inside, type_of
from .paths import Compared, find
from .values import prepare, prepare_inside, prepare_one

MAX_CONDITIONS = 50


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

    @classmethod
    def of(
        cls, key: Hashable, expression: ColumnElement[bool], values: dict[str, Any]
    ) -> "Checked":
        """Return an expression as a filter.

        Args:
            key: What tells its SQL from others; None where nothing does.
            expression: Its parameters have no values.
            values: Values by parameter.
        """
        return cls(key, values, (_Part(key, expression),))

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
    everything = [part for part in filters if part is not EVERYTHING]
    if conditions:
        everything.append(where(**conditions))
    if not everything:
        return Checked((), {}, ())
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
        name: prepare_one(compared, value)
        for (name, compared), value in zip(form.compared, values.values(), strict=True)
    }
    return Checked(form.key, sent, form.parts)


@dataclass(frozen=True, slots=True)
class _Equalities:
    """What all equal comparisons of the same fields have in common."""

    compared: tuple[tuple[str, Compared], ...]
    key: Hashable
    parts: tuple["_Part", ...]


@cached
def _equalities(model: type[SQLModel], names: tuple[str, ...]) -> _Equalities:
    compared = tuple((f"filter_{n}", find(model, name)) for n, name in enumerate(names))
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


@dataclass(slots=True)
class _Part:
    """A group of conditions, a condition, or an expression, and what tells its SQL from others."""

    key: Hashable
    source: "_Group | _Comparison | ColumnElement[bool]"


@dataclass(slots=True)
class _Group:
    parts: tuple[_Part, ...]
    any: bool
    negated: bool


@dataclass(slots=True)
class _Comparison:
    """A comparison with parameters, by name, or with a value that is part of the SQL."""

    compared: Compared
    value: Any
    names: tuple[str, ...]
    dialect: str = ""
    kind: Kind | None = None


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
        compared = find(model, label)
        kind: Kind | None = None
        if compared.steps:
            prepared, kind = prepare_inside(compared, value, self.dialect)
        else:
            prepared = prepare(compared, value, self.dialect)
        takes = compared.operator.takes
        if prepared is None or isinstance(prepared, bool) or takes == "null":
            # NULL, TRUE and FALSE stand in the SQL itself.
            source = _Comparison(compared, prepared, (), self.dialect, kind)
            return _Part((label, repr(prepared)), source)
        values = prepared if takes in ("list", "pair") else [prepared]
        names = tuple(f"filter_{len(self.values) + number}" for number in range(len(values)))
        self.values.update(zip(names, values, strict=True))
        source = _Comparison(compared, prepared, names, self.dialect, kind)
        return _Part((label, len(names), kind) if kind else (label, len(names)), source)


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
    kind = unrounded(compared.column.type)
    if source.kind is not None:
        column = inside(column, compared.steps, source.kind, source.dialect)
        kind = type_of(source.kind, source.dialect)
    many = operator.takes in ("list", "pair")
    value = source.value
    if source.names:
        values = value if many else [value]
        parameters = [
            bindparam(name, sent if inline else None, type_=kind, unique=inline)
            for name, sent in zip(source.names, values, strict=True)
        ]
        value = parameters if many else parameters[0]
    if operator.name == "match":
        condition = matching(column, compared.column, value, source.dialect)
    else:
        condition = operator.build(column, value)
    for relation, is_many in reversed(hops):
        condition = relation.any(condition) if is_many else relation.has(condition)
    return condition


def _followed(compared: Compared) -> tuple[Any, list[tuple[Any, bool]]]:
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
