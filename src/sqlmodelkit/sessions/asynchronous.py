"""The session that applications have: committed and ended whole, and followed by what waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from sqlmodelkit.cancellation import whole
from sqlmodelkit.scopes import UNSET, Scope

from .guarded import AfterCommit, GuardedSession
from .translated import translating

_LOG = logging.getLogger("sqlmodelkit.transactions")


class AsyncSession(SQLModelAsyncSession):
    """SQLModel's `AsyncSession` that never loads lazily and shows only what is in scope.

    Two tasks that use it at once are refused: a session is one transaction, and what one of them
    rolls back would be lost for the other.
    """

    sync_session_class = GuardedSession
    sync_session: GuardedSession  # pyright: ignore[reportIncompatibleVariableOverride] - always is one

    def __init__(self, *arguments: Any, scope: Scope = UNSET, **options: Any) -> None:
        """Open a session as SQLAlchemy does, limited to a scope.

        Args:
            arguments: As SQLAlchemy's.
            scope: What it sees and writes of tables with rules.
            options: As SQLAlchemy's.
        """
        super().__init__(*arguments, **options)
        self.sync_session.scope = scope

    @property
    def scope(self) -> Scope:
        """What this session sees and writes of tables with rules."""
        return self.sync_session.scope

    def enter(self, scope: Scope | Mapping[str, Any]) -> None:
        """Limit the session further: a value can be added, and none exchanged.

        Raises:
            ConfigError: It has another value for a rule.
        """
        self.sync_session.scope = self.scope.joined(Scope.of(scope))

    async def check_references(self, model: type[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse rows whose foreign keys lead out of scope, before they are written.

        What the session flushes is checked by itself; this is for statements made by hand.

        Args:
            model: The table model.
            rows: Values by attribute.

        Raises:
            ForeignKeyViolation: One does, as if the row that it refers to were missing.
        """
        if rows and self.scope.references(model):
            await self.run_sync(lambda session: self.sync_session.check_references(model, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run a block that can be undone by itself: when it raises, only its changes are lost.

        Raises:
            SQLModelKitError: A statement of the block, or its flush, was refused.
        """
        with translating():
            async with self.begin_nested():
                yield

    def after_commit(self, hook: AfterCommit) -> None:
        """Call a function when what was done so far is durable.

        Functions are called in the order given, after the COMMIT and with the connection given
        back, in the task that commits. They are forgotten when their transaction, or the savepoint
        in which they were given, is rolled back. An exception in one of them is logged and neither
        keeps the others from running nor makes the commit look failed. A process that dies between
        the commit and the call never calls it.

        Args:
            hook: A function without arguments; when it returns something to await, that is awaited.
        """
        session = self.sync_session
        if not session.in_transaction():
            session.begin()
        session.waiting.append(
            (session.get_nested_transaction() or session.get_transaction(), hook)
        )

    async def commit(self) -> None:
        """Make durable what was done, and then call what waits for it.

        A task that is cancelled meanwhile ends when all of it is done.

        Raises:
            CommitUnknown: The connection was lost before the database answered.
        """
        # What has to be written first may be cancelled: nothing of it is stored yet.
        session = self.sync_session
        if session.new or session.dirty or session.deleted:
            await self.flush()
        await whole(self._commit())

    async def _commit(self) -> None:
        await super().commit()
        session = self.sync_session
        if session.due:
            due, session.due = session.due, []
            for hook in due:
                await _call(hook)

    async def rollback(self) -> None:
        """Undo what was not committed, and give the connection back."""
        await whole(super().rollback())

    def begin(self) -> AsyncSessionTransaction:
        """Begin a transaction that ends with a block: `async with session.begin():`."""
        return _Begun(self)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other tasks from using the session while the block runs.

        Raises:
            ConfigError: Another task is in the middle of using it.
        """
        first = self.sync_session.enter()
        try:
            yield
        finally:
            if first:
                self.sync_session.leave()

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        session = self.sync_session
        before, session.ended = session.ended, True
        try:
            while session.user is not None and session.user is not asyncio.current_task():
                # A task that was not waited for is still asking: till then the connection is its.
                session.left = asyncio.get_running_loop().create_future()
                await session.left
            await super().close()
        finally:
            session.ended = before
            session.waiting.clear()

    async def end(self) -> None:
        """Close the session for good: who uses it later is told so."""
        session = self.sync_session
        session.ended = True
        if session.in_transaction() or session.user is not None:
            await whole(self.close())
        else:
            # There is nothing to wait for.
            await self.close()


class _Begun(AsyncSessionTransaction):
    """A transaction of `AsyncSession.begin`: committed as by the session, with all that follows."""

    async def commit(self) -> None:
        await self.session.commit()

    async def __aexit__(self, type_: Any, value: Any, traceback: Any) -> None:  # noqa: PYI036 - as SQLAlchemy's
        transaction = self.sync_transaction
        if type_ is None and transaction is not None and transaction.is_active:
            try:
                await self.session.commit()
            except BaseException as error:
                await super().__aexit__(type(error), error, error.__traceback__)
                raise
        await super().__aexit__(type_, value, traceback)


async def _call(hook: AfterCommit) -> None:
    try:
        result = hook()
        if isawaitable(result):
            await result
    except Exception:  # noqa: BLE001
        # The commit has been made: an error here must not be taken for its failure.
        _LOG.exception("A function that was to run after a commit failed: %r", hook)
