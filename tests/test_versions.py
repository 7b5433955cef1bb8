"""Optimistic locking: a stale write is refused on every path, and loses nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import update as sql_update

from sqlmodelkit import Database
from sqlmodelkit.errors import ConfigError, NotFound, StaleVersion
from sqlmodelkit.events import recording
from tests.world import (
    ChapterCreate,
    ChapterService,
    ChapterUpdate,
    Volume,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    add_volume,
    create_world,
)

Act = Callable[[VolumeService, int, int | None], Awaitable[object]]

ACTS: dict[str, Act] = {
    "update": lambda rows, key, v: rows.update(key, VolumeUpdate(stars=1), version=v),
    "update to the same": lambda rows, key, v: rows.update(key, VolumeUpdate(stars=3), version=v),
    "update nothing": lambda rows, key, v: rows.update(key, VolumeUpdate(), version=v),
    "update into": lambda rows, key, v: rows.update(
        key, VolumeUpdate(stars=1), into=VolumePublic, version=v
    ),
    "update into nested": lambda rows, key, v: rows.update(
        key, VolumeUpdate(stars=1), into=VolumeDetail, version=v
    ),
    "update_json": lambda rows, key, v: rows.update_json(
        key, VolumeUpdate(stars=1), into=VolumePublic, version=v
    ),
    "update_json, last": lambda rows, key, v: rows.update_json(
        key, VolumeUpdate(stars=1), into=VolumePublic, last=True, version=v
    ),
    "delete": lambda rows, key, v: rows.delete(key, version=v),
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def stored(database: Database, key: int) -> tuple[int, int | None, bool]:
    """Return what a volume's row is: its version, its stars, and whether it is deleted."""
    async with database.session() as session:
        row = await VolumeService(session).get(key, include_deleted=True)
        return row.version, row.stars, row.deleted_at is not None


@each_act
async def test_a_version_that_has_moved_is_refused(world: Database, act: Act) -> None:
    """Nothing of the write is kept."""
    key = await add_volume(world)
    before = (await stored(world, key))[1]
    async with world.transaction() as session:
        await VolumeService(session).update(key, VolumeUpdate(title="Second"))
    for version in (1, 3, 0):
        with pytest.raises(StaleVersion) as caught:
            async with world.unit() as unit:
                await act(VolumeService(unit), key, version)
        assert "Volume" == caught.value.model
    assert (2, before, False) == await stored(world, key)


@each_act
async def test_the_version_that_was_read_is_let_through(world: Database, act: Act) -> None:
    """The same calls work while nobody else has written."""
    key = await add_volume(world)
    async with world.unit() as unit:
        await act(VolumeService(unit), key, 1)
    version, _, deleted = await stored(world, key)
    nothing = act in (ACTS["update nothing"], ACTS["update to the same"])
    assert (1 if nothing else 2, act is ACTS["delete"]) == (version, deleted)


@each_act
async def test_a_missing_row_is_not_found_whatever_the_version(world: Database, act: Act) -> None:
    """What is not there is not stale; nor is what is deleted."""
    key = await add_volume(world)
    async with world.transaction() as session:
        await VolumeService(session).delete(key)
    for missing in (key, key + 1):
        with pytest.raises(NotFound):
            async with world.unit() as unit:
                await act(VolumeService(unit), missing, 2)


@each_act
async def test_a_row_in_the_session_says_what_was_read(world: Database, act: Act) -> None:
    """Who holds a row of before, and names no version, is refused too."""
    key = await add_volume(world)
    async with world.session() as early:
        row = await VolumeService(early).get(key)
        await early.commit()
        async with world.transaction() as session:
            await VolumeService(session).update(key, VolumeUpdate(stars=5))
        with pytest.raises(StaleVersion):
            await act(VolumeService(early), key, row.version)
        await early.rollback()
    assert (2, 5, False) == await stored(world, key)


@pytest.mark.parametrize("verb", ["delete", "update", "restore"])
async def test_a_held_row_needs_no_version_named(world: Database, verb: str) -> None:
    """`delete`, `update` and `restore` compare what the session has read."""
    key = await add_volume(world)
    async with world.session() as early:
        rows = VolumeService(early)
        held = await rows.get(key)  # in hand, or the session would forget it
        if verb == "restore":
            await rows.delete(key)
        await early.commit()
        async with world.transaction() as session:
            await session.exec(
                sql_update(Volume)
                .values(stars=5, version=Volume.version + 1)
                .execution_options(include_deleted=True)
            )
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "delete": lambda: rows.delete(str(key)),
            "restore": lambda: rows.restore(key),
            "update": lambda: rows.update(key, VolumeUpdate(stars=1)),
        }
        with pytest.raises(StaleVersion):
            await acts[verb]()
        assert held in early
    assert 5 == (await stored(world, key))[1]


async def test_who_deletes_is_not_overwritten(world: Database) -> None:
    """A soft delete moves the version, so that a change of before is refused."""
    key = await add_volume(world)
    async with world.session() as early:
        row = await VolumeService(early).get(key)
        await early.commit()
        async with world.transaction() as session:
            await VolumeService(session).delete(key)
        row.stars = 1
        with pytest.raises(StaleVersion):
            await VolumeService(early).delete(key)
    assert (2, True) == ((await stored(world, key))[0], (await stored(world, key))[2])


async def test_restore_compares_too(world: Database) -> None:
    """The version of the deleted row; and what is not deleted is not found."""
    key = await add_volume(world)
    async with world.transaction() as session:
        rows = VolumeService(session)
        await rows.delete(key)
    async with world.transaction() as session:
        rows = VolumeService(session)
        with pytest.raises(StaleVersion):
            await rows.restore(key, version=1)
    async with world.transaction() as session:
        restored = await VolumeService(session).restore(key, version=2)
        assert 3 == restored.version
    async with world.transaction() as session:
        with pytest.raises(NotFound):
            await VolumeService(session).restore(key, version=3)


async def test_own_changes_in_a_row_are_no_stranger_s(world: Database) -> None:
    """A unit of work may change what it has changed before."""
    key = await add_volume(world)
    async with world.transaction() as session:
        rows = VolumeService(session)
        row = await rows.get(key)
        row.stars = 2
        await rows.update(key, VolumeUpdate(title="New"))
        row.stars = 4
        await rows.delete(key)
        restored = await rows.restore(key)
        assert (4, 6) == (restored.stars, restored.version)


async def test_of_many_who_have_read_the_same_one_writes(world: Database) -> None:
    """Ten at once: one wins, nine are told, and the version has moved once."""
    key = await add_volume(world)

    async def change(stars: int) -> int:
        try:
            async with world.unit() as unit:
                await VolumeService(unit).update_json(
                    key, VolumeUpdate(stars=stars), into=VolumePublic, last=True, version=1
                )
        except StaleVersion:
            return 0
        return stars

    winners = await asyncio.gather(*(change(n % 5 + 1) for n in range(10)))
    (winner,) = (stars for stars in winners if stars)
    assert (2, winner, False) == await stored(world, key)


async def test_the_version_is_compared_by_the_statement_that_writes(world: Database) -> None:
    """One statement where the database answers what it writes; MariaDB locks the row first."""
    key = await add_volume(world)
    async with world.unit() as unit:
        with recording(world.engine.sync_engine) as events:
            await VolumeService(unit).update_json(
                key, VolumeUpdate(stars=1), into=VolumePublic, last=True, version=1
            )
        one = unit.can_return("update")
    verbs = [event.statement.split()[0] for event in events if "w_volume" in event.statement]
    assert (["UPDATE"] if one else ["SELECT", "UPDATE"]) == verbs[:2]


async def test_a_version_needs_a_model_that_has_one(world: Database) -> None:
    """Otherwise the caller believes in a check that is none."""
    volume = await add_volume(world)
    async with world.transaction() as session:
        chapters = ChapterService(session)
        await chapters.create(ChapterCreate(volume_id=volume, number=1))
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: chapters.update((volume, 1), ChapterUpdate(title="x"), version=1),
            lambda: chapters.delete((volume, 1), version=1),
        ]
        for call in calls:
            with pytest.raises(ConfigError, match="no version"):
                await call()
        for wrong in ("1", True, 1.0):
            with pytest.raises(ConfigError, match="is a number"):
                await VolumeService(session).delete(volume, version=wrong)  # type: ignore[arg-type]
        assert 1 == await chapters.count()


async def test_an_override_is_told_the_version(world: Database) -> None:
    """And one that knows none is called as before."""
    told: list[int | None] = []

    class Knowing(VolumeService):
        async def update(self, key: Any, data: VolumeUpdate, **options: Any) -> Any:
            told.append(options.get("version"))
            return await super().update(key, data, **options)

    key = await add_volume(world)
    async with world.transaction() as session:
        rows = Knowing(session)
        await rows.update_json(key, VolumeUpdate(stars=1), into=VolumePublic)
        await rows.update_json(key, VolumeUpdate(stars=2), into=VolumePublic, version=2)
    assert [None, 2] == told
