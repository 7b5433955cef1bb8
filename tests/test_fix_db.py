"""The promises of the database fixtures."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from sqlmodelkit import Database

from .own_servers import PostgreSQL
from .servers import Databases, Missing, empty, execute

COUNT_TABLES = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    "mysql": "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()",
}


async def tables(url: str) -> int:
    """Count the tables that a test finds."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.scalar(text(COUNT_TABLES[engine.dialect.name]))
    await engine.dispose()
    return int(found or 0)


async def leave_a_mess(url: str) -> None:
    """Leave two related tables and a row."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE parent (id int PRIMARY KEY)"))
        await connection.execute(
            text("CREATE TABLE child (id int PRIMARY KEY, up int REFERENCES parent (id))")
        )
        await connection.execute(text("INSERT INTO parent VALUES (1)"))
    await engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_gets_an_empty_database(database_url: str, turn: int) -> None:
    """What one test leaves, the next on this worker does not find."""
    assert 0 == await tables(database_url)
    await leave_a_mess(database_url)
    assert 2 == await tables(database_url)


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_driver_gets_an_empty_database(any_driver_url: str, turn: int) -> None:
    """The drivers for one server share a database, one after the other."""
    assert 0 == await tables(any_driver_url)
    await leave_a_mess(any_driver_url)


async def test_database_is_open_and_without_tables(database: Database, engine_name: str) -> None:
    """The `Database` of a test speaks to the engine in the test's id."""
    info = await database.ping()
    assert engine_name == {"mysql": "mariadb"}.get(info.dialect, info.dialect)
    assert 0 == await tables(database.engine.url.render_as_string(hide_password=False))


def test_new_databases_are_distinct(engine_name: str, new_database: Callable[[str], str]) -> None:
    """A database that outlasts a test is nobody else's."""
    assert new_database(engine_name) != new_database(engine_name)


@pytest.mark.db
@pytest.mark.parametrize("engine_name", ["postgresql", "mariadb"], indirect=True)
async def test_emptying_does_not_wait_for_an_open_transaction(database_url: str) -> None:
    """A connection that a test forgot cannot hold up the next test."""
    await leave_a_mess(database_url)
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT * FROM parent"))
        empty(database_url)
        await connection.invalidate()
    await engine.dispose()
    assert 0 == await tables(database_url)


@pytest.mark.db
def test_only_databases_of_tests_can_be_emptied(databases: Databases) -> None:
    """A name that no test run gives is refused, whoever asks."""
    server = databases.servers["postgresql"]
    assert not isinstance(server, Missing)
    with pytest.raises(ValueError, match="not a database that tests may empty"):
        empty(server.url)


@pytest.mark.db
def test_a_run_drops_its_databases_and_no_others(databases: Databases) -> None:
    """Another run's databases stay until they are a day old."""
    server = databases.servers["postgresql"]
    assert not isinstance(server, Missing)
    mine, other = (Databases(databases.servers, Databases.name_run()) for _ in range(2))
    old = Databases(databases.servers, "sqlmodelkit_test_00000001_00000000")
    names = [make_url(run.create("postgresql")).database for run in (mine, other, old)]
    mine.drop_all()
    left = {name for (name,) in execute(server.url, "SELECT datname FROM pg_database")}
    assert [False, True, False] == [name in left for name in names]
    other.drop_all()


@pytest.mark.db
@pytest.mark.slow
def test_own_postgresql_stops_and_comes_back(own_postgresql: PostgreSQL) -> None:
    """The address and the data are the same after a pause."""
    execute(own_postgresql.url, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (7)")
    own_postgresql.stop()
    with pytest.raises(OSError, match=r"refused|failed"):
        execute(own_postgresql.url, "SELECT 1")
    own_postgresql.start()
    assert 7 == execute(own_postgresql.url, "SELECT id FROM kept")[0][0]


@pytest.mark.slow
def test_a_server_ends_with_the_process_that_started_it() -> None:
    """A killed test run leaves neither a server nor its directory behind."""
    code = """
import os, signal
from tests.own_servers import PostgreSQL
server = PostgreSQL()
server.start()
print(server.directory, flush=True)
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert "" == done.stderr
    directory, port = done.stdout.split()
    eventually_gone(Path(directory))
    with pytest.raises(OSError, match=r"refused|failed"):
        execute(f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres", "SELECT 1")


def eventually_gone(directory: Path) -> None:
    """Wait for a directory's end; the server is given time to stop."""
    for _ in range(100):
        if not directory.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{directory} is still there")
