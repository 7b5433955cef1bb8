"""Connections: missing drivers, files that other programs hold, and what is taken from the pool."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.util import greenlet_spawn

from sqlmodelkit import Database, DatabaseSettings
from sqlmodelkit.connections import LIVENESS, PATIENCE, create_engine
from sqlmodelkit.errors import ConfigError, ConnectionLost, SerializationFailure, Unavailable
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    create_world,
    is_postgresql,
    is_sqlite,
    like,
)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def read(database: Database) -> bytes:
    """Read by a statement that stands alone."""
    async with database.unit(reading=True) as unit:
        return await VolumeService(unit).all_json(into=VolumeDetail)


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql://127.0.0.1/shop", "asyncpg", "postgres"),
        ("mysql://127.0.0.1/shop", "asyncmy", "mysql"),
        ("mysql+aiomysql://127.0.0.1/shop", "aiomysql", "aiomysql"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, extra: str
) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigError, match=rf"{driver}.*Install sqlmodelkit\[{extra}\]"):
        Database(url)


def test_a_driver_that_cannot_send_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not by a TypeError of the first row that has some."""
    # What PyMySQL has there since 1.2.3, and aiomysql takes for a function.
    monkeypatch.setattr("aiomysql.connection.escape_bytes_prefixed", "DO NOT IMPORT THIS!!!")
    with pytest.raises(ConfigError, match=r"cannot send bytes.*Install sqlmodelkit\[aiomysql\]"):
        Database("mysql+aiomysql://127.0.0.1/shop")


def test_a_driver_that_cannot_be_loaded_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the reason, as when another package of the wrong release is beside it."""
    (tmp_path / "aiomysql.py").write_text("from pymysql import nothing_of_that_name")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "aiomysql"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"nothing_of_that_name.*sqlmodelkit\[aiomysql\]"):
        Database("mysql+aiomysql://127.0.0.1/shop")


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """SQLite says only that it cannot open the file."""
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'app.db'}")
    with pytest.raises(ConnectionLost, match=r"no directory .*nowhere.: make it"):
        await database.ping()
    (tmp_path / "nowhere").mkdir()
    await database.ping()
    await database.close()


def watched_sockets() -> int:
    """Count the sockets that the event loop reads."""
    loop: Any = asyncio.get_running_loop()
    return len(loop._selector.get_map())


@pytest.mark.slow
async def test_a_cancelled_connect_leaves_no_socket_behind(any_driver_url: str) -> None:
    """Whenever it is cancelled: what comes of it is closed, with or without a pool."""
    database = Database(any_driver_url)
    await database.ping()
    await database.close()
    before = watched_sockets()
    for number in range(120):
        task = asyncio.create_task(database.ping())
        await asyncio.sleep(number % 40 * 0.0002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()
    async with asyncio.timeout(5):
        while watched_sockets() > before:  # noqa: ASYNC110 - nothing tells when a socket is closed
            await asyncio.sleep(0.02)
    assert 0 == database.pool_status()["open"]


def hold(path: Path) -> sqlite3.Connection:
    """Lock a file that is not yet in WAL mode, as another program that has just started would."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE held (id INTEGER)")
    holder.execute("BEGIN EXCLUSIVE")
    return holder


async def test_the_switch_to_wal_waits_for_other_programs(tmp_path: Path) -> None:
    """Several that start together all get there."""
    path = tmp_path / "shared.db"
    holder = hold(path)
    database = Database(settings=DatabaseSettings(url=f"sqlite:///{path}", lock_timeout=0.01))
    waiting = asyncio.create_task(database.ping())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    holder.execute("COMMIT")
    assert "sqlite" == (await waiting).dialect
    await database.close()
    holder.close()


@pytest.mark.slow
async def test_the_switch_to_wal_does_not_wait_for_ever(tmp_path: Path) -> None:
    """It ends as an error after which one may try again."""
    path = tmp_path / "held.db"
    holder = hold(path)
    database = Database(settings=DatabaseSettings(url=f"sqlite:///{path}", lock_timeout=0.01))
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await database.ping()
    holder.execute("COMMIT")
    assert "sqlite" == (await database.ping()).dialect
    await database.close()
    holder.close()


async def test_who_listens_to_the_pool_may_wait(world: Database) -> None:
    """A listener that sends a statement of its own at each checkout gets its answer."""
    heard: list[Any] = []

    def checked_out(connection: Any, record: Any, proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        heard.append(cursor.fetchone()[0])
        cursor.close()

    event.listen(world._reader.sync_engine, "checkout", checked_out)
    assert [b"[]"] * 3 == [await read(world) for _ in range(3)]
    assert [1, 1, 1] == heard
    assert 0 == world.pool_status()["in_use"]


async def test_a_connection_in_doubt_is_not_taken_at_once(world: Database) -> None:
    """It has to be tested first, which takes an answer of the server; then it is."""
    await read(world)
    engine = world._reader.sync_engine
    liveness = world._reader.get_execution_options()[LIVENESS]
    before = world.pool_status()
    liveness.doubt()
    held = liveness.take(engine)
    # SQLite is in this process; nobody closes its connections.
    assert is_sqlite(world) == (held is not None)
    if held is not None:
        liveness.untouched(held)
        held.close()
    assert before == world.pool_status()
    await read(world)
    trusted = liveness.take(engine)
    # MySQL's drivers do not know whether their connection is closed, and are always asked.
    assert (is_sqlite(world) or is_postgresql(world)) == (trusted is not None)
    if trusted is not None:
        liveness.untouched(trusted)
        trusted.close()
    assert before == world.pool_status()


async def test_nothing_is_taken_at_once_that_has_to_be_connected(world: Database) -> None:
    """Neither from an empty pool, nor in place of a connection that was lost."""
    engine = world._reader.sync_engine
    liveness = world._reader.get_execution_options()[LIVENESS]
    await world.close()
    assert liveness.take(engine) is None
    await read(world)
    lost = await greenlet_spawn(engine.raw_connection)
    await greenlet_spawn(lost.invalidate)
    lost.close()
    assert liveness.take(engine) is None
    assert b"[]" == await read(world)
    assert 0 == world.pool_status()["in_use"]


@pytest.fixture
async def shared(tmp_path: Path, anyio_backend: str) -> AsyncIterator[tuple[Database, Any]]:
    """A database in a file, and a connection of another program that holds the lock on writing."""
    path = tmp_path / "shared.db"
    database = await create_world(
        Database(settings=DatabaseSettings(url=f"sqlite:///{path}", lock_timeout=30))
    )
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield database, other
    finally:
        other.close()
        await database.close()


async def add_in_transaction(database: Database) -> None:
    """Write in a transaction."""
    async with database.transaction() as session:
        session.add(Volume(title="Dune"))


async def add_alone(database: Database) -> None:
    """Write by a statement that stands alone."""
    async with database.unit() as unit:
        data = VolumeCreate(title="Dune")
        await VolumeService(unit).create_json(data, into=VolumePublic, last=True)


WRITES: list[Callable[[Database], Awaitable[None]]] = [add_in_transaction, add_alone]


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_waits_for_the_lock_of_another_program(
    shared: tuple[Database, Any], write: Callable[[Database], Awaitable[None]]
) -> None:
    """It is stored when the other one has ended."""
    database, other = shared
    waiting = asyncio.ensure_future(write(database))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    other.execute("COMMIT")
    await waiting
    async with database.session() as session:
        assert 1 == await VolumeService(session).count()


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_waits_for_another_program_can_be_cancelled(
    shared: tuple[Database, Any], write: Callable[[Database], Awaitable[None]]
) -> None:
    """At once, and not when the lock is free or the time is over; nothing is left of it."""
    database, other = shared
    for wait in (0.0, 0.01, 0.03, 0.1, 0.2):
        waiting = asyncio.ensure_future(write(database))
        await asyncio.sleep(wait)
        waiting.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([waiting])
        assert (True, 0) == (waiting.cancelled(), database.pool_status()["in_use"])
    other.execute("COMMIT")
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    await write(database)
    async with database.session() as session:
        assert 1 == await VolumeService(session).count()


@pytest.mark.parametrize("write", WRITES)
async def test_waiting_for_another_program_ends(
    shared: tuple[Database, Any], write: Callable[[Database], Awaitable[None]]
) -> None:
    """After the time that the settings say, as an error after which one may try again."""
    async with like(shared[0], lock_timeout=0.2) as database:
        with pytest.raises(SerializationFailure):
            await write(database)
        assert 0 == database.pool_status()["in_use"]


async def test_a_file_without_wal_leaves_waiting_to_sqlite(
    shared: tuple[Database, Any],
) -> None:
    """There a commit waits for readers too, and nobody else would wait for it."""
    database, other = shared
    other.execute("COMMIT")
    await database.close()
    other.execute("PRAGMA journal_mode = DELETE")
    options = database._options
    plain = [text for text in options.on_connect if "journal_mode" not in text]
    engine = create_engine(replace(options, on_connect=tuple(plain), patience=30.0))
    async with engine.connect() as connection:
        assert 30000 == await connection.scalar(text("PRAGMA busy_timeout"))
        assert PATIENCE not in connection.sync_connection.info  # type: ignore[union-attr]
    await engine.dispose()
