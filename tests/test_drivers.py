"""What the refusals of real databases mean, driver by driver."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable, Table, delete, insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from sqlmodelkit import Database
from sqlmodelkit.columns import mapper_of
from sqlmodelkit.drivers import sqlstate, translate
from sqlmodelkit.errors import (
    CheckViolation,
    ForeignKeyViolation,
    InvalidValue,
    SQLModelKitError,
    UniqueViolation,
)
from tests.tables import ALL, FIXTURES, Club, Mastery, Player, Skill, SportLevel, Trophy


def table_of(model: type[SQLModel]) -> Table:
    """Return the table of a model: statements on it go to the database unchecked."""
    table = mapper_of(model).local_table
    assert isinstance(table, Table)
    return table


CLUBS, PLAYERS, SKILLS = table_of(Club), table_of(Player), table_of(Skill)
MASTERIES, TROPHIES = table_of(Mastery), table_of(Trophy)
LONG = "engraving_that_is_much_longer_than_any_name_in_a_database_may_be"
FIRST, SECOND, NOBODY = UUID(int=1), UUID(int=2), UUID(int=3)

CLUB: dict[str, Any] = {
    "id": FIRST, "name": "A", "city": "Bern", "code": "X", "budget": 0, "is_open": True,
    "facts": {},
}  # fmt: skip
PLAYER: dict[str, Any] = {
    "id": 1, "version": 1, "name": "Ann", "email": "ann@home", "level": SportLevel.JUNIOR,
    "shirt": 1, "club_id": FIRST,
}  # fmt: skip
TROPHY: dict[str, Any] = {"year": 2026, "value": 1, "held_by": 1, LONG: ""}
ROWS: list[tuple[Table, list[dict[str, Any]]]] = [
    (CLUBS, [CLUB, {**CLUB, "id": SECOND, "name": "B", "code": "Y"}]),
    (PLAYERS, [PLAYER]),
    (SKILLS, [{"id": 1, "name": "Dribble"}, {"id": 2, "name": "Head"}]),
    (MASTERIES, [{"player_id": 1, "skill_id": 1, "points": 1}]),
    (TROPHIES, [TROPHY]),
    (FIXTURES, [{"id": 1, "place": "Rome"}]),
]


@pytest.fixture
async def database(any_driver_url: str) -> AsyncIterator[Database]:
    """A database with a row in every table."""
    made = Database(any_driver_url)
    async with made.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=ALL)
        for table, rows in ROWS:
            await connection.execute(insert(table), rows)
    yield made
    await made.close()


async def refusal(database: Database, statement: Executable) -> SQLModelKitError | None:
    """Return what the refusal of a statement means, None when it is not refused."""
    try:
        async with database.session() as session:
            await (await session.connection()).execute(statement)
    except SQLModelKitError as error:
        return error
    return None


UNIQUE: dict[str, tuple[Executable, str | None, tuple[str, ...], str]] = {
    # what: statement, model, fields, constraint
    "one column": (
        insert(CLUBS).values({**CLUB, "id": NOBODY, "name": "C"}),
        "Club", ("code",), "uq_sport_club_code",
    ),
    "several columns": (
        insert(CLUBS).values({**CLUB, "id": NOBODY, "code": "Z"}),
        "Club", ("city", "name"), "uq_sport_club_city_name",
    ),
    "an index": (
        insert(PLAYERS).values({**PLAYER, "id": 2}),
        "Player", ("email",), "ix_sport_player_email",
    ),
    "an update": (
        update(CLUBS).where(CLUBS.c.id == SECOND).values(code="X"),
        "Club", ("code",), "uq_sport_club_code",
    ),
    "a key": (insert(SKILLS).values(id=1, name="Run"), "Skill", ("id",), "pk_sport_skill"),
    "a composite key": (
        insert(MASTERIES).values(player_id=1, skill_id=1, points=1),
        "Mastery", ("player_id", "skill_id"), "pk_sport_mastery",
    ),
    "a name that was cut": (
        insert(TROPHIES).values({**TROPHY, "year": 2027}), "Trophy", (LONG,),
        f"uq_sport_trophy_{LONG}",
    ),
    "no model": (
        insert(FIXTURES).values(id=2, place="Rome"), None, ("place",), "uq_sport_fixture_place",
    ),
}  # fmt: skip


async def test_a_duplicate_names_model_fields_and_constraint(database: Database) -> None:
    """Whatever is unique: a column, several, an index, a key, in an INSERT or UPDATE."""
    for what, (statement, model, fields, constraint) in UNIQUE.items():
        error = await refusal(database, statement)
        assert isinstance(error, UniqueViolation), what
        assert (model, fields) == (error.model, error.fields), what
        assert (
            error.message == f"{model or 'A row'} with this {' and '.join(fields)} already exists."
        )
        assert error.constraint == constraint, what


MISSING: dict[str, tuple[Executable, str, str, str]] = {
    # what: statement, model, field, constraint
    "an insert": (
        insert(PLAYERS).values({**PLAYER, "id": 2, "email": None, "club_id": NOBODY}),
        "Player", "club_id", "fk_sport_player_club_id_sport_club",
    ),
    "an update": (
        update(PLAYERS).values(club_id=NOBODY),
        "Player", "club_id", "fk_sport_player_club_id_sport_club",
    ),
    "a column of another name": (
        insert(TROPHIES).values({**TROPHY, "year": 2027, "held_by": 99, LONG: "x"}),
        "Trophy", "holder", "fk_sport_trophy_held_by_sport_player",
    ),
}  # fmt: skip


async def test_a_missing_parent_names_the_field_that_refers_to_it(database: Database) -> None:
    """The client knows which of its values was wrong."""
    for what, (statement, model, field, constraint) in MISSING.items():
        error = await refusal(database, statement)
        assert isinstance(error, ForeignKeyViolation), what
        assert (error.missing, error.model, error.fields) == (True, model, (field,)), what
        assert error.message == f"{field} refers to a row that does not exist."
        assert error.constraint == constraint, what


async def test_one_of_several_missing_parents_is_named_where_it_is_known(
    database: Database,
) -> None:
    """SQLite does not say which foreign key it was: the error names all that were written."""
    error = await refusal(database, insert(MASTERIES).values(player_id=1, skill_id=99, points=1))
    assert isinstance(error, ForeignKeyViolation)
    if database.engine.dialect.name == "sqlite":
        assert error.fields == ("player_id", "skill_id")
        assert error.message == "player_id or skill_id refers to a row that does not exist."
    else:
        assert error.fields == ("skill_id",)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(delete(CLUBS).where(CLUBS.c.id == FIRST), id="delete"),
        pytest.param(update(CLUBS).where(CLUBS.c.id == FIRST).values(id=NOBODY), id="new key"),
    ],
)
async def test_a_row_that_is_still_referred_to_names_who_refers(
    database: Database, statement: Executable
) -> None:
    """It stays; the error is about no field of the row itself."""
    error = await refusal(database, statement)
    assert isinstance(error, ForeignKeyViolation)
    assert (error.missing, error.fields) == (False, ())
    if database.engine.dialect.name == "sqlite":
        # Clubs refer to clubs too, and SQLite does not say which of the two it was.
        assert (error.model, error.message) == (None, "The row is still referred to.")
        assert error.constraint is None
    else:
        assert error.model == "Player"
        assert error.message == "The row is still referred to by Player.club_id."
        assert error.constraint == "fk_sport_player_club_id_sport_club"


async def test_a_broken_check_names_its_fields_and_constraint(database: Database) -> None:
    """In an UPDATE as in an INSERT."""
    for statement in (
        update(MASTERIES).values(points=-1),
        insert(MASTERIES).values(player_id=1, skill_id=2, points=-1),
    ):
        error = await refusal(database, statement)
        assert isinstance(error, CheckViolation)
        assert (error.model, error.fields) == ("Mastery", ("points",))
        assert error.constraint == "ck_sport_mastery_points_not_negative"
        assert error.message == ("points is not allowed.")


async def test_a_missing_value_names_its_field(database: Database) -> None:
    """A NULL that was given, one that was left out, and a column of another name."""
    for statement, model, field in (
        (update(PLAYERS).values(name=None), "Player", "name"),
        (text("INSERT INTO sport_skill (id) VALUES (5)"), "Skill", "name"),
        (update(TROPHIES).values(held_by=None), "Trophy", "holder"),
    ):
        error = await refusal(database, statement)
        assert isinstance(error, InvalidValue)
        assert (error.model, error.fields) == (model, (field,))
        assert error.message == f"{field} does not fit its column: it must not be null."


MISFITS: dict[str, tuple[str, str, str, str]] = {
    # what: statement, model, field, reason
    "too long": (
        f"UPDATE sport_skill SET name = '{'x' * 41}'", "Skill", "name", "it is too long",
    ),
    "out of range": (
        "UPDATE sport_player SET shirt = 40000", "Player", "shirt", "it is out of range",
    ),
    "too many digits": (
        "UPDATE sport_club SET budget = 99999999999999", "Club", "budget", "it is out of range",
    ),
    "not a number": (
        "UPDATE sport_trophy SET value = 'many'", "Trophy", "value", "its type or range is wrong",
    ),
    "not a date": (
        "UPDATE sport_club SET founded = '31.1.2026'", "Club", "founded",
        "its type or range is wrong",
    ),
    "not in the enum": (
        "UPDATE sport_player SET level = 'NONE'", "Player", "level", "its type or range is wrong",
    ),
    "divided by nothing": (
        "UPDATE sport_player SET score = 1 / 0", "Player", "", "its type or range is wrong",
    ),
}  # fmt: skip


async def test_a_value_that_does_not_fit_says_why(database: Database) -> None:
    """MariaDB names the field too; SQLite takes everything, so that we check before sending."""
    for what, (statement, model, field, reason) in MISFITS.items():
        error = await refusal(database, text(statement))
        if database.engine.dialect.name == "sqlite":
            assert error is None, what
            continue
        assert isinstance(error, InvalidValue), what
        assert error.model == model, what
        assert error.message.endswith(f"does not fit its column: {reason}."), what
        known = database.engine.dialect.name == "mysql" and field
        assert error.fields == ((field,) if known else ()), what


async def test_a_value_that_the_driver_cannot_send_is_an_invalid_one(database: Database) -> None:
    """Some drivers refuse before the server does, each in its own way."""
    for statement in (
        update(TROPHIES).values(value=2**63),
        update(SKILLS).values(name="a\ud800"),
    ):
        assert isinstance(await refusal(database, statement), InvalidValue), statement


async def test_text_with_nul_is_refused_by_postgresql_alone(database: Database) -> None:
    """The others take it, so that we refuse it before it is sent."""
    error = await refusal(database, update(SKILLS).values(name="a\x00b"))
    if database.engine.dialect.name == "postgresql":
        assert isinstance(error, InvalidValue)
        assert error.message.endswith("the text has a character that cannot be stored.")
    else:
        assert error is None


async def test_the_sqlstate_is_that_of_the_server(database: Database) -> None:
    """SQLite has none."""
    with pytest.raises(DBAPIError) as caught:
        async with database.engine.connect() as connection:
            await connection.execute(insert(SKILLS).values(id=1, name="Run"))
    states = {"sqlite": None, "postgresql": "23505", "mysql": "23000"}
    state = states[database.engine.dialect.name]
    error = translate(caught.value)
    assert isinstance(error, UniqueViolation)
    assert state == sqlstate(caught.value) == error.sqlstate


async def test_no_value_of_a_row_is_in_an_error(database: Database) -> None:
    """Databases repeat values in their texts; ours names fields only."""
    email = "canary@home.example"
    other = {**PLAYER, "id": 2, "email": email, "club_id": None}
    async with database.transaction() as session:
        await (await session.connection()).execute(insert(PLAYERS).values(other))
    error = await refusal(database, insert(PLAYERS).values({**other, "id": 3}))
    assert isinstance(error, UniqueViolation)
    assert "canary" not in f"{error} {error!r} {vars(error)}"


@pytest.mark.parametrize(
    "name",
    [
        "column 'id'",
        "for key 'PRIMARY'",
        "`x`.`sport_club`",
        "CONSTRAINT `pk_sport_club`",
        "Field 'id'",
    ],
)
async def test_what_users_write_cannot_pass_for_the_database_s_words(
    database: Database, name: str
) -> None:
    """MySQL puts the duplicate value into its text: names are read from beside it."""
    async with database.transaction() as session:
        await (await session.connection()).execute(insert(FIXTURES).values(id=2, place=name))
    error = await refusal(database, insert(FIXTURES).values(id=3, place=name))
    assert isinstance(error, UniqueViolation)
    assert (error.model, error.fields) == (None, ("place",))


async def test_a_constraint_that_the_models_do_not_know_has_no_fields(
    database: Database,
) -> None:
    """It was made by hand: the error still names the model, and the constraint if it can."""
    async with database.engine.begin() as connection:
        if database.engine.dialect.name == "mysql":
            await connection.execute(
                text("ALTER TABLE sport_skill ADD low VARCHAR(40) AS (LOWER(name))")
            )
            await connection.execute(text("CREATE UNIQUE INDEX by_hand ON sport_skill (low)"))
        else:
            await connection.execute(
                text("CREATE UNIQUE INDEX by_hand ON sport_skill (LOWER(name))")
            )
    error = await refusal(database, insert(SKILLS).values(id=3, name="HEAD"))
    assert isinstance(error, UniqueViolation)
    assert (error.model, error.fields, error.constraint) == ("Skill", (), "by_hand")
    assert error.message == "Skill with this value already exists."


@pytest.mark.parametrize(
    "statement", ["SELEC", "SELECT * FROM nowhere", "SELECT nothing FROM sport_club"]
)
async def test_a_mistake_in_sql_stays_what_it_is(database: Database, statement: str) -> None:
    """It is a bug of the program, which SQLAlchemy's error shows best."""
    with pytest.raises(DBAPIError) as caught:
        async with database.session() as session:
            await (await session.connection()).execute(text(statement))
    assert translate(caught.value) is None
