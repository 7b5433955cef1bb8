"""Statements that stand alone: killed connections and cancelled tasks."""

import asyncio
import gc
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import (
    text,
)

from sqlmodelkit import Database
from sqlmodelkit.errors import CommitUnknown, ConnectionLost
from tests.test_wires import create, read, titles
from tests.test_wires_errors import outcome
from tests.world import (
    Volume,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    add_volume,
    is_mariadb,
    is_postgresql,
    is_sqlite,
    like,
)

CANCELLED = 300


async def kill(database: Database, condition: str = "") -> int:
    """End the database's connections from outside; answer how many there were."""
    async with like(database) as admin, admin.engine.connect() as connection:
        if is_postgresql(database):
            found = await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = current_database() AND pid <> pg_backend_pid() {condition}"
                )
            )
            return len(found.all())
        if is_mariadb(database):
            found = await connection.execute(
                text(
                    "SELECT id FROM information_schema.processlist "
                    f"WHERE db = database() AND id <> connection_id() {condition}"
                )
            )
            numbers = found.scalars().all()
            for number in numbers:
                await connection.execute(text(f"KILL {number}"))
            return len(numbers)
    return 0


@pytest.mark.parametrize("wait", [0.0, 0.05])
async def test_reads_alone_do_not_notice_killed_connections(world: Database, wait: float) -> None:
    """Not one of twelve fails, though all pooled connections are dead."""
    key = await add_volume(world)
    expected = await read(world, key)
    await asyncio.gather(*[read(world, key) for _ in range(5)])
    killed = await kill(world)
    assert is_sqlite(world) or killed >= 5
    await asyncio.sleep(wait)
    assert [expected] * 12 == [await read(world, key) for _ in range(12)]
    await kill(world)
    answers = await asyncio.gather(*[read(world, key) for _ in range(12)])
    assert [expected] * 12 == answers
    assert 0 == world.pool_status()["in_use"]


@pytest.mark.parametrize(("wait", "losses"), [(0.0, 1), (0.1, 0)])
async def test_writes_alone_after_killed_connections_lose_at_most_one(
    world: Database, wait: float, losses: int
) -> None:
    """None once the driver could notice; of that one nobody can say, and none is stored twice."""
    await asyncio.gather(*[create(world, f"before {number}") for number in range(5)])
    await kill(world)
    await asyncio.sleep(wait)
    said = [await outcome(create(world, f"after {number}")) for number in range(12)]
    failed = [answer for answer in said if answer != "stored"]
    assert {ConnectionLost, CommitUnknown} >= {kind for kind, _, _ in failed}
    assert len(failed) <= losses
    stored = [title for title in await titles(world) if title.startswith("after")]
    assert len(said) - len(failed) == len(stored) == len(set(stored))


async def blocked(world: Database, work: Awaitable[Any]) -> asyncio.Task[Any]:
    """Start work that has to wait for a lock, and return when it does."""
    task = asyncio.ensure_future(work)
    condition = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    if is_mariadb(world):
        condition = (
            "SELECT count(*) FROM information_schema.processlist "
            "WHERE db = database() AND id <> connection_id() AND command IN ('Query', 'Execute')"
        )
    async with like(world) as other, asyncio.timeout(10):
        while not task.done():
            async with other.session() as session:
                if (await (await session.connection()).execute(text(condition))).scalar_one():
                    break
            await asyncio.sleep(0.01)
    return task


WAITING = "AND wait_event_type = 'Lock'"
RUNNING = "AND command IN ('Query', 'Execute')"


async def test_a_write_alone_whose_connection_dies_is_unknown_and_never_sent_again(
    world: Database,
) -> None:
    """It waits for another one of the same key, and is killed meanwhile."""
    if is_sqlite(world):
        return
    async with world.transaction() as session:
        session.add(Volume(title="First", isbn="1"))
        await session.flush()
        waiting = await blocked(world, create(world, "Second", isbn="1"))
        assert 1 == await kill(world, WAITING if is_postgresql(world) else RUNNING)
        with pytest.raises(CommitUnknown):
            await waiting
        await session.rollback()
    await asyncio.sleep(0.05)
    assert ([], 0) == (await titles(world), world.pool_status()["in_use"])
    await create(world, "Third", isbn="1")
    assert ["Third"] == await titles(world)


async def test_a_read_alone_whose_connection_dies_is_asked_again(world: Database) -> None:
    """It waits for a table that somebody holds, is killed meanwhile, and answered in the end."""
    if is_sqlite(world):
        return
    key = await add_volume(world)
    expected = await read(world, key)
    lock = "LOCK TABLE w_volume IN ACCESS EXCLUSIVE MODE"
    unlock, condition = "ROLLBACK", WAITING
    if is_mariadb(world):
        lock, unlock, condition = "LOCK TABLES w_volume WRITE", "UNLOCK TABLES", RUNNING
    async with like(world) as other, other.engine.connect() as connection:
        await connection.execute(text(lock))
        waiting = await blocked(world, read(world, key))
        assert 1 == await kill(world, condition)
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await connection.execute(text(unlock))
        assert expected == await waiting
    assert 0 == world.pool_status()["in_use"]


async def test_a_read_that_is_lost_twice_is_lost(world: Database) -> None:
    """It is not asked for ever."""
    if is_sqlite(world):
        return
    key = await add_volume(world)
    lock, condition = "LOCK TABLE w_volume IN ACCESS EXCLUSIVE MODE", WAITING
    if is_mariadb(world):
        lock, condition = "LOCK TABLES w_volume WRITE", RUNNING
    async with like(world) as other, other.engine.connect() as connection:
        await connection.execute(text(lock))
        waiting = await blocked(world, read(world, key))
        killed = 0
        async with asyncio.timeout(10):
            while killed < 2:
                killed += await kill(world, condition)
                await asyncio.sleep(0.02)
        with pytest.raises(ConnectionLost):
            await waiting
        await connection.execute(text("ROLLBACK" if is_postgresql(world) else "UNLOCK TABLES"))
    assert 0 == world.pool_status()["in_use"]


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


async def cancelled(works: list[Callable[[], Awaitable[Any]]], seconds: float) -> list[Any]:
    """Run each work and cancel it at a moment of chance; answer its result, or None."""
    chance = random.Random(7)  # noqa: S311 - the same chances each time
    answers: list[Any] = []

    async def one(work: Callable[[], Awaitable[Any]]) -> None:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(chance.random() * seconds)
        task.cancel()
        result: Any
        (result,) = await asyncio.gather(task, return_exceptions=True)
        answers.append(None if isinstance(result, asyncio.CancelledError) else result)

    async def some(part: list[Callable[[], Awaitable[Any]]]) -> None:
        for work in part:
            await one(work)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for first in range(10):
            group.create_task(some(works[first::10]))
    assert (len(works), True) == (len(answers), None in answers)
    return answers


def warnings(records: list[logging.LogRecord]) -> list[str]:
    """Return what was logged as a warning, or as worse."""
    return [record.getMessage() for record in records if record.levelno >= 30]


@pytest.mark.slow
async def test_cancelled_reads_leave_nothing_behind(
    world: Database, complaints: list[str], caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """No connection, no answer for somebody else, and no word on standard error."""
    keys = [await add_volume(world, title=f"<{number}>") for number in range(10)]

    async def ask(number: int) -> None:
        key = keys[number % 10]
        async with world.unit(reading=True) as unit:
            volumes = VolumeService(unit)
            answer = await volumes.get_json(key, into=VolumePublic)
            assert f'"<{number % 10}>"'.encode() in answer
            assert 1 == await volumes.count(id=key)
            page = await volumes.page_json(into=VolumeDetail, id=key)
            assert f'"<{number % 10}>"'.encode() in page

    works: list[Any] = [lambda number=number: ask(number) for number in range(CANCELLED)]
    answers = await cancelled(works, 0.02)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [] == errors
    assert 0 == world.pool_status()["in_use"]
    for number in range(30):
        await ask(number)
    await world.close()
    gc.collect()
    await asyncio.sleep(0.05)
    assert ([], []) == (complaints, warnings(caplog.records))
    assert "" == capfd.readouterr().err


@pytest.mark.slow
async def test_cancelled_creates_are_whole_or_absent(
    world: Database, complaints: list[str], caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """What was answered is stored; of the others some may be, whole; no connection is in use."""

    async def make(number: int) -> bytes:
        return await create(world, f"<{number}>", isbn=f"{number}", stars=number)

    works: list[Any] = [lambda number=number: make(number) for number in range(CANCELLED)]
    answers = await cancelled(works, 0.02)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [] == errors
    done = [answer for answer in answers if answer is not None]
    assert 0 == world.pool_status()["in_use"]
    await make(CANCELLED)
    async with world.session() as session:
        volumes = await VolumeService(session).all()
    for volume in volumes:
        assert f"<{volume.stars}>" == volume.title
        assert (str(volume.stars), 1) == (volume.isbn, volume.version)
    assert len(volumes) == len({volume.title for volume in volumes})
    stored = {f'"{volume.title}"'.encode() for volume in volumes}
    for answer in done:
        assert any(title in answer for title in stored)
    await world.close()
    gc.collect()
    await asyncio.sleep(0.05)
    assert ([], []) == (complaints, warnings(caplog.records))
    assert "" == capfd.readouterr().err
