"""Install: an application gets its database, error answers and health routes."""

from fastapi import APIRouter, FastAPI
from sqlmodel import select

from sqlmodelkit import Database
from sqlmodelkit.errors import NotFound
from sqlmodelkit.fastapi import SessionDep, install
from tests.world import Genre, create_world

from .conftest import client_of


async def test_an_application_gets_sessions_answers_and_health(world: Database) -> None:
    """All three by one call, for routers that are included before or after."""
    router = APIRouter()

    @router.get("/genres")
    async def genres(session: SessionDep) -> list[str]:
        return list((await session.exec(select(Genre.name))).all())

    @router.get("/missing")
    async def missing() -> None:
        raise NotFound(model="Genre", key=1)

    app = FastAPI()
    app.include_router(router, prefix="/before")
    install(app, world)
    app.include_router(router, prefix="/after")
    async with client_of(app) as client:
        for prefix in ("/before", "/after"):
            assert [] == (await client.get(f"{prefix}/genres")).json()
            assert 404 == (await client.get(f"{prefix}/missing")).status_code
        assert 200 == (await client.get("/health/live")).status_code


async def test_health_routes_can_be_elsewhere_or_nowhere() -> None:
    """As the prefix says."""
    elsewhere, nowhere = FastAPI(), FastAPI()
    install(elsewhere, Database("sqlite://"), health="/internal")
    install(nowhere, Database("sqlite://"), health=None)
    async with client_of(elsewhere) as client:
        assert 200 == (await client.get("/internal/live")).status_code
        assert 404 == (await client.get("/health/live")).status_code
    async with client_of(nowhere) as client:
        assert 404 == (await client.get("/health/live")).status_code


async def test_two_applications_have_two_databases() -> None:
    """Each works on its own."""
    one, two = Database("sqlite://"), Database("sqlite://")
    apps = (FastAPI(), FastAPI())
    for app, database in zip(apps, (one, two), strict=True):
        install(app, await create_world(database))

        @app.post("/genres")
        async def add(session: SessionDep) -> int:
            session.add(Genre(name="Epic"))
            await session.flush()
            return len((await session.exec(select(Genre))).all())

    for app in apps:
        async with client_of(app) as client:
            assert 1 == (await client.post("/genres")).json()
    await one.close()
    await two.close()


async def test_the_lifespan_of_the_database_is_one_of_fastapi(world: Database) -> None:
    """Connections are closed when the application stops."""
    app = FastAPI(lifespan=world.lifespan)
    install(app, world)
    async with app.router.lifespan_context(app):
        async with client_of(app) as client:
            assert 200 == (await client.get("/health/ready")).status_code
        assert world.pool_status()["open"] >= 1
    assert 0 == world.pool_status()["open"]
