"""The right engine options for each database, as one pure function. Ring 2.

Start at `engine_options`.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_bytes
from typing import Any
from uuid import uuid4

from sqlalchemy import URL

from .cursors import Seal
from .settings import DatabaseSettings

IMMEDIATE = "sqlmodelkit_immediate"
"""Execution option of an engine whose transactions take SQLite's write lock as they begin."""

RELEASE = "sqlmodelkit_release"
"""What a connection's `info` says has to be run before somebody else gets it: a list of texts."""

_MYSQL_STRICT = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)
_DRIVER_GRACE = 5.0
_FOREVER = 2147483.647
"""Seconds: the longest that SQLite's busy timeout can be."""


class _Connection(sqlite3.Connection):
    def close(self) -> None:
        # A cursor that is left, as after a cancelled task, keeps a closed connection's transaction
        # open, and with it the lock on the database.
        with suppress(sqlite3.ProgrammingError):
            if self.in_transaction:
                self.rollback()
        super().close()

    def __del__(self) -> None:
        # A task cancelled while it connects leaves a connection that nobody has seen.
        with suppress(sqlite3.ProgrammingError):
            self.close()


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine is made with.

    Attributes:
        url: The address with its driver.
        arguments: Keyword arguments for `create_async_engine`.
        on_connect: Statements for each new connection.
        single_writer: Whether writers queue for one connection of their own (SQLite).
        memory: The URI of an in-memory database, which lives while one connection is open.
        ping: Whether a pooled connection is tested before it is used.
        direct: Whether statements that stand alone may go straight to the driver.
        explicit_begin: Whether a transaction begins by a statement of ours; where it does not,
            the driver begins one with the first statement.
        patience: How many seconds writers wait for SQLite's lock; None leaves it to SQLite.
        seal: What cursors are sealed with; None where nobody gave a secret.
    """

    url: URL
    arguments: dict[str, Any] = field(default_factory=dict)
    on_connect: tuple[str, ...] = ()
    single_writer: bool = False
    memory: str | None = None
    ping: bool = False
    direct: bool = True
    explicit_begin: bool = False
    patience: float | None = None
    seal: Seal | None = None


def engine_options(settings: DatabaseSettings) -> EngineOptions:
    """Return the options for the database that the settings name."""
    url = settings.engine_url()
    match url.get_backend_name():
        case "sqlite":
            options = _sqlite(url, settings)
        case "postgresql":
            options = _postgresql(url, settings)
        case _:
            options = _mysql(url, settings)
    return replace(options, seal=_seal(settings, in_memory=options.memory is not None))


def writer_options(options: EngineOptions, settings: DatabaseSettings) -> EngineOptions:
    """Return the options of the engine for SQLite's writers.

    They have one connection, and queue for it in order instead of polling a lock. Writers of other
    processes are waited for outside of SQLite, whose own wait no cancellation can end.
    """
    return replace(
        options,
        arguments=options.arguments | {"pool_size": 1, "max_overflow": 0},
        # Nobody outside can lock a database in memory.
        patience=None if options.memory else settings.lock_timeout or _FOREVER,
    )


def _seal(settings: DatabaseSettings, *, in_memory: bool) -> Seal | None:
    if settings.cursor_secret is not None:
        return Seal(settings.cursor_secret.get_secret_value().encode())
    # Nobody else has the rows of an in-memory database, so nobody else need read its cursors.
    return Seal(token_bytes()) if in_memory else None


def _pool(settings: DatabaseSettings) -> dict[str, Any]:
    return {
        "echo": settings.echo,
        "hide_parameters": not settings.echo,
        "pool_size": settings.pool_size,
        "max_overflow": settings.max_overflow,
        "pool_timeout": settings.pool_timeout,
        "pool_recycle": settings.pool_recycle,
        # A listener tests it, less often and with fewer round trips.
        "pool_pre_ping": False,
        # A listener rolls back what was left open.
        "pool_reset_on_return": None,
    }


def _sqlite(url: URL, settings: DatabaseSettings) -> EngineOptions:
    pragmas = [
        f"PRAGMA busy_timeout = {_milliseconds(settings.lock_timeout or _FOREVER)}",
        "PRAGMA foreign_keys = ON",
        # As elsewhere: `contains` minds the case, `icontains` does not.
        "PRAGMA case_sensitive_like = ON",
    ]
    memory = None
    if url.database in (None, "", ":memory:"):
        # A database of the memdb file system is shared by the connections of this process and
        # locks like a file; ":memory:" would be another database for each connection.
        memory = f"file:/sqlmodelkit-{uuid4().hex}?vfs=memdb"
        url = url.set(database=memory.partition("?")[0], query={"vfs": "memdb", "uri": "true"})
    else:
        pragmas.append("PRAGMA journal_mode = WAL")
    arguments = _pool(settings) | {
        "pool_recycle": -1,
        # Transactions begin where we say so, not where the driver guesses.
        "connect_args": {"isolation_level": None, "factory": _Connection},
    }
    return EngineOptions(
        url, arguments, tuple(pragmas), single_writer=True, memory=memory, explicit_begin=True
    )


def _postgresql(url: URL, settings: DatabaseSettings) -> EngineOptions:
    server = {"application_name": settings.application_name}
    connect: dict[str, Any] = {"timeout": settings.connect_timeout, "server_settings": server}
    if settings.statement_timeout:
        # The server ends a slow statement; the driver's own limit is for a server that is silent.
        connect["command_timeout"] = settings.statement_timeout + _DRIVER_GRACE
    if settings.pooler == "pgbouncer":
        # A transaction pooler hands each transaction another server connection: no prepared
        # statement outlives it, and it refuses start-up parameters that it does not track.
        connect |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__sqlmodelkit_{uuid4().hex}__",
        }
    else:
        server |= {
            "statement_timeout": _milliseconds(settings.statement_timeout),
            "lock_timeout": _milliseconds(settings.lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(
                settings.idle_in_transaction_timeout
            ),
        }
    return EngineOptions(
        url,
        _pool(settings) | {"connect_args": connect},
        ping=settings.pool_pre_ping,
        # The driver prepares and runs a lone statement in two steps, and a transaction pooler may
        # send them to two servers.
        direct=settings.pooler == "none",
    )


def _mysql(url: URL, settings: DatabaseSettings) -> EngineOptions:
    seconds, milliseconds = settings.statement_timeout, _milliseconds(settings.statement_timeout)
    limits = (
        "SET SESSION time_zone = '+00:00', "
        f"sql_mode = '{_MYSQL_STRICT}', "
        f"innodb_lock_wait_timeout = {max(1, round(settings.lock_timeout)) if settings.lock_timeout else 1073741824}"
        # The comments are read by MariaDB only and by MySQL only.
        f" /*M!100101 , max_statement_time = {seconds:g} */"
        f" /*!80000 , max_execution_time = {milliseconds} */"
    )
    connect = {
        "connect_timeout": max(1, round(settings.connect_timeout)),
        "charset": "utf8mb4",
        # A statement that stands alone needs no COMMIT; transactions begin where we say so.
        "autocommit": True,
    }
    return EngineOptions(
        url,
        _pool(settings) | {"connect_args": connect},
        (limits,),
        ping=settings.pool_pre_ping,
        explicit_begin=True,
    )


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
