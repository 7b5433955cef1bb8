"""What a column that must not be null holds in the rows that are there already.

Start at `filled` (going up) and `refilled` (coming back).
"""

import enum
import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from alembic.operations import MigrateOperation, ops
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Time,
    Uuid,
    text,
)

from sqlmodelkit.columns import plain_type
from sqlmodelkit.errors import ConfigError

from .asking import Asked
from .operations import FillNulls

Steps = list[MigrateOperation]
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def filled(steps: Iterable[MigrateOperation], asked: Asked, metadata: MetaData) -> Steps:
    """Return steps that also hold on a table with rows.

    A new column that must not be null comes with a value for the rows that are there, as a server
    default that is taken away again. Nulls of a column that must not have any more are replaced
    if a value was named.

    Raises:
        ConfigError: A new column must not be null, and there is no value for it.
    """
    result: Steps = []
    for step in steps:
        if not isinstance(step, ops.ModifyTableOps):
            result.append(step)
            continue
        afterwards: Steps = []
        for inner in step.ops:
            if isinstance(inner, ops.AddColumnOp) and _needs_value(inner.column):
                value = _value(inner, asked)
                afterwards.append(_with_default(inner, value))
            elif isinstance(inner, ops.AlterColumnOp) and inner.modify_nullable is False:
                result += _update(inner, asked, metadata)
        result.append(step)
        if afterwards:
            result.append(ops.ModifyTableOps(step.table_name, afterwards, schema=step.schema))
    return result


def refilled(steps: Iterable[MigrateOperation]) -> Steps:
    """Return steps that bring columns back, whose values are gone, on a table with rows.

    They hold an empty value of their type, or null where all rows must differ or must refer to
    another row.
    """
    result: Steps = []
    for step in steps:
        result.append(step)
        if not isinstance(step, ops.ModifyTableOps):
            continue
        bound = _bound(step)
        afterwards: Steps = []
        for inner in step.ops:
            if not (isinstance(inner, ops.AddColumnOp) and _needs_value(inner.column)):
                continue
            value = _neutral(inner.column.type)
            if value is None or inner.column.name in bound:
                inner.column.nullable = True
            else:
                afterwards.append(_with_default(inner, value))
        if afterwards:
            result.append(ops.ModifyTableOps(step.table_name, afterwards, schema=step.schema))
    return result


def _needs_value(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _value(step: ops.AddColumnOp, asked: Asked) -> str:
    name = f"{step.table_name}.{step.column.name}"
    if name in asked.fill:
        return literal(step.column, asked.fill[name])
    default: Any = step.column.default
    if default is not None and default.is_scalar:
        return literal(step.column, default.arg)
    raise ConfigError(
        f"The new column {name} must not be null, and nothing says what it holds in the rows that "
        "are there.",
        hint=f"Say --fill {name}=VALUE, or give it a default, or let it be null.",
    )


def _with_default(step: ops.AddColumnOp, value: str) -> ops.AlterColumnOp:
    """Give a new column a server default, and return the step that takes it away again."""
    column = step.column
    column.server_default = None
    step.column = Column(column.name, column.type, nullable=False, server_default=text(value))
    step.column.comment = column.comment
    return ops.AlterColumnOp(
        step.table_name,
        column.name,
        schema=step.schema,
        existing_type=column.type,
        existing_nullable=False,
        modify_server_default=None,
    )


def _update(step: ops.AlterColumnOp, asked: Asked, metadata: MetaData) -> Steps:
    name = f"{step.table_name}.{step.column_name}"
    if name not in asked.fill:
        return []
    column = metadata.tables[step.table_name].columns[step.column_name]
    value = literal(column, asked.fill[name])
    return [FillNulls(step.table_name, step.column_name, value)]


def literal(column: Column[Any], value: Any) -> str:
    """Return a value as SQL, alike for every engine.

    Raises:
        ConfigError: It does not fit the column.
    """
    try:
        return _literal(plain_type(column.type), value)
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"{value!r} is no value of {column.name}, which is {column.type!r}.",
            hint="Write it as SQL has it: 18, 2.50, true, 2026-01-31, 2026-01-31 08:30:00.",
        ) from error


def _literal(kind: Any, value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.name if isinstance(kind, Enum) else value.value
    if isinstance(kind, JSON):
        return quoted(json.dumps(json.loads(value) if isinstance(value, str) else value))
    text = str(value)
    if isinstance(kind, LargeBinary) or (isinstance(kind, Enum) and text not in kind.enums):
        raise ValueError(text)
    write = next((write for known, write in _WAYS if isinstance(kind, known)), quoted)
    return write(text)


def _number(text: str) -> str:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return str(number)


def _boolean(text: str) -> str:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return "true" if _BOOLEANS[text.lower()] else "false"


def quoted(value: str) -> str:
    """Return a text as SQL in which a colon names no parameter."""
    escaped = value.replace("'", "''").replace(":", "\\:")
    return f"'{escaped}'"


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return quoted(moment.replace(tzinfo=None).isoformat(" "))


_WAYS: tuple[tuple[Any, Callable[[str], str]], ...] = (
    (Boolean, _boolean),
    (Integer, lambda text: str(int(text))),
    (Numeric, _number),
    (Float, _number),
    (DateTime, _moment),
    (Date, lambda text: quoted(date.fromisoformat(text).isoformat())),
    (Time, lambda text: quoted(time.fromisoformat(text).isoformat())),
    (Uuid, lambda text: quoted(UUID(text).hex)),
)


def _neutral(kind: Any) -> str | None:
    kind = plain_type(kind)
    match kind:
        case Enum():
            return quoted(kind.enums[0])
        case Boolean():
            return "false"
        case Integer() | Numeric() | Float():
            return "0"
        case DateTime():
            return "'1970-01-01 00\\:00\\:00'"
        case Date():
            return "'1970-01-01'"
        case String():
            return "''"
    return None


def _bound(step: ops.ModifyTableOps) -> set[str]:
    """Return the columns that a unique or a foreign key is made for."""
    names: set[str] = set()
    for inner in step.ops:
        if isinstance(inner, ops.CreateForeignKeyOp):
            names |= set(inner.local_cols)
        elif isinstance(inner, ops.CreateUniqueConstraintOp) or (
            isinstance(inner, ops.CreateIndexOp) and inner.unique
        ):
            names |= {str(getattr(each, "name", each)) for each in inner.columns}
    return names
