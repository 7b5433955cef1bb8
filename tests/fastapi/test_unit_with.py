"""Of what kind the unit of work of a request is: isolated, or reading only."""

from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI

from sqlmodelkit import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.fastapi import (
    Responder,
    SessionDep,
    crud_router,
    install,
    responder,
    service,
    unit_with,
)
from tests.test_transactions import character
from tests.world import (
    Genre,
    VolumeCreate,
    VolumeService,
    WriterService,
    add_volume,
    add_writer,
    is_mariadb,
)

from .conftest import client_of

VolumeServiceDep = Annotated[VolumeService, service(VolumeService)]
VolumeResponder = Annotated[Responder, responder(VolumeService, single=True)]
REPEATABLE = unit_with(isolation="REPEATABLE READ")
READ_ONLY = unit_with(read_only=True)


async def first_session(session: SessionDep) -> None:
    """Use the request's unit of work early, as a dependency that looks for a user would."""


@pytest.fixture
def app(world: Database) -> FastAPI:
    """Endpoints whose units of work are of every kind."""
    app = FastAPI()
    install(app, world)

    async def count_twice(volumes: VolumeServiceDep) -> list[int]:
        before = await volumes.count()
        await add_volume(world)
        return [before, await volumes.count()]

    app.get("/plain")(count_twice)
    app.get("/repeatable", dependencies=[REPEATABLE])(count_twice)

    @app.get("/character", dependencies=[unit_with(isolation="SERIALIZABLE", read_only=True)])
    async def tell(session: SessionDep) -> tuple[str, bool]:
        return await character(session)

    @app.post("/write", dependencies=[READ_ONLY])
    async def write(session: SessionDep) -> None:
        session.add(Genre(name="Epic"))

    @app.post("/alone", dependencies=[READ_ONLY])
    async def write_alone(volumes: VolumeResponder) -> Any:
        return await volumes.create(VolumeCreate(title="Dune"))

    @app.get("/late", dependencies=[Depends(first_session), READ_ONLY])
    async def late() -> None: ...

    inner = APIRouter(dependencies=[unit_with()])
    inner.get("/inner")(tell)
    app.include_router(inner, dependencies=[unit_with(isolation="SERIALIZABLE", read_only=True)])
    app.include_router(
        crud_router(WriterService, public=True), prefix="/writers", dependencies=[READ_ONLY]
    )
    return app


async def test_reads_of_an_isolated_request_are_of_one_moment(app: FastAPI) -> None:
    """Also those that would stand alone without it."""
    async with client_of(app) as client:
        assert [0, 1] == (await client.get("/plain")).json()
        assert [1, 1] == (await client.get("/repeatable")).json()


async def test_a_request_has_the_kind_that_it_asks_for(world: Database, app: FastAPI) -> None:
    """Of its own route, which counts more than that of a router around it."""
    async with client_of(app) as client:
        level, reads = (await client.get("/character")).json()
        if not is_mariadb(world):  # it does not show what holds for one transaction
            assert ("SERIALIZABLE", True) == (level, reads)
        async with world.transaction() as session:
            usual = await character(session)
        assert list(usual) == (await client.get("/inner")).json()


@pytest.mark.parametrize("path", ["/write", "/alone", "/writers"])
async def test_a_request_that_only_reads_writes_nothing(
    world: Database, app: FastAPI, path: str
) -> None:
    """Not by a session, not by a statement that would stand alone, not by a generated route."""
    async with client_of(app) as client:
        with pytest.raises(ConfigError, match="only reads"):
            await client.post(path, json={"name": "Ann"})
    async with world.session() as session:
        assert 0 == await WriterService(session).count()
        assert 0 == await VolumeService(session).count()
    assert 0 == world.pool_status()["in_use"]


async def test_generated_routes_read_where_nothing_is_written(
    world: Database, app: FastAPI
) -> None:
    """As they do elsewhere."""
    key = await add_writer(world)
    async with client_of(app) as client:
        answer: httpx2.Response = await client.get(f"/writers/{key}")
    assert "Ann" == answer.json()["name"]


async def test_the_kind_comes_before_the_unit_of_work(app: FastAPI) -> None:
    """Who asks too late is told what to do."""
    async with client_of(app) as client:
        with pytest.raises(ConfigError, match=r"was opened before unit_with.*Put it before"):
            await client.get("/late")


def test_a_level_that_does_not_exist_is_refused_at_once() -> None:
    """When the route is declared, and not with its first request."""
    wrong: Any = "SNAPSHOT"
    with pytest.raises(ConfigError, match="no isolation"):
        unit_with(isolation=wrong)
