"""What a person asked for by name, and the refusal of what nobody asked for.

Start at `granted`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import MigrateOperation, ops

from sqlmodelkit.errors import ConfigError

from .conversions import ChangeType


@dataclass(frozen=True, slots=True)
class Asked:
    """What may go away, what has another name, and what fills empty places."""

    drop: Sequence[str]
    rename: Mapping[str, str]
    fill: Mapping[str, str]


def granted(steps: Iterable[MigrateOperation], asked: Asked) -> list[MigrateOperation]:
    """Return the steps, if all that go away were named; types change by steps of our own.

    Raises:
        ConfigError: A table or column would go away that was not named, or a name is wrong.
    """
    steps = list(steps)
    tables = [step.table_name for step in steps if isinstance(step, ops.DropTableOp)]
    columns: dict[str, list[str]] = {}
    for step in (each for each in steps if isinstance(each, ops.ModifyTableOps)):
        for inner in step.ops:
            if isinstance(inner, ops.DropColumnOp):
                added = [o.column.name for o in step.ops if isinstance(o, ops.AddColumnOp)]
                columns[f"{step.table_name}.{inner.column_name}"] = added
    for name in tables:
        if name not in asked.drop:
            raise ConfigError(
                f"The table {name} is in the database and in no model: it would be dropped with "
                "all its rows.",
                hint=f"Import the module of its model; or say --drop {name}, or "
                f"--rename {name}:NEW if it has another name now.",
            )
    for name, added in columns.items():
        if name not in asked.drop:
            other = f", or --rename {name}:{added[0]}" if added else ""
            raise ConfigError(
                f"The column {name} is in the database and in no model: it would be dropped with "
                "all its values.",
                hint=f"Say --drop {name}{other}.",
            )
    for name in asked.drop:
        if name not in columns and name not in tables:
            raise ConfigError(
                f"--drop {name}: there is nothing of that name to drop.",
                hint="Write a table as hero, a column as hero.name.",
            )
    return retyped(steps)


def retyped(steps: Iterable[MigrateOperation]) -> list[MigrateOperation]:
    """Return steps in which types change by steps of our own."""
    return [_with_types(step) for step in steps]


def _with_types(step: MigrateOperation) -> MigrateOperation:
    if not isinstance(step, ops.ModifyTableOps):
        return step
    inner: list[MigrateOperation] = []
    for each in step.ops:
        if isinstance(each, ops.AlterColumnOp) and each.modify_type is not None:
            changed = _changed(each, each.modify_type)
            inner.append(changed)
            each.modify_type, each.existing_type = None, changed.type_
            if not each.has_changes():
                continue
        inner.append(each)
    return ops.ModifyTableOps(step.table_name, inner, schema=step.schema)


def _changed(step: ops.AlterColumnOp, wanted: Any) -> ChangeType:
    found: Any = step.existing_type
    return ChangeType(
        step.table_name,
        step.column_name,
        wanted,
        existing_type=found,
        existing_nullable=bool(step.existing_nullable),
    )
