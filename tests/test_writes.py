"""Rows written by one statement that answers them: alike to what the session writes."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import JSON, MetaData, text
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import AsyncSession, Database, IntKey, ServiceBase, Timestamps, Version
from sqlmodelkit.errors import InvalidValue, NotFound, UniqueViolation
from sqlmodelkit.events import recording
from tests.world import (
    ChapterCreate,
    ChapterPublic,
    ChapterService,
    ChapterUpdate,
    State,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    VolumeWithChapters,
    Writer,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterUpdate,
    WriterWithVolumes,
    add_volume,
    add_writer,
    create_world,
)


class Workshop(SQLModel):
    """A base with a metadata of its own, for tables that are odd."""

    metadata = MetaData()


class Note(IntKey, Timestamps, Version, Workshop, table=True):
    """Documents, and defaults of every kind."""

    __tablename__ = "wr_note"  # pyright: ignore[reportAssignmentType]

    name: str = Field(default="note", max_length=20)
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    tags: list[str] | None = Field(default_factory=lambda: ["new"], sa_type=JSON)
    rank: int | None = Field(default=None, sa_column_kwargs={"server_default": "7"})
    score: int | None = 5


class NoteIn(SQLModel):
    """Input of notes."""

    name: str = "note"
    facts: dict[str, Any] | None = None
    tags: list[str] | None = None
    rank: int | None = None
    score: int | None = None


class NoteUpdate(SQLModel):
    """Changes of notes."""

    name: str | None = None
    facts: dict[str, Any] | None = None
    tags: list[str] | None = None
    rank: int | None = None


class NoteOut(SQLModel):
    """A note with everything that the database fills in."""

    id: int
    name: str
    facts: dict[str, Any] | None
    tags: list[str] | None
    rank: int | None
    score: int | None
    version: int
    created_at: datetime
    updated_at: datetime


class NoteService(ServiceBase[Note, NoteIn, NoteUpdate]):
    """Notes."""

    public = NoteOut


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py and of this module."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Workshop.metadata.create_all)
    return await create_world(database)


async def made(world: Database, service: Any, data: Any, *, alone: bool) -> Any:
    """Create a row by one statement, or through the session; answer the response model."""
    async with world.unit() as unit:
        rows = service(unit)
        if alone:
            json = await rows.create_json(data, into=rows.public, last=True)
            return rows.public.model_validate_json(json)
        row = await rows.create(data)
        return await rows.get(getattr(row, "id"), into=rows.public)  # noqa: B009 - any table


async def changed(world: Database, service: Any, key: Any, data: Any, *, alone: bool) -> Any:
    """Change a row by one statement, or through the session; answer the response model."""
    async with world.unit() as unit:
        rows = service(unit)
        if alone:
            json = await rows.update_json(key, data, into=rows.public, last=True)
            return rows.public.model_validate_json(json)
        await rows.update(key, data)
        return await rows.get(key, into=rows.public)


async def is_null(world: Database, name: str, key: int) -> bool:
    """Tell whether the database itself calls a column of a note NULL."""
    async with world.session() as session:
        found = await (await session.connection()).execute(
            text(f"SELECT {name} IS NULL FROM wr_note WHERE id = :key"), {"key": key}
        )
    return bool(found.scalar_one())


NOTES: list[dict[str, Any]] = [
    {},
    {"name": "x", "facts": {"a": [1, None]}, "tags": [], "rank": 1, "score": 2},
    {"facts": None},
    {"tags": None},
    {"rank": None},
    {"score": None},
    {"facts": {}, "tags": ["ü", "\x01"], "rank": 0, "score": 0},
]


@pytest.mark.parametrize("given", NOTES, ids=str)
async def test_a_row_is_the_same_by_one_statement(world: Database, given: dict[str, Any]) -> None:
    """Defaults of the model and of the server, NULL that was given, documents, time stamps."""
    one = await made(world, NoteService, NoteIn(**given), alone=True)
    other = await made(world, NoteService, NoteIn(**given), alone=False)
    moving = {"id", "created_at", "updated_at"}
    assert one.model_dump(exclude=moving) == other.model_dump(exclude=moving)
    expected = {"name": "note", "facts": None, "tags": ["new"], "rank": 7, "score": 5, "version": 1}
    assert expected | given == one.model_dump(exclude=moving)
    assert one.created_at == one.updated_at
    assert one.created_at.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - one.created_at).total_seconds()) < 60
    for name in ("facts", "tags", "rank", "score"):
        nulls = [await is_null(world, name, row.id) for row in (one, other)]
        assert [getattr(one, name) is None] * 2 == nulls


@pytest.mark.parametrize("given", [{"name": "x"}, {"facts": None}, {"tags": None}, {"rank": None}])
async def test_a_changed_row_is_the_same_by_one_statement(
    world: Database, given: dict[str, Any]
) -> None:
    """What was set is written, None as NULL; the version counts up once and the time moves."""
    rows = []
    for alone in (True, False):
        full = NoteIn(facts={"a": 1}, tags=["t"], rank=1)
        before = await made(world, NoteService, full, alone=True)
        await asyncio.sleep(0.01)
        after = await changed(world, NoteService, before.id, NoteUpdate(**given), alone=alone)
        assert (2, before.created_at) == (after.version, after.created_at)
        assert before.updated_at < after.updated_at
        rows.append(after)
        for name in ("facts", "tags", "rank"):
            expected = getattr(after, name) is None
            assert expected is await is_null(world, name, after.id)
    moving = {"id", "created_at", "updated_at"}
    assert rows[0].model_dump(exclude=moving) == rows[1].model_dump(exclude=moving)


async def test_an_empty_change_changes_nothing(world: Database) -> None:
    """Neither the version nor the time; a row that is missing is missing still."""
    before = await made(world, NoteService, NoteIn(), alone=True)
    assert before == await changed(world, NoteService, before.id, NoteUpdate(), alone=True)
    for data in (NoteUpdate(), NoteUpdate(name="x")):
        with pytest.raises(NotFound) as caught:
            await changed(world, NoteService, 99, data, alone=True)
        assert ("Note", 99) == (caught.value.model, caught.value.key)


async def test_keys_come_from_where_they_came_from(world: Database) -> None:
    """A number of the database's, a UUID of the model's, a pair of the client's."""
    numbers = []
    for title in "ab":
        async with world.unit() as unit:
            made = await VolumeService(unit).create(VolumeCreate(title=title), into=VolumePublic)
            numbers.append(made.id)
    assert [1, 2] == numbers
    async with world.unit() as unit:
        writer = await WriterService(unit).create(WriterCreate(name="Ann"), into=WriterPublic)
        data = ChapterCreate(volume_id=1, number=3, title="x")
        chapter = await ChapterService(unit).create(data, into=ChapterPublic)
    assert (7, data.model_dump()) == (writer.id.version, chapter.model_dump())
    async with world.unit() as unit:
        update = ChapterUpdate(title="y")
        answer = await ChapterService(unit).update_json(
            (1, 3), update, into=ChapterPublic, last=True
        )
    assert b'{"volume_id":1,"number":3,"title":"y"}' == answer


async def test_secrets_and_defaults_that_are_not_shown_are_stored(world: Database) -> None:
    """The response shows a part of the row; the row has everything."""
    async with world.unit() as unit:
        data = WriterCreate(name="Ann", motto=None)
        answer = await WriterService(unit).create_json(data, into=WriterPublic, last=True)
    assert b"canary" not in answer
    async with world.session() as session:
        (writer,) = (await session.exec(select(Writer))).all()
    assert ("canary", None, "Ann") == (writer.secret, writer.motto, writer.name)
    assert writer.created_at is not None


async def test_what_shows_more_than_the_row_is_read_after(world: Database) -> None:
    """In the same unit of work, which goes back when it fails."""
    writer = await add_writer(world, volumes=1)
    async with world.unit() as unit:
        data = VolumeCreate(title="New", writer_id=writer)
        created = await VolumeService(unit).create_json(data, into=VolumeWithChapters, last=True)
        assert created.endswith(b'"id":2,"chapters":[]}')
    async with world.unit() as unit:
        update = WriterUpdate(name="Bea")
        answer = await WriterService(unit).update_json(
            writer, update, into=WriterWithVolumes, last=True
        )
    assert (b'"name":"Bea"' in answer, 2) == (True, answer.count(b'"title":"') - 2)


async def test_a_soft_deleted_row_is_not_changed(world: Database) -> None:
    """It is out of scope for one statement as for a session."""
    key = await add_volume(world)
    async with world.unit() as unit:
        await VolumeService(unit).delete(key)
    for last in (True, False):
        with pytest.raises(NotFound):  # noqa: PT012 - leaving the block raises
            async with world.unit() as unit:
                data = VolumeUpdate(title="x")
                await VolumeService(unit).update_json(key, data, into=VolumePublic, last=last)
    async with world.session() as session:
        row = await VolumeService(session).get(key, include_deleted=True)
    assert "Dune" == row.title


async def test_values_are_stored_as_the_session_stores_them(world: Database) -> None:
    """Enums, decimals, moments, keys: what is read as an object is what was given."""
    writer = await add_writer(world)
    values: dict[str, Any] = {
        "title": "x" * 40,
        "price": Decimal("99999.95"),
        "state": State.PRINTED,
        "weight": 0.1,
        "shelf": 2**62,
        "printed_at": datetime(2026, 1, 31, 12, 30, 59, 123456, UTC),
        "writer_id": writer,
    }
    async with world.unit() as unit:
        shown = await VolumeService(unit).create(VolumeCreate(**values), into=VolumePublic)
    async with world.session() as session:
        row = await VolumeService(session).get(shown.id)
    for name, value in values.items():
        assert (name, value, value) == (name, getattr(shown, name), getattr(row, name))


async def test_misfits_are_refused_before_anything_is_sent(world: Database) -> None:
    """By name of the field, as ever."""
    async with world.unit() as unit:
        for data in (
            VolumeCreate(title="a\x00b"),
            VolumeCreate.model_construct(title="a\ud800b"),
            VolumeCreate.model_construct(title="x" * 41),
        ):
            with pytest.raises(InvalidValue) as caught:
                await VolumeService(unit).create_json(data, into=VolumePublic, last=True)
            assert ("title",) == tuple(caught.value.fields)
        assert 0 == await VolumeService(unit).count()


async def test_whoever_changes_a_row_first_wins_only_for_a_moment(world: Database) -> None:
    """Changes of one row at once are each done, and each counted."""
    key = await add_volume(world)

    async def change(number: int) -> None:
        async with world.unit() as unit:
            data = VolumeUpdate(stars=number)
            await VolumeService(unit).update_json(key, data, into=VolumePublic, last=True)

    await asyncio.gather(*[change(number) for number in range(20)])
    async with world.session() as session:
        assert 21 == (await VolumeService(session).get(key)).version


async def test_rows_that_the_session_holds_are_changed_in_it(world: Database) -> None:
    """An object of the unit never shows what is no longer true."""
    key = await add_volume(world)
    async with world.unit() as unit:
        volumes = VolumeService(unit)
        row = await volumes.get(key)
        shown = await volumes.update(key, VolumeUpdate(title="Emma"), into=VolumePublic)
        assert ("Emma", "Emma", 2) == (shown.title, row.title, row.version)
        row.stars = 1
        answer = await volumes.update_json(key, VolumeUpdate(isbn="1"), into=VolumePublic)
        assert b'"stars":1' in answer
    async with world.session() as session:
        row = await VolumeService(session).get(key)
    assert ("Emma", 1, "1") == (row.title, row.stars, row.isbn)


async def test_an_object_is_read_anew_after_one_statement(world: Database) -> None:
    """What was written behind the session's back is found by it."""
    async with world.unit() as unit:
        volumes = VolumeService(unit)
        shown = await volumes.create(VolumeCreate(title="Dune"), into=VolumePublic)
        row = await volumes.get(shown.id)
        assert "Dune" == row.title
        row.title = "Emma"
    async with world.session() as session:
        assert 2 == (await VolumeService(session).get(shown.id)).version


async def test_a_create_in_a_unit_goes_when_the_unit_fails(world: Database) -> None:
    """Only the last statement of a unit stands alone, and only when it is told to."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            await VolumeService(unit).create_json(VolumeCreate(title="x"), into=VolumePublic)
            raise ZeroDivisionError
    async with world.transaction() as session:
        assert isinstance(session, AsyncSession)
        assert 0 == await VolumeService(session).count()
        await VolumeService(session).create(VolumeCreate(title="y"), into=VolumePublic)
        await session.rollback()
        assert 0 == await VolumeService(session).count()


async def test_a_session_with_savepoints_undoes_one_statement(world: Database) -> None:
    """A row by one statement is part of the savepoint."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create(VolumeCreate(title="kept", isbn="1"), into=VolumePublic)
        with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving the block raises
            async with session.savepoint():
                await volumes.create(VolumeCreate(title="a"), into=VolumePublic)
                await volumes.create(VolumeCreate(title="b", isbn="1"), into=VolumePublic)
        assert 1 == await volumes.count()
    async with world.session() as session:
        assert ["kept"] == [volume.title for volume in await VolumeService(session).all()]


async def test_a_create_takes_one_statement(world: Database) -> None:
    """Of a plain table, whose response is its own columns; MariaDB answers INSERTs too."""
    await made(world, VolumeService, VolumeCreate(title="first"), alone=True)
    with recording(world.engine.sync_engine) as events:
        async with world.unit() as unit:
            await VolumeService(unit).create(VolumeCreate(title="x"), into=VolumePublic)
    assert ["INSERT"] == [event.statement[:6] for event in events]
