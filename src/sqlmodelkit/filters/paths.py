"""What is compared: a field, along relations, perhaps inside a JSON column, and by which operator.

`team__name__ilike` goes along a relation. `facts__path__size__0__gte` goes into the JSON of
`facts`: an operator must end it, because a key of JSON cannot be told from a mistyped operator.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON, Column
from sqlalchemy.orm import QueryableAttribute
from sqlmodel import SQLModel

from sqlmodelkit.columns import cached, columns_of, key_of, relations_of
from sqlmodelkit.errors import FilterError

from .operators import JSON_OPERATORS, OPERATORS, Operator, operator_named, operators_of

MAX_DEPTH = 3
MAX_STEPS = 5
_STEP = re.compile(r"[^\W_][\w \-]{0,63}")
_INTO = "path"


@dataclass(frozen=True, slots=True)
class Compared:
    """What a value is compared with: the attribute, how, along which relations, and its name."""

    model: type[SQLModel]
    name: str
    operator: Operator
    label: str
    along: tuple[tuple[QueryableAttribute[Any], bool], ...] = ()
    steps: tuple[str | int, ...] = ()
    column: Column[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", columns_of(self.model)[self.name])


@cached
def find(model: type[SQLModel], label: str) -> Compared:
    """Return what a label such as `team__name__ilike` names.

    Raises:
        FilterError: There is no such field, relation or operator, or the path is too deep.
    """
    along: list[tuple[QueryableAttribute[Any], bool]] = []
    rest = label
    while True:
        columns, relations = columns_of(model), relations_of(model)
        inside = _inside(model, rest)
        if inside is not None:
            operator, steps = _steps(rest[len(inside) + len(_INTO) + 4 :], label)
            return Compared(model, inside, operator, label, tuple(along), steps)
        path, found = _split(rest, columns, relations)
        if found is None:
            raise _unknown(model, rest, label)
        if path in columns:
            break
        if len(along) == MAX_DEPTH:
            raise FilterError(
                f"{label} goes along more than {MAX_DEPTH} relations.", fields=[label]
            )
        along.append((getattr(model, path), bool(relations[path].uselist)))
        model, rest = relations[path].mapper.class_, rest[len(path) + 2 :]
    if found.name not in operators_of(columns[path]):
        raise _incomparable(columns[path], path, found, label)
    return Compared(model, path, found, label, tuple(along))


def _incomparable(column: Column[Any], path: str, found: Operator, label: str) -> FilterError:
    into = f" A value inside it can be compared as in {path}__{_INTO}__key__eq."
    return FilterError(
        f"{label}: {path} cannot be compared by {found.name}.",
        hint=f"It can by {', '.join(operators_of(column))}."
        + (into if isinstance(column.type, JSON) else ""),
        fields=[label],
    )


def _inside(model: type[SQLModel], rest: str) -> str | None:
    """Return the JSON column that a label goes into, None where it does not."""
    name, into, _ = rest.partition(f"__{_INTO}__")
    column = columns_of(model).get(name) if into and rest not in columns_of(model) else None
    return name if column is not None and isinstance(column.type, JSON) else None


def _steps(rest: str, label: str) -> tuple[Operator, tuple[str | int, ...]]:
    """Divide what follows `__path__` into an operator and the keys and positions before it."""
    *keys, last = rest.split("__")
    operator = operator_named(last)
    if operator is None or operator.name not in JSON_OPERATORS:
        raise FilterError(
            f"{label}: a path into JSON ends in an operator, {last!r} is none.",
            hint=f"Write {label}__eq, or another of {', '.join(JSON_OPERATORS)}.",
            fields=[label],
        )
    if not 1 <= len(keys) <= MAX_STEPS:
        raise FilterError(f"{label}: a path into JSON has 1 to {MAX_STEPS} steps.", fields=[label])
    for key in keys:
        if not _STEP.fullmatch(key) or (key.isdigit() and not (key.isascii() and len(key) < 7)):
            raise FilterError(
                f"{label}: {key[:70]!r} cannot be a step of a path into JSON.",
                hint="A step is a key of letters, digits, _ and -, or a position in a list.",
                fields=[label],
            )
    return operator, tuple(int(key) if key.isdigit() else key for key in keys)


def _split(
    name: str, columns: Collection[str], relations: Collection[str]
) -> tuple[str, Operator | None]:
    """Divide `price__lte` into column and operator, `team__name` into relation and the rest."""
    if name in columns:
        return name, OPERATORS["eq"]
    path, _, last = name.rpartition("__")
    if path in columns:
        return path, operator_named(last)
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
