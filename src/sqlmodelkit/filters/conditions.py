"""What users write: conditions by keyword, and groups of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from sqlmodelkit.columns import unwritable
from sqlmodelkit.errors import FilterError

MAX_NESTING = 10
MAX_WORDS = 8
MIN_SEARCH = 2
MAX_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions joined by `all` or `any`, perhaps negated; made by `where` and its friends."""

    parts: tuple["Filter", ...] = ()
    conditions: tuple[tuple[str, Any], ...] = ()
    any: bool = False
    negated: bool = False


Filter = Where | ColumnElement[bool] | bool
"""A condition: what `where`, `any_of`, `all_of` and `not_` answer, or an SQLAlchemy expression.

`bool` is for type checkers, to whom `Hero.age >= 20` is one; a real bool is refused.
"""


EVERYTHING = Where()
"""Says nothing, so that every row matches."""


def where(**conditions: Any) -> Where:
    """Say which rows by keyword: `where(age__gte=20, team__name="A")`; all must hold."""
    return Where(conditions=tuple(conditions.items())) if conditions else EVERYTHING


def any_of(*filters: Filter) -> Where:
    """Match rows for which at least one of the filters holds; none, when there is no filter."""
    return Where(parts=filters, any=True)


def all_of(*filters: Filter) -> Where:
    """Match rows for which every one of the filters holds."""
    return Where(parts=filters)


def not_(*filters: Filter) -> Where:
    """Match rows for which the filters, taken together, do not hold."""
    return Where(parts=filters, negated=True)


def search(text: str, fields: Sequence[str]) -> Where:
    """Match rows in which each word of a text is found in one of the fields, whatever its case.

    `%` and `_` are ordinary characters; a field may be a path, as in `"team__name"`.

    Raises:
        FilterError: The text is too short, too long or of too many words, or there is no field.
    """
    if isinstance(fields, str) or not fields:
        raise FilterError("A search needs the fields to look in.", hint='Pass ("name",).')
    words = text.split()
    if sum(map(len, words)) < MIN_SEARCH:
        # An empty search would match every row.
        raise FilterError(f"A search needs at least {MIN_SEARCH} characters.", fields=["q"])
    if len(words) > MAX_WORDS or len(text) > MAX_TEXT:
        raise FilterError(
            f"A search has at most {MAX_WORDS} words and {MAX_TEXT} characters.", fields=["q"]
        )
    reason = unwritable(text)
    if reason is not None:
        raise FilterError(f"The search cannot be read: {reason}.", fields=["q"])
    return Where(parts=tuple(_found(word, tuple(fields)) for word in words))


def _found(word: str, fields: tuple[str, ...]) -> Where:
    return Where(conditions=tuple((f"{field}__icontains", word) for field in fields), any=True)


def count_conditions(filters: Collection[Filter], depth: int = 0) -> int:
    """Count the single conditions of filters, at every depth; a group in a group counts too.

    Raises:
        FilterError: Groups are nested too deeply.
    """
    if depth > MAX_NESTING:
        raise FilterError(f"Groups of conditions are more than {MAX_NESTING} deep.")
    return sum(
        max(len(part.conditions) + count_conditions(part.parts, depth + 1), depth > 0)
        if isinstance(part, Where)
        else 1
        for part in filters
    )
