"""Generated tables, response models and rows: every way to read answers what FastAPI would.

`python -m tests.plan` runs as many cases as one likes, each time others.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from sqlmodelkit import Database
from tests.plan.generated import Example, compare, for_examples

ON_CI = 500
"""Cases that each engine is given."""


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def db(database_url: str, loop: asyncio.Runner) -> Iterator[Database]:
    """An empty database; every example makes its tables and drops them."""
    database = Database(database_url)
    yield database
    loop.run(database.close())


@pytest.mark.slow
def test_every_way_to_read_answers_what_fastapi_answers(
    engine_name: str, db: Database, loop: asyncio.Runner
) -> None:
    """Byte by byte, or a refusal where there is one, on every engine."""

    def check(example: Example) -> None:
        loop.run(compare(db, example))

    # Shrinking takes minutes: that is for `python -m tests.plan`, with what the failure names.
    for _ in for_examples(engine_name, ON_CI, 0, check, shrink=False):
        pass


def test_generated_classes_are_let_go() -> None:
    """Tables and mappers are collected after their example, however many examples there are."""
    before = _tables()
    with asyncio.Runner() as runner:
        db = Database("sqlite+aiosqlite://")

        def check(example: Example) -> None:
            runner.run(compare(db, example, lambda difference: None))

        for _ in for_examples("sqlite", 1, 0, check, shrink=False):
            pass
        runner.run(db.close())
    assert before >= _tables()


def _tables() -> int:
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, (Mapper, Table))]
    return sum(isinstance(each, Mapper) or each.name.startswith("g") for each in found)
