"""Many rows at once: what unknown keys, races and limits of the database do elsewhere."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import Field, SQLModel

from sqlmodelkit import Database, FilterError, IntKey, ServiceBase, UniqueViolation, events
from tests.conformance.guarding import guards
from tests.world import (
    VolumeCreate,
    VolumeService,
    VolumeUpdate,
    add_volume,
)


async def shelf(database: Database) -> list[tuple[str, int | None]]:
    """Return the titles and stars that are stored."""
    async with database.session() as session:
        return [(row.title, row.stars) for row in await VolumeService(session).all(sort="title")]


@guards(
    "An unfiltered or mistyped mass delete empties the table.",
    seen_in="sqlalchemy-crud-plus, recipes",
)
async def test_all_rows_are_written_by_name_only(world: Database) -> None:
    """A condition that leaves nothing out counts as none, and a typing error is one."""
    for title in ("a", "b"):
        await add_volume(world, title)
    wrong: list[dict[str, Any]] = [{}, {"titel": "a"}, {"title__zz": "a"}, {"id__not_in": []}]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        for conditions in wrong:
            with pytest.raises(FilterError):
                await volumes.delete_where(**conditions)
            with pytest.raises(FilterError):
                await volumes.update_where(VolumeUpdate(stars=1), **conditions)
        assert 1 == await volumes.delete_where(title="a")
    assert [("b", 3)] == await shelf(world)


@guards(
    "An update that may meet several rows changes all of them, without being asked to.",
    seen_in="recipes",
)
async def test_a_mass_update_does_all_that_a_single_one_does(world: Database) -> None:
    """Values are checked, versions counted, times moved, deleted rows left alone."""
    for title in ("a", "b", "c"):
        await add_volume(world, title)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.delete(3)
        before = await volumes.get(1)
        was = (before.version, before.updated_at)
        await asyncio.sleep(0.01)  # SQLite's clock has milliseconds
        assert 2 == await volumes.update_where(VolumeUpdate(stars=None), stars=3)
    async with world.session() as session:
        row = await VolumeService(session).get(1)
        assert (None, was[0] + 1) == (row.stars, row.version)
        assert row.updated_at > was[1]
        assert 3 == (await VolumeService(session).get(3, include_deleted=True)).stars


@guards("A find-or-create looks first: two at once make two rows, or one fails.", seen_in="recipes")
async def test_many_who_get_or_create_make_one(world: Database) -> None:
    """And all of them get it."""

    async def get_or_create() -> tuple[int | None, bool]:
        async with world.transaction() as session:
            data = VolumeCreate(title="a", isbn="1")
            row, is_new = await VolumeService(session).get_or_create(data, on="isbn")
            return row.id, is_new

    found = await asyncio.gather(*(get_or_create() for _ in range(12)))
    assert 1 == len({key for key, _ in found})
    assert 1 == [is_new for _, is_new in found].count(True)
    assert [("a", 3)] == await shelf(world)


@guards("An upsert looks, counts and writes: four statements, and a race.", seen_in="FastCRUD")
@guards("An upsert knows the primary key only.", seen_in="FastCRUD")
async def test_many_who_upsert_by_a_unique_key_make_one(world: Database) -> None:
    """What was given is written, what was not is kept, and an explicit None is NULL."""
    await add_volume(world, "old", isbn="1", shelf=7)

    async def upsert(title: str) -> None:
        async with world.transaction() as session:
            data = VolumeCreate(title=title, isbn="1", stars=None)
            await VolumeService(session).upsert(data, on="isbn")

    await asyncio.gather(*(upsert(str(number)) for number in range(8)))
    ((_, stars),) = await shelf(world)
    async with world.session() as session:
        row = await VolumeService(session).get(1)
    assert (None, 7, 9) == (stars, row.shelf, row.version)


class GuardedItemData(SQLModel):
    """What an item is made of: two keys of its own."""

    code: str = Field(max_length=20, unique=True)
    barcode: str = Field(max_length=20, unique=True)


class GuardedItem(GuardedItemData, IntKey, table=True):
    """Two unique keys."""

    __tablename__ = "g_item"  # pyright: ignore[reportAssignmentType]


class GuardedItems(ServiceBase[GuardedItem, GuardedItemData, GuardedItemData]):
    """Items."""


@guards(
    "An upsert changes whichever row one of its unique values belongs to.", seen_in="MySQL recipes"
)
async def test_an_upsert_touches_no_other_row(database: Database) -> None:
    """A value of another unique key is a refusal, of one row and of many."""
    table = SQLModel.metadata.tables["g_item"]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=[table])
    async with database.transaction() as session:
        items = GuardedItems(session)
        await items.create(GuardedItemData(code="a", barcode="1"))
        wrong = GuardedItemData(code="b", barcode="1")
        for refused in (items.upsert(wrong, on="code"), items.upsert_many([wrong], on="code")):
            with pytest.raises(UniqueViolation):
                async with session.savepoint():
                    await refused
        (row,) = await items.all()
        assert ("a", "1") == (row.code, row.barcode)


@guards(
    "More values than a statement may have are an error, or are lost in silence.",
    seen_in="applications",
)
@guards(
    "Ten thousand rows with counted keys are ten thousand statements.",
    seen_in="Advanced Alchemy, sqlalchemy-crud-plus",
)
async def test_rows_beyond_the_limit_of_parameters_are_stored(world: Database) -> None:
    """Ten thousand rows of a dozen columns, from a generator, in few statements."""

    def rows() -> Iterator[VolumeCreate]:
        for number in range(10_000):
            yield VolumeCreate(title=str(number), isbn=str(number), stars=None)

    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            assert 10_000 == await VolumeService(session).insert_many(rows())
    assert len(seen) <= 100
    async with world.session() as session:
        assert 10_000 == await VolumeService(session).count(stars=None)


@guards("One bad row of many refuses all, and nobody says which.", seen_in="FastCRUD")
async def test_each_row_can_fare_for_itself(world: Database) -> None:
    """In the order given, with the reason."""
    await add_volume(world, "old", isbn="1")
    async with world.transaction() as session:
        results = await VolumeService(session).insert_many(
            [
                VolumeCreate(title="a", isbn="2"),
                VolumeCreate(title="b", isbn="1"),
                VolumeCreate(title="c"),
            ],
            report=True,
        )
    assert ["inserted", "failed", "inserted"] == [result.outcome for result in results]
    assert isinstance(results[1].error, UniqueViolation)
    assert ["a", "c", "old"] == [title for title, _ in await shelf(world)]


@guards("A change of many rows is a loop with a statement for each.", seen_in="recipes")
async def test_many_rows_are_changed_by_one_statement(world: Database) -> None:
    """Whether they get the same value, are deleted, or are brought up to date by their keys."""
    data = [VolumeCreate(title=str(number), isbn=str(number)) for number in range(200)]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.insert_many(data)
        with events.recording(world.engine.sync_engine) as seen:
            assert 200 == await volumes.update_where(VolumeUpdate(stars=1), shelf=0)
            await volumes.upsert_many(data, on="isbn")
            assert 200 == await volumes.delete_where(shelf=0)
    assert len(seen) <= 10  # savepoints and what is asked about the table included
