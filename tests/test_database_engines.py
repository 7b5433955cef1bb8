"""What the engines are told really holds on their connections, and time is kept alike."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from sqlmodelkit import Database
from sqlmodelkit.errors import QueryTimeout, SerializationFailure, Unavailable
from tests.world import (
    Genre,
    Volume,
    VolumeService,
    VolumeUpdate,
    add_volume,
    create_world,
    is_mariadb,
    is_postgresql,
    is_sqlite,
    like,
)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def ask(database: Database, statement: str) -> Any:
    """Return the only value of a statement, from each of the database's pools alike.

    But for how long SQLite's writer waits inside of SQLite: it waits outside.
    """
    async with database.session() as session:
        read = (await (await session.connection()).execute(text(statement))).scalar_one()
    async with database.transaction() as session:
        written = (await (await session.connection()).execute(text(statement))).scalar_one()
    assert read == written or (statement, written) == ("PRAGMA busy_timeout", 50)
    return read


async def test_limits_and_modes_are_set_on_connections(database: Database) -> None:
    """The server itself says so."""
    expected: dict[str, Any]
    settings: dict[str, Any] = {
        "statement_timeout": 7.0,
        "lock_timeout": 3.0,
        "idle_in_transaction_timeout": 11.0,
        "application_name": "the tests",
    }
    if is_postgresql(database):
        expected = {
            "SHOW statement_timeout": "7s",
            "SHOW lock_timeout": "3s",
            "SHOW idle_in_transaction_session_timeout": "11s",
            "SHOW application_name": "the tests",
        }
    elif is_mariadb(database):
        expected = {
            "SELECT @@session.max_statement_time": 7,
            "SELECT @@session.innodb_lock_wait_timeout": 3,
            "SELECT @@session.time_zone": "+00:00",
            "SELECT @@session.sql_mode LIKE '%STRICT_ALL_TABLES%'": 1,
            "SELECT @@session.character_set_connection": "utf8mb4",
        }
    else:
        expected = {
            "PRAGMA busy_timeout": 3000,
            "PRAGMA foreign_keys": 1,
            "PRAGMA journal_mode": "wal",
            "SELECT 'a' LIKE 'A'": 0,
        }
    async with like(database, **settings) as other:
        assert expected == {statement: await ask(other, statement) for statement in expected}


async def test_a_slow_statement_is_ended_by_the_server(database: Database) -> None:
    """SQLite has no such limit: it runs in our own process."""
    if is_sqlite(database):
        statement = "SELECT 1"
    else:
        statement = "SELECT pg_sleep(9)" if is_postgresql(database) else "SELECT sleep(9)"
    async with like(database, statement_timeout=0.2) as other, asyncio.timeout(5):
        if is_sqlite(database):
            assert 1 == await ask(other, statement)
        else:
            with pytest.raises(QueryTimeout):
                await ask(other, statement)
        await other.ping()


async def test_who_waits_too_long_for_a_lock_is_told_so(world: Database) -> None:
    """The error is of those after which one may try again; another program holds the lock."""
    await add_volume(world)
    change = update(Volume).values(title="Mine")
    async with like(world, lock_timeout=1) as other, asyncio.timeout(8):
        async with world.transaction() as holder:
            await holder.exec(change)
            with pytest.raises(Unavailable) as caught:
                async with other.transaction() as session:
                    await session.exec(change)
        expected = QueryTimeout if is_postgresql(world) else SerializationFailure
        assert expected is type(caught.value)
        async with other.transaction() as session:
            await session.exec(change)


async def test_read_then_update_loses_nothing(world: Database) -> None:
    """Ten tasks count to two hundred, each holding the row while it reads and writes."""
    key = await add_volume(world, shelf=0)

    async def count() -> None:
        for _ in range(20):
            async with world.transaction() as session:
                volume = await VolumeService(session).get(key, lock=True)
                volume.shelf += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(count())
    async with world.session() as session:
        assert 200 == (await VolumeService(session).get(key)).shelf


async def test_a_reader_that_writes_too_late_is_refused(world: Database) -> None:
    """A deferred transaction on SQLite has read what is no longer true; others see the change."""
    key = await add_volume(world)
    late: type[Exception] | None = None
    try:
        async with world.transaction(immediate=False) as session:
            volume = await VolumeService(session).get(key)
            async with world.transaction() as other:
                await other.exec(update(Volume).values(title="First", version=9))
            volume.title = "Second"
    except Exception as error:  # noqa: BLE001 - which one is the fact
        late = type(error)
    expected = "SerializationFailure" if is_sqlite(world) else "StaleVersion"
    assert late is not None
    assert expected == late.__name__
    async with world.session() as session:
        assert "First" == (await VolumeService(session).get(key)).title


async def test_times_keep_their_microseconds_and_come_back_in_utc(world: Database) -> None:
    """Whatever offset they were given with."""
    exact = datetime(2026, 3, 1, 0, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    key = await add_volume(world, printed_at=exact)
    async with world.session() as session:
        stored = (await VolumeService(session).get(key)).printed_at
    assert stored is not None
    assert exact == stored
    assert (UTC, 123456) == (stored.tzinfo, stored.microsecond)


async def test_time_stamps_come_from_the_database_s_clock(world: Database) -> None:
    """Aware, in UTC, and about now."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    key = await add_volume(world)
    async with world.session() as session:
        volume = await VolumeService(session).get(key)
    after = datetime.now(UTC) + timedelta(seconds=2)
    assert before <= volume.created_at <= volume.updated_at <= after
    assert UTC == volume.created_at.tzinfo


async def moved(database: Database, key: int) -> bool:
    """Tell whether the row was updated after it was created."""
    async with database.session() as session:
        volume = await VolumeService(session).get(key, include_deleted=True)
    return volume.updated_at > volume.created_at


async def test_updated_at_moves_with_every_kind_of_update(world: Database) -> None:
    """By a service, by an attribute, in bulk, and by a soft delete."""
    keys = [await add_volume(world, title=str(number)) for number in range(4)]
    await asyncio.sleep(0.02)
    assert [False] * 4 == [await moved(world, key) for key in keys]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        changed = await volumes.update(keys[0], VolumeUpdate(title="By service"))
        assert changed.updated_at > changed.created_at
        (await volumes.get(keys[1])).title = "By attribute"
        await session.exec(update(Volume).where(col(Volume.id) == keys[2]).values(title="In bulk"))
        await volumes.delete(keys[3])
    assert [True] * 4 == [await moved(world, key) for key in keys]


async def test_text_of_every_script_is_kept(world: Database) -> None:
    """Four bytes in UTF-8 included."""
    name = "Öé漢字🦊"
    async with world.transaction() as session:
        session.add(Genre(name=name))
    assert name == await ask(world, "SELECT name FROM w_genre")


async def test_text_is_compared_with_regard_to_case_where_the_engine_does(world: Database) -> None:
    """`contains` minds the case on SQLite as on PostgreSQL; `icontains` nowhere does."""
    await add_volume(world, title="Dune")
    async with world.session() as session:
        volumes = VolumeService(session)
        assert await volumes.exists(title__contains="Dun")
        assert await volumes.exists(title__icontains="dUN")
        assert is_mariadb(world) == await volumes.exists(title__contains="dun")
