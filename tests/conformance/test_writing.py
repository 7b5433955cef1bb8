"""Writes that store what was given, and only that; refusals that name the field."""

import asyncio
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import field_validator
from sqlalchemy import update
from sqlmodel import Field, SQLModel, col

from sqlmodelkit import (
    ConfigError,
    Database,
    ForeignKeyViolation,
    InvalidValue,
    ServiceBase,
    UniqueViolation,
    events,
)
from sqlmodelkit.fastapi import crud_router, install
from tests.conformance.guarding import guards
from tests.fastapi.conftest import client_of
from tests.world import (
    ChapterCreate,
    ChapterPublic,
    ChapterService,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterCreate,
    WriterService,
    WriterUpdate,
    add_volume,
    add_writer,
)


class CapitalChapter(ChapterPublic):
    """A chapter whose title begins with a capital."""

    @field_validator("title")
    @classmethod
    def begins_with_a_capital(cls, title: str) -> str:
        """Refuse any other."""
        if not title.istitle():
            raise ValueError("must begin with a capital")
        return title


class ShortChapter(ChapterPublic):
    """A chapter with a short title."""

    title: str = Field(max_length=3)


async def stored(database: Database, key: int = 1) -> Volume:
    """Return a volume as another unit of work sees it."""
    async with database.session() as session:
        return await VolumeService(session).get(key)


@guards("A None that was given is stored as the column's default.", seen_in="SQLModel")
async def test_none_is_stored_as_null(world: Database) -> None:
    """One by one, many at once by whatever verb, and answered by a response model."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create(VolumeCreate(title="a", stars=None))
        await volumes.create_many([VolumeCreate(title="b", stars=None), VolumeCreate(title="c")])
        shown = await volumes.create(VolumeCreate(title="d", stars=None), into=VolumePublic)
        assert shown.stars is None
        await volumes.upsert(VolumeCreate(title="e", stars=None, isbn="1"), on="isbn")
        await volumes.get_or_create(VolumeCreate(title="f", stars=None, isbn="2"), on="isbn")
        for report in (False, True):
            one, two = (VolumeCreate(title="g", stars=None, isbn=f"{n}{report}") for n in "ab")
            await (
                volumes.insert_many([one], report=True) if report else volumes.insert_many([one])
            )
            await volumes.upsert_many([two], on="isbn", report=report)
    assert [None, None, 3, *[None] * 7] == [
        (await stored(world, key)).stars for key in range(1, 11)
    ]


@guards("An update resets every field that was not set to its default.", seen_in="Advanced Alchemy")
@guards(
    "An update sets the key to NULL, since the model's default for it is None.",
    seen_in="Advanced Alchemy",
)
async def test_an_update_writes_what_was_set(world: Database) -> None:
    """And leaves the rest as it is, the key above all."""
    key = await add_volume(world, "Dune", stars=5, isbn="1")
    for into in (None, VolumePublic):
        async with world.transaction() as session:
            volumes = VolumeService(session)
            data = VolumeUpdate(title="Emma")
            await (volumes.update(key, data, into=into) if into else volumes.update(key, data))
        row = await stored(world)
        assert (1, "Emma", 5, "1") == (row.id, row.title, row.stars, row.isbn)


@guards("A field cannot be set to null by an update, since None means unset.", seen_in="recipes")
async def test_a_field_can_be_set_to_null(client: httpx2.AsyncClient) -> None:
    """Over HTTP: left out, null and a value are three things."""
    made = (await client.post("/writers", json={"name": "Ann", "email": "a@b.example"})).json()
    path = f"/writers/{made['id']}"
    assert made == (await client.patch(path, json={})).json()
    assert made | {"email": None} == (await client.patch(path, json={"email": None})).json()


@guards("PATCH of a column that must not be NULL with null is a 500.", seen_in="recipes")
async def test_null_where_none_may_be_is_422(client: httpx2.AsyncClient) -> None:
    """Named, and without a statement."""
    made = (await client.post("/writers", json={"name": "Ann"})).json()
    answer = await client.patch(f"/writers/{made['id']}", json={"name": None})
    assert 422 == answer.status_code
    assert ["body", "name"] == answer.json()["detail"][0]["loc"]


@guards("An update with nothing set is invalid SQL.", seen_in="recipes")
async def test_an_empty_update_changes_nothing(world: Database) -> None:
    """Not the version or the time stamp either."""
    key = await add_volume(world)
    before = await stored(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.update(key, VolumeUpdate())
        await volumes.update(key, VolumeUpdate(), into=VolumePublic)
    after = await stored(world)
    assert (before.version, before.updated_at) == (after.version, after.updated_at)


@guards(
    "An update that answers the row looks for it by what was just changed, and finds none.",
    seen_in="recipes",
)
@guards("PATCH answers null.", seen_in="FastCRUD")
async def test_an_update_answers_the_changed_row(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """As a row, as a response model, and over HTTP."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        assert "b" == (await volumes.update(key, VolumeUpdate(title="b"))).title
        assert "c" == (await volumes.update(key, VolumeUpdate(title="c"), into=VolumePublic)).title
    assert "d" == (await client.patch(f"/volumes/{key}", json={"title": "d"})).json()["title"]


@guards(
    "An update counts, writes and reads: three statements with gaps between them.",
    seen_in="FastCRUD",
)
async def test_an_update_is_one_statement_that_writes(world: Database) -> None:
    """With RETURNING it is one in all, otherwise a second one reads the answer."""
    key = await add_volume(world)
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            await VolumeService(session).update(key, VolumeUpdate(title="b"), into=VolumePublic)
    returns = world.engine.dialect.update_returning
    assert (1 if returns else 2) == len(seen)
    assert seen[0].statement.startswith("UPDATE")


@guards("A mass update does not move `updated_at`.", seen_in="recipes, Advanced Alchemy")
@guards("`updated_at` is set when a row is made, and never again.", seen_in="recipes")
async def test_every_update_moves_the_time_stamp(world: Database) -> None:
    """By the service, and by a statement over many rows."""
    key = await add_volume(world)
    times = [(await stored(world)).updated_at]
    await asyncio.sleep(0.01)  # SQLite's clock has milliseconds
    async with world.transaction() as session:
        await VolumeService(session).update(key, VolumeUpdate(title="b"))
    times.append((await stored(world)).updated_at)
    await asyncio.sleep(0.01)
    async with world.transaction() as session:
        await session.exec(update(Volume).values(stars=1))
    times.append((await stored(world)).updated_at)
    assert times == sorted(set(times))
    assert times[0] == (await stored(world)).created_at


@guards(
    "Refusals by the database leave some verbs as raw errors, and the session broken.",
    seen_in="recipes",
)
@guards("A refused row takes the caller's other work with it.", seen_in="recipes")
async def test_a_refusal_undoes_its_savepoint_only(world: Database) -> None:
    """Of create, create_many and update; what was done before is kept, what follows works."""
    await add_volume(world, "old", isbn="1")
    data = VolumeCreate(title="x", isbn="1")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        kept = (await volumes.create(VolumeCreate(title="kept", isbn="2"))).id
        for refused in (
            lambda: volumes.create(data),
            lambda: volumes.create(data, into=VolumePublic),
            lambda: volumes.create_many([VolumeCreate(title="y"), data]),
            lambda: volumes.update(kept, VolumeUpdate(isbn="1")),
        ):
            with pytest.raises(UniqueViolation) as caught:
                async with session.savepoint():
                    await refused()
            assert ("isbn",) == caught.value.fields
            assert "2" == (await volumes.get(kept, into=VolumePublic)).isbn
        await volumes.create(VolumeCreate(title="after"))
    async with world.session() as session:
        rows = await VolumeService(session).all(sort="title")
    assert ["after", "kept", "old"] == [row.title for row in rows]


@guards("A row that is not committed yet has no key, and was not checked.", seen_in="recipes")
async def test_a_created_row_has_its_key_at_once(world: Database) -> None:
    """The refusal comes at the call as well, not at the end of the unit of work."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        first = await volumes.create(VolumeCreate(title="a"))
        many = await volumes.create_many([VolumeCreate(title="b"), VolumeCreate(title="c")])
        assert [1, 2, 3] == [first.id, *(row.id for row in many)]
        with pytest.raises(ForeignKeyViolation) as caught:
            async with session.savepoint():
                await volumes.create(VolumeCreate(title="d", writer_id=UUID(int=1)))
        assert ("writer_id",) == caught.value.fields


@guards(
    "A parent is checked only when its key is truthy: a missing one with the key 0 passes.",
    seen_in="recipes",
)
async def test_a_missing_parent_is_refused_whatever_its_key(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """Zero too, by the database, without a statement that looks first."""
    async with world.transaction() as session:
        for key in (0, -1, 7):
            with pytest.raises(ForeignKeyViolation):
                async with session.savepoint():
                    await ChapterService(session).create(ChapterCreate(volume_id=key, number=1))
    answer = await client.post("/chapters", json={"volume_id": 0, "number": 1})
    assert 409 == answer.status_code
    assert ["body", "volume_id"] == answer.json()["detail"][0]["loc"]


@guards("Removing a parent silently takes the children's key to it.", seen_in="recipes")
async def test_a_parent_with_children_stays(world: Database, client: httpx2.AsyncClient) -> None:
    """Unless the foreign key says what shall happen."""
    key = await add_writer(world, volumes=1)
    async with world.transaction() as session:
        with pytest.raises(ForeignKeyViolation) as caught:
            async with session.savepoint():
                await WriterService(session).delete(key)
        assert not caught.value.missing
    assert 409 == (await client.delete(f"/writers/{key}")).status_code
    assert key == (await stored(world)).writer_id


@guards(
    "A value that the response model refuses is stored, and every read after it is a 500.",
    seen_in="recipes",
)
@pytest.mark.parametrize("public", [CapitalChapter, ShortChapter])
async def test_what_cannot_be_answered_is_not_stored(
    world: Database, public: type[ChapterPublic]
) -> None:
    """The response model is stricter than what the endpoints take: the write is undone."""

    class Chapters(ChapterService):
        pass

    Chapters.public = public
    await add_volume(world, "Dune")
    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(Chapters, public=True), prefix="/chapters")
    async with client_of(app, raising=False) as client:
        first = {"volume_id": 1, "number": 1, "title": "Foe"}
        assert 201 == (await client.post("/chapters", json=first)).status_code
        strange = {"volume_id": 1, "number": 2, "title": "further"}
        assert 500 == (await client.post("/chapters", json=strange)).status_code
        changed = await client.patch("/chapters/1/1", json={"title": "further"})
        assert 500 == changed.status_code
        assert [first] == (await client.get("/chapters")).json()["items"]


@guards("PATCH onto a value that another row has is a 500.", seen_in="FastCRUD")
@guards("Every refusal of the database says that the key exists.", seen_in="fastapi-crudrouter")
@guards("The field of a refusal is looked up in the text of the error.", seen_in="recipes")
async def test_a_refusal_names_the_field(client: httpx2.AsyncClient) -> None:
    """On create and update; the message has neither SQL nor the value of another row."""
    first = {"name": "Ann", "email": "a@b.example"}
    second = {"name": "Bob", "email": "b@b.example"}
    await client.post("/writers", json=first)
    key = (await client.post("/writers", json=second)).json()["id"]
    for answer in (
        await client.post("/writers", json=first),
        await client.patch(f"/writers/{key}", json={"email": first["email"]}),
    ):
        assert 409 == answer.status_code
        (problem,) = answer.json()["detail"]
        assert (["body", "email"], "unique_violation") == (problem["loc"], problem["type"])
        assert "a@b.example" not in problem["msg"]
    broken = await client.post("/volumes", json={"title": "x", "price": "-1"})
    missing = await client.post("/volumes", json={"title": "x", "writer_id": str(UUID(int=1))})
    assert [422, 409] == [broken.status_code, missing.status_code]
    assert ["body", "writer_id"] == missing.json()["detail"][0]["loc"]


@guards(
    "A table model does not validate, so a row too long or of the wrong kind is sent.",
    seen_in="SQLModel",
)
async def test_values_are_checked_before_they_are_sent(world: Database) -> None:
    """Against the columns, also when the input model is careless."""

    class Careless(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
        async def create_values(self, data: VolumeCreate) -> dict[str, object]:
            return {"title": data.title * 50, "stars": 3}

    async with world.transaction() as session:
        await session.connection()
        with (
            events.recording(world.engine.sync_engine) as seen,
            pytest.raises(InvalidValue) as caught,
        ):
            await Careless(session).create(VolumeCreate(title="x"))
        assert (("title",), []) == (caught.value.fields, list(seen))


@guards("An update drops names that the table does not have.", seen_in="recipes")
async def test_unknown_fields_are_refused(client: httpx2.AsyncClient) -> None:
    """In a body, and in a service whose input has no column for a field."""
    assert 422 == (await client.post("/writers", json={"name": "x", "nmae": "y"})).status_code
    made = (await client.post("/writers", json={"name": "x"})).json()
    path = f"/writers/{made['id']}"
    assert 422 == (await client.patch(path, json={"secret": "y"})).status_code

    class Wrong(SQLModel):
        nmae: str = Field(default=None)

    class WrongService(ServiceBase[Volume, VolumeCreate, Wrong]):
        pass

    with pytest.raises(ConfigError, match="nmae"):
        WrongService.check()


@guards(
    "Adding many rows is one statement for each.",
    seen_in="Advanced Alchemy, sqlalchemy-crud-plus, FastCRUD",
)
async def test_many_rows_go_in_batches(world: Database) -> None:
    """A few statements for a thousand rows, on every engine, with their keys in order."""
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            rows = await WriterService(session).create_many(
                WriterCreate(name=str(number)) for number in range(1000)
            )
    assert len(seen) <= 20
    assert [str(number) for number in range(1000)] == [row.name for row in rows]
    assert sorted(row.id for row in rows) == [row.id for row in rows]


@guards(
    "A counter is read, counted up in Python and written back: counts are lost.", seen_in="recipes"
)
async def test_no_count_is_lost(world: Database) -> None:
    """By a row that is locked, and by an UPDATE that counts in the database."""
    key = await add_volume(world, stars=0)

    async def by_lock() -> None:
        async with world.transaction() as session:
            row = await VolumeService(session).get(key, lock=True)
            row.stars = (row.stars or 0) + 1

    async def by_statement() -> None:
        async with world.transaction() as session:
            counted = update(Volume).where(col(Volume.id) == key)
            await session.exec(counted.values(stars=col(Volume.stars) + 1))

    await asyncio.gather(*(count() for _ in range(8) for count in (by_lock, by_statement)))
    assert 16 == (await stored(world)).stars


@guards(
    "An update of one field touches relations that refuse to be loaded, and fails.",
    seen_in="Advanced Alchemy",
)
async def test_an_update_needs_no_relation(world: Database) -> None:
    """Nor does a delete."""
    key = await add_writer(world, volumes=0)
    async with world.transaction() as session:
        writers = WriterService(session)
        await writers.update(key, WriterUpdate(name="Bob"))
        await writers.delete(key)
        assert 0 == await writers.count()


@guards(
    "Batches of rows that were added come back in another order, or with others' keys.",
    seen_in="sqlalchemy-crud-plus",
)
async def test_added_rows_are_answered_in_order(world: Database) -> None:
    """Each with its own key."""
    names = [f"{number * 7 % 50:02}" for number in range(50)]
    async with world.transaction() as session:
        made = await WriterService(session).create_many(WriterCreate(name=name) for name in names)
        assert names == [row.name for row in made]
    async with world.session() as session:
        found = await WriterService(session).get_many([row.id for row in made])
        assert names == [row.name for row in found]
