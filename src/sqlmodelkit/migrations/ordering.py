"""The order of a migration's steps, so that each engine takes them, in both directions.

Start at `arranged`.
"""

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import MetaData, inspect

from .conversions import ChangeType
from .cycles import keys_made, with_keys_after, with_keys_before

Steps = list[MigrateOperation]
_FOREIGN = "foreignkey"


def with_keys_apart(steps: Iterable[MigrateOperation], connection: Any) -> Steps:
    """Return steps that drop an index only while no foreign key needs it, as MySQL asks."""
    steps = list(steps)
    made = set(keys_made(steps))
    result: Steps = []
    for step in steps:
        if isinstance(step, ops.ModifyTableOps):
            result += _modified(step, connection, made)
        else:
            result.append(step)
    return result


def arranged(steps: Iterable[MigrateOperation], connection: Any) -> Steps:
    """Return steps so that nothing is dropped that another one still needs.

    New tables come first, then changes, then tables that go away, those that refer to others
    before the others. Within a table foreign keys go first and come last.
    """
    steps = list(steps)
    gone = {step.table_name for step in steps if isinstance(step, ops.DropTableOp)}
    made = set(keys_made(steps))
    kept: Steps = []
    leaving: Steps = []
    for step in steps:
        if isinstance(step, ops.DropTableOp):
            leaving.append(step)
        elif isinstance(step, ops.ModifyTableOps):
            if step.table_name in gone:
                leaving.append(step)
            else:
                kept += _modified(step, connection, made)
        else:
            kept.append(step)
    return with_keys_after(kept) + _dropped(leaving, connection)


def without_needless(steps: Iterable[MigrateOperation]) -> Steps:
    """Return steps without those that drop an index of a table which is dropped right after.

    MySQL refuses them where a foreign key needs the index.
    """
    steps = list(steps)
    gone = {step.table_name for step in steps if isinstance(step, ops.DropTableOp)}
    return [step for step in steps if not _is_needless(step, gone)]


def _is_needless(step: MigrateOperation, gone: Collection[str]) -> bool:
    match step:
        case ops.DropIndexOp():
            return step.table_name in gone
        case ops.ModifyTableOps():
            # A foreign key goes first where tables refer to each other.
            step.ops = [each for each in step.ops if step.table_name not in gone or _is_key(each)]
            return not step.ops
    return False


def _is_key(step: MigrateOperation) -> bool:
    return isinstance(step, ops.DropConstraintOp) and step.constraint_type == _FOREIGN


def _dropped(leaving: Steps, connection: Any) -> Steps:
    names = [step.table_name for step in leaving if isinstance(step, ops.DropTableOp)]
    if len(names) > 1:
        found = MetaData()
        found.reflect(connection, only=names, resolve_fks=False)
        return with_keys_before(leaving, found)
    return leaving


def _modified(
    step: ops.ModifyTableOps, connection: Any, made: Collection[tuple[str, Any]]
) -> Steps:
    inner = list(step.ops)
    if connection is not None and connection.dialect.name in ("mysql", "mariadb"):
        # What is made by the steps is not there before them, whatever the database has now.
        names = {name for table, name in made if table == step.table_name}
        inner += _for_mysql(step.table_name, inner, connection, names)
    return grouped(step, sorted(inner, key=_rank))


def grouped(step: ops.ModifyTableOps, inner: Iterable[MigrateOperation]) -> Steps:
    """Return the steps of a table: Alembic's in batches, ours between them."""
    groups: Steps = []
    for ours, found in groupby(inner, key=lambda each: isinstance(each, ChangeType)):
        batch = list(found)
        groups += (
            batch if ours else [ops.ModifyTableOps(step.table_name, batch, schema=step.schema)]
        )
    return groups


def _rank(step: MigrateOperation) -> int:
    match step:
        case ops.DropConstraintOp() if _is_key(step):
            return 0
        case ops.DropConstraintOp() | ops.DropIndexOp():
            return 1
        case ops.AddColumnOp():
            return 2
        case ops.CreateForeignKeyOp():
            return 5
        case ops.CreateIndexOp() | ops.AddConstraintOp():
            return 4
        case ops.DropColumnOp():
            return 6
    return 3


def _for_mysql(table: str, steps: Steps, connection: Any, made: Collection[Any]) -> Steps:
    """Return further steps for indexes and foreign keys, which need each other on MySQL."""
    inspector = inspect(connection)
    if not inspector.has_table(table):
        return []
    keys = {each["name"]: each for each in inspector.get_foreign_keys(table)}
    indexes = {each["name"]: each for each in inspector.get_indexes(table)}
    dropped = {
        step.constraint_name
        for step in steps
        if isinstance(step, ops.DropConstraintOp) and step.constraint_type == _FOREIGN
    }
    more: Steps = []
    for name in dropped & set(indexes):
        # Made by the engine for the foreign key, and left behind by it.
        found = indexes[name]
        columns = [str(each) for each in found["column_names"]]
        index = ops.CreateIndexOp(str(name), table, columns, unique=bool(found["unique"]))
        more.append(index.reverse())
    leading = {
        str(getattr(index.expressions[0], "name", index.expressions[0]))
        for index in (step.to_index() for step in steps if isinstance(step, ops.DropIndexOp))
        if index.expressions
    }
    for name, key in keys.items():
        if name not in dropped and name not in made and key["constrained_columns"][0] in leading:
            more += _anew(table, key)
    return more


def _anew(table: str, key: Any) -> Steps:
    create = ops.CreateForeignKeyOp(
        key["name"],
        table,
        key["referred_table"],
        key["constrained_columns"],
        key["referred_columns"],
        **{
            name: value
            for name, value in key["options"].items()
            if name in ("ondelete", "onupdate")
        },
    )
    return [create.reverse(), create]
