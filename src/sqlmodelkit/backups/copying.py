"""A database into a file.

Start at `backup`.
"""

import asyncio
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.sessions import translating
from sqlmodelkit.settings import DatabaseSettings

from .counts import Counts, Range, count_rows
from .tools import find_tool, mysql_options, postgresql_environment, run_tool

PAGES = 256


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a database.

    Attributes:
        path: The file.
        dialect: postgresql, mariadb, mysql or sqlite.
        size: Its bytes.
        seconds: How long it took.
        rows: The fewest and the most rows that each table had meanwhile; where both are the same,
            the copy has that many.
    """

    path: Path
    dialect: str
    size: int
    seconds: float
    rows: dict[str, Range]


async def backup(
    path: Path, *, settings: DatabaseSettings | None = None, overwrite: bool = False
) -> Backup:
    """Copy a database into a file, with a list of its rows beside it.

    PostgreSQL is copied by pg_dump in its custom format, MariaDB and MySQL by mariadb-dump or
    mysqldump as SQL, SQLite by its own online backup. Others may write meanwhile; the copy is of
    one moment. The file has its name only when it is whole.

    Args:
        path: The file; beside it comes one with `.json` added.
        settings: The database; left out, the environment's.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        ConfigError: The file is there or its directory is not, the program is not installed, or the
            database is in memory.
        Unavailable: The server does not answer, or the program failed.
    """
    _check(path, overwrite=overwrite)
    settings = patient(settings or DatabaseSettings())
    if settings.engine_url().get_backend_name() == "sqlite" and not file_of(settings).is_file():
        raise ConfigError(
            f"There is no database {file_of(settings)}.", hint="Look at DATABASE_URL."
        )
    part = _begun(path)
    started = time.perf_counter()
    db = Database(settings=settings)
    try:
        dialect = (await db.ping()).dialect
        rows = await _COPIES[dialect](db, part)
        size = await asyncio.to_thread(_settle, part, path)
        made = Backup(path, dialect, size, time.perf_counter() - started, rows)
        await asyncio.to_thread(_note, made)
    finally:
        for left in (part, *(part.with_name(f"{part.name}{end}") for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
        await db.close()
    return made


def _check(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise ConfigError(
            f"{path} is there already.", hint="Name another file, or overwrite it (--overwrite)."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"There is no directory {path.parent}.", hint="Make it first.")


def _begun(path: Path) -> Path:
    """Make the file that is written, which nobody else may read, under a name of its own."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.", hint="Name a file in another directory."
        ) from error
    return part


def patient(settings: DatabaseSettings) -> DatabaseSettings:
    """Return settings by which statements may take as long as they take."""
    unlimited = {"statement_timeout": 0, "idle_in_transaction_timeout": 0}
    return settings.model_copy(update=unlimited)


def list_of(path: Path) -> Path:
    """Return where the list of rows of a backup is."""
    return path.with_name(f"{path.name}.json")


def file_of(settings: DatabaseSettings) -> Path:
    """Return the file of an SQLite database.

    Raises:
        ConfigError: It has none.
    """
    name = settings.engine_url().database
    if not name or name == ":memory:":
        raise ConfigError(
            "An in-memory database ends with its process.", hint="Set DATABASE_URL to a file."
        )
    return Path(name)


def copy_sqlite(source: Path, target: Path, *, stop: threading.Event | None = None) -> None:
    """Copy an SQLite database into another, page by page, while both may be in use."""

    def check(status: int, remaining: int, total: int) -> None:
        if stop is not None and stop.is_set():
            raise InterruptedError

    try:
        with closing(sqlite3.connect(source)) as giving, closing(sqlite3.connect(target)) as taking:
            giving.backup(taking, pages=PAGES, progress=check)
    except sqlite3.Error as error:
        raise ConfigError(f"{source} cannot be copied to {target}: {error}.") from error


async def copy_sqlite_beside(source: Path, target: Path) -> None:
    """Copy in a thread of its own, which ends when the task is cancelled."""
    stop = threading.Event()
    copying = asyncio.create_task(asyncio.to_thread(copy_sqlite, source, target, stop=stop))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(copying, return_exceptions=True)
        raise


async def _sqlite(db: Database, part: Path) -> dict[str, Range]:
    await copy_sqlite_beside(file_of(db.settings), part)
    copy = Database(f"sqlite:///{part}")
    try:
        async with copy.engine.connect() as connection:
            counts = await count_rows(connection)
            # Otherwise it would be read with files beside it, which a copy of one file has not.
            await connection.exec_driver_sql("ROLLBACK")
            await connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
            await connection.exec_driver_sql("BEGIN")
    finally:
        await copy.close()
    return _exact(counts)


async def _postgresql(db: Database, part: Path) -> dict[str, Range]:
    program = find_tool("pg_dump")
    environment = postgresql_environment(db.settings.engine_url())
    with translating():
        async with db.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            connection = await session.connection()
            # pg_dump reads what this transaction sees, so that the rows can be counted in it.
            snapshot = await connection.scalar(text("SELECT pg_export_snapshot()"))
            arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={part}"]
            await run_tool(program, arguments, environment=environment)
            return _exact(await count_rows(connection))


async def _mysql(db: Database, part: Path) -> dict[str, Range]:
    mariadb = (await db.ping()).dialect == "mariadb"
    names = ("mariadb-dump", "mysqldump")
    program = find_tool(*(names if mariadb else reversed(names)))
    url = db.settings.engine_url()
    before = await _count_now(db)
    async with mysql_options(url) as options:
        arguments = [
            options,
            "--single-transaction",
            "--quick",
            "--routines",
            "--hex-blob",
            "--no-tablespaces",
            "--default-character-set=utf8mb4",
            f"--result-file={part}",
            str(url.database),
        ]
        await run_tool(program, arguments)
    after = await _count_now(db)
    return {
        table: (min(rows, after.get(table, rows)), max(rows, after.get(table, rows)))
        for table, rows in before.items()
    }


async def _count_now(db: Database) -> Counts:
    async with db.session() as session:
        return await count_rows(await session.connection())


def _exact(counts: Counts) -> dict[str, Range]:
    return {table: (rows, rows) for table, rows in counts.items()}


def _settle(part: Path, path: Path) -> int:
    """Give a whole file its name, when the disk has it."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)  # noqa: PTH105 - as the documentation calls what is atomic
    return path.stat().st_size


def _note(made: Backup) -> None:
    noted = {
        "dialect": made.dialect,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": made.size,
        "rows": made.rows,
    }
    list_of(made.path).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


_COPIES: dict[str, Callable[[Database, Path], Awaitable[dict[str, Range]]]] = {
    "mariadb": _mysql,
    "mysql": _mysql,
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}
