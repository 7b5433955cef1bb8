"""Units of work: what stands alone, what joins the session's transaction, and who has a say."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlmodel import SQLModel

from sqlmodelkit import AsyncSession, Database
from sqlmodelkit.errors import ConfigError, ForeignKeyViolation, NotFound
from sqlmodelkit.sessions import overseen
from sqlmodelkit.units import UnitOfWork
from sqlmodelkit.wires import ConnectionWire, DriverWire, SessionWire
from tests.world import (
    TABLES,
    Genre,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    VolumeWithChapters,
    Writer,
    WriterCard,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterWithVolumes,
    add_volume,
    add_writer,
    create_world,
    fail_at_commit,
    is_mariadb,
    is_postgresql,
    is_sqlite,
    make_commit_fail,
)

TASKS, TURNS = 10, 20


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def kind(unit: UnitOfWork, **options: Any) -> type[Any]:
    """Return the class of the wire that a unit gives."""
    async with unit.wire(**options) as wire:
        return type(wire)


async def test_a_reading_unit_stands_alone_until_its_session_begins(world: Database) -> None:
    """From then on everything happens in the session's transaction."""
    async with world.unit(reading=True) as unit:
        assert DriverWire is await kind(unit)
        session = unit.session
        assert (session, DriverWire) == (unit.session, await kind(unit))
        await session.connection()
        assert ConnectionWire is await kind(unit)
        await session.rollback()
        assert DriverWire is await kind(unit)
        session.add(Genre(name="Epic"))
        assert ConnectionWire is await kind(unit)


async def test_a_writing_unit_stands_alone_for_its_last_statement_only(world: Database) -> None:
    """And only when nothing has been done before."""
    async with world.unit() as unit:
        assert DriverWire is await kind(unit, writing=True, last=True)
        assert ConnectionWire is await kind(unit)
        assert ConnectionWire is await kind(unit, writing=True, last=True)


async def test_a_session_of_one_s_own_is_always_joined(world: Database) -> None:
    """Who opened a transaction gets everything in it."""
    async with world.transaction() as session:
        unit = UnitOfWork.of(session)
        assert session is unit.session
        assert [ConnectionWire] * 2 == [
            await kind(unit),
            await kind(unit, writing=True, last=True),
        ]
    with pytest.raises(ConfigError):
        UnitOfWork.of(AsyncSession())


async def test_reads_see_what_the_unit_has_not_committed(world: Database) -> None:
    """Also what has not even been flushed; by rows and by objects, and others do not see it."""
    for reading in (True, False):
        async with world.unit(reading=reading) as unit:
            writers, volumes = WriterService(unit), VolumeService(unit)
            assert 0 == await writers.count()
            writer = Writer(name="Ann")
            unit.session.add(writer)
            assert b'"name":"Ann"' in await writers.get_json(writer.id, into=WriterPublic)
            assert 1 == await writers.count()
            unit.session.add(Volume(title="Dune", writer_id=writer.id))
            assert ["Dune"] == [item.title for item in await volumes.all(into=VolumePublic)]
            card = await writers.get(writer.id, into=WriterCard)
            assert ("A", ["Dune"]) == (card.initial, [volume.title for volume in card.volumes])
            page = await writers.page(into=WriterWithVolumes, volumes__title="Dune")
            assert (1, "Dune") == (page.total, page.items[0].volumes[0].title)
            if not is_sqlite(world) or reading:
                async with world.unit(reading=True) as other:
                    assert 0 == await WriterService(other).count()
            await unit.session.rollback()


async def test_a_unit_is_committed_at_its_end_and_by_nothing_else(world: Database) -> None:
    """What raises leaves nothing; a session that was never used costs nothing."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            await WriterService(unit).create(WriterCreate(name="Ann"), into=WriterPublic)
            await VolumeService(unit).create_json(VolumeCreate(title="x"), into=VolumePublic)
            raise ZeroDivisionError
    async with world.unit() as unit:
        assert (0, 0) == (await WriterService(unit).count(), await VolumeService(unit).count())
        await WriterService(unit).create(WriterCreate(name="Ann"), into=WriterPublic)
    async with world.unit():
        pass
    async with world.unit(reading=True) as unit:
        assert 1 == await WriterService(unit).count()
    assert 0 == world.pool_status()["in_use"]


async def test_a_commit_that_fails_is_said(world: Database) -> None:
    """As by `transaction`: constraints may be checked as late as that."""
    if is_mariadb(world):
        return
    await make_commit_fail(world)
    with pytest.raises(ForeignKeyViolation):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            await VolumeService(unit).create(VolumeCreate(title="Before"), into=VolumePublic)
            await fail_at_commit(world, unit.session)
    async with world.unit(reading=True) as unit:
        assert 0 == await VolumeService(unit).count()


async def test_no_update_is_lost_between_units_that_read_first(world: Database) -> None:
    """SQLite's writers queue before they read; the others hold the row."""
    key = await add_volume(world, stars=0)

    async def count_up() -> None:
        for _ in range(TURNS if is_sqlite(world) else 3):
            async with world.unit() as unit:
                volumes = VolumeService(unit)
                if not is_sqlite(world):
                    await volumes.get(key, lock=True)
                stars = (await volumes.get(key, into=VolumePublic)).stars
                data = VolumeUpdate(stars=(stars or 0) + 1)
                await volumes.update_json(key, data, into=VolumePublic)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(count_up())
    async with world.session() as session:
        volume = await VolumeService(session).get(key)
    turns = TASKS * (TURNS if is_sqlite(world) else 3)
    assert (turns, turns + 1) == (volume.stars, volume.version)


async def test_many_reads_of_one_unit_may_run_at_once(world: Database) -> None:
    """Each that stands alone has a connection of its own."""
    keys = [await add_volume(world, title=f"{number}") for number in range(4)]
    async with world.unit(reading=True) as unit:
        volumes = VolumeService(unit)
        found = await asyncio.gather(*[volumes.get(key, into=VolumePublic) for key in keys])
    assert ["0", "1", "2", "3"] == [volume.title for volume in found]


@contextmanager
def listening(target: Any, name: str, hear: Callable[..., Any]) -> Iterator[None]:
    """Listen to an event as long as the block runs."""
    event.listen(target, name, hear)
    try:
        yield
    finally:
        event.remove(target, name, hear)


def only_ours(state: ORMExecuteState) -> None:
    """Hide the volumes of another tenant, as applications do it."""
    ours: Any = Volume.title != "theirs"
    if not state.is_column_load and not state.is_relationship_load:
        state.statement = state.statement.options(
            with_loader_criteria(Volume, ours, include_aliases=True)
        )


async def two_tenants(world: Database) -> tuple[int, int]:
    """Store a volume of ours and one of theirs, and return their keys."""
    writer = await add_writer(world)
    ours = await add_volume(world, title="ours", writer_id=writer)
    return ours, await add_volume(world, title="theirs", writer_id=writer)


async def check_tenants(unit: UnitOfWork, ours: int, theirs: int) -> None:
    """Ask by every verb for what is theirs."""
    volumes, writers = VolumeService(unit), WriterService(unit)
    assert b'"ours"' in await volumes.get_json(ours, into=VolumePublic)
    for into in (VolumePublic, VolumeWithChapters):
        with pytest.raises(NotFound):
            await volumes.get_json(theirs, into=into)
        with pytest.raises(NotFound):
            await volumes.get(theirs, into=into)
        with pytest.raises(NotFound):
            await volumes.get_many([ours, theirs], into=into)
        assert ["ours"] == [volume.title for volume in await volumes.all(into=into)]
        assert b"theirs" not in await volumes.all_json(into=into)
        page = await volumes.page(into=into, limit=1)
        assert (1, ["ours"]) == (page.total, [volume.title for volume in page.items])
        json = await volumes.page_json(into=into, limit=1)
        assert (False, True) == (b"theirs" in json, b'"total":1' in json)
        assert await volumes.find(title="theirs", into=into) is None
        streamed = [volume.title async for volume in volumes.stream(into=into)]
        assert ["ours"] == streamed
    assert (1, 0) == (await volumes.count(), await volumes.count(title="theirs"))
    assert not await volumes.exists(title="theirs")
    assert 0 == await writers.count(volumes__title="theirs")
    (writer,) = await writers.all(into=WriterWithVolumes)
    assert ["ours"] == [volume.title for volume in writer.volumes]
    (card,) = await writers.all(into=WriterCard)
    assert ["ours"] == [volume.title for volume in card.volumes]


async def test_a_filter_on_all_sessions_holds_for_every_read(world: Database) -> None:
    """A tenant sees its own rows only, by whatever verb and unit of work."""
    ours, theirs = await two_tenants(world)
    for reading in (True, False):
        # Before, so that the statements have been compiled without the filter.
        async with world.unit(reading=reading) as unit:
            assert 2 == await VolumeService(unit).count()
            assert b"theirs" in await VolumeService(unit).get_json(theirs, into=VolumePublic)
        with listening(Session, "do_orm_execute", only_ours):
            async with world.unit(reading=reading) as unit:
                await check_tenants(unit, ours, theirs)
        async with world.unit(reading=reading) as unit:
            assert 2 == await VolumeService(unit).count()


async def test_a_filter_on_one_session_is_never_passed_by(world: Database) -> None:
    """What goes by that session is filtered; what needs another one is refused."""
    ours, theirs = await two_tenants(world)
    async with world.transaction() as session:
        event.listen(session.sync_session, "do_orm_execute", only_ours)
        unit = UnitOfWork.of(session)
        volumes = VolumeService(unit)
        assert SessionWire is await kind(unit)
        assert (1, False) == (await volumes.count(), await volumes.exists(title="theirs"))
        assert ["ours"] == [volume.title for volume in await volumes.all()]
        for key in (ours, theirs):
            with pytest.raises((ConfigError, NotFound)) as caught:
                await volumes.get_json(key, into=VolumePublic)
            assert isinstance(caught.value, ConfigError)
        with pytest.raises(NotFound):
            await volumes.update(theirs, VolumeUpdate(stars=5), into=VolumePublic)
    async with world.unit(reading=True) as unit:
        assert 2 == await VolumeService(unit).count()


@pytest.mark.parametrize("last", [True, False])
async def test_a_filter_on_all_sessions_holds_for_changes(world: Database, last: bool) -> None:
    """What one does not see one does not change."""
    ours, theirs = await two_tenants(world)
    data = VolumeUpdate(stars=5)
    with listening(Session, "do_orm_execute", only_ours):
        async with world.unit() as unit:
            with pytest.raises(NotFound):
                await VolumeService(unit).update_json(theirs, data, into=VolumePublic, last=last)
        async with world.unit() as unit:
            with pytest.raises(NotFound):
                await VolumeService(unit).update(theirs, data, into=VolumePublic)
        async with world.unit() as unit:
            answer = await VolumeService(unit).update_json(ours, data, into=VolumePublic, last=last)
    assert b'"stars":5' in answer
    async with world.session() as session:
        assert 3 == (await VolumeService(session).get(theirs)).stars


@pytest.mark.parametrize("name", ["before_flush", "after_flush", "pending_to_persistent"])
async def test_who_listens_to_flushes_sees_every_row_that_is_written(
    world: Database, name: str
) -> None:
    """An audit by events of all sessions misses nothing."""
    seen: list[str] = []

    def audit(session: Session, *others: Any) -> None:
        rows = others[:1] if name == "pending_to_persistent" else [*session.new, *session.dirty]
        seen.extend(type(row).__name__ for row in rows)

    with listening(Session, name, audit):
        async with world.unit() as unit:
            data = VolumeCreate(title="Dune")
            await VolumeService(unit).create_json(data, into=VolumePublic, last=True)
        async with world.unit() as unit:
            await WriterService(unit).create(WriterCreate(name="Ann"), into=WriterWithVolumes)
        if name != "pending_to_persistent":
            async with world.unit() as unit:
                await VolumeService(unit).update(1, VolumeUpdate(stars=5), into=VolumePublic)
    expected = ["Volume", "Writer", "Volume"]
    assert expected[: len(seen)] == seen
    assert len(seen) == (2 if name == "pending_to_persistent" else 3)


@pytest.mark.parametrize("name", ["after_begin", "before_commit", "after_commit"])
async def test_who_listens_to_transactions_of_sessions_hears_of_each(
    world: Database, name: str
) -> None:
    """Of a write that would stand alone too."""
    heard: list[str] = []
    with listening(Session, name, lambda *_: heard.append(name)):
        async with world.unit() as unit:
            data = VolumeCreate(title="Dune")
            await VolumeService(unit).create_json(data, into=VolumePublic, last=True)
    assert {name} == set(heard)


def test_listeners_from_before_the_import_count_too() -> None:
    """An application may have imported its own modules first."""
    program = """
from sqlalchemy import event
from sqlalchemy.orm import Session
event.listen(Session, "do_orm_execute", lambda state: None)
from sqlmodelkit.sessions import overseen
assert overseen(None)
"""
    assert not overseen(None)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


async def test_tables_of_another_schema_are_read_and_written_there(world: Database) -> None:
    """A tenant's schema, named at the connection: nothing goes to the others' tables."""
    if not is_postgresql(world):
        return
    async with world.engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA tenant"))
    try:
        await check_schemas(world)
    finally:
        async with world.engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA tenant CASCADE"))


async def check_schemas(world: Database) -> None:
    """Read and write in a schema by every way that a service has."""
    there: dict[str, Any] = {"schema_translate_map": {None: "tenant"}}
    async with world.engine.begin() as plain:
        connection = await plain.execution_options(**there)
        await connection.run_sync(SQLModel.metadata.create_all, tables=TABLES)
    here = await add_volume(world, title="here")
    async with world.transaction() as session:
        await session.connection(execution_options=there)
        volumes = VolumeService(session)
        assert 0 == await volumes.count()
        made = await volumes.create(VolumeCreate(title="there"), into=VolumePublic)
        assert ["there"] == [volume.title for volume in await volumes.all(into=VolumePublic)]
        assert b'"there"' in await volumes.get_json(made.id, into=VolumeWithChapters)
        changed = await volumes.update(made.id, VolumeUpdate(stars=5), into=VolumePublic)
        assert 5 == changed.stars
    async with world.unit(reading=True) as unit:
        volume = await VolumeService(unit).get(here, into=VolumePublic)
        assert (1, "here", 3) == (await VolumeService(unit).count(), volume.title, volume.stars)
    unit = UnitOfWork(world.engine.execution_options(**there), reading=True)
    assert ["there"] == [item.title for item in await VolumeService(unit).all(into=VolumePublic)]
    await unit.close()


async def test_a_unit_of_work_that_is_isolated_reads_in_its_transaction(world: Database) -> None:
    """Also what would stand alone: it is all of one moment."""
    for isolation in (None, "REPEATABLE READ"):
        level: Any = isolation
        async with world.unit(reading=True, isolation=level) as unit:
            before = await VolumeService(unit).count()
            await add_volume(world)
            after = await VolumeService(unit).count()
        assert after - before == (0 if level else 1)
    with pytest.raises(ConfigError, match="no isolation"):
        world.unit(isolation="NONE")  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", [True, False])
async def test_a_unit_of_work_that_only_reads_refuses_every_write(
    world: Database, reading: bool
) -> None:
    """In its transaction, and by a statement that would stand alone."""
    key = await add_volume(world)
    data = VolumeCreate(title="Dune")
    async with world.unit(reading=reading, read_only=True) as unit:
        volumes = VolumeService(unit)
        assert key == (await volumes.get(key, into=VolumePublic)).id
        assert reading == (0 == world.pool_status()["in_use"])
        assert key == (await volumes.get(key)).id
    for last in (True, False):
        with pytest.raises(ConfigError, match="only reads"):
            async with world.unit(reading=reading, read_only=True) as unit:
                await VolumeService(unit).create_json(data, into=VolumePublic, last=last)
    async with world.session() as session:
        assert 1 == await VolumeService(session).count()
    assert 0 == world.pool_status()["in_use"]


async def test_a_write_in_a_unit_of_work_for_reading_is_part_of_it(world: Database) -> None:
    """An endpoint for GET that writes and then fails has written nothing."""
    data = VolumeCreate(title="Dune")
    for fails in (True, False):
        try:
            async with world.unit(reading=True) as unit:
                volumes = VolumeService(unit)
                made = await volumes.create(data, into=VolumePublic)
                await volumes.update(made.id, VolumeUpdate(stars=5), into=VolumePublic)
                assert 5 == (await volumes.get(made.id, into=VolumePublic)).stars
                if fails:
                    raise ZeroDivisionError  # noqa: TRY301 - the block is to raise
        except ZeroDivisionError:
            pass
        async with world.session() as session:
            assert (0 if fails else 1) == await VolumeService(session).count()
