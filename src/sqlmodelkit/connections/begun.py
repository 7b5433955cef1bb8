"""How a transaction begins, waits for its turn, and leaves its connection."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import PoolResetState
from sqlalchemy.util import await_only, greenlet_spawn

from sqlmodelkit.cancellation import whole
from sqlmodelkit.drivers import is_busy
from sqlmodelkit.engines import IMMEDIATE, RELEASE

from .pooled import CLEAN
from .undone import UNDONE

ISOLATION = "sqlmodelkit_isolation"
"""Execution option of an engine whose transactions ask for a level of isolation as they begin."""

READ_ONLY = "sqlmodelkit_read_only"
"""Execution option of an engine whose transactions write nothing."""

PATIENCE = "sqlmodelkit_patience"
"""What a connection's `info` says of SQLite's lock on writing: the most seconds to wait for it."""

T = TypeVar("T")

ATTEMPT_SECONDS = 0.05
"""How long writers wait for a lock inside of SQLite, where no cancellation reaches them."""


def begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(IMMEDIATE):
        _begin_immediate(connection)
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
        return
    if isolation := options.get(ISOLATION):
        # Without a word between SET and TRANSACTION it holds for the next one, and no further.
        connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
    connection.exec_driver_sql("START TRANSACTION READ ONLY" if options.get(READ_ONLY) else "BEGIN")


def _begin_immediate(connection: Connection) -> None:
    statement = "BEGIN IMMEDIATE"
    patience = connection.info.get(PATIENCE)
    if patience is not None:
        driver: Any = connection.connection.driver_connection
        with suppress(sqlite3.OperationalError):
            await_only(patiently(lambda: driver.execute_fetchall(statement), patience))
            return
    # What is refused is refused once more, by SQLAlchemy, which wraps the error.
    connection.exec_driver_sql(statement)


async def patiently(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do something until SQLite's lock on writing is free, or the time is over.

    A thread that waits in SQLite cannot be called back: `interrupt` does not end such a wait.
    """
    end = monotonic() + seconds
    while True:
        try:
            return await attempt()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or monotonic() >= end:
                raise
        await asyncio.sleep(ATTEMPT_SECONDS)


def reset(connection: Any, record: Any, state: PoolResetState) -> None:
    """Roll back what was left open, and only that: a rollback after each commit is a round trip."""
    if record.info.pop(CLEAN, False) or not state.asyncio_safe:
        return
    record.info.pop(UNDONE, None)
    release = record.info.pop(RELEASE, None)
    if release:
        await_only(whole(greenlet_spawn(_release, connection, release), late=True))
        return
    if state.transaction_was_reset:
        # SQLite keeps a transaction open whose COMMIT it refused; SQLAlchemy takes it for ended.
        left = getattr(connection.driver_connection, "in_transaction", False)
    else:
        # MySQL's drivers know from each answer; after a COMMIT nothing is left open.
        status = getattr(connection.driver_connection, "get_transaction_status", None)
        left = status() if callable(status) else True
    if left:
        await_only(whole(greenlet_spawn(connection.rollback), late=True))


def _release(connection: Any, statements: list[str]) -> None:
    connection.rollback()
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.rollback()


@asynccontextmanager
async def borrowed(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Take a connection for a block, and give it back before a cancellation goes on."""
    connection = await engine.connect()
    try:
        yield connection
    finally:
        await whole(connection.close())
