"""What a person should look at in a new migration: types, foreign keys, indexes, defaults.

Start at `review`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from alembic.operations import MigrateOperation, ops

from .conversions import ChangeType, RenameColumn, RenameTableOp, keeps
from .operations import ChangeEnum, CreateEnum, DropEnum, FillNulls, RenameEnum


@dataclass(frozen=True, slots=True)
class Note:
    """A thing to look at: what it is about, and what the migration does."""

    about: str
    text: str


def review(steps: Iterable[MigrateOperation]) -> tuple[Note, ...]:
    """Return what a migration does and what is lost on the way back, in its order."""
    flat: list[MigrateOperation] = []
    for step in steps:
        flat += step.ops if isinstance(step, ops.ModifyTableOps) else [step]
    return tuple(note for step in flat for note in _notes(step))


def _notes(step: Any) -> list[Note]:  # noqa: PLR0911, C901 - a table of steps
    match step:
        case ops.CreateTableOp():
            return [
                Note("table", f"new: {step.table_name}"),
                Note("downgrade", f"drops {step.table_name} with its rows"),
            ]
        case ops.DropTableOp():
            return [
                Note("table", f"dropped with its rows: {step.table_name}"),
                Note("downgrade", f"makes {step.table_name} again, without rows"),
            ]
        case ops.AddColumnOp():
            name = f"{step.table_name}.{step.column.name}"
            null = "may be null" if step.column.nullable else "must not be null"
            return [
                Note("column", f"new: {name}, {step.column.type!r}, {null}"),
                Note("downgrade", f"drops {name} with its values"),
            ]
        case ops.DropColumnOp():
            name = f"{step.table_name}.{step.column_name}"
            return [
                Note("column", f"dropped with its values: {name}"),
                Note("downgrade", f"makes {name} again, without its values"),
            ]
        case ChangeType():
            return [_type(step)]
        case ops.AlterColumnOp():
            return _altered(step)
        case RenameColumn():
            return [Note("column", f"renamed: {step.table_name}.{step.old} to {step.new}")]
        case RenameTableOp():
            return [Note("table", f"renamed: {step.table_name} to {step.new_table_name}")]
        case ops.CreateForeignKeyOp():
            columns = ", ".join(step.local_cols)
            text = f"new: {step.source_table}.{columns} to {step.referent_table}"
            return [Note("foreign key", text)]
        case ops.DropConstraintOp():
            return [Note(_kind(step), f"dropped: {step.constraint_name}")]
        case ops.CreateIndexOp():
            unique = "unique " if step.unique else ""
            return [Note("index", f"new: {unique}{step.index_name} on {step.table_name}")]
        case ops.DropIndexOp():
            return [Note("index", f"dropped: {step.index_name}")]
    return _rest(step)


def _rest(step: Any) -> list[Note]:
    match step:
        case ops.AddConstraintOp():
            return [Note("constraint", f"new: {step.to_constraint().name}")]
        case ChangeEnum():
            gone = [value for value in step.old if value not in step.new]
            new = [value for value in step.new if value not in step.old]
            told = "; ".join(
                f"{word} {', '.join(values)}"
                for word, values in (("new:", new), ("gone:", gone))
                if values
            )
            return [Note("enum", f"{step.name}: {told or 'another order'}")]
        case FillNulls():
            return [Note("null", f"{step.table_name}.{step.column_name} is {step.value} then")]
        case RenameEnum():
            return [Note("enum", f"renamed: {step.old} to {step.new}")]
        case DropEnum():
            return [Note("enum", f"dropped: {step.name}")]
        case CreateEnum():
            return [Note("enum", f"new: {step.name} ({', '.join(step.values)})")]
    return []


def _type(step: ChangeType) -> Note:
    name = f"{step.table_name}.{step.column_name}"
    if keeps(step.existing_type, step.type_):
        end = "keeps every value"
    else:
        end = "refused where a value would be lost"
    return Note("type", f"{name}: {step.existing_type!r} to {step.type_!r}, {end}")


def _altered(step: ops.AlterColumnOp) -> list[Note]:
    name = f"{step.table_name}.{step.column_name}"
    notes = []
    if step.modify_nullable is not None:
        told = "may be null" if step.modify_nullable else "must not be null; refused where it is"
        notes.append(Note("null", f"{name} {told}"))
    if step.modify_server_default is not False:
        default: Any = step.modify_server_default
        told = "none" if default is None else str(getattr(default, "arg", default))
        notes.append(Note("default", f"{name}: {told}"))
    return notes


def _kind(step: ops.DropConstraintOp) -> str:
    return "foreign key" if step.constraint_type == "foreignkey" else "constraint"
