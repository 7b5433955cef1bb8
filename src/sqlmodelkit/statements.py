"""Statements compiled once: a text for the driver, and how values get in and rows get out. Ring 1.

SQLAlchemy's own way to a statement's text is right and takes several times as long as the driver
needs to run a small one; here it is gone once for each form of a statement. Start at
`compile_statement`.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import ClauseElement, Dialect, Float, Numeric
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel.sql.sqltypes import UTCDateTime

from .errors import UNFIT, InvalidValue

Convert = Callable[[Any], Any]
T = TypeVar("T")

# What PostgreSQL calls its types: SQLAlchemy asks for them to tell decimals from floats.
_NUMERIC_OID = 1700
_FLOAT8_OID = 701


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement in the words of one database.

    Attributes:
        text: What the driver is given.
        parameters: In the driver's order: the name, the value when none is given, its conversion.
        results: What the driver gives that needs a conversion.
    """

    text: str
    parameters: tuple[tuple[str, Any, Convert | None], ...]
    results: tuple["Result", ...]

    def arguments(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return values by name as the driver takes them.

        Raises:
            InvalidValue: A column's type cannot take its value.
        """
        try:
            return tuple(
                [
                    values.get(name, constant)
                    if convert is None
                    else convert(values.get(name, constant))
                    for name, constant, convert in self.parameters
                ]
            )
        except UNFIT as error:
            raise InvalidValue("A value does not fit the type of its column.") from error

    def read(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Return the driver's rows with Python's values."""
        results = [result for result in self.results if result.needed(rows)]
        if not results:
            return rows
        read = [list(row) for row in rows]
        for result in results:
            position, convert = result.position, result.convert
            for row in read:
                row[position] = convert(row[position])
        return read


@dataclass(frozen=True, slots=True)
class Result:
    """How what the driver gives at a position becomes Python's value."""

    position: int
    convert: Convert
    is_time: bool

    def needed(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Tell whether the driver has not given the right values by itself.

        A driver gives the moments of a column with UTC as their zone, or without; asyncpg gives
        the first and the last one that Python knows without, which are its infinities.
        """
        if not self.is_time:
            return True
        try:
            for value in map(itemgetter(self.position), rows):
                if value is not None and value.tzinfo is not UTC:
                    return True
        except AttributeError:  # SQLite's driver gives texts
            return True
        return False


def compile_statement(
    statement: ClauseElement, dialect: Dialect, columns: Sequence[Any]
) -> Compiled:
    """Compile a statement for the driver of a dialect that has been connected once.

    Args:
        statement: Its parameters without a value are given by name at each execution.
        dialect: The engine's dialect.
        columns: What comes back, expressions in their order.
    """
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{type(statement).__name__} is not a statement with rows.")
    if compiled.insert_prefetch or compiled.update_prefetch:
        raise TypeError("The statement needs defaults that only SQLAlchemy can fill in.")
    missing = {name: None for name, bind in compiled.binds.items() if bind.required}
    state = compiled.construct_expanded_state(missing)
    converts = {name: _bind(bind.type, dialect) for name, bind in compiled.binds.items()}
    expanded = {
        part: converts[name] for name, parts in state.parameter_expansion.items() for part in parts
    }
    converts |= expanded
    return Compiled(
        state.statement,
        tuple((name, state.parameters[name], converts[name]) for name in state.positiontup or ()),
        tuple(
            Result(position, convert, isinstance(column.type, UTCDateTime))
            for position, column in enumerate(columns)
            if (convert := _result(column.type, dialect)) is not None
        ),
    )


def _bind(kind: Any, dialect: Dialect) -> Convert | None:
    convert: Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _result(kind: Any, dialect: Dialect) -> Convert | None:
    implementation = kind.dialect_impl(dialect)
    plain = getattr(implementation, "impl_instance", implementation)
    code = None
    if isinstance(plain, (Numeric, Float)):
        code = _FLOAT8_OID if isinstance(plain, Float) else _NUMERIC_OID
    convert: Convert | None = implementation.result_processor(dialect, code)
    return convert


class Latest(Generic[T]):
    """Keeps what was made last, by key, up to a number."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key; make it first when nothing is."""
        kept = self._kept
        try:
            found = kept[key]
        except KeyError:
            found = kept[key] = make()
            if len(kept) > self._size:
                kept.popitem(last=False)
        else:
            kept.move_to_end(key)
        return found
