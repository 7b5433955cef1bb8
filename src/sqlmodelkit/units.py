"""A unit of work: what is read and changed together, and the connection it happens on. Ring 5.

Start at `UnitOfWork`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from sqlite3 import sqlite_version_info
from types import TracebackType
from typing import Any, Literal, Self

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .columns import cached
from .connections import SEAL
from .cursors import Seal
from .errors import ConfigError
from .scopes import UNSET, Scope
from .sessions import AfterCommit, AsyncSession, narrowed, overseen, translating
from .wires import ConnectionWire, SessionWire, Wire, lone


class UnitOfWork:
    """One unit of work, whose session is opened when it is needed.

    A unit that only reads, by response models, needs none: each statement stands alone. Once the
    session has begun a transaction, everything of the unit happens in it.

    Attributes:
        engine: Where it happens.
        dialect: The database's name, as SQLAlchemy says it.
    """

    def __init__(
        self,
        engine: AsyncEngine | AsyncConnection,
        *,
        reading: bool = False,
        bound: bool = False,
        session: AsyncSession | None = None,
        scope: Scope = UNSET,
    ) -> None:
        """Prepare a unit of work.

        Args:
            engine: Where it happens.
            reading: Whether nothing that is read has to stay true until the end.
            bound: Whether what is written has to be written in the transactions of the engine,
                which are of a certain kind: then no write stands alone.
            session: Its session, when there is one already.
            scope: What it sees and writes of tables with rules; that of its session, if any.
        """
        self.engine = engine
        self._lone = engine if isinstance(engine, AsyncEngine) and session is None else None
        self._reading = reading
        self._bound = bound
        self._session = session
        self._scope = scope
        self._dialect: Dialect = engine.dialect
        self.dialect = self._dialect.name

    @classmethod
    def of(cls, session: AsyncSession) -> "UnitOfWork":
        """Return the unit of work that a session belongs to.

        Raises:
            ConfigError: The session is bound to no database.
        """
        if session.bind is None:
            raise ConfigError("The session has no engine.", hint="Take it from a Database.")
        return cls(session.bind, session=session)

    @property
    def session(self) -> AsyncSession:
        """The session of this unit of work; its first statement begins the transaction."""
        if self._session is None:
            self._session = AsyncSession(self.engine, expire_on_commit=False, scope=self._scope)
        return self._session

    @property
    def scope(self) -> Scope:
        """What this unit of work sees and writes of tables with rules."""
        return self._scope if self._session is None else self._session.scope

    def enter(self, scope: Scope | Mapping[str, Any]) -> None:
        """Limit the unit of work further: a value can be added, and none exchanged.

        Raises:
            ConfigError: It has another value for a rule.
        """
        if self._session is None:
            self._scope = self._scope.joined(Scope.of(scope))
        else:
            self._session.enter(scope)

    @property
    def begun(self) -> bool:
        """Whether the session is in a transaction, or holds what has to be written."""
        session = self._session
        return session is not None and (session.in_transaction() or bool(session.new))

    @property
    def holds_rows(self) -> bool:
        """Whether the session knows rows, which a change behind its back would leave stale."""
        session = self._session
        return session is not None and bool(session.new or session.identity_map)

    @property
    def server(self) -> tuple[str, tuple[int, ...]]:
        """The database's own name and version, which is empty before the first connection."""
        dialect: Any = self._dialect
        if self.dialect == "sqlite":
            return "sqlite", sqlite_version_info
        name = "mariadb" if getattr(dialect, "is_mariadb", False) else self.dialect
        return name, _numbers(getattr(dialect, "server_version_info", None) or ())

    @property
    def seal(self) -> Seal:
        """What cursors are sealed with.

        Raises:
            ConfigError: Nobody gave a secret.
        """
        seal = self.engine.sync_engine.get_execution_options().get(SEAL)
        if not isinstance(seal, Seal):
            raise ConfigError(
                "Cursors need a secret, the same in every process.",
                hint="Set DB_CURSOR_SECRET to 32 random characters or more, as made by "
                'python -c "import secrets; print(secrets.token_urlsafe())".',
                fields=["cursor_secret"],
            )
        return seal

    def can_return(self, verb: Literal["insert", "update"]) -> bool:
        """Tell whether the database answers the rows that it writes."""
        dialect = self._dialect
        return dialect.insert_returning if verb == "insert" else dialect.update_returning

    def wire(
        self,
        *,
        compiled: bool = True,
        writing: bool = False,
        last: bool = False,
        overseen: bool | None = None,
    ) -> AbstractAsyncContextManager[Wire]:
        """Give a wire for this unit's statements.

        Args:
            compiled: Whether all of them have been compiled.
            writing: Whether they write, and so are part of the transaction.
            last: Whether what is written is one statement, and the last of the unit: then it may
                stand alone all the same.
            overseen: What `overseen` says, if the caller has just asked.
        """
        if self.overseen if overseen is None else overseen:
            return self._watched()
        alone = (last and not self._bound) if writing else self._reading
        if alone and self._lone is not None and not self.begun:
            return lone(self._lone, reading=not writing, compiled=compiled)
        return self._joined()

    @property
    def overseen(self) -> bool:
        """Whether an application listens to what the session does, and so must hear of it all."""
        return overseen(self._session)

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[Wire]:
        session = self.session
        with session.in_use():
            await session.flush()
            yield ConnectionWire(await session.connection())

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[Wire]:
        yield SessionWire(self.session)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[AsyncSession]:
        """Give another session that sees what this unit sees, and keeps its rows to itself.

        Raises:
            ConfigError: The application narrows what this very session sees, and no other.
        """
        if narrowed(self._session) and not narrowed(None):
            raise ConfigError(
                "Only this session has a listener for do_orm_execute.",
                hint="Listen to sqlalchemy.orm.Session: response models are read by sessions too.",
            )
        if self._reading and not self.begun:
            async with AsyncSession(self.engine, scope=self.scope) as session:
                yield session
        else:
            await self.session.flush()
            connection = await self.session.connection()
            async with AsyncSession(
                connection, join_transaction_mode="rollback_only", scope=self.scope
            ) as session:
                yield session

    def after_commit(self, hook: AfterCommit) -> None:
        """Call a function when what was done is durable, as `AsyncSession.after_commit`."""
        self.session.after_commit(hook)

    async def __aenter__(self) -> Self:
        """Begin; nothing is sent before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or roll back when the block was left by an exception; then close.

        Raises:
            SQLModelKitError: A database error left the block, or the commit failed.
        """
        if error is None and self._session is None:
            return
        try:
            if error is None:
                with translating():
                    await self.commit()
            else:
                translating().__exit__(kind, error, trace)
        finally:
            await self.close()

    async def commit(self) -> None:
        """Make durable what was done, even when the task is cancelled meanwhile.

        Raises:
            CommitUnknown: The connection was lost before the database answered.
        """
        if self._session is not None:
            await self._session.commit()

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        if self._session is not None:
            await self._session.end()


@cached
def _numbers(version: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(part for part in version if isinstance(part, int))
