"""Where the data is: engines, sessions and units of work. Ring 6.

Start at `Database`. It composes `engines` (options), `sessions` and `drivers` (errors).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import AsyncAdaptedQueuePool, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from .connections import create_engine, liveness_of
from .constraints import learn
from .engines import IMMEDIATE, engine_options, writer_options
from .errors import ConfigError
from .events import Hook, listen
from .scopes import Scope
from .sessions import AsyncSession, translating
from .settings import DatabaseSettings
from .transactions import Isolation, Retry, again, character, lasting_lock
from .units import UnitOfWork

T = TypeVar("T")
ONCE_MORE = Retry()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What answered a ping: `dialect` (postgresql, mysql, mariadb or sqlite) and its version."""

    dialect: str
    version: str


class Database:
    """One database: its pool of connections, and the units of work on it.

    ```python
    db = Database()                     # DATABASE_URL, or SQLite in ./app.db
    app = FastAPI(lifespan=db.lifespan)
    ```
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        settings: DatabaseSettings | None = None,
        base: type[SQLModel] = SQLModel,
        hooks: Iterable[Hook] = (),
        create_tables: bool = False,
    ) -> None:
        """Prepare the engine; nothing is connected before the first statement.

        Args:
            url: The address; left out, it comes from the settings.
            settings: Pool and limits; left out, they come from the environment.
            base: The class whose metadata holds the tables.
            hooks: Called with a `QueryEvent` for every statement.
            create_tables: Create missing tables when the application starts; for first steps,
                not in place of migrations.

        Raises:
            ConfigError: A setting is wrong, or the driver is not installed.
        """
        if url is not None and settings is not None:
            raise ConfigError("Both url and settings were given.", hint="Put the url in settings.")
        if settings is None:
            settings = DatabaseSettings() if url is None else DatabaseSettings(url=url)
        self.settings = settings
        self.base = base
        self.create_tables = create_tables
        self._options = engine_options(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._memory: sqlite3.Connection | None = None
        self.engine = create_engine(self._options)
        self._reader = self.engine
        if self._options.single_writer:
            writer = create_engine(writer_options(self._options, settings))
            self.engine = writer.execution_options(**{IMMEDIATE: True})
        self.hooks = tuple(hooks)
        self._only_reading: AsyncEngine | None = None
        self._variants: dict[object, AsyncEngine] = {}
        for hook in self.hooks:
            for engine in self._engines():
                listen(engine.sync_engine, hook)

    def __repr__(self) -> str:
        return f"Database({self.settings.engine_url().render_as_string(hide_password=True)!r})"

    @asynccontextmanager
    async def transaction(
        self,
        *,
        immediate: bool = True,
        isolation: Isolation | None = None,
        read_only: bool = False,
        scope: Scope | Mapping[str, Any] | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """Open a unit of work: committed when the block ends, rolled back when it raises.

        Args:
            immediate: On SQLite, take the write lock with the first statement, so that what is
                read stays true until it is written. Without it reading blocks nobody, and a write
                that comes too late is refused as `SerializationFailure`.
            isolation: How much of other transactions may be seen; left out, what the server is
                set to. SQLite is always serializable.
            read_only: Have the database refuse every write.
            scope: What it sees and writes of tables with rules: `{"tenant": tenant_id}`.

        Raises:
            SQLModelKitError: A database error left the block, or the commit failed.
            CommitUnknown: The connection was lost before the database answered the commit.
            ConfigError: The database belongs to another event loop, or a read-only unit of work
                would write.
        """
        engine = self._engine(immediate=immediate, isolation=isolation, read_only=read_only)
        async with self._open(engine, scope) as session:
            with translating():
                yield session
                await session.commit()

    async def run(
        self,
        work: Callable[[AsyncSession], Awaitable[T]],
        *,
        retry: Retry = ONCE_MORE,
        isolation: Isolation | None = None,
        read_only: bool = False,
        scope: Scope | Mapping[str, Any] | None = None,
    ) -> T:
        """Do a whole unit of work, again if need be, and return what it returns.

        It is done again, in a new session, after `SerializationFailure` only: then nothing of it
        was stored. After any other error, `CommitUnknown` above all, it is not.

        ```python
        async def transfer(session: AsyncSession) -> int: ...

        left = await db.run(transfer, isolation="SERIALIZABLE")
        ```

        Args:
            work: Does everything in the session that it is given; what it does elsewhere is done
                each time.
            retry: How often, and for how long.
            isolation: As in `transaction`.
            read_only: As in `transaction`.
            scope: As in `transaction`.

        Raises:
            SerializationFailure: It met others each time.
            SQLModelKitError: As in `transaction`.
        """
        async for attempt in again(retry):
            with attempt:
                async with self.transaction(
                    isolation=isolation, read_only=read_only, scope=scope
                ) as session:
                    result = await work(session)
                return result  # noqa: RET504 - not before the commit
        raise AssertionError

    @asynccontextmanager
    async def advisory_lock(
        self,
        name: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - its end is `Locked`
    ) -> AsyncIterator[None]:
        """Hold a lock that is only a name while the block runs, whatever units of work are in it.

        It keeps out whoever asks for the same name on the same database, in any process. It takes
        one connection. `advisory_lock(session, name)` holds one until the unit of work ends.

        Args:
            name: The name of the lock.
            timeout: The most seconds to wait; None waits as long as it takes.

        Raises:
            Locked: Somebody else had it all the time.
            ConfigError: A pooler of transactions is between us and the server, which cannot hold
                a lock without a transaction.
        """
        self._enter_loop()
        with translating():
            async with lasting_lock(self._reader, self._options, name, timeout):
                yield

    @asynccontextmanager
    async def session(
        self, *, scope: Scope | Mapping[str, Any] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """Open a session that commits nothing by itself: what was not committed is rolled back.

        Args:
            scope: What it sees and writes of tables with rules: `{"tenant": tenant_id}`.

        Raises:
            SQLModelKitError: A database error left the block.
            ConfigError: The database belongs to another event loop.
        """
        async with self._open(self._reader, scope) as session:
            with translating():
                yield session

    def unit(
        self,
        *,
        reading: bool = False,
        isolation: Isolation | None = None,
        read_only: bool = False,
        scope: Scope | Mapping[str, Any] | None = None,
    ) -> UnitOfWork:
        """Open a unit of work like `transaction`, whose session is opened when it is needed.

        Args:
            reading: Whether nothing that is read has to stay true until the end: then what is
                read by response models stands alone, without a transaction.
            isolation: As in `transaction`; all that is read then happens in the transaction.
            read_only: As in `transaction`.
            scope: What it sees and writes of tables with rules: `{"tenant": tenant_id}`.

        Raises:
            SQLModelKitError: A database error left the block, or the commit failed.
            ConfigError: The database belongs to another event loop, or a read-only unit of work
                would write.
        """
        self._enter_loop()
        return UnitOfWork(
            self._engine(immediate=not reading, isolation=isolation, read_only=read_only),
            reading=reading and isolation is None,
            bound=read_only or isolation is not None,
            scope=Scope.of(scope),
        )

    async def ping(self) -> ServerInfo:
        """Ask the server for its version.

        Raises:
            Unavailable: It does not answer.
            ConfigError: It refuses to let us in.
        """
        dialect = self.engine.dialect.name
        statement = "SELECT sqlite_version()" if dialect == "sqlite" else "SELECT version()"
        if dialect == "postgresql":
            statement = "SHOW server_version"
        async with self.session() as session:
            connection = await session.connection()
            version = str(await connection.scalar(text(statement)))
        if "MariaDB" in version:
            dialect = "mariadb"
        return ServerInfo(dialect, version.split(maxsplit=1)[0].partition("-")[0])

    async def create_all(self) -> None:
        """Create the tables that are missing; for tests and first steps, not for migrations."""
        self._enter_loop()
        with translating():
            async with self.engine.begin() as connection:
                await connection.run_sync(self.base.metadata.create_all)

    async def drop_all(self) -> None:
        """Drop every table of the metadata, with its rows."""
        self._enter_loop()
        with translating():
            async with self.engine.begin() as connection:
                await connection.run_sync(self.base.metadata.drop_all)

    async def close(self) -> None:
        """Close all connections; an in-memory database is gone. It can be used again after.

        Units of work and statements in flight are not cut: the connection of each is closed when
        it has ended.
        """
        for engine in self._engines():
            await liveness_of(engine).retire(engine.sync_engine)
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._loop = None

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """Serve an application from its start to its end: `FastAPI(lifespan=db.lifespan)`.

        Raises:
            Unavailable: Tables shall be created, and the server does not answer.
        """
        self._enter_loop()
        learn()  # the models are all there by now; the first error need not look for them
        try:
            if self.create_tables:
                await self.create_all()
            yield
        finally:
            await self.close()

    def pool_status(self) -> dict[str, int]:
        """Return how many connections are open, in use, and may be opened."""
        engines = self._engines()
        pools = [engine.pool for engine in engines]
        queues = [pool for pool in pools if isinstance(pool, AsyncAdaptedQueuePool)]
        known = [liveness_of(engine) for engine in engines]
        return {
            "open": sum(liveness.open for liveness in known),
            "in_use": sum(pool.checkedout() for pool in queues)
            - sum(liveness.resting for liveness in known),
            "limit": self.settings.pool_size + self.settings.max_overflow,
        }

    @contextmanager
    def listening(self, hook: Hook) -> Iterator[None]:
        """Call a hook for every statement while the block runs, whichever task sends it."""
        if self._options.single_writer:
            self._query_only()
        stops = [listen(engine.sync_engine, hook) for engine in self._engines()]
        try:
            yield
        finally:
            for stop in stops:
                stop()

    def _engines(self) -> tuple[AsyncEngine, ...]:
        engines = (self.engine, self._reader, self._only_reading)
        return tuple(dict.fromkeys(engine for engine in engines if engine is not None))

    def _engine(
        self, *, immediate: bool, isolation: Isolation | None, read_only: bool
    ) -> AsyncEngine:
        """Return the engine whose transactions are as asked."""
        engine = self.engine if immediate else self._reader
        if isolation is None and not read_only:
            return engine
        options = character(self.engine.dialect.name, isolation, read_only=read_only)
        if read_only and self._options.single_writer:
            return self._query_only().execution_options(**options)
        if not options:
            return engine
        form = (immediate, isolation, read_only)
        if form not in self._variants:
            self._variants[form] = engine.execution_options(**options)
        return self._variants[form]

    def _query_only(self) -> AsyncEngine:
        # SQLite has no transactions that only read, but connections that do: they are apart, so
        # that none of them is ever given to somebody who writes.
        if self._only_reading is None:
            pragmas = (*self._options.on_connect, "PRAGMA query_only = ON")
            self._only_reading = create_engine(replace(self._options, on_connect=pragmas))
            for hook in self.hooks:
                listen(self._only_reading.sync_engine, hook)
        return self._only_reading

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            for engine in self._engines():
                liveness_of(engine).renew(engine.sync_engine)
            if self._options.memory is not None:
                self._memory = sqlite3.connect(self._options.memory, uri=True)
        elif self._loop is not loop:
            raise ConfigError(
                "This Database is used in another event loop than before.",
                hint="Make one Database per event loop, or `await db.close()` in the first one.",
            )

    @asynccontextmanager
    async def _open(
        self, engine: AsyncEngine, scope: Scope | Mapping[str, Any] | None
    ) -> AsyncIterator[AsyncSession]:
        self._enter_loop()
        session = AsyncSession(engine, expire_on_commit=False, scope=Scope.of(scope))
        try:
            yield session
        finally:
            await session.end()
