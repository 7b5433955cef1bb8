"""Tables that are there already, as a new one refers to them.

Start at `find_relative`.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Column, ColumnElement, UniqueConstraint
from sqlalchemy.orm import class_mapper
from sqlmodel import SQLModel

from sqlmodelkit.columns import plain_type
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.scopes import rules_of

_SAMPLES = {
    "bool": "True",
    "date": "date(2026, 1, 31)",
    "datetime": "datetime(2026, 1, 31, 12, tzinfo=UTC)",
    "Decimal": 'Decimal("1.5")',
    "float": "1.5",
    "int": "1",
    "str": '"x"',
    "UUID": "uuid4()",
}
_SAMPLE_IMPORTS = {
    "date": ("datetime", "date"),
    "datetime": ("datetime", "datetime"),
    "Decimal": ("decimal", "Decimal"),
    "UUID": ("uuid", "uuid4"),
}


@dataclass(frozen=True, slots=True)
class Relative:
    """A table of the project that another one refers to."""

    model: type[SQLModel]
    root: Path

    @property
    def name(self) -> str:
        """The name of its class."""
        return self.model.__name__

    @property
    def module(self) -> str:
        """The module that defines it."""
        return self.model.__module__

    @property
    def file(self) -> str:
        """Its file, below the project's root."""
        path = Path(sys.modules[self.module].__file__ or "")
        return path.resolve().relative_to(self.root.resolve()).as_posix()

    @property
    def table(self) -> str:
        """The name of the table."""
        return str(class_mapper(self.model).local_table)

    @property
    def key(self) -> str:
        """The type of its key, as it stands in annotations.

        Raises:
            ConfigError: The key is not one column, a number or a UUID.
        """
        columns = class_mapper(self.model).primary_key
        kind = _python(columns[0]).__name__ if len(columns) == 1 else ""
        if kind not in ("int", "UUID") or columns[0].name != "id":
            raise ConfigError(
                f"{self.name} has no key `id`, a number or a UUID.", hint="Write it by hand."
            )
        return kind

    @property
    def brief(self) -> str | None:
        """The model that shows it inside others, when there is one."""
        name = f"{self.name}Brief"
        return name if hasattr(sys.modules[self.module], name) else None

    @property
    def scopes(self) -> list[str]:
        """The rules that limit its rows, by their names."""
        return list(rules_of(self.model))

    def required(self) -> Iterator[tuple[str, "Column[Any]"]]:
        """Return the columns that have to be given, with the names of their fields."""
        mapper = class_mapper(self.model)
        for column in mapper.columns:
            given = column.default is not None or column.server_default is not None
            counted = column.primary_key and _python(column) is int
            if not column.nullable and not given and not counted:
                yield mapper.get_property_by_column(column).key, column


def find_relative(name: str, root: Path) -> Relative:
    """Return a table of the project by the name of its class.

    Raises:
        ConfigError: There is none, or there are several.
    """
    found = {model for model in _below(SQLModel) if model.__name__ == name and _is_table(model)}
    if len(found) != 1:
        raise ConfigError(
            f"There {'is no' if not found else 'is more than one'} table {name}.",
            hint=f"Add it first: sqlmodelkit add resource {name} name:str.",
        )
    return Relative(found.pop(), root)


def by_table(table: Any, root: Path) -> Relative:
    """Return the class of a table."""
    found = {model for model in _below(SQLModel) if getattr(model, "__table__", None) is table}
    return Relative(found.pop(), root)


def sample(column: "Column[Any]") -> tuple[str, list[tuple[str, str]]]:
    """Return a value for a column as it stands in source, and what it needs."""
    enums = getattr(column.type, "enum_class", None)
    if enums is not None:
        return f"{enums.__name__}.{next(iter(enums)).name}", [(enums.__module__, enums.__name__)]
    kind = _python(column).__name__
    if kind == "str" and _is_unique(column):
        # Several rows of the table may be needed.
        length = getattr(column.type, "length", None)
        end = f"[:{length}]" if length and length < len(uuid4().hex) else ""
        return f"uuid4().hex{end}", [_SAMPLE_IMPORTS["UUID"]]
    wanted = [_SAMPLE_IMPORTS[kind]] if kind in _SAMPLE_IMPORTS else []
    if kind == "datetime":
        wanted.append(("datetime", "UTC"))
    return _SAMPLES.get(kind) or repr(_python(column)()), wanted


def _is_unique(column: "Column[Any]") -> bool:
    """Tell whether no two rows have the same value."""
    table: Any = column.table
    constraints = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    indexes = [each for each in table.indexes if each.unique]
    return any([column] == list(each.columns) for each in (*constraints, *indexes))


def _python(column: ColumnElement[Any]) -> type[Any]:
    """Return what a column's values are in Python, also where a type stands around another."""
    kind: type[Any] = plain_type(column.type).python_type
    return kind


def snake(name: str) -> str:
    """Return a class's name as that of a variable."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def plural(name: str) -> str:
    """Return the plural of a word in small letters."""
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    if re.search(r"(s|x|z|ch|sh|[^aeiou]o)$", name):
        return f"{name}es"
    return f"{name}s"


def _below(model: type[SQLModel]) -> Iterator[type[SQLModel]]:
    for inner in model.__subclasses__():
        yield inner
        yield from _below(inner)


def _is_table(model: type[SQLModel]) -> bool:
    return getattr(model, "__table__", None) is not None and "__mapper__" in vars(model)
