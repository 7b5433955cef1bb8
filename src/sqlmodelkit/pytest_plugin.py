"""Fixtures for tests of an application: an empty database for each test, and requests to it. Ring 14.

pytest loads it by itself. Start at `db`. What is heavy is imported by the fixtures that need it.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx2
    from fastapi import FastAPI
    from sqlmodel import SQLModel

    from .testing import Scratch, Trial, WatchedDatabase

UNWATCHED = "leaves_sessions"
_TRIAL = pytest.StashKey["Trial"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the servers on which tests run."""
    parser.getgroup("sqlmodelkit").addoption(
        "--database-url",
        action="append",
        default=[],
        metavar="URL",
        help="run tests that use `db` on this server, in a database of their own; "
        "several times for several servers (default: DATABASE_URL, or SQLite)",
    )
    parser.addini("database_urls", "servers on which tests run that use `db`", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Explain the marker."""
    config.addinivalue_line(
        "markers",
        f"{UNWATCHED}: do not fail this test for sessions left open or writes not committed",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each server."""
    urls = _given(metafunc.config)
    if "db_server" in metafunc.fixturenames and len(urls) > 1:
        names = [url.partition(":")[0].partition("+")[0] for url in urls]
        metafunc.parametrize("db_server", urls, ids=names, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin anew, also where a plugin runs a test again."""
    if _TRIAL in item.stash:
        del item.stash[_TRIAL]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Close in the event loop of an async test what the test has used there."""
    trial = item.stash.get(_TRIAL, None)
    if (
        trial is not None
        and isinstance(item, pytest.Function)
        and inspect.iscoroutinefunction(item.obj)
    ):
        test, item.obj = item.obj, trial.around(item.obj)
        try:
            yield
        finally:
            item.obj = test
    else:
        yield
    trial = item.stash.get(_TRIAL, None)  # the test may have asked for a database itself
    if trial is not None:
        trial.passed()


def _given(config: pytest.Config) -> list[str]:
    given: list[str] = config.getoption("--database-url") or config.getini("database_urls")
    return given


def _trial(request: pytest.FixtureRequest) -> "Trial":
    from .testing import Trial

    node: pytest.Item = request.node
    watch = node.get_closest_marker(UNWATCHED) is None
    return node.stash.setdefault(_TRIAL, Trial(watch=watch))


@pytest.fixture
def db_server(request: pytest.FixtureRequest) -> str:
    """The server to test on: by --database-url, the setting database_urls, or DATABASE_URL."""
    from .settings import DatabaseSettings

    given: str | None = getattr(request, "param", None)
    urls = _given(request.config)
    if given or urls:
        return given or urls[0]
    return DatabaseSettings(_env_file=request.config.rootpath / ".env").url


@pytest.fixture
def db_base() -> "type[SQLModel]":
    """The class whose metadata holds the tables; a test suite may have its own."""
    from sqlmodel import SQLModel

    return SQLModel


@pytest.fixture(scope="session")
def db_scratch(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Scratch]":
    """The databases of this process, dropped when it ends."""
    from .testing import Scratch

    with Scratch(tmp_path_factory.mktemp("databases")) as scratch:
        yield scratch


@pytest.fixture
def db_url(db_server: str, db_base: "type[SQLModel]", db_scratch: "Scratch") -> str:
    """The address of a database with all tables and no rows, which no other test uses."""
    return db_scratch.fresh(db_server, base=db_base)


@pytest.fixture
def db(
    request: pytest.FixtureRequest, db_url: str, db_base: "type[SQLModel]"
) -> "Iterator[WatchedDatabase]":
    """A `Database` with all tables and no rows; it notices lost writes and open sessions."""
    from .settings import DatabaseSettings
    from .testing import WatchedDatabase

    settings = DatabaseSettings(url=db_url, cursor_secret="for tests only, known to everybody")  # noqa: S106
    database = WatchedDatabase(settings=settings, base=db_base)
    trial = _trial(request)
    trial.keep(database)
    yield database
    mistakes = trial.late(database)
    if mistakes:
        pytest.fail("\n".join(mistakes), pytrace=False)


@pytest.fixture
def assert_statements(db: "WatchedDatabase") -> Callable[[int], AbstractContextManager[Any]]:
    """A context manager: `with assert_statements(2):` fails when there are more or fewer."""
    from . import testing

    return partial(testing.assert_statements, db)


@pytest.fixture
def db_migrations(
    request: pytest.FixtureRequest, db_server: str, db_scratch: "Scratch"
) -> Callable[[], Awaitable[None]]:
    """A function to be awaited: the project's migrations go up, down and up on an empty database."""
    from .rehearsal import rehearse

    return partial(rehearse, request.config.rootpath, lambda: db_scratch.bare(db_server))


@pytest.fixture
def db_client(request: pytest.FixtureRequest, app: "FastAPI") -> "httpx2.AsyncClient":
    """A client for the fixture `app`, which you write: the application over `db`."""
    # `app` is an argument so that pytest knows whether it uses `db`: then it runs on every server.
    if find_spec("httpx2") is None:
        pytest.fail(
            "db_client needs httpx2, which is not installed: pip install httpx2", pytrace=False
        )
    from .testing.client import Life, client_of

    life = Life(app)
    _trial(request).keep_application(life)
    return client_of(life)
