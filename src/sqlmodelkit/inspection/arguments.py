"""What a table has besides columns: keys, foreign keys, indexes and checks, as Python.

Start at `arguments_of`. What the naming convention would name the same is written at its field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    TextClause,
    UniqueConstraint,
)
from sqlmodel import SQLModel

from .fields import Imports
from .reading import Reading

_FIELD_RULES = {"CASCADE", "SET NULL", "RESTRICT"}


@dataclass(slots=True)
class TableArguments:
    """The arguments of a table: at its fields, by column, and in `__table_args__`."""

    at_fields: dict[str, dict[str, str]] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    imports: Imports = field(default_factory=set)

    def at(self, column: str, **arguments: str) -> None:
        """Add arguments to a field."""
        self.at_fields.setdefault(column, {}).update(arguments)

    def add(self, kind: str, *parts: str) -> None:
        """Add an item to `__table_args__`."""
        self.imports.add(("sqlalchemy", kind))
        self.items.append(f"{kind}({', '.join(parts)})")


def arguments_of(table: Table, reading: Reading) -> TableArguments:
    """Return what a table has besides its columns."""
    found = TableArguments()
    _primary_key(table, found)
    for key in sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys)):
        _foreign_key(key, found)
    uniques = [c for c in table.constraints if isinstance(c, UniqueConstraint)]
    for unique in sorted(uniques, key=lambda unique: tuple(unique.columns.keys())):
        _unique(unique, found)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        _index(index, found)
    for number, (name, condition) in enumerate(reading.checks[table.fullname], start=1):
        _check(table, name or f"check_{number}", condition, found)
    if table.comment:
        found.options["comment"] = repr(table.comment)
    if table.fullname in reading.partitioned:
        found.options["postgresql_partition_by"] = repr(reading.partitioned[table.fullname])
    if table.schema:
        found.options["schema"] = repr(table.schema)
    return found


def _primary_key(table: Table, found: TableArguments) -> None:
    key = table.primary_key
    name = None if key.name is None else str(key.name)
    if name not in (None, "PRIMARY", f"pk_{table.name}"):
        found.add("PrimaryKeyConstraint", *_quoted(key.columns.keys()), f"name={name!r}")


def _foreign_key(key: ForeignKeyConstraint, found: TableArguments) -> None:
    columns = list(key.column_keys)
    targets = [element.target_fullname for element in key.elements]
    options = {
        name: value
        for name in ("ondelete", "onupdate", "deferrable", "initially", "match")
        if (value := getattr(key, name)) is not None and value != "NO ACTION"
    }
    convention = _conventional(key.table, columns, ForeignKeyConstraint(columns, targets))
    plain = set(options) <= {"ondelete"} and options.get("ondelete", "CASCADE") in _FIELD_RULES
    if len(columns) == 1 and plain and key.name in (None, convention):
        found.at(columns[0], foreign_key=repr(targets[0]), **_reprs(options))
        return
    name = {} if key.name in (None, convention) else {"name": str(key.name)}
    written = [f"{option}={value}" for option, value in _reprs({**name, **options}).items()]
    found.add("ForeignKeyConstraint", _list(columns), _list(targets), *written)


def _unique(unique: UniqueConstraint, found: TableArguments) -> None:
    columns = list(unique.columns.keys())
    convention = _conventional(unique.table, columns, UniqueConstraint(*columns))
    options = _reprs(_dialect_options(unique))
    if unique.name in (None, convention):
        if len(columns) == 1 and not options:
            found.at(columns[0], unique="True")
            return
    else:
        options = {"name": repr(str(unique.name)), **options}
    found.add(
        "UniqueConstraint", *_quoted(columns), *(f"{name}={v}" for name, v in options.items())
    )


def _index(index: Index, found: TableArguments) -> None:
    table: Any = index.table
    columns = [part.name for part in index.expressions if isinstance(part, Column)]
    options = _reprs(_dialect_options(index))
    whole = len(columns) == len(index.expressions)
    plain = len(columns) == 1 and whole and not options and not index.unique
    if plain and index.name == _conventional(table, columns, Index(None, columns[0])):
        found.at(columns[0], index="True")
        return
    parts = []
    expressions: Any = index.expressions
    for part in expressions:
        if isinstance(part, Column):
            parts.append(repr(part.name))
        else:
            written = part.compile(compile_kwargs={"include_table": False})
            parts.append(f"text({str(written)!r})")
    if index.unique:
        options = {"unique": "True", **options}
    if any("text(" in part for part in (*parts, *options.values())):
        found.imports.add(("sqlalchemy", "text"))
    found.add("Index", repr(index.name), *parts, *(f"{name}={v}" for name, v in options.items()))


def _check(table: Table, name: str, condition: str, found: TableArguments) -> None:
    # The naming convention puts its own words before a name, unless it is said to be whole.
    prefix = f"ck_{table.name}_"
    written = repr(name.removeprefix(prefix))
    if not name.startswith(prefix) and not name.startswith("check_"):
        found.imports.add(("sqlalchemy.sql.naming", "conv"))
        written = f"conv({name!r})"
    found.add("CheckConstraint", repr(condition), f"name={written}")


def _conventional(table: Table, columns: list[str], item: Any) -> str | None:
    """Return the name that the naming convention gives a constraint or an index."""
    metadata = MetaData(naming_convention=SQLModel.metadata.naming_convention)
    Table(table.name, metadata, *(Column(name, Integer) for name in columns), item)
    return None if item.name is None else str(item.name)


def _dialect_options(item: Any) -> dict[str, Any]:
    return {name: value for name, value in item.dialect_kwargs.items() if _says_something(value)}


def _says_something(value: Any) -> bool:
    return isinstance(value, TextClause) or bool(value)


def _reprs(options: Mapping[str, Any]) -> dict[str, str]:
    return dict(_each(options))


def _each(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        condition = value.text if isinstance(value, TextClause) else value
        is_text = isinstance(value, TextClause) or name.endswith("_where")
        yield name, f"text({condition!r})" if is_text else repr(value)


def _quoted(names: Any) -> list[str]:
    return [repr(name) for name in names]


def _list(names: list[str]) -> str:
    return f"[{', '.join(map(repr, names))}]"
