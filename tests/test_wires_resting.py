"""A connection that a lone statement leaves rests until the event loop's next turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.util import greenlet_spawn

from sqlmodelkit import Database
from sqlmodelkit.connections import Liveness, liveness_of, pooled
from sqlmodelkit.wires import lone
from tests.test_wires import connections_of, listening, read
from tests.world import add_volume, is_sqlite, like


@asynccontextmanager
async def warm(world: Database, number: int = 3, **settings: Any) -> AsyncIterator[Database]:
    """Open the world's database anew, with as many idle connections as asked for."""
    # The MySQL drivers cannot tell that a connection is closed, and are asked each time.
    settings = {"pool_size": 4, "pool_pre_ping": False} | settings
    async with like(world, **settings) as database:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(number):
                tasks.create_task(read(database, 1))
        await turn()
        assert number == pool_of(database).checkedin()
        yield database


def pool_of(database: Database) -> Any:
    """Return the pool of those who read."""
    return database._reader.pool


def known_of(database: Database) -> Liveness:
    """Return what is known of the connections of those who read."""
    return liveness_of(database._reader)


async def turn() -> None:
    """Let the event loop turn until all that rested has been given back."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_it_is_in_use_for_nobody_and_goes_back_with_the_next_turn(world: Database) -> None:
    """The pool's own figures are right again before anything else is done."""
    await add_volume(world)
    async with warm(world) as database:
        await read(database, 1)
        assert (1, 0) == (known_of(database).resting, database.pool_status()["in_use"])
        assert 1 == pool_of(database).checkedout()
        await turn()
        assert (0, 0) == (known_of(database).resting, pool_of(database).checkedout())
        assert 3 == pool_of(database).checkedin()


async def test_who_comes_in_the_same_turn_has_it_without_the_pool(world: Database) -> None:
    """It is the same one, and the pool hands out none."""
    await add_volume(world)
    async with warm(world) as database:
        engine = database._reader
        async with lone(engine, reading=True) as wire:
            first = wire._held  # type: ignore[attr-defined]
        async with lone(engine, reading=True) as wire:
            assert first is wire._held  # type: ignore[attr-defined]
            assert (0, 1) == (known_of(database).resting, pool_of(database).checkedout())
            assert 1 == database.pool_status()["in_use"]
        await turn()
        async with lone(engine, reading=True) as wire:
            assert first is not wire._held  # type: ignore[attr-defined]


@pytest.mark.parametrize(("number", "size"), [(1, 4), (2, 2)])
async def test_those_who_ask_the_pool_find_one_and_what_rests_finds_room(
    world: Database, number: int, size: int
) -> None:
    """The last idle connection does not rest; with two of two in the pool only one does."""
    await add_volume(world)
    async with warm(world, number, pool_size=size, max_overflow=0) as database:
        for _ in range(5):
            await read(database, 1)
            assert pool_of(database).checkedin() >= 1
            async with asyncio.timeout(5), database.session() as session:
                await session.connection()
        await turn()
        assert number == pool_of(database).checkedin() == database.pool_status()["open"]


async def test_a_connection_whose_place_is_taken_meanwhile_is_closed_politely(
    world: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool closes what it has no room for, and the server is told goodbye."""
    await add_volume(world)
    async with warm(world, 3, pool_size=3, max_overflow=3) as database:
        engine, pool = database._reader.sync_engine, pool_of(database)
        taken = [await greenlet_spawn(engine.raw_connection) for _ in range(4)]
        for held in taken:
            known_of(database).untouched(held)
        for held in taken[:2]:
            held.close()
        await read(database, 1)
        assert (1, 1) == (known_of(database).resting, pool.checkedin())
        for held in taken[2:]:
            held.close()
        assert (1, 3) == (known_of(database).resting, pool.checkedin())
        await turn()
        await until(lambda: pool.checkedout() == 0)
        assert (3, 0) == (database.pool_status()["open"], known_of(database).resting)
        if not is_sqlite(world):
            assert 3 == await connections_of(world, database)
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= 30]


async def test_what_rests_leaves_those_above_the_size_no_place(world: Database) -> None:
    """As many as the pool keeps are open when all have read, and not one is in use."""
    await add_volume(world)
    async with warm(world, 3, pool_size=3, max_overflow=5) as database:
        for _ in range(20):
            await asyncio.gather(*[read(database, 1) for _ in range(8)])
            status = database.pool_status()
            assert (3, 0) == (status["open"], status["in_use"])


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, at most five seconds."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    assert holds()


async def test_closing_the_database_closes_what_rests(world: Database) -> None:
    """In the same turn, too."""
    await add_volume(world)
    async with warm(world) as database:
        await read(database, 1)
        assert 1 == known_of(database).resting
        await database.close()
        assert (0, 0) == (database.pool_status()["open"], known_of(database).resting)


async def test_who_begins_to_listen_meanwhile_hears_of_what_follows(world: Database) -> None:
    """A connection that rests goes back to the pool, and is handed out by it."""
    await add_volume(world)
    async with warm(world) as database:
        await read(database, 1)
        with listening([database._reader.sync_engine.pool], "checkout") as heard:
            await read(database, 1)
        assert ["checkout"] == heard
        await turn()
        assert (0, 3) == (pool_of(database).checkedout(), pool_of(database).checkedin())


async def test_a_doubted_connection_is_tested_before_it_is_used(world: Database) -> None:
    """After the loss of another no one that rests is taken for alive."""
    if is_sqlite(world):
        return
    await add_volume(world)
    async with warm(world, pool_pre_ping=True) as database:
        await read(database, 1)
        if not known_of(database).resting:
            assert world.settings.engine_url().get_backend_name() != "postgresql"
            return
        known_of(database).doubt()
        assert known_of(database).take(database._reader.sync_engine) is None
        assert 0 == known_of(database).resting
        await read(database, 1)


async def test_it_goes_back_to_the_pool_after_a_while(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool makes old connections anew, which those that never come back would miss."""
    await add_volume(world)
    async with warm(world) as database:
        await read(database, 1)
        assert 1 == known_of(database).resting
        monkeypatch.setattr(pooled, "_OUT_SECONDS", 0.0)
        await read(database, 1)
        assert 0 == known_of(database).resting


async def test_it_is_as_good_as_new_after_a_loop_has_ended(world: Database) -> None:
    """A database that another loop has used and closed is of use in the next one."""
    key = await add_volume(world)

    def elsewhere() -> list[int]:
        database = Database(settings=world.settings)
        return [asyncio.run(_crowd(database, key)) for _ in range(2)]

    assert [0, 0] == await asyncio.to_thread(elsewhere)


async def _crowd(database: Database, key: int) -> int:
    await asyncio.gather(*[read(database, key) for _ in range(4)])
    await read(database, key)
    in_use = database.pool_status()["in_use"]
    await database.close()
    return in_use
