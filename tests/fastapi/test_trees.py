"""What a service lets clients filter by: declared fields, a search, and trees of conditions."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from sqlmodelkit import ConfigError, Database
from sqlmodelkit.fastapi import crud_router, install
from tests.test_filters_engines import BOXES, SHELVES, Box, BoxInput, BoxService, boxes
from tests.world import is_sqlite

from .conftest import client_of

__all__ = ["boxes"]


class BoxPublic(BoxInput):
    """Two columns are shown."""

    id: int
    size: int | None
    is_full: bool | None


class OpenBoxService(BoxService):
    """More than what is shown, and a search."""

    public = BoxPublic
    filterable = (
        ...,
        "shelf__name",
        "note__startswith",
        "packed_at",
        "hue",
        "facts__path__color__eq",
        "facts__path__size__ge",
        "facts__path__color__is",
        "label__match",
    )
    sortable = (..., "price")
    searchable = ("label", "shelf__name")


class NarrowBoxService(BoxService):
    """Less than what is shown."""

    public = BoxPublic
    filterable = ("size__gte",)
    sortable = ("id",)


def application(database: Database) -> FastAPI:
    """Serve boxes in two ways."""
    app = FastAPI()
    install(app, database)
    for name, kind in (("open", OpenBoxService), ("narrow", NarrowBoxService)):
        app.include_router(crud_router(kind, operations=["list"]), prefix=f"/{name}")
    return app


@pytest.fixture
async def client(boxes: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """Ask the application."""
    async with client_of(application(boxes)) as client:
        yield client


def keys(condition: Any) -> list[int]:
    """Return the keys of the boxes that Python finds."""
    return [row.id for row in BOXES if row.id is not None and condition(row)]


def shelf(row: Box) -> str | None:
    """Return the name of the shelf that a box stands on."""
    return next(
        (one.name for one in SHELVES if one.id == row.shelf_id and not one.deleted_at), None
    )


def size(row: Box) -> int:
    """Return the size, or one that no condition asks for."""
    return -100 if row.size is None else row.size


def deep(*joins: str) -> Any:
    """Return a tree as deep as there are joins, and a level more, with two parts at each."""
    tree: Any = {"size": 1, "size__lt": 2}
    for join in reversed(joins):
        tree = {join: tree} if join == "not" else {join: [tree], "size__gte": 1}
    return tree


FOUND: list[tuple[dict[str, str], Any]] = [
    ({"shelf__name": "top"}, lambda row: shelf(row) == "top"),
    ({"shelf__name": "gone"}, lambda row: False),
    ({"note__startswith": "a"}, lambda row: (row.note or "").startswith("a")),
    ({"facts__path__color__eq": "red"}, lambda row: row.id % 7 == 2),
    ({"facts__path__color__eq": "7"}, lambda row: row.id % 7 == 4),
    ({"facts__path__color__eq": '"7"'}, lambda row: False),
    ({"facts__path__color__is": "null"}, lambda row: row.id % 7 in {0, 3, 5}),
    ({"facts__path__size__gte": "2.5"}, lambda row: row.id % 7 in {1, 2}),
    ({"size__ge": "1"}, lambda row: size(row) >= 1),
    ({"size__eq": "1"}, lambda row: row.size == 1),
    ({"hue": "red"}, lambda row: row.hue is not None and row.hue.value == "red"),
    ({"q": "CARS fast"}, lambda row: row.label == "fast cars"),
    ({"q": "top cars"}, lambda row: "cars" in (row.label or "") and shelf(row) == "top"),
    ({"q": "n_w"}, lambda row: "n_w" in (row.label or "")),
]
TREES: list[tuple[Any, Any]] = [
    ({"size": 1}, lambda row: row.size == 1),
    ({"size": None}, lambda row: row.size is None),
    ({"size__is_not": None, "size__lt": 1}, lambda row: row.size is not None and row.size < 1),
    ({"or": [{"size": 1}, {"shelf__name": "top"}]}, lambda r: r.size == 1 or shelf(r) == "top"),
    ({"not": {"size__gte": 1}}, lambda row: row.size is not None and row.size < 1),
    (
        {"and": [{"or": [{"size": 1}, {"size": 2}]}, {"not": {"size": 2}}], "size__in": [1, 2, 3]},
        lambda row: row.size == 1,
    ),
    ({"or": [{"size": 1}] * 50}, lambda row: row.size == 1),
    (deep("or", "and", "or", "and"), lambda row: row.size == 1),
    (deep("not", "not", "not", "not"), lambda row: row.size == 1),
    ({"is_full": True}, lambda row: row.is_full is True),
    ({"is_full__is": None}, lambda row: row.is_full is None),
    ({"is_full__is_not": True}, lambda row: row.is_full is not True),
    ({"facts__path__color__eq": "7"}, lambda row: False),
    ({"facts__path__color__eq": 7}, lambda row: row.id % 7 == 4),
    ({"facts__path__color__is": None}, lambda row: row.id % 7 in {0, 3, 5}),
    ({"packed_at": "2026-01-31T12:00:00.000001Z"}, lambda r: r.packed_at and r.packed_at.microsecond == 1),
]  # fmt: skip


async def asked(client: httpx2.AsyncClient, parameters: dict[str, str]) -> Any:
    """Return the keys that are found, or the whole answer."""
    answer = await client.get("/open", params={**parameters, "limit": "100"})
    body = answer.json()
    return [item["id"] for item in body["items"]] if answer.status_code == 200 else body


async def test_declared_fields_can_be_filtered_by(client: httpx2.AsyncClient) -> None:
    """Paths, operators and what is inside JSON, beside what is shown."""
    expected = [(given, keys(condition)) for given, condition in FOUND]
    assert expected == [(given, await asked(client, given)) for given, _ in FOUND]


async def test_a_tree_joins_conditions_by_or_and_not(client: httpx2.AsyncClient) -> None:
    """With values of JSON's own types."""
    expected = [(tree, keys(condition)) for tree, condition in TREES]
    found = [(tree, await asked(client, {"filter": json.dumps(tree)})) for tree, _ in TREES]
    assert expected == found


async def test_a_tree_a_search_and_conditions_must_all_hold(client: httpx2.AsyncClient) -> None:
    """None of them replaces another."""
    found = await asked(client, {"filter": '{"or": [{"size": 1}]}', "q": "cars", "size__lt": "5"})
    assert found == keys(lambda row: row.size == 1 and "cars" in (row.label or ""))
    tree = json.dumps(deep("or", "and", "or", "and"))
    assert found == await asked(client, {"filter": tree, "q": "cars", "size__lt": "5"})


REFUSED: list[tuple[str, list[Any]]] = [
    ("", []),
    ("{", []),
    ("[]", []),
    ("{}", []),
    ("3", []),
    ("null", []),
    ('{"size": 1, "size": 2}', []),
    ('{"size": NaN}', []),
    ("[" * 7000, []),
    ('{"size": ' + "9" * 5000 + "}", []),
    ('{"or": {}}', ["or"]),
    ('{"or": []}', ["or"]),
    ('{"or": [1]}', ["or", 0]),
    ('{"or": [{}]}', ["or", 0]),
    ('{"not": []}', ["not"]),
    ('{"or": [{"size": 1}, {"width": 1}]}', ["or", 1, "width"]),
    ('{"or": [{"not": {"size__above": 1}}]}', ["or", 0, "not", "size__above"]),
    ('{"label": "x"}', ["label"]),
    ('{"shelf__id": 1}', ["shelf__id"]),
    ('{"note__contains": "x"}', ["note__contains"]),
    ('{"facts__path__secret__eq": 1}', ["facts__path__secret__eq"]),
    ('{"limit": 1}', ["limit"]),
    ('{"q": "cars"}', ["q"]),
    ('{"size": "x"}', ["size"]),
    ('{"size": true}', ["size"]),
    ('{"size__in": [true]}', ["size__in"]),
    ('{"size__gt": null}', ["size__gt"]),
    ('{"size__in": 3}', ["size__in"]),
    ('{"size__in": [1, "x"]}', ["size__in", 1]),
    ('{"size__in": [' + "1," * 100 + "1]}", ["size__in"]),
    ('{"size__between": [1]}', ["size__between"]),
    ('{"size__is": 3}', ["size__is"]),
    ('{"packed_at": "2026-01-31T12:00:00"}', ["packed_at"]),
    ('{"packed_at__in": ["2026-01-31T12:00:00"]}', ["packed_at__in", 0]),
    ('{"packed_at__between": ["2026-01-31T12:00:00Z", "2026-01-31"]}', ["packed_at__between", 1]),
    ('{"hue": "RED"}', ["hue"]),
    ('{"not":' * 6 + '{"size": 1}' + "}" * 6, ["not"] * 5),
    ('{"or": [' + '{"size": 1},' * 50 + '{"size": 1}]}', ["or", 50, "size"]),
    ('{"note__startswith": "' + "x" * 8000 + '"}', []),
]


async def test_a_wrong_tree_is_a_422_that_names_the_place() -> None:
    """Before any database is asked."""
    database = Database("sqlite://")
    answers = []
    async with client_of(application(database)) as client:
        for text, _ in REFUSED:
            answer = await client.get("/open", params={"filter": text})
            error = answer.json()["detail"][0]
            assert error["msg"]
            answers.append((text, answer.status_code, error["loc"]))
    await database.close()
    assert [(text, 422, ["query", "filter", *place]) for text, place in REFUSED] == answers


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("/open?q=", "q"),
        ("/open?q=a", "q"),
        ("/open?q=%20%20%20", "q"),
        ("/open?q=" + "x" * 201, "q"),
        ("/open?q=a+b+c+d+e+f+g+h+i", "q"),
        ("/open?q=ab&q=cd", "q"),
        ("/open?q=ab%00", "q"),
        ("/open?size__ge=1&size__gte=2", "size__gte"),
        ("/open?limit__eq=1", "limit__eq"),
        ("/open?label=x", "label"),
        ("/open?note=x", "note"),
        ("/open?facts__path__color__ne=x", "facts__path__color__ne"),
        ("/open?shelf__name__match=x", "shelf__name__match"),
        ("/open?packed_at=2026-01-31T12:00:00", "packed_at"),
        ("/open?packed_at__gt=2026-01-31", "packed_at__gt"),
        ("/open?packed_at__in=2026-01-31T12:00:00", "packed_at__in"),
        ("/open?sort=label", "sort"),
        ("/narrow?q=cars", "q"),
        ("/narrow?size=1", "size"),
        ("/narrow?size__gt=1", "size__gt"),
        ("/narrow?is_full=true", "is_full"),
        ("/narrow?sort=size", "sort"),
    ],
)
async def test_what_is_not_declared_is_a_422(query: str, named: str) -> None:
    """A service that declares less shows less."""
    database = Database("sqlite://")
    async with client_of(application(database)) as client:
        answer = await client.get(query)
    await database.close()
    assert (422, ["query", named]) == (answer.status_code, answer.json()["detail"][0]["loc"][:2])


async def test_a_declared_sort_and_a_narrow_filter_work(client: httpx2.AsyncClient) -> None:
    """Beyond what is shown, and below it."""
    prices = (await client.get("/open?sort=-price,id&limit=1")).json()["items"]
    assert [4] == [item["id"] for item in prices]  # NULL is first in descending order.
    narrow = (await client.get("/narrow?size__gte=2&limit=100&sort=-id")).json()["items"]
    assert keys(lambda row: size(row) >= 2)[::-1] == [item["id"] for item in narrow]


async def test_match_is_open_to_clients_where_it_is_declared(
    boxes: Database,
    client: httpx2.AsyncClient,
) -> None:
    """And a refusal, not a 500, where the engine has none."""
    answer = await client.get("/open?label__match=%2Bcars*")
    assert (422 if is_sqlite(boxes) else 200) == answer.status_code


def test_openapi_shows_the_search_the_tree_and_declared_fields() -> None:
    """And nothing that is not declared."""
    paths = application(Database("sqlite://")).openapi()["paths"]
    names = {
        path: {item["name"] for item in paths[path]["get"]["parameters"]}
        for path in ("/open", "/narrow")
    }
    assert {"q", "filter", "shelf__name__icontains", "facts__path__color__eq"} <= names["/open"]
    assert {"note__startswith", "packed_at__gte", "label__match"} <= names["/open"]
    assert not {"note", "label", "note__contains", "price"} & names["/open"]
    narrow = {"limit", "offset", "sort", "filter", "size__gte", "If-None-Match"}
    assert narrow == names["/narrow"]


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("filterable", ("nothing",)),
        ("filterable", ("size__above",)),
        ("filterable", ("shelf",)),
        ("filterable", ("facts__path__color",)),
        ("sortable", ("nothing",)),
        ("sortable", ("facts",)),
        ("sortable", ("shelf__name",)),
        ("searchable", ("size",)),
        ("searchable", ("nothing",)),
    ],
)
def test_a_wrong_declaration_is_refused_at_import(declared: str, value: tuple[str, ...]) -> None:
    """The error names the service and the declaration."""
    kind = type("WrongService", (BoxService,), {"public": BoxPublic, declared: value})
    with pytest.raises(ConfigError, match=f"WrongService.{declared}"):
        crud_router(kind, operations=["list"])
