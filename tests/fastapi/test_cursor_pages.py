"""A generated list that is paged by cursors, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from sqlmodelkit import ConfigError, Database, DatabaseSettings
from sqlmodelkit.fastapi import crud_router, install
from tests.test_walks_orders import SECRET
from tests.world import VolumeService, add_volume, create_world

from .conftest import client_of


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    """An application with seven volumes."""
    database = Database(settings=DatabaseSettings(url=database_url, cursor_secret=SECRET))
    await create_world(database)
    for number in range(7):
        await add_volume(database, f"Volume {number}")
    app = FastAPI()
    install(app, database)
    router = crud_router(VolumeService, public=True, pages="cursor", max_limit=5, default_limit=3)
    app.include_router(router, prefix="/volumes")
    yield app
    await database.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client."""
    async with client_of(app) as client:
        yield client


async def get(client: httpx2.AsyncClient, **query: Any) -> Any:
    """Return a page."""
    answer = await client.get("/volumes", params=query)
    assert 200 == answer.status_code, answer.text
    return answer.json()


async def test_a_list_is_walked_forward_and_back(client: httpx2.AsyncClient) -> None:
    """By repeating the request with the cursor of the page before, or after."""
    titles, query = [], {"sort": "-title"}
    page = await get(client, **query)
    assert {"items", "limit", "next", "previous"} == set(page)
    assert (3, None) == (page["limit"], page["previous"])
    pages = [page]
    while page["next"]:
        page = await get(client, **query, cursor=page["next"], limit=2)
        pages.append(page)
    titles = [volume["title"] for page in pages for volume in page["items"]]
    assert [f"Volume {number}" for number in range(6, -1, -1)] == titles
    back = await get(client, **query, cursor=page["previous"], limit=5)
    assert titles[:5] == [volume["title"] for volume in back["items"]]
    assert back["previous"] is None


async def test_a_page_has_the_same_etag_as_long_as_it_is_the_same(
    client: httpx2.AsyncClient,
) -> None:
    """Its cursors are the same too."""
    answer = await client.get("/volumes?limit=2")
    again = await client.get("/volumes?limit=2", headers={"If-None-Match": answer.headers["etag"]})
    assert 304 == again.status_code


@pytest.mark.parametrize(
    "query", ["cursor=", "cursor=x", "cursor=%00", "cursor=" + "A" * 4096, "cursor=%F0%9F%90%8E"]
)
async def test_a_forged_cursor_is_a_422(client: httpx2.AsyncClient, query: str) -> None:
    """It names the cursor, like a number out of bounds names its parameter."""
    answer = await client.get(f"/volumes?{query}")
    assert 422 == answer.status_code
    (problem,) = answer.json()["detail"]
    assert ["query", "cursor"] == problem["loc"]
    assert "cursor_error" == problem["type"]


async def test_a_cursor_of_another_list_is_a_422(client: httpx2.AsyncClient) -> None:
    """Of another sort, or another filter."""
    cursor = (await get(client, sort="title"))["next"]
    for query in ({}, {"sort": "-title"}, {"sort": "title", "title__ne": "x"}):
        answer = await client.get("/volumes", params={**query, "cursor": cursor})
        assert 422 == answer.status_code


@pytest.mark.parametrize(("query", "field"), [("offset=1", "offset"), ("limit=6", "limit")])
async def test_there_is_no_offset(client: httpx2.AsyncClient, query: str, field: str) -> None:
    """A cursor takes its place; limits hold."""
    answer = await client.get(f"/volumes?{query}")
    assert 422 == answer.status_code
    assert ["query", field] == answer.json()["detail"][0]["loc"]
    too_long = await client.get("/volumes?cursor=" + "A" * 4097)
    assert ["query", "cursor"] == too_long.json()["detail"][0]["loc"]


async def test_the_documentation_shows_the_cursor_and_its_page(app: FastAPI) -> None:
    """Parameters and envelope are those of cursors."""
    operation = app.openapi()["paths"]["/volumes"]["get"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"limit", "cursor", "sort"} <= names
    assert "offset" not in names
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    page = app.openapi()["components"]["schemas"][answer.rpartition("/")[2]]
    assert ["items", "limit", "next", "previous"] == page["required"]


def test_an_unknown_way_to_page_is_refused() -> None:
    """When the router is made."""
    with pytest.raises(ConfigError, match="There is no way to page by 'keyset'"):
        crud_router(VolumeService, public=True, pages="keyset")  # type: ignore[arg-type]
