"""How a transaction is to be: isolated, reading only, repeated, or under a lock's name. Ring 4.

Start at `again` and `advisory_lock`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from hashlib import blake2b
from random import random
from time import monotonic
from typing import Any, Literal, cast, get_args

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .connections import ISOLATION, READ_ONLY, borrowed
from .engines import IMMEDIATE, RELEASE, EngineOptions
from .errors import ConfigError, Locked, SerializationFailure
from .sessions import AsyncSession, translating

Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
"""How much of other transactions a transaction may see, in SQL's words."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2


@dataclass(frozen=True, slots=True)
class Retry:
    """How often `Database.run` does a unit of work again, and for how long.

    Attributes:
        attempts: The most times that it is done, the first one included.
        seconds: After so long no further attempt is begun.
        first_wait: The least seconds before the second attempt; they double from then on.
        longest_wait: The most seconds between two attempts.
        jitter: Up to so many seconds are added by chance, so that those who met part.
    """

    attempts: int = 10
    seconds: float = 30.0
    first_wait: float = 0.01
    longest_wait: float = 2.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ConfigError: There would be no attempt, or time is negative.
        """
        times = (self.seconds, self.first_wait, self.longest_wait, self.jitter)
        if self.attempts < 1 or min(times) < 0:
            raise ConfigError(
                f"{self} is no way to try again.",
                hint="Give at least one attempt, no time below 0.",
            )


def again(retry: Retry) -> AsyncIterator[AbstractContextManager[None]]:
    """Yield attempts, as blocks, until one of them does not end in a `SerializationFailure`."""
    import stamina  # noqa: PLC0415 - most applications never need it, and it takes time to import

    attempts = stamina.retry_context(
        on=SerializationFailure,
        attempts=retry.attempts,
        timeout=retry.seconds,
        wait_initial=retry.first_wait,
        wait_max=retry.longest_wait,
        wait_jitter=retry.jitter,
    )
    return cast("AsyncIterator[AbstractContextManager[None]]", attempts)


def check_isolation(isolation: Isolation | None) -> None:
    """Refuse a level of isolation that does not exist.

    Raises:
        ConfigError: There is no such level.
    """
    if isolation is not None and isolation not in get_args(Isolation):
        raise ConfigError(
            f"There is no isolation {isolation!r}.", hint=f"Say one of {get_args(Isolation)}."
        )


def character(dialect: str, isolation: Isolation | None, *, read_only: bool) -> dict[str, Any]:
    """Return the execution options of an engine whose transactions are as asked.

    Raises:
        ConfigError: There is no such level of isolation.
    """
    check_isolation(isolation)
    options: dict[str, Any] = {READ_ONLY: True} if read_only else {}
    if dialect == "postgresql":
        # BEGIN says it; SQLAlchemy sets the connection back when it is returned.
        options |= {"postgresql_readonly": True} if read_only else {}
        return options | ({"isolation_level": isolation} if isolation else {})
    if dialect == "sqlite" or isolation is None:
        return options
    return options | {ISOLATION: isolation}


async def advisory_lock(
    session: AsyncSession,
    name: str,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - its end is `Locked`
) -> None:
    """Hold a lock that is only a name until the unit of work ends.

    On SQLite the unit of work itself is the lock: there is one writer at a time.

    Args:
        session: The session of the unit of work.
        name: The name of the lock.
        timeout: The most seconds to wait; None waits as long as it takes.

    Raises:
        Locked: Somebody else had it all the time.
        ConfigError: On SQLite, the unit of work does not hold the write lock.
    """
    with translating():
        connection = await session.connection()
        await _patiently(lambda: _try_lock(connection, name, lasting=False), name, timeout)


@asynccontextmanager
async def lasting_lock(
    engine: AsyncEngine, options: EngineOptions, name: str, seconds: float | None
) -> AsyncIterator[None]:
    """Hold a named lock on a connection of its own, or a file of its own, while the block runs.

    Raises:
        Locked: Somebody else had it until the time was over.
        ConfigError: The server's connection is another one for each transaction.
    """
    if not options.single_writer:
        _refuse_pooler(engine.dialect.name, options)
        async with borrowed(engine) as connection, held(connection, options, name, seconds):
            yield
        return
    with closing(_lock_file(options, name)) as file:
        await _patiently(lambda: _try_file(file), name, seconds)
        yield


@asynccontextmanager
async def held(
    connection: AsyncConnection, options: EngineOptions, name: str, seconds: float | None
) -> AsyncIterator[None]:
    """Hold a named lock on a connection, with whatever it does, while the block runs.

    A server gives it away when the connection ends, and not before: what the connection was told
    last is done by then, even if we are dead.

    Raises:
        Locked: Somebody else had it until the time was over.
        ConfigError: The server's connection is another one for each transaction.
    """
    if options.single_writer:
        with closing(_lock_file(options, name)) as file:
            await _patiently(lambda: _try_file(file), name, seconds)
            yield
        return
    _refuse_pooler(connection.dialect.name, options)
    # It is given back with the connection.
    await _patiently(lambda: _try_lock(connection, name, lasting=True), name, seconds)
    await connection.commit()
    yield


def _refuse_pooler(dialect: str, options: EngineOptions) -> None:
    if dialect == "postgresql" and not options.direct:
        raise ConfigError(
            "A pooler of transactions cannot hold an advisory lock without a transaction.",
            hint="Use advisory_lock(session, name) in a unit of work.",
        )


async def _patiently(
    attempt: Callable[[], Awaitable[bool]], name: str, seconds: float | None
) -> None:
    """Try to take a named lock until it succeeds or the time is over.

    Trying again and again is not fair, but no statement waits in the server, where limits for
    statements would end it and a cancelled task could not be sure what becomes of it.

    Raises:
        Locked: Somebody else had it all the time.
    """
    give_up = None if seconds is None else monotonic() + seconds
    pause = _FIRST_PAUSE
    while not await attempt():
        left = pause if give_up is None else give_up - monotonic()
        if left <= 0:
            raise Locked(f"The lock {name!r} is held by somebody else.", hint="Try again later.")
        await asyncio.sleep(min(pause * (0.5 + random()), left))  # noqa: S311 - a bit of chance
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _try_lock(connection: AsyncConnection, name: str, *, lasting: bool) -> bool:
    """Take a named lock if nobody has it: until the transaction ends, or for the connection.

    Raises:
        ConfigError: On SQLite, the transaction is none that holds the write lock.
    """
    sync: Any = connection.sync_connection
    key = _lock_key(name)
    match connection.dialect.name:
        case "sqlite":
            if not sync.get_execution_options().get(IMMEDIATE):
                raise ConfigError(
                    "On SQLite an advisory lock needs a unit of work that writes.",
                    hint="Use db.transaction() with immediate=True, or db.advisory_lock().",
                )
            return True
        case "postgresql":
            function = "pg_try_advisory_lock" if lasting else "pg_try_advisory_xact_lock"
            take = f"SELECT {function}({key})"
            release = "SELECT pg_advisory_unlock_all()" if lasting else None
        case _:
            # Names are the server's, not the database's, and at most 64 characters long.
            full = f"CONCAT('sqlmodelkit-', MD5(DATABASE()), '-{key:016x}')"
            take, release = f"SELECT GET_LOCK({full}, 0)", f"DO RELEASE_LOCK({full})"
    taken = bool(await connection.scalar(text(take)))
    if taken and release:
        # As often as it was taken; when the task is cancelled meanwhile, the connection ends.
        sync.info.setdefault(RELEASE, []).append(release)
    return taken


def _lock_key(name: str) -> int:
    """Return the number of a lock's name: of 63 bits, as PostgreSQL takes it."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 1


def _lock_file(options: EngineOptions, name: str) -> sqlite3.Connection:
    """Open a database beside SQLite's whose own lock is the named one: it ends with us."""
    database = (options.memory or options.url.database or "").partition("?")
    path = f"{database[0]}-lock-{_lock_key(name):016x}{''.join(database[1:])}"
    return sqlite3.connect(path, timeout=0, isolation_level=None, uri=path.startswith("file:"))


async def _try_file(file: sqlite3.Connection) -> bool:
    try:
        file.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    return True
