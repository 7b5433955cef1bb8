"""Reads that answer exactly what was asked: no row less, none twice, none out of scope."""

import json
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Response
from sqlalchemy import event
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from sqlmodelkit import (
    Database,
    MultipleFound,
    NotFound,
    NotLoaded,
    PageError,
    SortError,
    events,
    where,
)
from sqlmodelkit.fastapi import Responder, install, responder
from tests.conformance.guarding import guards
from tests.fastapi.conftest import application, client_of
from tests.world import (
    ChapterService,
    Volume,
    VolumePublic,
    VolumeService,
    WriterPublic,
    WriterService,
    WriterWithVolumes,
    add_volume,
    add_writer,
)


@guards("The order of rows by keys is whatever the database likes.", seen_in="recipes")
@guards("Reading by keys assumes that the key is one column named `id`.", seen_in="recipes")
async def test_rows_by_keys_come_in_the_order_asked(world: Database) -> None:
    """Also by a key of two columns, and with a key asked twice."""
    await add_writer(world, volumes=2)
    asked = [(2, 1), (1, 2), (2, 2), (1, 1), (2, 1)]
    async with world.session() as session:
        rows = await ChapterService(session).get_many(asked)
        assert asked == [(row.volume_id, row.number) for row in rows]
        with pytest.raises(NotFound):
            await ChapterService(session).get_many([(1, 1), (9, 9)])


@guards("`get` answers one of several rows that match.", seen_in="recipes")
async def test_several_where_one_was_asked_is_an_error(world: Database) -> None:
    """And none is None, or NotFound by key."""
    await add_volume(world, "Dune")
    await add_volume(world, "Dune")
    async with world.session() as session:
        volumes = VolumeService(session)
        with pytest.raises(MultipleFound):
            await volumes.find(title="Dune")
        assert await volumes.find(title="Emma") is None
        with pytest.raises(NotFound):
            await volumes.get(99)


@guards("An unknown column to sort by silently becomes the key.", seen_in="recipes")
@guards(
    "A direction given as one text is read letter by letter, and `desc` ascends.", seen_in="recipes"
)
@guards("Fewer directions than columns drop columns.", seen_in="recipes")
async def test_a_sort_means_what_it_says(world: Database) -> None:
    """As text or list, every part of it, and nothing unknown."""
    for title, stars in (("a", 1), ("b", 2), ("c", 2)):
        await add_volume(world, title, stars=stars)
    async with world.session() as session:
        volumes = VolumeService(session)
        for sort in ("-stars,-title", ["-stars", "-title"]):
            assert ["c", "b", "a"] == [row.title for row in await volumes.all(sort=sort)]
        assert ["b", "c", "a"] == [row.title for row in await volumes.all(sort="-stars,title")]
        for wrong in ("titel", "title desc", "metadata", "writer", "", ["title", ""]):
            with pytest.raises(SortError):
                await volumes.all(sort=wrong)


@guards("Sorting by an unknown name over HTTP is a 500.", seen_in="FastCRUD, Advanced Alchemy")
@guards(
    "`order_by=metadata` passes the check, since the class has such an attribute, and is a 500.",
    seen_in="fastapi-filter",
)
async def test_a_wrong_sort_is_422(client: httpx2.AsyncClient) -> None:
    """Whatever attribute of the class it names."""
    for name in ("nope", "metadata", "model_fields", "volumes", "__class__", "name,name"):
        answer = await client.get("/writers", params={"sort": name})
        assert 422 == answer.status_code
        assert ["query", "sort"] == answer.json()["detail"][0]["loc"]


@guards(
    "A collection that is loaded by a join raises, since rows are not made unique.",
    seen_in="recipes",
)
@guards(
    "LIMIT counts joined rows: a page of two parents was one, with some of its children.",
    seen_in="FastCRUD",
)
async def test_a_page_counts_parents(world: Database) -> None:
    """Each with all of its children, by rows and by response models."""
    for name in ("Ann", "Bob", "Cid"):
        await add_writer(world, name, volumes=3)
    async with world.session() as session:
        writers = WriterService(session)
        page = await writers.page(into=WriterWithVolumes, sort="name", limit=2)
        assert (3, ["Ann", "Bob"]) == (page.total, [item.name for item in page.items])
        assert [3, 3] == [len(item.volumes) for item in page.items]
        assert [2] * 6 == [len(v.chapters) for item in page.items for v in item.volumes]
        rows = await writers.page(load=["volumes.chapters"], sort="name", limit=2)
        assert [3, 3] == [len(row.volumes) for row in rows.items]


@guards(
    "A relation in the response schema without its own condition multiplies everything.",
    seen_in="FastCRUD",
)
@guards(
    "A list sends one statement for each row and relation, unseen in async code.", seen_in="recipes"
)
async def test_statements_do_not_grow_with_rows(world: Database) -> None:
    """Two levels of collections: the same number for one parent and for ten."""

    async def statements() -> int:
        async with world.transaction() as session:
            await session.connection()
            with events.recording(world.engine.sync_engine) as seen:
                await WriterService(session).all(into=WriterWithVolumes)
        return len(seen)

    await add_writer(world, volumes=1)
    one = await statements()
    for number in range(9):
        await add_writer(world, str(number), volumes=2)
    assert 1 <= one <= 3
    assert one == await statements()


@guards("A page past the end says that there are no rows in all.", seen_in="Advanced Alchemy")
async def test_a_page_past_the_end_knows_the_total(world: Database) -> None:
    """The page is empty, the table is not."""
    await add_volume(world)
    async with world.session() as session:
        page = await VolumeService(session).page(offset=50)
    assert ([], 1) == (page.items, page.total)


@guards("`limit=-1` reads the whole table.", seen_in="recipes")
@guards(
    "There is no largest page: a hundred million rows are accepted.",
    seen_in="Advanced Alchemy, FastCRUD",
)
@guards("A page number beyond 64 bits is a 500.", seen_in="fastapi-pagination")
@guards("A negative page size is a 500.", seen_in="FastCRUD")
async def test_pages_are_bounded(world: Database, client: httpx2.AsyncClient) -> None:
    """At both ends, in Python and over HTTP."""
    for limit in (-1, 0, 101, 10**8, 10**20):
        assert 422 == (await client.get(f"/volumes?limit={limit}")).status_code
    for offset in (-1, 10**20):
        assert 422 == (await client.get(f"/volumes?offset={offset}")).status_code
    async with world.session() as session:
        volumes = VolumeService(session)
        for limit, offset in ((0, 0), (-1, 0), (10**8, 0), (1, -1), (1, 10**20)):
            with pytest.raises(PageError):
                await volumes.page(limit=limit, offset=offset)
        with pytest.raises(PageError):
            await volumes.all(limit=-1)


@guards(
    "Every page runs a COUNT over the whole selection, wanted or not.", seen_in="fastapi-pagination"
)
@guards(
    "The page is counted by a window function, which reads every row for a page of 50.",
    seen_in="Advanced Alchemy",
)
async def test_a_page_counts_only_when_asked(world: Database) -> None:
    """And a page that is the last one is not counted either."""
    for number in range(3):
        await add_volume(world, str(number))
    async with world.transaction() as session:
        await session.connection()
        volumes = VolumeService(session)
        with events.recording(world.engine.sync_engine) as seen:
            assert (await volumes.page(limit=2, count="none")).total is None
            assert 3 == (await volumes.page(limit=5)).total
        assert 2 == len(seen)
        assert not any("count(" in one.statement.lower() for one in seen)
        assert 3 == (await volumes.page(limit=2)).total


@guards("`exists` reads a whole row, or counts them all.", seen_in="sqlalchemy-crud-plus, recipes")
async def test_exists_reads_no_row(world: Database) -> None:
    """One statement that stops at the first match."""
    await add_volume(world)
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            assert await VolumeService(session).exists(title="Dune")
        (sent,) = seen
        assert "title" not in sent.statement.lower().partition("from")[0]
        assert "count(" not in sent.statement.lower()


@guards(
    "A lazy relation raises `MissingGreenlet`, or another error by SQLAlchemy's version.",
    seen_in="SQLModel, recipes",
)
@guards(
    "A test that reads a relation late passes when the parent is in the session by chance.",
    seen_in="recipes",
)
async def test_a_late_relation_names_itself(world: Database) -> None:
    """Also when its row is in the session."""
    key = await add_writer(world, volumes=1)
    async with world.session() as session:
        await WriterService(session).get(key)
        volume = await VolumeService(session).get(1)
        with pytest.raises(NotLoaded) as caught:
            _ = volume.writer
        assert ("Volume", "writer") == (caught.value.model, caught.value.field)


@guards(
    "A relation that the response needs is not loaded, and the answer is a 500.",
    seen_in="SQLModel, recipes",
)
async def test_a_response_model_brings_its_relations(world: Database) -> None:
    """Nobody names them a second time."""
    key = await add_writer(world, volumes=2)
    async with world.session() as session:
        shown = await WriterService(session).get(key, into=WriterWithVolumes)
    assert [2, 2] == [len(volume.chapters) for volume in shown.volumes]


@guards("After the commit even the key of a row cannot be read.", seen_in="SQLModel")
@guards(
    "A row has to be refreshed after the commit to have its key and defaults.", seen_in="recipes"
)
async def test_rows_can_be_used_after_the_commit(world: Database) -> None:
    """With what was loaded, and with what the database set."""
    async with world.transaction() as session:
        session.add(row := Volume(title="Dune"))
    assert (1, "Dune", 1) == (row.id, row.title, row.version)
    assert row.created_at.tzinfo is not None


@guards("Rows are streamed through a list, or by code that does not run.", seen_in="recipes")
@guards("Batches by offset without an order lose and repeat rows.", seen_in="recipes")
async def test_a_stream_gives_each_row_once(world: Database) -> None:
    """While rows before and behind are removed and added."""
    async with world.transaction() as session:
        session.add_all([Volume(title=str(number)) for number in range(30)])
    seen: list[int] = []
    async with world.unit(reading=True) as unit:
        async for item in VolumeService(unit).stream(into=VolumePublic, batch=7):
            seen.append(item.id)
            if item.id == 10:
                async with world.transaction() as other:
                    volumes = VolumeService(other)
                    for key in (1, 2, 3, 10, 30):
                        await volumes.delete(key)
                    other.add(Volume(title="new"))
    assert [*range(1, 30), 31] == seen


@guards(
    "A streamed answer is an array put together by hand, out of a session of an endpoint that has "
    "returned.",
    seen_in="recipes",
)
async def test_a_stream_is_an_answer_with_a_session_of_its_own(world: Database) -> None:
    """Each line is a whole row, and the connection comes back, also when the client leaves."""
    await add_writer(world, 'An "odd", one\n', volumes=30)
    app = FastAPI()
    install(app, world)

    @app.get("/export")
    async def export(volumes: Annotated[Responder, responder(VolumeService)]) -> Response:
        return await volumes.stream()

    async with client_of(app) as client:
        answer = await client.get("/export")
        rows = [VolumePublic.model_validate_json(line) for line in answer.text.splitlines()]
        assert [*range(1, 31)] == [row.id for row in rows]
        assert json.loads(answer.text.splitlines()[0])["title"] == rows[0].title
    assert 0 == world.pool_status()["in_use"]
    async with world.unit(reading=True) as unit:
        async for part in VolumeService(unit).stream_json(into=VolumePublic, batch=5):
            assert part
            break
    assert 0 == world.pool_status()["in_use"]


@guards("The first rows of each group are cut out in Python.", seen_in="recipes")
@guards("A condition on the label of a window function fails in every call.", seen_in="recipes")
async def test_the_first_of_each_group_are_chosen_by_the_database(world: Database) -> None:
    """In one statement, which answers those rows and no others."""
    for number in range(30):
        await add_volume(world, f"{number:02}", stars=number % 3)
    loaded: list[object] = []
    async with world.transaction() as session:
        await session.connection()
        event.listen(
            session.sync_session, "loaded_as_persistent", lambda _, row: loaded.append(row)
        )
        with events.recording(world.engine.sync_engine) as seen:
            rows = await VolumeService(session).top(2, by=("stars",), sort="-title")
    assert ["27", "24", "28", "25", "29", "26"] == [row.title for row in rows]
    assert 1 == len(seen)
    assert 6 == len(loaded)


@guards(
    "Deleted rows are read by key, in lists or by relations.",
    seen_in="FastCRUD, sqlalchemy-crud-plus, recipes",
)
@guards("A condition along a relation sees deleted rows.", seen_in="soft delete by hand")
async def test_deleted_rows_are_out_of_everything(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """By key, list, count, page, relation, condition and over HTTP."""
    key = await add_writer(world, volumes=2)
    async with world.transaction() as session:
        await VolumeService(session).delete(1)
    async with world.session() as session:
        volumes, writers = VolumeService(session), WriterService(session)
        with pytest.raises(NotFound):
            await volumes.get(1)
        assert ([2], 1) == ([row.id for row in await volumes.all()], await volumes.count())
        assert not await volumes.exists(id=1)
        assert [2] == [v.id for v in (await writers.get(key, into=WriterWithVolumes)).volumes]
        assert not await writers.exists(volumes__id=1)
        assert await writers.exists(where(volumes__id=2))
        rows = (await session.exec(select(Volume))).all()
        assert [2] == [row.id for row in rows]
    async with world.session() as session:
        (row,) = await WriterService(session).all(load=["volumes"])
        assert [2] == [volume.id for volume in row.volumes]
    assert 404 == (await client.get("/volumes/1")).status_code
    assert 1 == (await client.get("/volumes")).json()["total"]


@guards("A missing row is a 500.", seen_in="Advanced Alchemy, FastCRUD")
async def test_a_missing_row_is_404(client: httpx2.AsyncClient) -> None:
    """For reading, changing and removing."""
    path = f"/writers/{UUID(int=1)}"
    assert 404 == (await client.get(path)).status_code
    assert 404 == (await client.patch(path, json={"name": "x"})).status_code
    assert 404 == (await client.delete(path)).status_code


@guards("A UNION of entities answers bare tuples.", seen_in="recipes")
async def test_a_union_can_give_rows(world: Database) -> None:
    """In plain SQLAlchemy, in the same session."""
    await add_writer(world, volumes=3)
    parts = select(Volume).where(Volume.id == 1).union(select(Volume).where(Volume.id == 3))
    async with world.session() as session:
        union = aliased(Volume, parts.subquery())
        rows = (await session.exec(select(union).order_by(col(union.id)))).all()
    assert [1, 3] == [row.id for row in rows]


@guards(
    "The same page shows fewer columns in one place and the secret ones in another.",
    seen_in="FastCRUD",
)
async def test_no_answer_shows_more_than_the_response_model(client: httpx2.AsyncClient) -> None:
    """Not the first one either, after the row was made."""
    made = (await client.post("/writers", json={"name": "Ann"})).json()
    changed = (await client.patch(f"/writers/{made['id']}", json={"motto": "x"})).json()
    listed = (await client.get("/writers")).json()["items"][0]
    for shown in (made, changed, listed):
        assert set(WriterPublic.model_fields) == set(shown)


@guards("Answers are typed as plain dictionaries, or not at all.", seen_in="recipes, FastCRUD")
def test_openapi_names_the_model_of_every_answer() -> None:
    """With its fields; what answers nothing says so."""
    document = application(Database("sqlite://")).openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    found = 0
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            if path.startswith("/health"):
                continue
            (good,) = (code for code in operation["responses"] if code.startswith("2"))
            content = operation["responses"][good].get("content")
            if verb == "delete":
                assert ("204", None) == (good, content)
                continue
            schema = content["application/json"]["schema"]
            model = schema.get("$ref") or schema["items"]["$ref"]
            assert schemas[model.removeprefix("#/components/schemas/")]["properties"]
            found += 1
    assert found >= 13
