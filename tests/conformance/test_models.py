"""Mixins that every table can have, and time stamps that mean the same everywhere."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Field, SQLModel

from sqlmodelkit import (
    Database,
    IntKey,
    ServiceBase,
    SoftDelete,
    StoredAnswer,
    Timestamps,
    UUIDKey,
    Version,
)
from tests.conformance.guarding import guards
from tests.world import Volume, VolumeService, is_postgresql, is_sqlite


class GuardedNote(UUIDKey, Timestamps, SoftDelete, Version, table=True):
    """One table with all mixins."""

    __tablename__ = "g_note"  # pyright: ignore[reportAssignmentType]

    text: str = Field(max_length=20)


class GuardedMemo(UUIDKey, Timestamps, SoftDelete, Version, table=True):
    """And another one."""

    __tablename__ = "g_memo"  # pyright: ignore[reportAssignmentType]

    text: str = Field(max_length=20)


class NoteData(SQLModel):
    """What either is made of."""

    text: str


class GuardedNotes(ServiceBase[GuardedNote, NoteData, NoteData]):
    """Notes."""


class GuardedMemos(ServiceBase[GuardedMemo, NoteData, NoteData]):
    """Memos."""


MIXINS = (IntKey, UUIDKey, Timestamps, SoftDelete, Version, StoredAnswer)


@guards(
    "A mixin with a column of its own can be used by one table, and a second one fails.",
    seen_in="recipes",
)
@pytest.mark.parametrize("mixin", MIXINS)
def test_every_mixin_fits_two_tables(mixin: type[SQLModel]) -> None:
    """Each of them has columns of its own."""
    tables = []
    for number in "one", "two":
        name = f"{mixin.__name__}_{number}"
        own: dict[str, Any] = {"__tablename__": f"g_{name.lower()}", "__module__": __name__}
        keyed = "id" in mixin.model_fields or mixin is StoredAnswer
        make: Any = type(SQLModel)
        model = make(f"Guarded{name}", (mixin,) if keyed else (mixin, IntKey), own, table=True)
        tables.append(model.__table__)
        SQLModel.metadata.remove(model.__table__)
    one, two = tables
    assert [column.name for column in one.columns] == [column.name for column in two.columns]
    assert set() == {id(column) for column in one.columns} & {id(column) for column in two.columns}


@guards(
    "Deleting, changing or restoring one row by its mixin commits whatever else there is.",
    seen_in="recipes",
)
async def test_two_tables_with_every_mixin_live_side_by_side(database: Database) -> None:
    """Each has its own versions and deletions, and nothing is stored before the end."""
    tables = [SQLModel.metadata.tables[name] for name in ("g_note", "g_memo")]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=tables)
    async with database.transaction() as session:
        notes, memos = GuardedNotes(session), GuardedMemos(session)
        note = await notes.create(NoteData(text="a"))
        await memos.create(NoteData(text="a"))
        await notes.update(note.id, NoteData(text="b"))
        await notes.delete(note.id)
        async with database.session() as other:
            assert 0 == await GuardedMemos(other).count()
        assert (0, 1) == (await notes.count(), await memos.count())
        await notes.restore(note.id)
    async with database.session() as session:
        (kept,) = await GuardedNotes(session).all()
        (memo,) = await GuardedMemos(session).all()
    assert ("b", 1) == (kept.text, memo.version)
    assert kept.version > memo.version


@guards(
    "Time stamps are naive, and mean whatever zone the server or the connection has.",
    seen_in="recipes",
)
async def test_time_stamps_are_utc_whatever_the_connection_says(world: Database) -> None:
    """Made by the database, read as they are, and compared with a time of another zone."""

    def elsewhere(connection: Any, record: Any) -> None:
        if not is_sqlite(world):
            zone = "TIME ZONE 'Asia/Tokyo'" if is_postgresql(world) else "time_zone = '+09:00'"
            cursor = connection.cursor()
            cursor.execute(f"SET {zone}")
            cursor.close()
            if is_postgresql(world):
                connection.commit()

    await world.close()
    event.listen(world.engine.sync_engine, "connect", elsewhere)
    async with world.transaction() as session:
        session.add(row := Volume(title="Dune"))
    now = datetime.now(UTC)
    assert row.created_at.utcoffset() == timedelta(0)
    assert abs(row.created_at - now) < timedelta(minutes=5)
    async with world.session() as session:
        volumes = VolumeService(session)
        soon = (now + timedelta(minutes=5)).isoformat()
        assert await volumes.exists(created_at__lt=soon)
        assert not await volumes.exists(created_at__gt=soon)
        if not is_sqlite(world):
            zones = "SHOW TIME ZONE" if is_postgresql(world) else "SELECT @@time_zone"
            said = await (await session.connection()).exec_driver_sql(zones)
            assert said.scalar_one() in {"Asia/Tokyo", "+09:00"}
