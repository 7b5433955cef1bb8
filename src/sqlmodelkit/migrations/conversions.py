"""Steps of a migration that change a column's type or name and keep what is in it.

Start at `ChangeType`. Migrations say `op.invoke(ChangeType(...))`.
"""

from typing import Any, Self

from alembic.autogenerate import renderers
from alembic.operations import MigrateOperation, Operations, ops
from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Numeric,
    String,
    cast,
    column,
    func,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.types import TypeEngine

from sqlmodelkit.columns import plain_type
from sqlmodelkit.errors import ConfigError

from .rendering import invoked, render_type

Kind = TypeEngine[Any]
_MYSQL_LENGTH = 255
_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")


class ChangeType(MigrateOperation):
    """Changes a column's type; refused while a value would be another one afterwards."""

    def __init__(
        self,
        table_name: str,
        column_name: str,
        type_: Kind,
        *,
        existing_type: Kind,
        existing_nullable: bool,
        lose: bool = False,
    ) -> None:
        """Say which column, from which type to which, and whether values may be lost."""
        self.table_name = table_name
        self.column_name = column_name
        self.type_ = type_
        self.existing_type = existing_type
        self.existing_nullable = existing_nullable
        self.lose = lose

    def reverse(self) -> Self:
        """Return what undoes it."""
        return type(self)(
            self.table_name,
            self.column_name,
            self.existing_type,
            existing_type=self.type_,
            existing_nullable=self.existing_nullable,
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("modify_type", None, self.table_name, self.column_name, {}, self.existing_type,
                self.type_)  # fmt: skip


class RenameColumn(MigrateOperation):
    """Renames a column, and what refers to it."""

    def __init__(self, table_name: str, old: str, new: str) -> None:
        """Say which column, and its new name."""
        self.table_name = table_name
        self.old = old
        self.new = new

    def reverse(self) -> "RenameColumn":
        """Return what undoes it."""
        return RenameColumn(self.table_name, self.new, self.old)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("rename_column", self.table_name, self.old, self.new)


class RenameTableOp(ops.RenameTableOp):
    """Renames a table, as Alembic's own step does, and can be undone."""

    def reverse(self) -> "RenameTableOp":
        """Return what undoes it."""
        return RenameTableOp(self.new_table_name, self.table_name)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as Alembic's own steps are told."""
        return ("rename_table", self.table_name, self.new_table_name)


@renderers.dispatch_for(RenameTableOp)
def _render_rename_table(autogen: Any, op: RenameTableOp) -> str:
    return f"op.rename_table({str(op.table_name)!r}, {op.new_table_name!r})"


@renderers.dispatch_for(ChangeType)
def _render_type(autogen: Any, op: ChangeType) -> str:
    arguments = (
        f"{op.table_name!r}, {op.column_name!r}, {render_type(op.type_, autogen)}, "
        f"existing_type={render_type(op.existing_type, autogen)}, "
        f"existing_nullable={op.existing_nullable}{', lose=True' if op.lose else ''}"
    )
    return invoked(autogen, "ChangeType", arguments)


@renderers.dispatch_for(RenameColumn)
def _render_rename(autogen: Any, op: RenameColumn) -> str:
    return invoked(autogen, "RenameColumn", f"{op.table_name!r}, {op.old!r}, {op.new!r}")


@Operations.implementation_for(RenameColumn)
def _rename(operations: Operations, op: RenameColumn) -> None:
    quote = operations.migration_context.dialect.identifier_preparer.quote
    operations.execute(
        f"ALTER TABLE {quote(op.table_name)} RENAME COLUMN {quote(op.old)} TO {quote(op.new)}"
    )


@Operations.implementation_for(ChangeType)
def _change_type(operations: Operations, op: ChangeType) -> None:
    offline = operations.get_context().as_sql
    if not (offline or op.lose or keeps(op.existing_type, op.type_)):
        _refuse_loss(operations, op)
    dialect = operations.migration_context.dialect
    found: dict[str, Any] = {"nullable": op.existing_nullable, "default": None}
    if not offline:
        columns = inspect(operations.get_bind()).get_columns(op.table_name)
        found = next({**each} for each in columns if each["name"] == op.column_name)
    if dialect.name == "postgresql":
        _change_on_postgresql(operations, op, found["default"])
        return
    moving = dialect.name == "sqlite" and _days_and_times(op)
    # SQLite would cast a date to the number of its year.
    reflecting = {"listeners": [("column_reflect", _reflected_as(op))]} if moving else {}
    with operations.batch_alter_table(op.table_name, reflect_kwargs=reflecting) as batch:
        batch.alter_column(
            op.column_name,
            type_=op.type_,
            existing_type=op.existing_type,
            existing_nullable=bool(found["nullable"]),
            existing_server_default=text(str(found["default"])) if found["default"] else None,
            existing_comment=found.get("comment"),
            existing_autoincrement=found.get("autoincrement") is True,
        )
    if moving:
        quote = dialect.identifier_preparer.quote
        name = quote(op.column_name)
        new = f"substr({name}, 1, 10)"
        if isinstance(plain_type(op.type_), DateTime):
            new = f"{name} || ' 00\\:00\\:00.000000'"
        operations.execute(f"UPDATE {quote(op.table_name)} SET {name} = {new}")  # noqa: S608


def _days_and_times(op: ChangeType) -> bool:
    """Tell whether days become times, or times days."""
    kinds = {type(plain_type(kind).as_generic()) for kind in (op.existing_type, op.type_)}
    return kinds == {Date, DateTime}


def _reflected_as(op: ChangeType) -> Any:
    def listen(inspector: Any, table: Any, found: Any) -> None:
        if found["name"] == op.column_name:
            found["type"] = op.type_

    return listen


def _change_on_postgresql(operations: Operations, op: ChangeType, default: Any) -> None:
    dialect = operations.migration_context.dialect
    quote = dialect.identifier_preparer.quote
    kind = op.type_.compile(dialect=dialect)
    start = f"ALTER TABLE {quote(op.table_name)} ALTER COLUMN {quote(op.column_name)}"
    # A sequence counts on in any kind of number.
    moved = default is not None and not str(default).startswith("nextval(")
    if moved:
        operations.execute(f"{start} DROP DEFAULT")
    between = "::text" if isinstance(op.existing_type, Enum) else ""
    operations.execute(f"{start} TYPE {kind} USING {quote(op.column_name)}{between}::{kind}")
    if moved:
        operations.execute(f"{start} SET DEFAULT ({default})::{kind}")


def _refuse_loss(operations: Operations, op: ChangeType) -> None:
    if isinstance(op.type_, JSON) or isinstance(op.existing_type, JSON):
        return
    value: Any = column(op.column_name, op.existing_type)
    if isinstance(op.existing_type, Enum) and isinstance(op.type_, Enum):
        # The names of its values are compared; PostgreSQL knows no way from one to another.
        value = cast(value, String)
        kept = cast(cast(value, op.type_), String)
    else:
        kept = cast(cast(value, op.type_), op.existing_type)
    if operations.migration_context.dialect.name == "mysql" and isinstance(op.type_, Enum):
        kept = value
    lost: Any = kept != value
    if operations.migration_context.dialect.name == "sqlite" and _days_and_times(op):
        lost = func.trim(func.substr(value, 11), " 0:.") != ""
    query = select(func.count()).select_from(table(op.table_name)).where(lost)
    rows = operations.get_bind().scalar(query)
    if rows:
        raise ConfigError(
            f"{rows} values of {op.table_name}.{op.column_name} would be lost as {op.type_!r}.",
            hint="Change them first, or write lose=True in the migration.",
        )


def keeps(found: Kind, wanted: Kind) -> bool:  # noqa: PLR0911 - a table of types
    """Tell whether every value of a type is the same in another."""
    found, wanted = plain_type(found), plain_type(wanted)
    if isinstance(wanted, String) and not isinstance(wanted, Enum):
        if wanted.length is None:
            return not isinstance(found, (Float, JSON))
        return isinstance(found, String) and (found.length or wanted.length + 1) <= wanted.length
    if isinstance(found, String):
        return False
    if isinstance(found, Integer) and isinstance(wanted, Integer):
        sizes = [_INTEGERS.index(_size(each)) for each in (found, wanted)]
        return sizes[0] <= sizes[1]
    if isinstance(found, Integer) and isinstance(wanted, Numeric):
        return wanted.precision is None or wanted.precision - (wanted.scale or 0) >= 19
    if isinstance(found, Boolean):
        return isinstance(wanted, (Boolean, Integer, Numeric))
    if isinstance(found, Date):
        return isinstance(wanted, (Date, DateTime))
    if isinstance(found, Numeric) and isinstance(wanted, Numeric):
        return _digits(found) <= _digits(wanted) and (found.scale or 0) <= (wanted.scale or 0)
    return type(found.as_generic()) is type(wanted.as_generic())


def _size(kind: Integer) -> str:
    name = type(kind.as_generic()).__name__.upper()
    return {"SMALLINTEGER": "SMALLINT", "BIGINTEGER": "BIGINT"}.get(name, "INTEGER")


def _digits(kind: Numeric[Any]) -> int:
    return 1000 if kind.precision is None else kind.precision - (kind.scale or 0)
