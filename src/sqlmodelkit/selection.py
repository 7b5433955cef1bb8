"""Which rows, in what order, and which part of them: what a reading verb asks for. Ring 4.

Start at `Selection`.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
)
from sqlmodel import SQLModel

from .cursors import Place
from .filters import Checked, Filter, check_filters, check_key
from .keysets import beyond, marks, place_values, total_order, turned
from .pages import order_by, sort_fields
from .scopes import UNSET, Scope
from .sessions import INCLUDE_DELETED, ONLY_LIVE

Lock = bool | Literal["nowait", "skip_locked"]
"""Whether to hold rows against other writers, and what to do about those that others hold."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a table model, by filters, order and part.

    Attributes:
        sort: Field names for the order; None where it does not matter.
        part: The most rows, and the rows to skip.
        after: The place after which the rows begin; the sort then ends in the key.
        limits: The scope of the unit of work.
    """

    model: type[SQLModel]
    filters: Checked
    dialect: str
    sort: tuple[str, ...] | None = None
    part: tuple[int, int] | None = None
    include_deleted: bool = False
    after: Place | None = None
    limits: Scope = UNSET

    @classmethod
    def of(
        cls,
        model: type[SQLModel],
        filters: Sequence[Filter],
        conditions: Mapping[str, Any],
        *,
        dialect: str,
        include_deleted: bool,
        limits: Scope = UNSET,
    ) -> "Selection":
        """Select the rows for which all filters hold, in no order.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        checked = check_filters(model, *filters, conditions=conditions, dialect=dialect)
        return cls(model, checked, dialect, include_deleted=include_deleted, limits=limits)

    @classmethod
    def of_key(
        cls,
        model: type[SQLModel],
        values: Mapping[str, Any],
        *,
        dialect: str,
        include_deleted: bool,
        limits: Scope,
    ) -> "Selection":
        """Select the row with this key.

        Raises:
            FilterError: A part of the key does not fit its column.
        """
        checked = check_key(model, values, dialect=dialect)
        return cls(model, checked, dialect, include_deleted=include_deleted, limits=limits)

    def ordered(
        self, sort: str | Sequence[str] | None, part: tuple[int, int] | None = None
    ) -> "Selection":
        """Return the same rows in an order that ends in the key, or a part of them.

        Raises:
            SortError: A field cannot be sorted by.
        """
        names = sort_fields(self.model, sort if isinstance(sort, str) else tuple(sort or ()))
        return replace(self, sort=names, part=part or self.part)

    def cut(self, limit: int, offset: int = 0) -> "Selection":
        """Return a part of the rows."""
        return replace(self, part=(limit, offset))

    def walked(self, sort: str | Sequence[str] | None, *, backward: bool = False) -> "Selection":
        """Return the same rows in an order by which they can be followed, or in the opposite one.

        Raises:
            SortError: A field cannot be sorted by.
        """
        names = sort_fields(self.model, sort if isinstance(sort, str) else tuple(sort or ()))
        order = total_order(self.model, names)
        return replace(self, sort=turned(order) if backward else order)

    def following(self, place: Place | None) -> "Selection":
        """Return the rows that follow a place in the order of `walked`; None is the start."""
        return replace(self, after=place)

    def marks(self) -> list[ColumnElement[Any]]:
        """Return what is selected besides to know the places of the rows."""
        return marks(self.model, self.sort or (), self.dialect)

    @property
    def key(self) -> Hashable:
        """The same for selections that share their SQL; None where it cannot be told."""
        if self.filters.key is None:
            return None
        return (
            self.filters.key,
            self.sort,
            self.part is None,
            None if self.after is None else (self.after.nulls, self.after.inclusive),
            self.include_deleted,
            self.limits.form,
        )

    @property
    def values(self) -> dict[str, Any]:
        """The values to be sent, by parameter."""
        values = self.filters.values
        if self.part is not None:
            values = {**values, "part_limit": self.part[0], "part_offset": self.part[1]}
        if self.after is not None:
            values = {**values, **place_values(self.after.values)}
        if self.limits.parameters:
            values = {**values, **self.limits.parameters}
        return values

    def select(self) -> Select[Any]:
        """Return the statement, with parameters in place of the values."""
        statement = select(self.model).where(*self.filters.expressions())
        if self.sort is not None:
            statement = statement.order_by(*order_by(self.model, self.sort, dialect=self.dialect))
        if self.after is not None:
            statement = statement.where(
                beyond(
                    self.model,
                    self.sort or (),
                    self.after.nulls,
                    inclusive=self.after.inclusive,
                    dialect=self.dialect,
                )
            )
        if self.part is not None:
            limit = bindparam("part_limit", type_=Integer)
            statement = statement.limit(limit).offset(bindparam("part_offset", type_=Integer))
        if self.include_deleted:
            return statement.execution_options(**{INCLUDE_DELETED: True})
        return statement

    def total(self) -> ColumnElement[Any]:
        """Return how many rows match in all, beside an aggregate of the part.

        A part that is not full ends at the last row, and the others need not be counted.
        """
        number, offset = func.count(), bindparam("part_offset", type_=Integer)
        last = number < bindparam("part_limit", type_=Integer)
        everything = replace(self, sort=None, part=None).select()
        counted = everything.with_only_columns(func.count(), maintain_column_froms=True)
        return case(
            (and_(last, or_(number > 0, offset == 0)), offset + number),
            else_=counted.scalar_subquery(),
        ).label("total")

    def scope(self, statement: Select[Any]) -> Select[Any]:
        """Keep a statement that is sent without a session in the session's scope."""
        statement = statement.options(*self.limits.options())
        if self.include_deleted:
            return statement.execution_options(**{INCLUDE_DELETED: True})
        return statement.options(ONLY_LIVE)
