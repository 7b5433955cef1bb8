"""Statements that stand alone: what is sent, and who hears of it."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    event,
    select,
    text,
)

from sqlmodelkit import Database
from sqlmodelkit.connections import LIVENESS
from sqlmodelkit.errors import (
    ConnectionLost,
    NotFound,
    UniqueViolation,
)
from sqlmodelkit.statements import compile_statement
from sqlmodelkit.units import UnitOfWork
from sqlmodelkit.wires import DriverWire, SessionWire, lone
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterService,
    WriterWithVolumes,
    add_volume,
    add_writer,
    is_mariadb,
    is_postgresql,
    is_sqlite,
    like,
)

Work = Callable[[UnitOfWork], Awaitable[Any]]


async def read(database: Database, key: int) -> bytes:
    """Read a volume alone."""
    async with database.unit(reading=True) as unit:
        return await VolumeService(unit).get_json(key, into=VolumePublic)


async def create(database: Database, title: str, **values: Any) -> bytes:
    """Write a volume alone, and answer it."""
    data = VolumeCreate(title=title, **values)
    async with database.unit() as unit:
        return await VolumeService(unit).create_json(data, into=VolumePublic, last=True)


async def titles(database: Database) -> list[str]:
    """Return the titles of the volumes that are stored."""
    async with database.session() as session:
        return [volume.title for volume in await VolumeService(session).all(sort="title")]


class _Ear:
    """Hears at a driver's connection what it sends, below SQLAlchemy and its events."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.statements: list[str] = []
        self._before: dict[str, int] = {}

    async def open(self) -> None:
        """Begin to listen."""
        if hasattr(self.driver, "add_query_logger"):
            self.driver.add_query_logger(lambda record: self.statements.append(record.query))
        elif hasattr(self.driver, "set_trace_callback"):
            await self.driver.set_trace_callback(self.statements.append)
        else:
            self._before = await self._counters()

    async def close(self) -> list[str]:
        """Return the first word of each statement."""
        await asyncio.sleep(0)  # asyncpg tells a little later
        if hasattr(self.driver, "set_trace_callback"):
            await self.driver.set_trace_callback(None)
        if self._before:
            after = await self._counters()
            for word, number in after.items():
                self.statements += [word] * (number - self._before[word])
        return [statement.split()[0].upper().rstrip(";") for statement in self.statements]

    async def _counters(self) -> dict[str, int]:
        """MySQL's drivers have no hook, and the server counts the session's statements."""
        words = ("begin", "commit", "insert", "rollback", "select", "set_option", "update")
        names = ", ".join(f"'Com_{word}'" for word in words)
        async with self.driver.cursor() as cursor:
            await cursor.execute(f"SHOW SESSION STATUS WHERE Variable_name IN ({names})")
            rows = await cursor.fetchall()
        return {name.removeprefix("Com_"): int(value) for name, value in rows}


async def sent(world: Database, work: Work, *, reading: bool) -> list[str]:
    """Return the first words of what reaches the driver while a unit of work is run."""
    async with like(world, pool_size=1, max_overflow=0) as database:
        # Once before, so that nothing has to be connected or asked for the first time.
        for engine in database._engines():
            async with lone(engine, reading=True, compiled=False) as wire:
                await wire.fetch(select(Volume), {})
        if reading:
            async with database.unit(reading=True) as unit:
                await work(unit)
        ears = []
        for engine in database._engines():
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                ears.append(_Ear(raw.driver_connection))
        for ear in ears:
            await ear.open()
        async with database.unit(reading=reading) as unit:
            await work(unit)
        words = [word for ear in ears for word in await ear.close()]
        # MariaDB's connections are rolled back as they are given back, also after a COMMIT.
        return [word for word in words if word != "ROLLBACK" or "COMMIT" not in words]


async def test_a_read_alone_is_one_statement(world: Database) -> None:
    """No BEGIN before it, no COMMIT, ROLLBACK or question whether the connection lives after."""
    key = await add_volume(world)
    selects: list[tuple[int, Work]] = [
        (1, lambda unit: VolumeService(unit).get_json(key, into=VolumePublic)),
        (1, lambda unit: VolumeService(unit).get(key, into=VolumePublic)),
        (1, lambda unit: VolumeService(unit).find(title="Dune", into=VolumePublic)),
        (1, lambda unit: VolumeService(unit).get_many([key], into=VolumePublic)),
        (1, lambda unit: VolumeService(unit).count(stars=3)),
        (1, lambda unit: VolumeService(unit).exists(stars=3)),
        (1, lambda unit: VolumeService(unit).page_json(into=VolumePublic, limit=5)),
        # PostgreSQL, which prints these rows, counts them by the way.
        (
            1 if is_postgresql(world) else 2,
            lambda unit: VolumeService(unit).page_json(into=VolumePublic, limit=1),
        ),
        (3, lambda unit: VolumeService(unit).all_json(into=VolumeDetail)),
    ]
    for number, work in selects:
        assert ["SELECT"] * number == await sent(world, work, reading=True)


async def test_a_read_in_a_writing_unit_is_in_a_transaction(world: Database) -> None:
    """What it answers has to stay true until the end (and the words above are no accident)."""
    key = await add_volume(world)
    words = await sent(
        world, lambda unit: VolumeService(unit).get_json(key, into=VolumePublic), reading=False
    )
    # asyncpg does not tell of statements that SQLAlchemy has prepared by itself.
    assert ["BEGIN", "COMMIT"] == sorted(word for word in words if word != "SELECT")


async def test_a_create_alone_is_one_statement(world: Database) -> None:
    """The INSERT answers the row, and makes it durable."""
    words = await sent(
        world,
        lambda unit: VolumeService(unit).create_json(
            VolumeCreate(title="Dune"), into=VolumePublic, last=True
        ),
        reading=False,
    )
    assert (["INSERT"], ["Dune"]) == (words, await titles(world))


async def test_an_update_alone_is_one_statement_where_it_answers_rows(world: Database) -> None:
    """MariaDB's UPDATE does not: there a transaction holds it and the reading together."""
    key = await add_volume(world)
    words = await sent(
        world,
        lambda unit: VolumeService(unit).update_json(
            key, VolumeUpdate(title="Emma"), into=VolumePublic, last=True
        ),
        reading=False,
    )
    if is_mariadb(world):
        assert ["BEGIN", "COMMIT", "SELECT", "UPDATE"] == sorted(words)
    else:
        assert ["UPDATE"] == words
    assert ["Emma"] == await titles(world)


async def test_postgresql_gives_a_read_alone_no_transaction_number(world: Database) -> None:
    """And nothing is left open: the server calls the connection idle."""
    if not is_postgresql(world):
        return
    await read(world, await add_volume(world))
    async with world.session() as session:
        states = await (await session.connection()).execute(
            text(
                "SELECT state FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert {"idle"} >= set(states.scalars())


async def test_no_connection_is_in_use_after_many_reads_at_once(
    world: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Those above the pool's size are closed, with a goodbye to the server."""
    key = await add_volume(world)
    async with like(world, pool_size=2, max_overflow=8) as database:
        for _ in range(3):
            answers = await asyncio.gather(*[read(database, key) for _ in range(10)])
            assert 1 == len(set(answers))
            assert 0 == database.pool_status()["in_use"]
        assert 2 == sum(engine.pool.checkedin() for engine in database._engines())  # type: ignore[attr-defined]
        if not is_sqlite(world):
            assert 2 == await connections_of(world, database)
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= 30]


async def connections_of(world: Database, database: Database) -> int:
    """Ask the server how many connections there are beside those of `world`."""
    if is_postgresql(world):
        number = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    else:
        number = "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
    others = 0
    for _ in range(50):
        async with world.session() as session:
            found = (await (await session.connection()).execute(text(number))).scalar_one()
        others = int(found) - world.pool_status()["open"]
        if others <= database.pool_status()["open"]:
            break
        await asyncio.sleep(0.02)
    return others


@contextmanager
def listening(targets: list[Any], name: str) -> Iterator[list[str]]:
    """Listen to an event of SQLAlchemy as long as the block runs, and collect what is heard."""
    heard: list[str] = []

    def hear(*_: Any) -> None:
        heard.append(name)

    for target in targets:
        event.listen(target, name, hear)
    try:
        yield heard
    finally:
        for target in targets:
            event.remove(target, name, hear)


async def live(database: Database) -> list[Any]:
    """Read, write, and be refused, each of them alone, and return the answers."""
    await read(database, 1)
    answers: list[Any] = [await create(database, "Emma", isbn="1"), await read(database, 1)]
    with pytest.raises(UniqueViolation) as caught:
        await create(database, "Emma again", isbn="1")
    error = caught.value
    answers += [str(error), error.model, error.fields, error.constraint]
    async with database.unit(reading=True) as unit:
        answers += [await VolumeService(unit).all_json(into=VolumeDetail, sort="title")]
        answers += [await VolumeService(unit).count(title="Emma")]
    return answers


EVENTS = {
    "before_execute": 6,
    "after_execute": 5,
    "before_cursor_execute": 6,
    "after_cursor_execute": 5,
    "engine_connect": 6,
    "begin": 6,
    "commit": 5,
    "rollback": 1,
    "handle_error": 1,
    "do_execute": 6,
}
"""How often each event is heard at the least while `live` runs."""


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("where", ["engine", "class"])
async def test_who_listens_to_the_engine_hears_of_every_statement(
    world: Database, name: str, where: str
) -> None:
    """Of this engine or of all of them, before the first statement or after; answers stay."""
    await add_volume(world)
    silent = await live(world)
    async with world.transaction() as session:
        await VolumeService(session).delete(2)
        await (await session.connection()).execute(text("DELETE FROM w_volume WHERE id = 2"))
    engines = [engine.sync_engine for engine in world._engines()]
    with listening(engines if where == "engine" else [Engine], name) as heard:
        answers = await live(world)
    assert EVENTS[name] <= len(heard)
    assert [strip(answer) for answer in silent] == [strip(answer) for answer in answers]
    heard.clear()
    await read(world, 1)
    assert [] == heard


def strip(answer: Any) -> Any:
    """Take the key out of an answer: the database has counted on."""
    if isinstance(answer, bytes):
        return re.sub(rb'"id":\d+', b"", answer)
    return answer


async def test_a_begin_listener_says_who_acts(world: Database) -> None:
    """As for policies on rows: what it sets holds for a read that would stand alone."""
    if not is_postgresql(world):
        return

    def act(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL TRANSACTION READ ONLY")

    event.listen(world.engine.sync_engine, "begin", act)
    await read(world, await add_volume_by_hand(world))
    with pytest.raises(ConnectionLost):
        await create(world, "Emma")


async def add_volume_by_hand(world: Database) -> int:
    """Store a volume over a connection that no listener of the engine sees."""
    async with like(world) as database:
        return await add_volume(database)


async def test_who_logs_statements_reads_of_each(
    world: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """By the logger's level, or by the setting; not otherwise."""
    key = await add_volume(world)
    await read(world, key)
    assert "SELECT" not in caplog.text
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"):
        await read(world, key)
    assert 1 == caplog.text.count("SELECT")
    caplog.clear()
    async with like(world, echo=True) as database:
        await read(database, key)
    assert 1 == caplog.text.count("FROM w_volume")


async def test_hooks_of_the_database_hear_of_each_statement(world: Database) -> None:
    """As before: one event for a read, one for a write."""
    key = await add_volume(world)
    heard: list[str] = []
    async with like(world, hooks=[lambda event: heard.append(event.statement[:6])]) as database:
        await read(database, key)
        await create(database, "Emma")
    assert ["SELECT", "INSERT"] == heard


async def test_a_pooler_of_transactions_gets_transactions(world: Database) -> None:
    """PgBouncer may give two steps of one statement to two servers."""
    if not is_postgresql(world):
        return
    key = await add_volume(world)
    async with like(world, pooler="pgbouncer") as database:
        assert not isinstance(lone(database.engine, reading=True), DriverWire)
        assert await read(world, key) == await read(database, key)


async def test_statements_of_sqlalchemy_go_its_way(world: Database) -> None:
    """A lone wire to the driver takes compiled ones only."""
    await add_volume(world)
    statement = select(Volume.title).where(Volume.stars == bindparam("stars"))  # type: ignore[call-overload]
    async with lone(world.engine, reading=True, compiled=False) as wire:
        assert [("Dune",)] == list(await wire.fetch(statement, {"stars": 3}))
    async with lone(world.engine, reading=True) as wire:
        assert isinstance(wire, DriverWire)
        with pytest.raises(TypeError):
            await wire.fetch(statement, {"stars": 3})


async def test_a_missing_row_is_not_found_alone(world: Database) -> None:
    """And soft-deleted ones are missing, also along relations and in collections."""
    writer = await add_writer(world, volumes=2)
    async with world.transaction() as session:
        await VolumeService(session).delete(1)
    async with world.unit(reading=True) as unit:
        volumes, writers = VolumeService(unit), WriterService(unit)
        with pytest.raises(NotFound):
            await volumes.get_json(1, into=VolumePublic)
        shown = await volumes.get(1, into=VolumePublic, include_deleted=True)
        assert ("Ann 1", 1) == (shown.title, await volumes.count())
        assert (False, 2) == (
            await volumes.exists(id=1),
            await volumes.count(include_deleted=True),
        )
        every: Any = Volume.price >= 0
        assert 1 == await volumes.count(every)
        assert ["Ann 2"] == [item.title for item in await volumes.all(every, into=VolumePublic)]
        assert 0 == await writers.count(volumes__title="Ann 1")
        assert 1 == await writers.count(volumes__title="Ann 2")
        answered = await writers.get(writer, into=WriterWithVolumes)
        assert ["Ann 2"] == [volume.title for volume in answered.volumes]
        deleted = await writers.get(writer, into=WriterWithVolumes, include_deleted=True)
        assert ["Ann 1", "Ann 2"] == [volume.title for volume in deleted.volumes]


async def test_each_engine_s_connections_know_whether_they_are_alive(world: Database) -> None:
    """What lone wires rest on stands in the engine's options, for writers and readers."""
    for engine in world._engines():
        assert engine.get_execution_options()[LIVENESS].direct


async def test_a_wire_takes_what_it_is_for(world: Database) -> None:
    """A session takes no compiled statements, and outside its block a lone wire has nothing."""
    column: Any = Volume.title
    compiled = compile_statement(select(column), world.engine.dialect, [column])
    async with world.session() as session:
        wire = SessionWire(session)
        assert (world.engine.dialect.name, False) == (wire.dialect.name, wire.compiled)
        with pytest.raises(TypeError):
            await wire.fetch(compiled, {})
    async with lone(world.engine, reading=False) as held:
        assert [] == list(await held.fetch(compiled, {}))
    with pytest.raises(ConnectionLost):
        await held.fetch(compiled, {})
