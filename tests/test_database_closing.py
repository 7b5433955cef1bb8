"""Closing a database while it is used: nothing is cut, and nothing stays open."""

import asyncio
import gc
import random
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from sqlmodelkit import Database, DatabaseSettings
from tests.test_connections import watched_sockets
from tests.world import (
    Genre,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    add_volume,
    create_world,
    like,
)

AT_ONCE = 6


@pytest.fixture
async def world(any_driver_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    """An open database with the tables of world.py and a small pool, once for each driver."""
    settings = DatabaseSettings(url=any_driver_url, pool_size=1, max_overflow=AT_ONCE)
    database = Database(settings=settings)
    try:
        yield await create_world(database)
    finally:
        await database.close()


def opened() -> tuple[int, int]:
    """Count sockets and threads: a connection is one or the other."""
    return watched_sockets(), threading.active_count()


async def settled(before: tuple[int, int]) -> None:
    """See that there are no more connections than before."""
    async with asyncio.timeout(5):
        while opened() > before:  # noqa: ASYNC110 - nothing tells when a socket is closed
            await asyncio.sleep(0.02)


async def test_a_unit_of_work_in_flight_ends_as_it_would(world: Database) -> None:
    """It commits, and its connection is closed instead of being kept where nobody looks."""
    await world.close()
    before = opened()
    began, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def work(number: int) -> None:
        # SQLite has one writer.
        read_only = number > 0
        async with world.transaction(immediate=not read_only) as session:
            await session.exec(select(Genre))
            began.release()
            await go_on.wait()
            if not read_only:
                session.add(Genre(name=f"{number}"))

    tasks = [asyncio.create_task(work(number)) for number in range(AT_ONCE)]
    for _ in tasks:
        await began.acquire()
    await world.close()
    assert AT_ONCE == world.pool_status()["in_use"] == world.pool_status()["open"]
    async with world.session() as session:
        # It can be used meanwhile.
        assert [] == (await session.exec(select(Genre))).all()
    go_on.set()
    await asyncio.gather(*tasks)
    assert 0 == world.pool_status()["in_use"]
    assert world.pool_status()["open"] <= 1
    await world.close()
    await settled(before)
    async with world.session() as session:
        assert ["0"] == (await session.exec(select(Genre.name))).all()


@pytest.mark.slow
async def test_statements_that_stand_alone_end_while_it_is_closed(
    world: Database, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Also on connections that are more than the pool keeps; all of them are closed."""
    key = await add_volume(world)
    await world.close()
    before = opened()
    chance = random.Random(7)  # noqa: S311 - the same chances each time

    async def read(number: int) -> None:
        async with world.unit(reading=True) as unit:
            volume = await VolumeService(unit).get(key, into=VolumePublic)
            assert "Dune" == volume.title

    async def write(number: int) -> None:
        async with world.unit() as unit:
            data = VolumeCreate(title="Alone", shelf=number)
            await VolumeService(unit).create_json(data, into=VolumePublic, last=True)

    for turn in range(25):
        works = [read(n) if n % 3 else write(turn) for n in range(AT_ONCE)]
        tasks = [asyncio.ensure_future(work) for work in works]
        await asyncio.sleep(chance.random() * 0.02)
        await world.close()
        await asyncio.gather(*tasks)
    await world.close()
    await settled(before)
    async with world.session() as session:
        assert 50 == len((await session.exec(select(Volume).where(Volume.title == "Alone"))).all())
    await world.close()
    gc.collect()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= 30]
    assert ([], "") == (warnings, capfd.readouterr().err)


async def test_the_end_of_an_application_closes_what_is_given_back_later(world: Database) -> None:
    """A task that was not waited for ends its unit of work; then nothing is open."""
    await world.close()
    before = opened()
    began, go_on = asyncio.Event(), asyncio.Event()

    async def left_behind() -> None:
        async with world.transaction() as session:
            session.add(Genre(name="Late"))
            await session.flush()
            began.set()
            await go_on.wait()

    async with world.lifespan(FastAPI()):
        task = asyncio.create_task(left_behind())
        await began.wait()
    go_on.set()
    await task
    await settled(before)
    async with like(world) as other, other.session() as session:
        assert ["Late"] == (await session.exec(select(Genre.name))).all()


async def test_a_connection_that_is_being_made_is_not_left_behind(world: Database) -> None:
    """Who asked for it was cancelled, and the database is closed before the server has answered."""
    await world.close()
    before = opened()
    for number in range(20):
        task = asyncio.create_task(world.ping())
        await asyncio.sleep(number * 0.0003)
        task.cancel()
        await asyncio.wait([task])
        await world.close()
        assert 0 == world.pool_status()["open"]
    await settled(before)
