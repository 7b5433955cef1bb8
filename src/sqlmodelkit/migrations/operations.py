"""Steps of a migration that Alembic lacks: the values of an enum, on every engine.

Start at `ChangeEnum`. Migrations say `op.invoke(ChangeEnum(...))`.
"""

from collections.abc import Sequence
from typing import Any, Self

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Enum, inspect, text

from sqlmodelkit.errors import ConfigError

from .rendering import invoked


class CreateEnum(MigrateOperation):
    """Makes a type of PostgreSQL; nothing on other engines, where columns hold the values."""

    def __init__(self, name: str, values: Sequence[str]) -> None:
        """Say which type."""
        self.name = name
        self.values = list(values)

    def reverse(self) -> "DropEnum":
        """Return what undoes it."""
        return DropEnum(self.name, self.values)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("add_enum", self.name, self.values)


class DropEnum(MigrateOperation):
    """Drops a type of PostgreSQL that no column has any more."""

    def __init__(self, name: str, values: Sequence[str]) -> None:
        """Say which type, and the values that it had."""
        self.name = name
        self.values = list(values)

    def reverse(self) -> CreateEnum:
        """Return what undoes it."""
        return CreateEnum(self.name, self.values)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("remove_enum", self.name, self.values)


class RenameEnum(MigrateOperation):
    """Gives a type of PostgreSQL another name; nothing on other engines."""

    def __init__(self, old: str, new: str) -> None:
        """Say which type, and its new name."""
        self.old = old
        self.new = new

    def reverse(self) -> "RenameEnum":
        """Return what undoes it."""
        return RenameEnum(self.new, self.old)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("rename_enum", self.old, self.new)


class ChangeEnum(MigrateOperation):
    """Changes which values columns may hold; refused while a row has one that goes away."""

    def __init__(
        self, name: str, columns: Sequence[str], *, old: Sequence[str], new: Sequence[str]
    ) -> None:
        """Say which type, in which columns, from which values to which."""
        self.name = name
        self.columns = list(columns)
        self.old = list(old)
        self.new = list(new)

    def reverse(self) -> Self:
        """Return what undoes it."""
        return type(self)(self.name, self.columns, old=self.new, new=self.old)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("modify_enum", self.name, self.columns, self.old, self.new)

    def only_adds(self) -> bool:
        """Tell whether every value stays, in its order."""
        return [value for value in self.new if value in self.old] == self.old


class FillNulls(MigrateOperation):
    """Gives a column a value in the rows that have none."""

    def __init__(self, table_name: str, column_name: str, value: str) -> None:
        """Say which column, and the value as SQL."""
        self.table_name = table_name
        self.column_name = column_name
        self.value = value

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("fill_nulls", self.table_name, self.column_name, self.value)


@renderers.dispatch_for(CreateEnum)
def _render_create(autogen: Any, op: CreateEnum) -> str:
    return invoked(autogen, "CreateEnum", f"{op.name!r}, {op.values!r}")


@renderers.dispatch_for(DropEnum)
def _render_drop(autogen: Any, op: DropEnum) -> str:
    return invoked(autogen, "DropEnum", f"{op.name!r}, {op.values!r}")


@renderers.dispatch_for(RenameEnum)
def _render_rename(autogen: Any, op: RenameEnum) -> str:
    return invoked(autogen, "RenameEnum", f"{op.old!r}, {op.new!r}")


@Operations.implementation_for(RenameEnum)
def _rename(operations: Operations, op: RenameEnum) -> None:
    if operations.migration_context.dialect.name == "postgresql":
        old, new = (_quoted(operations, name) for name in (op.old, op.new))
        operations.execute(f"ALTER TYPE {old} RENAME TO {new}")


@renderers.dispatch_for(ChangeEnum)
def _render_change(autogen: Any, op: ChangeEnum) -> str:
    values = f"old={op.old!r}, new={op.new!r}"
    return invoked(autogen, "ChangeEnum", f"{op.name!r}, {op.columns!r}, {values}")


@renderers.dispatch_for(FillNulls)
def _render_fill(autogen: Any, op: FillNulls) -> str:
    return invoked(autogen, "FillNulls", f"{op.table_name!r}, {op.column_name!r}, {op.value!r}")


@Operations.implementation_for(FillNulls)
def _fill(operations: Operations, op: FillNulls) -> None:
    table, column = (_quoted(operations, name) for name in (op.table_name, op.column_name))
    operations.execute(f"UPDATE {table} SET {column} = {op.value} WHERE {column} IS NULL")  # noqa: S608


@Operations.implementation_for(CreateEnum)
def _create(operations: Operations, op: CreateEnum) -> None:
    if operations.migration_context.dialect.name == "postgresql":
        operations.execute(
            f"CREATE TYPE {_quoted(operations, op.name)} AS ENUM ({_list(op.values)})"
        )


@Operations.implementation_for(DropEnum)
def _drop(operations: Operations, op: DropEnum) -> None:
    if operations.migration_context.dialect.name == "postgresql":
        operations.execute(f"DROP TYPE {_quoted(operations, op.name)}")


@Operations.implementation_for(ChangeEnum)
def _change(operations: Operations, op: ChangeEnum) -> None:
    match operations.migration_context.dialect.name:
        case "postgresql" if op.only_adds():
            _add_values(operations, op)
        case "postgresql":
            _swap(operations, op)
        case "sqlite":
            _refuse_gone(operations, op)
        case _:
            _refuse_gone(operations, op)
            _modify(operations, op)


def _add_values(operations: Operations, op: ChangeEnum) -> None:
    """Add values without a lock on any table; a value can be used after the commit only."""
    with operations.get_context().autocommit_block():
        for place, value in enumerate(op.new):
            if value in op.old:
                continue
            where = (
                f" AFTER {_list(op.new[place - 1 : place])}"
                if place
                else (f" BEFORE {_list(op.old[:1])}" if op.old else "")
            )
            operations.execute(
                f"ALTER TYPE {_quoted(operations, op.name)}"
                f" ADD VALUE IF NOT EXISTS {_list([value])}{where}"
            )


def _swap(operations: Operations, op: ChangeEnum) -> None:
    """Replace the type: PostgreSQL cannot take a value away from one."""
    name, old = _quoted(operations, op.name), _quoted(operations, f"{op.name}__old")
    operations.execute(f"ALTER TYPE {name} RENAME TO {old}")
    operations.execute(f"CREATE TYPE {name} AS ENUM ({_list(op.new)})")
    for address in op.columns:
        table, column = (_quoted(operations, part) for part in address.rsplit(".", 1))
        default = _default(operations, address)
        if default is not None:
            operations.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
        operations.execute(
            f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {name} USING {column}::text::{name}"
        )
        if default is not None:
            operations.execute(
                f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT '{default}'::{name}"
            )
    operations.execute(f"DROP TYPE {old}")


def _default(operations: Operations, address: str) -> str | None:
    if operations.get_context().as_sql:
        return None
    table, column = address.rsplit(".", 1)
    found = {each["name"]: each for each in inspect(operations.get_bind()).get_columns(table)}
    default = found[column]["default"]
    return None if default is None else default.split("::")[0].strip("'")


def _modify(operations: Operations, op: ChangeEnum) -> None:
    for address in op.columns:
        table, column = address.rsplit(".", 1)
        if operations.get_context().as_sql:
            operations.alter_column(table, column, type_=Enum(*op.new, name=op.name))
            continue
        found = {each["name"]: each for each in inspect(operations.get_bind()).get_columns(table)}
        operations.alter_column(
            table,
            column,
            type_=Enum(*op.new, name=op.name),
            existing_nullable=found[column]["nullable"],
            existing_server_default=(
                text(str(found[column]["default"])) if found[column]["default"] else None
            ),
            existing_comment=found[column].get("comment"),
        )


def _refuse_gone(operations: Operations, op: ChangeEnum) -> None:
    gone = [value for value in op.old if value not in op.new]
    if not gone or operations.get_context().as_sql:
        return
    for address in op.columns:
        table, column = (_quoted(operations, part) for part in address.rsplit(".", 1))
        query = text(f"SELECT count(*) FROM {table} WHERE {column} IN ({_list(gone)})")  # noqa: S608
        rows = operations.get_bind().scalar(query)
        if rows:
            raise ConfigError(
                f"{rows} rows have one of {', '.join(gone)} in {address}, which would go away.",
                hint="Give these rows another value first.",
            )


def _quoted(operations: Operations, name: str) -> str:
    return operations.migration_context.dialect.identifier_preparer.quote(name)


def _list(values: Sequence[str]) -> str:
    quoted = (value.replace("'", "''") for value in values)
    return ", ".join(f"'{value}'" for value in quoted)
