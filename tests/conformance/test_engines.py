"""One import and one address give an engine that is right."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from sqlalchemy import text

from sqlmodelkit import Database, DatabaseSettings, ForeignKeyViolation
from sqlmodelkit.fastapi import crud_router
from tests.conformance.guarding import guards
from tests.world import (
    ChapterCreate,
    ChapterService,
    WriterCreate,
    WriterService,
    create_world,
)


@guards("The engine is given a pool for synchronous use, and fails at import.", seen_in="recipes")
async def test_an_address_is_enough(database_url: str) -> None:
    """The pool, its options and the driver follow from it."""
    database = Database(database_url)
    try:
        assert (await database.ping()).version
    finally:
        await database.close()


@guards("Pool sizes from the environment break an in-memory SQLite.", seen_in="recipes")
async def test_sqlite_in_memory_takes_pool_settings() -> None:
    """All connections see the same database."""
    database = Database(settings=DatabaseSettings(url="sqlite://", pool_size=3, max_overflow=2))
    try:
        await create_world(database)
        async with database.transaction() as session:
            await WriterService(session).create(WriterCreate(name="Ann"))
        async with database.session() as first, database.session() as second:
            counts = [await WriterService(session).count() for session in (first, second)]
        assert [1, 1] == counts
    finally:
        await database.close()


@guards("Importing the package connects, or reads settings that are not there.", seen_in="recipes")
def test_importing_and_declaring_connects_nothing(tmp_path: Path) -> None:
    """A database that is away is known at the first statement, not before."""
    code = (
        "from sqlmodelkit import Database; import sqlmodelkit.fastapi;"
        "Database('postgresql://nobody@192.0.2.1/nothing')"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)


@guards(
    "The package that lets SQLAlchemy wait is not required, and every await fails.",
    seen_in="recipes",
)
def test_what_sqlalchemy_needs_to_wait_is_required() -> None:
    """SQLAlchemy 2.1 does not bring greenlet by itself."""
    needed = [name for name in requires("sqlmodelkit") or [] if "extra ==" not in name]
    assert any(name.startswith("sqlalchemy[asyncio]") for name in needed)


@guards("The data layer raises HTTP errors, and so needs the web framework.", seen_in="recipes")
def test_the_data_layer_knows_no_web_framework(tmp_path: Path) -> None:
    """A worker or a script can use it alone."""
    code = (
        "import sys, sqlmodelkit;"
        "assert not {'fastapi', 'starlette'} & set(sys.modules), 'imported the web framework'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@guards(
    "SQLite does not enforce foreign keys, so a test of them passes by itself.", seen_in="recipes"
)
async def test_foreign_keys_are_enforced(world: Database) -> None:
    """On every connection of every engine."""
    async with world.transaction() as session:
        with pytest.raises(ForeignKeyViolation):
            async with session.savepoint():
                await ChapterService(session).create(ChapterCreate(volume_id=7, number=1))


@guards(
    "Generated query parameters use options that today's FastAPI has not, and fail.",
    seen_in="Advanced Alchemy",
)
def test_routers_are_made_with_the_installed_fastapi() -> None:
    """Every operation, with warnings as errors."""
    router = crud_router(WriterService, public=True)
    assert len(router.routes) >= 6


@guards(
    "A pooled connection is not given back after an error, until none is left.",
    seen_in="Advanced Alchemy",
)
async def test_connections_come_back_after_errors(world: Database) -> None:
    """Whatever went wrong inside."""
    for _ in range(20):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the way out is tested
            async with world.transaction() as session:
                await session.exec(text("SELECT 1"))  # type: ignore[call-overload]
                raise ZeroDivisionError
    assert 0 == world.pool_status()["in_use"]
