"""Delete and restore: what stays, what goes along, what is refused."""

from uuid import uuid4

import pytest
from pydantic import BaseModel
from sqlmodel import SQLModel, select

from sqlmodelkit import Database, IntKey, ServiceBase, SoftDelete, events
from sqlmodelkit.errors import ConfigError, ForeignKeyViolation, NotFound, UniqueViolation
from tests.world import (
    Chapter,
    ChapterService,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    Writer,
    WriterService,
    add_volume,
    add_writer,
    create_world,
)


class Memorandum(IntKey, SoftDelete, table=True):
    """Soft delete and nothing else."""

    __tablename__ = "w_note"  # pyright: ignore[reportAssignmentType]


class Nothing(BaseModel):
    """No field at all."""


class NoteService(ServiceBase[Memorandum, Nothing, Nothing]):
    """Notes have no version to count."""


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def stored(database: Database, key: int) -> Volume:
    """Return a volume as the next unit of work sees it."""
    async with database.session() as session:
        return await VolumeService(session).get(key, include_deleted=True)


async def test_delete_is_for_good_without_soft_delete(world: Database) -> None:
    """One statement; the second time it is not found."""
    key = await add_writer(world)
    async with world.transaction() as session:
        writers = WriterService(session)
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            await writers.delete(key)
        assert 1 == len(seen)
        with pytest.raises(NotFound):
            await writers.delete(key)
        assert [] == (await session.exec(select(Writer))).all()


async def test_delete_of_a_row_that_is_referred_to_is_refused(world: Database) -> None:
    """The error names who refers to it, by which field."""
    key = await add_writer(world, volumes=1)
    with pytest.raises(ForeignKeyViolation, match="still referred to") as caught:
        async with world.transaction() as session:
            await WriterService(session).delete(key)
    assert not caught.value.missing
    async with world.session() as session:
        assert await WriterService(session).exists(id=key)


async def test_the_database_cascades(world: Database) -> None:
    """Chapters go with their volume, when it goes for good."""
    key = await add_writer(world, volumes=1)
    async with world.transaction() as session:
        await session.delete(await VolumeService(session).get(1))
        await session.flush()
        assert [] == (await session.exec(select(Chapter))).all()
        await WriterService(session).delete(key)


async def test_soft_delete_keeps_the_row(world: Database) -> None:
    """With the time, a new version, and everything that belongs to it."""
    await add_writer(world, volumes=1)
    async with world.transaction() as session:
        await VolumeService(session).delete(1)
    row = await stored(world, 1)
    assert row.deleted_at is not None
    assert row.deleted_at >= row.created_at
    assert 2 == row.version
    async with world.session() as session:
        assert 2 == await ChapterService(session).count()


async def test_a_row_in_hand_knows_that_it_was_deleted(world: Database) -> None:
    """The object in the session follows the statement."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        volume = await volumes.get(key)
        await volumes.delete(key)
        await session.refresh(volume)
        assert volume.deleted_at is not None
        restored = await volumes.restore(key)
        assert restored is volume
        assert volume.deleted_at is None


async def test_restore_brings_a_row_back(world: Database) -> None:
    """As a row or as a response model; only a deleted one."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        with pytest.raises(NotFound):
            await volumes.restore(key)
        await volumes.delete(key)
        row = await volumes.restore(key)
        assert (None, 3) == (row.deleted_at, row.version)
        await volumes.delete(key)
        shown = await volumes.restore(key, into=VolumePublic)
        assert "Dune" == shown.title
        with pytest.raises(NotFound):
            await volumes.restore(99)
    assert (await stored(world, key)).deleted_at is None


async def test_soft_delete_needs_no_version(database: Database) -> None:
    """Each mixin works by itself."""
    async with database.engine.begin() as connection:
        note = SQLModel.metadata.tables["w_note"]
        await connection.run_sync(SQLModel.metadata.create_all, tables=[note])
    async with database.transaction() as session:
        notes = NoteService(session)
        key = (await notes.create(Nothing())).id
        await notes.delete(key)
        assert 0 == await notes.count()
        assert key == (await notes.restore(key)).id


async def test_restore_needs_soft_delete(world: Database) -> None:
    """A model without it is the developer's mistake."""
    async with world.transaction() as session:
        with pytest.raises(ConfigError, match="Writer cannot be restored"):
            await WriterService(session).restore(uuid4())


async def test_a_deleted_row_still_holds_its_unique_values(world: Database) -> None:
    """So that it can be restored; the refusal names the field."""
    key = await add_volume(world, isbn="1")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.delete(key)
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                await volumes.create(VolumeCreate(title="x", isbn="1"))
    assert ("isbn",) == caught.value.fields
