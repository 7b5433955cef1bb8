"""Responders: the bytes, headers and errors of FastAPI's own answers, and 304 for who has them."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from sqlmodel import SQLModel, func, select

from sqlmodelkit import Database, Page, ServiceBase
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.fastapi import Responder, SessionDep, crud_router, install, responder, service
from tests.world import (
    Genre,
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterCard,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterUpdate,
    WriterWithVolumes,
    add_volume,
    add_writer,
)

from .conftest import client_of

Volumes = Annotated[Responder, responder(VolumeService)]
Details = Annotated[Responder, responder(VolumeService, VolumeDetail)]
Writers = Annotated[Responder, responder(WriterService, WriterWithVolumes)]
Cards = Annotated[Responder, responder(WriterService, WriterCard)]
VolumeRows = Annotated[VolumeService, service(VolumeService)]
WriterRows = Annotated[WriterService, service(WriterService)]


def by_responder(app: FastAPI) -> None:
    """Add endpoints that answer bytes."""

    @app.get("/volumes/{key}", response_model=VolumePublic)
    async def read(key: int, rows: Volumes) -> Response:
        return await rows.get(key)

    @app.get("/details/{key}", response_model=VolumeDetail)
    async def detail(key: int, rows: Details) -> Response:
        return await rows.get(key)

    @app.get("/writers", response_model=list[WriterWithVolumes])
    async def every(rows: Writers) -> Response:
        return await rows.all(sort="name")

    @app.get("/cards", response_model=list[WriterCard])
    async def cards(rows: Cards) -> Response:
        return await rows.all(sort="name", name__ne="Nobody")

    @app.get("/pages", response_model=Page[VolumePublic])
    async def pages(rows: Volumes, limit: int = 2, offset: int = 0) -> Response:
        return await rows.page(sort="-title", limit=limit, offset=offset)

    @app.get("/uncounted", response_model=Page[VolumePublic])
    async def uncounted(rows: Volumes) -> Response:
        return await rows.page(count="none", title__contains="Ann")

    @app.post("/volumes", response_model=VolumePublic, status_code=201)
    async def create(data: VolumeCreate, rows: Volumes) -> Response:
        return await rows.create(data)

    @app.patch("/volumes/{key}", response_model=VolumePublic)
    async def update(key: int, data: VolumeUpdate, rows: Volumes) -> Response:
        return await rows.update(key, data)

    @app.post("/writers", response_model=WriterWithVolumes, status_code=201)
    async def create_writer(data: WriterCreate, rows: Writers) -> Response:
        return await rows.create(data)


def by_response_model(app: FastAPI) -> None:
    """Add the same endpoints as FastAPI's tutorial has them."""

    @app.get("/volumes/{key}")
    async def read(key: int, rows: VolumeRows) -> VolumePublic:
        return await rows.get(key, into=VolumePublic)

    @app.get("/details/{key}")
    async def detail(key: int, rows: VolumeRows) -> VolumeDetail:
        return await rows.get(key, into=VolumeDetail)

    @app.get("/writers")
    async def every(rows: WriterRows) -> list[WriterWithVolumes]:
        return await rows.all(sort="name", into=WriterWithVolumes)

    @app.get("/cards")
    async def cards(rows: WriterRows) -> list[WriterCard]:
        return await rows.all(sort="name", name__ne="Nobody", into=WriterCard)

    @app.get("/pages")
    async def pages(rows: VolumeRows, limit: int = 2, offset: int = 0) -> Page[VolumePublic]:
        return await rows.page(sort="-title", limit=limit, offset=offset, into=VolumePublic)

    @app.get("/uncounted")
    async def uncounted(rows: VolumeRows) -> Page[VolumePublic]:
        return await rows.page(count="none", title__contains="Ann", into=VolumePublic)

    @app.post("/volumes", status_code=201)
    async def create(data: VolumeCreate, rows: VolumeRows) -> VolumePublic:
        return await rows.create(data, into=VolumePublic)

    @app.patch("/volumes/{key}")
    async def update(key: int, data: VolumeUpdate, rows: VolumeRows) -> VolumePublic:
        return await rows.update(key, data, into=VolumePublic)

    @app.post("/writers", status_code=201)
    async def create_writer(data: WriterCreate, rows: WriterRows) -> WriterWithVolumes:
        return await rows.create(data, into=WriterWithVolumes)


def application(database: Database, endpoints: Any) -> FastAPI:
    """Return an application with endpoints of one kind."""
    app = FastAPI()
    install(app, database)
    endpoints(app)
    return app


@pytest.fixture
async def bytes_client(world: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the responders."""
    async with client_of(application(world, by_responder)) as client:
        yield client


@pytest.fixture
async def models_client(world: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the endpoints with models."""
    async with client_of(application(world, by_response_model)) as client:
        yield client


PATHS = (
    "/volumes/1",
    "/details/1",
    "/writers",
    "/cards",
    "/pages",
    "/pages?limit=3",
    "/pages?limit=9&offset=2",
    "/pages?offset=50",
    "/uncounted",
)


async def test_answers_are_fastapi_s_to_the_byte(
    world: Database, bytes_client: httpx2.AsyncClient, models_client: httpx2.AsyncClient
) -> None:
    """Body, status and headers; an ETag is all that is more."""
    await add_writer(world, "Ann", volumes=2)
    await add_writer(world, 'Bea "ü" \\ <&>\u2028', volumes=1)
    for _ in range(2):
        for path in PATHS:
            one, other = await bytes_client.get(path), await models_client.get(path)
            assert (path, 200, other.content) == (path, one.status_code, one.content)
            headers = dict(one.headers)
            assert '"' == headers.pop("etag")[0]
            assert (path, dict(other.headers)) == (path, headers)


async def test_refusals_are_fastapi_s_to_the_byte(
    bytes_client: httpx2.AsyncClient, models_client: httpx2.AsyncClient
) -> None:
    """Missing rows, values that do not fit, rows that exist already."""
    await bytes_client.post("/volumes", json={"title": "x", "isbn": "1"})
    requests: list[tuple[str, str, Any]] = [
        ("GET", "/volumes/99", None),
        ("GET", "/volumes/x", None),
        ("GET", "/pages?limit=0", None),
        ("GET", "/pages?offset=-1", None),
        ("POST", "/volumes", {"title": "y", "isbn": "1"}),
        ("POST", "/volumes", {"title": "y", "price": "-1"}),
        ("POST", "/volumes", {"title": "y", "writer_id": str(UUID(int=1))}),
        ("POST", "/volumes", {"title": "y" * 41}),
        ("POST", "/volumes", {"title": "a\x00b"}),
        ("PATCH", "/volumes/99", {"title": "y"}),
        ("PATCH", "/volumes/99", {}),
        ("PATCH", "/volumes/1", {"price": "-1"}),
        ("PATCH", "/volumes/1", {"title": None}),
    ]
    for method, path, body in requests:
        one = await bytes_client.request(method, path, json=body)
        other = await models_client.request(method, path, json=body)
        assert 400 <= one.status_code < 500
        assert (method, path, other.content) == (method, path, one.content)
        assert (other.status_code, dict(other.headers)) == (one.status_code, dict(one.headers))
        assert "etag" not in one.headers


async def test_writes_are_answered_like_fastapi_s(
    bytes_client: httpx2.AsyncClient, models_client: httpx2.AsyncClient
) -> None:
    """201 for what was created, 200 for what was changed, and the ETag of GET."""
    for number in (0, 1):
        bodies = []
        for client in (bytes_client, models_client):
            made = await client.post("/volumes", json={"title": "x", "price": "1.5"})
            assert (201, "application/json") == (made.status_code, made.headers["content-type"])
            key = made.json()["id"]
            changed = await client.patch(f"/volumes/{key}", json={"stars": None})
            same = await client.patch(f"/volumes/{key}", json={})
            assert (200, changed.content) == (same.status_code, same.content)
            read = await bytes_client.get(f"/volumes/{key}")
            tags = [answer.headers.get("etag") for answer in (changed, same)]
            assert ([read.headers["etag"]] * 2 if client is bytes_client else [None] * 2) == tags
            assert (client is bytes_client) == ("etag" in made.headers)
            text = made.content + changed.content
            bodies.append(text.replace(f'"id":{key}'.encode(), b""))
            written = await client.post("/writers", json={"name": "Ann"})
            assert (201, []) == (written.status_code, written.json()["volumes"])
        assert (number, bodies[1]) == (number, bodies[0])


async def test_openapi_is_that_of_the_models(world: Database) -> None:
    """Clients that are generated from it do not know how answers are made."""
    one = application(world, by_responder).openapi()
    other = application(world, by_response_model).openapi()
    assert json.dumps(other, sort_keys=True) == json.dumps(one, sort_keys=True)


async def test_who_has_the_answer_is_told_so(
    world: Database, bytes_client: httpx2.AsyncClient
) -> None:
    """RFC 9110, section 13.1.2: a list, weak tags, the star; without a body."""
    await add_writer(world, volumes=2)
    for path in PATHS:
        first = await bytes_client.get(path)
        tag = first.headers["etag"]
        for asked in (
            tag,
            f"W/{tag}",
            f'"other", {tag}',
            f'"a,b" , W/"c" ,W/{tag},"d"',
            "*",
            " * ",
        ):
            answer = await bytes_client.get(path, headers={"If-None-Match": asked})
            assert (path, asked, 304) == (path, asked, answer.status_code)
            assert (b"", tag) == (answer.content, answer.headers["etag"])
            assert not {"content-type", "content-length"} & set(answer.headers)
        for asked in ('"other"', tag[1:-1], tag.upper().replace("A", "B"), "", '"*"'):
            answer = await bytes_client.get(path, headers={"If-None-Match": asked})
            assert (path, asked, 200) == (path, asked, answer.status_code)
            assert first.content == answer.content


async def test_tags_in_several_lines_are_one_list(
    world: Database, bytes_client: httpx2.AsyncClient
) -> None:
    """RFC 9110, section 5.3: lines of one name are joined by commas."""
    await add_volume(world)
    tag = (await bytes_client.get("/volumes/1")).headers["etag"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    assert 304 == (await bytes_client.get("/volumes/1", headers=lines)).status_code


async def test_a_tag_is_the_answer_s(world: Database, bytes_client: httpx2.AsyncClient) -> None:
    """The same while it is the same, another one after a change, on every page its own."""
    await add_writer(world, volumes=3)
    tags = [(await bytes_client.get(path)).headers["etag"] for path in PATHS]
    assert tags == [(await bytes_client.get(path)).headers["etag"] for path in PATHS]
    assert len(set(tags)) == len(tags)
    old = {"If-None-Match": tags[0]}
    assert 200 == (await bytes_client.patch("/volumes/1", json={"stars": 1})).status_code
    fresh = await bytes_client.get("/volumes/1", headers=old)
    assert (200, 1) == (fresh.status_code, fresh.json()["stars"])
    await bytes_client.patch("/volumes/1", json={"stars": 3})
    assert 304 == (await bytes_client.get("/volumes/1", headers=old)).status_code


async def test_a_missing_row_is_missing_for_who_had_it(
    world: Database, bytes_client: httpx2.AsyncClient
) -> None:
    """The star too asks for something that is there."""
    key = await add_volume(world)
    tag = (await bytes_client.get(f"/volumes/{key}")).headers["etag"]
    async with world.transaction() as session:
        await VolumeService(session).delete(key)
    for asked in (tag, "*"):
        answer = await bytes_client.get(f"/volumes/{key}", headers={"If-None-Match": asked})
        assert 404 == answer.status_code


async def test_a_condition_does_not_hold_back_a_write(
    world: Database, bytes_client: httpx2.AsyncClient
) -> None:
    """Only answers that were read are compared."""
    key = await add_volume(world)
    answer = await bytes_client.patch(
        f"/volumes/{key}", json={"stars": 1}, headers={"If-None-Match": "*"}
    )
    assert (200, 1) == (answer.status_code, answer.json()["stars"])


async def test_a_generated_router_answers_the_same(world: Database) -> None:
    """Its ETag is the responder's, and HEAD stays what it was: not allowed."""
    key = await add_volume(world)
    app = application(world, by_responder)
    app.include_router(crud_router(VolumeService, public=True), prefix="/generated")
    async with client_of(app) as client:
        one = await client.get(f"/volumes/{key}")
        other = await client.get(f"/generated/{key}")
        assert (one.content, dict(one.headers)) == (other.content, dict(other.headers))
        tagged = {"If-None-Match": one.headers["etag"]}
        assert 304 == (await client.get(f"/generated/{key}", headers=tagged)).status_code
        page = await client.get("/generated")
        again = {"If-None-Match": page.headers["etag"]}
        assert 304 == (await client.get("/generated", headers=again)).status_code
        assert 405 == (await client.head(f"/generated/{key}")).status_code


async def test_head_is_answered_where_it_is_asked_for(world: Database) -> None:
    """An endpoint for both methods reads alone by both."""
    key = await add_volume(world)
    app = FastAPI()
    install(app, world)

    @app.api_route("/volumes/{key}", methods=["GET", "HEAD"], response_model=VolumePublic)
    async def read(key: int, rows: Volumes) -> Response:
        return await rows.get(key)

    async with client_of(app) as client:
        got, head = await client.get(f"/volumes/{key}"), await client.head(f"/volumes/{key}")
        assert (200, dict(got.headers)) == (head.status_code, dict(head.headers))
        tagged = {"If-None-Match": got.headers["etag"]}
        assert 304 == (await client.head(f"/volumes/{key}", headers=tagged)).status_code


async def stored(world: Database, model: type[SQLModel]) -> int:
    """Count rows over a session that nobody else has."""
    async with world.session() as session:
        return int((await session.exec(select(func.count()).select_from(model))).one())


class _Watching:
    """Counts rows at the moment that the answer begins to be sent."""

    def __init__(self, app: FastAPI, world: Database, model: type[SQLModel]) -> None:
        self.app, self.world, self.model = app, world, model
        self.counts: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.counts.append(await stored(self.world, self.model))
            await send(message)

        await self.app(scope, receive, sending)


class Nested(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
    """Shows more than its own columns, so that a second statement has to read it."""

    public = VolumeDetail


async def test_what_is_answered_is_stored(world: Database) -> None:
    """By a generated router and by a responder, at the moment that the answer is sent."""
    app = application(world, by_responder)
    app.include_router(crud_router(VolumeService, public=True), prefix="/generated")
    app.include_router(crud_router(Nested, public=True), prefix="/nested")
    watching = _Watching(app, world, Volume)
    async with client_of(watching) as client:  # type: ignore[arg-type]
        for path in ("/generated", "/volumes", "/generated/batch", "/nested"):
            body: Any = {"title": "x"}
            answer = await client.post(path, json=[body] if "batch" in path else body)
            assert 201 == answer.status_code
    assert [1, 2, 3, 4] == watching.counts


@pytest.mark.parametrize("path", ["/generated", "/volumes", "/nested"])
async def test_what_is_answered_is_changed(world: Database, path: str) -> None:
    """On every database, also where the UPDATE does not answer the row."""
    key = await add_volume(world)
    app = application(world, by_responder)
    app.include_router(crud_router(VolumeService, public=True), prefix="/generated")
    app.include_router(crud_router(Nested, public=True), prefix="/nested")
    async with client_of(app) as client:
        answer = await client.patch(f"{path}/{key}", json={"title": "Emma"})
    async with world.session() as session:
        row = await VolumeService(session).get(key)
    assert (200, "Emma", "Emma", 2) == (
        answer.status_code,
        answer.json()["title"],
        row.title,
        row.version,
    )


async def visit(session: SessionDep, request: Request) -> None:
    """Write who came, as a dependency of a router may."""
    session.add(Genre(name=request.headers["visitor"]))
    if request.headers["visitor"] == "flushed":
        await session.flush()


@pytest.mark.parametrize("visitor", ["added", "flushed"])
async def test_what_a_dependency_wrote_is_stored_with_the_row_or_not_at_all(
    world: Database, visitor: str
) -> None:
    """One unit of work for the request, though the generated endpoint needs none."""
    app = FastAPI()
    install(app, world)
    router = crud_router(VolumeService, auth=[Depends(visit)], read_auth=[Depends(visit)])
    app.include_router(router, prefix="/volumes")
    async with client_of(app) as client:
        client.headers["visitor"] = visitor
        made = await client.post("/volumes", json={"title": "x", "isbn": "1"})
        assert (201, 1, 1) == (
            made.status_code,
            await stored(world, Volume),
            await stored(world, Genre),
        )
        async with world.transaction() as session:
            await session.delete(await session.get_one(Genre, 1))
        for method, path, body, status in (
            ("POST", "/volumes", {"title": "y", "isbn": "1"}, 409),
            ("POST", "/volumes", {"title": "y", "price": "-1"}, 422),
            ("PATCH", "/volumes/99", {"title": "y"}, 404),
            ("PATCH", "/volumes/1", {"price": "-1"}, 422),
            ("GET", "/volumes/99", None, 404),
        ):
            answer = await client.request(method, path, json=body)
            assert (method, path, status) == (method, path, answer.status_code)
            assert (1, 0) == (await stored(world, Volume), await stored(world, Genre))
        assert 200 == (await client.patch("/volumes/1", json={"title": "z"})).status_code
        assert 1 == await stored(world, Genre)


async def test_a_row_goes_when_a_dependency_fails_after_the_endpoint(world: Database) -> None:
    """With a session in the dependency the request is one unit of work to its end."""

    async def late(session: SessionDep) -> AsyncIterator[None]:
        await session.connection()
        yield
        raise HTTPException(418, "Too late.")

    app = FastAPI()
    install(app, world)
    router = crud_router(VolumeService, auth=[Depends(late, scope="function")])
    app.include_router(router, prefix="/volumes")
    async with client_of(app, raising=False) as client:
        answer = await client.post("/volumes", json={"title": "x"})
    assert (418, 0) == (answer.status_code, await stored(world, Volume))


async def test_what_a_dependency_says_of_the_answer_is_in_it(world: Database) -> None:
    """Headers and cookies on FastAPI's own `Response`, as with a response model."""
    key = await add_volume(world)

    async def greet(response: Response) -> None:
        response.headers["X-Seen"] = "yes"
        response.set_cookie("seen", "1")

    app = FastAPI()
    install(app, world)
    router = crud_router(VolumeService, auth=[Depends(greet)], read_auth=[Depends(greet)])
    app.include_router(router, prefix="/volumes")

    @app.get("/by-hand/{key}", response_model=VolumePublic, dependencies=[Depends(greet)])
    async def read(key: int, rows: Volumes) -> Response:
        return await rows.get(key)

    async with client_of(app) as client:
        for method, path in (
            ("GET", "/volumes"),
            ("GET", f"/volumes/{key}"),
            ("GET", f"/by-hand/{key}"),
            ("POST", "/volumes"),
            ("PATCH", f"/volumes/{key}"),
        ):
            body = {"title": "x"} if method != "GET" else None
            answer = await client.request(method, path, json=body)
            assert (path, "yes") == (path, answer.headers.get("x-seen"))
            assert (path, "1") == (path, answer.cookies.get("seen"))


class Mine(VolumeService):
    """Shows and changes the volumes with three stars only."""

    async def get(self, key: Any, **options: Any) -> Any:
        """Return a row that one may see."""
        found = await super().get(key, **options)
        if found.stars != 3:
            raise self._not_found(key)
        return found


async def test_a_service_s_own_way_to_read_is_the_router_s(world: Database) -> None:
    """A rule in `get` holds for the endpoint, and for changes."""
    ours = await add_volume(world)
    theirs = await add_volume(world, title="theirs", stars=4)
    app = FastAPI()
    install(app, world)
    app.include_router(crud_router(Mine, public=True), prefix="/volumes")
    async with client_of(app) as client:
        assert 200 == (await client.get(f"/volumes/{ours}")).status_code
        assert 404 == (await client.get(f"/volumes/{theirs}")).status_code
        refused = await client.patch(f"/volumes/{theirs}", json={"title": "ours"})
        assert 404 == refused.status_code
    async with world.session() as session:
        assert "theirs" == (await VolumeService(session).get(theirs)).title


def test_a_service_without_a_response_model_is_refused() -> None:
    """As the application is made, with the fix."""

    class Mute(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
        """Has no response model."""

    with pytest.raises(ConfigError, match="`public`"):
        responder(Mute)
    responder(Mute, VolumePublic)


def test_a_response_model_that_does_not_fit_is_refused() -> None:
    """As the application is made."""

    class Wrong(SQLModel):
        """Shows what volumes do not have."""

        nobody: str

    class Service(ServiceBase[Volume, VolumeCreate, WriterUpdate]):
        """Its models do not fit together."""

        public = VolumePublic

    with pytest.raises(ConfigError, match="nobody"):
        responder(VolumeService, Wrong)
    with pytest.raises(ConfigError, match="name"):
        responder(Service)


async def test_an_application_without_a_database_is_told_so(world: Database) -> None:
    """By the responder, and by the generated router, which opens its own unit of work."""
    app = FastAPI()
    by_responder(app)
    app.include_router(crud_router(VolumeService, public=True), prefix="/generated")
    async with client_of(app) as client:
        for path in ("/volumes/1", "/generated/1"):
            with pytest.raises(ConfigError, match="install"):
                await client.get(path)


async def test_a_responder_shows_its_parts(world: Database) -> None:
    """An endpoint may use the service beside it, in the same unit of work."""
    app = FastAPI()
    install(app, world)

    @app.post("/writers", response_model=WriterPublic, status_code=201)
    async def create(
        data: WriterCreate, rows: Annotated[Responder, responder(WriterService)]
    ) -> Response:
        await rows.rows.create(WriterCreate(name="Before"))
        answer = await rows.create(data)
        assert WriterPublic is rows.into
        if data.name == "bad":
            raise HTTPException(418)
        return answer

    async with client_of(app) as client:
        assert 201 == (await client.post("/writers", json={"name": "Ann"})).status_code
        assert 418 == (await client.post("/writers", json={"name": "bad"})).status_code
    async with world.session() as session:
        names = [writer.name for writer in await WriterService(session).all(sort="name")]
    assert ["Ann", "Before"] == names


def by_single_responder(app: FastAPI) -> None:
    """Add endpoints that are one call of a responder each."""
    one = responder(VolumeService, single=True)

    @app.get("/volumes/{key}", response_model=VolumePublic)
    async def read(key: int, rows: Annotated[Responder, one]) -> Response:
        return await rows.get(key)

    @app.get("/pages", response_model=Page[VolumePublic])
    async def pages(rows: Annotated[Responder, one]) -> Response:
        return await rows.page(sort="-title", count="none", title__contains="x")

    @app.post("/volumes", response_model=VolumePublic, status_code=201)
    async def create(data: VolumeCreate, rows: Annotated[Responder, one]) -> Response:
        return await rows.create(data)

    @app.patch("/volumes/{key}", response_model=VolumePublic)
    async def update(key: int, data: VolumeUpdate, rows: Annotated[Responder, one]) -> Response:
        return await rows.update(key, data)

    @app.delete("/volumes/{key}", status_code=204)
    async def delete(key: int, rows: Annotated[Responder, one]) -> Response:
        return await rows.delete(key)

    @app.post("/visits", response_model=VolumePublic, status_code=201)
    async def visited(
        data: VolumeCreate, rows: Annotated[Responder, one], _: Annotated[None, Depends(visit)]
    ) -> Response:
        return await rows.create(data)


async def test_a_single_call_opens_its_own_unit_of_work(world: Database) -> None:
    """What it writes is stored when the answer is sent, and its errors are the usual ones."""
    app = application(world, by_single_responder)
    watching = _Watching(app, world, Volume)
    async with client_of(watching) as client:  # type: ignore[arg-type]
        made = await client.post("/volumes", json={"title": "x", "isbn": "1"})
        assert (201, [1]) == (made.status_code, watching.counts)
        key = made.json()["id"]
        read = await client.get(f"/volumes/{key}")
        assert (200, made.json(), made.headers["etag"]) == (
            read.status_code,
            read.json(),
            read.headers["etag"],
        )
        assert (
            304
            == (
                await client.get(f"/volumes/{key}", headers={"if-none-match": read.headers["etag"]})
            ).status_code
        )
        assert [made.json()] == (await client.get("/pages")).json()["items"]
        twice = await client.post("/volumes", json={"title": "y", "isbn": "1"})
        assert (409, 1) == (twice.status_code, await stored(world, Volume))
        changed = await client.patch(f"/volumes/{key}", json={"title": "z"})
        assert (200, "z") == (changed.status_code, changed.json()["title"])
        assert 204 == (await client.delete(f"/volumes/{key}")).status_code
        assert (404, 0) == (
            (await client.get(f"/volumes/{key}")).status_code,
            await stored(world, Volume),
        )


@pytest.mark.parametrize("visitor", ["added", "flushed"])
async def test_a_single_call_joins_the_unit_of_work_of_a_dependency(
    world: Database, visitor: str
) -> None:
    """Both are stored, or neither."""
    app = application(world, by_single_responder)
    async with client_of(app) as client:
        client.headers["visitor"] = visitor
        for isbn, status in (("1", 201), ("1", 409)):
            answer = await client.post("/visits", json={"title": "x", "isbn": isbn})
            assert (status, 1, 1) == (
                answer.status_code,
                await stored(world, Volume),
                await stored(world, Genre),
            )


async def test_a_single_responder_gives_no_service(world: Database) -> None:
    """Its unit of work is open only while it answers."""
    app = FastAPI()
    install(app, world)

    @app.get("/")
    async def read(rows: Annotated[Responder, responder(WriterService, single=True)]) -> None:
        assert WriterPublic is rows.into
        assert "/" == rows.request.url.path
        await rows.rows.count()

    async with client_of(app) as client:
        with pytest.raises(ConfigError, match="single=True has no 'rows'"):
            await client.get("/")
