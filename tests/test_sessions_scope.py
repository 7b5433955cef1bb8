"""Soft-deleted rows: out of every session's scope, until somebody asks for them by name."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, update
from sqlalchemy.orm import aliased, joinedload, selectinload
from sqlmodel import col, select

from sqlmodelkit import Database
from sqlmodelkit.errors import ConfigError, NotFound, NotLoaded
from sqlmodelkit.sessions import INCLUDE_DELETED
from tests.world import (
    Chapter,
    ChapterService,
    Genre,
    Volume,
    VolumeDetail,
    VolumeService,
    VolumeUpdate,
    VolumeWithChapters,
    Writer,
    WriterService,
    WriterWithVolumes,
    add_writer,
    create_world,
)

EVERYTHING = {INCLUDE_DELETED: True}


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


@pytest.fixture
async def writer_id(world: Database) -> UUID:
    """A writer of three volumes, of which the second is deleted."""
    key = await add_writer(world, volumes=3)
    async with world.transaction() as session:
        await VolumeService(session).delete(2)
    return key


async def test_a_deleted_row_is_not_found(world: Database, writer_id: UUID) -> None:
    """By its key it is as if it were not there."""
    async with world.session() as session:
        volumes = VolumeService(session)
        with pytest.raises(NotFound):
            await volumes.get(2)
        with pytest.raises(NotFound):
            await volumes.get(2, into=VolumeDetail)
        with pytest.raises(NotFound):
            await volumes.get_many([1, 2, 3])
        assert await session.get(Volume, 2) is None


async def test_a_deleted_row_is_neither_listed_nor_counted(
    world: Database, writer_id: UUID
) -> None:
    """Lists, totals, counts and existence agree."""
    async with world.session() as session:
        volumes = VolumeService(session)
        assert await volumes.find(id=2) is None
        assert [1, 3] == [volume.id for volume in await volumes.all()]
        page = await volumes.page(limit=1, into=VolumeWithChapters)
        assert ([1], 2) == ([item.id for item in page.items], page.total)
        assert 2 == (await volumes.page(limit=1)).total
        assert 2 == await volumes.count()
        assert not await volumes.exists(id=2)


async def test_a_deleted_row_is_seen_by_those_who_ask(world: Database, writer_id: UUID) -> None:
    """`include_deleted` is understood by every reading verb."""
    async with world.session() as session:
        volumes = VolumeService(session)
        assert (await volumes.get(2, include_deleted=True)).deleted_at is not None
        assert 2 == (await volumes.get(2, into=VolumeDetail, include_deleted=True)).id
        found = await volumes.find(id=2, include_deleted=True)
        assert found is not None
        assert 3 == len(await volumes.get_many([1, 2, 3], include_deleted=True))
        assert 3 == len(await volumes.all(include_deleted=True))
        assert 3 == (await volumes.page(include_deleted=True, limit=1)).total
        assert 3 == await volumes.count(include_deleted=True)
        assert await volumes.exists(id=2, include_deleted=True)


async def test_a_collection_leaves_deleted_rows_out(world: Database, writer_id: UUID) -> None:
    """By `load=`, by a response model, and by SQLAlchemy's own options."""
    async with world.session() as session:
        writers = WriterService(session)
        writer = await writers.get(writer_id, load=["volumes"])
        assert [1, 3] == sorted(volume.id or 0 for volume in writer.volumes)
        shown = await writers.get(writer_id, into=WriterWithVolumes)
        assert [1, 3] == sorted(volume.id for volume in shown.volumes)
    for option in (selectinload, joinedload):
        async with world.session() as session:
            statement = select(Writer).options(option(Writer.volumes))  # type: ignore[arg-type]
            loaded = (await session.exec(statement)).unique().one()
            assert [1, 3] == sorted(volume.id or 0 for volume in loaded.volumes)


async def test_a_relation_to_a_deleted_row_is_none(world: Database, writer_id: UUID) -> None:
    """To one: joined, in a statement of its own, and by `load=`."""
    async with world.session() as session:
        chapter = await ChapterService(session).get((2, 1), load=["volume"])
        assert chapter.volume is None
    for option in (selectinload, joinedload):
        async with world.session() as session:
            relation: Any = Chapter.volume
            statement = select(Chapter).options(option(relation))
            chapters = (await session.exec(statement)).all()
            seen = {(chapter.volume_id, chapter.volume is None) for chapter in chapters}
            assert {(1, False), (2, True), (3, False)} == seen


async def test_a_collection_over_a_link_table_leaves_deleted_rows_out(world: Database) -> None:
    """The link stays; what it leads to does not show."""
    async with world.transaction() as session:
        genre = Genre(name="Epic", volumes=[Volume(title="One"), Volume(title="Two")])
        session.add(genre)
        await session.flush()
        await VolumeService(session).delete(genre.volumes[0].id)
    async with world.session() as session:
        statement = select(Genre).options(selectinload(Genre.volumes))  # type: ignore[arg-type]
        loaded = (await session.exec(statement)).one()
        assert ["Two"] == [volume.title for volume in loaded.volumes]


async def test_joins_and_aliases_leave_deleted_rows_out(world: Database, writer_id: UUID) -> None:
    """The rule holds wherever the table stands in a statement."""
    other = aliased(Volume)
    async with world.session() as session:
        joined = select(Chapter.volume_id).join(Volume).distinct().order_by(col(Chapter.volume_id))
        assert [1, 3] == list((await session.exec(joined)).all())
        named = select(other.id).order_by(other.id)  # type: ignore[arg-type]
        assert [1, 3] == list((await session.exec(named)).all())
        pairs = select(func.count()).select_from(Volume).join(other, other.id == Volume.id)  # type: ignore[arg-type]
        assert 2 == (await session.exec(pairs)).one()
        outer = (
            select(Chapter.volume_id, Volume.id)
            .outerjoin(Volume)
            .where(Chapter.number == 1)
            .order_by(col(Chapter.volume_id))
        )
        assert [(1, 1), (2, None), (3, 3)] == [tuple(row) for row in await session.exec(outer)]


async def test_subqueries_and_relation_filters_leave_deleted_rows_out(
    world: Database, writer_id: UUID
) -> None:
    """A deleted volume makes nobody its writer."""
    async with world.session() as session:
        writers, chapters = WriterService(session), ChapterService(session)
        assert 0 == await writers.count(volumes__id=2)
        assert 1 == await writers.count(volumes__id=3)
        assert 0 == await chapters.count(volume__title="Ann 2")
        inner = select(Volume.id)
        assert 4 == await chapters.count(col(Chapter.volume_id).in_(inner))
        exists = select(Volume.id).where(Volume.id == Chapter.volume_id).exists()
        assert 4 == await chapters.count(exists)


async def test_bulk_writes_leave_deleted_rows_alone(world: Database, writer_id: UUID) -> None:
    """An UPDATE or DELETE through the session touches live rows only."""
    async with world.transaction() as session:
        changed = await session.exec(update(Volume).values(title="Same"))
        assert 2 == changed.rowcount
        gone = await session.exec(delete(Volume).where(col(Volume.id) > 1))
        assert 1 == gone.rowcount
    async with world.session() as session:
        rows = await VolumeService(session).all(include_deleted=True)
        assert [(1, "Same"), (2, "Ann 2")] == [(row.id, row.title) for row in rows]


async def test_bulk_writes_reach_deleted_rows_when_asked(world: Database, writer_id: UUID) -> None:
    """The execution option leaves the scope."""
    async with world.transaction() as session:
        statement = update(Volume).values(title="Same").execution_options(**EVERYTHING)
        assert 3 == (await session.exec(statement)).rowcount


async def test_a_deleted_row_cannot_be_changed(world: Database, writer_id: UUID) -> None:
    """Writing verbs do not find it either."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        with pytest.raises(NotFound):
            await volumes.delete(2)
        with pytest.raises(NotFound):
            await volumes.update(2, VolumeUpdate(title="New"))


async def test_the_option_holds_for_one_statement(world: Database, writer_id: UUID) -> None:
    """The next one is in scope again, in the same session."""
    async with world.session() as session:
        statement = select(Volume)
        assert 3 == len((await session.exec(statement.execution_options(**EVERYTHING))).all())
        assert 2 == len((await session.exec(statement)).all())


async def test_relations_of_a_deleted_row_can_be_read(world: Database, writer_id: UUID) -> None:
    """Who sees a deleted row sees its relations as they were named."""
    async with world.session() as session:
        volumes = VolumeService(session)
        volume = await volumes.get(2, include_deleted=True, load=["chapters"])
        assert 2 == len(volume.chapters)
        with pytest.raises(NotLoaded):
            _ = volume.writer


async def test_a_deleted_row_can_be_refreshed(world: Database, writer_id: UUID) -> None:
    """A row in hand is refreshed by its key, deleted or not."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        volume = await volumes.get(1)
        await volumes.delete(1)
        await session.refresh(volume)
        assert volume.deleted_at is not None


async def test_a_deleted_row_in_hand_is_not_got(world: Database, writer_id: UUID) -> None:
    """`session.get` says the same, whether the row happens to be in the session or not."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        row = await volumes.get(2, include_deleted=True)
        assert row in session
        assert await session.get(Volume, 2) is None
        assert row is await session.get(Volume, 2, execution_options=EVERYTHING)
        kept = await volumes.get(1)
        await volumes.delete(1)
        assert await session.get(Volume, 1) is None
        assert (await volumes.restore(1)) is kept
        assert kept is await session.get(Volume, 1)


async def test_lists_of_rows_to_update_are_refused(world: Database, writer_id: UUID) -> None:
    """SQLAlchemy updates such rows by their keys alone, deleted or not."""
    rows = [{"id": 2, "title": "Changed", "version": 2}]
    async with world.transaction() as session:
        with pytest.raises(ConfigError, match="a list of rows"):
            await session.exec(update(Volume), params=rows)
        await session.exec(update(Volume), params=rows, execution_options=EVERYTHING)
        assert "Changed" == (await VolumeService(session).get(2, include_deleted=True)).title
