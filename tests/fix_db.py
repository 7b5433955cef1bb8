"""Fixtures for tests on real databases: each test gets an empty one, on every engine.

Ask for `database_url` or `database` and the test runs on SQLite, PostgreSQL and MariaDB; ask for
`any_driver_url` and it runs once per driver. Servers are found once per run, by the process that
the user started; its workers are told the addresses. See servers.py for where they come from.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sqlmodelkit import Database, DatabaseSettings

from .own_servers import PostgreSQL
from .servers import DRIVERS, Databases, Missing, Server, empty, find_servers, with_driver
from .world import create_world

REQUIRED = "SQLMODELKIT_REQUIRE_DATABASES"
ENGINES = ("sqlite", "postgresql", "mariadb")
ANY_DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg", "mysql+asyncmy", "mysql+aiomysql")

_DATABASES = pytest.StashKey[Databases]()
_STARTED = pytest.StashKey[ExitStack]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Find the servers, or take over what the main process of the run has found."""
    config = session.config
    told: dict[str, Any] | None = getattr(config, "workerinput", {}).get("databases")
    if told is not None:
        servers = {engine: _from_plain(plain) for engine, plain in told["servers"].items()}
        config.stash[_DATABASES] = Databases(servers, told["run"])
    elif not config.option.collectonly:
        # A run that is told to end, by `timeout` for instance, tidies up like one that is through.
        signal.signal(signal.SIGTERM, _leave)
        stack = config.stash.setdefault(_STARTED, ExitStack())
        databases = Databases(find_servers(stack), Databases.name_run())
        _refuse_missing(databases)
        stack.callback(databases.drop_all)
        config.stash[_DATABASES] = databases


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what was found."""
    databases = node.config.stash[_DATABASES]
    servers = {engine: asdict(server) for engine, server in databases.servers.items()}
    node.workerinput["databases"] = {"servers": servers, "run": databases.run}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drop the run's databases and end the servers that it started."""
    config.stash.get(_STARTED, ExitStack()).close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which servers the tests meet."""
    databases = config.stash.get(_DATABASES, None)
    if databases is None:
        return []
    return [
        f"{engine}: {f'MISSING, {server.reason}' if isinstance(server, Missing) else server}"
        for engine, server in databases.servers.items()
    ]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say loudly what was not tested, because skips are easily overlooked."""
    databases = config.stash.get(_DATABASES, None)
    for engine, server in databases.servers.items() if databases else ():
        if isinstance(server, Missing):
            terminalreporter.section(f"{engine} WAS NOT TESTED", sep="!", red=True, bold=True)
            terminalreporter.write_line(server.reason)


def _leave(number: int, frame: FrameType | None) -> None:
    pytest.exit("The run was told to end.", returncode=128 + number)


def _refuse_missing(databases: Databases) -> None:
    """PostgreSQL can be had everywhere; MariaDB may be missing, but only on a person's machine."""
    for engine, server in databases.servers.items():
        if isinstance(server, Missing) and (engine == "postgresql" or os.environ.get(REQUIRED)):
            pytest.exit(f"The tests need {engine}: {server.reason}", returncode=1)


def _from_plain(plain: dict[str, str]) -> Server | Missing:
    return Missing(**plain) if "reason" in plain else Server(**plain)


class _Reused:
    """One database per worker and server: emptying one is quicker than making one."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._urls: dict[str, str] = {}

    def fresh(self, engine: str, driver: str) -> str:
        if engine in self._urls:
            empty(self._urls[engine])
        else:
            self._urls[engine] = self._databases.create(engine)
        return with_driver(self._urls[engine], driver)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """The servers of this run, and the means to make databases on them."""
    return request.config.stash[_DATABASES]


@pytest.fixture(scope="session")
def reused(databases: Databases) -> _Reused:
    """This worker's databases."""
    return _Reused(databases)


def _skip_if_missing(databases: Databases, engine: str) -> None:
    server = databases.servers.get(engine)
    if isinstance(server, Missing):
        pytest.skip(f"{engine}: {server.reason}")


def _param(engine: str, name: str) -> Any:
    return pytest.param(name, id=name, marks=() if engine == "sqlite" else pytest.mark.db)


@pytest.fixture(params=[_param(engine, engine) for engine in ENGINES])
def engine_name(request: pytest.FixtureRequest, databases: Databases) -> str:
    """The engine that the test runs on: sqlite, postgresql or mariadb."""
    name: str = request.param
    _skip_if_missing(databases, name)
    return name


@pytest.fixture
def database_url(engine_name: str, reused: _Reused, tmp_path: Path) -> str:
    """The address, with its async driver, of an empty database of this test's own."""
    if engine_name == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    return reused.fresh(engine_name, DRIVERS[engine_name])


@pytest.fixture(params=[_param(name.split("+")[0], name) for name in ANY_DRIVERS])
def any_driver_url(
    request: pytest.FixtureRequest, databases: Databases, reused: _Reused, tmp_path: Path
) -> str:
    """Like `database_url`, once for every driver, two of them for MariaDB."""
    backend, driver = request.param.split("+")
    if backend == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    engine = "mariadb" if backend == "mysql" else backend
    _skip_if_missing(databases, engine)
    return reused.fresh(engine, driver)


@pytest.fixture
async def database(database_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    """An open `Database` without tables, on each engine."""
    settings = DatabaseSettings(url=database_url, cursor_secret="s" * 32)
    database = Database(settings=settings)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def any_world(any_driver_url: str, anyio_backend: str) -> AsyncIterator[Database]:
    """An open database with the tables of world.py, once for each driver."""
    database = Database(any_driver_url)
    try:
        yield await create_world(database)
    finally:
        await database.close()


@pytest.fixture
def world(any_world: Database) -> Database:
    """The same; a module whose tests ask for less, or more, has a `world` of its own."""
    return any_world


@pytest.fixture(scope="session")
def new_database(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """A function from an engine's name to the address of one more empty database.

    It lives until the end of the run: for fixtures that outlast a test.
    """

    def create(engine: str) -> str:
        if engine == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database') / 'test.db'}"
        _skip_if_missing(databases, engine)
        return databases.create(engine)

    return create


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that the test may `stop` and `start`; its address stays the same."""
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.close()
