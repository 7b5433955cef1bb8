"""Random histories on every engine; `python -m tests.conformance` runs as many as one likes."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import text

from sqlmodelkit import Database

from .ledger import TABLES
from .machine import ServiceMachine

RUNS = 500
STEPS = 10


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all histories of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.slow
def test_a_service_is_a_ledger(database_url: str, runner: asyncio.Runner) -> None:
    """Whatever is done to it, in whatever units of work and savepoints."""
    compare(database_url, runner, runs=RUNS, derandomize=True)


def compare(url: str, runner: asyncio.Runner, *, runs: int, derandomize: bool) -> None:
    """Run random histories on a database, and raise with the shortest one that differs."""
    database = Database(url)
    runner.run(_prepare(database))
    machine = type("Machine", (ServiceMachine,), {"database": database, "runner": runner})
    options = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=derandomize,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=options)
    finally:
        runner.run(_commit_quickly(database, "on"))
        runner.run(database.close())


async def _prepare(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(TABLES[0].metadata.create_all, tables=TABLES)
    await _commit_quickly(database, "off")
    await database.close()


async def _commit_quickly(database: Database, synchronous: str) -> None:
    """Do not wait for the disk: this is about what is stored, not about power cuts."""
    if database.engine.dialect.name == "postgresql":
        name = database.engine.url.database
        async with database.engine.begin() as connection:
            setting = f'ALTER DATABASE "{name}" SET synchronous_commit = {synchronous}'
            await connection.execute(text(setting))
