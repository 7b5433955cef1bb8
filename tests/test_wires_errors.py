"""Statements that stand alone: refused by the database, or never sent to one."""

from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    bindparam,
    func,
    insert,
    literal,
    null,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from sqlmodelkit import Database, SQLModelKitError
from sqlmodelkit.errors import (
    ConfigError,
    ConnectionLost,
    PoolTimeout,
    QueryTimeout,
    SerializationFailure,
)
from sqlmodelkit.sessions import translating
from sqlmodelkit.statements import compile_statement
from sqlmodelkit.wires import DriverWire, lone
from tests.test_wires import create, read, titles
from tests.world import (
    TABLES,
    Chapter,
    Genre,
    State,
    Volume,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    add_volume,
    is_mariadb,
    is_postgresql,
    is_sqlite,
    like,
)

TOO_LONG, TOO_GREAT = "x" * 81, 2**40
REFUSED: dict[str, tuple[type[SQLModel], dict[str, Any]]] = {
    "unique": (Genre, {"id": 2, "name": "Epic"}),
    "primary key": (Genre, {"id": 1, "name": "Lyric"}),
    "foreign key": (Chapter, {"volume_id": 99, "number": 1, "title": ""}),
    "check": (Volume, {"price": Decimal(-1)}),
    "not null": (Volume, {"title": None}),
    "missing": (Genre, {"id": 2}),
    "too long": (Volume, {"title": TOO_LONG}),
    "out of range": (Volume, {"stars": TOO_GREAT}),
    "out of every range": (Volume, {"shelf": 2**70}),
    "price out of range": (Volume, {"price": Decimal(10) ** 9}),
    "bad UUID": (Volume, {"writer_id": "no-uuid"}),
    "number for text": (Volume, {"title": 7}),
    "text for number": (Volume, {"stars": "many"}),
    "NUL": (Volume, {"title": "a\x00b"}),
    "lone surrogate": (Volume, {"title": "a\ud800b"}),
    "unknown state": (Volume, {"state": "burnt"}),
}
DEFAULTS: dict[str, Any] = {
    "title": "Dune",
    "price": Decimal(1),
    "state": State.DRAFT,
    "stars": 3,
    "shelf": 0,
    "version": 1,
}  # fmt: skip


def insertion(model: type[SQLModel], given: dict[str, Any]) -> Any:
    """Return an INSERT with parameters."""
    table: Any = model.__table__  # type: ignore[attr-defined]
    parameters = {
        name: null() if value is None else bindparam(f"value_{name}", type_=table.c[name].type)
        for name, value in given.items()
    }
    return insert(table).values(parameters)


async def outcome(work: Awaitable[Any]) -> Any:
    """Return what an error says of itself, or what is stored when there is none."""
    try:
        await work
    except SQLModelKitError as error:
        names = ("model", "fields", "constraint", "sqlstate", "missing")
        said = {name: getattr(error, name, None) for name in names}
        return type(error), str(error), said
    except (DBAPIError, TypeError, ValueError, AttributeError) as error:
        return type(error), str(error), {}
    return "stored"


@pytest.mark.parametrize("case", REFUSED)
async def test_errors_straight_from_the_driver_are_those_of_the_session(
    world: Database, case: str
) -> None:
    """Kind, sentence, model, fields, constraint; and the next statement finds a connection."""
    async with world.transaction() as session:
        session.add(Genre(id=1, name="Epic"))
    model, values = REFUSED[case]
    given = (DEFAULTS if model is Volume else {}) | values
    sent = {f"value_{name}": value for name, value in given.items() if value is not None}
    statement = insertion(model, given)

    async def alone() -> None:
        with translating():
            async with lone(world.engine, reading=False) as wire:
                assert isinstance(wire, DriverWire)
                await wire.fetch(compile_statement(statement, wire.dialect, ()), sent)

    async def in_session() -> None:
        async with world.transaction() as session:
            await (await session.connection()).execute(statement, sent)

    expected = await outcome(in_session())
    if expected == "stored":
        async with world.transaction() as session:
            await (await session.connection()).execute(text("DELETE FROM w_volume"))
    assert expected == await outcome(alone())
    assert 0 == world.pool_status()["in_use"]
    await create(world, "After")
    async with world.session() as session:
        assert 1 == await VolumeService(session).count(title="After")


async def test_the_refused_are_refused(world: Database) -> None:
    """By constraints on every engine (and the comparison above compares errors)."""
    for case in ("unique", "primary key", "foreign key", "check", "not null"):
        model, values = REFUSED[case]
        given = (DEFAULTS if model is Volume else {}) | values
        sent = {f"value_{name}": value for name, value in given.items() if value is not None}
        async with world.transaction() as session:
            if not await VolumeService(session).count(include_deleted=True):
                session.add_all([Genre(id=1, name="Epic"), Volume(title="Dune")])
        async with lone(world.engine, reading=False) as wire:
            compiled = compile_statement(insertion(model, given), wire.dialect, ())
            with pytest.raises(SQLModelKitError):
                await wire.fetch(compiled, sent)


async def test_errors_that_nobody_knows_are_sqlalchemy_s(world: Database) -> None:
    """A missing table is the same error alone and in a session; handlers for it go on working."""
    async with world.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.drop_all, tables=TABLES)
    async with world.unit(reading=True) as unit:
        with pytest.raises(DBAPIError) as alone:
            await VolumeService(unit).get_json(1, into=VolumePublic)
    async with world.session() as session:
        with pytest.raises(DBAPIError) as joined:
            await VolumeService(session).get_json(1, into=VolumePublic)
    assert "w_volume" in str(alone.value.orig)
    assert alone.value.statement == joined.value.statement
    assert 0 == world.pool_status()["in_use"]


async def test_a_slow_statement_is_ended(world: Database) -> None:
    """By the setting, alone as in a session; SQLite has no such limit."""
    if is_sqlite(world):
        return
    sleep = func.pg_sleep(30) if is_postgresql(world) else func.sleep(30)
    async with like(world, statement_timeout=0.3) as database:
        for reading in (True, False):
            async with lone(database.engine, reading=reading) as wire:
                compiled = compile_statement(select(sleep), wire.dialect, [literal(1)])
                with pytest.raises(QueryTimeout):
                    await wire.fetch(compiled, {})
            assert 0 == database.pool_status()["in_use"]
            await create(database, "After")


async def test_a_lock_that_is_not_given_is_the_same_error_alone(world: Database) -> None:
    """PostgreSQL calls it a timeout, the others ask to try again."""
    key = await add_volume(world)

    async def change(database: Database, *, last: bool) -> None:
        async with database.unit() as unit:
            await VolumeService(unit).update_json(
                key, VolumeUpdate(title="Emma"), into=VolumePublic, last=last
            )

    kind = QueryTimeout if is_postgresql(world) else SerializationFailure
    async with like(world, lock_timeout=0.3) as database, world.transaction() as session:
        await VolumeService(session).update(key, VolumeUpdate(stars=1))
        for last in (True, False):
            with pytest.raises(kind):
                await change(database, last=last)
            assert 0 == database.pool_status()["in_use"]
    assert ["Dune"] == await titles(world)
    await change(world, last=True)
    assert ["Emma"] == await titles(world)


async def test_a_pool_that_is_exhausted_is_said(world: Database) -> None:
    """In a while, to readers and writers alike; then it goes on."""
    key = await add_volume(world)
    one: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    async with like(world, **one) as database:
        async with database.session() as session:
            await session.connection()
            with pytest.raises(PoolTimeout):
                await read(database, key)
        async with database.transaction() as session:
            await session.connection()
            with pytest.raises(PoolTimeout):
                await create(database, "Emma")
        assert b"Dune" in await read(database, key)
        await create(database, "Emma")


async def unreachable(world: Database, **parts: Any) -> list[Any]:
    """Return what is said alone and in a session when the address is changed."""
    url = world.engine.url.set(**parts).render_as_string(hide_password=False)
    async with like(world, url=url) as database:

        async def joined() -> None:
            async with database.session() as session:
                await VolumeService(session).get_json(1, into=VolumePublic)

        said = [await outcome(read(database, 1)), await outcome(create(database, "Emma"))]
        return [*said, await outcome(joined())]


async def test_a_server_that_is_down_is_connection_lost(world: Database) -> None:
    """Alone as in a session: nobody listens at that port, the file has no folder."""
    parts = {"database": "/nowhere/at/all.db"} if is_sqlite(world) else {"port": 1}
    said = await unreachable(world, **parts)
    assert [ConnectionLost] * 3 == [kind for kind, _, _ in said]
    assert 1 == len({sentence for _, sentence, _ in said})


async def test_a_server_that_does_not_let_us_in_is_a_wrong_setting(world: Database) -> None:
    """A wrong password or name of the database is nothing that waiting could mend."""
    if is_sqlite(world):
        return
    wrong: list[dict[str, Any]] = [{"database": "sqlmodelkit_nowhere"}]
    if is_mariadb(world):
        wrong.append({"username": "nobody", "password": "wrong"})
    for parts in wrong:
        said = await unreachable(world, **parts)
        assert [ConfigError] * 3 == [kind for kind, _, _ in said]
        assert 1 == len({sentence for _, sentence, _ in said})
