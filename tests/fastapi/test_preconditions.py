"""ETag and If-Match over HTTP: a client changes what it has read, or is told that it has moved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request, Response

from sqlmodelkit import Database, ServiceBase
from sqlmodelkit.events import recording
from sqlmodelkit.fastapi import (
    PreconditionFailed,
    PreconditionRequired,
    Responder,
    SessionDep,
    crud_router,
    install,
    responder,
)
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterService,
    WriterUpdate,
    add_volume,
    add_writer,
)

from .conftest import client_of


class Versioned(VolumePublic):
    """A volume that shows its version: that stands for all of the answer."""

    version: int


class VersionedService(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
    """Compares by the version."""

    public = Versioned


class DetailService(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
    """Shows rows of other tables too, so that the whole answer is compared."""

    public = VolumeDetail


Rows = Annotated[Responder, responder(VersionedService)]
Strict = Annotated[Responder, responder(VersionedService, single=True, require_if_match=True)]
PATHS = ("/versioned/1", "/plain/1", "/detail/1", "/own/1")
each_path = pytest.mark.parametrize("path", PATHS)


async def look_around(session: SessionDep) -> None:
    """Read before the endpoint does, in its unit of work, as authorization would."""
    await session.get(Volume, 77)


def application(world: Database) -> FastAPI:
    """Return an application with every kind of endpoint for volumes."""
    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(VersionedService, public=True), prefix="/versioned")
    app.include_router(crud_router(VolumeService, public=True), prefix="/plain")
    app.include_router(crud_router(DetailService, public=True), prefix="/detail")
    app.include_router(crud_router(WriterService, public=True), prefix="/writers")
    looking = crud_router(DetailService, auth=[Depends(look_around)])
    app.include_router(looking, prefix="/looking")
    strict = crud_router(VersionedService, public=True, require_if_match=True)
    app.include_router(strict, prefix="/strict")

    @app.get("/own/{key}", response_model=Versioned)
    async def read(key: int, rows: Rows) -> Response:
        return await rows.get(key)

    @app.patch("/own/{key}", response_model=Versioned)
    async def change(key: int, data: VolumeUpdate, rows: Rows) -> Response:
        return await rows.update(key, data)

    @app.delete("/own/{key}", status_code=204)
    async def remove(key: int, rows: Rows) -> Response:
        return await rows.delete(key)

    @app.patch("/own-strict/{key}", response_model=Versioned)
    async def change_strictly(key: int, data: VolumeUpdate, rows: Strict) -> Response:
        return await rows.update(key, data)

    return app


@pytest.fixture
async def client(world: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application."""
    async with client_of(application(world)) as client:
        yield client


async def stars_of(client: httpx2.AsyncClient) -> Any:
    """Return the stars that volume 1 has now."""
    return (await client.get("/plain/1")).json()["stars"]


def problem(answer: httpx2.Response) -> tuple[int, list[str], str]:
    """Return status, place and type of the only thing that is wrong."""
    (item,) = answer.json()["detail"]
    return answer.status_code, item["loc"], item["type"]


FAILED = (412, ["header", "If-Match"], "precondition_failed")
REQUIRED = (428, ["header", "If-Match"], "precondition_required")


@each_path
async def test_who_has_read_the_row_may_change_it(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """Its ETag is that of GET, and the answer's own is that of the next change."""
    await add_volume(world)
    tag = (await client.get(path)).headers["etag"]
    for stars in (1, 2):
        answer = await client.patch(path, json={"stars": stars}, headers={"If-Match": tag})
        assert (200, stars) == (answer.status_code, answer.json()["stars"])
        read = await client.get(path)
        assert (read.headers["etag"], read.content) == (answer.headers["etag"], answer.content)
        assert tag != answer.headers["etag"]
        tag = answer.headers["etag"]
    assert 204 == (await client.delete(path, headers={"If-Match": tag})).status_code
    assert 404 == (await client.get(path)).status_code


@each_path
async def test_who_has_read_another_state_may_not(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """Neither change nor remove; nothing is written."""
    await add_volume(world)
    tag = (await client.get(path)).headers["etag"]
    await client.patch("/plain/1", json={"stars": 4})
    for headers in ({"If-Match": tag}, {"If-Match": f'"other", {tag}'}):
        assert FAILED == problem(await client.patch(path, json={"stars": 1}, headers=headers))
        assert FAILED == problem(await client.patch(path, json={}, headers=headers))
        assert FAILED == problem(await client.delete(path, headers=headers))
    assert 4 == await stars_of(client)


@each_path
@pytest.mark.parametrize(
    "asked",
    [
        "W/{tag}", "{bare}", "", '"other"', '"1-"', '"9-abc"', '"99999999999999999999-abc"',
        '"-1-abc"', "*, {tag}", "{tag} {tag}", '"*"', "{tag};", "\x7f", '{tag}, "',
    ],
)  # fmt: skip
async def test_tags_are_compared_strongly(
    world: Database, client: httpx2.AsyncClient, path: str, asked: str
) -> None:
    """A weak tag, one without quotes, and what is no list of tags match nothing."""
    await add_volume(world)
    tag = (await client.get(path)).headers["etag"]
    headers = {"If-Match": asked.format(tag=tag, bare=tag.strip('"'))}
    assert FAILED == problem(await client.patch(path, json={"stars": 1}, headers=headers))
    assert FAILED == problem(await client.delete(path, headers=headers))
    assert 3 == await stars_of(client)


@each_path
async def test_one_of_several_tags_is_enough(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """In one line or several, with weak ones, commas and empty places among them."""
    await add_volume(world)
    for number, form in enumerate(('"a,b", {}', 'W/"x",{} ,"y"', ", {},,", '"1-a", "2-b", {}')):
        tag = (await client.get(path)).headers["etag"]
        headers = {"If-Match": form.format(tag)}
        answer = await client.patch(path, json={"stars": number}, headers=headers)
        assert (200, number) == (answer.status_code, answer.json()["stars"])
    tag = (await client.get(path)).headers["etag"]
    lines = [("If-Match", '"other"'), ("If-Match", tag)]
    assert 200 == (await client.patch(path, json={"stars": 5}, headers=lines)).status_code


@each_path
async def test_the_star_asks_for_a_row_in_any_state(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """And a row that is missing is a 404, whatever was asked for (RFC 9110, section 13.2.1)."""
    await add_volume(world)
    star = {"If-Match": " * "}
    assert 200 == (await client.patch(path, json={"stars": 1}, headers=star)).status_code
    tag = (await client.get(path)).headers["etag"]
    assert 204 == (await client.delete(path, headers=star)).status_code
    for asked in ("*", tag, '"other"', '"2-abc"'):
        headers = {"If-Match": asked}
        for answer in (
            await client.patch(path, json={"stars": 1}, headers=headers),
            await client.delete(path, headers=headers),
        ):
            assert (404, "not_found") == (
                answer.status_code,
                answer.json()["detail"][0]["type"],
            )


@pytest.mark.parametrize("path", [*PATHS, "/looking/1"])
async def test_of_many_with_the_same_tag_one_wins(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """Ten changes at once: one is made, nine are told; also where a dependency has read before."""
    await add_volume(world)
    tag = (await client.get(path)).headers["etag"]

    async def change(stars: int) -> httpx2.Response:
        headers = {"If-Match": tag}
        return await client.patch(path, json={"stars": stars}, headers=headers)

    answers = await asyncio.gather(*(change(stars) for stars in range(10, 20)))
    assert [200, *[412] * 9] == sorted(answer.status_code for answer in answers)
    (won,) = (answer for answer in answers if answer.status_code == 200)
    assert won.json()["stars"] == await stars_of(client)


@pytest.mark.parametrize("path", [*PATHS, "/looking/1"])
async def test_a_change_and_a_removal_do_not_both_happen(
    world: Database, client: httpx2.AsyncClient, path: str
) -> None:
    """Either the row is changed and stays, or it is gone."""
    await add_volume(world)
    headers = {"If-Match": (await client.get(path)).headers["etag"]}
    changed, removed = await asyncio.gather(
        client.patch(path, json={"stars": 1}, headers=headers),
        client.delete(path, headers=headers),
    )
    assert (changed.status_code, removed.status_code) in {(200, 412), (404, 204)}


async def test_a_table_without_version_is_compared_under_a_lock(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """Two changes with the same tag: one wins."""
    path = f"/writers/{await add_writer(world)}"
    tag = (await client.get(path)).headers["etag"]
    names = ["Ada", "Bea", "Cid", "Dan"]
    answers = await asyncio.gather(
        *(client.patch(path, json={"name": name}, headers={"If-Match": tag}) for name in names)
    )
    assert [200, 412, 412, 412] == sorted(answer.status_code for answer in answers)


async def test_what_is_nested_belongs_to_the_answer(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """A row of another table that is shown has changed: that is another answer (RFC 9110, 8.8.1)."""
    writer = await add_writer(world, volumes=1)
    tag = (await client.get("/detail/1")).headers["etag"]
    async with world.transaction() as session:
        await WriterService(session).update(writer, WriterUpdate(name="Renamed"))
    headers = {"If-Match": tag}
    assert FAILED == problem(await client.patch("/detail/1", json={"stars": 1}, headers=headers))


async def test_a_version_that_is_shown_is_compared_by_the_statement_that_writes(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """No statement more than without If-Match, where the database answers what it writes."""
    await add_volume(world)
    tag = (await client.get("/versioned/1")).headers["etag"]
    assert tag.startswith('"1-')
    with recording(world.engine.sync_engine) as events:
        headers = {"If-Match": tag}
        await client.patch("/versioned/1", json={"stars": 1}, headers=headers)
    verbs = [event.statement.split()[0] for event in events if "w_volume" in event.statement]
    returns = world.engine.dialect.update_returning
    assert (["UPDATE"] if returns else ["SELECT", "UPDATE"]) == verbs[:2]


async def test_a_router_can_demand_a_tag(world: Database, client: httpx2.AsyncClient) -> None:
    """428 for who has none, for changing and removing (RFC 6585, section 3)."""
    await add_volume(world)
    assert REQUIRED == problem(await client.patch("/strict/1", json={"stars": 1}))
    assert REQUIRED == problem(await client.patch("/own-strict/1", json={"stars": 1}))
    assert REQUIRED == problem(await client.delete("/strict/1"))
    assert 3 == await stars_of(client)
    tag = (await client.get("/strict/1")).headers["etag"]
    headers = {"If-Match": tag}
    answer = await client.patch("/own-strict/1", json={"stars": 1}, headers=headers)
    assert 200 == answer.status_code
    assert FAILED == problem(await client.delete("/strict/1", headers=headers))
    headers = {"If-Match": answer.headers["etag"]}
    assert 204 == (await client.delete("/strict/1", headers=headers)).status_code


async def test_what_is_made_has_the_tag_of_what_is_read(client: httpx2.AsyncClient) -> None:
    """So that a client can change what it has made without reading it first."""
    for path in ("/versioned", "/plain", "/detail"):
        made = await client.post(path, json={"title": path})
        read = await client.get(f"{path}/{made.json()['id']}")
        assert (201, read.headers["etag"]) == (made.status_code, made.headers["etag"])
        tagged = {"If-None-Match": made.headers["etag"]}
        again = await client.get(f"{path}/{made.json()['id']}", headers=tagged)
        assert 304 == again.status_code


async def test_a_stale_write_without_a_tag_is_a_409(world: Database) -> None:
    """412 is for who has asked."""
    key = await add_volume(world)
    app = FastAPI()
    install(app, world)

    @app.post("/act")
    async def act(request: Request, session: SessionDep) -> None:
        await VolumeService(session).update(key, VolumeUpdate(stars=1), version=7)

    async with client_of(app) as client:
        answer = await client.post("/act", headers={"If-Match": '"7-a"'})
    assert (409, ["body"], "stale_version") == problem(answer)


def test_openapi_tells_of_conditions(world: Database) -> None:
    """The header, and the answers to those that do not hold."""
    paths = application(world).openapi()["paths"]
    for method in ("patch", "delete"):
        for path, required in (("/plain/{id}", False), ("/strict/{id}", True)):
            described = paths[path][method]
            (header,) = [part for part in described["parameters"] if part["in"] == "header"]
            assert ("If-Match", required) == (header["name"], header["required"])
            statuses = set(described["responses"])
            assert ({"412", "428"} if required else {"412"}) == statuses & {"412", "428"}


def test_preconditions_are_errors_with_a_text() -> None:
    """Their docstrings."""
    assert "no longer" in str(PreconditionFailed())
    assert "If-Match" in str(PreconditionRequired())
