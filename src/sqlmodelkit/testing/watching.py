"""Which mistakes a test makes that nothing else would show: lost writes, sessions left open.

Start at `WatchedDatabase`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, event

from sqlmodelkit.callers import here
from sqlmodelkit.database import Database
from sqlmodelkit.events import QueryEvent
from sqlmodelkit.scopes import Scope
from sqlmodelkit.sessions import AsyncSession
from sqlmodelkit.transactions import Isolation

_WRITING = ("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE")


class WatchedDatabase(Database):
    """A `Database` that remembers what was written and not committed, and what was not closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Prepare the engine; see `Database`."""
        super().__init__(*arguments, **options)
        self._open_at: dict[object, str] = {}
        self._lost_at: list[str] = []

    @asynccontextmanager
    async def session(
        self, *, scope: Scope | Mapping[str, Any] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """Open a session as `Database` does; what it writes and does not commit is remembered."""
        with self._opened() as place:
            async with super().session(scope=scope) as session:
                with _writes(session) as written:
                    yield session
                pending = [*session.new, *session.dirty, *session.deleted]
                if pending or session.sync_session.get_transaction() in written:
                    self._lost_at.append(place)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        immediate: bool = True,
        isolation: Isolation | None = None,
        read_only: bool = False,
        scope: Scope | Mapping[str, Any] | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """Open a unit of work as `Database` does."""
        with self._opened():
            async with super().transaction(
                immediate=immediate, isolation=isolation, read_only=read_only, scope=scope
            ) as session:
                yield session

    def mistakes(self) -> list[str]:
        """Say what a test has left open or lost until now, each with its line."""
        found = [
            f"A session was opened at {place} and not closed." for place in self._open_at.values()
        ]
        in_use = self.pool_status()["in_use"]
        if in_use and not found:
            found = [f"{in_use} connection(s) are still in use: a session was not closed."]
        return found + [
            f"The session of {place} wrote and did not commit: nothing is stored. "
            "Use db.transaction(), or commit, or roll back to say that it is meant."
            for place in self._lost_at
        ]

    @contextmanager
    def _opened(self) -> Iterator[str]:
        mark, place = object(), here()
        self._open_at[mark] = place
        try:
            yield place
        finally:
            del self._open_at[mark]


@contextmanager
def _writes(session: AsyncSession) -> Iterator[list[object]]:
    """Collect the transactions of a session in which it writes."""
    written: list[object] = []
    bind = session.get_bind()

    def sent(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        # Others, such as a request in the same test, write by connections of their own.
        if (
            statement.lstrip().upper().startswith(_WRITING)
            and session.in_transaction()
            and session.sync_session.connection() is connection
        ):
            written.append(session.sync_session.get_transaction())

    event.listen(bind, "before_cursor_execute", sent)
    try:
        yield written
    finally:
        event.remove(bind, "before_cursor_execute", sent)


@contextmanager
def assert_statements(db: Database, number: int) -> Iterator[list[QueryEvent]]:
    """Expect the block to send this many statements, and give them.

    BEGIN and COMMIT do not count.

    Raises:
        AssertionError: It sent more or fewer; the message lists them.
    """
    events: list[QueryEvent] = []
    with db.listening(events.append):
        yield events
    if len(events) != number:
        listed = "".join(f"\n  {event.statement}" for event in events)
        raise AssertionError(f"Expected {number} statement(s), {len(events)} were sent:{listed}")
