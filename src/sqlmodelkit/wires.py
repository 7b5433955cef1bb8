"""Where a compiled statement is sent: over a session's connection, or alone to the driver. Ring 4.

A statement that stands alone needs no transaction, and so no BEGIN, no COMMIT and no session. It
goes to the driver's own connection, taken from SQLAlchemy's pool. Whoever listens to SQLAlchemy's
events or log still hears of every statement: then it goes SQLAlchemy's way. Start at `lone`.
"""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, Self

from sqlalchemy import Dialect, Insert, Select, Update
from sqlalchemy import exc as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from .cancellation import whole
from .connections import LIVENESS, PATIENCE, Liveness, borrowed, patiently, refusal
from .drivers import is_unanswered, translate
from .errors import CommitUnknown, ConnectionLost, QueryTimeout, SQLModelKitError
from .sessions import UNKNOWN, AsyncSession
from .statements import Compiled

Statement = Select[Any] | Insert | Update
"""A statement of SQLAlchemy's."""

Rows = Sequence[Sequence[Any]]
Fetch = Callable[[Any, str, tuple[Any, ...]], Coroutine[Any, Any, Any]]

_UNCLEAR = (ConnectionLost, CommitUnknown, QueryTimeout, sa.DBAPIError)
_OWN_COMMIT_LISTENERS = 1
_OWN_ERROR_HANDLERS = 1
_SCHEMAS = "schema_translate_map"
_LOG = logging.getLogger("sqlalchemy.engine.Engine")


class Wire(Protocol):
    """Sends statements and brings their rows."""

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database, which has been connected."""
        ...

    @property
    def compiled(self) -> bool:
        """Whether statements shall be compiled; otherwise they are SQLAlchemy's."""
        ...

    async def fetch(self, statement: Compiled | Statement, values: Mapping[str, Any]) -> Rows:
        """Run a statement with values for its parameters."""
        ...


class ConnectionWire:
    """Sends statements over an SQLAlchemy connection, in its transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def compiled(self) -> bool:
        """Whether statements shall be compiled.

        Not where the names of schemas are exchanged, or somebody listens to them uncompiled.
        """
        connection = self._connection.sync_connection
        if connection is None:
            return True
        dispatch: Any = connection.dispatch
        heard = dispatch.before_execute or dispatch.after_execute
        return not heard and _SCHEMAS not in connection.get_execution_options()

    @property
    def dialect(self) -> Dialect:
        """The connection's dialect."""
        return self._connection.dialect

    async def fetch(self, statement: Compiled | Statement, values: Mapping[str, Any]) -> Rows:
        """Run a statement with values for its parameters."""
        if isinstance(statement, Compiled):
            arguments = statement.arguments(values)
            result = await self._connection.exec_driver_sql(statement.text, arguments)
            return statement.read(result.all()) if result.returns_rows else []
        answer = await self._connection.execute(statement, values)
        rows: Rows = answer.all() if answer.returns_rows else []
        return rows


class SessionWire:
    """Sends statements through a session, for those who listen to it."""

    compiled = False

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    @property
    def dialect(self) -> Dialect:
        """The session's dialect."""
        return self._session.get_bind().dialect

    async def fetch(self, statement: Compiled | Statement, values: Mapping[str, Any]) -> Rows:
        """Run a statement with values for its parameters."""
        if isinstance(statement, Compiled):
            raise TypeError("A session takes SQLAlchemy's statements only.")
        # SQLModel's `exec` is typed for its own select; for SQLAlchemy's it answers a Result.
        loose: Any = statement
        result: Any = await self._session.exec(loose, params=values)
        rows: Rows = result.all()
        return rows


class DriverWire:
    """Sends statements straight to the driver, each of them on its own."""

    compiled = True

    def __init__(self, engine: AsyncEngine, liveness: Liveness, *, again: bool) -> None:
        self._engine = engine.sync_engine
        self._liveness = liveness
        self._writes = not again
        self._held: PoolProxiedConnection | None = None
        self._run = _FETCHES[engine.dialect.driver]

    @property
    def dialect(self) -> Dialect:
        """The engine's dialect."""
        return self._engine.dialect

    async def __aenter__(self) -> Self:
        self._held = self._liveness.take(self._engine) or await self._take()
        return self

    async def _take(self) -> PoolProxiedConnection:
        try:
            return await greenlet_spawn(self._engine.raw_connection)
        except (SQLModelKitError, sa.SQLAlchemyError):
            raise
        except Exception as error:
            wrapped = sa.DBAPIError("", None, error)
            raise (refusal(error) or translate(wrapped) or error) from error

    async def __aexit__(self, *error: object) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        if not self._liveness.leave(self._engine, held):
            await self._liveness.give_back(self._engine, held)

    async def fetch(self, statement: Compiled | Statement, values: Mapping[str, Any]) -> Rows:
        """Run a statement with values for its parameters.

        Raises:
            SQLModelKitError: The database refused it, or could not be reached.
        """
        if not isinstance(statement, Compiled):
            raise TypeError("A lone wire takes compiled statements only.")
        arguments = statement.arguments(values)
        try:
            return statement.read(await self._send(statement.text, arguments))
        except ConnectionLost:
            if self._writes:
                raise
        # Reading twice does no harm, and the next connection has been tested.
        self._held = await self._take()
        return statement.read(await self._send(statement.text, arguments))

    async def _send(self, text: str, arguments: tuple[Any, ...]) -> Rows:
        held = self._held
        if held is None:
            raise ConnectionLost
        try:
            rows: Rows = await self._ask(held, text, arguments)
        except BaseException as error:
            ours = self._meaning(error, text)
            if ours is None or isinstance(ours, _UNCLEAR):
                # Nobody knows in what state it is.
                self._held = None
                self._liveness.doubt()
                reason = error if isinstance(error, Exception) else None
                await whole(greenlet_spawn(held.invalidate, reason))
            if ours is None:
                raise
            raise ours from error
        return rows

    async def _ask(self, held: PoolProxiedConnection, text: str, arguments: tuple[Any, ...]) -> Any:
        driver, patience = held.driver_connection, held.info.get(PATIENCE)
        if patience is None:
            return await self._run(driver, text, arguments)
        return await patiently(lambda: self._run(driver, text, arguments), patience)

    def _meaning(self, error: BaseException, text: str) -> Exception | None:
        if not isinstance(error, Exception):
            return None
        ours = refusal(error)
        if ours is not None:
            silent = self._writes and isinstance(error, OSError)
            return CommitUnknown(hint=UNKNOWN) if silent else ours
        # The MySQL drivers stumble over their own lost connections with errors of Python's.
        stumbled = isinstance(error, (AttributeError, RuntimeError))
        lost = stumbled or self._liveness.dead(self._held)
        wrapped: Exception = sa.DBAPIError.instance(
            text,
            None,
            error,
            Exception,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=self._engine.dialect,
        )
        if self._writes and is_unanswered(wrapped):
            return CommitUnknown(hint=UNKNOWN)
        return translate(wrapped) or wrapped


async def _fetch_asyncpg(driver: Any, text: str, arguments: tuple[Any, ...]) -> Any:
    return await driver.fetch(text, *arguments)


async def _fetch_aiosqlite(driver: Any, text: str, arguments: tuple[Any, ...]) -> Any:
    return await driver.execute_fetchall(text, arguments)


async def _fetch_mysql(driver: Any, text: str, arguments: tuple[Any, ...]) -> Any:
    async with driver.cursor() as cursor:
        await cursor.execute(text, arguments)
        return await cursor.fetchall()


_FETCHES: Mapping[str, Fetch] = {
    "asyncpg": _fetch_asyncpg,
    "aiosqlite": _fetch_aiosqlite,
    "asyncmy": _fetch_mysql,
    "aiomysql": _fetch_mysql,
}


def overheard(engine: AsyncEngine, liveness: Liveness) -> bool:
    """Tell whether somebody else listens to the statements of an engine, or logs them."""
    sync_engine = engine.sync_engine
    heard: Any = sync_engine.dispatch
    dialect: Any = sync_engine.dialect.dispatch
    # Asked for every statement, and written out, for loops over names take several times as long.
    return bool(
        heard.before_cursor_execute
        or heard.after_cursor_execute
        or heard.before_execute
        or heard.after_execute
        or heard.engine_connect
        or heard.rollback
        or dialect.do_execute
        or dialect.do_execute_no_params
        or len(heard.begin) > liveness.begins
        or len(heard.commit) > _OWN_COMMIT_LISTENERS
        or len(dialect.handle_error) > _OWN_ERROR_HANDLERS
        or engine.echo
        or _LOG.isEnabledFor(logging.INFO)
    )


def lone(
    engine: AsyncEngine, *, reading: bool, compiled: bool = True
) -> AbstractAsyncContextManager[Wire]:
    """Open a wire for statements that stand alone: each is its own transaction.

    Args:
        engine: The engine whose pool gives the connection.
        reading: Whether nothing is written, so that what was lost can be asked again.
        compiled: Whether all of them have been compiled, which the driver takes no others.
    """
    options = engine.get_execution_options()
    liveness = options.get(LIVENESS)
    if (
        not compiled
        or liveness is None
        or not liveness.direct
        or _SCHEMAS in options
        or overheard(engine, liveness)
    ):
        return _begun(engine)
    return DriverWire(engine, liveness, again=reading)


@asynccontextmanager
async def _begun(engine: AsyncEngine) -> AsyncIterator[Wire]:
    async with borrowed(engine) as connection:
        transaction = await connection.begin()
        yield ConnectionWire(connection)
        try:
            await whole(transaction.commit())
        except Exception as error:
            if is_unanswered(error):
                raise CommitUnknown(hint=UNKNOWN) from error
            raise
