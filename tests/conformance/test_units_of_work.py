"""Who commits, what a failure leaves behind, and what a client is told."""

import asyncio
from typing import Annotated

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from sqlmodelkit import AsyncSession, Database, NotFound, StaleVersion, UniqueViolation
from sqlmodelkit.fastapi import SessionDep, install, service
from tests.conformance.guarding import guards
from tests.fastapi.conftest import client_of
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeService,
    VolumeUpdate,
    WriterCreate,
    WriterPublic,
    WriterService,
    add_volume,
    fail_at_commit,
    make_commit_fail,
)

WriterServiceDep = Annotated[WriterService, service(WriterService)]


async def titles(database: Database) -> list[str]:
    """Return what is stored, as another unit of work sees it."""
    async with database.session() as session:
        return list((await session.exec(select(Volume.title).order_by(col(Volume.id)))).all())


@guards(
    "The service needs a session class that the given factories do not make.", seen_in="recipes"
)
async def test_every_session_fits_every_service(world: Database) -> None:
    """It is SQLModel's, with `exec`, wherever it comes from."""
    for opened in (world.transaction, world.session):
        async with opened() as session:
            assert isinstance(session, AsyncSession)
            assert [] == (await session.exec(select(Volume))).all()
            assert [] == await VolumeService(session).all()
    async with world.unit() as unit:
        assert isinstance(unit.session, AsyncSession)
        assert [] == await VolumeService(unit).all()


@guards(
    "Whether the session, the service or the endpoint commits differs from page to page.",
    seen_in="recipes",
)
async def test_the_unit_of_work_commits_and_nobody_else(world: Database) -> None:
    """At the end of its block, unless it raises; services flush."""
    async with world.session() as session:
        await VolumeService(session).create(VolumeCreate(title="lost"))
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the way out of the block is tested
        async with world.transaction() as session:
            await VolumeService(session).create(VolumeCreate(title="undone"))
            raise ZeroDivisionError
    async with world.transaction() as session:
        await VolumeService(session).create(VolumeCreate(title="kept"))
    assert ["kept"] == await titles(world)


@guards(
    "The commit comes after the answer, and a failing one is a 200.",
    seen_in="FastAPI recipes, Advanced Alchemy",
)
@guards("A client reads its 201 before the row can be seen.", seen_in="recipes")
async def test_a_2xx_is_durable(world: Database) -> None:
    """A commit that fails is never a success."""
    await make_commit_fail(world)
    app = FastAPI()
    install(app, world)
    seen: list[int] = []

    @app.post("/good", status_code=201)
    async def good(writers: WriterServiceDep) -> WriterPublic:
        return await writers.create(WriterCreate(name="Ann"), into=WriterPublic)

    @app.post("/late", status_code=201)
    async def late(session: SessionDep) -> str:
        await fail_at_commit(world, session)
        return "done"

    @app.middleware("http")
    async def look(request: httpx2.Request, call_next: object) -> object:
        answer = await call_next(request)  # type: ignore[operator]
        async with world.session() as session:
            seen.append(await WriterService(session).count())
        return answer

    async with client_of(app, raising=False) as client:
        assert 201 == (await client.post("/good")).status_code
        assert [1] == seen
        assert (await client.post("/late")).status_code >= 409
    assert [] == await titles(world)


@guards(
    "Errors are wrapped in a bare `Exception`, or their text is sent to the client.",
    seen_in="recipes",
)
@guards(
    "An endpoint's own 404 becomes a 500 on its way through the error handling.", seen_in="recipes"
)
async def test_errors_keep_their_kind(world: Database) -> None:
    """In Python and over HTTP."""
    app = FastAPI()
    install(app, world)

    @app.post("/missing")
    async def missing(writers: WriterServiceDep) -> None:
        await writers.create(WriterCreate(name="Ann", email="a@b.example"))
        raise NotFound("There is no such shelf.", fields=["shelf"])

    @app.post("/twice")
    async def twice(writers: WriterServiceDep) -> None:
        for _ in range(2):
            await writers.create(WriterCreate(name="Ann", email="a@b.example"))

    async with client_of(app, raising=False) as client:
        lost = await client.post("/missing")
        assert (404, "There is no such shelf.") == (
            lost.status_code,
            lost.json()["detail"][0]["msg"],
        )
        refused = await client.post("/twice")
    assert 409 == refused.status_code
    assert not {"INSERT", "w_writer", "a@b.example"} & set(refused.text.replace("'", " ").split())
    async with world.session() as session:
        assert 0 == await WriterService(session).count()


@guards(
    "A savepoint is begun and rolled back by hand, and left open on some ways out.",
    seen_in="recipes",
)
async def test_savepoints_nest_and_end(world: Database) -> None:
    """Only what is inside is lost, whatever was raised."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create(VolumeCreate(title="a"))
        with pytest.raises(ValueError, match="inner"):  # noqa: PT012 - as above
            async with session.savepoint():
                await volumes.create(VolumeCreate(title="b", isbn="1"))
                with pytest.raises(UniqueViolation):
                    async with session.savepoint():
                        await volumes.create(VolumeCreate(title="c", isbn="1"))
                await volumes.create(VolumeCreate(title="d"))
                raise ValueError("inner")
        async with session.savepoint():
            await volumes.create(VolumeCreate(title="e"))
        assert ["a", "e"] == [row.title for row in await volumes.all(sort="title")]
    assert ["a", "e"] == await titles(world)


@guards(
    "A transaction is begun explicitly and fails when a statement has been sent before.",
    seen_in="recipes",
)
async def test_a_savepoint_may_follow_any_statement(world: Database) -> None:
    """Reading first does not matter."""
    async with world.session() as session:
        await VolumeService(session).count()
        async with session.savepoint():
            await VolumeService(session).create(VolumeCreate(title="a"))
        await session.commit()
    assert ["a"] == await titles(world)


@guards("Two people who edit the same row overwrite each other.", seen_in="all of them")
async def test_a_stale_write_is_refused(world: Database) -> None:
    """By the version that was read."""
    key = await add_volume(world, "a")
    async with world.session() as session:
        mine = await VolumeService(session).get(key)
    async with world.transaction() as session:
        await VolumeService(session).update(key, VolumeUpdate(title="theirs"))
    mine.title = "mine"
    with pytest.raises(StaleVersion):
        async with world.transaction() as session:
            session.add(mine)
    assert ["theirs"] == await titles(world)


@guards(
    "A generator of sessions is not closed, and its connection is lost to the pool.",
    seen_in="recipes, Advanced Alchemy",
)
async def test_a_cancelled_unit_of_work_gives_its_connection_back(world: Database) -> None:
    """And stores nothing."""

    async def work(started: asyncio.Event) -> None:
        async with world.transaction() as session:
            await VolumeService(session).create(VolumeCreate(title="never"))
            started.set()
            await asyncio.sleep(60)

    for _ in range(5):
        started = asyncio.Event()
        task = asyncio.create_task(work(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert 0 == world.pool_status()["in_use"]
    assert [] == await titles(world)
