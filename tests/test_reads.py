"""Reading verbs: one, several, pages and counts, as table rows and as response models."""

from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import func
from sqlmodel import col

from sqlmodelkit import Database, any_of, events, where
from sqlmodelkit.errors import (
    ConfigError,
    FilterError,
    MultipleFound,
    NotFound,
    PageError,
    SortError,
)
from tests.world import (
    ChapterPublic,
    ChapterService,
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    Writer,
    WriterCard,
    WriterPublic,
    WriterService,
    WriterUpdate,
    WriterWithVolumes,
    add_volume,
    add_writer,
    create_world,
    is_postgresql,
)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


@pytest.fixture
async def writer_id(world: Database) -> UUID:
    """A writer of five volumes, at prices from 1 to 5."""
    return await add_writer(world, volumes=5)


async def test_get_answers_the_row(world: Database, writer_id: UUID) -> None:
    """A table row, or the response model that was asked for."""
    async with world.session() as session:
        row = await VolumeService(session).get(1)
        shown = await VolumeService(session).get(1, into=VolumePublic)
    assert (Volume, "Ann 1", writer_id) == (type(row), row.title, row.writer_id)
    assert (VolumePublic, "Ann 1", Decimal("1.00")) == (type(shown), shown.title, shown.price)


async def test_get_of_a_missing_key_names_model_and_key(world: Database) -> None:
    """As attributes, and in the message."""
    async with world.session() as session:
        with pytest.raises(NotFound, match="no Volume with the key 7") as caught:
            await VolumeService(session).get(7)
        with pytest.raises(NotFound, match="no Chapter with the key 7, 1"):
            await ChapterService(session).get((7, 1), into=ChapterPublic)
    assert ("Volume", 7) == (caught.value.model, caught.value.key)


async def test_a_composite_key_is_a_tuple_or_a_mapping(world: Database, writer_id: UUID) -> None:
    """Its parts in the key's order, or by name."""
    async with world.session() as session:
        chapters = ChapterService(session)
        assert "Two" == (await chapters.get((3, 2))).title
        assert "One" == (await chapters.get({"number": 1, "volume_id": 3})).title
        several = await chapters.get_many([(3, 2), (1, 1)], into=ChapterPublic)
        assert [(3, 2), (1, 1)] == [(item.volume_id, item.number) for item in several]
        with pytest.raises(ConfigError, match="has 2 parts"):
            await chapters.get(3)


async def test_a_key_of_another_type_is_a_filter_error(world: Database) -> None:
    """It names the field, on every engine alike."""
    async with world.session() as session:
        with pytest.raises(FilterError) as caught:
            await VolumeService(session).get("seven")
        with pytest.raises(FilterError):
            await VolumeService(session).get(2**31)
    assert ("id",) == caught.value.fields


async def test_a_locked_row_is_read_anew(world: Database) -> None:
    """What was read before the lock may be old."""
    key = await add_writer(world)
    async with world.transaction(immediate=False) as session:
        writers = WriterService(session)
        before = await writers.get(key)
        assert "Ann" == before.name
        await session.commit()
        async with world.transaction() as other:
            await WriterService(other).update(key, WriterUpdate(name="Bea"))
        locked = await writers.get(key, lock=True)
        assert (True, "Bea") == (locked is before, before.name)


async def test_a_lock_may_come_with_loaded_relations(world: Database, writer_id: UUID) -> None:
    """Only the row itself is held, so an outer join does not hinder."""
    async with world.transaction() as session:
        volume = await VolumeService(session).get(1, lock=True, load=["writer", "chapters"])
        assert volume.writer is not None
        assert 2 == len(volume.chapters)


async def test_find_answers_one_or_none(world: Database, writer_id: UUID) -> None:
    """By keyword, by filter and by expression."""
    async with world.session() as session:
        volumes = VolumeService(session)
        found = await volumes.find(title="Ann 2")
        assert found is not None
        assert 2 == found.id
        shown = await volumes.find(col(Volume.title) == "Ann 3", into=VolumePublic)
        assert shown is not None
        assert 3 == shown.id
        assert await volumes.find(where(title="Ann 9")) is None
        assert await volumes.find(title="Ann 9", into=VolumePublic) is None


async def test_find_of_several_is_an_error(world: Database, writer_id: UUID) -> None:
    """It never answers just any of them."""
    async with world.session() as session:
        with pytest.raises(MultipleFound) as caught:
            await VolumeService(session).find(price__gte=4)
    assert "Volume" == caught.value.model


async def test_get_many_keeps_the_order_asked(world: Database, writer_id: UUID) -> None:
    """A key that was asked for twice is answered twice."""
    async with world.session() as session:
        volumes = VolumeService(session)
        rows = await volumes.get_many([3, 1, 3])
        assert [3, 1, 3] == [row.id for row in rows]
        shown = await volumes.get_many((key for key in (5, 2)), into=VolumeDetail)
        assert [5, 2] == [item.id for item in shown]
        assert [] == await volumes.get_many([])


async def test_get_many_names_the_missing_keys(world: Database, writer_id: UUID) -> None:
    """One or several."""
    async with world.session() as session:
        volumes = VolumeService(session)
        with pytest.raises(NotFound, match=r"key 8\.") as caught:
            await volumes.get_many([1, 8])
        assert 8 == caught.value.key
        with pytest.raises(NotFound) as caught:
            await volumes.get_many([9, 1, 8])
        assert [9, 8] == caught.value.key


async def test_get_many_goes_in_parts_when_there_are_many(world: Database) -> None:
    """More keys than a statement should carry."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create_many([VolumeCreate(title=str(number)) for number in range(600)])
        keys = [row.id for row in await volumes.all(sort="-id")]
        assert 600 == len(keys)
        assert keys == [row.id for row in await volumes.get_many(keys)]


async def test_all_answers_everything_in_order(world: Database, writer_id: UUID) -> None:
    """Sorted as asked, by the key otherwise, and at most `limit`."""
    async with world.session() as session:
        volumes = VolumeService(session)
        assert [1, 2, 3, 4, 5] == [row.id for row in await volumes.all()]
        assert [5, 4] == [row.id for row in await volumes.all(sort="-price", limit=2)]
        shown = await volumes.all(price__lt=3, sort=["-id"], into=VolumePublic)
        assert [2, 1] == [item.id for item in shown]
        either = await volumes.all(any_of(where(id=1), col(Volume.id) == 4))
        assert [1, 4] == [row.id for row in either]


async def test_all_never_answers_a_part_without_saying_so(world: Database) -> None:
    """More than a thousand rows need a limit."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create_many([VolumeCreate(title="Same") for _ in range(1001)])
        with pytest.raises(PageError) as caught:
            await volumes.all()
        assert ("limit",) == caught.value.fields
        assert 1000 == len(await volumes.all(limit=1000))


async def test_a_page_says_how_many_there_are(world: Database, writer_id: UUID) -> None:
    """Items, the number of all that match, and what was asked."""
    async with world.session() as session:
        page = await VolumeService(session).page(price__gt=1, sort="-price", limit=2, offset=1)
        shown = await VolumeService(session).page(limit=2, offset=4, into=VolumePublic)
    assert [4, 3] == [row.id for row in page.items]
    assert (4, 2, 1) == (page.total, page.limit, page.offset)
    assert [5] == [item.id for item in shown.items]
    assert (5, 2, 4) == (shown.total, shown.limit, shown.offset)


@pytest.mark.parametrize(
    ("limit", "offset", "total", "statements"),
    [
        (2, 0, 5, 2),  # full: the rest must be counted
        (5, 0, 5, 2),
        (6, 0, 5, 1),  # not full: the number is known
        (2, 4, 5, 1),
        (2, 5, 5, 2),  # past the end: nothing is known
        (2, 99, 5, 2),
    ],
)
async def test_a_page_counts_only_when_it_must(
    world: Database, writer_id: UUID, limit: int, offset: int, total: int, statements: int
) -> None:
    """The total is right at every edge, and one statement less where the page tells it."""
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            page = await VolumeService(session).page(limit=limit, offset=offset)
    assert (total, statements) == (page.total, len(seen))


async def test_an_uncounted_page_has_no_total(world: Database, writer_id: UUID) -> None:
    """One statement, and an honest null."""
    async with world.session() as session:
        page = await VolumeService(session).page(limit=2, count="none")
        empty = await VolumeService(session).page(title="none", count="none")
    assert (None, 2, None, 0) == (page.total, len(page.items), empty.total, len(empty.items))


async def test_pages_neither_repeat_nor_miss_equal_rows(world: Database) -> None:
    """The key makes the order of equals one order."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create_many([VolumeCreate(title="Same") for _ in range(23)])
        seen: list[int] = []
        for offset in range(0, 23, 5):
            page = await volumes.page(sort="-title", limit=5, offset=offset, into=VolumePublic)
            seen += [item.id for item in page.items]
    assert list(range(1, 24)) == seen


async def test_nulls_sort_alike_on_every_engine(world: Database) -> None:
    """Last when ascending, first when descending."""
    for title, weight in (("a", 2.0), ("b", None), ("c", 1.0)):
        await add_volume(world, title=title, weight=weight)
    async with world.session() as session:
        volumes = VolumeService(session)
        up = [row.title for row in await volumes.all(sort="weight")]
        down = [row.title for row in await volumes.all(sort="-weight")]
    assert (["c", "a", "b"], ["b", "a", "c"]) == (up, down)


async def test_count_and_exists_agree_with_all(world: Database, writer_id: UUID) -> None:
    """Also along relations, where a join could count twice."""
    async with world.session() as session:
        volumes, writers = VolumeService(session), WriterService(session)
        assert 5 == await volumes.count()
        assert 2 == await volumes.count(where(price__lt=3))
        assert 5 == await volumes.count(writer__name="Ann")
        assert 1 == await writers.count(volumes__price__gte=2)
        assert await volumes.exists(writer__name="Ann")
        assert not await volumes.exists(writer__name="Bea")


async def test_unknown_words_are_refused(world: Database) -> None:
    """A filter, a sort, a relation or a page that cannot be is an error, never left out."""
    async with world.session() as session:
        volumes = VolumeService(session)
        with pytest.raises(FilterError, match="no field 'prise'"):
            await volumes.count(prise__lt=3)
        with pytest.raises(FilterError, match="no operator 'less'"):
            await volumes.exists(price__less=3)
        with pytest.raises(FilterError, match="no field"):
            await volumes.find(nothing=1)
        with pytest.raises(SortError):
            await volumes.all(sort="prise")
        with pytest.raises(ConfigError, match="no relation 'righter'"):
            await volumes.all(load=["righter"])
        for limit, offset in ((0, 0), (1001, 0), (1, -1), (-1, 0)):
            with pytest.raises(PageError):
                await volumes.page(limit=limit, offset=offset)
        with pytest.raises(PageError):
            await volumes.all(limit=0)


async def test_full_text_search_is_refused_where_there_is_none(world: Database) -> None:
    """PostgreSQL matches words; SQLite says what to use instead."""
    await add_volume(world, title="The dunes of Arrakis")
    async with world.session() as session:
        volumes = VolumeService(session)
        if is_postgresql(world):
            assert await volumes.exists(title__match="dunes")
        elif world.engine.dialect.name == "sqlite":
            with pytest.raises(FilterError, match="icontains"):
                await volumes.exists(title__match="dunes")


async def test_a_response_is_never_older_than_the_unit_of_work(
    world: Database, writer_id: UUID
) -> None:
    """Changes that were not even flushed are in it, relations too."""
    other = await add_writer(world, "Bea")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        volume = await volumes.get(1, load=["writer", "chapters"])
        volume.title = "Changed"
        volume.writer_id = other
        await session.delete(volume.chapters[0])
        shown = await volumes.get(1, into=VolumeDetail)
        assert shown.writer is not None
        assert ("Changed", "Bea") == (shown.title, shown.writer.name)
        assert ["Two"] == [chapter.title for chapter in shown.chapters]
        listed = await WriterService(session).get(other, into=WriterWithVolumes)
        assert ["Changed"] == [item.title for item in listed.volumes]
    async with world.session() as session:
        assert "Changed" == (await VolumeService(session).get(1)).title


async def test_reading_a_response_leaves_tracked_rows_alone(
    world: Database, writer_id: UUID
) -> None:
    """Rows in hand keep what was loaded, and go on being tracked."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        volume = await volumes.get(1, load=["chapters"])
        await volumes.all(into=VolumeDetail)
        await WriterService(session).get(writer_id, into=WriterWithVolumes)
        assert (2, "Ann 1", 3) == (len(volume.chapters), volume.title, volume.stars)
        volume.title = "Tracked"
    async with world.session() as session:
        assert "Tracked" == (await VolumeService(session).get(1)).title


async def test_a_response_with_a_property_is_as_current_as_others(
    world: Database, writer_id: UUID
) -> None:
    """It is read by way of objects, apart from the rows in hand, in as many statements."""
    async with world.transaction() as session:
        writers = WriterService(session)
        assert "objects" == writers.plan(WriterCard).path
        writer = await writers.get(writer_id, load=["volumes"])
        writer.name = "Bea"
        await session.flush()
        with events.recording(world.engine.sync_engine) as seen:
            card = await writers.get(writer_id, into=WriterCard)
        assert ("Bea", "B", 5) == (card.name, card.initial, len(card.volumes))
        assert 3 == len([event for event in seen if event.statement.startswith("SELECT")])
        assert 5 == len(writer.volumes)
        writer.name = "Cid"
        page = await writers.page(into=WriterCard)
        assert ["C"] == [item.initial for item in page.items]


@pytest.mark.parametrize("number", [1, 7])
async def test_statements_of_a_response_do_not_grow_with_rows(world: Database, number: int) -> None:
    """One for the rows and one for each collection, whatever the size."""
    for name in ("Ann", "Bea"):
        await add_writer(world, name, volumes=number)
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            shown = await WriterService(session).all(into=WriterWithVolumes, sort="name")
        assert 3 == len(seen)
        with events.recording(world.engine.sync_engine) as seen:
            details = await VolumeService(session).all(into=VolumeDetail)
        assert 3 == len(seen)
    assert [number, number] == [len(item.volumes) for item in shown]
    assert {2} == {len(volume.chapters) for item in shown for volume in item.volumes}
    assert 2 * number == len(details)
    assert {"Ann", "Bea"} == {item.writer.name for item in details if item.writer}


async def test_a_response_reads_no_column_that_it_does_not_show(
    world: Database, writer_id: UUID
) -> None:
    """A secret does not even leave the database."""
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            shown = await WriterService(session).get(writer_id, into=WriterPublic)
            await VolumeService(session).all(into=VolumeDetail)
    assert "secret" not in WriterPublic.model_fields
    assert not [event.statement for event in seen if "secret" in event.statement]
    assert "canary" not in shown.model_dump_json()


async def test_expressions_of_sqlalchemy_mix_with_keywords(
    world: Database, writer_id: UUID
) -> None:
    """For what the grammar does not have."""
    async with world.session() as session:
        even = func.mod(Volume.id, 2) == 0
        found = await VolumeService(session).all(even, price__lt=4)
        assert [2] == [row.id for row in found]
        named = await WriterService(session).find(col(Writer.name).in_(["Ann"]), name__ne="Bea")
        assert named is not None
