"""Which rows follow a row in a sort: keysets, where an offset would count. Ring 2.

A row's place is what it is sorted by, in the database's own words: as PostgreSQL prints it, or as
the drivers of the others give what is stored. Values of Python's could differ from those: SQLite
stores moments as texts of several forms, MariaDB answers six digits of a float. Start at
`total_order` and `beyond`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Enum,
    Float,
    Integer,
    Text,
    TypeDecorator,
    and_,
    bindparam,
    cast,
    false,
    or_,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.types import NullType
from sqlmodel import SQLModel

from .columns import columns_of, key_of, text_type
from .errors import SortError

MAX_TEXT = 1000
"""The most characters of a text that rows can follow: cursors stand in addresses."""

MAX_TEXT_MYSQL = 255
"""The same where ORDER BY looks at no more than the first 1,024 bytes (`max_sort_length`)."""

_ROW_VALUES = ("postgresql", "sqlite")
"""Where a comparison of rows is found in an index; MariaDB and MySQL read the whole table."""


def total_order(model: type[SQLModel], sort: Sequence[str]) -> tuple[str, ...]:
    """Return a sort that ends in the key, in the direction of what stands before it.

    With one direction throughout, an index over the sort serves the key too.
    """
    named = {name.removeprefix("-") for name in sort}
    sign = "-" if sort and sort[-1].startswith("-") else ""
    return (*sort, *(f"{sign}{name}" for name in key_of(model) if name not in named))


def turned(order: Sequence[str]) -> tuple[str, ...]:
    """Return the order from its end to its start."""
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in order)


def marks(model: type[SQLModel], order: Sequence[str], dialect: str) -> list[ColumnElement[Any]]:
    """Return what is selected of a row to know its place."""
    return [
        _Term.of(model, name, number, dialect).mark.label(f"mark_{number}")
        for number, name in enumerate(order)
    ]


def check_place(order: Sequence[str], values: Sequence[Any], dialect: str) -> None:
    """Refuse a place that rows cannot be found by.

    Raises:
        SortError: A text is too long.
    """
    most = MAX_TEXT if dialect in _ROW_VALUES else MAX_TEXT_MYSQL
    for name, value in zip(order, values, strict=True):
        if isinstance(value, str) and len(value) > most:
            field = name.removeprefix("-")
            raise SortError(
                f"A row has more than {most} characters in {field!r}: no page can begin there.",
                hint="Sort by a shorter field.",
                fields=[field],
            )


def place_values(values: Sequence[Any]) -> dict[str, Any]:
    """Return the parameters of `beyond` for a place."""
    return {f"place_{n}": value for n, value in enumerate(values) if value is not None}


def beyond(
    model: type[SQLModel],
    order: Sequence[str],
    nulls: Sequence[bool],
    *,
    inclusive: bool,
    dialect: str,
) -> ColumnElement[bool]:
    """Return the condition of the rows that follow a place; NULL is the greatest value.

    Args:
        model: The table model.
        order: What the rows are sorted by, the key included.
        nulls: Where the place has NULL.
        inclusive: Whether the row at the place belongs to them.
        dialect: The database's name.
    """
    terms = [_Term.of(model, name, number, dialect) for number, name in enumerate(order)]
    if dialect in _ROW_VALUES and _is_plain(terms, nulls):
        # The database goes straight to the place in an index over the order.
        ours: Any = tuple_(*(term.column for term in terms)) if terms[1:] else terms[0].column
        given: Any = tuple_(*(term.given for term in terms)) if terms[1:] else terms[0].given
        return _compared(ours, given, descending=terms[0].descending, inclusive=inclusive)
    return _lexicographic(terms, nulls, inclusive=inclusive)


def _is_plain(terms: Sequence["_Term"], nulls: Sequence[bool]) -> bool:
    """Tell whether a comparison of rows is the same: one direction, and no NULL that follows."""
    descending = terms[0].descending
    return (
        not any(nulls)
        and all(term.descending is descending for term in terms)
        # NULL comes first when descending, and compares as unknown: it does not follow.
        and (descending or not any(term.nullable for term in terms))
    )


def _lexicographic(
    terms: Sequence["_Term"], nulls: Sequence[bool], *, inclusive: bool
) -> ColumnElement[bool]:
    term, is_null = terms[0], nulls[0]
    if not terms[1:]:
        return term.follows(is_null, inclusive=inclusive)
    rest = _lexicographic(terms[1:], nulls[1:], inclusive=inclusive)
    # The first condition follows from the second, and is one that an index is good for.
    return and_(
        term.follows(is_null, inclusive=True), or_(term.follows(is_null, inclusive=False), rest)
    )


def _compared(ours: Any, given: Any, *, descending: bool, inclusive: bool) -> ColumnElement[bool]:
    if descending:
        answer: ColumnElement[bool] = ours <= given if inclusive else ours < given
    else:
        answer = ours >= given if inclusive else ours > given
    return answer


@dataclass(frozen=True, slots=True)
class _Term:
    """One column of an order.

    Attributes:
        column: What is compared, without the operators of its Python type.
        given: The parameter it is compared with.
        mark: What is selected to be given later.
    """

    column: ColumnElement[Any]
    given: ColumnElement[Any]
    mark: ColumnElement[Any]
    descending: bool
    nullable: bool

    @classmethod
    def of(cls, model: type[SQLModel], name: str, number: int, dialect: str) -> "_Term":
        field = name.removeprefix("-")
        attribute: Any = getattr(model, field)
        column = columns_of(model)[field]
        compared: ColumnElement[Any] = type_coerce(attribute, NullType())
        given, mark = _raw(number), compared
        if dialect == "postgresql":
            text = cast(bindparam(f"place_{number}", type_=Text()), Text())
            given = text if text_type(column) is not None else cast(text, column.type)
            mark = cast(attribute, Text())
        elif dialect != "sqlite":
            kind = _stored_type(column)
            if isinstance(kind, Enum) and kind.native_enum:
                # It is sorted by its number, but compared by its text.
                compared = mark = type_coerce(attribute, Integer()) + 0
            elif isinstance(kind, Float):
                mark = type_coerce(cast(attribute, Double()), NullType())
        return cls(compared, given, mark, name.startswith("-"), bool(column.nullable))

    def follows(self, is_null: bool, *, inclusive: bool) -> ColumnElement[bool]:
        """Return the condition of the rows that follow by this column alone."""
        if is_null:
            if self.descending:
                return true() if inclusive else self.column.is_not(None)
            return self.column.is_(None) if inclusive else false()
        answer = _compared(self.column, self.given, descending=self.descending, inclusive=inclusive)
        if self.nullable and not self.descending:
            return or_(answer, self.column.is_(None))
        return answer


def _raw(number: int) -> ColumnElement[Any]:
    return bindparam(f"place_{number}", type_=NullType())


def _stored_type(column: Column[Any]) -> Any:
    kind: Any = column.type
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind
