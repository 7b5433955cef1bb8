"""How a connection is made and what happens to it: prepared, begun, failed, given back. Ring 3.

Start at `create_engine`.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine
from typing import Any

from sqlalchemy import Connection, Dialect, ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import PoolResetState
from sqlalchemy.util import await_only, greenlet_spawn

from .drivers import is_read_only
from .engines import EngineOptions
from .errors import ConfigError, ConnectionLost, InvalidValue, QueryTimeout

IMMEDIATE = "sqlmodelkit_immediate"
"""Execution option of an engine whose transactions take SQLite's write lock as they begin."""

_WAL_ATTEMPTS = 50


def create_engine(options: EngineOptions) -> AsyncEngine:
    """Return an engine whose connections are prepared as the options say.

    Raises:
        ConfigError: The driver is not installed.
    """
    try:
        engine = create_async_engine(options.url, **options.arguments)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The driver {error.name!r} for {options.url.drivername} is not installed.",
            hint=f"Install sqlmodelkit[{_extra(options)}].",
        ) from error

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.run_async(lambda driver: _prepare(driver, options))

    event.listen(engine.sync_engine, "do_connect", _connect)
    event.listen(engine.sync_engine, "handle_error", _failed)
    event.listen(engine.sync_engine, "reset", _reset)
    if options.single_writer:
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _extra(options: EngineOptions) -> str:
    if options.url.get_driver_name() == "aiomysql":
        return "aiomysql"
    return "postgres" if options.url.get_backend_name() == "postgresql" else "mysql"


def _connect(dialect: Dialect, record: Any, arguments: Any, options: Any) -> Any:
    limit = options.get("connect_timeout") or options.get("timeout")
    try:
        if dialect.name == "sqlite":
            return dialect.connect(*arguments, **options)
        return await_only(_within(greenlet_spawn(dialect.connect, *arguments, **options), limit))
    except OSError as error:
        raise ConnectionLost(hint="Check DATABASE_URL and whether the server runs.") from error


async def _within(opening: Coroutine[Any, Any, Any], seconds: float | None) -> Any:
    """Connect in time, and leave no half-made connection behind when given up or cancelled.

    The MySQL drivers limit the way to the server only, and wait for its greeting for ever.
    """
    connecting = asyncio.ensure_future(opening)
    try:
        return await asyncio.wait_for(asyncio.shield(connecting), seconds)
    except TimeoutError:
        connecting.cancel()
        raise
    except asyncio.CancelledError:
        connecting.add_done_callback(_drop)
        raise


def _drop(connecting: asyncio.Future[Any]) -> None:
    if connecting.cancelled() or connecting.exception() is not None:
        return
    driver = connecting.result().driver_connection
    # asyncpg closes politely, which takes an answer; terminate does not wait for one.
    getattr(driver, "terminate", driver.close)()


def _failed(context: ExceptionContext) -> None:
    original = context.original_exception
    if is_read_only(original):
        # The primary has become a standby: every pooled connection leads to the wrong server.
        context.is_disconnect = True
    if isinstance(original, TimeoutError):
        # The driver has given up on a server that is silent: the connection is of no use.
        context.is_disconnect = True
        raise QueryTimeout from original
    if isinstance(original, (OverflowError, UnicodeEncodeError)):
        raise InvalidValue("A value does not fit the type of its column.") from original


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _reset(connection: Any, record: Any, state: PoolResetState) -> None:
    """Roll back what was left open, and only that: a rollback after each commit is a round trip."""
    if not state.asyncio_safe:
        return
    # SQLite keeps a transaction open whose COMMIT it refused; SQLAlchemy takes it for ended.
    refused = getattr(connection.driver_connection, "in_transaction", False)
    if refused or not state.transaction_was_reset:
        await_only(_whole(greenlet_spawn(connection.rollback)))


async def _whole(ending: Coroutine[Any, Any, None]) -> None:
    """Finish what must not be cut in the middle; a cancellation meanwhile comes right after."""
    work = asyncio.ensure_future(ending)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
            task.cancel()


async def _prepare(driver: Any, options: EngineOptions) -> None:
    for statement in options.on_connect:
        if options.single_writer:
            await _prepare_sqlite(driver, statement)
        else:
            async with driver.cursor() as cursor:
                await cursor.execute(statement)


async def _prepare_sqlite(driver: Any, statement: str) -> None:
    # Processes that start together may all switch to WAL; the busy timeout does not cover that.
    for attempt in range(_WAL_ATTEMPTS):
        try:
            cursor = await driver.execute(statement)
            await cursor.close()
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.05)
        else:
            return
