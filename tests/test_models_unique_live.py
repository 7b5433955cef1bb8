"""Unique among live rows: what a deleted row had can be used again, and restored when it is free."""

from typing import Any

import pytest
from sqlalchemy import Table, insert, inspect
from sqlmodel import Field, SQLModel

from sqlmodelkit import Database, IntKey, ServiceBase, SoftDelete, unique_live
from sqlmodelkit.errors import UniqueViolation
from tests.world import is_mariadb


class SeatBase(SQLModel):
    """What clients give and see."""

    email: str = Field(max_length=80)
    row: int = 1
    number: int = 1


class Seat(SeatBase, IntKey, SoftDelete, table=True):
    """One index of one column, another of two, and an ordinary one."""

    __tablename__ = "u_seat"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (unique_live("email"), unique_live("row", "number", name="place"))

    row: int = Field(default=1, index=True)


class SeatService(ServiceBase[Seat, SeatBase, SeatBase]):
    """Seats."""

    public = SeatBase


@pytest.fixture
async def seats(database: Database) -> Database:
    """An open database with the table."""
    table: Table = SQLModel.metadata.tables["u_seat"]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=[table])
    return database


async def add(database: Database, **values: Any) -> int:
    """Store a seat and return its key."""
    async with database.transaction() as session:
        return (await SeatService(session).create(SeatBase(**values))).id or 0


async def test_a_value_of_a_live_row_is_taken(seats: Database) -> None:
    """The refusal names the field, and nothing else of the row."""
    await add(seats, email="a@example.com")
    for fields, values in (
        (("email",), {"email": "a@example.com", "number": 2}),
        (("row", "number"), {"email": "b@example.com"}),
    ):
        with pytest.raises(UniqueViolation) as caught:
            await add(seats, **values)
        assert fields == caught.value.fields
        assert "example" not in str(caught.value)
        async with seats.unit() as unit:
            data = SeatBase(**values)
            with pytest.raises(UniqueViolation) as caught:
                await SeatService(unit).create_json(data, into=SeatBase, last=True)
        assert fields == caught.value.fields


async def test_a_value_of_deleted_rows_is_free(seats: Database) -> None:
    """However many of them have it."""
    for _ in range(3):
        key = await add(seats, email="a@example.com")
        async with seats.transaction() as session:
            await SeatService(session).delete(key)
    await add(seats, email="a@example.com")
    async with seats.session() as session:
        assert 1 == await SeatService(session).count()
        assert 4 == await SeatService(session).count(include_deleted=True)


async def test_a_row_whose_value_was_taken_cannot_be_restored(seats: Database) -> None:
    """It names the field; when the value is free again, it can."""
    first = await add(seats, email="a@example.com")
    async with seats.transaction() as session:
        await SeatService(session).delete(first)
    second = await add(seats, email="a@example.com", number=2)
    with pytest.raises(UniqueViolation) as caught:
        async with seats.transaction() as session:
            await SeatService(session).restore(first)
    assert (("email",), "Seat") == (caught.value.fields, caught.value.model)
    async with seats.transaction() as session:
        await SeatService(session).delete(second)
        assert "a@example.com" == (await SeatService(session).restore(first)).email


async def test_the_index_can_be_dropped_and_made_again(seats: Database) -> None:
    """With its column, where it has one; without it equal rows are allowed."""
    table: Any = Seat.__table__  # type: ignore[attr-defined]
    index = next(index for index in table.indexes if list(index.columns.keys()) == ["email"])
    same = [{"email": "x", "row": 1, "number": number} for number in (1, 2)]
    async with seats.engine.begin() as connection:
        await connection.run_sync(index.drop)
        await connection.execute(insert(table), same)
        await connection.execute(table.delete())
        await connection.run_sync(index.create)
        shown = await connection.run_sync(_columns)
    assert ({"live_place", f"live_{index.name}"} if is_mariadb(seats) else set()) == {
        name for name in shown if name.startswith("live_")
    }
    await add(seats, email="x")
    with pytest.raises(UniqueViolation):
        await add(seats, email="x", number=2)


def _columns(connection: Any) -> list[str]:
    return [column["name"] for column in inspect(connection).get_columns("u_seat")]
