"""Writes over many rows, counters, and rows that may be there already."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import JSON, MetaData, text
from sqlmodel import Field, SQLModel, col

from sqlmodelkit import (
    Database,
    IntKey,
    ServiceBase,
    SoftDelete,
    Timestamps,
    Version,
    any_of,
    not_,
    where,
)
from sqlmodelkit.errors import (
    ConfigError,
    FilterError,
    ForeignKeyViolation,
    InvalidValue,
    NotFound,
    UniqueViolation,
)
from sqlmodelkit.events import recording
from tests.firms import ProjectCreate, ProjectService, create_firms
from tests.world import (
    ChapterCreate,
    ChapterService,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterCreate,
    WriterService,
    add_volume,
    create_world,
    is_mariadb,
)


class Depot(SQLModel):
    """A base with a metadata of its own, for tables that are odd."""

    metadata = MetaData()


class Screw(IntKey, Timestamps, SoftDelete, Version, Depot, table=True):
    """Two unique keys, and a column of every kind that has a default."""

    __tablename__ = "ch_part"  # pyright: ignore[reportAssignmentType]

    code: str = Field(max_length=20, unique=True)
    serial: str | None = Field(default=None, max_length=20, unique=True)
    rank: int | None = 5
    weight: Decimal | None = Field(default=None, max_digits=8, decimal_places=2)
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    place: str | None = Field(default=None, sa_column_kwargs={"server_default": "shelf"})


class PartIn(SQLModel):
    """Input of parts."""

    code: str
    serial: str | None = None
    rank: int | None = 5
    weight: Decimal | None = None
    facts: dict[str, Any] | None = None
    place: str | None = None


class PartUpdate(SQLModel):
    """Changes of parts."""

    rank: int | None = None
    facts: dict[str, Any] | None = None


class PartService(ServiceBase[Screw, PartIn, PartUpdate]):
    """Parts."""


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py and of this module."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Depot.metadata.create_all)
    return await create_world(database)


async def titles(world: Database) -> list[str]:
    """Return the titles of the volumes that are not deleted, in order."""
    async with world.session() as session:
        return [row.title for row in await VolumeService(session).all(sort="id")]


async def part_with(world: Database, code: str) -> Screw:
    """Return a part as the next unit of work sees it."""
    async with world.session() as session:
        part = await PartService(session).find(code=code, include_deleted=True)
    assert part is not None
    return part


async def test_update_where_changes_what_matches(world: Database) -> None:
    """By one statement; the version counts up and the time moves, NULL is NULL."""
    for number in range(3):
        await add_volume(world, title=f"v{number}", stars=number)
    async with world.transaction() as session:
        before = await VolumeService(session).get(2)
        await asyncio.sleep(0.01)
        with recording(world.engine.sync_engine) as seen:
            number = await VolumeService(session).update_where(
                VolumeUpdate(stars=None, title="x"), stars__gte=1
            )
        assert 2 == number
        # Rows in hand are brought up to date.
        assert (None, "x", 2) == (before.stars, before.title, before.version)
        assert ["UPDATE", "SELECT"] == [event.statement.split()[0] for event in seen]
    async with world.session() as session:
        rows = await VolumeService(session).all(sort="id")
    assert [(0, 1), (None, 2), (None, 2)] == [(row.stars, row.version) for row in rows]
    assert [False, True, True] == [row.updated_at > row.created_at for row in rows]


async def test_update_where_takes_expressions(world: Database) -> None:
    """The database computes, for each row from its own values."""
    for number in range(3):
        await add_volume(world, title=f"v{number}", stars=number)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        assert 2 == await volumes.update_where({"stars": col(Volume.stars) + 10}, stars__lt=2)
        assert [10, 11, 2] == [row.stars for row in await volumes.all(sort="id")]
        assert 0 == await volumes.update_where({"stars": 1}, title="none")
        assert 1 == await volumes.update_where({}, stars=2)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nothing": 1}, ConfigError),
        ({"id": 9}, ConfigError),
        ({"version": 9}, ConfigError),
        ({"title": None}, InvalidValue),
        ({"title": "x" * 41}, InvalidValue),
        ({"stars": 2**31}, InvalidValue),
    ],
)
async def test_update_where_refuses_what_cannot_be_set(
    world: Database, values: dict[str, Any], error: type[Exception]
) -> None:
    """Before anything is sent."""
    await add_volume(world)
    async with world.transaction() as session:
        with pytest.raises(error):
            await VolumeService(session).update_where(values, stars=3)
    assert ["Dune"] == await titles(world)


UNLIMITED: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((where(),), {}),
    ((any_of(where()),), {}),
    ((not_(any_of()),), {}),
    ((), {"id__not_in": []}),
    ((any_of(where(stars=1), where(id__not_in=[])),), {}),
]


@pytest.mark.parametrize(("filters", "conditions"), UNLIMITED, ids=str)
async def test_a_write_of_everything_is_asked_for_by_name(
    world: Database, filters: tuple[Any, ...], conditions: dict[str, Any]
) -> None:
    """A filter that leaves no row out is none."""
    for number in range(2):
        await add_volume(world, title=f"v{number}")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        with pytest.raises(FilterError):
            await volumes.update_where({"stars": 1}, *filters, **conditions)
        with pytest.raises(FilterError):
            await volumes.delete_where(*filters, **conditions)
        with pytest.raises(FilterError):
            await volumes.purge(*filters, **conditions)
    assert ["v0", "v1"] == await titles(world)


async def test_everything_is_written_when_it_is_said(world: Database) -> None:
    """And never beside a filter."""
    for number in range(2):
        await add_volume(world, title=f"v{number}")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        with pytest.raises(FilterError):
            await volumes.delete_where(stars=3, everything=True)
        assert 2 == await volumes.update_where({"title": "x"}, everything=True)
        assert 2 == await volumes.delete_where(everything=True)
        assert 2 == await volumes.purge(everything=True)
        assert 0 == await volumes.count(include_deleted=True)


async def test_delete_where_is_soft_where_the_model_is(world: Database) -> None:
    """The rows are there, deleted, counted up; a second time there are none."""
    keys = [await add_volume(world, title=f"v{number}", stars=number) for number in range(3)]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        assert 2 == await volumes.delete_where(stars__gte=1)
        assert 0 == await volumes.delete_where(stars__gte=1)
        row = await volumes.get(keys[1], include_deleted=True)
        assert (2, True) == (row.version, row.deleted_at is not None)
        assert "v1" == (await volumes.restore(keys[1])).title
    assert ["v0", "v1"] == await titles(world)


async def test_delete_where_removes_for_good_otherwise(world: Database) -> None:
    """Rows in hand are let go."""
    key = await add_volume(world)
    async with world.transaction() as session:
        chapters = ChapterService(session)
        for number in range(3):
            await chapters.create(ChapterCreate(volume_id=key, number=number))
        assert 2 == await chapters.delete_where(number__gte=1)
        assert 1 == await chapters.count()
        with pytest.raises(NotFound):
            await chapters.get((key, 2))
        with pytest.raises(ConfigError):
            await chapters.purge(number=0)


async def test_purge_removes_deleted_rows_only(world: Database) -> None:
    """Whatever the filter says, and by age when asked."""
    keys = [await add_volume(world, title=f"v{number}") for number in range(3)]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.delete(keys[0])
        long_ago = datetime.now(UTC) - timedelta(days=1)
        assert 0 == await volumes.purge(deleted_at__lt=long_ago)
        assert 1 == await volumes.purge(id__in=keys)
        assert 2 == await volumes.count(include_deleted=True)


async def test_increment_adds_where_the_row_is(world: Database) -> None:
    """Twenty tasks at once lose nothing; NULL counts as 0."""
    async with world.transaction() as session:
        key = (await VolumeService(session).create(VolumeCreate(title="a", stars=None))).id

    async def add() -> None:
        async with world.transaction() as session:
            await VolumeService(session).increment(key, {"stars": 2})

    await asyncio.gather(*[add() for _ in range(20)])
    async with world.transaction() as session:
        volumes = VolumeService(session)
        held = await volumes.get(key)
        assert (40, 21) == (held.stars, held.version)
        row = await volumes.increment(key, {"stars": -1, "price": Decimal("0.5")})
        assert (39, Decimal("10.50"), 22) == (row.stars, row.price, held.version)
        shown = await volumes.increment(key, {"stars": 1}, into=VolumePublic)
        assert 40 == shown.stars
        for name in ("title", "nothing", "id", "version"):
            with pytest.raises(ConfigError):
                await volumes.increment(key, {name: 1})
        with pytest.raises(NotFound):
            await volumes.increment(99, {"stars": 1})


async def test_upsert_adds_and_then_changes_what_was_given(world: Database) -> None:
    """What was not given stays, None is NULL, the version counts up and the time moves."""
    async with world.transaction() as session:
        parts = PartService(session)
        made = await parts.upsert(
            PartIn(code="a", weight=Decimal("1.5"), facts={"n": 1}), on="code"
        )
        assert ("a", 5, "shelf", 1) == (made.code, made.rank, made.place, made.version)
    await asyncio.sleep(0.01)
    async with world.transaction() as session:
        changed = await PartService(session).upsert(
            PartIn(code="a", rank=None, facts=None), on=["code"]
        )
        assert (made.id, None, None, 2) == (
            changed.id,
            changed.rank,
            changed.facts,
            changed.version,
        )
        assert (Decimal("1.50"), "shelf") == (changed.weight, changed.place)
    stored = await part_with(world, "a")
    assert stored.updated_at > stored.created_at
    async with world.session() as session:
        connection = await session.connection()
        nulls = "SELECT count(*) FROM ch_part WHERE rank IS NULL AND facts IS NULL"
        nulls = nulls.replace(" rank ", " `rank` ") if is_mariadb(world) else nulls
        assert 1 == (await connection.execute(text(nulls))).scalar_one()


async def test_upsert_writes_the_chosen_fields_only(world: Database) -> None:
    """Or none at all, when there are none."""
    async with world.transaction() as session:
        parts = PartService(session)
        await parts.upsert(PartIn(code="a", rank=1, weight=Decimal(1)), on="code")
        new = PartIn(code="a", rank=2, weight=Decimal(2))
        row = await parts.upsert(new, on="code", update=["weight"])
        assert (1, Decimal(2), 2) == (row.rank, row.weight, row.version)
        row = await parts.upsert(new, on="code", update=())
        assert (1, Decimal(2), 2) == (row.rank, row.weight, row.version)
        for update in (["nothing"], ["id"], ["code"], ["version"], "rank"):
            with pytest.raises(ConfigError):
                await parts.upsert(new, on="code", update=update)


async def test_upsert_needs_a_unique_key(world: Database) -> None:
    """A real one, which the rows have a value for."""
    async with world.transaction() as session:
        parts, chapters = PartService(session), ChapterService(session)
        for on in ("rank", ["code", "serial"], "nothing"):
            with pytest.raises(ConfigError) as caught:
                await parts.upsert(PartIn(code="a"), on=on)
            assert "(code)" in str(caught.value)
        with pytest.raises(ConfigError):
            await parts.upsert(PartIn(code="a"))
        with pytest.raises(InvalidValue):
            await parts.upsert(PartIn(code="a", serial=None), on="serial")
    key = await add_volume(world)
    async with world.transaction() as session:
        chapters = ChapterService(session)
        await chapters.upsert(ChapterCreate(volume_id=key, number=1, title="a"))
        row = await chapters.upsert(ChapterCreate(volume_id=key, number=1, title="b"))
        assert ("b", 1) == (row.title, await chapters.count())


async def test_upsert_does_not_touch_a_row_of_another_unique_key(world: Database) -> None:
    """MySQL would take any unique key that is met; here it is refused on every engine."""
    async with world.transaction() as session:
        await PartService(session).create(PartIn(code="a", serial="1", rank=1))
    for update in (None, ()):
        async with world.transaction() as session:
            parts = PartService(session)
            new = PartIn(code="b", serial="1", rank=2)
            with pytest.raises(UniqueViolation):
                async with session.savepoint():
                    await parts.upsert(new, on="code", update=update)
            with pytest.raises(UniqueViolation):
                await parts.upsert_many(
                    [PartIn(code="c", serial="2"), new], on="code", update=update
                )
            assert ["a"] == [part.code for part in await parts.all()]
    stored = await part_with(world, "a")
    assert (1, 1, "1") == (stored.rank, stored.version, stored.serial)


async def test_upsert_does_not_touch_a_deleted_row(world: Database) -> None:
    """It is out of scope: refused as `create` is, until it is restored."""
    async with world.transaction() as session:
        parts = PartService(session)
        made = await parts.create(PartIn(code="a", rank=1))
        await parts.delete(made.id)
    for update in (None, ()):
        async with world.transaction() as session:
            parts = PartService(session)
            with pytest.raises(UniqueViolation):
                async with session.savepoint():
                    await parts.upsert(PartIn(code="a", rank=2), on="code", update=update)
            with pytest.raises(UniqueViolation):
                async with session.savepoint():
                    await parts.get_or_create(PartIn(code="a", rank=2), on="code")
    async with world.transaction() as session:
        with pytest.raises(UniqueViolation):
            await PartService(session).upsert_many(
                [PartIn(code="b"), PartIn(code="a", rank=2)], on="code"
            )
        assert 0 == await PartService(session).count()
    stored = await part_with(world, "a")
    assert (1, 2) == (stored.rank, stored.version)
    async with world.transaction() as session:
        await PartService(session).restore(made.id)
        row = await PartService(session).upsert(PartIn(code="a", rank=2), on="code")
        assert (made.id, 2) == (row.id, row.rank)


async def test_get_or_create_makes_one_row_for_fifty_tasks(world: Database) -> None:
    """And all of them get it; one of them made it."""
    start = asyncio.Event()

    async def ask() -> tuple[int | None, bool]:
        await start.wait()
        async with world.transaction() as session:
            part, made = await PartService(session).get_or_create(PartIn(code="a"), on="code")
            return part.id, made

    tasks = [asyncio.create_task(ask()) for _ in range(50)]
    start.set()
    answers = await asyncio.gather(*tasks)
    assert 1 == len({key for key, _ in answers})
    assert [True] == [made for _, made in answers if made]
    async with world.session() as session:
        assert 1 == await PartService(session).count()


async def test_concurrent_upserts_keep_one_row(world: Database) -> None:
    """Every one of them counts the version up."""

    async def put(rank: int) -> None:
        async with world.transaction() as session:
            await PartService(session).upsert(PartIn(code="a", rank=rank), on="code")

    await asyncio.gather(*[put(rank) for rank in range(20)])
    stored = await part_with(world, "a")
    async with world.session() as session:
        assert (1, 20) == (await PartService(session).count(), stored.version)


async def test_get_or_create_answers_a_response_model(world: Database) -> None:
    """What is there is left alone."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        first = await volumes.get_or_create(
            VolumeCreate(title="a", isbn="1"), on="isbn", into=VolumePublic
        )
        second = await volumes.get_or_create(
            VolumeCreate(title="b", isbn="1"), on="isbn", into=VolumePublic
        )
    assert (first[0], False) == second
    assert ("a", True) == (first[0].title, first[1])


async def test_upsert_brings_rows_in_hand_up_to_date(world: Database) -> None:
    """What the session holds is what the database has."""
    async with world.transaction() as session:
        parts = PartService(session)
        held = await parts.create(PartIn(code="a", rank=1))
        held.weight = Decimal(3)
        row = await parts.upsert(PartIn(code="a", rank=2), on="code")
        assert row is held
        assert (2, Decimal(3)) == (held.rank, held.weight)
        assert 1 == await parts.upsert_many([PartIn(code="a", rank=7)], on="code")
        assert 7 == held.rank


async def test_many_rows_are_written_after_a_savepoint_that_was_undone(world: Database) -> None:
    """What the session holds has expired with the savepoint, and is brought up to date."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        async with session.savepoint():
            held = await volumes.create(VolumeCreate(title="a", isbn="1"))
        writes: list[Callable[[], Awaitable[int]]] = [
            lambda: volumes.update_where({"title": "b"}, isbn="1"),
            lambda: volumes.upsert_many([VolumeCreate(title="c", isbn="1")], on="isbn"),
            lambda: volumes.insert_many([VolumeCreate(title="c", isbn="2")]),
        ]
        for write in writes:
            with pytest.raises(ForeignKeyViolation):
                async with session.savepoint():
                    await volumes.update(held.id, VolumeUpdate(writer_id=uuid4()))
            assert 1 == await write()
        assert ("c", None) == (held.title, held.writer_id)


async def test_an_upsert_of_another_owners_row_is_refused(database: Database) -> None:
    """It is not touched, and the error does not say what it has."""
    ours, theirs = await create_firms(database)
    async with database.transaction(scope=theirs.scope) as session:
        projects = ProjectService(session)
        before = await projects.get(theirs.projects[0])
        code, name = before.code, before.name
    async with database.transaction(scope=ours.scope) as session:
        projects = ProjectService(session)
        data = ProjectCreate(code="new", name="ours")
        # The firm is part of the key: the same code is another row.
        made = await projects.upsert(data, on=("firm_id", "code"))
        mine = await projects.upsert(ProjectCreate(code=code, name="mine"), on=("firm_id", "code"))
        assert {ours.firm} == {made.firm_id, mine.firm_id}
        assert 2 == await projects.upsert_many(
            [ProjectCreate(code=code, name="x"), ProjectCreate(code="n", name="y")],
            on=("firm_id", "code"),
        )
        assert 1 == await projects.insert_many([{"code": "z", "name": "z"}])
        number = await projects.update_where({"name": "all"}, everything=True)
        assert number == await projects.count()
        assert 0 == await projects.delete_where(id=theirs.projects[0])
    async with database.session(scope=theirs.scope) as session:
        after = await ProjectService(session).get(theirs.projects[0])
        assert (code, name) == (after.code, after.name)


async def test_a_purge_is_kept_in_scope(database: Database) -> None:
    """Deleted rows of others stay."""
    sides = await create_firms(database)
    for side in sides:
        async with database.transaction(scope=side.scope) as session:
            projects = ProjectService(session)
            made = await projects.create(ProjectCreate(code="gone", name="gone"))
            await projects.delete(made.id)
    async with database.transaction(scope=sides[0].scope) as session:
        assert 1 == await ProjectService(session).purge(code="gone")
    async with database.transaction(scope=sides[1].scope) as session:
        assert 1 == await ProjectService(session).count(code="gone", include_deleted=True)


async def test_writers_of_one_email_are_one(world: Database) -> None:
    """A UUID key stays that of the row that is there."""
    async with world.transaction() as session:
        writers = WriterService(session)
        first = await writers.upsert(WriterCreate(name="Ann", email="a"), on="email")
        second = await writers.upsert(WriterCreate(name="Bea", email="a"), on="email")
        assert (first.id, "Bea") == (second.id, second.name)
