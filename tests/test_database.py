"""Database: units of work, their errors, pools, and life from first use to close."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import MetaData, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import Database, DatabaseSettings, QueryEvent
from sqlmodelkit.database import ServerInfo
from sqlmodelkit.errors import (
    CommitUnknown,
    ConfigError,
    ForeignKeyViolation,
    PoolTimeout,
    UniqueViolation,
)
from tests.world import (
    Genre,
    add_writer,
    create_world,
    fail_at_commit,
    is_mariadb,
    is_sqlite,
    like,
    make_commit_fail,
)


class Island(SQLModel):
    """A base with a metadata of its own."""

    metadata = MetaData()


class Palm(Island, table=True):
    """The only table of that metadata."""

    __tablename__ = "w_palm"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def names(database: Database) -> list[str]:
    """Return the names of the genres that are stored."""
    async with database.session() as session:
        return list((await session.exec(select(Genre.name).order_by(Genre.name))).all())


async def test_a_transaction_commits_at_its_end(world: Database) -> None:
    """What was done in the block is there for others after it, not before."""
    async with world.transaction() as session:
        session.add(Genre(name="Epic"))
        await session.flush()
        assert [] == await names(world)
    assert ["Epic"] == await names(world)


async def test_a_transaction_rolls_back_and_raises_again(world: Database) -> None:
    """The very error of the block leaves it."""
    error = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as caught:  # noqa: PT012 - leaving the inner block raises
        async with world.transaction() as session:
            session.add(Genre(name="Epic"))
            await session.flush()
            raise error
    assert error is caught.value
    assert [] == await names(world)


async def test_a_session_commits_nothing_by_itself(world: Database) -> None:
    """Only an explicit commit keeps what was written in it."""
    async with world.session() as session:
        session.add(Genre(name="Epic"))
        await session.flush()
    assert [] == await names(world)
    async with world.session() as session:
        session.add(Genre(name="Epic"))
        await session.commit()
    assert ["Epic"] == await names(world)


async def test_an_error_of_the_database_leaves_the_block_as_ours(world: Database) -> None:
    """Inside it is SQLAlchemy's own, outside it is classified and chained."""
    with pytest.raises(UniqueViolation) as caught:  # noqa: PT012 - leaving the inner block raises
        async with world.transaction() as session:
            session.add_all([Genre(name="Epic"), Genre(name="Epic")])
            with pytest.raises(IntegrityError):
                await session.flush()
            await session.rollback()
            session.add_all([Genre(name="Epic"), Genre(name="Epic")])
            await session.flush()
    assert ("Genre", ("name",)) == (caught.value.model, caught.value.fields)
    assert isinstance(caught.value.__cause__, IntegrityError)
    with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving the inner block raises
        async with world.session() as session:
            session.add_all([Genre(name="Epic"), Genre(name="Epic")])
            await session.flush()


async def test_a_flush_at_the_end_fails_like_any_other(world: Database) -> None:
    """What was only added is sent, and refused, before the commit."""
    with pytest.raises(UniqueViolation):
        async with world.transaction() as session:
            session.add_all([Genre(name="Epic"), Genre(name="Epic")])
    assert [] == await names(world)


async def test_a_commit_that_fails_is_an_error_and_keeps_nothing(world: Database) -> None:
    """A deferred constraint; where there is none, a connection that dies before it can answer."""
    await make_commit_fail(world)
    expected = CommitUnknown if is_mariadb(world) else ForeignKeyViolation
    with pytest.raises(expected):  # noqa: PT012 - leaving the inner block raises
        async with world.transaction() as session:
            session.add(Genre(name="Epic"))
            await fail_at_commit(world, session)
    assert [] == await names(world)
    assert 0 == world.pool_status()["in_use"]
    await add_writer(world)


async def test_two_sessions_work_at_once(world: Database) -> None:
    """Readers do not wait for a writer."""
    async with world.transaction() as writer:
        writer.add(Genre(name="Epic"))
        await writer.flush()
        async with asyncio.timeout(5):
            async with world.session() as one, world.session() as two:
                assert [] == (await one.exec(select(Genre))).all()
                assert [] == (await two.exec(select(Genre))).all()


async def test_ping_names_the_server_and_its_version(database: Database) -> None:
    """The product, and a version that starts with a number."""
    info = await database.ping()
    expected = "mariadb" if is_mariadb(database) else database.engine.dialect.name
    assert expected == info.dialect
    assert info.version[0].isdigit()
    assert all(part.isdigit() for part in info.version.split("."))


async def test_create_all_and_drop_all_cover_the_metadata(database: Database) -> None:
    """Every table of the base's metadata is there, and then none."""
    local = Database(settings=database.settings, base=Island)
    try:
        await local.create_all()
        await local.create_all()
        async with local.session() as session:
            assert [] == (await session.exec(select(Palm))).all()
        await local.drop_all()
        with pytest.raises(Exception, match="w_palm"):
            async with local.session() as session:
                await session.exec(select(Palm))
    finally:
        await local.close()


async def test_a_database_can_be_used_again_after_close(world: Database) -> None:
    """Close ends connections, not the object."""
    await add_writer(world)
    await world.close()
    assert {"open": 0, "in_use": 0} == {key: world.pool_status()[key] for key in ("open", "in_use")}
    async with world.session() as session:
        assert 1 == (await session.exec(text("SELECT count(*) FROM w_writer"))).scalar_one()  # type: ignore[call-overload]


async def test_lifespan_closes_the_connections(world: Database) -> None:
    """After it nothing is left open, though the block failed."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the inner block raises
        async with world.lifespan(None):
            await world.ping()
            raise ZeroDivisionError
    assert 0 == world.pool_status()["open"]


async def test_lifespan_creates_tables_when_told_to(database: Database) -> None:
    """For first steps, before there are migrations."""
    other = Database(settings=database.settings, base=Island, create_tables=True)
    async with other.lifespan(None), other.session() as session:
        assert [] == (await session.exec(select(Palm))).all()


async def test_pool_status_counts_connections(database: Database) -> None:
    """Open, in use, and the most there can be."""
    limit = database.settings.pool_size + database.settings.max_overflow
    assert 0 == database.pool_status()["in_use"]
    async with database.session() as session:
        await session.connection()
        status = database.pool_status()
        assert (1, limit) == (status["in_use"], status["limit"])
        assert status["open"] >= 1
    assert 0 == database.pool_status()["in_use"]


async def test_a_full_pool_is_a_pool_timeout(database: Database) -> None:
    """Who waits too long for a connection is told so, and the pool recovers."""
    async with like(database, pool_size=1, max_overflow=0, pool_timeout=0.1) as small:
        async with small.session() as holder:
            await holder.connection()
            with pytest.raises(PoolTimeout) as caught:
                await small.ping()
        assert caught.value.hint
        await small.ping()


async def test_a_writer_inside_a_writer_ends_in_an_error_on_sqlite(database: Database) -> None:
    """There is one writer at a time: waiting for oneself ends after the pool's timeout."""
    async with like(database, pool_timeout=0.1) as small:
        async with small.transaction() as outer:
            await outer.connection()
            async with asyncio.timeout(5):
                if is_sqlite(database):
                    with pytest.raises(PoolTimeout):
                        async with small.transaction() as inner:
                            await inner.connection()
                else:
                    async with small.transaction() as inner:
                        await inner.connection()
        async with small.transaction() as session:
            await session.connection()


async def test_every_statement_makes_one_event(database: Database) -> None:
    """Hooks see readers and writers, and no transaction control."""
    events: list[QueryEvent] = []
    async with like(database, hooks=[events.append]) as observed:
        async with observed.session() as session:
            await session.exec(select(1))
        async with observed.transaction() as session:
            await session.exec(select(2))
    statements = [event.statement for event in events if event.statement.startswith("SELECT")]
    assert 2 == len(statements)
    assert not [event for event in events if event.statement.startswith(("BEGIN", "COMMIT"))]


async def test_plain_sqlalchemy_is_within_reach(world: Database) -> None:
    """The engine is there for whatever the library does not do."""
    async with world.engine.begin() as connection:
        await connection.execute(text("INSERT INTO w_genre (name) VALUES ('Raw')"))
    assert ["Raw"] == await names(world)


async def test_a_database_in_memory_is_shared_by_sessions_and_gone_after_close() -> None:
    """All connections see one database while it is open."""
    database = Database("sqlite://")
    await create_world(database)

    async def add(number: int) -> None:
        async with database.transaction() as session:
            session.add(Genre(name=f"{number:02}"))

    await asyncio.gather(*(add(number) for number in range(20)))
    async with database.session() as one, database.session() as two:
        assert 20 == len((await one.exec(select(Genre))).all())
        assert 20 == len((await two.exec(select(Genre))).all())
    await database.close()
    await create_world(database)
    assert [] == await names(database)
    await database.close()


async def test_two_databases_in_memory_are_two() -> None:
    """Each object has a database of its own."""
    one, two = Database("sqlite://"), Database("sqlite:///:memory:")
    try:
        await create_world(one)
        await add_writer(one)
        await create_world(two)
        async with two.session() as session:
            assert [] == (await session.exec(select(Genre))).all()
    finally:
        await one.close()
        await two.close()


def test_another_event_loop_is_refused_until_close() -> None:
    """Connections belong to the loop that opened them."""
    database = Database("sqlite://")
    with asyncio.Runner() as first, asyncio.Runner() as second:
        assert "sqlite" == first.run(database.ping()).dialect
        with pytest.raises(ConfigError, match="another event loop"):
            second.run(database.ping())
        with pytest.raises(ConfigError, match="another event loop"):
            second.run(database.create_all())
        first.run(database.close())
        assert "sqlite" == second.run(database.ping()).dialect
        second.run(database.close())


def test_the_address_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without arguments `DATABASE_URL` says where, and SQLite in the working directory else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hidden@db.example/shop")
    assert "Database('postgresql+asyncpg://ann:***@db.example/shop')" == repr(Database())
    monkeypatch.delenv("DATABASE_URL")
    assert "Database('sqlite+aiosqlite:///./app.db')" == repr(Database())


def test_an_address_and_settings_together_are_refused() -> None:
    """There must be one place that says where."""
    with pytest.raises(ConfigError, match="Both url and settings"):
        Database("sqlite://", settings=DatabaseSettings(url="sqlite://"))


def test_server_info_is_a_value() -> None:
    """Two equal answers are equal."""
    assert ServerInfo("sqlite", "3.45.0") == ServerInfo("sqlite", "3.45.0")
