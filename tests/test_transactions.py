"""Transactions: isolation, reading only, doing it again, what follows a commit, named locks."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from sqlmodelkit import AsyncSession, Database, Retry, UnitOfWork, advisory_lock
from sqlmodelkit.errors import (
    ConfigError,
    Conflict,
    Locked,
    NotFound,
    SerializationFailure,
    UniqueViolation,
)
from sqlmodelkit.transactions import Isolation
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

LEVELS: tuple[Isolation, ...] = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def character(session: AsyncSession) -> tuple[str, bool]:
    """Return the isolation of a transaction, and whether it only reads, as the server says."""
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        only_reads = await connection.scalar(text("PRAGMA query_only"))
        return "SERIALIZABLE", bool(only_reads)
    if connection.dialect.name == "postgresql":
        level = await connection.scalar(text("SHOW transaction_isolation"))
        reads = await connection.scalar(text("SHOW transaction_read_only"))
        return str(level).upper(), reads == "on"
    # MariaDB does not show what holds for one transaction: what it does is seen below.
    return str(await connection.scalar(text("SELECT @@tx_isolation"))).replace("-", " "), False


@pytest.mark.parametrize("level", LEVELS)
async def test_a_unit_of_work_has_the_isolation_that_it_asks_for(
    world: Database, level: Isolation
) -> None:
    """What another one commits meanwhile is seen by READ COMMITTED only, where writers go on."""
    key = await add_volume(world, stars=1)
    async with world.transaction(isolation=level, immediate=False) as session:
        volumes = VolumeService(session)
        assert 1 == (await volumes.get(key)).stars
        if is_mariadb(world) and level == "SERIALIZABLE":
            # Reading locks there: whoever would write waits.
            async with like(world, lock_timeout=1) as other, other.transaction() as theirs:
                with pytest.raises(Locked):
                    await VolumeService(theirs).get(key, lock="nowait")
            return
        async with world.transaction() as theirs:
            await VolumeService(theirs).update(key, VolumeUpdate(stars=2))
        (seen,) = (await session.exec(select(Volume.stars))).all()
        assert seen == (2 if level == "READ COMMITTED" and not is_sqlite(world) else 1)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("fails", [False, True])
async def test_isolation_does_not_leak_to_the_next_user(
    database: Database, level: Isolation, fails: bool
) -> None:
    """Nor does reading only, whatever becomes of the unit of work; there is one connection here."""
    async with like(database, pool_size=1, max_overflow=0) as world:
        await create_world(world)
        async with world.transaction() as session:
            before = await character(session)
        for read_only in (False, True):
            try:
                async with world.transaction(isolation=level, read_only=read_only) as session:
                    found = await character(session)
                    if not is_mariadb(world):
                        assert is_sqlite(world) or found[0] == level
                        assert read_only == found[1]
                    if fails:
                        raise ZeroDivisionError  # noqa: TRY301 - the block is to raise
            except ZeroDivisionError:
                pass
            async with world.transaction() as session:
                assert before == await character(session)
                session.add(Genre(name=f"{read_only}"))
        if is_mariadb(world):
            async with world.transaction() as session:
                key = await add_key(session)
            async with world.transaction(isolation="READ COMMITTED") as session:
                await session.exec(select(Volume.id))
            async with world.transaction() as session:
                assert 1 == (await VolumeService(session).get(key)).stars
                await change_elsewhere(database, key)
                assert [1] == (await session.exec(select(Volume.stars))).all()


async def add_key(session: AsyncSession) -> int:
    """Add a volume of one star and return its key."""
    volume = Volume(title="One", stars=1)
    session.add(volume)
    await session.flush()
    return volume.id or 0


async def change_elsewhere(database: Database, key: int) -> None:
    """Give a volume two stars, by another pool."""
    async with like(database) as other, other.transaction() as session:
        await VolumeService(session).update(key, VolumeUpdate(stars=2))


async def test_a_unit_of_work_that_only_reads_writes_nothing(world: Database) -> None:
    """The database refuses it, as the developer's mistake, and the pool stays as it was."""
    key = await add_volume(world)
    for _ in range(2):
        async with world.transaction(read_only=True) as session:
            assert "Dune" == (await VolumeService(session).get(key)).title
        with pytest.raises(ConfigError, match="only reads"):
            async with world.transaction(read_only=True) as session:
                session.add(Genre(name="Epic"))
        with pytest.raises(ConfigError, match="only reads"):
            async with world.transaction(read_only=True) as session:
                await (await session.connection()).execute(text("DELETE FROM w_volume"))
    async with world.transaction() as session:
        assert 0 == len((await session.exec(select(Genre))).all())
        session.add(Genre(name="Epic"))
    assert 0 == world.pool_status()["in_use"]


async def test_readers_on_sqlite_do_not_wait_for_a_writer(world: Database) -> None:
    """A unit of work that only reads takes no lock, whatever else it asks for."""
    if not is_sqlite(world):
        return
    async with world.transaction() as writer:
        writer.add(Genre(name="Epic"))
        await writer.flush()
        async with asyncio.timeout(5), world.transaction(read_only=True) as session:
            assert [] == (await session.exec(select(Genre))).all()


async def test_an_isolation_that_does_not_exist_is_refused(database: Database) -> None:
    """Before anything is sent."""
    wrong: Any = "SNAPSHOT; DROP TABLE w_volume"
    with pytest.raises(ConfigError, match="no isolation"):
        async with database.transaction(isolation=wrong):
            pass


async def test_run_returns_what_the_work_returns(world: Database) -> None:
    """And what it did is stored."""

    async def work(session: AsyncSession) -> int:
        session.add(Genre(name="Epic"))
        return 7

    assert 7 == await world.run(work)
    async with world.session() as session:
        assert ["Epic"] == (await session.exec(select(Genre.name))).all()


async def test_run_does_it_again_after_a_serialization_failure_only(world: Database) -> None:
    """In a new session each time, without what the attempts before have done."""
    sessions: list[AsyncSession] = []

    async def work(session: AsyncSession) -> str:
        sessions.append(session)
        assert [] == (await session.exec(select(Genre))).all()
        session.add(Genre(name="Epic"))
        await session.flush()
        if len(sessions) < 3:
            raise SerializationFailure
        return "done"

    assert "done" == await world.run(work, retry=Retry(first_wait=0, jitter=0))
    assert 3 == len({id(session) for session in sessions})
    attempts: Counter[type[Exception]] = Counter()
    for kind in (Conflict, UniqueViolation, Locked, ZeroDivisionError):

        async def fail(session: AsyncSession, kind: type[Exception] = kind) -> None:
            attempts[kind] += 1
            raise kind

        with pytest.raises(kind):
            await world.run(fail)
    assert {1} == set(attempts.values())


async def test_run_gives_up_by_number_and_by_time(database: Database) -> None:
    """The error is the last attempt's own."""
    times = 0

    async def fail(session: AsyncSession) -> None:
        nonlocal times
        times += 1
        await asyncio.sleep(0.02)
        raise SerializationFailure(f"{times}")

    with pytest.raises(SerializationFailure, match="4"):
        await database.run(fail, retry=Retry(attempts=4, first_wait=0, jitter=0))
    times = 0
    with pytest.raises(SerializationFailure, match="1"):
        await database.run(fail, retry=Retry(seconds=0.01, first_wait=0, jitter=0))


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"seconds": -1.0}, {"jitter": -0.1}])
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """No attempt at all, or times below zero."""
    with pytest.raises(ConfigError, match="no way to try again"):
        Retry(**wrong)


async def test_functions_run_in_order_after_the_commit_and_not_before(world: Database) -> None:
    """Plain ones and coroutines; others see what was stored by then."""
    heard: list[Any] = []

    async def look() -> None:
        async with world.session() as other:
            heard.append((await other.exec(select(Genre.name))).all())

    async with world.transaction() as session:
        session.after_commit(lambda: heard.append("first"))
        session.add(Genre(name="Epic"))
        session.after_commit(look)
        session.after_commit(lambda: heard.append("last"))
        await session.flush()
        assert [] == heard
    assert ["first", ["Epic"], "last"] == heard


async def test_a_function_may_open_another_unit_of_work(world: Database) -> None:
    """The connection has been given back: also SQLite's only writer."""

    async def write() -> None:
        async with world.transaction() as session:
            session.add(Genre(name="Later"))

    async with asyncio.timeout(10), world.transaction() as session:
        session.add(Genre(name="Epic"))
        session.after_commit(write)
    async with world.session() as session:
        assert {"Epic", "Later"} == set((await session.exec(select(Genre.name))).all())


async def test_nothing_runs_after_a_rollback(world: Database) -> None:
    """Whether it comes by an exception, by a call, or by a commit that is refused."""
    heard: list[str] = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            session.after_commit(lambda: heard.append("raised"))
            raise ZeroDivisionError
    async with world.transaction() as session:
        session.after_commit(lambda: heard.append("called"))
        await session.rollback()
    async with world.transaction() as session:
        session.add(Genre(name="Epic"))
        await session.flush()
        session.after_commit(lambda: heard.append("flushed"))
        await session.rollback()
        session.after_commit(lambda: heard.append("kept"))
    with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            session.after_commit(lambda: heard.append("refused"))
            session.add_all([Genre(name="Epic"), Genre(name="Epic")])
    async with world.session() as session:
        session.after_commit(lambda: heard.append("never committed"))
    assert ["kept"] == heard


async def test_a_savepoint_that_is_rolled_back_takes_its_functions_along(world: Database) -> None:
    """Those of inner savepoints too, and no others."""
    heard: list[str] = []
    async with world.transaction() as session:
        session.after_commit(lambda: heard.append("before"))
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving raises
            async with session.savepoint():
                session.after_commit(lambda: heard.append("lost"))
                async with session.savepoint():
                    session.after_commit(lambda: heard.append("inner of a lost one"))
                raise ZeroDivisionError
        async with session.savepoint():
            session.after_commit(lambda: heard.append("released"))
            with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving raises
                async with session.savepoint():
                    session.after_commit(lambda: heard.append("inner"))
                    session.add_all([Genre(name="Epic"), Genre(name="Epic")])
        nested = await session.begin_nested()
        session.after_commit(lambda: heard.append("by SQLAlchemy's name"))
        await nested.rollback()
        session.after_commit(lambda: heard.append("after"))
    assert ["before", "released", "after"] == heard


async def test_a_function_that_fails_does_not_undo_the_commit(
    world: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, the others run, and nothing is raised or done again."""
    heard: list[str] = []

    def fail() -> None:
        raise SerializationFailure("not of this commit")

    async def work(session: AsyncSession) -> None:
        session.add(Genre(name="Epic"))
        session.after_commit(fail)
        session.after_commit(lambda: heard.append("second"))

    with caplog.at_level(logging.ERROR, "sqlmodelkit.transactions"):
        await world.run(work)
    assert ["second"] == heard
    (record,) = caplog.records
    assert "after a commit failed" in record.getMessage()
    assert record.exc_info
    async with world.session() as session:
        assert ["Epic"] == (await session.exec(select(Genre.name))).all()


async def test_functions_run_after_every_kind_of_commit(world: Database) -> None:
    """A call of one's own, SQLAlchemy's block, a unit of work whose statement would stand alone."""
    heard: list[str] = []
    async with world.session() as session:
        session.after_commit(lambda: heard.append("commit"))
        await session.commit()
        assert ["commit"] == heard
        async with session.begin():
            session.add(Genre(name="Epic"))
            session.after_commit(lambda: heard.append("begin"))
        async with session.begin() as transaction:
            session.after_commit(lambda: heard.append("early"))
            await transaction.commit()
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving raises
            async with session.begin():
                session.after_commit(lambda: heard.append("never"))
                raise ZeroDivisionError
        with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving raises
            async with world.session() as other, other.begin():
                other.after_commit(lambda: heard.append("refused"))
                other.add(Genre(name="Epic"))
    async with world.unit() as unit:
        unit.after_commit(lambda: heard.append("unit"))
        data = VolumeUpdate(title="x")
        with pytest.raises(NotFound):
            await VolumeService(unit).update_json(1, data, into=VolumeService.public, last=True)
    assert ["commit", "begin", "early", "unit"] == heard


async def test_a_commit_that_is_cancelled_ends_first_and_what_follows_it_too(
    world: Database,
) -> None:
    """Then the cancellation comes: nothing is durable without its functions having run."""
    heard: list[str] = []
    began = asyncio.Event()

    async def slow() -> None:
        began.set()
        await asyncio.sleep(0.05)
        heard.append("slow")

    async def work() -> None:
        async with world.transaction() as session:
            session.add(Genre(name="Epic"))
            session.after_commit(slow)
            session.after_commit(lambda: heard.append("last"))

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["slow", "last"] == heard
    assert 0 == world.pool_status()["in_use"]


async def test_two_tasks_that_use_one_session_are_told_where(any_world: Database) -> None:
    """The error names both lines, whatever the driver; the pool is whole afterwards."""
    world = any_world
    key = await add_volume(world)

    async def one(volumes: VolumeService) -> None:
        await volumes.get(key)  # here

    async def two(volumes: VolumeService) -> None:
        await volumes.update(key, VolumeUpdate(stars=1))  # and here

    lines = [
        number
        for number, line in enumerate(_this_file().splitlines(), start=1)
        if line.rstrip().endswith(("# here", "# and here"))
    ][:2]
    with pytest.raises(ConfigError) as caught:  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            volumes = VolumeService(session)
            await asyncio.gather(one(volumes), two(volumes))
    message = str(caught.value)
    assert "Two tasks use one session at once" in message
    for line, name in zip(lines, ("one", "two"), strict=True):
        assert f"{__file__}:{line} in {name_of(name)}" in message
    assert 0 == world.pool_status()["in_use"]
    async with world.session() as session:
        assert 3 == (await VolumeService(session).get(key)).stars


def name_of(inner: str) -> str:
    """Return the full name of a function in that test."""
    return f"test_two_tasks_that_use_one_session_are_told_where.<locals>.{inner}"


def _this_file() -> str:
    return Path(__file__).read_text()


@pytest.mark.parametrize("reading", [True, False])
async def test_reads_at_once_are_refused_where_they_would_share_a_connection(
    world: Database, reading: bool
) -> None:
    """Of one unit of work: table rows always, response models unless each stands alone."""
    key = await add_volume(world)
    async with world.unit(reading=reading) as unit:
        volumes = VolumeService(unit)
        into = VolumeService.public
        works = [volumes.get(key, into=into) for _ in range(5)]
        if reading:
            assert 5 == len(await asyncio.gather(*works))
        else:
            await refused(*works)
            await unit.session.rollback()
        await refused(*[volumes.get(key) for _ in range(2)])
    assert 0 == world.pool_status()["in_use"]


async def refused(*works: Any) -> None:
    """Run works at once, and see all but the first refused."""
    results = await asyncio.gather(*works, return_exceptions=True)
    assert not isinstance(results[0], BaseException)
    assert {ConfigError} == {type(result) for result in results[1:]}


async def test_a_task_that_is_left_behind_holds_up_the_end_and_no_connection(
    world: Database,
) -> None:
    """`gather` raises at once and lets the others go on: they are waited for, then told off."""
    key = await add_volume(world)
    ends: list[BaseException] = []

    async def go_on(session: AsyncSession) -> None:
        try:
            while True:
                await session.exec(select(Volume.id))
        except ConfigError as error:
            ends.append(error)

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            await session.get(Volume, key)
            await asyncio.gather(go_on(session), fail())
    async with asyncio.timeout(5):
        while not ends:  # noqa: ASYNC110 - the task is nobody's
            await asyncio.sleep(0.01)
    assert "after its unit of work has ended" in str(ends[0])
    assert 0 == world.pool_status()["in_use"]


async def test_a_session_ends_with_its_unit_of_work(world: Database) -> None:
    """Whoever kept it, in a background task for instance, is told what to do."""
    async with world.transaction() as session:
        session.add(Genre(name="Epic"))
    async with world.unit() as unit:
        kept = unit.session
    for late in (session, kept):
        with pytest.raises(ConfigError, match="after its unit of work has ended"):
            await late.exec(select(Genre))
    assert 0 == world.pool_status()["in_use"]


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_named_lock_is_held_by_one_at_a_time(world: Database, lasting: bool) -> None:
    """Ten tasks of two pools, as of two processes, that would meet without it."""
    inside = most = entered = 0

    async def enter(database: Database) -> None:
        nonlocal inside, most, entered
        async with database.transaction() as session:
            if not lasting:
                await advisory_lock(session, "nightly")
            inside += 1
            entered += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    async def work(database: Database) -> None:
        if lasting:
            async with database.advisory_lock("nightly"):
                await enter(database)
        else:
            await enter(database)

    async with asyncio.timeout(60), like(world) as other, asyncio.TaskGroup() as group:
        for database in (world, other):
            for _ in range(4):
                group.create_task(work(database))
        while entered < 8:  # noqa: ASYNC110 - `other` has to stay open
            await asyncio.sleep(0.01)
    assert (1, 8) == (most, entered)
    assert 0 == world.pool_status()["in_use"]


@pytest.mark.parametrize("seconds", [0, 0.05])
async def test_a_named_lock_that_somebody_holds_is_locked(world: Database, seconds: float) -> None:
    """Within the time given, for that name only, and free again whatever ends the block."""
    async with like(world) as other:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving raises
            async with world.advisory_lock("nightly"):
                with pytest.raises(Locked, match="nightly"):
                    async with other.advisory_lock("nightly", timeout=seconds):
                        pass
                async with other.advisory_lock("weekly", timeout=seconds):
                    pass
                raise ZeroDivisionError
        async with other.advisory_lock("nightly", timeout=0):
            pass
        holding, ended = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with world.advisory_lock("nightly"):
                holding.set()
                await ended.wait()

        task = asyncio.create_task(hold())
        await holding.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with other.advisory_lock("nightly", timeout=0):
            pass
        assert 0 == world.pool_status()["in_use"] == other.pool_status()["in_use"]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_named_lock_of_a_unit_of_work_ends_with_it(world: Database, fails: bool) -> None:
    """With its commit or its rollback; until then it is held against other pools."""
    if is_sqlite(world):
        async with world.transaction(immediate=False) as session:
            with pytest.raises(ConfigError, match="unit of work that writes"):
                await advisory_lock(session, "nightly")
        return
    async with like(world) as other:
        try:
            async with world.transaction() as session:
                await advisory_lock(session, "nightly")
                await advisory_lock(session, "nightly")
                async with other.transaction() as theirs:
                    with pytest.raises(Locked):
                        await advisory_lock(theirs, "nightly", timeout=0)
                if fails:
                    raise ZeroDivisionError  # noqa: TRY301 - the block is to raise
        except ZeroDivisionError:
            pass
        async with other.transaction() as theirs:
            await advisory_lock(theirs, "nightly", timeout=0)
        async with world.advisory_lock("nightly", timeout=0):
            pass


@pytest.mark.slow
async def test_cancelled_waiting_for_a_named_lock_leaves_nothing(world: Database) -> None:
    """Neither the lock nor a connection, at whatever moment."""
    async with like(world) as other:
        for number in range(60):
            task = asyncio.create_task(take(other))
            await asyncio.sleep(number % 20 * 0.0005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(5), world.advisory_lock("nightly", timeout=2):
                pass
        assert 0 == other.pool_status()["in_use"]


async def take(database: Database) -> None:
    """Take a named lock and hold it for a moment."""
    async with database.advisory_lock("nightly"):
        await asyncio.sleep(0.002)


async def test_a_pooler_of_transactions_holds_no_named_lock(new_database: Any) -> None:
    """It would be lost, or somebody else's, with the next statement."""
    url = new_database("postgresql")
    async with like(Database(url), pooler="pgbouncer") as database:
        with pytest.raises(ConfigError, match="pooler"):
            async with database.advisory_lock("nightly"):
                pass
        async with database.transaction() as session:
            await advisory_lock(session, "nightly")


async def test_a_lock_without_waiting_says_that_somebody_holds_the_row(world: Database) -> None:
    """By `get`, `find`, `get_many` and `all`; SQLite has no locks on rows to meet."""
    key, free = await add_volume(world), await add_volume(world, title="Free")
    async with world.transaction() as session:
        await VolumeService(session).get(key, lock=True)
        if is_sqlite(world):
            assert key == (await VolumeService(session).get(key, lock="nowait")).id
            return
        async with world.transaction() as theirs:
            volumes = VolumeService(theirs)
            for work in (
                lambda: volumes.get(key, lock="nowait"),
                lambda: volumes.find(title="Dune", lock="nowait"),
                lambda: volumes.get_many([free, key], lock="nowait"),
                lambda: volumes.all(lock="nowait"),
            ):
                with pytest.raises(Locked, match="A row of Volume is held"):
                    async with theirs.savepoint():
                        await work()
            assert free == (await volumes.get(free, lock="nowait")).id
    async with world.transaction() as session:
        assert key == (await VolumeService(session).get(key, lock="nowait")).id


async def test_rows_that_somebody_holds_can_be_left_out(world: Database) -> None:
    """As workers do that share a queue."""
    key, free = await add_volume(world), await add_volume(world, title="Free")
    async with world.transaction() as session:
        await VolumeService(session).get(key, lock=True)
        if is_sqlite(world):
            assert 2 == len(await VolumeService(session).all(lock="skip_locked"))
            return
        async with world.transaction() as theirs:
            volumes = VolumeService(theirs)
            assert [free] == [row.id for row in await volumes.all(lock="skip_locked")]
            assert [free] == [row.id for row in await volumes.all(lock="skip_locked", limit=1)]
            assert await volumes.find(title="Dune", lock="skip_locked") is None


async def test_locks_that_make_no_sense_are_refused(world: Database) -> None:
    """A response model is no row, the only row cannot be skipped, and a typo locks nothing."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes: Any = VolumeService(session)
        for wrong in (
            volumes.get(key, lock=True, into=VolumeService.public),
            volumes.all(lock=True, into=VolumeService.public),
            volumes.get(key, lock="skip_locked"),
            volumes.get(key, lock="no_wait"),
            volumes.find(lock="skiplocked"),
        ):
            with pytest.raises(ConfigError):
                await wrong


@pytest.mark.slow
async def test_rows_locked_together_never_wait_for_each_other(world: Database) -> None:
    """Whatever the order asked: `get_many` locks in the order of the keys."""
    keys = [await add_volume(world, stars=0) for _ in range(4)]

    async def count_up(asked: list[int]) -> None:
        for _ in range(15):
            async with world.transaction() as session:
                rows = await VolumeService(session).get_many(asked, lock=True)
                assert asked == [row.id for row in rows]
                for row in rows:
                    row.stars = (row.stars or 0) + 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for asked in (keys, keys[::-1], keys[2:] + keys[:2]):
            group.create_task(count_up(asked))
    async with world.session() as session:
        assert [45] * 4 == [row.stars for row in await VolumeService(session).get_many(keys)]


@pytest.mark.slow
async def test_workers_share_a_queue_and_no_job_is_done_twice(world: Database) -> None:
    """Each takes the first job that nobody holds."""
    keys = [await add_volume(world, stars=0) for _ in range(40)]
    done: list[int] = []

    async def take_one(session: AsyncSession) -> int | None:
        jobs = VolumeService(session)
        for job in await jobs.all(stars=0, sort="id", limit=1, lock="skip_locked"):
            job.stars = 1
            return job.id
        return None

    async def worker() -> None:
        while (key := await world.run(take_one)) is not None:
            done.append(key)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(worker())
    assert keys == sorted(done)


def test_a_unit_of_work_is_a_public_name() -> None:
    """It is what services take and `db.unit()` gives."""
    import sqlmodelkit  # noqa: PLC0415

    assert sqlmodelkit.UnitOfWork is UnitOfWork


async def test_postgresql_tells_serializable_units_apart(world: Database) -> None:
    """Write skew, which no lock of a row prevents: one of the two is done again."""
    if not is_postgresql(world):
        return
    await add_volume(world, title="a")
    met = asyncio.Barrier(2)
    attempts = 0

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        number = await VolumeService(session).count()
        if attempts <= 2:
            await met.wait()
        if number == 1:
            session.add(Volume(title="b"))

    async with asyncio.timeout(20):
        await asyncio.gather(*[world.run(work, isolation="SERIALIZABLE") for _ in range(2)])
    assert 3 == attempts
    async with world.session() as session:
        assert 2 == await VolumeService(session).count()
