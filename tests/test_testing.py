"""What the pytest plugin is made of: databases that watch, and databases of one process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import AsyncSession, Database, IntKey
from sqlmodelkit.migrations import init
from sqlmodelkit.rehearsal import rehearse
from sqlmodelkit.testing import Scratch, WatchedDatabase
from tests.world import Genre, create_world

Work = Callable[[AsyncSession], Awaitable[None]]


class ShipBase(SQLModel):
    """Tables that refer to each other."""

    metadata = MetaData(naming_convention=SQLModel.metadata.naming_convention)


class Ship(IntKey, ShipBase, table=True):
    """A ship and its captain."""

    captain_id: int | None = Field(default=None, foreign_key="sailor.id")


class Sailor(IntKey, ShipBase, table=True):
    """A sailor and the ship."""

    ship_id: int | None = Field(default=None, foreign_key="ship.id")


class OtherBase(SQLModel):
    """A table of the same name as one of `ShipBase`, and of another shape."""

    metadata = MetaData()


class OtherShip(IntKey, OtherBase, table=True):
    """A ship that has a name."""

    __tablename__ = "ship"

    name: str = Field(max_length=50)


@pytest.fixture
async def watched(database_url: str, anyio_backend: str) -> AsyncIterator[WatchedDatabase]:
    """A database that watches, with the tables of world.py and one row."""
    database = WatchedDatabase(database_url)
    await create_world(database)
    async with database.transaction() as session:
        session.add(Genre(name="Poetry"))
    yield database
    await database.close()


async def send(session: AsyncSession, statement: str) -> None:
    """Send a statement made by hand."""
    connection = await session.connection()
    await connection.execute(text(statement))


async def flush(session: AsyncSession) -> None:
    session.add(Genre(name="Drama"))
    await session.flush()


async def change(session: AsyncSession) -> None:
    genre = (await session.exec(select(Genre))).one()
    genre.name = "Prose"


async def close(session: AsyncSession) -> None:
    await flush(session)
    await session.close()


async def release(session: AsyncSession) -> None:
    async with session.savepoint():
        await flush(session)


async def comment(session: AsyncSession) -> None:
    await send(session, "-- by hand\n /* twice */ INSERT INTO w_genre (name) VALUES ('Drama')")


@pytest.mark.db
@pytest.mark.parametrize("work", [flush, change, close, release, comment])
async def test_a_lost_write_is_a_mistake(watched: WatchedDatabase, work: Work) -> None:
    """However it is written, and also when the session is closed by hand; it is told once."""
    async with watched.session() as session:
        await work(session)
    (mistake,) = watched.mistakes()
    assert "test_testing.py" in mistake
    assert "wrote and did not commit" in mistake
    assert [] == watched.mistakes()


async def test_a_lost_write_behind_a_common_table_expression_is_a_mistake(
    tmp_path: Path,
) -> None:
    """WITH may begin a statement that writes, and mostly begins one that reads."""
    database = WatchedDatabase(f"sqlite:///{tmp_path / 'with.db'}")
    await create_world(database)
    try:
        async with database.session() as session:
            await send(session, "WITH one AS (SELECT 'INSERT' AS verb) SELECT verb FROM one")
        assert [] == database.mistakes()
        async with database.session() as session:
            await send(
                session,
                "WITH one AS (SELECT 'Drama' AS n) INSERT INTO w_genre (name) SELECT n FROM one",
            )
        assert 1 == len(database.mistakes())
    finally:
        await database.close()


async def same(session: AsyncSession) -> None:
    genre = (await session.exec(select(Genre))).one()
    genre.name = "Poetry"


async def commit(session: AsyncSession) -> None:
    await flush(session)
    async with session.savepoint():
        session.add(Genre(name="Prose"))
    await session.commit()


async def undo(session: AsyncSession) -> None:
    await send(session, "SELECT 1")
    async with session.begin_nested() as outer:
        async with session.savepoint():
            await flush(session)
        await outer.rollback()


async def last(session: AsyncSession) -> None:
    connection = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    await connection.execute(text("INSERT INTO w_genre (name) VALUES ('Drama')"))


@pytest.mark.db
@pytest.mark.parametrize("work", [same, commit, undo, last])
async def test_nothing_is_lost_and_nothing_is_said(watched: WatchedDatabase, work: Work) -> None:
    """A value that stays the same, a commit, a savepoint undone by name, a write without BEGIN."""
    async with watched.session() as session:
        await work(session)
    assert [] == watched.mistakes()


@pytest.mark.db
async def test_watching_takes_no_connections(watched: WatchedDatabase) -> None:
    """A session with nothing but a new row has none, whatever another one writes meanwhile."""
    async with watched.session() as waiting:
        waiting.add(Genre(name="Drama"))
        async with watched.transaction(immediate=False) as other:
            other.add(Genre(name="Prose"))
            await other.flush()
            assert 1 == watched.pool_status()["in_use"]
        await waiting.commit()
    assert [] == watched.mistakes()


@pytest.mark.db
async def test_many_sessions_that_write_at_once_are_watched(watched: WatchedDatabase) -> None:
    """None of them is taken for a task that uses the session of another."""

    async def write(number: int) -> None:
        async with watched.session() as session:
            session.add(Genre(name=f"Genre {number}"))
            await asyncio.sleep(0)
            await session.commit()

    await asyncio.gather(*(write(number) for number in range(10)))
    assert [] == watched.mistakes()


async def test_what_a_fixture_holds_is_looked_at_after_the_test(tmp_path: Path) -> None:
    """A session may be open at the end of the test that was open when it began."""
    database = WatchedDatabase(f"sqlite:///{tmp_path / 'held.db'}")
    async with database.session() as session:
        held = database.held
        await send(session, "SELECT 1")
        assert [] == database.mistakes(apart_from=held)
        assert "was opened at" in database.mistakes()[0]
        assert [] == database.mistakes()
    await database.close()


@pytest.mark.db
def test_what_was_left_open_does_not_hold_up_the_next_test(
    database_url: str, tmp_path: Path
) -> None:
    """Neither emptying the database nor dropping it waits for the locks of a lost transaction."""
    loop = asyncio.new_event_loop()
    leaving: list[AsyncSession] = []

    async def leave(url: str) -> None:
        session = AsyncSession(Database(url).engine)
        leaving.append(session)
        session.add(Sailor())
        await session.flush()

    async def tidy() -> None:
        for session in leaving:
            await session.invalidate()

    try:
        with Scratch(tmp_path) as scratch:
            for _ in range(2):
                url = scratch.fresh(database_url, base=ShipBase)
                loop.run_until_complete(asyncio.wait_for(leave(url), 5))
    finally:
        loop.run_until_complete(tidy())
        loop.close()


@pytest.mark.db
def test_tables_may_refer_to_each_other_and_be_dropped(database_url: str, tmp_path: Path) -> None:
    """The next test finds all of them, empty, and keys begin again."""

    async def use(url: str, *, drop: bool) -> int | None:
        database = Database(url, base=ShipBase)
        try:
            async with database.transaction() as session:
                ship = Ship()
                session.add(ship)
            if drop:
                async with database.transaction() as session:
                    await send(session, "SET FOREIGN_KEY_CHECKS = 0" if mysql else "SELECT 1")
                    await send(session, f"DROP TABLE ship{' CASCADE' if postgresql else ''}")
            return ship.id
        finally:
            await database.close()

    mysql, postgresql = database_url.startswith("mysql"), database_url.startswith("postgresql")
    with Scratch(tmp_path) as scratch:
        for drop in (True, False, False):
            url = scratch.fresh(database_url, base=ShipBase)
            assert 1 == asyncio.run(use(url, drop=drop))


@pytest.mark.db
def test_each_base_has_a_database_of_its_own(database_url: str, tmp_path: Path) -> None:
    """Two suites of tables may have the same names."""

    async def use(url: str, row: SQLModel) -> None:
        database = Database(url)
        try:
            async with database.transaction() as session:
                session.add(row)
        finally:
            await database.close()

    with Scratch(tmp_path) as scratch:
        asyncio.run(use(scratch.fresh(database_url, base=ShipBase), Ship()))
        asyncio.run(use(scratch.fresh(database_url, base=OtherBase), OtherShip(name="Argo")))


@pytest.mark.db
def test_the_database_that_the_address_names_may_be_missing(
    database_url: str, tmp_path: Path
) -> None:
    """Only its server is used."""
    missing = database_url.rpartition("/")[0] + "/sqlmodelkit_test_missing"
    with Scratch(tmp_path) as scratch:
        assert missing != scratch.fresh(missing, base=ShipBase)


def test_each_bare_database_is_another_one(tmp_path: Path) -> None:
    """Migrations can be tried twice in one test."""
    with Scratch(tmp_path) as scratch:
        assert scratch.bare("sqlite://") != scratch.bare("sqlite://")


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "one"
down_revision = None


def upgrade():
    op.create_table("ship", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    pass
"""
PROJECT = """
[tool.sqlmodelkit]
models = ["rehearsed_ships"]
base = "rehearsed_ships:Base"
"""
MODELS = """
from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel


class Base(SQLModel):
    metadata = MetaData()


class Ship(Base, table=True):
    id: int = Field(primary_key=True)
"""


async def test_a_downgrade_that_leaves_something_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going up a second time fails; the downgrade is to blame, and the message says so."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "rehearsed_ships.py").write_text(MODELS)
    init(tmp_path / "migrations")
    file = tmp_path / "migrations" / "versions" / "one.py"
    file.write_text(MIGRATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Scratch(tmp_path) as scratch:
        with pytest.raises(AssertionError, match="a downgrade does not undo all"):
            await rehearse(tmp_path, lambda: scratch.bare("sqlite://"))
        file.write_text(MIGRATION.replace("    pass", '    op.drop_table("ship")'))
        await rehearse(tmp_path, lambda: scratch.bare("sqlite://"))
