"""What is measured in process, without HTTP: work that a program does by itself.

A task is a function of the same name in a module for each contender, `<area>_<contender>.py`. It is
an async context manager that connects, does once what only the first time costs, and yields what
is timed. A contender without that function cannot do it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Run = Callable[[], Awaitable[object]]
"""What is timed; its answer, a number or a page of rows as JSON, must be alike for all."""


PAGE = 50
"""Rows of a page."""

FAR = 19_000
"""How many rows come before the page that is far from the start."""


@dataclass(frozen=True)
class Task:
    """Work to measure.

    Attributes:
        name: The function's name.
        area: The first part of the modules' names.
        title: How it is called in the report.
        runs: How often it is timed in each round; the median counts.
        before: SQL to run before the contenders are measured.
        after: SQL to run after each time, for what would grow otherwise.
        finally_: SQL to run when all contenders have been measured.
    """

    name: str
    area: str
    title: str
    runs: int = 5
    before: str | None = None
    after: str | None = None
    finally_: str | None = None


WAYS = {
    "sqlmodelkit": "**sqlmodelkit**",
    "by_hand": "by hand: asyncpg",
    "fastcrud": "FastCRUD",
    "advanced_alchemy": "Advanced Alchemy",
}
"""The contenders, by the last part of the modules' names."""

TASKS: tuple[Task, ...] = (
    Task(
        "first_page",
        "reading",
        "First page of 50 by time",
        runs=100,
        before="CREATE INDEX hero_by_time ON hero (created_at, id)",
    ),
    Task("far_page", "reading", "Page of 50 after row 19,000 by time, with a cursor", runs=100),
    Task(
        "far_offset_page",
        "reading",
        "The same page by its offset",
        runs=100,
        finally_="DROP INDEX hero_by_time",
    ),
    Task("export", "reading", "20,000 rows as JSON Lines"),
    Task(
        "insert_many",
        "writing",
        "Insert of 10,000 rows",
        runs=3,
        after="DELETE FROM hero WHERE name LIKE 'bulk %'",
    ),
    Task(
        "upsert_many",
        "writing",
        "Upsert of 10,000 rows that are there, by a unique name (FastCRUD: by the key)",
        before="INSERT INTO team (name, headquarters) "
        "SELECT 'bulk ' || n, 'place' FROM generate_series(0, 9999) n",
        finally_="DELETE FROM team WHERE name LIKE 'bulk %'",
    ),
)
