"""The statements that are sent, with their values, so that they can be asked about again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event

from sqlmodelkit.database import Database


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement as the driver got it, and its values."""

    text: str
    values: Any

    @property
    def reads(self) -> bool:
        """Whether the database can be asked for its plan without anything being changed."""
        return self.text.lstrip("( \n").upper().startswith(("SELECT", "WITH"))


@contextmanager
def capturing(db: Database) -> Iterator[list[Sent]]:
    """Collect the statements that a database gets while the block runs."""
    sent: list[Sent] = []

    def keep(
        conn: Connection, cursor: Any, statement: str, values: Any, context: Any, many: bool
    ) -> None:
        ours = conn.engine.url == db.engine.url
        if ours and not statement.startswith(("BEGIN", "START TRANSACTION", "SET ", "PRAGMA")):
            sent.append(Sent(statement, values))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        # Whoever listens to the database itself hears also what would go straight to the driver.
        with db.listening(lambda _: None):
            yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
