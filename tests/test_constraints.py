"""What the models know of their constraints, and what each database says of them."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from sqlmodelkit import (
    CheckViolation,
    Database,
    ForeignKeyViolation,
    IntKey,
    InvalidValue,
    SoftDelete,
    SQLModelKitError,
    UniqueViolation,
    unique_live,
)
from sqlmodelkit.constraints import Catalogue, catalogue
from tests.tables import ALL, Club, Player, Trophy


class Wing(SQLModel, table=True):
    """A key of two columns, which others refer to."""

    __tablename__ = "hotel_wing"  # pyright: ignore[reportAssignmentType]

    house: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    letter: str = Field(primary_key=True, max_length=1)


class Lodging(IntKey, SoftDelete, table=True):
    """A constraint of every kind."""

    __tablename__ = "hotel_lodging"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        UniqueConstraint("house", "number"),
        unique_live("nickname"),
        CheckConstraint("beds BETWEEN 1 AND 9", name="beds_in_range"),
        CheckConstraint("price_high >= price_low", name="prices_in_order"),
        ForeignKeyConstraint(["house", "letter"], ["hotel_wing.house", "hotel_wing.letter"]),
    )

    house: int
    letter: str = Field(max_length=1)
    number: int
    nickname: str | None = Field(default=None, max_length=20)
    beds: int = 1
    price_low: int = 0
    price_high: int = 0


LODGING: dict[str, Any] = {"id": 1, "house": 1, "letter": "A", "number": 1, "nickname": "Loft"}
REFUSED: list[tuple[dict[str, Any], type[SQLModelKitError], str | None, tuple[str, ...]]] = [
    ({"nickname": None}, UniqueViolation, "uq_hotel_lodging_house_number", ("house", "number")),
    ({"number": 2}, UniqueViolation, "ix_hotel_lodging_nickname", ("nickname",)),
    (
        {"number": 3, "letter": "Z", "nickname": None},
        ForeignKeyViolation,
        "fk_hotel_lodging_house_letter_hotel_wing",
        ("house", "letter"),
    ),
    (
        {"number": 4, "beds": 10, "nickname": None},
        CheckViolation,
        "ck_hotel_lodging_beds_in_range",
        ("beds",),
    ),
    (
        {"number": 5, "price_low": 1, "nickname": None},
        CheckViolation,
        "ck_hotel_lodging_prices_in_order",
        ("price_low", "price_high"),
    ),
    ({"number": None, "nickname": None}, InvalidValue, None, ("number",)),
]


async def test_every_engine_names_constraint_and_fields_alike(database: Database) -> None:
    """Whatever the database itself says: names, columns, or the row's table only."""
    async with database.engine.begin() as connection:
        tables = [SQLModel.metadata.tables[name] for name in ("hotel_wing", "hotel_lodging")]
        await connection.run_sync(SQLModel.metadata.create_all, tables=tables)
    async with database.transaction() as session:
        session.add(Wing(house=1, letter="A"))
        await session.flush()
        session.add(Lodging(**LODGING))
    for change, kind, constraint, fields in REFUSED:
        with pytest.raises(kind) as caught:
            async with database.transaction() as session:
                session.add(Lodging(**{**LODGING, "id": 2, **change}))
        error = caught.value
        found = (getattr(error, "constraint", None), error.fields, getattr(error, "model", ""))
        assert (constraint, fields, "Lodging") == found, change
    with pytest.raises(ForeignKeyViolation) as referred:
        async with database.transaction() as session:
            await session.delete(await session.get_one(Wing, (1, "A")))
    assert ("fk_hotel_lodging_house_letter_hotel_wing", "Lodging", False) == (
        referred.value.constraint,
        referred.value.model,
        referred.value.missing,
    )


def test_a_name_that_was_cut_is_that_of_the_models() -> None:
    """SQLAlchemy ends what is too long for the database with four letters of a hash."""
    known = catalogue(table="sport_trophy")
    (long,) = [one for one in known.of_table[ALL_BY_NAME["sport_trophy"]] if one.kind == "unique"]
    assert long.name is not None
    assert long == known.find(f"{long.name[:55]}_a1b2", ["sport_trophy"])
    assert None is known.find("nothing", ["sport_trophy"])


ALL_BY_NAME = {table.name: table for table in ALL}


def test_a_key_that_takes_rows_with_it_leads_on() -> None:
    """A row that goes takes others with it, and those may be referred to by rows that stay."""
    known = Catalogue()
    for table in ALL:
        known.add(table)
    holding = [(one.table.name, one.columns) for one in known.holding("sport_club")]
    assert [("sport_club", ("parent_id",)), ("sport_player", ("club_id",))] == sorted(holding)
    assert [] == known.holding("sport_mastery")


async def test_the_models_are_read_when_the_application_starts(database: Database) -> None:
    """The first error need not look for them."""
    app = FastAPI(lifespan=database.lifespan)
    async with app.router.lifespan_context(app):
        known = catalogue()
    players = ALL_BY_NAME["sport_player"]
    assert known is catalogue(table="sport_player", name="ix_sport_player_email")
    assert ("Player", ("email",)) == (known.model(players), known.fields(players, ["email"]))


def test_a_table_that_came_later_is_found() -> None:
    """By its name, when an error is about it."""
    catalogue()

    class Latecomer(IntKey, table=True):
        __tablename__ = "hotel_latecomer"  # pyright: ignore[reportAssignmentType]

    known = catalogue(table="hotel_latecomer")
    assert "Latecomer" == known.model(known.table("hotel_latecomer"))
    assert None is known.model(None)
    assert {Club, Player, Trophy} <= {mapper.class_ for mapper in known.mappers.values()}
