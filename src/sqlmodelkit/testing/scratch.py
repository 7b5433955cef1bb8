"""A database for the tests of one process: made at first use, emptied between tests, dropped.

Start at `Scratch`. The database that the address names is never touched; only its server is used.
"""

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import URL, MetaData, Table, make_url, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError, SQLModelKitError
from sqlmodelkit.settings import DatabaseSettings

_NAME_LENGTH = 30
_MAINTENANCE = {
    "postgresql": "postgres",
    "mysql": "information_schema",
    "mariadb": "information_schema",
}
_DISCONNECT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
_CONNECTED = (
    "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
)
_NO_SUCH_THREAD = 1094
_RESTART = (
    "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)"
    " FROM pg_sequences WHERE last_value IS NOT NULL"
)
_COUNTED = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND auto_increment > 1"
)


class Scratch:
    """The databases that one test process has for itself, one on each server it is told of.

    ```python
    with Scratch(directory) as scratch:
        url = scratch.fresh("postgresql://127.0.0.1/app")
    ```
    """

    def __init__(self, directory: Path) -> None:
        """Prepare; nothing is connected yet.

        Args:
            directory: Where files of SQLite may lie.
        """
        self._directory = directory
        self._ending = ExitStack()
        self._portal: BlockingPortal | None = None
        self._homes: dict[object, _Home] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for home in self._homes.values():
                self._wait().call(home.drop)
        finally:
            self._ending.close()

    def fresh(self, server: str, *, base: type[SQLModel] = SQLModel) -> str:
        """Return the address of a database with the tables of `base` and without rows.

        Args:
            server: An address on the server, for SQLite any.
            base: The class whose metadata holds the tables.

        Raises:
            ConfigError: The server does not let us make a database.
            Unavailable: It does not answer.
        """
        url = DatabaseSettings(url=server).engine_url()
        if url.get_backend_name() == "sqlite":
            return self._copied(base.metadata)
        # Tables of different bases may have the same names.
        key = url.render_as_string(hide_password=False), base.metadata
        if key not in self._homes:
            home = _Home(url)
            self._wait().call(home.create)
            self._homes[key] = home
        home = self._homes[key]
        self._wait().call(home.empty, base.metadata)
        return home.address

    def bare(self, server: str) -> str:
        """Return the address of a database without tables, made for this call.

        Args:
            server: As in `fresh`.

        Raises:
            ConfigError: The server does not let us make a database.
            Unavailable: It does not answer.
        """
        url = DatabaseSettings(url=server).engine_url()
        if url.get_backend_name() == "sqlite":
            return f"sqlite+aiosqlite:///{self._file()}"
        home = _Home(url)
        self._wait().call(home.create)
        self._homes[home.address] = home
        return home.address

    def _copied(self, metadata: MetaData) -> str:
        """Copy a file that has the tables: quicker than creating them for each test."""
        key = "sqlite", metadata
        if key not in self._homes:
            self._homes[key] = _Home(make_url(f"sqlite+aiosqlite:///{self._file()}"))
        home = self._homes[key]
        self._wait().call(home.complete, metadata)
        copy = self._file()
        shutil.copyfile(home.url.database or "", copy)
        return f"sqlite+aiosqlite:///{copy}"

    def _file(self) -> Path:
        # Not in the directory that a test has for its own files.
        directory = self._directory / secrets.token_hex(8)
        directory.mkdir()
        return directory / "test.db"

    def _wait(self) -> BlockingPortal:
        # An event loop of its own: that of a test begins and ends with the test.
        if self._portal is None:
            self._portal = self._ending.enter_context(start_blocking_portal())
        return self._portal


class _Home:
    """One database of ours: on a server after `create`, or a file."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self.url = server
        self._db: Database | None = None
        self._tables: set[str] = set()

    @property
    def address(self) -> str:
        return self.url.render_as_string(hide_password=False)

    async def create(self) -> None:
        stem = re.sub(r"\W", "_", (self._server.database or "app").lower(), flags=re.ASCII)
        name = f"{stem[:_NAME_LENGTH]}_test_{os.getpid()}_{secrets.token_hex(4)}"
        await self._ask(f"CREATE DATABASE {name}{self._character()}")
        self.url = self._server.set(database=name)

    async def drop(self) -> None:
        made, force = self.url is not self._server, ""
        if made and self.url.get_backend_name() == "postgresql":
            force = " WITH (FORCE)"
        elif made:
            async with self._opened().engine.begin() as connection:
                await _disconnect_others(connection)
        if self._db is not None:
            await self._db.close()
        if made:
            await self._ask(f"DROP DATABASE {self.url.database}{force}")

    async def complete(self, metadata: MetaData) -> None:
        """Create tables that have come to be known since the last time."""
        if set(metadata.tables) <= self._tables:
            return
        async with self._opened().engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        self._tables |= set(metadata.tables)
        if self.url.get_backend_name() == "sqlite":
            await self._opened().close()

    async def empty(self, metadata: MetaData) -> None:
        """Remove all rows, and let keys begin again."""
        await self.complete(metadata)
        if not metadata.tables:
            return
        try:
            await self._empty(metadata)
        except ProgrammingError:  # a test has dropped tables
            self._tables.clear()
            await self.complete(metadata)
            await self._empty(metadata)

    async def _empty(self, metadata: MetaData) -> None:
        async with self._opened().engine.begin() as connection:
            await _disconnect_others(connection)
            # In no order: no foreign key is looked at meanwhile.
            for statement in await _emptying(connection, list(metadata.tables.values())):
                await connection.exec_driver_sql(statement)

    def _opened(self) -> Database:
        if self._db is None:
            settings = DatabaseSettings(url=self.address, pool_size=1, max_overflow=0)
            self._db = Database(settings=settings)
        return self._db

    async def _ask(self, statement: str) -> None:
        try:
            await _outside(self._server, statement)
        except SQLModelKitError as error:
            other = _MAINTENANCE.get(self._server.get_backend_name())
            if not isinstance(error, ConfigError) or other in (None, self._server.database):
                raise
            await _outside(self._server.set(database=other), statement)

    def _character(self) -> str:
        if self._server.get_backend_name() == "postgresql":
            return " TEMPLATE template0 ENCODING 'UTF8'"
        return " CHARACTER SET utf8mb4"


async def _outside(url: URL, statement: str) -> None:
    """Send a statement that takes no transaction."""
    db = Database(settings=DatabaseSettings(url=url.render_as_string(hide_password=False)))
    try:
        async with db.session() as session:
            connection = await session.connection(
                execution_options={"isolation_level": "AUTOCOMMIT"}
            )
            await connection.execute(text(statement))
    finally:
        await db.close()


async def _disconnect_others(connection: AsyncConnection) -> None:
    """End what a test before has left open: its transactions keep locks, and ours would wait."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(_DISCONNECT)
        return
    for number in (await connection.exec_driver_sql(_CONNECTED)).scalars().all():
        try:
            await connection.exec_driver_sql(f"KILL {number}")
        except DBAPIError as error:
            if error.orig is None or error.orig.args[:1] != (_NO_SUCH_THREAD,):
                raise


async def _emptying(connection: AsyncConnection, tables: Sequence[Table]) -> list[str]:
    """Return what removes the rows that are there, and lets used counters begin again."""
    prepare = connection.dialect.identifier_preparer
    asking = " UNION ALL ".join(
        f"SELECT {number} FROM (SELECT 1) AS one"  # noqa: S608 - names of our own tables, quoted
        f" WHERE EXISTS (SELECT 1 FROM {prepare.format_table(table)})"
        for number, table in enumerate(tables)
    )
    found = (await connection.exec_driver_sql(asking)).all()
    filled = [prepare.format_table(tables[number]) for (number,) in found]
    if connection.dialect.name == "postgresql":
        # A key that was given in a transaction that was rolled back is used up all the same.
        return [*([f"TRUNCATE {', '.join(filled)} CASCADE"] if filled else []), _RESTART]
    used = (await connection.exec_driver_sql(_COUNTED)).scalars()
    restarts = [f"ALTER TABLE {prepare.quote(name)} AUTO_INCREMENT = 1" for name in used]
    deletes = [f"DELETE FROM {name}" for name in filled]  # noqa: S608 - as above
    return ["SET FOREIGN_KEY_CHECKS = 0", *deletes, *restarts, "SET FOREIGN_KEY_CHECKS = 1"]
