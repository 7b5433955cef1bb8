"""The databases the contenders work on: made for one run, and dropped at its end."""

import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.engine import URL, make_url

from tests.own_servers import PostgreSQL

from .contenders import Engine
from .processes import command_name, cpu_seconds
from .seed import HEROES, seed

_CONNECT_TIMEOUT_S = 5


class Store(Protocol):
    """A database with the benchmark's rows."""

    @property
    def engine(self) -> Engine:
        """Which database it is."""
        ...

    @property
    def url(self) -> str:
        """The address for SQLAlchemy."""
        ...

    @property
    def version(self) -> str:
        """The name and version of the server or library."""
        ...

    async def clean(self) -> None:
        """Remove what was created, and the dead versions of what was changed."""
        ...

    async def pin(self, cpus: Iterable[int]) -> bool:
        """Keep its processes on these CPUs; say whether that was possible."""
        ...

    async def cpu(self) -> dict[int, float] | None:
        """Return the CPU seconds of its processes; None when it has none that can be seen."""
        ...


@dataclass
class PostgreSQLStore:
    """A database on a PostgreSQL server; its processes are the backends of its connections."""

    url: str
    version: str
    monitor: asyncpg.Connection
    engine: Engine = field(default="postgresql", init=False)

    async def clean(self) -> None:
        """Delete the heroes that were created, and vacuum."""
        await self.monitor.execute(f"DELETE FROM hero WHERE id > {HEROES}")
        await self.monitor.execute("VACUUM (ANALYZE) hero")

    async def pin(self, cpus: Iterable[int]) -> bool:
        """Pin the backends: only ours, for the server may also serve others."""
        try:
            for pid in await self._backends():
                os.sched_setaffinity(pid, set(cpus))
        except (PermissionError, ProcessLookupError):
            return False
        return True

    async def cpu(self) -> dict[int, float] | None:
        """Return the CPU seconds of each backend; None for a server on another machine."""
        found: dict[int, float] = {}
        for pid in await self._backends():
            seconds = cpu_seconds(pid) if command_name(pid) == "postgres" else None
            if seconds is None:
                return None
            found[pid] = seconds
        return found

    async def _backends(self) -> list[int]:
        rows = await self.monitor.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return [row["pid"] for row in rows]


@dataclass
class SQLiteStore:
    """A database file; SQLite works in the process of the application."""

    path: Path
    engine: Engine = field(default="sqlite", init=False)
    version: str = f"SQLite {sqlite3.sqlite_version}"

    @property
    def url(self) -> str:
        """The address of the file."""
        return f"sqlite+aiosqlite:///{self.path}"

    async def clean(self) -> None:
        """Delete the heroes that were created."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"DELETE FROM hero WHERE id > {HEROES}")
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def pin(self, cpus: Iterable[int]) -> bool:
        """There is nothing to pin."""
        return True

    async def cpu(self) -> dict[int, float] | None:
        """There are no processes: its CPU time is the application's."""
        return None


@asynccontextmanager
async def postgresql() -> AsyncIterator[Store]:
    """Make a database on TEST_POSTGRES_URL, on 127.0.0.1:5432, or on a server of our own."""
    with contextlib.ExitStack() as stack:
        server = await _find_server(stack)
        name = f"sqlmodelkit_benchmark_{secrets.token_hex(4)}"
        admin = await asyncpg.connect(_plain(server))
        url = server.set(database=name)
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            await seed(url.render_as_string(hide_password=False))
            monitor = await asyncpg.connect(_plain(url))
            await monitor.execute("VACUUM (ANALYZE)")
            version = (await monitor.fetchval("SHOW server_version")).split()[0]
            yield PostgreSQLStore(
                url.render_as_string(hide_password=False), f"PostgreSQL {version}", monitor
            )
            await monitor.close()
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()


@asynccontextmanager
async def sqlite() -> AsyncIterator[Store]:
    """Make a database file in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="sqlmodelkit-benchmark-") as directory:
        store = SQLiteStore(Path(directory) / "heroes.db")
        await seed(store.url)
        yield store


STORES: dict[Engine, Callable[[], AbstractAsyncContextManager[Store]]] = {
    "postgresql": postgresql,
    "sqlite": sqlite,
}


async def _find_server(stack: contextlib.ExitStack) -> URL:
    if named := os.environ.get("TEST_POSTGRES_URL"):
        return _with_driver(named)
    for user in ("postgres", os.environ.get("USER", "root")):
        url = _with_driver(f"postgresql://{user}@127.0.0.1:5432/postgres")
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
            connection = await asyncpg.connect(_plain(url), timeout=_CONNECT_TIMEOUT_S)
            await connection.close()
            return url
    own = PostgreSQL()
    stack.callback(own.close)
    own.start()
    return _with_driver(own.url)


def _with_driver(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+asyncpg")


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
