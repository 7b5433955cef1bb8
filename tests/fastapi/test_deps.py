"""The unit of work of a request: committed before the answer, or not at all."""

from typing import Annotated
from uuid import UUID

import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlmodel import select

from sqlmodelkit import Database, ServiceBase
from sqlmodelkit.errors import ConfigError, Conflict
from sqlmodelkit.fastapi import SessionDep, database_of, install, service
from tests.world import (
    Genre,
    Writer,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterUpdate,
    add_writer,
    fail_at_commit,
    is_mariadb,
    make_commit_fail,
)

from .conftest import client_of

WriterServiceDep = Annotated[WriterService, service(WriterService)]


async def genres(database: Database) -> list[str]:
    """Return what is stored, as another unit of work sees it."""
    async with database.session() as session:
        return list((await session.exec(select(Genre.name))).all())


@pytest.fixture
def app(world: Database) -> FastAPI:
    """Endpoints that end in every way."""
    app = FastAPI()
    install(app, world)

    @app.post("/good", status_code=201)
    async def good(session: SessionDep) -> str:
        session.add(Genre(name="Epic"))
        return "done"

    @app.post("/refused")
    async def refused(session: SessionDep) -> str:
        session.add(Genre(name="Epic"))
        await session.flush()
        raise HTTPException(418, "No.")

    @app.post("/broken")
    async def broken(session: SessionDep) -> str:
        session.add(Genre(name="Epic"))
        await session.flush()
        raise ZeroDivisionError

    @app.post("/conflict")
    async def conflict(session: SessionDep) -> str:
        session.add(Genre(name="Epic"))
        await session.flush()
        raise Conflict("Only 3 are left.", hint="Order fewer.")

    @app.post("/late")
    async def late(session: SessionDep) -> str:
        session.add(Genre(name="Epic"))
        await fail_at_commit(world, session)
        return "done"

    return app


async def test_the_commit_comes_before_the_answer(world: Database, app: FastAPI) -> None:
    """When the client reads the answer, everybody can see the row."""
    async with client_of(app) as client:
        answer = await client.post("/good")
    assert (201, "done") == (answer.status_code, answer.json())
    assert ["Epic"] == await genres(world)


async def test_a_commit_that_fails_is_never_a_success(world: Database, app: FastAPI) -> None:
    """The client is told, and nothing is stored."""
    await make_commit_fail(world)
    async with client_of(app) as client:
        answer = await client.post("/late")
    assert (503 if is_mariadb(world) else 409) == answer.status_code
    assert "done" not in answer.text
    assert "INSERT" not in answer.text
    assert [] == await genres(world)
    assert 0 == world.pool_status()["in_use"]


async def test_an_http_exception_rolls_back(world: Database, app: FastAPI) -> None:
    """It is answered as it is."""
    async with client_of(app) as client:
        answer = await client.post("/refused")
    assert (418, {"detail": "No."}) == (answer.status_code, answer.json())
    assert [] == await genres(world)


async def test_an_error_of_the_endpoint_rolls_back(world: Database, app: FastAPI) -> None:
    """A mistake is a 500, and nothing is stored."""
    async with client_of(app, raising=False) as client:
        answer = await client.post("/broken")
    assert 500 == answer.status_code
    assert [] == await genres(world)


async def test_a_conflict_of_the_endpoint_rolls_back(world: Database, app: FastAPI) -> None:
    """Our errors can be raised in endpoints too."""
    async with client_of(app) as client:
        answer = await client.post("/conflict")
    detail = answer.json()["detail"]
    assert 409 == answer.status_code
    assert [{"loc": ["body"], "msg": "Only 3 are left. Order fewer.", "type": "conflict"}] == detail
    assert [] == await genres(world)


async def test_a_flush_that_is_refused_at_the_end_is_a_409(world: Database, app: FastAPI) -> None:
    """What was only added is sent before the answer."""
    async with client_of(app) as client:
        await client.post("/good")
        answer = await client.post("/good")
    assert 409 == answer.status_code
    assert ["body", "name"] == answer.json()["detail"][0]["loc"]


async def test_services_of_a_request_share_its_unit_of_work(world: Database) -> None:
    """One session, whoever asks for it, in the endpoint and in its dependencies."""
    app = FastAPI()
    install(app, world)

    async def current(session: SessionDep, writers: WriterServiceDep) -> Writer:
        assert session is writers.session
        return await writers.create(WriterCreate(name="Ann"))

    @app.post("/writers")
    async def endpoint(
        session: SessionDep,
        writers: WriterServiceDep,
        writer: Annotated[Writer, Depends(current, scope="function")],
    ) -> WriterPublic:
        assert session is writers.session
        return await writers.update(writer.id, WriterUpdate(motto=None), into=WriterPublic)

    async with client_of(app) as client:
        answer = await client.post("/writers")
    assert (200, "Ann", None) == (answer.status_code, answer.json()["name"], answer.json()["motto"])
    async with world.session() as session:
        assert await WriterService(session).exists(id=UUID(answer.json()["id"]), motto=None)


async def test_a_get_may_write_too(world: Database) -> None:
    """It is committed, though it takes no lock in advance."""
    app = FastAPI()
    install(app, world)

    @app.get("/visit")
    async def visit(session: SessionDep) -> None:
        session.add(Genre(name="Epic"))

    async with client_of(app) as client:
        assert 200 == (await client.get("/visit")).status_code
    assert ["Epic"] == await genres(world)


async def test_readers_are_served_while_a_writer_works(world: Database) -> None:
    """A GET waits for nobody's write lock."""
    key = await add_writer(world)
    app = FastAPI()
    install(app, world)

    @app.get("/writers/{key}")
    async def read(key: UUID, writers: WriterServiceDep) -> WriterPublic:
        return await writers.get(key, into=WriterPublic)

    async with world.transaction() as session, client_of(app) as client:
        session.add(Genre(name="Held"))
        await session.flush()
        answer = await client.get(f"/writers/{key}", timeout=5)
    assert "Ann" == answer.json()["name"]


async def test_an_application_without_a_database_says_what_is_missing() -> None:
    """The message names the call that was forgotten."""
    app = FastAPI()

    @app.get("/")
    async def read(session: SessionDep) -> None:
        """Never gets that far."""

    async with client_of(app) as client:
        with pytest.raises(ConfigError, match=r"install\(app, db\)"):
            await client.get("/")


async def test_an_endpoint_can_reach_the_database(world: Database) -> None:
    """For a unit of work of its own."""
    app = FastAPI()
    install(app, world)

    @app.get("/")
    async def read(request: Request) -> str:
        return (await database_of(request).ping()).dialect

    async with client_of(app) as client:
        answer = await client.get("/")
    assert httpx2.codes.OK == answer.status_code
    assert (await world.ping()).dialect == answer.json()


def test_a_service_that_does_not_fit_is_refused_at_import() -> None:
    """Not at the first request."""

    class Open(ServiceBase[Writer, Writer, WriterUpdate]):
        """Takes a table as input."""

    with pytest.raises(ConfigError, match="takes the table"):
        service(Open)
