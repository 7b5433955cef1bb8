"""The query parameters of a list: what they find, and that nothing unknown is left out."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import null

from sqlmodelkit import Database
from tests.world import State, add_volume, add_writer, create_world, is_mariadb

from .conftest import application, client_of

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

FOUND = {
    "title=Alpha": [1],
    "title__ne=Alpha": [2, 3],
    "title__in=Alpha&title__in=Gamma%25": [1, 3],
    "title__not_in=Alpha": [2, 3],
    "title__startswith=Al": [1],
    "title__endswith=%25": [3],
    "title__contains=_": [2],
    "title__icontains=ALPHA": [1],
    "title__istartswith=GAM": [3],
    "title__iendswith=PHA": [1],
    "title__like=%25a_1": [2],
    "title__ilike=ALPH_": [1],
    "title__not_like=Al%25": [2, 3],
    "title__not_ilike=al%25": [2, 3],
    "price=2": [2],
    "price=2.00": [2],
    "price__lte=2": [1, 2],
    "price__gt=1.5&price__lt=2.5": [2],
    "price__between=2&price__between=3": [2, 3],
    "state=printed": [2],
    "state__in=draft": [1, 3],
    "stars__is=null": [1],
    "stars__is_not=null": [2, 3],
    "stars__gte=4": [3],
    "weight__lt=1": [1],
    "shelf=1099511627776": [1],
    "printed_at=2026-03-01T12:00:00Z": [1],
    "printed_at__gte=2026-03-01T13:30:00%2B01:00": [3],
    "isbn=9": [3],
    "id__between=2&id__between=3": [2, 3],
    "sort=-price": [3, 2, 1],
    "sort=stars,-price": [2, 3, 1],
    "sort=-title&limit=1&offset=2": [1],
    "sort=": [1, 2, 3],
    "": [1, 2, 3],
}
"""What is found on the shelf by each query."""

REFUSED = [
    ("nothing=1", "nothing"),
    ("titel=x", "titel"),
    ("price__less=3", "price__less"),
    ("title__match=x", "title__match"),
    ("writer__name=x", "writer__name"),
    ("version=1", "version"),
    ("deleted_at__is=null", "deleted_at__is"),
    ("price=cheap", "price"),
    ("price__lte=", "price__lte"),
    ("stars=3.5", "stars"),
    ("stars=2147483648", "stars"),
    ("id=-2147483649", "id"),
    ("id__in=1&id__in=x", "id__in"),
    ("id__in=99999999999999999999", "id__in"),
    ("shelf=9223372036854775808", "shelf"),
    ("weight=nan", "weight"),
    ("weight=inf", "weight"),
    ("state=lost", "state"),
    ("stars__is=3", "stars__is"),
    ("writer_id=7", "writer_id"),
    ("printed_at=2026-03-01T12:00:00", "printed_at"),
    ("printed_at__lt=yesterday", "printed_at__lt"),
    ("title=a%00b", "title"),
    ("title__contains=%00", "title__contains"),
    ("title__in=a&title__in=%00", "title__in"),
    ("price__between=1", "price__between"),
    ("price__between=3&price__between=1", "price__between"),
    ("price=1&price=2", "price"),
    ("sort=price&sort=title", "sort"),
    ("limit=1&limit=2", "limit"),
    ("sort=nothing", "sort"),
    ("sort=version", "sort"),
    ("sort=price,price", "sort"),
    ("sort=price,", "sort"),
    ("sort=--price", "sort"),
    ("sort=writer", "sort"),
    ("limit=0", "limit"),
    ("limit=-1", "limit"),
    ("limit=101", "limit"),
    ("limit=ten", "limit"),
    ("offset=-1", "offset"),
    ("offset=99999999999999999999", "offset"),
    ("id__in=" + "&id__in=".join(["1"] * 101), "id__in"),
]
"""Queries, and the parameter that each answer must name."""


@pytest.fixture
async def shelf(world: Database) -> UUID:
    """Three volumes that differ in everything."""
    writer = await add_writer(world)
    await add_volume(
        world, "Alpha", price=1, stars=null(), weight=0.5, printed_at=NOON, shelf=2**40
    )
    await add_volume(world, "beta_1", price=2, state=State.PRINTED, writer_id=writer, weight=1.5)
    await add_volume(
        world, "Gamma%", price=3, stars=5, isbn="9", printed_at=NOON + timedelta(hours=1)
    )
    return writer


async def test_a_list_can_be_filtered_and_sorted(shelf: UUID, client: httpx2.AsyncClient) -> None:
    """By every column that is shown, with every operator that fits it."""
    found = {}
    for query in FOUND:
        answer = await client.get(f"/volumes?{query}")
        found[query] = [item["id"] for item in answer.json().get("items", [answer.text])]
    assert FOUND == found


async def test_a_list_can_be_filtered_by_a_uuid(shelf: UUID, client: httpx2.AsyncClient) -> None:
    """A foreign key like any other column."""
    for query, expected in ((f"writer_id={shelf}", [2]), ("writer_id__is=null", [1, 3])):
        page = (await client.get(f"/volumes?{query}")).json()
        assert expected == [item["id"] for item in page["items"]]


async def test_the_case_of_text_is_the_engine_s_where_it_cannot_be_told(
    world: Database, shelf: UUID, client: httpx2.AsyncClient
) -> None:
    """Equality on MariaDB follows its collation."""
    page = (await client.get("/volumes?title=alpha")).json()
    assert is_mariadb(world) == (1 == page["total"])


async def test_what_cannot_be_is_a_422_that_names_the_parameter() -> None:
    """Before any database is asked: nothing is left out, and nothing becomes a 500."""
    answers, database = [], Database("sqlite://")
    async with client_of(application(database)) as client:
        for query, _ in REFUSED:
            answer = await client.get(f"/volumes?{query}")
            error = answer.json()["detail"][0]
            assert error["msg"]
            assert error["type"]
            answers.append((query, answer.status_code, error["loc"][:2]))
    assert 0 == database.pool_status()["open"]
    await database.close()
    assert [(query, 422, ["query", named]) for query, named in REFUSED] == answers


async def test_more_sorts_than_allowed_are_refused(client: httpx2.AsyncClient) -> None:
    """However they are written."""
    names = "title,isbn,price,state,stars,weight,shelf,printed_at,id"
    answer = await client.get(f"/volumes?sort={names}")
    assert (422, ["query", "sort"]) == (answer.status_code, answer.json()["detail"][0]["loc"])


@pytest.mark.parametrize("name", ["secret", "secret__contains", "secret__is_not", "created_at"])
async def test_a_column_that_is_not_shown_cannot_be_asked_for(
    world: Database, client: httpx2.AsyncClient, name: str
) -> None:
    """Neither by filter nor by sort, and no message tells that it exists."""
    await add_writer(world)
    for query in ({name: "c"}, {"sort": name}):
        answer = await client.get("/writers", params=query)
        assert 422 == answer.status_code
        allowed = answer.json()["detail"][0]["msg"].partition("are ")[2]
        assert allowed
        assert name.partition("__")[0] not in allowed


async def test_a_message_lists_what_is_allowed(client: httpx2.AsyncClient) -> None:
    """So that the mistake can be mended without reading a manual."""
    unknown = (await client.get("/volumes?titel=x")).json()["detail"][0]["msg"]
    assert "title__icontains" in unknown
    sort = (await client.get("/volumes?sort=titel")).json()["detail"][0]["msg"]
    assert "title" in sort


def test_openapi_lists_every_parameter(app: FastAPI) -> None:
    """With its type and its bounds."""
    operation = app.openapi()["paths"]["/volumes"]["get"]
    parameters: dict[str, Any] = {item["name"]: item for item in operation["parameters"]}
    assert {"limit", "offset", "sort", "price", "price__lte", "title__icontains"} <= set(parameters)
    assert {"stars__is", "state", "state__in", "printed_at__between"} <= set(parameters)
    assert not {"title__match", "title__is", "version", "deleted_at"} & set(parameters)
    limit = parameters["limit"]["schema"]
    assert (1, 100, 50) == (limit["minimum"], limit["maximum"], limit["default"])
    assert "-" in parameters["sort"]["description"]
    assert "header" == parameters.pop("If-None-Match")["in"]
    assert {"query"} == {item["in"] for item in parameters.values()}


async def test_fields_named_like_page_parameters_keep_their_operators(
    database: Database,
) -> None:
    """The routes of the world's tables answer on every engine the same empty page."""
    await create_world(database)
    async with client_of(application(database)) as client:
        page = (await client.get("/writers")).json()
    assert {"items": [], "total": 0, "limit": 50, "offset": 0} == page
