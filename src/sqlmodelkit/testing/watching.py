"""Which mistakes a test makes that nothing else would show: lost writes, sessions left open.

Start at `WatchedDatabase`.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from sqlmodelkit.callers import here
from sqlmodelkit.database import Database
from sqlmodelkit.events import QueryEvent
from sqlmodelkit.scopes import Scope
from sqlmodelkit.sessions import AsyncSession
from sqlmodelkit.transactions import Isolation

_WRITING = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/|\()*"
    r"((INSERT|UPDATE|DELETE|MERGE|REPLACE)\b"
    r"|WITH\b.*\b((INSERT|MERGE|REPLACE)\s+INTO|DELETE\s+FROM|UPDATE\s+\S+\s+SET)\b)",
    re.IGNORECASE | re.DOTALL,
)


class WatchedDatabase(Database):
    """A `Database` that remembers what was written and not committed, and what was not closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Prepare the engine; see `Database`."""
        super().__init__(*arguments, **options)
        self._open_at: dict[object, str] = {}
        self._lost_at: list[str] = []
        self._told: set[object] = set()

    @asynccontextmanager
    async def session(
        self, *, scope: Scope | Mapping[str, Any] | None = None
    ) -> AsyncIterator[AsyncSession]:
        """Open a session as `Database` does; what it writes and does not commit is remembered."""
        with self._opened() as place:
            async with super().session(scope=scope) as session:
                with _writes(session) as written:
                    yield session
                # A row is called dirty also when it was given the value that it had.
                changed = any(session.is_modified(row) for row in session.dirty)
                if changed or session.new or session.deleted or written:
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

    @property
    def held(self) -> frozenset[object]:
        """What is open now, as `mistakes` may be told."""
        return frozenset(self._open_at)

    def mistakes(self, *, apart_from: Collection[object] | None = None) -> list[str]:
        """Say what a test has left open or lost until now, each with its line and once.

        Args:
            apart_from: What may be open, because fixtures close it after the test; left out,
                everything has to be closed, connections that we did not give out included.
        """
        left = {
            mark: place
            for mark, place in self._open_at.items()
            if mark not in self._told and mark not in (apart_from or ())
        }
        found = [f"A session was opened at {place} and not closed." for place in left.values()]
        self._told.update(left)
        in_use = self.pool_status()["in_use"]
        if apart_from is None and in_use and not self._told:
            found = [f"{in_use} connection(s) are still in use: a session was not closed."]
        lost, self._lost_at = self._lost_at, []
        return found + [
            f"The session of {place} wrote and did not commit: nothing is stored. "
            "Use db.transaction(), or commit, or roll back to say that it is meant."
            for place in lost
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
def _writes(session: AsyncSession) -> Iterator[list[list[SessionTransaction]]]:
    """Collect where a session writes, savepoints innermost, until it is committed or undone."""
    written: list[list[SessionTransaction]] = []
    mine: list[Connection] = []
    bind, sync = session.get_bind(), session.sync_session

    def begun(_: Session, transaction: SessionTransaction, connection: Connection) -> None:
        mine.append(connection)

    def sent(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        # Others, such as a request in the same test, write by connections of their own. Asking
        # the session for its one would take one, in the middle of what another task does.
        own = any(one is connection for one in mine)
        lasting = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if own and not lasting and _WRITING.match(statement):
            written.append(_around(sync))

    def committed(_: Session) -> None:
        # Of a savepoint that is released, what it is in decides.
        if sync.get_nested_transaction() is None:
            written.clear()

    def undone(_: Session, transaction: SessionTransaction) -> None:
        written[:] = [inside for inside in written if transaction not in inside]

    listening: list[tuple[Any, str, Any]] = [
        (bind, "before_cursor_execute", sent),
        (sync, "after_begin", begun),
        (sync, "after_commit", committed),
        (sync, "after_soft_rollback", undone),
    ]
    for target, name, hook in listening:
        event.listen(target, name, hook)
    try:
        yield written
    finally:
        for target, name, hook in listening:
            event.remove(target, name, hook)


def _around(session: Session) -> list[SessionTransaction]:
    """Return the savepoints that a session is in, the innermost first, and its transaction."""
    inside = session.get_nested_transaction() or session.get_transaction()
    found = []
    while inside is not None:
        found.append(inside)
        inside = inside.parent
    return found


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
