"""A unit of work whose database has undone it never ends as if it were stored."""

import asyncio
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from sqlalchemy import Integer, bindparam, text
from sqlalchemy import exc as sa
from sqlmodel import col, select, update

from sqlmodelkit import (
    AsyncSession,
    ConfigError,
    Database,
    SerializationFailure,
    UniqueViolation,
)
from sqlmodelkit.events import recording
from tests.world import (
    Genre,
    Volume,
    VolumeCreate,
    VolumeService,
    add_volume,
    is_postgresql,
    is_sqlite,
)

BROKEN = text("SELECT nothing_of_that_name FROM w_genre")


async def names(database: Database) -> list[str]:
    """Return the genres that are stored."""
    async with database.session() as session:
        return list((await session.exec(select(Genre.name).order_by(col(Genre.name)))).all())


def counted_up(key: int) -> Any:
    """Return a statement that adds a star to a volume."""
    return update(Volume).where(col(Volume.id) == key).values(stars=col(Volume.stars) + 1)


async def run(session: AsyncSession, statement: Any) -> None:
    """Send a statement of any kind."""
    await session.exec(statement)


async def write_and_catch(session: AsyncSession) -> None:
    """Write, and go on after a statement that has failed."""
    session.add(Genre(name="written"))
    await session.flush()
    with suppress(sa.DBAPIError):
        await run(session, BROKEN)


@pytest.mark.parametrize("way", ["transaction", "run", "begin", "engine", "unit"])
async def test_a_failed_statement_that_is_caught_does_not_pass_for_stored(
    world: Database, way: str
) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK, and no error; the others go on."""
    told: list[str] = []

    async def work() -> None:
        match way:
            case "transaction":
                async with world.transaction() as session:
                    session.after_commit(lambda: told.append("committed"))
                    await write_and_catch(session)
            case "run":
                await world.run(write_and_catch)
            case "begin":
                async with AsyncSession(world.engine) as session, session.begin():
                    await write_and_catch(session)
            case "unit":
                async with world.unit() as unit:
                    await write_and_catch(unit.session)
            case _:
                async with world.engine.begin() as connection:
                    await connection.execute(text("INSERT INTO w_genre (name) VALUES ('written')"))
                    with suppress(sa.DBAPIError):
                        await connection.execute(BROKEN)

    if is_postgresql(world):
        with pytest.raises(ConfigError, match=r"has failed before.*savepoint"):
            await work()
        assert [] == await names(world) == told
    else:
        await work()
        assert ["written"] == await names(world)
    assert 0 == world.pool_status()["in_use"]


async def test_what_fails_in_a_savepoint_costs_no_statement(world: Database) -> None:
    """The database goes back to it: the rest is stored, and nobody has to ask whether it is."""
    await add_volume(world, isbn="1")
    with recording(world.engine.sync_engine) as seen:
        async with world.transaction() as session:
            session.add(Genre(name="kept"))
            with suppress(sa.DBAPIError):
                async with session.savepoint():
                    await run(session, BROKEN)
            with suppress(UniqueViolation):
                async with session.savepoint():
                    await VolumeService(session).create(VolumeCreate(title="Twice", isbn="1"))
    assert ["kept"] == await names(world)
    assert "SELECT 1" not in [query.statement for query in seen]


async def test_what_a_driver_refuses_by_itself_undoes_nothing(world: Database) -> None:
    """The server has not heard of it."""
    async with world.transaction() as session:
        session.add(Genre(name="kept"))
        await session.flush()
        refused = pytest.raises(sa.DBAPIError, match="invalid input for query argument")
        with refused if is_postgresql(world) else nullcontext():
            wrong = bindparam("key", "x", Integer)
            await run(session, text("SELECT id FROM w_genre WHERE id = :key").bindparams(wrong))
    assert ["kept"] == await names(world)


async def test_a_later_transaction_of_a_connection_is_not_blamed(world: Database) -> None:
    """What has failed in one that was rolled back is over."""
    async with world.engine.connect() as connection:
        for name in ("lost", "kept"):
            await connection.execute(text(f"INSERT INTO w_genre (name) VALUES ('{name}')"))
            if name == "lost":
                with suppress(sa.DBAPIError):
                    await connection.execute(BROKEN)
                await connection.rollback()
        await connection.commit()
    assert ["kept"] == await names(world)


@pytest.mark.parametrize("again", [False, True])
async def test_a_deadlock_that_is_caught_is_told_at_the_end(world: Database, again: bool) -> None:
    """MariaDB has undone what was written before it, and `run` does all of it again."""
    if is_sqlite(world):
        return  # One writer at a time: there are no deadlocks.
    keys = [await add_volume(world, title=title, stars=0) for title in ("one", "two")]
    turns, both = 0, asyncio.Barrier(2)

    async def work(session: AsyncSession, first: int, second: int) -> None:
        nonlocal turns
        turns += 1
        await run(session, counted_up(first))
        if turns <= 2:
            await both.wait()
        with suppress(sa.DBAPIError):
            await run(session, counted_up(second))

    async def meet(first: int, second: int) -> None:
        if again:
            await world.run(lambda session: work(session, first, second))
        else:
            async with world.transaction() as session:
                await work(session, first, second)

    done = await asyncio.gather(meet(*keys), meet(*reversed(keys)), return_exceptions=True)
    failed = [one for one in done if one is not None]
    async with world.session() as session:
        stars = [(await VolumeService(session).get(key)).stars for key in keys]
    if again:
        assert ([], [2, 2], 3) == (failed, stars, turns)
    else:
        assert [SerializationFailure] == [type(error) for error in failed]
        assert [1, 1] == stars
    assert 0 == world.pool_status()["in_use"]


async def test_what_sqlite_has_undone_is_told_at_the_end(world: Database) -> None:
    """As where the disk is full; here by a trigger that asks for it."""
    if not is_sqlite(world):
        return  # The others have no such trigger.
    async with world.engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE TRIGGER no_poems BEFORE INSERT ON w_genre WHEN NEW.name = 'poem'"
                " BEGIN SELECT RAISE(ROLLBACK, 'no poems'); END"
            )
        )
    with pytest.raises(ConfigError, match="has failed before"):  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            await run(session, text("INSERT INTO w_genre (name) VALUES ('lost')"))
            with suppress(sa.DBAPIError):
                await run(session, text("INSERT INTO w_genre (name) VALUES ('poem')"))
            await run(session, text("INSERT INTO w_genre (name) VALUES ('later')"))
    assert [] == await names(world)
    async with world.transaction() as session:
        session.add(Genre(name="next"))
    assert ["next"] == await names(world)


async def test_a_statement_that_took_too_long_for_the_caller_does_not_pass_for_stored(
    world: Database,
) -> None:
    """It was cut off in the middle; who catches the TimeoutError cannot go on."""
    if is_sqlite(world):
        return  # It has no statement that sleeps.
    slow = text("SELECT pg_sleep(5)" if is_postgresql(world) else "SELECT sleep(5)")
    with pytest.raises(ConfigError):  # noqa: PT012 - leaving raises
        async with world.transaction() as session:
            session.add(Genre(name="lost"))
            await session.flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await run(session, slow)
    assert [] == await names(world)
