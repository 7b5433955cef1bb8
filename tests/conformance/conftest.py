"""The tables of world.py, and an application over them."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from sqlmodelkit import Database
from tests.fastapi.conftest import TOKEN, application, client_of
from tests.world import create_world


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


@pytest.fixture
async def client(world: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application with generated endpoints, that may write."""
    async with client_of(application(world), raising=False) as client:
        client.headers.update(TOKEN)
        yield client
