"""How an engine is made, and how each of its connections is opened, prepared and closed."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, event
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from sqlmodelkit.cancellation import whole
from sqlmodelkit.engines import EngineOptions
from sqlmodelkit.errors import ConfigError, ConnectionLost

from .begun import ATTEMPT_SECONDS, PATIENCE, begin, reset
from .failed import understand
from .pooled import LIVENESS, Liveness
from .undone import confirm, relieve

SEAL = "sqlmodelkit_seal"
"""Execution option of an engine: what cursors are sealed with, a `Seal` or None."""

_WAL_ATTEMPTS = 50


def create_engine(options: EngineOptions) -> AsyncEngine:
    """Return an engine whose connections are prepared as the options say.

    Raises:
        ConfigError: The driver is not installed, or not with the versions of its own needs.
    """
    liveness = Liveness(options)
    try:
        engine = create_async_engine(
            options.url,
            execution_options={LIVENESS: liveness, SEAL: options.seal},
            **options.arguments,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The driver {error.name!r} for {options.url.drivername} is not installed.",
            hint=f"Install sqlmodelkit[{_extra(options)}].",
        ) from error
    except ImportError as error:
        raise _unusable(options, str(error)) from error
    if engine.dialect.driver == "aiomysql" and not _sends_bytes():
        raise _unusable(options, "with this release of PyMySQL it cannot send bytes")

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        liveness.made(connection, record)
        connection.run_async(lambda driver: whole(_prepare(driver, options), late=True))
        if options.patience and connection.run_async(
            lambda driver: whole(_hurry(driver), late=True)
        ):
            record.info[PATIENCE] = options.patience

    _close_whole(engine.dialect, liveness)
    liveness.bind(engine.dialect)
    event.listen(engine.sync_engine, "checkout", liveness.check)
    event.listen(engine.sync_engine, "checkin", liveness.returned)
    event.listen(engine.sync_engine, "do_connect", liveness.connecting)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Dialect, record: Any, arguments: Any, options: Any) -> Any:
        return _connect(liveness, dialect, arguments, options)

    event.listen(engine.sync_engine, "handle_error", understand)
    event.listen(engine.sync_engine, "rollback_savepoint", relieve)
    event.listen(engine.sync_engine, "commit", confirm)
    event.listen(engine.sync_engine, "reset", reset)
    if options.explicit_begin:
        event.listen(engine.sync_engine, "begin", begin)
    return engine


def _unusable(options: EngineOptions, reason: str) -> ConfigError:
    return ConfigError(
        f"The driver for {options.url.drivername} is of no use: {reason}.",
        hint=f"Install sqlmodelkit[{_extra(options)}], which says what goes together.",
    )


def _sends_bytes() -> bool:
    """Tell whether aiomysql finds in PyMySQL what it sends bytes by.

    PyMySQL 1.2.3 has put a text in its place (aiomysql's issue 1080).
    """
    name = "escape_bytes_prefixed"
    return callable(getattr(import_module("aiomysql.connection"), name, callable))


def _extra(options: EngineOptions) -> str:
    if options.url.get_driver_name() == "aiomysql":
        return "aiomysql"
    return "postgres" if options.url.get_backend_name() == "postgresql" else "mysql"


def _close_whole(dialect: Dialect, liveness: Liveness) -> None:
    """Have connections closed before a cancellation goes on, which would cut their goodbye short.

    Half a goodbye is written to the log as an error, and leaves a task that nobody waits for. There
    is no event in place of which a connection is closed; these two methods of a dialect are public.
    """
    terminate = dialect.do_terminate

    def close(connection: Any) -> None:
        liveness.gone(connection)

        async def end() -> None:
            await whole(greenlet_spawn(terminate, connection), late=True)

        try:
            await_only(end())
        except MissingGreenlet:
            # The garbage collector closes it, and cannot wait.
            terminate(connection)

    dialect.do_close = dialect.do_terminate = close  # type: ignore[assignment]


def _connect(liveness: Liveness, dialect: Dialect, arguments: Any, options: Any) -> Any:
    limit = options.get("connect_timeout") or options.get("timeout")
    try:
        if dialect.name == "sqlite":
            return _open_file(dialect, arguments, options)
        opening = greenlet_spawn(dialect.connect, *arguments, **options)
        return await_only(_within(opening, limit, liveness.arriving))
    except OSError as error:
        raise ConnectionLost(hint="Check DATABASE_URL and whether the server runs.") from error


def _open_file(dialect: Dialect, arguments: Any, options: Any) -> Any:
    try:
        return dialect.connect(*arguments, **options)
    except sqlite3.OperationalError as error:
        folder = Path(arguments[0]).parent
        if options.get("uri") or folder.is_dir():
            raise
        hint = f"There is no directory {str(folder)!r}: make it, or correct DATABASE_URL."
        raise ConnectionLost(hint=hint) from error


async def _within(
    opening: Coroutine[Any, Any, Any], seconds: float | None, arriving: set[asyncio.Future[Any]]
) -> Any:
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
        arriving.add(connecting)
        connecting.add_done_callback(_drop)
        connecting.add_done_callback(arriving.discard)
        raise


def _drop(connecting: asyncio.Future[Any]) -> None:
    if connecting.cancelled() or connecting.exception() is not None:
        return
    driver = connecting.result().driver_connection
    # asyncpg closes politely, which takes an answer; terminate does not wait for one.
    getattr(driver, "terminate", driver.close)()


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


async def _hurry(driver: Any) -> bool:
    """Have a connection wait a moment only for a lock; tell whether it may.

    Without WAL also a commit waits for a lock, for which nobody else would wait then.
    """
    ((mode,),) = await driver.execute_fetchall("PRAGMA journal_mode")
    if mode == "wal":
        milliseconds = round(ATTEMPT_SECONDS * 1000)
        await driver.execute_fetchall(f"PRAGMA busy_timeout = {milliseconds}")
    return bool(mode == "wal")
