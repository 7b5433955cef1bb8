"""What it means when a database is busy, slow, gone or not ours, driver by driver."""

import asyncio
import pickle
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc as sa
from sqlalchemy import make_url, text
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError

from sqlmodelkit import AsyncSession, Database, DatabaseSettings
from sqlmodelkit.drivers import is_read_only, translate
from sqlmodelkit.errors import (
    CheckViolation,
    ConfigError,
    ConnectionLost,
    ForeignKeyViolation,
    InvalidValue,
    NotFound,
    NotLoaded,
    PoolTimeout,
    QueryTimeout,
    SerializationFailure,
    SQLModelKitError,
    StaleVersion,
    Unavailable,
    UniqueViolation,
)


@pytest.fixture
async def database(any_driver_url: str) -> AsyncIterator[Database]:
    """A database with two rows, and little patience."""
    settings = DatabaseSettings(
        url=any_driver_url, lock_timeout=0.2, statement_timeout=3, connect_timeout=1
    )
    made = Database(settings=settings)
    async with made.transaction() as session:
        await run(session, "CREATE TABLE place (id INTEGER PRIMARY KEY, seats INTEGER)")
        await run(session, "INSERT INTO place VALUES (1, 10), (2, 10)")
    yield made
    await made.close()


async def run(session: AsyncSession, statement: str) -> None:
    """Send SQL text."""
    connection = await session.connection()
    await connection.execute(text(statement))


def dialect(database: Database) -> str:
    """Return sqlite, postgresql or mysql."""
    return database.engine.dialect.name


def at(url: str, **parts: Any) -> Database:
    """Return the database at an address with other parts."""
    other = make_url(url).set(**parts).render_as_string(hide_password=False)
    return Database(settings=DatabaseSettings(url=other, connect_timeout=1))


async def deadlock(database: Database, *, savepoint: bool = False) -> list[BaseException]:
    """Let two units of work wait for each other's row, and return what they met."""
    # PostgreSQL looks for the knot after a second: the limit for locks must not come before.
    patient = Database(settings=database.settings.model_copy(update={"lock_timeout": 5}))
    meeting = asyncio.Barrier(2)

    async def cross(first: int, second: int) -> None:
        async with patient.transaction(immediate=False) as session:
            if dialect(database) == "sqlite":
                await run(session, "SELECT * FROM place")
            else:
                await run(session, f"UPDATE place SET seats = seats - 1 WHERE id = {first}")
            await meeting.wait()
            async with session.savepoint() if savepoint else nullcontext():
                await run(session, f"UPDATE place SET seats = seats - 1 WHERE id = {second}")

    ended = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    await patient.close()
    return [error for error in ended if error is not None]


async def test_one_of_two_that_block_each_other_is_told_to_try_again(database: Database) -> None:
    """The other one gets through. SQLite refuses the write that was not announced."""
    (error,) = await deadlock(database)
    assert type(error) is SerializationFailure
    assert str(error).endswith("Run the unit of work again.")


async def test_a_savepoint_does_not_hide_that_the_transaction_was_lost(database: Database) -> None:
    """MySQL undoes all of it, and then has no savepoint to go back to: the first error counts."""
    (error,) = await deadlock(database, savepoint=True)
    assert type(error) is SerializationFailure


async def test_a_row_changed_since_the_snapshot_is_told_to_try_again(database: Database) -> None:
    """Where a transaction sees a snapshot, it cannot write over what came later."""
    if dialect(database) == "mysql":
        return  # Its snapshot is for reading only: the write takes the newest row.

    async def be_overtaken() -> None:
        async with database.session() as session:
            if dialect(database) == "postgresql":
                await run(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await run(session, "SELECT * FROM place")
            async with database.transaction() as other:
                await run(other, "UPDATE place SET seats = 5")
            await run(session, "UPDATE place SET seats = seats - 1")

    with pytest.raises(SerializationFailure):
        await be_overtaken()


async def write(database: Database, *statements: str) -> None:
    """Send SQL texts in one unit of work."""
    async with database.transaction() as session:
        for statement in statements:
            await run(session, statement)


async def test_waiting_too_long_for_a_lock_ends_in_an_error(database: Database) -> None:
    """PostgreSQL ends the statement, the others ask to try the whole again."""
    other = Database(settings=database.settings)
    async with database.transaction() as session:
        await run(session, "UPDATE place SET seats = 9 WHERE id = 1")
        with pytest.raises(Unavailable) as caught:
            await write(other, "UPDATE place SET seats = 8 WHERE id = 1")
    await other.close()
    expected = QueryTimeout if dialect(database) == "postgresql" else SerializationFailure
    assert type(caught.value) is expected


async def interrupt(database: Database) -> None:
    """Let SQLite be interrupted once, in the middle of a statement."""
    async with database.session() as session:
        connection = await (await session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        signals = iter([1])
        await driver.set_progress_handler(lambda: next(signals, 0), 1)
        await run(session, "SELECT * FROM place")


async def test_a_statement_that_takes_too_long_is_ended(database: Database) -> None:
    """By the server's limit; on SQLite by whoever interrupts it."""
    limited = Database(settings=database.settings.model_copy(update={"statement_timeout": 0.2}))
    slow = {
        "sqlite": interrupt(limited),
        "postgresql": write(limited, "SELECT pg_sleep(9)"),
        "mysql": write(limited, "SELECT COUNT(*) FROM place JOIN (SELECT SLEEP(9)) s"),
    }
    asked = slow.pop(dialect(database))
    for other in slow.values():
        other.close()
    with pytest.raises(QueryTimeout):
        await asked
    await limited.close()


@pytest.mark.slow
async def test_a_server_that_falls_silent_is_left_by_the_driver(database: Database) -> None:
    """asyncpg's own limit, five seconds above the server's, is a timeout like the server's."""
    if dialect(database) != "postgresql":
        return
    silent = Database(settings=database.settings.model_copy(update={"statement_timeout": 0.1}))
    with pytest.raises(QueryTimeout):
        await write(silent, "SET statement_timeout = 0", "SELECT pg_sleep(20)")
    await silent.close()


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


async def refused(database: Database) -> SQLModelKitError:
    """Return what a first statement meets, within three seconds."""
    with pytest.raises(SQLModelKitError) as caught:
        async with asyncio.timeout(3):
            await database.ping()
    await database.close()
    # aiosqlite ends the thread of a connection that failed without waiting for it.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)
    return caught.value


async def test_where_nobody_listens_the_connection_is_lost(
    any_driver_url: str, closed_port: int, tmp_path: Path
) -> None:
    """A server that is down; a file that cannot be opened."""
    if any_driver_url.startswith("sqlite"):
        nowhere = at(any_driver_url, database=str(tmp_path / "no" / "where.db"))
    else:
        nowhere = at(any_driver_url, host="127.0.0.1", port=closed_port)
    assert type(await refused(nowhere)) is ConnectionLost


@pytest.mark.parametrize("url", ["postgresql+asyncpg://", "mysql+asyncmy://", "mysql+aiomysql://"])
async def test_where_nobody_answers_the_connection_is_lost(url: str, silent_port: int) -> None:
    """The limit for connecting covers the greeting, too."""
    silent = at(url, host="127.0.0.1", port=silent_port, username="u", database="d")
    assert type(await refused(silent)) is ConnectionLost


async def test_a_host_without_an_address_is_a_lost_connection() -> None:
    """The name may be resolved again later."""
    nowhere = at("postgresql://", host="nowhere.invalid", username="u", database="d")
    assert type(await refused(nowhere)) is ConnectionLost


async def test_a_database_that_does_not_exist_is_a_setting_to_mend(
    any_driver_url: str, tmp_path: Path
) -> None:
    """Trying again will not help; a file of something else is out of reach in the same way."""
    if any_driver_url.startswith("sqlite"):
        (tmp_path / "letter.txt").write_text("Dear database, " * 100)
        letter = at(any_driver_url, database=str(tmp_path / "letter.txt"))
        assert type(await refused(letter)) is ConnectionLost
        return
    error = await refused(at(any_driver_url, database="nobody_made_this"))
    assert type(error) is ConfigError
    assert "DATABASE_URL" in str(error)


@pytest.mark.db
@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy", "aiomysql"])
async def test_a_user_who_is_not_let_in_is_a_setting_to_mend(
    driver: str, request: pytest.FixtureRequest
) -> None:
    """The error says so without the password."""
    engine = "postgresql" if driver == "asyncpg" else "mariadb"
    url: str = request.getfixturevalue("new_database")(engine)
    backend = make_url(url).get_backend_name()
    stranger = at(
        url, drivername=f"{backend}+{driver}", username="nobody_here", password="s3cr3t-p4ss"
    )
    error = await refused(stranger)
    assert type(error) is ConfigError
    assert "s3cr3t" not in f"{error!r}{error}{error.__cause__}{pickle.dumps(error)!r}"


async def test_a_connection_that_was_cut_is_lost(database: Database) -> None:
    """An administrator, or a server that stops; SQLite has nobody who could."""
    find = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
    cut = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
    name = dialect(database)
    if name == "sqlite":
        return

    async def be_cut() -> None:
        async with database.session() as session:
            number = await (await session.connection()).scalar(text(find[name]))
            async with database.session() as other:
                await run(other, cut[name].format(number))
            await run(session, "SELECT * FROM place")

    with pytest.raises(ConnectionLost):
        await be_cut()
    assert (await database.ping()).version


async def test_a_server_that_has_become_a_standby_is_lost(database: Database) -> None:
    """A write that only the primary takes means that we are on the wrong server."""
    read_only = {
        "postgresql": "SET TRANSACTION READ ONLY",
        "sqlite": "PRAGMA query_only = ON",
    }.get(dialect(database))
    if read_only is None:
        return  # It is global there; the code is in the table below.
    with pytest.raises(ConnectionLost) as caught:
        await write(database, read_only, "UPDATE place SET seats = 1")
    cause = caught.value.__cause__
    assert isinstance(cause, sa.DBAPIError)
    assert is_read_only(cause.orig) is (dialect(database) == "postgresql")


SQLSTATES: dict[str, type[SQLModelKitError] | None] = {
    "23505": UniqueViolation, "23P01": UniqueViolation,
    "23503": ForeignKeyViolation, "23001": ForeignKeyViolation,
    "23502": InvalidValue, "22001": InvalidValue, "22P02": InvalidValue, "23514": CheckViolation,
    "40001": SerializationFailure, "40P01": SerializationFailure,
    "55P03": QueryTimeout, "57014": QueryTimeout,
    "25006": ConnectionLost, "25P03": ConnectionLost, "08006": ConnectionLost,
    "53300": ConnectionLost, "57P01": ConnectionLost,
    "28000": ConfigError, "28P01": ConfigError, "3D000": ConfigError,
    "42501": None, "42P01": None, "P0001": None, "XX000": None, "0A000": None,
}  # fmt: skip
ERRNOS: dict[int, type[SQLModelKitError] | None] = {
    **dict.fromkeys((1062, 1169, 1586), UniqueViolation),
    **dict.fromkeys((1216, 1217, 1451, 1452), ForeignKeyViolation),
    **dict.fromkeys((3819, 4025), CheckViolation),
    **dict.fromkeys((1048, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1690), InvalidValue),
    **dict.fromkeys((1020, 1205, 1213), SerializationFailure),
    **dict.fromkeys((1969, 3024), QueryTimeout),
    **dict.fromkeys((1040, 1053, 1203, 1290, 1836, 1927, 2006, 2013), ConnectionLost),
    **dict.fromkeys((1044, 1045, 1049), ConfigError),
    **dict.fromkeys((1054, 1064, 1142, 1146, 1644), None),
}


async def test_every_code_of_a_server_has_its_class(database: Database) -> None:
    """Codes that are hard to come by are raised by the server on request."""
    if dialect(database) == "postgresql":
        raised: dict[Any, Any] = dict(SQLSTATES)
        ask = "DO $$ BEGIN RAISE EXCEPTION 'asked for' USING ERRCODE = '{}'; END $$"
    elif dialect(database) == "mysql":
        raised = dict(ERRNOS)
        ask = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'asked for'"
    else:
        return  # SQLite's codes come from what is done, in the other tests.
    found: dict[Any, Any] = {}
    for code in raised:
        async with database.engine.connect() as connection:
            with pytest.raises(sa.DBAPIError) as caught:
                await connection.execute(text(ask.format(code)))
            error = translate(caught.value)
            found[code] = type(error) if error else None
    assert raised == found


def test_an_error_of_ours_stays_itself() -> None:
    """What a service raised passes through the unit of work."""
    error = NotFound("There is no such row.")
    assert translate(error) is error


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError(), sa.InvalidRequestError("no")])
def test_an_error_of_another_kind_is_none_of_ours(error: Exception) -> None:
    """Bugs of the program keep their type."""
    assert translate(error) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StaleDataError("UPDATE matched 0 rows"), StaleVersion),
        (sa.TimeoutError("QueuePool limit reached"), PoolTimeout),
        (DetachedInstanceError("not bound"), NotLoaded),
        (MissingGreenlet("greenlet_spawn"), NotLoaded),
        (sa.StatementError("no", "SELECT 1", {}, MissingGreenlet("greenlet_spawn")), NotLoaded),
        (sa.StatementError("no", "SELECT 1", {}, ValueError("naive")), InvalidValue),
        (sa.StatementError("no", "SELECT 1", {}, LookupError("enum")), InvalidValue),
        (
            sa.DBAPIError("SELECT 1", {}, Exception("closed"), connection_invalidated=True),
            ConnectionLost,
        ),
    ],
)
def test_an_error_of_sqlalchemy_is_known_by_its_type(
    error: Exception, kind: type[SQLModelKitError]
) -> None:
    """Its text changes between versions, its type does not."""
    found = translate(error)
    assert type(found) is kind
    assert str(found) != str(error)


@pytest.mark.parametrize(
    "error",
    [
        sa.StatementError("no", "SELECT 1", {}, KeyboardInterrupt()),
        sa.StatementError("no", "SELECT 1", {}, None),
        sa.DBAPIError("SELECT 1", {}, Exception()),
    ],
)
def test_a_statement_that_failed_for_other_reasons_is_none_of_ours(error: Exception) -> None:
    """A cause that we do not know is not guessed at."""
    assert translate(error) is None
