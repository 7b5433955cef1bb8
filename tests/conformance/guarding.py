"""Says which defect a test guards against; `python -m scripts.conformance` makes a page of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

TestT = TypeVar("TestT", bound=Callable[..., Any])

EVERY = ("SQLite", "PostgreSQL", "MariaDB")
FIXTURES = {"client", "database", "database_url", "shelf", "world"}
"""Fixtures that make a test run on every engine."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A defect, and where it was seen."""

    defect: str
    seen_in: str


def guards(defect: str, *, seen_in: str) -> Callable[[TestT], TestT]:
    """Say what a test guards against; a test may guard against several.

    Args:
        defect: What goes wrong elsewhere, in our words.
        seen_in: The library, or `recipes` for what tutorials and agent skills teach.
    """

    def mark(test: TestT) -> TestT:
        vars(test)["guards"] = (Guard(defect, seen_in), *guards_of(test))
        return test

    return mark


def guards_of(test: Callable[..., Any]) -> tuple[Guard, ...]:
    """Return what a test guards against."""
    found: tuple[Guard, ...] = vars(test).get("guards", ())
    return found
