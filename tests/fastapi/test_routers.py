"""Generated routers: every operation over HTTP, who may write, and what OpenAPI says."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import Body, Depends, FastAPI, HTTPException
from pydantic import ConfigDict

from sqlmodelkit import Database, ServiceBase, events
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.fastapi import crud_router, install
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeService,
    VolumeUpdate,
    Writer,
    WriterCreate,
    WriterService,
    WriterUpdate,
    WriterWithVolumes,
    add_volume,
    add_writer,
)

from .conftest import application, client_of


async def test_a_row_lives_from_post_to_delete(client: httpx2.AsyncClient) -> None:
    """Create, read, change, remove: the status and the body of each."""
    made = await client.post("/writers", json={"name": "Ann", "email": "a@b.example"})
    assert 201 == made.status_code
    key = made.json()["id"]
    assert {"id": key, "name": "Ann", "email": "a@b.example", "motto": "Write."} == made.json()
    read = await client.get(f"/writers/{key}")
    assert (200, made.json()) == (read.status_code, read.json())
    changed = await client.patch(f"/writers/{key}", json={"motto": None})
    assert (200, made.json() | {"motto": None}) == (changed.status_code, changed.json())
    removed = await client.delete(f"/writers/{key}")
    assert (204, b"") == (removed.status_code, removed.content)
    assert 404 == (await client.get(f"/writers/{key}")).status_code
    assert 404 == (await client.delete(f"/writers/{key}")).status_code


async def test_an_explicit_null_is_stored(client: httpx2.AsyncClient) -> None:
    """Left out and null are two things, in POST and in PATCH."""
    for body, motto in (({}, "Write."), ({"motto": None}, None), ({"motto": "x"}, "x")):
        made = await client.post("/writers", json={"name": "Ann"} | body)
        assert motto == made.json()["motto"]
        same = await client.patch(f"/writers/{made.json()['id']}", json={})
        assert made.json() == same.json()


async def test_a_list_is_a_page(world: Database, client: httpx2.AsyncClient) -> None:
    """Items, total, limit and offset."""
    await add_writer(world, volumes=3)
    answer = await client.get("/volumes", params={"limit": 2, "offset": 1, "sort": "-price"})
    page = answer.json()
    assert 200 == answer.status_code
    assert {"items", "total", "limit", "offset"} == set(page)
    assert (3, 2, 1) == (page["total"], page["limit"], page["offset"])
    assert ["2.00", "1.00"] == [item["price"] for item in page["items"]]


async def test_a_batch_is_created_in_order(client: httpx2.AsyncClient) -> None:
    """All or none."""
    bodies = [{"title": title, "isbn": title} for title in "cab"]
    made = await client.post("/volumes/batch", json=bodies)
    assert 201 == made.status_code
    assert ["c", "a", "b"] == [item["title"] for item in made.json()]
    again = await client.post("/volumes/batch", json=[{"title": "new"}, *bodies])
    assert 409 == again.status_code
    assert 3 == (await client.get("/volumes")).json()["total"]
    for size in (0, 101):
        refused = await client.post("/volumes/batch", json=[{"title": "x"}] * size)
        assert (422, ["body"]) == (refused.status_code, refused.json()["detail"][0]["loc"])


async def test_a_value_of_a_batch_that_does_not_fit_is_found(client: httpx2.AsyncClient) -> None:
    """By the place of its row, as FastAPI's own errors have it; no place where there is one row."""
    bodies = [{"title": "a"}, {"title": "b\x00"}]
    refused = await client.post("/volumes/batch", json=bodies)
    assert (422, ["body", 1, "title"]) == (
        refused.status_code,
        refused.json()["detail"][0]["loc"],
    )
    refused = await client.post("/volumes", json=bodies[1])
    assert ["body", "title"] == refused.json()["detail"][0]["loc"]


async def test_a_soft_deleted_row_can_be_restored(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """On request the router has a route for it."""
    key = await add_volume(world)
    assert 204 == (await client.delete(f"/volumes/{key}")).status_code
    assert 404 == (await client.get(f"/volumes/{key}")).status_code
    assert 0 == (await client.get("/volumes")).json()["total"]
    restored = await client.post(f"/volumes/{key}/restore")
    assert (200, "Dune") == (restored.status_code, restored.json()["title"])
    assert 200 == (await client.get(f"/volumes/{key}")).status_code
    assert 404 == (await client.post(f"/volumes/{key}/restore")).status_code


async def test_a_composite_key_is_a_path_of_two_parts(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """In the key's order, each of its type."""
    await add_writer(world, volumes=1)
    assert "Two" == (await client.get("/chapters/1/2")).json()["title"]
    changed = await client.patch("/chapters/1/2", json={"title": "End"})
    assert {"volume_id": 1, "number": 2, "title": "End"} == changed.json()
    assert 204 == (await client.delete("/chapters/1/2")).status_code
    assert 404 == (await client.get("/chapters/1/2")).status_code
    assert 422 == (await client.get("/chapters/1/two")).status_code


async def test_a_nested_response_takes_constant_statements(world: Database) -> None:
    """Of a list too, however many rows there are."""

    class Nested(ServiceBase[Writer, WriterCreate, WriterUpdate]):
        """Shows volumes with chapters."""

        public = WriterWithVolumes

    for name in ("Ann", "Bea"):
        await add_writer(world, name, volumes=4)
    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(Nested, operations=["list"]), prefix="/writers")
    seen: list[events.QueryEvent] = []
    stops = [events.listen(engine.sync_engine, seen.append) for engine in world._engines()]
    try:
        async with client_of(app) as client:
            page = (await client.get("/writers", params={"sort": "name"})).json()
    finally:
        for stop in stops:
            stop()
    assert [4, 4] == [len(item["volumes"]) for item in page["items"]]
    assert 2 == len(page["items"][1]["volumes"][3]["chapters"])
    assert 3 == len([event for event in seen if event.statement.startswith("SELECT")])


async def test_writes_are_guarded_and_reads_are_open(world: Database) -> None:
    """Without the token nothing is written, whatever the body."""
    key = await add_volume(world)
    async with client_of(application(world)) as stranger:
        assert 200 == (await stranger.get("/volumes")).status_code
        assert 200 == (await stranger.get(f"/volumes/{key}")).status_code
        for method, path in (
            ("POST", "/volumes"),
            ("POST", "/volumes/batch"),
            ("PATCH", f"/volumes/{key}"),
            ("DELETE", f"/volumes/{key}"),
            ("POST", f"/volumes/{key}/restore"),
        ):
            answer = await stranger.request(method, path)
            assert (method, path, 401) == (method, path, answer.status_code)
        page = (await stranger.get("/volumes")).json()
    assert (1, "Dune") == (page["total"], page["items"][0]["title"])


async def test_reads_can_be_guarded_too(world: Database) -> None:
    """By dependencies of their own."""

    async def nobody() -> None:
        raise HTTPException(403, "No.")

    app = FastAPI()
    install(app, world)
    router = crud_router(WriterService, public=True, read_auth=[Depends(nobody)])
    app.include_router(router, prefix="/writers")
    async with client_of(app) as client:
        assert 403 == (await client.get("/writers")).status_code
        assert 403 == (await client.get(f"/writers/{uuid4()}")).status_code
        assert 201 == (await client.post("/writers", json={"name": "Ann"})).status_code


async def test_unknown_fields_of_a_body_are_refused(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """Also those that the table has: no client sets a secret, a key or a version."""
    key = await add_writer(world)
    volume = await add_volume(world)
    for path, name in (
        (f"/writers/{key}", "secret"),
        (f"/writers/{key}", "id"),
        (f"/volumes/{volume}", "version"),
        (f"/volumes/{volume}", "deleted_at"),
        (f"/volumes/{volume}", "created_at"),
        (f"/volumes/{volume}", "nmae"),
    ):
        answer = await client.patch(path, json={name: 7})
        assert (422, ["body", name]) == (answer.status_code, answer.json()["detail"][0]["loc"])
    for path in ("/writers", "/volumes"):
        answer = await client.post(path, json={"name": "x", "title": "x", "secret": "x"})
        assert 422 == answer.status_code
    answer = await client.post("/volumes/batch", json=[{"title": "x"}, {"title": "x", "id": 1}])
    assert ["body", 1, "id"] == answer.json()["detail"][0]["loc"]


async def test_a_schema_may_say_itself_what_to_do_with_unknown_fields(world: Database) -> None:
    """Then the router leaves it as it is."""

    class Tolerant(WriterCreate):
        """Ignores what it does not know."""

        model_config = ConfigDict(extra="ignore")  # type: ignore[assignment]

    class Lenient(ServiceBase[Writer, Tolerant, WriterUpdate]):
        """Takes such bodies."""

        public = WriterWithVolumes

    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(Lenient, public=True), prefix="/writers")
    async with client_of(app) as client:
        answer = await client.post("/writers", json={"name": "Ann", "nmae": "Bea"})
    assert (201, "Ann") == (answer.status_code, answer.json()["name"])


async def test_subclasses_of_a_schema_keep_their_validators(world: Database) -> None:
    """Strict bodies are validated like the schema that was declared."""
    async with client_of(application(world)) as client:
        answer = await client.post("/writers", json={"name": "x" * 61})
    assert (422, ["body", "name"]) == (answer.status_code, answer.json()["detail"][0]["loc"])


async def test_only_the_operations_that_were_asked_for_exist(world: Database) -> None:
    """The others are not found, or not allowed."""
    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(WriterService, operations=["get"]), prefix="/writers")
    key = await add_writer(world)
    async with client_of(app) as client:
        assert 200 == (await client.get(f"/writers/{key}")).status_code
        assert 404 == (await client.get("/writers")).status_code
        assert 405 == (await client.patch(f"/writers/{key}")).status_code
        assert 405 == (await client.delete(f"/writers/{key}")).status_code


async def test_limits_are_the_router_s(world: Database) -> None:
    """Its default, and its most."""
    for number in range(4):
        await add_volume(world, title=str(number))
    app = FastAPI()
    install(app, world)
    router = crud_router(
        VolumeService, operations=["list"], default_limit=2, max_limit=3, count="none", tags=["x"]
    )
    app.include_router(router, prefix="/volumes")
    async with client_of(app) as client:
        page = (await client.get("/volumes")).json()
        assert (2, None) == (len(page["items"]), page["total"])
        assert 3 == len((await client.get("/volumes?limit=3")).json()["items"])
        assert 422 == (await client.get("/volumes?limit=4")).status_code
    assert ["x"] == app.openapi()["paths"]["/volumes"]["get"]["tags"]


async def test_a_body_can_be_used_beside_generated_routes(world: Database) -> None:
    """Routes by hand take the same schemas and services."""
    app = application(world)

    @app.post("/by-hand")
    async def by_hand(data: Annotated[VolumeCreate, Body()]) -> Decimal:
        return data.price

    async with client_of(app) as client:
        assert "10" == (await client.post("/by-hand", json={"title": "x"})).json()


def refused(service: type[ServiceBase[Any, Any, Any]], **options: Any) -> str:
    """Return why a router cannot be made."""
    with pytest.raises(ConfigError) as caught:
        crud_router(service, **options)
    return str(caught.value)


def test_write_routes_need_a_word_on_who_may_write() -> None:
    """Nobody opens a table to the world by leaving something out."""
    assert "public=True" in refused(WriterService)
    assert "who may write" in refused(WriterService, operations=["list", "delete"])
    crud_router(WriterService, operations=["list", "get"])


def test_declarations_that_cannot_work_are_refused() -> None:
    """At import, with the fix."""

    class Mute(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
        """Has no response model."""

    class Open(ServiceBase[Writer, Writer, WriterUpdate]):
        """Takes a table."""

    assert "`public`" in refused(Mute, public=True)
    assert "takes the table" in refused(Open, public=True)
    assert "no operation destroy" in refused(WriterService, public=True, operations=["destroy"])
    assert "SoftDelete" in refused(WriterService, public=True, operations=["restore"])


def test_openapi_tells_every_operation_and_its_errors(world: Database) -> None:
    """Names, bodies, parameters and error answers."""
    document = application(world).openapi()
    volumes, one = document["paths"]["/volumes"], document["paths"]["/volumes/{id}"]
    assert {"get", "post"} == set(volumes)
    assert {"get", "patch", "delete"} == set(one)
    assert {"200", "422", "503", "504"} <= set(volumes["get"]["responses"])
    assert {"201", "409", "422", "503", "504"} <= set(volumes["post"]["responses"])
    assert {"200", "404", "409", "422"} <= set(one["patch"]["responses"])
    assert {"204", "404", "409", "422"} <= set(one["delete"]["responses"])
    body = one["get"]["responses"]["404"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/ErrorBody"} == body
    assert "additionalProperties" in document["components"]["schemas"]["VolumeCreate"]
    key, known = one["get"]["parameters"]
    assert ("If-None-Match", "header") == (known["name"], known["in"])
    assert ("id", "path", "integer") == (key["name"], key["in"], key["schema"]["type"])
    names = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))
    assert "secret" not in str(document)
