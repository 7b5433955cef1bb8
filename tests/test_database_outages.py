"""What goes wrong around a unit of work: cancelled tasks, killed connections, stopped servers."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from sqlmodelkit import Database, DatabaseSettings
from sqlmodelkit.errors import CommitUnknown, ConfigError, ConnectionLost, NotFound
from tests.own_servers import PostgreSQL
from tests.world import (
    Genre,
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumeService,
    VolumeUpdate,
    add_volume,
    create_world,
    is_mariadb,
    is_postgresql,
    like,
)

CANCELLED = 300


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


@pytest.fixture
async def complaints() -> AsyncIterator[list[str]]:
    """What the event loop has to say about tasks and futures that were left behind."""
    loop = asyncio.get_running_loop()
    heard: list[str] = []

    def hear(_: Any, context: dict[str, Any]) -> None:
        heard.append(f"{context['message']}: {context.get('exception')!r}")

    before = loop.get_exception_handler()
    loop.set_exception_handler(hear)
    try:
        yield heard
    finally:
        loop.set_exception_handler(before)


async def work(database: Database, number: int) -> None:
    """Write, read and write again in one unit of work."""
    async with database.transaction() as session:
        volumes = VolumeService(session)
        volume = await volumes.create(VolumeCreate(title=f"{number}"))
        await volumes.get(volume.id, into=VolumeDetail)
        await volumes.update(volume.id, VolumeUpdate(isbn=f"{number}"))


@pytest.mark.slow
async def test_cancelled_tasks_leave_no_connection_behind(
    world: Database, complaints: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whenever they are cancelled: nothing is in use, nothing is locked, nobody complains."""
    chance = random.Random(7)  # noqa: S311 - the same chances each time
    ended = {"done": 0, "cancelled": 0}

    async def cancel_some(first: int) -> None:
        for number in range(first, first + CANCELLED // 10):
            task = asyncio.create_task(work(world, number))
            await asyncio.sleep(chance.random() * 0.02)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            ended["done" if result is None else "cancelled"] += 1
            assert result is None or isinstance(result, asyncio.CancelledError)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for first in range(0, CANCELLED, CANCELLED // 10):
            group.create_task(cancel_some(first))
    assert ended["cancelled"] > CANCELLED // 4
    assert 0 == world.pool_status()["in_use"]
    await work(world, CANCELLED)
    async with world.session() as session:
        stored = await VolumeService(session).count(isbn__is_not=None)
    # A commit that was under way when the task was cancelled may have been done.
    assert ended["done"] + 1 <= stored
    await world.close()
    gc.collect()
    await asyncio.sleep(0.05)
    assert [] == complaints
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= 30]


async def test_a_cancelled_unit_of_work_keeps_nothing(world: Database) -> None:
    """Cancelling is an exception like others: rolled back, and raised again."""
    flushed = asyncio.Event()

    async def wait() -> None:
        async with world.transaction() as session:
            session.add(Genre(name="Epic"))
            await session.flush()
            flushed.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await flushed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with world.transaction() as session:
        session.add(Genre(name="Epic"))


async def kill_connections(database: Database) -> None:
    """End every connection of the database from outside, as an administrator would."""
    async with like(database) as admin, admin.engine.connect() as connection:
        if is_postgresql(database):
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            while (await connection.scalar(text(gone))) != 1:
                await connection.rollback()
        elif is_mariadb(database):
            numbers = await connection.execute(
                text(
                    "SELECT id FROM information_schema.processlist "
                    "WHERE db = database() AND id <> connection_id()"
                )
            )
            for number in numbers.scalars().all():
                await connection.execute(text(f"KILL {number}"))


async def test_killed_connections_are_replaced_unseen(world: Database) -> None:
    """Who comes next notices nothing (SQLite has no connections to kill)."""
    key = await add_volume(world)
    async with world.session() as one, world.session() as two:
        await one.connection()
        await two.connection()
    await kill_connections(world)
    for _ in range(3):
        async with world.transaction() as session:
            await VolumeService(session).update(key, VolumeUpdate(title="Alive"))


async def test_a_connection_that_is_killed_in_use_is_lost_once(world: Database) -> None:
    """The unit of work that had it fails as such, the next one does not."""
    if not (is_postgresql(world) or is_mariadb(world)):
        await kill_connections(world)
        return
    with pytest.raises(ConnectionLost):  # noqa: PT012 - leaving the inner block raises
        async with world.transaction() as session:
            session.add(Volume(title="Lost"))
            await session.flush()
            await kill_connections(world)
            session.add(Volume(title="Lost too"))
            await session.flush()
    async with world.transaction() as session:
        with pytest.raises(NotFound):
            await VolumeService(session).get(1)
    assert 0 == world.pool_status()["in_use"]


@pytest.mark.db
@pytest.mark.slow
async def test_a_stopped_server_is_connection_lost_and_comes_back(
    own_postgresql: PostgreSQL,
) -> None:
    """Nothing has to be done after it has started again."""
    world = await create_world(Database(own_postgresql.url))
    try:
        key = await add_volume(world)
        own_postgresql.stop()
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await world.ping()
            with pytest.raises(ConnectionLost):
                async with world.transaction() as session:
                    await VolumeService(session).get(key)
            with pytest.raises(ConnectionLost):
                await world.create_all()
        own_postgresql.start()
        async with world.transaction() as session:
            await VolumeService(session).update(key, VolumeUpdate(title="Back"))
        assert 0 == world.pool_status()["in_use"]
    finally:
        await world.close()


@pytest.mark.db
@pytest.mark.slow
async def test_what_a_server_that_stops_in_the_middle_had_is_not_stored(
    own_postgresql: PostgreSQL,
) -> None:
    """The unit of work that was open fails, at the latest when it commits: then nobody knows."""
    world = await create_world(Database(own_postgresql.url))
    try:
        # Whether the driver has noticed the end before COMMIT is sent is a matter of luck.
        with pytest.raises((ConnectionLost, CommitUnknown)):  # noqa: PT012 - leaving it raises
            async with world.transaction() as session:
                session.add(Genre(name="Lost"))
                await session.flush()
                own_postgresql.stop()
        own_postgresql.start()
        async with world.session() as session:
            assert [] == (await session.exec(text("SELECT * FROM w_genre"))).all()  # type: ignore[call-overload]
    finally:
        await world.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hidden@127.0.0.1:9/shop",
        "mysql://ann:hidden@127.0.0.1:9/shop",
        "mysql+aiomysql://ann:hidden@127.0.0.1:9/shop",
        "sqlite:////nowhere/at/all.db",
    ],
)
async def test_a_database_that_is_not_there_is_connection_lost(url: str) -> None:
    """On every driver alike, and no message tells the password."""
    database = Database(settings=DatabaseSettings(url=url, connect_timeout=2))
    with pytest.raises(ConnectionLost) as caught:
        await database.ping()
    assert "hidden" not in str(caught.value)
    await database.close()
    # aiosqlite's thread reports its end to the loop, and nobody can wait for it.
    await asyncio.sleep(0.1)


async def test_a_database_that_refuses_us_is_a_config_error(database: Database) -> None:
    """An unknown database or user is the developer's to mend, and is told which of them it is."""
    if not (is_postgresql(database) or is_mariadb(database)):
        return
    url = database.settings.engine_url()
    wrong = {
        url.set(database="no_such_database_here"): "no database of the name in DATABASE_URL",
        url.set(username="no_such_user_here"): "refused the user or the password",
    }
    for each, told in wrong.items():
        other = Database(each.render_as_string(hide_password=False))
        try:
            with pytest.raises(ConfigError, match=told):
                await other.ping()
        finally:
            await other.close()
