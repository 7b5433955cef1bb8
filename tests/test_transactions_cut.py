"""Connections that are cut at a chosen moment: what is unknown is said to be, and not done again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlmodel import select

from sqlmodelkit import AsyncSession, Database, DatabaseSettings, cancellation
from sqlmodelkit.errors import CommitUnknown, ConnectionLost
from tests.fix_db import ANY_DRIVERS
from tests.proxy import Moment, Proxy
from tests.world import (
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
)

TITLE = "cut here"

# SQLite has no connection that could be cut.
pytestmark = [
    pytest.mark.db,
    pytest.mark.parametrize("any_driver_url", ANY_DRIVERS[1:], indirect=True),
]


@pytest.fixture
async def proxy(world: Database) -> AsyncIterator[Proxy]:
    """A proxy before the server."""
    async with Proxy.before(world.settings.engine_url().render_as_string(False)) as proxy:
        yield proxy


@pytest.fixture
async def distant(proxy: Proxy) -> AsyncIterator[Database]:
    """The same database by way of the proxy, which some units of work have used."""
    settings = DatabaseSettings(url=proxy.url, pool_size=2, max_overflow=1)
    database = Database(settings=settings)
    try:
        for _ in range(2):
            async with database.unit() as unit:
                data = VolumeCreate(title="before")
                await VolumeService(unit).create_json(data, into=VolumePublic, last=True)
            async with database.transaction() as session:
                session.add(Volume(title="before"))
        yield database
    finally:
        await database.close()


async def stored(world: Database) -> int:
    """Count the volumes of this test, past the proxy."""
    async with world.session() as session:
        return len((await session.exec(select(Volume).where(Volume.title == TITLE))).all())


async def heals(database: Database) -> None:
    """See that the pool is whole and that all of its connections can be used."""
    assert 0 == database.pool_status()["in_use"]

    async def work(session: AsyncSession) -> None:
        session.add(Volume(title="after"))

    async with asyncio.timeout(20):
        await asyncio.gather(*[database.run(work) for _ in range(6)])
    assert 0 == database.pool_status()["in_use"]


class Writing:
    """Units of work that write one volume, and how often they were begun and followed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.begun = self.followed = 0

    def follow(self) -> None:
        """Note that the commit was known to be made."""
        self.followed += 1

    async def write(self, session: AsyncSession) -> None:
        """Write it in a session."""
        self.begun += 1
        session.add(Volume(title=TITLE))
        session.after_commit(self.follow)

    async def by_run(self) -> None:
        """Write it in a unit of work that would be done again."""
        await self.database.run(self.write)

    async def by_transaction(self) -> None:
        """Write it in a transaction."""
        async with self.database.transaction() as session:
            await self.write(session)

    async def by_unit(self) -> None:
        """Write it as a request would."""
        async with self.database.unit() as unit:
            await self.write(unit.session)

    async def by_hand(self) -> None:
        """Write it and commit it by a call."""
        async with self.database.session() as session:
            await self.write(session)
            await session.commit()

    async def by_reading(self) -> None:
        """Write it in a unit of work that was opened for reading."""
        self.begun += 1
        async with self.database.unit(reading=True) as unit:
            await VolumeService(unit).create(VolumeCreate(title=TITLE), into=VolumePublic)

    async def alone(self) -> None:
        """Write it by a statement that commits by itself."""
        self.begun += 1
        async with self.database.unit() as unit:
            data = VolumeCreate(title=TITLE)
            await VolumeService(unit).create_json(data, into=VolumePublic, last=True)


WAYS: list[Callable[[Writing], Awaitable[None]]] = [
    Writing.by_run,
    Writing.by_transaction,
    Writing.by_unit,
    Writing.by_hand,
    Writing.by_reading,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("moment", "rows"), [("sent", 0), ("answered", 1)])
async def test_a_commit_without_an_answer_is_unknown_and_not_done_again(
    world: Database,
    proxy: Proxy,
    distant: Database,
    way: Callable[[Writing], Awaitable[None]],
    moment: Moment,
    rows: int,
) -> None:
    """Whether the COMMIT got through or not: nobody on this side can tell."""
    writing = Writing(distant)
    proxy.cut(b"COMMIT", moment)
    with pytest.raises(CommitUnknown):
        await way(writing)
    assert (1, 1, 0) == (proxy.cuts, writing.begun, writing.followed)
    assert rows == await stored(world)
    await heals(distant)
    assert rows == await stored(world)


@pytest.mark.parametrize(("moment", "rows"), [("sent", 0), ("answered", 1)])
async def test_a_write_alone_without_an_answer_is_unknown(
    world: Database, proxy: Proxy, distant: Database, moment: Moment, rows: int
) -> None:
    """It is its own commit, and is not sent a second time."""
    writing = Writing(distant)
    proxy.cut(TITLE.encode(), moment)
    with pytest.raises(CommitUnknown):
        await writing.alone()
    assert (1, 1, rows) == (proxy.cuts, writing.begun, await stored(world))
    await heals(distant)
    assert rows == await stored(world)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["sent", "answered"])
async def test_a_statement_without_an_answer_loses_its_unit_of_work(
    world: Database,
    proxy: Proxy,
    distant: Database,
    way: Callable[[Writing], Awaitable[None]],
    moment: Moment,
) -> None:
    """Nothing of it is stored for certain; no commit was ever sent."""
    writing = Writing(distant)
    proxy.cut(TITLE.encode(), moment)
    with pytest.raises(ConnectionLost):
        await way(writing)
    assert (1, 1, 0) == (proxy.cuts, writing.begun, writing.followed)
    await heals(distant)
    assert 0 == await stored(world)


@pytest.mark.parametrize("moment", ["sent", "answered"])
async def test_a_read_alone_without_an_answer_is_asked_again(
    proxy: Proxy, distant: Database, moment: Moment
) -> None:
    """Once: the caller does not notice."""
    proxy.cut(b"before", moment)
    async with distant.unit(reading=True) as unit:
        assert 4 == await VolumeService(unit).count(title="before")
    assert 1 == proxy.cuts
    await heals(distant)


async def test_a_begin_without_an_answer_loses_a_unit_of_work_that_did_nothing(
    world: Database, proxy: Proxy, distant: Database
) -> None:
    """The next one has another connection."""
    proxy.cut(b"BEGIN", "sent")
    with pytest.raises(ConnectionLost):
        await Writing(distant).by_run()
    await heals(distant)
    assert 0 == await stored(world)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_that_hangs_is_cut_when_it_was_cancelled(
    proxy: Proxy, distant: Database, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A while after the first cancellation, whatever comes after that; the pool is whole."""
    monkeypatch.setattr(cancellation, "GRACE_SECONDS", 0.2)
    writing = Writing(distant)
    proxy.cut(b"COMMIT", "silent")
    task = asyncio.ensure_future(writing.by_run())
    while not proxy.cuts:  # noqa: ASYNC110 - it is the proxy that sees it
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        assert not task.done()
        await asyncio.wait([task])
    assert (True, 0) == (task.cancelled(), writing.followed)
    await heals(distant)
