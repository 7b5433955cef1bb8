"""Errors as answers: the status of each kind, and a body that helps and tells nothing."""

import pickle
from json import dumps
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy import text

from sqlmodelkit import Database, errors
from sqlmodelkit.fastapi import SessionDep, error_responses, install
from sqlmodelkit.fastapi.handlers import STATUS, error_items, status_of
from tests.own_servers import PostgreSQL
from tests.world import add_volume, add_writer, create_world, is_mariadb, like

from .conftest import TOKEN, application, client_of

SQL_WORDS = ("SELECT", "INSERT", "UPDATE ", "DELETE", "w_writer", "w_volume", "sqlalche.me")


UNFIT = [
    ("title", "a\x00b"),
    ("title", "x" * 41),
    ("title", None),
    ("stars", 2**31),
    ("stars", "many"),
    ("shelf", 2**63),
    ("shelf", 10**400),
    ("price", "1e9"),
    ("price", "NaN"),
    ("weight", "inf"),
    ("printed_at", "2026-03-01T12:00:00"),
    ("printed_at", "0000-00-00"),
    ("state", "lost"),
    ("writer_id", "7"),
]
"""Fields of a volume, and values that they cannot have."""


def place(answer: httpx2.Response) -> tuple[int, list[Any], str]:
    """Return status, place and kind of the only error, after a look for what must not be there."""
    (item,) = answer.json()["detail"]
    assert {"loc", "msg", "type"} <= set(item)
    assert not [word for word in SQL_WORDS if word in answer.text], answer.text
    return answer.status_code, item["loc"], item["type"]


async def test_a_duplicate_is_a_409_that_names_the_field(client: httpx2.AsyncClient) -> None:
    """In POST, in PATCH and in a batch, without the value."""
    body = {"name": "Ann", "email": "a@b.example"}
    await client.post("/writers", json=body)
    again = await client.post("/writers", json=body)
    assert (409, ["body", "email"], "unique_violation") == place(again)
    assert "a@b.example" not in again.text
    other = (await client.post("/writers", json={"name": "Bea"})).json()["id"]
    changed = await client.patch(f"/writers/{other}", json={"email": "a@b.example"})
    assert (409, ["body", "email"], "unique_violation") == place(changed)
    batch = await client.post("/writers/batch", json=[{"name": "Cid"}, body])
    assert (409, ["body", "email"], "unique_violation") == place(batch)


async def test_a_missing_parent_is_a_409_that_names_the_field(client: httpx2.AsyncClient) -> None:
    """In POST and in PATCH."""
    made = await client.post("/volumes", json={"title": "x", "writer_id": str(uuid4())})
    assert (409, ["body", "writer_id"], "foreign_key_violation") == place(made)
    assert 201 == (await client.post("/volumes", json={"title": "x"})).status_code
    key = (await client.get("/volumes")).json()["items"][0]["id"]
    changed = await client.patch(f"/volumes/{key}", json={"writer_id": str(uuid4())})
    assert (409, ["body", "writer_id"], "foreign_key_violation") == place(changed)


async def test_a_row_that_is_referred_to_is_a_409(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """The path leads to it, so the path is the place."""
    key = await add_writer(world, volumes=1)
    answer = await client.delete(f"/writers/{key}")
    assert (409, ["path"], "foreign_key_violation") == place(answer)


async def test_a_broken_check_is_a_422_that_names_the_field(client: httpx2.AsyncClient) -> None:
    """Like a value that Pydantic refuses."""
    answer = await client.post("/volumes", json={"title": "x", "price": "-1"})
    assert (422, ["body", "price"], "check_violation") == place(answer)


async def test_a_value_that_does_not_fit_is_a_422_that_names_the_field(
    client: httpx2.AsyncClient,
) -> None:
    """Whoever notices it: the schema, the column, or the database."""
    client.headers["Content-Type"] = "application/json"
    for field, value in UNFIT:
        answer = await client.post("/volumes", content=dumps({"title": "x"} | {field: value}))
        status, loc, _ = place(answer)
        assert (field, value, 422, "body", field) == (field, value, status, *loc[:2])


async def test_an_unknown_key_is_a_404(client: httpx2.AsyncClient) -> None:
    """For every operation on one row."""
    for method, path, body in (
        ("GET", "/volumes/7", None),
        ("PATCH", "/volumes/7", {"title": "x"}),
        ("DELETE", "/volumes/7", None),
        ("POST", "/volumes/7/restore", None),
        ("GET", f"/writers/{uuid4()}", None),
        ("DELETE", "/chapters/7/1", None),
    ):
        answer = await client.request(method, path, json=body)
        assert (404, ["path"], "not_found") == place(answer)


async def test_a_key_that_cannot_be_is_a_422(client: httpx2.AsyncClient) -> None:
    """Of the wrong type, beyond its column, or with a NUL."""
    for path, name in (
        ("/volumes/seven", "id"),
        ("/volumes/2147483648", "id"),
        ("/volumes/99999999999999999999", "id"),
        ("/volumes/-99999999999999999999", "id"),
        ("/volumes/%00", "id"),
        ("/writers/7", "id"),
        ("/chapters/1/9223372036854775808", "number"),
    ):
        answer = await client.get(path)
        assert (422, ["path", name]) == place(answer)[:2]


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"null", b'"x"', b"{'a': 1}"])
async def test_a_malformed_body_is_a_422(client: httpx2.AsyncClient, content: bytes) -> None:
    """Never a 500."""
    for method, path in (("POST", "/writers"), ("PATCH", f"/writers/{uuid4()}")):
        headers = {"Content-Type": "application/json"}
        answer = await client.request(method, path, content=content, headers=headers)
        assert (422, "body") == (answer.status_code, answer.json()["detail"][0]["loc"][0])


async def test_a_full_pool_is_a_503_with_retry_after(world: Database) -> None:
    """Who cannot be served now may come again."""
    async with (
        like(world, pool_size=1, max_overflow=0, pool_timeout=0.1) as small,
        client_of(application(small)) as client,
        small.session() as holder,
    ):
        await holder.connection()
        answer = await client.get("/writers")
    assert (503, ["path"], "pool_timeout") == place(answer)
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_slow_statement_is_a_504(world: Database) -> None:
    """Where the engine has a limit; with `Retry-After` too."""
    sleep = "SELECT sleep(9)" if is_mariadb(world) else "SELECT pg_sleep(9)"
    if world.engine.dialect.name == "sqlite":
        return
    async with like(world, statement_timeout=0.2) as limited:
        app = FastAPI()
        install(app, limited)

        @app.get("/slow")
        async def slow(session: SessionDep) -> None:
            await (await session.connection()).execute(text(sleep))

        async with client_of(app) as client:
            answer = await client.get("/slow")
    assert (504, "query_timeout") == place(answer)[::2]


@pytest.mark.db
@pytest.mark.slow
async def test_a_stopped_database_is_a_503_with_retry_after(own_postgresql: PostgreSQL) -> None:
    """Reading and writing; and when it is back, so are the answers."""
    world = await create_world(Database(own_postgresql.url))
    key = await add_volume(world)
    own_postgresql.stop()
    try:
        async with client_of(application(world)) as client:
            client.headers.update(TOKEN)
            for method, path, body in (
                ("GET", "/volumes", None),
                ("GET", f"/volumes/{key}", None),
                ("POST", "/volumes", {"title": "x"}),
                ("PATCH", f"/volumes/{key}", {"title": "x"}),
                ("DELETE", f"/volumes/{key}", None),
            ):
                answer = await client.request(method, path, json=body)
                assert (503, "connection_lost") == place(answer)[::2]
                assert "Retry-After" in answer.headers
                assert "127.0.0.1" not in answer.text
            own_postgresql.start()
            assert 200 == (await client.get(f"/volumes/{key}")).status_code
    finally:
        await world.close()


async def test_the_developer_s_mistakes_stay_500(world: Database) -> None:
    """The error itself reaches the log, the client learns nothing."""
    app = FastAPI()
    install(app, world)

    @app.get("/not-loaded")
    async def not_loaded() -> None:
        raise errors.NotLoaded(model="Hero", field="team")

    @app.get("/wrong-sql")
    async def wrong_sql(session: SessionDep) -> None:
        await (await session.connection()).execute(text("SELECT no_such_column FROM w_writer"))

    async with client_of(app) as client:
        with pytest.raises(errors.NotLoaded):
            await client.get("/not-loaded")
        with pytest.raises(Exception, match="no_such_column"):
            await client.get("/wrong-sql")
    async with client_of(app, raising=False) as client:
        for path in ("/not-loaded", "/wrong-sql"):
            answer = await client.get(path)
            assert (500, "Internal Server Error") == (answer.status_code, answer.text)


EXPECTED = {
    errors.FilterError: 422,
    errors.InvalidValue: 422,
    errors.CheckViolation: 422,
    errors.NotFound: 404,
    errors.UniqueViolation: 409,
    errors.ForeignKeyViolation: 409,
    errors.StaleVersion: 409,
    errors.MultipleFound: 409,
    errors.ConnectionLost: 503,
    errors.PoolTimeout: 503,
    errors.SerializationFailure: 503,
    errors.QueryTimeout: 504,
    errors.ConfigError: None,
    errors.NotLoaded: None,
    errors.TooManyQueries: None,
}


def test_each_branch_has_its_status() -> None:
    """The nearest class decides; the developer's have none."""
    assert EXPECTED == {kind: status_of(kind()) for kind in EXPECTED}
    assert status_of(None) is None


def test_an_error_for_several_fields_has_an_item_for_each() -> None:
    """As FastAPI's own have."""
    error = errors.UniqueViolation("Taken.", fields=["city", "name"])
    items = error_items(pickle.loads(pickle.dumps(error)), "POST")  # noqa: S301
    assert [["body", "city"], ["body", "name"]] == [item.loc for item in items]
    assert {("Taken.", "unique_violation")} == {(item.msg, item.type) for item in items}


def test_hints_for_developers_are_not_for_clients() -> None:
    """A client cannot set our variables."""
    error = errors.PoolTimeout(hint="Raise DB_POOL_SIZE.")
    (item,) = error_items(error, "GET")
    assert "DB_POOL_SIZE" not in item.msg


def test_openapi_describes_each_status_once() -> None:
    """By the docstring of its class."""
    described = error_responses(errors.NotFound, errors.Conflict)
    assert {404, 409, 503, 504} == set(described)
    assert set(STATUS.values()) >= set(described)


async def test_no_value_that_was_sent_is_sent_back(client: httpx2.AsyncClient) -> None:
    """A password that is too short stays with who sent it; the bounds are told."""
    answer = await client.post("/volumes", json={"title": "s3cret" * 10, "price": "s3cret"})
    assert 422 == answer.status_code
    assert "s3cret" not in answer.text
    assert {"max_length": 40} == answer.json()["detail"][0]["ctx"]
    query = await client.get("/volumes?price__lte=s3cret&filter=%7B%22stars%22%3A%22s3cret%22%7D")
    assert (422, False) == (query.status_code, "s3cret" in query.text)


@pytest.mark.parametrize("content", [b'{"title": "\xff"}', b"[" * 100_000, b"\xff\xfe{"])
async def test_a_body_that_no_text_is_in_is_a_422(
    client: httpx2.AsyncClient, content: bytes
) -> None:
    """FastAPI has a 400 and a string for it."""
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/volumes"), ("PATCH", "/volumes/1")):
        answer = await client.request(method, path, content=content, headers=headers)
        assert (422, ["body"], "json_invalid") == place(answer)


async def test_what_has_no_route_has_the_same_form(client: httpx2.AsyncClient) -> None:
    """Starlette answers a string; the header that says what is allowed stays."""
    nothing = await client.get("/nothing")
    assert (404, ["path"], "not_found") == place(nothing)
    method = await client.put("/volumes")
    assert (405, ["method"], "method_not_allowed") == place(method)
    assert "GET" in method.headers["Allow"] or "POST" in method.headers["Allow"]


async def test_names_that_utf_8_cannot_write_are_told(client: httpx2.AsyncClient) -> None:
    """Half of a pair of surrogates can stand in JSON, in ASCII."""
    tree = await client.get("/volumes", params={"filter": '{"\\ud800": 1}'})
    assert (422, "\ud800") == (tree.status_code, tree.json()["detail"][0]["loc"][-1])


async def test_handlers_of_the_application_stay(database: Database) -> None:
    """Only FastAPI's own are replaced, and other errors of HTTP are answered as ever."""

    async def tea(request: Request, error: Exception) -> Response:
        return Response("tea", 418)

    app = FastAPI(exception_handlers={RequestValidationError: tea, HTTPException: tea})
    plain = FastAPI()
    for one in (app, plain):
        install(one, database)

        @one.post("/numbers")
        async def numbers(number: int) -> int:
            raise HTTPException(400, "Not that one.") from ValueError(number)

        @one.post("/things")
        async def things() -> int:
            raise HTTPException(404)

        @one.post("/places")
        async def places() -> int:
            raise HTTPException(401, [{"msg": "Who are you?"}], {"WWW-Authenticate": "Bearer"})

    async with client_of(app) as own, client_of(plain) as usual:
        assert ["tea"] * 2 == [
            (await own.post(f"/numbers?number={number}")).text for number in ("x", "1")
        ]
        refused = await usual.post("/numbers?number=1")
        assert (400, {"detail": "Not that one."}) == (refused.status_code, refused.json())
        assert {"detail": "Not Found"} == (await usual.post("/things")).json()
        unknown = await usual.post("/places")
        assert (401, [{"msg": "Who are you?"}]) == (unknown.status_code, unknown.json()["detail"])
        assert "Bearer" == unknown.headers["WWW-Authenticate"]


def test_openapi_tells_what_is_answered(app: FastAPI) -> None:
    """Every error has the form of a list, and who may come again is told when."""
    paths = app.openapi()["paths"]
    writing = {"201", "409", "422", "503", "504"}
    told = {
        ("/volumes", "get"): {"200", "304", "422", "503", "504"},
        ("/volumes", "post"): writing,
        ("/volumes/batch", "post"): writing,
        ("/volumes/{id}", "get"): {"200", "304", "404", "422", "503", "504"},
        ("/volumes/{id}", "patch"): {"200", "404", "409", "412", "422", "503", "504"},
        ("/volumes/{id}", "delete"): {"204", "404", "409", "412", "422", "503", "504"},
        ("/volumes/{id}/restore", "post"): {"200", "404", "409", "422", "503", "504"},
    }
    form = {"$ref": "#/components/schemas/ErrorBody"}
    for (path, method), statuses in told.items():
        responses = paths[path][method]["responses"]
        assert statuses == set(responses)
        for status in statuses - {"200", "201", "204", "304"}:
            assert form == responses[status]["content"]["application/json"]["schema"]
        assert ["Retry-After"] == list(responses["503"]["headers"])
    assert ["ETag"] == list(paths["/volumes"]["get"]["responses"]["200"]["headers"])


def test_an_error_of_the_developer_s_is_no_answer() -> None:
    """It cannot be told to clients."""
    with pytest.raises(errors.ConfigError, match="NotLoaded is no answer"):
        error_responses(errors.NotLoaded)
    described = error_responses(errors.UniqueViolation, errors.StaleVersion, reading=True)
    assert {200, 304, 409, 503, 504} == set(described)
