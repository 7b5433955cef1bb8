"""A file into a database: into a scratch one to see whether it can be done, or in earnest.

Start at `restore` and `verify`.
"""

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.sessions import translating
from sqlmodelkit.settings import DatabaseSettings

from .copying import copy_sqlite_beside, file_of, list_of, patient
from .counts import Counts, Difference, Range, compare, count_rows
from .tools import find_tool, mysql_options, postgresql_environment, run_tool

_PRAGMA = b"SQLite format 3\x00"
_CUSTOM = b"PGDMP"
_COMPLETED = b"-- Dump completed"
_HEAD, _TAIL = 100, 200


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database holds.

    Attributes:
        rows: Rows by table.
        seconds: How long it took.
        differences: The tables with another number of rows than when the copy was made.
        compared_with: What the rows were compared with: `backup`, the list beside the file, or
            `database`, the database as it is now where there is no list.
    """

    rows: Counts
    seconds: float
    differences: tuple[Difference, ...]
    compared_with: str

    @property
    def is_whole(self) -> bool:
        """Whether every table has the rows that it should have."""
        return not self.differences


async def verify(path: Path, *, settings: DatabaseSettings | None = None) -> Restored:
    """Restore a backup into a scratch database beside the real one, and count its rows.

    The real database is not touched. The user needs the right to create databases.

    Args:
        path: The file that `backup` has made.
        settings: The real database; left out, the environment's.

    Raises:
        ConfigError: The file is not a backup of such a database, or a program is missing.
        Unavailable: The server does not answer, or the program failed.
    """
    settings = patient(settings or DatabaseSettings())
    await asyncio.to_thread(_check, path, settings)
    started = time.perf_counter()
    expected, compared_with = _noted(path), "backup"
    if expected is None:
        now = await _count(settings)
        expected, compared_with = {table: (rows, rows) for table, rows in now.items()}, "database"
    async with _scratch(settings) as scratch:
        await _load(path, scratch, replace=False)
        rows = await _count(scratch)
    seconds = time.perf_counter() - started
    return Restored(rows, seconds, compare(expected, rows), compared_with)


async def restore(
    path: Path, *, settings: DatabaseSettings | None = None, replace: bool = False
) -> Restored:
    """Restore a backup into the database, and count its rows.

    Args:
        path: The file that `backup` has made.
        settings: The database; left out, the environment's.
        replace: Whether tables that are there may be replaced.

    Raises:
        ConfigError: The database has tables, the file is not a backup of such a database, or a
            program is missing.
        Unavailable: The server does not answer, or the program failed.
    """
    settings = patient(settings or DatabaseSettings())
    await asyncio.to_thread(_check, path, settings)
    there = await _count(settings)
    if there and not replace:
        rows = sum(there.values())
        raise ConfigError(
            f"The database has {len(there)} tables with {rows} rows.",
            hint="Restore into an empty one, or say that they may be replaced (--replace).",
        )
    started = time.perf_counter()
    await _load(path, settings, replace=replace)
    found = await _count(settings)
    expected = _noted(path)
    differences = () if expected is None else compare(expected, found)
    return Restored(found, time.perf_counter() - started, differences, "backup")


def _check(path: Path, settings: DatabaseSettings) -> None:
    if not path.is_file():
        raise ConfigError(f"There is no file {path}.", hint="Name what `backup` has written.")
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    engine = settings.engine_url().get_backend_name()
    fits = {"sqlite": head.startswith(_PRAGMA), "postgresql": head.startswith(_CUSTOM)}.get(
        engine, not head.startswith((_PRAGMA, _CUSTOM))
    )
    if not fits:
        raise ConfigError(
            f"{path} is not a backup of {engine}.",
            hint="Set DATABASE_URL to a database of the kind that was copied.",
        )
    torn = ""
    if engine == "sqlite":
        torn = _torn_sqlite(path, head)
    elif engine == "mysql" and _COMPLETED not in tail:
        torn = "the line that mariadb-dump ends with is missing"
    if torn:
        raise ConfigError(f"{path} is damaged: {torn}.", hint="Take another copy.")


def _torn_sqlite(path: Path, head: bytes) -> str:
    """Tell what is wrong with a file of SQLite: sqlite.org/fileformat2.html, section 1.3."""
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    told, size = pages * (65536 if page == 1 else page), path.stat().st_size
    if size != told:
        return f"it has {size} bytes, and by its header {told}"
    address = f"{path.absolute().as_uri()}?immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as file:
            said: str = file.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    return "" if said == "ok" else said


def _noted(path: Path) -> dict[str, Range] | None:
    noted = list_of(path)
    if not noted.is_file():
        return None
    rows = json.loads(noted.read_text(encoding="utf-8"))["rows"]
    return {table: (least, most) for table, (least, most) in rows.items()}


async def _count(settings: DatabaseSettings) -> Counts:
    db = Database(settings=settings)
    try:
        async with db.session() as session:
            return await count_rows(await session.connection())
    finally:
        await db.close()


async def _load(path: Path, settings: DatabaseSettings, *, replace: bool) -> None:
    url = settings.engine_url()
    engine = url.get_backend_name()
    if engine == "sqlite":
        await copy_sqlite_beside(path, file_of(settings))
    elif engine == "postgresql":
        arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
        arguments += ["--clean", "--if-exists"] if replace else []
        await run_tool(
            find_tool("pg_restore"),
            [*arguments, f"--dbname={url.database}", str(path)],
            environment=postgresql_environment(url),
        )
    else:
        async with mysql_options(url) as options:
            arguments = [options, "--default-character-set=utf8mb4", str(url.database)]
            await run_tool(
                find_tool("mariadb", "mysql"),
                arguments,
                source=path,
                left="The tables before that are restored, the others are not: repeat it with "
                "--replace.",
            )


@asynccontextmanager
async def _scratch(settings: DatabaseSettings) -> AsyncIterator[DatabaseSettings]:
    """Give an empty database on the same server, which is gone afterwards."""
    url = settings.engine_url()
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory(prefix="sqlmodelkit-") as directory:
            yield _at(settings, str(Path(directory) / "scratch.db"))
        return
    name = f"{(url.database or 'db')[:40]}_verify_{secrets.token_hex(4)}"
    await _administer(settings, "CREATE DATABASE", name)
    try:
        yield _at(settings, name)
    finally:
        await asyncio.shield(_administer(settings, "DROP DATABASE", name))


def _at(settings: DatabaseSettings, name: str) -> DatabaseSettings:
    url = settings.engine_url().set(database=name)
    return settings.model_copy(update={"url": url.render_as_string(hide_password=False)})


async def _administer(settings: DatabaseSettings, what: str, name: str) -> None:
    db = Database(settings=settings)
    quoted = db.engine.dialect.identifier_preparer.quote(name)
    try:
        with translating():
            async with db.engine.connect() as connection:
                alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await alone.execute(text(f"{what} {quoted}"))
    finally:
        await db.close()
