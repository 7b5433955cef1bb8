"""What is reckoned over groups of rows: counts, sums, averages, the least and the greatest. Ring 4.

`price__sum` is a field and a function, as `price__gte` is a field and an operator. Along a to-one
relation the related row is joined; along a collection each row reckons its own in a subquery, so
that no row is ever counted twice. Start at `Groups`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import GenericAlias
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Float,
    Integer,
    Numeric,
    Select,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel

from .columns import cached, key_of, mapper_of, unrounded, value_type
from .errors import FilterError, SortError
from .filters import OPERATORS, Compared, canonical_operator, find, operators_of

FUNCTIONS = ("count", "count_distinct", "sum", "avg", "min", "max")
MAX_GROUPED = 8
MAX_MEASURES = 16
_HAVING = ("eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "is", "is_not")
_PLACES = 4
"""The digits that an average of decimals has beyond those of its column."""
_BIG = 2**63


@dataclass(frozen=True, slots=True)
class Measure:
    """A function of a field; of the rows themselves where there is no field."""

    function: str
    field: Compared | None

    @classmethod
    def of(cls, model: type[SQLModel], label: str) -> "Measure":
        """Read `count` or `price__sum`.

        Raises:
            FilterError: There is no such field or function, or they do not fit.
        """
        if label == "count":
            return cls("count", None)
        path, _, function = label.rpartition("__")
        if function not in FUNCTIONS or not path:
            raise FilterError(
                f"{label}: there is no function {function!r}.",
                hint=f"Write count, or a field and one of {', '.join(FUNCTIONS)}: price__sum.",
                fields=[label],
            )
        field = _field(model, path)
        kind = field.column.type
        number = isinstance(kind, (Integer, Numeric, Float))
        ordered = "gt" in operators_of(field.column) and kind.python_type.__name__ != "UUID"
        fits = {"sum": number, "avg": number, "min": ordered, "max": ordered}
        if not fits.get(function, True) or (function == "count_distinct" and not _to_one(field)):
            raise FilterError(
                f"{label}: {path} has no {function}.",
                hint="Numbers have sum and avg, what can be ordered has min and max, and what "
                "leads through no collection has count_distinct.",
                fields=[label],
            )
        return cls(function, field)

    @property
    def kind(self) -> Any:
        """The Python type of the result."""
        if self.field is None or self.function.startswith("count"):
            return int
        if self.function in ("min", "max"):
            return value_type(self.field.model, self.field.name)
        if self._exact:
            return Decimal
        whole = self.function == "sum" and isinstance(self.field.column.type, Integer)
        return int if whole else float

    @property
    def _exact(self) -> bool:
        kind = self.field.column.type if self.field else None
        return isinstance(kind, Numeric) and kind.asdecimal

    def convert(self, value: Any) -> Any:
        """Give a result its type: databases answer decimals for integers, and floats for decimals."""
        if self.function.startswith("count"):
            return int(value or 0)
        if value is None or self.function in ("min", "max"):
            return value
        if self.field is not None and self._exact:
            scale = (getattr(self.field.column.type, "scale", None) or 0) + (
                _PLACES if self.function == "avg" else 0
            )
            return Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
        return float(value) if self.kind is float else int(value)

    def expression(self, entity: Any) -> ColumnElement[Any]:
        """Return it in SQL; `entity` is where a field of a to-one path is."""
        if self.field is None:
            return func.count()
        if _to_one(self.field):
            return self._direct(getattr(entity, self.field.name))
        if self.function == "avg":
            number = func.sum(self._each(self.field, "count"))
            total = func.sum(self._each(self.field, "sum"), type_=self.field.column.type)
            over: Any = total if self._exact else cast(total, Double)
            return func.coalesce(over / func.nullif(number, 0), None, type_=self._type())
        if self.function in ("count", "sum"):
            return func.sum(self._each(self.field, self.function), type_=self._type())
        return getattr(func, self.function)(self._each(self.field, self.function))  # type: ignore[no-any-return]

    def _direct(self, column: Any) -> ColumnElement[Any]:
        match self.function:
            case "count":
                return func.count(column)
            case "count_distinct":
                return func.count(column.distinct())
            case "avg":
                return func.avg(column if self._exact else cast(column, Double), type_=self._type())
            case "sum":
                return func.sum(column, type_=self._type())
            case _:
                return getattr(func, self.function)(column)  # type: ignore[no-any-return]

    def _type(self) -> Any:
        if self.field is None or self.function.startswith("count"):
            return BigInteger()
        kind = self.field.column.type
        if self._exact:
            scale = (getattr(kind, "scale", None) or 0) + _PLACES
            return Numeric(38, scale) if self.function == "avg" else kind
        return Double() if self.function == "avg" or not isinstance(kind, Integer) else BigInteger()

    def _each(self, field: Compared, function: str) -> Any:
        """Reckon over what one row has along a path, without joining it to the row."""
        along = field.along
        model: Any = along[0][0].class_
        parent: Any = aliased(model)
        here, path = parent, []
        for relation, _ in along:
            target: Any = aliased(relation.property.mapper.class_)
            path.append(getattr(here, relation.key).of_type(target))
            here = target
        statement = select(getattr(func, function)(getattr(here, field.name)))
        statement = statement.select_from(parent)
        for step in path:
            statement = statement.join(step)
        own = [getattr(parent, name) == getattr(model, name) for name in key_of(model)]
        return statement.where(*own).correlate(model).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Groups:
    """How rows are grouped, and what is reckoned of each group.

    Attributes:
        by: The fields that make the groups; a path goes along to-one relations.
        measures: Functions by the name of their result.
        having: Conditions on results, with the number of their values; see `conditions`.
        sort: Names of fields and results, `-` before those that descend.
    """

    model: type[SQLModel]
    by: tuple[str, ...]
    measures: tuple[tuple[str, str], ...]
    sort: tuple[str, ...] = ()
    having: tuple[tuple[str, str, Any], ...] = ()

    def check(self) -> None:
        """Refuse what cannot be grouped, reckoned or sorted by.

        Raises:
            FilterError, SortError: A name is unknown, used twice, or does not fit.
        """
        names = [*self.by, *(name for name, _ in self.measures)]
        if len(self.by) > MAX_GROUPED or not 1 <= len(self.measures) <= MAX_MEASURES:
            raise FilterError(
                f"Groups have at most {MAX_GROUPED} fields and 1 to {MAX_MEASURES} results."
            )
        if len(set(names)) < len(names):
            raise FilterError("A result has the name of another.", fields=names)
        for field in self.by:
            found = _field(self.model, field)
            if "eq" not in operators_of(found.column) or not _to_one(found):
                raise FilterError(
                    f"{field}: rows cannot be grouped by it.",
                    hint="Group by a field, or a path along to-one relations.",
                    fields=[field],
                )
        for _, label in self.measures:
            measure_of(self.model, label)
        for name in self.sort:
            if name.removeprefix("-") not in names:
                raise SortError(
                    f"Groups cannot be sorted by {name!r}.",
                    hint=f"Names are {', '.join(names)}.",
                    fields=[name],
                )

    def conditions(self, having: Mapping[str, Any]) -> tuple["Groups", dict[str, Any]]:
        """Return the groups with conditions on their results, and the values of these by parameter.

        Raises:
            FilterError: A name or operator is unknown, or a value does not fit.
        """
        kinds = {name: measure_of(self.model, label).kind for name, label in self.measures}
        checked: list[tuple[str, str, Any]] = []
        values: dict[str, Any] = {}
        for label, value in having.items():
            name, operator = (label, "eq") if label in kinds else canonical_operator(label)
            if name not in kinds or operator not in _HAVING:
                raise FilterError(
                    f"{label}: there is no such result or operator.",
                    hint=f"Results are {', '.join(kinds)}, operators {', '.join(_HAVING)}.",
                    fields=[label],
                )
            takes = OPERATORS[operator].takes
            if takes == "null" or (value is None and operator in ("eq", "ne")):
                if value is not None:
                    raise FilterError(f"{label}: {value!r} does not fit: null.", fields=[label])
                checked.append((name, operator, None))
                continue
            several = takes in ("list", "pair")
            kind: Any = kinds[name]
            given = _typed(label, value, GenericAlias(list, kind) if several else kind)
            many = given if several else [given]
            if takes == "pair" and len(many) != 2:
                raise FilterError(f"{label} takes two values.", fields=[label])
            checked.append((name, operator, len(many) if several else 1))
            start = len(values)
            values |= {f"having_{start + n}": one for n, one in enumerate(many)}
        return Groups(self.model, self.by, self.measures, self.sort, tuple(checked)), values

    def select(self, base: Select[Any]) -> Select[Any]:
        """Return the statement that reckons over the rows of another."""
        joined = _Joined(self.model)
        by = [joined.column(_field(self.model, field)) for field in self.by]
        results = {
            name: joined.measure(measure_of(self.model, label)) for name, label in self.measures
        }
        named = {**dict(zip(self.by, by, strict=True)), **results}
        statement: Any = base.with_only_columns(
            *[expression.label(f"c{n}") for n, expression in enumerate(named.values())],
            maintain_column_froms=True,
        )
        for step in joined.steps:
            statement = statement.outerjoin(step)
        rest = [name for name in self.by if not {name, f"-{name}"} & set(self.sort)]
        for name in (*self.sort, *rest):
            expression = named[name.removeprefix("-")]
            null = expression.is_(None)
            down = name.startswith("-")
            order = (null.desc(), expression.desc()) if down else (null.asc(), expression.asc())
            statement = statement.order_by(*order) if self.by else statement
        grouped: Select[Any] = statement.group_by(*by).having(*self._having(results))
        return grouped

    def _having(self, results: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
        found = []
        number = 0
        for name, operator, size in self.having:
            expression = results[name]
            sent = [
                bindparam(f"having_{number + n}", type_=unrounded(expression.type))
                for n in range(size or 0)
            ]
            number += size or 0
            several = OPERATORS[operator].takes in ("list", "pair")
            value: Any = None if size is None else sent if several else sent[0]
            found.append(OPERATORS[operator].build(expression, value))
        return found

    def convert(self, row: Any) -> dict[str, Any]:
        """Return a row of the statement as typed values by name."""
        width = len(self.by)
        values = dict(zip(self.by, row[:width], strict=True))
        for (name, label), value in zip(self.measures, row[width:], strict=True):
            values[name] = measure_of(self.model, label).convert(value)
        return values


class _Joined:
    """The to-one relations that a statement joins, each once."""

    def __init__(self, model: type[SQLModel]) -> None:
        self.model = model
        self.steps: list[Any] = []
        self._entities: dict[tuple[str, ...], Any] = {(): model}

    def column(self, field: Compared) -> Any:
        return getattr(self.entity(field), field.name)

    def measure(self, measure: Measure) -> ColumnElement[Any]:
        field = measure.field
        single = field is not None and _to_one(field)
        return measure.expression(self.entity(field) if field and single else self.model)

    def entity(self, field: Compared) -> Any:
        path: tuple[str, ...] = ()
        for relation, _ in field.along:
            here, path = self._entities[path], (*path, relation.key)
            if path not in self._entities:
                target: Any = aliased(relation.property.mapper.class_)
                self._entities[path] = target
                self.steps.append(getattr(here, relation.key).of_type(target))
        return self._entities[path]


@cached
def measure_of(model: type[SQLModel], label: str) -> Measure:
    """Return what a label such as `price__sum` means; see `Measure.of`."""
    return Measure.of(model, label)


def _field(model: type[SQLModel], path: str) -> Compared:
    found = find(model, path)
    if found.steps or found.operator.name != "eq" or path.endswith("__eq"):
        raise FilterError(f"{path} is no field.", fields=[path])
    return found


def _to_one(field: Compared) -> bool:
    """Tell whether a path leads to one row at most: to keys, by foreign keys."""
    return all(
        not many
        and set(relation.property.remote_side)
        == set(mapper_of(relation.property.mapper.class_).primary_key)
        for relation, many in field.along
    )


_READ: Callable[[Any], TypeAdapter[Any]] = cached(TypeAdapter)


def _typed(label: str, value: Any, kind: Any) -> Any:
    try:
        read = _READ(kind).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise FilterError(f"{label}: {value!r} does not fit: {message}.", fields=[label]) from None
    for one in read if isinstance(read, list) else [read]:
        if isinstance(one, (int, float, Decimal)) and not -_BIG <= one < _BIG:
            raise FilterError(f"{label}: {value!r} is out of bounds.", fields=[label])
    return read
