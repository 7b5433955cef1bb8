"""What a request costs the database, and which index would spare it."""

import pytest
from sqlalchemy import Column, Index, Integer, MetaData, String, Table, UniqueConstraint, text
from sqlmodel import SQLModel

from sqlmodelkit import ConfigError, Database
from sqlmodelkit.advising import advise, capturing, explain_url
from sqlmodelkit.advising.indexes import IndexAdvice, candidates
from tests.fastapi.conftest import TOKEN, application
from tests.world import WriterCreate, WriterService, create_world


def metadata(*items: Index | UniqueConstraint) -> MetaData:
    """Return a table of heroes with these indexes and constraints."""
    found = MetaData()
    names = ("team", "age", "name", "secret name")
    Table(
        "hero",
        found,
        Column("id", Integer, primary_key=True),
        *(Column(name, String) for name in names),
        *items,
    )
    return found


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("WHERE hero.age = ?", ("age",)),
        ("WHERE hero.age = $1::INTEGER AND hero.team IN ($2, $3)", ("age", "team")),
        ("WHERE hero.age >= %s", ("age",)),
        ("WHERE hero.age >= %s AND hero.team = %s", ("team", "age")),
        ("WHERE hero.team = ? ORDER BY hero.age DESC, hero.id LIMIT ?", ("team", "age")),
        ("ORDER BY hero.age, hero.name LIMIT ?", ("age", "name")),
        ("ORDER BY hero.age, hero.name DESC LIMIT ?", None),
        ("ORDER BY hero.age IS NULL, hero.age LIMIT ?", None),
        ("ORDER BY lower(hero.name)", None),
        ('WHERE hero."secret name" = ?', ("secret name",)),
        ("WHERE hero.name LIKE 'x hero.age = 3'", ("name",)),
        ("WHERE hero.id = ? AND hero.age = ?", None),
        ("WHERE villain.age = ?", None),
        ("", None),
    ],
)
def test_an_index_is_worked_out_from_conditions_and_sort(
    where: str, columns: tuple[str, ...] | None
) -> None:
    """Equal columns first, then the sort where it goes one way, else one range."""
    statement = f"SELECT hero.id, CASE WHEN (hero.name IS NULL) THEN 1 END FROM hero {where}"
    found = list(candidates(statement, metadata()))
    assert ([] if columns is None else [columns]) == [advice.columns for advice in found]


def test_aliases_are_followed() -> None:
    """A table may be named twice."""
    statement = (
        "SELECT 1 FROM hero AS hero_1 JOIN team ON team.id = hero_1.team WHERE hero_1.age > ?"
    )
    assert [("age",)] == [advice.columns for advice in candidates(statement, metadata())]


@pytest.mark.parametrize(
    "item",
    [
        Index("a", "age"),
        Index("b", "age", "name"),
        UniqueConstraint("age", name="c"),
    ],
    ids=lambda item: str(item.name),
)
def test_what_is_there_is_not_missing(item: Index | UniqueConstraint) -> None:
    """An index or a unique constraint that begins with the columns serves."""
    statement = "SELECT 1 FROM hero WHERE hero.age = ?"
    assert [] == list(candidates(statement, metadata(item)))
    assert 1 == len(list(candidates(statement, metadata(Index("d", "name", "age")))))


def test_advice_says_what_to_declare() -> None:
    """At the field for one column, otherwise in the table's arguments."""
    one = IndexAdvice("hero", ("age",), "filters by age")
    two = IndexAdvice("hero", ("team", "age"), "filters by team and sorts by age", "Cheaper.")
    assert str(one) == "hero (age): filters by age. Declare index=True at hero.age."
    assert str(two) == (
        "hero (team, age): filters by team and sorts by age. Cheaper. "
        'Declare Index("ix_hero_team_age", "team", "age") in __table_args__ of hero.'
    )


@pytest.fixture
async def crowd(database: Database, engine_name: str) -> Database:
    """An open database with many writers, of whom the planner knows."""
    await create_world(database)
    async with database.transaction() as session:
        rows = [WriterCreate(name=f"w{number}") for number in range(1200)]
        await WriterService(session).insert_many(rows)
    if engine_name != "sqlite":
        verb = "ANALYZE" if engine_name == "postgresql" else "ANALYZE TABLE"
        async with database.engine.begin() as connection:
            await connection.execute(text(f"{verb} w_writer"))
    return database


@pytest.mark.db
async def test_a_url_is_answered_and_explained(crowd: Database) -> None:
    """The statements that were run, the database's plans, and the index that is missing."""
    found = await explain_url(application(crowd), "/writers?name=w77")
    assert (200, "") == (found.status, found.refusal)
    assert found.plan.startswith("WriterPublic from Writer")
    assert all(plan for _, plan in found.statements)
    assert [("w_writer", ("name",))] == [(a.table, a.columns) for a in found.advice]
    assert "Missing index on w_writer (name): filters by name." in str(found)


@pytest.mark.db
async def test_what_has_an_index_gets_no_advice(crowd: Database) -> None:
    """A unique column needs none."""
    found = await explain_url(application(crowd), "/writers?email=w77@example.org")
    assert () == found.advice
    assert str(found).endswith("No index is missing.")


@pytest.mark.db
async def test_a_small_table_gets_no_advice(database: Database, engine_name: str) -> None:
    """It is read as a whole in no time, whatever the planner would say of an index."""
    await create_world(database)
    if engine_name == "postgresql":
        await _has_hypopg(database)
    found = await explain_url(application(database), "/writers?name=w77")
    assert () == found.advice


@pytest.mark.db
async def test_statements_are_captured_with_their_values(crowd: Database) -> None:
    """Those that would go straight to the driver, too."""
    async with crowd.unit(reading=True) as unit:
        with capturing(crowd) as sent:
            await WriterService(unit).all_json(into=WriterService.public, name="w77")
    assert ["w77" in str(one.values) for one in sent] == [True]
    async with crowd.engine.connect() as connection:
        (advice,) = await advise(connection, sent[0], metadata=SQLModel.metadata)
    assert ("name",) == advice.columns


@pytest.mark.db
async def test_hypopg_proves_an_index_where_it_is(crowd: Database, engine_name: str) -> None:
    """The planner is asked with an index that only it sees; elsewhere rows are all that is known."""
    proved = engine_name == "postgresql" and await _has_hypopg(crowd)
    found = await explain_url(application(crowd), "/writers?name=w77")
    assert proved == ("tried with HypoPG" in str(found))
    assert proved != ("read." in str(found.advice[0]))


async def _has_hypopg(db: Database) -> bool:
    async with db.engine.begin() as connection:
        asked = text("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'")
        if (await connection.execute(asked)).scalar() is None:
            return False
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS hypopg"))
        return True


async def test_a_refused_request_says_why() -> None:
    """Nothing was asked of the database."""
    db = await create_world(Database("sqlite://"))
    refused = await explain_url(application(db), "/writers?nmae=x")
    assert (422, ()) == (refused.status, refused.statements)
    assert "nmae" in refused.refusal
    assert "nmae" in str(refused)
    passed = await explain_url(application(db), "/volumes", headers=TOKEN)
    assert 200 == passed.status
    await db.close()


async def test_what_cannot_be_explained_is_refused() -> None:
    """A route that is not there, a request that writes, an application without a database."""
    db = await create_world(Database("sqlite://"))
    app = application(db)
    with pytest.raises(ConfigError, match="no route GET /nowhere"):
        await explain_url(app, "/nowhere")
    with pytest.raises(ConfigError, match="POST may change something"):
        await explain_url(app, "/writers", method="POST")
    del app.state.sqlmodelkit
    with pytest.raises(ConfigError, match="has no database"):
        await explain_url(app, "/writers")
    await db.close()


async def test_what_an_endpoint_raises_is_told() -> None:
    """As the answer that it would be; a path may have any letters."""
    db = await create_world(Database("sqlite://"))
    app = application(db)

    @app.get("/broken/{name}")
    async def broken(name: str) -> None:
        raise LookupError(name)

    told = await explain_url(app, "/broken/two%20words")
    assert (500, "LookupError: two words") == (told.status, told.refusal)
    await db.close()
