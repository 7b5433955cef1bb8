"""An application over the tables of world.py, and a client that talks HTTP to it."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx2
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from sqlmodelkit import Database
from sqlmodelkit.fastapi import crud_router, install
from tests.world import ChapterService, VolumeService, WriterService, create_world

TOKEN = {"Authorization": "Bearer let-me-in"}


async def require_token(authorization: Annotated[str | None, Header()] = None) -> None:
    """Let nobody pass without the token."""
    if authorization != TOKEN["Authorization"]:
        raise HTTPException(401, "Who are you?")


def application(database: Database) -> FastAPI:
    """Return an application whose writers everybody may write, and whose volumes few."""
    app = FastAPI()
    install(app, database)
    app.include_router(crud_router(WriterService, public=True), prefix="/writers")
    app.include_router(crud_router(ChapterService, public=True), prefix="/chapters")
    volumes = crud_router(
        VolumeService,
        auth=[Depends(require_token)],
        operations=["list", "get", "create", "create_many", "update", "delete", "restore"],
    )
    app.include_router(volumes, prefix="/volumes")
    return app


def client_of(app: FastAPI, *, raising: bool = True) -> httpx2.AsyncClient:
    """Return a client; `raising` shows an error that the application did not answer as itself."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=raising)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


@pytest.fixture
def app(world: Database) -> FastAPI:
    """The application, on an empty database."""
    return application(world)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that has the token."""
    async with client_of(app) as client:
        client.headers.update(TOKEN)
        yield client
