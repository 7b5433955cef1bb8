"""How a connection is made and what happens to it: prepared, begun, failed, given back. Ring 3.

Start at `create_engine`.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection, PoolResetState
from sqlalchemy.util import await_only, greenlet_spawn

from .cancellation import whole
from .drivers import is_read_only, is_write_refused
from .engines import IMMEDIATE, RELEASE, EngineOptions
from .errors import ConfigError, ConnectionLost, InvalidValue, QueryTimeout, SQLModelKitError

ISOLATION = "sqlmodelkit_isolation"
"""Execution option of an engine whose transactions ask for a level of isolation as they begin."""

READ_ONLY = "sqlmodelkit_read_only"
"""Execution option of an engine whose transactions write nothing."""

LIVENESS = "sqlmodelkit_liveness"
"""Execution option of an engine: what is known of its connections, a `Liveness`."""

SEAL = "sqlmodelkit_seal"
"""Execution option of an engine: what cursors are sealed with, a `Seal` or None."""

_WAL_ATTEMPTS = 50
_ALIVE_SECONDS = 0.5
_USED, _CLEAN = "sqlmodelkit_used", "sqlmodelkit_clean"
_ERA = "sqlmodelkit_era"
_UNTESTED = "sqlmodelkit_untested"


class _MustWait(Exception):
    """No connection can be had at once."""


class Liveness:
    """Tests pooled connections before they are used, and not more often than needed.

    A connection that was in use just now is taken for alive, as in HikariCP (its
    `aliveBypassWindowMs`): asking costs as much as reading a row. One whose socket is known to be
    closed is not, and after a loss each connection is asked once.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._dialect: Dialect | None = None
        self._ping = options.ping
        self._doubted = 0.0
        self._at_once: asyncio.Task[Any] | None = None
        self._era = 0
        self._open: set[int] = set()
        self.arriving: set[asyncio.Future[Any]] = set()
        self.direct = options.direct
        self.begins = options.explicit_begin

    def bind(self, dialect: Dialect) -> None:
        """Take the dialect that knows how to ask."""
        self._dialect = dialect

    def take(self, engine: Engine) -> PoolProxiedConnection | None:
        """Check out a connection that can be used at once; None when that takes any waiting.

        What waits has to run in a greenlet, and a new greenlet for each statement costs more than
        all else that a checkout does: Python gives it a stack of its own.
        """
        pool: Any = engine.pool
        if not pool.checkedin() or not self.quiet(pool):
            return None
        held = self._idle(engine)
        if held is not None and _UNTESTED in held.info:
            self.untouched(held)
            held.close()
            return None
        return held

    def _idle(self, engine: Engine) -> PoolProxiedConnection | None:
        self._at_once = asyncio.current_task()
        try:
            return engine.raw_connection()
        except _MustWait:
            return None
        finally:
            self._at_once = None

    def quiet(self, pool: Any) -> bool:
        """Tell whether nobody else listens to a pool, who might have to wait for something."""
        heard = pool.dispatch
        return len(heard.checkout) == len(heard.checkin) == len(heard.reset) == 1

    def connecting(self, *arguments: Any) -> None:
        """Make no new connection for somebody who cannot wait for it."""
        if self._is_at_once():
            raise _MustWait

    def _is_at_once(self) -> bool:
        return self._at_once is not None and self._at_once is asyncio.current_task()

    def check(self, connection: Any, record: Any, proxy: Any) -> None:
        """Refuse a dead connection as the pool hands it out, so that it makes another."""
        if not self._ping or self._dialect is None:
            return
        driver = connection.driver_connection
        if _closed(driver):
            raise InvalidatePoolError
        used = record.info.get(_USED)
        if used is None or (hasattr(driver, "is_closed") and self._trusted(used)):
            return
        if self._is_at_once():
            record.info[_UNTESTED] = True
            return
        try:
            self._dialect.do_ping(connection)
        except Exception as error:
            raise InvalidatePoolError from error

    def _trusted(self, used: float) -> bool:
        return used > self._doubted and monotonic() - used < _ALIVE_SECONDS

    def made(self, connection: Any, record: Any) -> None:
        """Note that a connection is open, and since when."""
        self._open.add(id(connection))
        record.info[_ERA] = self._era

    def gone(self, connection: Any) -> None:
        """Note that a connection is closed."""
        self._open.discard(id(connection))

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def kept(self, held: PoolProxiedConnection) -> bool:
        """Tell whether the pool keeps a connection that is given back, if it has room."""
        return held.info.get(_ERA) == self._era

    async def retire(self, engine: Engine) -> None:
        """Close what nobody uses; what is in use is closed when it is given back.

        SQLAlchemy's `dispose` leaves those to a pool that nobody has any more, where they stay
        open. It is called when there are none.
        """
        self._era += 1
        pool: Any = engine.pool
        for _ in range(pool.checkedin()):
            await whole(greenlet_spawn(self._close_idle, engine))
        if self.arriving:
            await asyncio.wait(self.arriving)
        self.renew(engine)

    def _close_idle(self, engine: Engine) -> None:
        pool: Any = engine.pool
        held = self._idle(engine) if pool.checkedin() else None
        if held is not None:
            held.invalidate()

    def renew(self, engine: Engine) -> None:
        """Have a new pool where the old one has no connections: it may be for another loop."""
        pool: Any = engine.pool
        if not self.open and not pool.checkedout():
            engine.dispose(close=False)

    def returned(self, connection: Any, record: Any) -> None:
        """Note when a connection was used last, and close it when its time is over."""
        if connection is not None and record.info.get(_ERA) != self._era:
            record.close()
            return
        if not record.info.pop(_UNTESTED, False):
            record.info[_USED] = monotonic()

    def doubt(self) -> None:
        """Ask every connection that has been used before now."""
        self._doubted = monotonic()

    def untouched(self, held: PoolProxiedConnection) -> None:
        """Note that a connection has no transaction to be rolled back."""
        held.info[_CLEAN] = True

    def dead(self, held: PoolProxiedConnection | None) -> bool:
        """Tell whether a connection is known to be of no use."""
        return held is None or _closed(held.driver_connection)


def liveness_of(engine: AsyncEngine) -> Liveness:
    """Return what is known of the connections of an engine that `create_engine` has made."""
    liveness: Liveness = engine.get_execution_options()[LIVENESS]
    return liveness


def _closed(driver: Any) -> bool:
    closed = getattr(driver, "is_closed", None)
    return bool(closed()) if callable(closed) else False


def create_engine(options: EngineOptions) -> AsyncEngine:
    """Return an engine whose connections are prepared as the options say.

    Raises:
        ConfigError: The driver is not installed.
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

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        liveness.made(connection, record)
        connection.run_async(lambda driver: whole(_prepare(driver, options), late=True))

    _close_whole(engine.dialect, liveness)
    liveness.bind(engine.dialect)
    event.listen(engine.sync_engine, "checkout", liveness.check)
    event.listen(engine.sync_engine, "checkin", liveness.returned)
    event.listen(engine.sync_engine, "do_connect", liveness.connecting)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Dialect, record: Any, arguments: Any, options: Any) -> Any:
        return _connect(liveness, dialect, arguments, options)

    event.listen(engine.sync_engine, "handle_error", _failed)
    event.listen(engine.sync_engine, "reset", _reset)
    if options.explicit_begin:
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


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
            return dialect.connect(*arguments, **options)
        opening = greenlet_spawn(dialect.connect, *arguments, **options)
        return await_only(_within(opening, limit, liveness.arriving))
    except OSError as error:
        raise ConnectionLost(hint="Check DATABASE_URL and whether the server runs.") from error


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


def _failed(context: ExceptionContext) -> None:
    original = context.original_exception
    connection = context.connection
    if connection is not None and connection.get_execution_options().get(READ_ONLY):
        if is_write_refused(original):
            raise ConfigError(
                "A unit of work that only reads would write.", hint="Leave out read_only=True."
            ) from original
    elif is_read_only(original):
        # The primary has become a standby: every pooled connection leads to the wrong server.
        context.is_disconnect = True
    if isinstance(original, TimeoutError):
        # The driver has given up on a server that is silent: the connection is of no use.
        context.is_disconnect = True
    ours = refusal(original)
    if ours is not None:
        raise ours from original


def refusal(error: BaseException) -> SQLModelKitError | None:
    """Say what an error means that a driver raises before or without an answer of the server."""
    if isinstance(error, TimeoutError):
        return QueryTimeout()
    if isinstance(error, OSError):
        return ConnectionLost()
    if isinstance(error, (OverflowError, UnicodeEncodeError)):
        return InvalidValue("A value does not fit the type of its column.")
    return None


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(IMMEDIATE):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
        return
    if isolation := options.get(ISOLATION):
        # Without a word between SET and TRANSACTION it holds for the next one, and no further.
        connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
    connection.exec_driver_sql("START TRANSACTION READ ONLY" if options.get(READ_ONLY) else "BEGIN")


def _reset(connection: Any, record: Any, state: PoolResetState) -> None:
    """Roll back what was left open, and only that: a rollback after each commit is a round trip."""
    if record.info.pop(_CLEAN, False) or not state.asyncio_safe:
        return
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
