"""The pytest plugin, as a project of somebody else meets it: in runs of their own."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect

from sqlmodelkit import Database

MODELS = """
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import Database, IntKey, ServiceBase
from sqlmodelkit.fastapi import crud_router, install
from fastapi import FastAPI


class Band(IntKey, SQLModel, table=True):
    name: str = Field(max_length=50, unique=True)
    songs: list["Song"] = Relationship(back_populates="band")


class Song(IntKey, SQLModel, table=True):
    title: str = Field(max_length=50)
    band_id: int = Field(foreign_key="band.id")
    band: Band = Relationship(back_populates="songs")


class BandCreate(SQLModel):
    name: str = Field(max_length=50)


class BandUpdate(SQLModel):
    name: str = Field(default=None, max_length=50)


class BandPublic(SQLModel):
    id: int
    name: str


class BandService(ServiceBase[Band, BandCreate, BandUpdate]):
    public = BandPublic


def create_app(db: Database) -> FastAPI:
    app = FastAPI(lifespan=db.lifespan)
    install(app, db)
    app.include_router(crud_router(BandService, public=True), prefix="/bands")

    @app.get("/lazy")
    async def lazy() -> int:
        async with db.session() as session:
            band = await BandService(session).find(name="Abba")
            return len(band.songs)

    return app
"""
CONFTEST = """
import pytest
from bands import create_app


@pytest.fixture
def app(db):
    return create_app(db)


@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
GOOD = """
import asyncio
import httpx2
import pytest
from bands import BandCreate, BandPublic, BandService
from fastapi.testclient import TestClient

pytestmark = pytest.mark.MODE


@pytest.mark.parametrize("turn", range(3))
async def test_each_test_finds_an_empty_database(db, turn):
    async with db.transaction() as session:
        service = BandService(session)
        assert await service.count() == 0
        band = await service.create(BandCreate(name="Abba"))
        assert band.id == 1


async def test_requests_meet_the_same_database(db, db_client, assert_statements):
    made = await db_client.post("/bands", json={"name": "Abba"})
    assert made.status_code == 201, made.text
    async with db.session() as session:
        found = await BandService(session).find(name="Abba", into=BandPublic)
    assert found is not None
    with assert_statements(1) as events:
        await db_client.get("/bands/1")
    assert "band" in events[0].statement


async def test_many_requests_at_once_are_served(db_client):
    names = [f"Band {number}" for number in range(8)]
    answers = await asyncio.gather(
        *(db_client.post("/bands", json={"name": name}) for name in names)
    )
    assert {201} == {answer.status_code for answer in answers}


async def test_two_units_of_work_see_each_other_only_after_the_commit(db):
    async with db.transaction(immediate=False) as first:
        await BandService(first).create(BandCreate(name="Abba"))
        async with db.session() as second:
            assert await BandService(second).count() == 0
    async with db.session() as third:
        assert await BandService(third).count() == 1


async def test_what_is_rolled_back_by_name_is_no_mistake(db):
    async with db.session() as session:
        await BandService(session).create(BandCreate(name="Abba"))
        await session.rollback()


@pytest.mark.leaves_sessions
async def test_a_mark_allows_to_throw_away(db):
    async with db.session() as session:
        await BandService(session).create(BandCreate(name="Abba"))
"""
SYNC = """
from fastapi.testclient import TestClient


def test_a_test_without_async(app):
    with TestClient(app) as client:
        assert client.post("/bands", json={"name": "Abba"}).status_code == 201
        assert client.get("/bands").json()["total"] == 1


def test_another_one(app):
    with TestClient(app) as client:
        assert client.get("/bands").json()["total"] == 0
"""
BAD = """
import pytest
from bands import BandCreate, BandService

pytestmark = pytest.mark.MODE
KEPT = []


async def test_lost(db):
    async with db.session() as session:
        await BandService(session).create(BandCreate(name="Abba"))


async def test_left_open(db):
    KEPT.append(db.session())
    session = await KEPT[0].__aenter__()
    await BandService(session).count()


async def test_lazy(db, db_client):
    async with db.transaction() as session:
        await BandService(session).create(BandCreate(name="Abba"))
    await db_client.get("/lazy")


async def test_too_many(db, assert_statements):
    with assert_statements(1):
        async with db.session() as session:
            await BandService(session).count()
            await BandService(session).count()
"""

FIXTURES = """
import pytest
from bands import BandCreate, BandService
FIXTURE

pytestmark = pytest.mark.MODE
KEPT = []


@fixture
async def session(db):
    async with db.session() as session:
        yield session


@fixture
async def late(db):
    yield
    async with db.session() as session:
        await BandService(session).create(BandCreate(name="Late"))


async def test_a_session_of_a_fixture(session, db_client):
    assert (await db_client.post("/bands", json={"name": "Abba"})).status_code == 201
    assert await BandService(session).count() == 1


async def test_lost_in_the_session_of_a_fixture(session):
    await BandService(session).create(BandCreate(name="Abba"))


async def test_lost_after_the_test(late):
    pass


async def test_left_open(db):
    KEPT.append(db.unit())
    unit = await KEPT[0].__aenter__()
    await BandService(unit.session).create(BandCreate(name="Abba"))


async def test_the_next_one(db, tmp_path):
    assert [] == list(tmp_path.iterdir())
    async with db.transaction() as session:
        assert (await BandService(session).create(BandCreate(name="Abba"))).id == 1


async def test_lost_in_a_database_that_was_not_an_argument(request):
    async with request.getfixturevalue("db").session() as session:
        await BandService(session).create(BandCreate(name="Abba"))
"""
AGAIN = """

def pytest_runtest_protocol(item, nextitem):
    from _pytest.runner import runtestprotocol

    runtestprotocol(item, nextitem=nextitem, log=False)
    item._initrequest()
    runtestprotocol(item, nextitem=nextitem)
    return True
"""
FLAKY = """
import pytest
from bands import BandCreate, BandService

RUNS = []


@pytest.mark.anyio
async def test_flaky(db):
    RUNS.append(db)
    async with db.session() as session:
        await BandService(session).create(BandCreate(name="Abba"))
        if len(RUNS) == 2:
            await session.commit()
"""
SYNC_BAD = """
import asyncio

from bands import BandCreate, BandService


def test_lost_without_async(db):
    async def lose():
        async with db.session() as session:
            await BandService(session).create(BandCreate(name="Abba"))

    asyncio.run(lose())
"""


def lay_out(root: Path, mode: str) -> None:
    """Write a small application with its tests."""
    fixtures = 'asyncio_default_fixture_loop_scope = "function"\n' if mode == "asyncio" else ""
    (root / "pyproject.toml").write_text(
        f"[tool.pytest.ini_options]\npythonpath = ['.']\n{fixtures}"
        "filterwarnings = ['error']\naddopts = ['--strict-markers']\n"
    )
    (root / "bands.py").write_text(MODELS)
    (root / "conftest.py").write_text(CONFTEST)
    (root / "test_good.py").write_text(GOOD.replace("MODE", mode))
    (root / "test_sync.py").write_text(SYNC)
    (root / "test_bad.py").write_text(BAD.replace("MODE", mode))


def pytest_in(root: Path, *arguments: str, url: str | None = None) -> tuple[int, str]:
    """Run pytest in a directory; answer its status and what it says."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    environment |= {"DATABASE_URL": url} if url else {}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.db
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["anyio", "asyncio"])
def test_tests_are_isolated_and_mistakes_fail(tmp_path: Path, database_url: str, mode: str) -> None:
    """Under either plugin for async tests; lost writes and open sessions are named with lines.

    One of the two runs has several processes; the database that the address names is not touched.
    """
    lay_out(tmp_path, mode)
    options = ["-p", "no:asyncio", "-n", "2"] if mode == "anyio" else ["-p", "no:xdist"]
    status, said = pytest_in(tmp_path, *options, url=database_url)
    assert (1, True) == (status, "4 failed, 10 passed" in said), said
    assert re.search(
        r"The session of .*test_bad\.py:\d+.* wrote and did not commit: nothing is", said
    )
    assert re.search(r"A session was opened at .*test_bad\.py:\d+.* and not closed\.", said)
    assert "sqlmodelkit.errors.NotLoaded: Band.songs is not loaded." in said
    assert "Expected 1 statement(s), 2 were sent:" in said
    assert [] == asyncio.run(tables_in(database_url))


@pytest.mark.db
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["anyio", "asyncio"])
def test_fixtures_may_hold_sessions(tmp_path: Path, database_url: str, mode: str) -> None:
    """What they lose or leave open is an error of the test that they are made for.

    What a test leaves open does not hold up the next one.
    """
    lay_out(tmp_path, mode)
    module = "pytest" if mode == "anyio" else "pytest_asyncio"
    text = FIXTURES.replace("MODE", mode).replace("FIXTURE", f"from {module} import fixture")
    (tmp_path / "test_fixtures.py").write_text(text)
    (tmp_path / "test_sync_bad.py").write_text(SYNC_BAD)
    options = ["-p", "no:asyncio"] if mode == "anyio" else []
    files = ["test_fixtures.py", "test_sync_bad.py"]
    status, said = pytest_in(tmp_path, *options, "-p", "no:xdist", *files, url=database_url)
    assert (1, True) == (status, "7 passed, 5 errors" in said), said
    for name in ("session", "late", "test_lost_in_a_database", "test_lost_without_async"):
        assert re.search(rf"The session of .*\.py:\d+ in {name}.* wrote and did not commit", said)
    assert "1 connection(s) are still in use: a session was not closed." in said


@pytest.mark.slow
def test_a_client_runs_on_each_server(tmp_path: Path) -> None:
    """Also where the test itself does not ask for `db`: its application does."""
    lay_out(tmp_path, "anyio")
    (tmp_path / "test_client.py").write_text(
        "import pytest\n\n\n@pytest.mark.anyio\nasync def test_it(db_client):\n"
        "    assert (await db_client.get('/bands')).status_code == 200\n"
    )
    servers = ["--database-url", "sqlite:///one.db", "--database-url", "sqlite:///two.db"]
    options = ["-p", "no:asyncio", "-p", "no:xdist", "test_client.py"]
    status, said = pytest_in(tmp_path, *options, *servers)
    assert (0, True) == (status, "2 passed" in said), said


@pytest.mark.slow
def test_a_client_without_httpx2_says_what_to_install(tmp_path: Path) -> None:
    """It is FastAPI's choice for tests, and an application does not need it."""
    lay_out(tmp_path, "anyio")
    (tmp_path / "test_client.py").write_text("def test_it(db_client): ...\n")
    (tmp_path / "hiding.py").write_text("import sys\n\nsys.modules['httpx2'] = None\n")
    options = ["-p", "hiding", "-p", "no:asyncio", "-p", "no:xdist", "test_client.py"]
    status, said = pytest_in(tmp_path, *options)
    assert (1, True) == (status, "pip install httpx2" in said), said


@pytest.mark.slow
def test_a_test_that_is_run_again_begins_anew(tmp_path: Path) -> None:
    """A plugin such as pytest-rerunfailures runs a test again that has lost a write."""
    lay_out(tmp_path, "anyio")
    (tmp_path / "conftest.py").write_text(CONFTEST + AGAIN)
    (tmp_path / "test_again.py").write_text(FLAKY)
    options = ["-p", "no:asyncio", "-p", "no:xdist", "test_again.py"]
    status, said = pytest_in(tmp_path, *options)
    assert (0, True) == (status, "1 passed" in said), said


async def tables_in(url: str) -> list[str]:
    """Return the names of a database's tables."""
    db = Database(url)
    try:
        async with db.session() as session:
            connection = await session.connection()
            return await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    finally:
        await db.close()
