"""Rows in hand: what a flush is about to write, seen by the rules of their tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import inspect
from sqlmodel import SQLModel

from sqlmodelkit.columns import relations_of

from .rules import Reference, rules_of
from .scope import Scope


def keep_new(scope: Scope, row: SQLModel) -> None:
    """Give a new row what the scope sets.

    Raises:
        ConfigError: The unit of work has no value for a rule of the table.
        InvalidValue: The row has another value than the scope's.
    """
    model = type(row)
    if scope.limits(model):
        given = {name: row.__dict__.get(name) for name in rules_of(model).values()}
        for name, value in scope.stamp(model, given).items():
            if given[name] is None and value is not None:
                setattr(row, name, value)


def changes(row: SQLModel) -> dict[str, Any]:
    """Return what a row was given since it was read, of the attributes that rules compare."""
    attributes = inspect(row).attrs
    return {
        name: row.__dict__.get(name)
        for name in rules_of(type(row)).values()
        if attributes[name].history.added
    }


def known(row: SQLModel) -> dict[str, Any] | None:
    """Return what a row has in the database of what rules compare; None when it is not known."""
    attributes = inspect(row).attrs
    found = {}
    for name in rules_of(type(row)).values():
        history = attributes[name].history
        before = history.deleted or history.unchanged
        if not before:
            return None
        found[name] = before[0]
    return found


def added_relatives(row: SQLModel) -> Iterator[SQLModel]:
    """Yield the stored rows that a row's relations have been given since it was read."""
    attributes = inspect(row).attrs
    for name in relations_of(type(row)):
        if name in row.__dict__:
            for relative in attributes[name].history.added or ():
                if relative is not None and inspect(relative).has_identity:
                    yield relative


def referring(row: SQLModel, reference: Reference) -> Mapping[str, Any]:
    """Return a row's foreign key; nothing where a relation is going to set it."""
    attributes = inspect(row).attrs
    if any(name in row.__dict__ and attributes[name].history.added for name in reference.relations):
        return {}
    return {name: row.__dict__.get(name) for name in reference.names}
