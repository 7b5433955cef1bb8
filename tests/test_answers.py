"""JSON of one row, of some, of a page and of a stream is what FastAPI would answer."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from sqlmodel import SQLModel

from sqlmodelkit import Database, FilterError, NotFound, Page, PageError
from sqlmodelkit.events import recording
from tests.world import (
    ChapterPublic,
    ChapterService,
    VolumeCreate,
    VolumeDetail,
    VolumeService,
    WriterCard,
    WriterService,
    WriterWithVolumes,
    add_volume,
    add_writer,
    create_world,
    is_mariadb,
)

pytestmark = pytest.mark.db


@pytest.fixture
async def world(database: Database) -> Database:
    """The tables, and seven writers with three volumes each."""
    await create_world(database)
    for number in range(7):
        await add_writer(database, f"Writer {number}", volumes=3)
    return database


class Spine(SQLModel):
    """What every database prints by itself."""

    title: str
    stars: int | None
    id: int


class SparingService(VolumeService):
    """Lets every database print what it can."""

    spare = "application"


def printed(kind: Any, values: Any) -> bytes:
    """Print as FastAPI does."""
    return TypeAdapter(kind).dump_json(values, by_alias=True)


async def test_json_is_what_the_models_print(world: Database) -> None:
    """Of all rows, of one, and as lines; by rows and by objects."""
    shown: list[type[BaseModel]] = [WriterWithVolumes, WriterCard]
    for into in shown:
        async with world.unit(reading=True) as unit:
            writers = WriterService(unit)
            models = await writers.all(into=into, sort="name")
            assert printed(list[into], models) == await writers.all_json(into=into, sort="name")  # type: ignore[valid-type]
            one = await writers.find(into=WriterWithVolumes, name="Writer 3")
            assert one is not None
            assert printed(WriterWithVolumes, one) == await writers.get_json(
                one.id, into=WriterWithVolumes
            )


@pytest.mark.parametrize(
    ("limit", "offset", "counted"),
    [(3, 0, 7), (3, 3, 7), (3, 6, 7), (7, 0, 7), (8, 0, 7), (3, 7, 7), (3, 50, 7)],
)
async def test_a_page_has_its_total_from_the_same_statement(
    world: Database, limit: int, offset: int, counted: int
) -> None:
    """Full, last, exactly filled and beyond the end; with a filter, and without deleted rows."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        titles = [volume.title for volume in await volumes.all(sort="title", limit=14)]
        for volume in await volumes.all(title__in=titles[7:]):
            await volumes.delete(volume.id)
    async with world.unit(reading=True) as unit:
        volumes = SparingService(unit)
        await volumes.count()  # from now on the server's version is known
        with recording(world._reader.sync_engine) as heard:
            page = await volumes.page_json(
                into=Spine, title__in=titles, sort="-title", limit=limit, offset=offset
            )
        expected = await volumes.page(
            into=Spine, title__in=titles, sort="-title", limit=limit, offset=offset
        )
    assert printed(Page[Spine], expected) == page
    assert counted == json.loads(page)["total"]
    # MariaDB cannot put rows together without cutting them off: it is asked again where it matters.
    again = is_mariadb(world) and not 7 - limit < offset < 7
    assert 1 + again == len(heard)


@pytest.mark.parametrize("batch", [1, 2, 7, 500])
async def test_a_stream_has_every_row_once(world: Database, batch: int) -> None:
    """In the order of the key, whatever the size of a batch; as models and as lines."""
    async with world.unit(reading=True) as unit:
        volumes = VolumeService(unit)
        expected = await volumes.all(into=VolumeDetail)
        found = [model async for model in volumes.stream(into=VolumeDetail, batch=batch)]
        assert expected == found
        lines = b"".join(
            [part async for part in volumes.stream_json(into=VolumeDetail, batch=batch)]
        )
    assert [json.loads(printed(VolumeDetail, model)) for model in expected] == [
        json.loads(line) for line in lines.splitlines()
    ]


async def test_a_stream_goes_along_a_key_of_two_parts(world: Database) -> None:
    """The rows of a composite key come once each, and filters hold."""
    async with world.unit(reading=True) as unit:
        chapters = ChapterService(unit)
        expected = await chapters.all(into=ChapterPublic, number=2)
        found = [one async for one in chapters.stream(into=ChapterPublic, batch=3, number=2)]
    assert 21 == len(expected)
    assert expected == found


async def test_a_stream_loses_no_row_while_others_come_and_go(world: Database) -> None:
    """Rows that are there throughout come exactly once."""
    async with world.unit(reading=True) as unit:
        before = [volume.id for volume in await VolumeService(unit).all(into=VolumeDetail)]
    found: list[int] = []
    async with world.unit(reading=True) as unit:
        async for volume in VolumeService(unit).stream(into=VolumeDetail, batch=2):
            found.append(volume.id)
            await add_volume(world, f"New {volume.id}") if volume.id < 5 else None
            if volume.id == before[3]:
                async with world.transaction() as session:
                    await VolumeService(session).delete(before[10])
    kept = [key for key in before if key != before[10]]
    assert kept == [key for key in found if key in kept]
    assert len(set(found)) == len(found)
    assert before[10] not in found


async def test_a_stream_holds_no_connection_between_batches(world: Database) -> None:
    """A slow consumer blocks nobody, and one that leaves leaves nothing behind."""
    async with world.unit(reading=True) as unit:
        async for _ in VolumeService(unit).stream(into=VolumeDetail, batch=5):
            assert 0 == world.pool_status()["in_use"]
            break
        lines = VolumeService(unit).stream_json(into=VolumeDetail, batch=5)
        await anext(lines)
        await lines.aclose()  # type: ignore[attr-defined]
    assert 0 == world.pool_status()["in_use"]


async def test_a_cancelled_stream_gives_its_connection_back(world: Database) -> None:
    """Wherever the cancellation comes."""

    async def read() -> None:
        async with world.unit(reading=True) as unit:
            async for _ in VolumeService(unit).stream(into=VolumeDetail, batch=1):
                pass

    for number in range(20):
        task = asyncio.create_task(read())
        await asyncio.sleep(number / 2000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert 0 == world.pool_status()["in_use"]


async def test_streams_and_json_are_checked_like_all(world: Database) -> None:
    """A bad filter, limit, batch or key is refused."""
    async with world.unit(reading=True) as unit:
        volumes = VolumeService(unit)
        with pytest.raises(FilterError, match="Volume has no field 'titel'"):
            _ = [one async for one in volumes.stream(into=VolumeDetail, titel="x")]
        with pytest.raises(PageError, match="limit is 0"):
            _ = [one async for one in volumes.stream_json(into=VolumeDetail, batch=0)]
        with pytest.raises(PageError, match="limit is 1001"):
            await volumes.all_json(into=VolumeDetail, limit=1001)
        with pytest.raises(NotFound):
            await volumes.get_json(10**6, into=VolumeDetail)


async def test_the_plans_of_the_database_can_be_asked_for(world: Database) -> None:
    """Every statement with what the database says about it, also with an expression as filter."""
    async with world.session() as session:
        volumes = VolumeService(session)
        with recording(world.engine.sync_engine):
            said = await volumes.explain(into=VolumeDetail, price__gte=1)
        assert 3 == said.count("\nSELECT ")
        writers = WriterService(session)
        name: Any = WriterService.model.name
        assert "w_writer" in await writers.explain(name == "x", into=WriterWithVolumes)


async def test_more_rows_than_all_may_answer_are_refused_as_json(world: Database) -> None:
    """A short answer would pass for a whole one."""
    async with world.transaction() as session:
        await VolumeService(session).create_many(
            [VolumeCreate(title=str(number)) for number in range(1000)]
        )
    async with world.unit(reading=True) as unit:
        with pytest.raises(PageError, match="More than 1000 rows of Volume match"):
            await VolumeService(unit).all_json(into=VolumeDetail)
        found = [one async for one in VolumeService(unit).stream(into=VolumeDetail)]
    assert 1021 == len(found)
