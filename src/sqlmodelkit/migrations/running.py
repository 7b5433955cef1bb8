"""Migrations that run: once, whoever else starts them too, and with an account of what was done.

Start at `upgrade`.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from sqlmodelkit.drivers import sqlstate, translate
from sqlmodelkit.errors import (
    ConfigError,
    ConnectionLost,
    Locked,
    QueryTimeout,
    SerializationFailure,
    SQLModelKitError,
)
from sqlmodelkit.transactions import held

from .environment import (
    LOCK_TIMEOUT,
    connected,
    engine_of,
    on_connection,
    scripts_of,
)
from .journal import Journal, changes
from .place import Schema
from .states import heads_in, unknown_in

ATTEMPTS = 10
LOCK = "migrations"
_PAUSE = 0.5
_THERE_ALREADY = frozenset({"42P06", "42P07", "42701", "42710"})
_CONCURRENTLY = re.compile(
    r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?(\"[^\"]+\"|[\w.]+)", re.IGNORECASE
)
_IS_HALF = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid"


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that was run: which, what it says of itself, and how long it took."""

    revision: str
    message: str
    seconds: float
    up: bool = True


Progress = Callable[[Step], None]
"""Called after each migration that was run."""


async def upgrade(
    schema: Schema,
    target: str = "heads",
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    attempts: int = ATTEMPTS,
    wait: float | None = None,
    progress: Progress | None = None,
) -> list[Step]:
    """Run the migrations that the database lacks, and return them; none when it has them all.

    Processes that start together run them once: the others wait and see that nothing is left.

    Args:
        schema: What the migrations are about.
        target: The revision to reach; `+1` is the next one.
        lock_timeout: The most seconds to wait for a table; shorter waits hold up fewer requests.
        attempts: How often a migration is tried whose table was in use.
        wait: The most seconds to wait for another process that migrates; None is without limit.
        progress: Called after each migration.

    Raises:
        ConfigError: There is no such revision, or a migration failed; it says what was applied.
        Locked: Another process migrates, or a table was in use all the time.
        Unavailable: The database does not answer.
    """
    scripts = scripts_of(schema)
    if target in ("head", "heads"):
        async with connected(schema.settings, reading=True) as connection:
            if set(await heads_in(connection)) == set(scripts.get_heads()):
                return []
    work = _Work(schema, lambda config: command.upgrade(config, target), progress)
    return await _locked(work, lock_timeout=lock_timeout, attempts=attempts, wait=wait)


async def downgrade(
    schema: Schema,
    target: str,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    attempts: int = ATTEMPTS,
    wait: float | None = None,
    progress: Progress | None = None,
) -> list[Step]:
    """Undo migrations down to a revision, and return those that were undone, the newest first.

    What a migration added is lost with what is in it.

    Args:
        schema: What the migrations are about.
        target: The revision to come back to; `-1` is the one before, `base` is before all.
        lock_timeout: As in `upgrade`.
        attempts: As in `upgrade`.
        wait: As in `upgrade`.
        progress: As in `upgrade`.

    Raises:
        ConfigError: There is no such revision, or a migration failed; it says what was undone.
        Locked: Another process migrates, or a table was in use all the time.
        Unavailable: The database does not answer.
    """
    scripts_of(schema)
    work = _Work(schema, lambda config: command.downgrade(config, target), progress)
    return await _locked(work, lock_timeout=lock_timeout, attempts=attempts, wait=wait)


async def stamp(schema: Schema, target: str = "heads") -> None:
    """Note that the database is at a revision, without running anything.

    A revision that the database is at and that is not among the migrations is forgotten.

    Raises:
        ConfigError: There is no such revision.
        Unavailable: The database does not answer.
    """
    scripts = scripts_of(schema)
    async with connected(schema.settings) as connection:
        purge = bool(unknown_in(scripts, await heads_in(connection)))
        await on_connection(
            connection, lambda config: command.stamp(config, target, purge=purge), schema
        )


async def _locked(
    work: "_Work", *, lock_timeout: float, attempts: int, wait: float | None
) -> list[Step]:
    settings = work.schema.settings
    options = engine_of(settings, lock_timeout=lock_timeout)
    async with (
        connected(settings, lock_timeout=lock_timeout) as connection,
        held(connection, options, LOCK, wait),
    ):
        for attempt in range(1, attempts + 1):
            try:
                await work.run(connection)
                break
            except _InUse as error:
                await connection.rollback()
                if attempt == attempts:
                    raise Locked(
                        f"A table was in use by somebody else, {attempts} times for "
                        f"{lock_timeout:g} seconds. {work.account()}",
                        hint="Find the long transaction, or give more --attempts.",
                    ) from error.__cause__
                await asyncio.sleep(_PAUSE * attempt)
    return work.done


class _InUse(Exception):
    """A lock could not be had in time: trying again may work."""


class _Work:
    """What is run on a connection, perhaps several times, until everything is done."""

    def __init__(
        self, schema: Schema, work: Callable[[Config], Any], progress: Progress | None
    ) -> None:
        self.schema = schema
        self.done: list[Step] = []
        self._work = work
        self._progress = progress
        self._since = monotonic()
        self._statements: list[str] = []
        self._committed = 0
        self._broken: Counter[tuple[str, str]] = Counter()
        self._current = ""
        self._transactional = True
        self._journal: Journal | None = None

    async def run(self, connection: AsyncConnection) -> None:
        self._since, self._statements, self._committed = monotonic(), [], 0
        self._transactional = connection.dialect.name in ("postgresql", "sqlite")
        self._journal = None if self._transactional else Journal()
        sync: Any = connection.sync_connection
        event.listen(sync, "after_cursor_execute", self._executed)
        event.listen(sync, "before_cursor_execute", self._executing)
        try:
            await on_connection(
                connection, self._noted, self.schema, on_version_apply=[self._applied]
            )
        except SQLModelKitError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            event.remove(sync, "after_cursor_execute", self._executed)
            event.remove(sync, "before_cursor_execute", self._executing)

    def account(self) -> str:
        """Say what was applied and stays."""
        steps = ", ".join(step.revision for step in self.done)
        return f"Before that {steps} were applied and stay." if steps else "Nothing was applied."

    def _noted(self, config: Config) -> None:
        connection = config.attributes["sqlmodelkit"].connection
        if connection.dialect.name == "sqlite":
            self._broken = _broken(connection)
            connection.rollback()
        with self._journal.open(connection) if self._journal else nullcontext():
            self._work(config)

    def _applied(self, *, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        if ctx.dialect.name == "sqlite":
            _check_references(ctx.connection, self._broken)
        if self._journal is not None:
            self._journal.finish(ctx.connection)
        now, script = monotonic(), step.up_revision
        found = Step(script.revision, script.doc, now - self._since, step.is_upgrade)
        self._since, self._statements, self._committed = now, [], 0
        self.done.append(found)
        if self._progress is not None:
            self._progress(found)

    def _executing(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self._current = statement
        if _commits_at_once(connection):
            # So has been what came before, when this began.
            self._committed = len(self._statements)
            _drop_half_an_index(connection, statement)

    def _executed(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if changes(statement):
            self._statements.append(statement)
            if _commits_at_once(connection):
                self._committed = len(self._statements)

    def _failure(self, error: Exception) -> Exception:
        ours = translate(error) if isinstance(error, DBAPIError) else None
        if isinstance(ours, (QueryTimeout, SerializationFailure)):
            return _InUse()
        if isinstance(ours, ConnectionLost):
            return ours
        reason = str(getattr(error, "orig", None) or error).strip()
        statement = f" at {_short(self._current)}" if isinstance(error, DBAPIError) else ""
        return ConfigError(
            f"A migration failed{statement}: {reason}. {self.account()} {self._left()}",
            hint=self._hint(error),
        )

    def _kept(self) -> list[str]:
        """Return the statements of the failed migration that are committed."""
        return self._statements[: self._committed] if self._transactional else self._statements

    def _left(self) -> str:
        kept = self._kept()
        if not kept:
            return "Of the failed one nothing is left."
        told = "; ".join(_short(each) for each in kept)
        return f"Of the failed one these statements are applied and stay: {told}."

    def _hint(self, error: Exception) -> str:
        if not self._transactional:
            return (
                "Correct what failed, leave the applied statements in the migration as they are, "
                "and run it again: it goes on after them."
            )
        if self._kept():
            return (
                "Take out of the migration what is applied, correct what failed, and run it again."
            )
        hint = "Correct the migration or the data, and run it again."
        if isinstance(error, DBAPIError) and sqlstate(error) in _THERE_ALREADY:
            hint += (
                " If an earlier run was stopped after an autocommit_block, take out of the "
                "migration what it has left."
            )
        return hint


def _commits_at_once(connection: Connection) -> bool:
    """Tell whether a migration has left its transaction, as for an index CONCURRENTLY."""
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


def _drop_half_an_index(connection: Connection, statement: str) -> None:
    """Drop an index that an earlier run began CONCURRENTLY and did not finish."""
    found = _CONCURRENTLY.match(statement)
    if found is None or connection.dialect.name != "postgresql":
        return
    cursor = connection.connection.cursor()
    try:
        cursor.execute(_IS_HALF, (found[1],))
        if cursor.fetchone() is not None:
            cursor.execute(f"DROP INDEX CONCURRENTLY {found[1]}", ())
    finally:
        cursor.close()


def _broken(connection: Connection) -> Counter[tuple[str, str]]:
    """Count the rows that refer to nothing, by their table and the one that they refer to."""
    found = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return Counter((table, parent) for table, _, parent, _ in found)


def _check_references(connection: Connection, before: Counter[tuple[str, str]]) -> None:
    for (table, parent), rows in (_broken(connection) - before).items():
        raise ConfigError(
            f"{rows} rows of {table} would refer to rows of {parent} that are not there.",
            hint="Nothing was applied. Mend the data in the migration.",
        )


def _short(statement: str) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= 160 else f"{line[:157]}..."
