"""Foreign keys of tables that refer to each other, as steps of their own: no order serves them.

Start at `with_keys_after` and `with_keys_before`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import ForeignKeyConstraint, MetaData, Table

from sqlmodelkit.catalogs import parents_first, target_of

Steps = list[MigrateOperation]


def with_keys_after(steps: Iterable[MigrateOperation]) -> Steps:
    """Return steps in which no new table refers to one that is not there yet.

    Its foreign key is made when all tables are, by a step of its own.
    """
    steps = list(steps)
    made = set(keys_made(steps))
    later = [name for step in steps if isinstance(step, ops.CreateTableOp) for name in [_new(step)]]
    result: Steps = []
    after: Steps = []
    for step in steps:
        result.append(step)
        if not isinstance(step, ops.CreateTableOp):
            continue
        later.remove(_new(step))
        keys: list[Any] = [item for item in step.columns if _refers(item, later)]
        for key in keys:
            step.columns = [item for item in step.columns if item is not key]
            if (_new(step), key.name) not in made:
                create = ops.CreateForeignKeyOp.from_constraint(key)
                after.append(ops.ModifyTableOps(step.table_name, [create], schema=step.schema))
    return _inserted(result, after)


def _inserted(steps: Steps, after: Steps) -> Steps:
    """Put steps behind the last new table."""
    places = [number for number, step in enumerate(steps) if isinstance(step, ops.CreateTableOp)]
    place = places[-1] + 1 if places else 0
    return [*steps[:place], *after, *steps[place:]]


def keys_made(steps: Iterable[MigrateOperation]) -> Iterator[tuple[str, Any]]:
    """Yield the tables and names of foreign keys that steps of their own make."""
    for step in steps:
        if isinstance(step, ops.ModifyTableOps):
            table = _name(step.schema, step.table_name)
            for each in step.ops:
                if isinstance(each, ops.CreateForeignKeyOp):
                    yield table, each.constraint_name


def _refers(item: Any, names: list[str]) -> bool:
    return isinstance(item, ForeignKeyConstraint) and target_of(item) in names


def _new(step: ops.CreateTableOp) -> str:
    return _name(step.schema, step.table_name)


def _name(schema: str | None, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def with_keys_before(leaving: Steps, found: MetaData) -> Steps:
    """Return steps that drop tables, and before them foreign keys that no order serves.

    Args:
        leaving: What is done to tables that go away.
        found: These tables as they are.
    """
    order = [table.name for table in reversed(parents_first(found.tables.values()))]
    steps = sorted(leaving, key=lambda step: _place(order, step))
    keys = [
        ops.ModifyTableOps(table.name, [ops.DropConstraintOp.from_constraint(key)])
        for table in found.tables.values()
        for key in table.foreign_key_constraints
        if key.name is not None and _is_late(table, key, order)
    ]
    return [*keys, *steps]


def _place(order: list[str], step: Any) -> int:
    return order.index(step.table_name) if step.table_name in order else 0


def _is_late(table: Table, key: ForeignKeyConstraint, order: list[str]) -> bool:
    """Tell whether a table is dropped after the one that it refers to."""
    target = target_of(key)
    return target in order and order.index(target) < order.index(table.name)
