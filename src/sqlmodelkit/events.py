"""One `QueryEvent` for each statement, handed to hooks. Ring 1.

Start at `listen`. Counters and traces are hooks, as `slow_log` is; without one nothing is measured.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine, event

from .callers import here

_LOG = logging.getLogger("sqlmodelkit.slow")


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """A statement that the database has answered.

    Attributes:
        statement: The SQL text with placeholders; parameters are never part of an event.
        duration_ms: From sending to the answer, in milliseconds.
        rowcount: Rows changed, or -1 where the driver does not say.
        many: Whether the statement was sent for several parameter sets at once.
    """

    statement: str
    duration_ms: float
    rowcount: int
    many: bool


Hook = Callable[[QueryEvent], None]
"""Called once for each statement, in the task that sent it; it must not block or await."""


def slow_log(over_ms: float = 100.0) -> Hook:
    """Return a hook that warns of each statement that takes longer, in the log `sqlmodelkit.slow`.

    The record has the duration, the statement without its values, and the line of the application
    that is behind it.

    Args:
        over_ms: What is too long, in milliseconds.
    """

    def warn(event: QueryEvent) -> None:
        if event.duration_ms > over_ms:
            _LOG.warning("%.0f ms at %s: %s", event.duration_ms, here(), event.statement)

    return warn


def listen(engine: Engine, hook: Hook) -> Callable[[], None]:
    """Call `hook` for every statement of `engine`; the answer is a function that ends it."""
    # Each hook's own mark on the connection: when its statement was sent.
    mark = object()

    def before(
        conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        conn.info[mark] = perf_counter()

    def after(
        conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        started = conn.info.pop(mark, None)
        if statement.startswith(("BEGIN", "START TRANSACTION", "SET TRANSACTION")):
            # Some drivers begin transactions out of our sight; what we send is no more to be seen.
            return
        elapsed = 0.0 if started is None else (perf_counter() - started) * 1000
        hook(QueryEvent(statement, elapsed, cursor.rowcount, many))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)

    def stop() -> None:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)

    return stop


@contextmanager
def recording(engine: Engine) -> Iterator[list[QueryEvent]]:
    """Collect the events of `engine` while the block runs, from every task."""
    events: list[QueryEvent] = []
    stop = listen(engine, events.append)
    try:
        yield events
    finally:
        stop()
