"""How far a migration came on an engine that commits each statement by itself (MySQL, MariaDB).

Start at `Journal`. A statement is noted before and after it is run. After a failure or a killed
process the next run leaves out what is done, and goes on with what is not.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import DBAPIError

from sqlmodelkit.errors import ConfigError

from .comparing import JOURNAL

# What a statement is answered that has been done: a table, column, key or constraint is there
# already, or is gone already.
_DONE_ALREADY = frozenset({1050, 1051, 1060, 1061, 1068, 1091, 1146, 1826})
_NO_COLUMN = 1054  # what a renamed column is answered when it is renamed again
_IN_USE = frozenset({1205, 1213})
_DATA = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_SCHEMA = ("ALTER", "CREATE", "DROP", "RENAME", "TRUNCATE")


def changes(statement: str) -> bool:
    """Tell whether a statement changes data or tables, other than those that keep account."""
    word = statement.lstrip().partition(" ")[0].upper()
    kept = "alembic_version" in statement or JOURNAL in statement
    return word in _DATA + _SCHEMA and not kept


class Journal:
    """Notes the statements of one migration in a table beside the others."""

    def __init__(self) -> None:
        self._number = 0
        self._noted: dict[int, tuple[str, bool]] = {}

    @contextmanager
    def open(self, connection: Connection) -> Iterator[None]:
        """Read what an earlier run has left, and note what is run in the block.

        The table is dropped at the end, unless a migration failed.
        """
        if not inspect(connection).has_table(JOURNAL):
            columns = (
                "number INTEGER PRIMARY KEY, statement LONGTEXT NOT NULL, done BOOLEAN NOT NULL"
            )
            connection.execute(text(f"CREATE TABLE {JOURNAL} ({columns})"))
        rows = connection.execute(text(f"SELECT number, statement, done FROM {JOURNAL}"))  # noqa: S608
        self._noted = {number: (told, bool(done)) for number, told, done in rows}
        connection.commit()
        event.listen(connection, "before_cursor_execute", self._before, retval=True)
        event.listen(connection, "after_cursor_execute", self._after)
        try:
            yield
        except DBAPIError as error:
            if not error.connection_invalidated:
                self._forget(connection)
            raise
        finally:
            event.remove(connection, "before_cursor_execute", self._before)
            event.remove(connection, "after_cursor_execute", self._after)
        connection.rollback()
        connection.execute(text(f"DROP TABLE IF EXISTS {JOURNAL}"))
        connection.commit()

    def finish(self, connection: Connection) -> None:
        """Forget the statements of a migration, in the transaction that notes its revision."""
        connection.execute(text(f"DELETE FROM {JOURNAL}"))  # noqa: S608
        self._number, self._noted = 0, {}

    def _forget(self, connection: Connection) -> None:
        """Forget the statement that has failed: it was not done, and may be corrected."""
        connection.rollback()
        _forget_undone(connection)

    def _before(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any
    ) -> tuple[str, Any]:
        if not changes(statement):
            return statement, parameters
        self._number += 1
        told, done = self._noted.get(self._number, (statement, False))
        if told != statement:
            raise ConfigError(
                f"An earlier run of this migration was stopped after {self._number} statements, "
                f"and the last of them was {told!r}; now it is {statement!r}.",
                hint="Put it back as it was, or undo those statements and drop the table "
                f"{JOURNAL}.",
            )
        if done:
            return "DO 0", ()
        if self._number in self._noted:
            self._again(connection, statement, parameters)
            return "DO 0", ()
        if _is_schema(statement):
            _run(
                connection,
                f"INSERT INTO {JOURNAL} VALUES (%s, %s, FALSE)",  # noqa: S608
                (self._number, statement),
            )
        return statement, parameters

    def _after(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any
    ) -> None:
        if not changes(statement):
            return
        if _is_schema(statement):
            self._done(connection)
        else:
            # In one transaction with what it changed.
            _run(
                connection,
                f"INSERT INTO {JOURNAL} VALUES (%s, %s, TRUE)",  # noqa: S608
                (self._number, statement),
            )

    def _again(self, connection: Any, statement: str, parameters: Any) -> None:
        """Run a statement of which nobody knows whether it was done."""
        try:
            _run(connection, statement, parameters)
        except Exception as error:
            code = error.args[0] if error.args else None
            renamed = code == _NO_COLUMN and re.search(r"\b(RENAME COLUMN|CHANGE)\b", statement)
            if code not in _DONE_ALREADY and not renamed:
                if code not in _IN_USE:
                    _forget_undone(connection)
                raise ConfigError(
                    f"A statement that an earlier run did not finish failed: {statement!r}: {error}",
                    hint="Correct what failed, and run the migration again.",
                ) from error
        self._done(connection)

    def _done(self, connection: Any) -> None:
        _run(connection, f"UPDATE {JOURNAL} SET done = TRUE WHERE number = %s", (self._number,))  # noqa: S608
        # The statement has ended the transaction; what follows shall be one again.
        _run(connection, "BEGIN", ())


def _forget_undone(connection: Connection) -> None:
    _run(connection, f"DELETE FROM {JOURNAL} WHERE NOT done", ())  # noqa: S608
    _run(connection, "COMMIT", ())


def _is_schema(statement: str) -> bool:
    return statement.lstrip().partition(" ")[0].upper() in _SCHEMA


def _run(connection: Connection, statement: str, parameters: Any) -> None:
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement, parameters)
    finally:
        cursor.close()
