"""Which rows, in what order, and which part of them: what a reading verb asks for. Ring 4.

Start at `Selection`.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select
from sqlmodel import SQLModel

from .filters import Checked, Filter, check_filters
from .pages import order_by, sort_fields
from .sessions import INCLUDE_DELETED, ONLY_LIVE


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a table model, by filters, order and part.

    Attributes:
        sort: Field names for the order; None where it does not matter.
        part: The most rows, and the rows to skip.
    """

    model: type[SQLModel]
    filters: Checked
    dialect: str
    sort: tuple[str, ...] | None = None
    part: tuple[int, int] | None = None
    include_deleted: bool = False

    @classmethod
    def of(
        cls,
        model: type[SQLModel],
        filters: Sequence[Filter],
        conditions: Mapping[str, Any],
        *,
        dialect: str,
        include_deleted: bool,
    ) -> "Selection":
        """Select the rows for which all filters hold, in no order.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
        """
        checked = check_filters(model, *filters, conditions=conditions, dialect=dialect)
        return cls(model, checked, dialect, include_deleted=include_deleted)

    def ordered(self, sort: str | Sequence[str] | None) -> "Selection":
        """Return the same rows in an order that ends in the key.

        Raises:
            SortError: A field cannot be sorted by.
        """
        names = sort_fields(self.model, sort if isinstance(sort, str) else tuple(sort or ()))
        return Selection(
            self.model, self.filters, self.dialect, names, self.part, self.include_deleted
        )

    def cut(self, limit: int, offset: int = 0) -> "Selection":
        """Return a part of the rows."""
        return Selection(
            self.model,
            self.filters,
            self.dialect,
            self.sort,
            (limit, offset),
            self.include_deleted,
        )

    @property
    def key(self) -> Hashable:
        """The same for selections that share their SQL; None where it cannot be told."""
        if self.filters.key is None:
            return None
        return (self.filters.key, self.sort, self.part is None, self.include_deleted)

    @property
    def values(self) -> dict[str, Any]:
        """The values to be sent, by parameter."""
        if self.part is None:
            return self.filters.values
        return {**self.filters.values, "part_limit": self.part[0], "part_offset": self.part[1]}

    def select(self) -> Select[Any]:
        """Return the statement, with parameters in place of the values."""
        statement = select(self.model).where(*self.filters.expressions())
        if self.sort is not None:
            statement = statement.order_by(*order_by(self.model, self.sort, dialect=self.dialect))
        if self.part is not None:
            limit = bindparam("part_limit", type_=Integer)
            statement = statement.limit(limit).offset(bindparam("part_offset", type_=Integer))
        if self.include_deleted:
            return statement.execution_options(**{INCLUDE_DELETED: True})
        return statement

    def scope(self, statement: Select[Any]) -> Select[Any]:
        """Keep a statement that is sent without a session in the session's scope."""
        return statement if self.include_deleted else statement.options(ONLY_LIVE)
