"""In what order, and which part: sorts and offset pages. Ring 2.

Start at `Page` and `order_by`.
"""

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, Column, LargeBinary, UnaryExpression
from sqlalchemy.orm import QueryableAttribute
from sqlmodel import SQLModel

from .columns import cached, columns_of, key_of
from .errors import ConfigError, PageError, SortError

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_OFFSET = 100_000
MAX_SORTS = 8

Count = Literal["exact", "none", "capped", "estimated"]
"""How a page is counted: `exact` asks for the number of all matching rows, `none` does not,
`capped` counts up to a bound, `estimated` asks PostgreSQL's planner."""

TotalIs = Literal["exact", "at_least", "estimate"]
"""What a total is: the number of matching rows, a number that they exceed, or a guess."""

COUNT_CAP = 10_000
"""The most rows that a capped count counts."""

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A part of the rows that match, and how many match in all."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    total: int | None = Field(description="Matching rows in all; null when not counted.")
    limit: int = Field(description="The most rows that this page may have.")
    offset: int = Field(description="Matching rows before this page.")


class CountedPage(Page[T], Generic[T]):
    """A page whose total need not be exact, and says what it is; `capped` and `estimated` answer it."""

    total_is: TotalIs = Field(
        description="Whether the total is exact, a number that is exceeded, or an estimate."
    )


class CursorPage(BaseModel, Generic[T]):
    """Rows that follow a place in the order, and the places where they begin and end."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    limit: int = Field(description="The most rows that this page may have.")
    next: str | None = Field(description="The cursor of the page after this one; null at the end.")
    previous: str | None = Field(
        description="The cursor of the page before this one; null at the start."
    )


@cached
def sort_fields(model: type[SQLModel], sort: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Check a sort such as `-price,name`, and return its parts.

    Args:
        model: The table model.
        sort: Field names, `-` before those that descend; a tuple, or one text with commas.

    Raises:
        SortError: A field is unknown or named twice.
    """
    names = _sort_names(sort)
    choice = [name for name, column in columns_of(model).items() if sortable(column)]
    fields = [name.removeprefix("-") for name in names]
    for field in fields:
        if field not in choice:
            raise SortError(
                f"{model.__name__} cannot be sorted by {field!r}.",
                hint=f"Fields are {', '.join(choice)}.",
                fields=[field],
            )
        if fields.count(field) > 1:
            raise SortError(f"The sort names {field!r} twice.", fields=[field])
    return tuple(names)


def order_by(
    model: type[SQLModel], sort: str | Sequence[str] | None, *, dialect: str = "postgresql"
) -> list[Any]:
    """Turn `-price,name` into ORDER BY expressions that end in the key.

    NULLs come last in ascending and first in descending order, as in PostgreSQL, on every
    database. The key at the end makes the order total: without it, pages may repeat or miss rows.

    Args:
        model: The table model.
        sort: Field names, `-` before those that descend; a list, or one text with commas.
        dialect: The database's name.

    Raises:
        SortError: A field is unknown or named twice.
    """
    names = sort_fields(model, sort if sort is None or isinstance(sort, str) else tuple(sort))
    known = columns_of(model)
    expressions: list[Any] = []
    for name in names:
        field = name.removeprefix("-")
        expressions += _direction(
            getattr(model, field),
            descending=name.startswith("-"),
            nulls=bool(known[field].nullable) and dialect != "postgresql",
        )
    sorted_by = {name.removeprefix("-") for name in names}
    return [
        *expressions,
        *(getattr(model, name) for name in key_of(model) if name not in sorted_by),
    ]


def sortable(column: Column[Any]) -> bool:
    """Tell whether rows can be sorted by a column: not by JSON or bytes."""
    return not isinstance(column.type, (JSON, LargeBinary))


def _sort_names(sort: str | Sequence[str] | None) -> list[str]:
    if sort is None:
        return []
    names = sort.split(",") if isinstance(sort, str) else list(sort)
    names = [name.strip() for name in names]
    if len(names) > MAX_SORTS:
        raise SortError(f"The sort names more than {MAX_SORTS} fields.")
    if not all(names):
        raise SortError("The sort has an empty name.", hint="Write it as -price,name.")
    return names


def _direction(
    attribute: QueryableAttribute[Any], *, descending: bool, nulls: bool
) -> list[UnaryExpression[Any]]:
    is_null = attribute.is_(None)
    if descending:
        return [*([is_null.desc()] if nulls else []), attribute.desc()]
    return [*([is_null.asc()] if nulls else []), attribute.asc()]


def is_approximate(count: str) -> bool:
    """Tell whether pages counted so need not be exact, and so are `CountedPage`.

    Raises:
        ConfigError: There is no such way to count.
    """
    if count not in get_args(Count):
        raise ConfigError(
            f"There is no way to count by {count!r}.",
            hint=f"Ways are {', '.join(get_args(Count))}.",
        )
    return count in ("capped", "estimated")


def check_page(limit: int, offset: int, *, max_limit: int = MAX_LIMIT) -> None:
    """Refuse a page that is too large, too far or negative.

    Raises:
        PageError: The error names `limit` or `offset` and its bounds.
    """
    if not 1 <= limit <= max_limit:
        raise PageError(
            f"limit is {limit}; it must be between 1 and {max_limit}.", fields=["limit"]
        )
    if not 0 <= offset <= MAX_OFFSET:
        raise PageError(
            f"offset is {offset}; it must be between 0 and {MAX_OFFSET}.",
            hint="Narrow the filter instead of paging that far.",
            fields=["offset"],
        )
