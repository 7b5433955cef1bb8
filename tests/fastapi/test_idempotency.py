"""Idempotency-Key: done once and answered alike, whoever comes in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Header, HTTPException, Response
from sqlalchemy import event, func, text
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import ConfigError, Conflict, Database, IntKey, ServiceBase, StoredAnswer
from sqlmodelkit.fastapi import (
    Idempotency,
    Once,
    Responder,
    SessionDep,
    crud_router,
    idempotent,
    install,
    responder,
    scoped_by,
    service,
)
from tests.world import is_sqlite, like

from .conftest import client_of


class RepeatedKey(StoredAnswer, table=True):
    """The answers that are kept."""

    __tablename__ = "once_key"  # pyright: ignore[reportAssignmentType]


class FreightBase(SQLModel):
    """What clients send."""

    label: str = Field(max_length=40)


class Freight(FreightBase, IntKey, table=True):
    """What must be there once."""

    __tablename__ = "once_freight"  # pyright: ignore[reportAssignmentType]


class FreightChange(SQLModel):
    """What clients may change."""

    label: str | None = Field(default=None, max_length=40)


class FreightPublic(FreightBase):
    """What clients see."""

    id: int


class FreightService(ServiceBase[Freight, FreightBase, FreightChange]):
    """Freights."""

    public = FreightPublic


async def caller(x_caller: Annotated[str, Header()] = "ann") -> str | None:
    """Return who calls, None for nobody."""
    return None if x_caller == "nobody" else x_caller


async def tenant(x_tenant: Annotated[str, Header()] = "") -> dict[str, str]:
    """Return whose rows the request sees."""
    return {"tenant": x_tenant} if x_tenant else {}


ONCE = Idempotency(table=RepeatedKey, caller=caller)
STRICT = Idempotency(table=RepeatedKey, caller=caller, required=True)
BRIEF = Idempotency(table=RepeatedKey, caller=caller, keep=timedelta(milliseconds=300))


class Switch:
    """Says how the endpoints of `application` end."""

    fail: str = ""


def application(db: Database) -> FastAPI:  # noqa: C901 - one endpoint after the other
    """Return an application with generated endpoints, and with some of its own."""
    app = FastAPI(dependencies=[scoped_by(tenant)])
    install(app, db)
    for prefix, settings in (("/freights", ONCE), ("/strict", STRICT), ("/brief", BRIEF)):
        router = crud_router(FreightService, public=True, idempotency=settings)
        app.include_router(router, prefix=prefix)
    app.state.switch = Switch()

    @app.post("/shipments/{number}", response_model=FreightPublic)
    async def ship(
        number: int,
        wish: FreightBase,
        response: Response,
        freights: Annotated[FreightService, service(FreightService)],
        once: Annotated[Once, idempotent(ONCE)],
    ) -> Response:
        response.headers["X-Ship"] = str(number)
        response.headers["Set-Cookie"] = "ship=1"

        async def work() -> FreightPublic | Response:
            made = await freights.create(wish, into=FreightPublic)
            await asyncio.sleep(0.02)
            match app.state.switch.fail:
                case "raise":
                    raise Conflict("The ship is full.")
                case "http":
                    raise HTTPException(418, "No.")
                case "answer":
                    return Response("full", 409)
                case "crash":
                    raise asyncio.CancelledError
            return made

        return await once.answer(work, status_code=201)

    @app.post("/singles", response_model=FreightPublic)
    async def single(
        wish: FreightBase,
        freights: Annotated[Responder, responder(FreightService, single=True)],
        once: Annotated[Once, idempotent(ONCE)],
    ) -> Response:
        return await once.answer(lambda: freights.create(wish))

    @app.post("/streams")
    async def stream(
        freights: Annotated[Responder, responder(FreightService)],
        once: Annotated[Once, idempotent(ONCE)],
    ) -> Response:
        return await once.answer(freights.stream)

    @app.post("/halves")
    async def half(session: SessionDep, once: Annotated[Once, idempotent(ONCE)]) -> Response:
        async def work() -> Response:
            await session.commit()
            raise Conflict("Half of it is done.")

        return await once.answer(work)

    return app


@pytest.fixture
async def db(database: Database) -> Database:
    """A database with the tables of this module."""
    tables = [SQLModel.metadata.tables[name] for name in ("once_key", "once_freight")]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=tables)
    return database


@pytest.fixture
def app(db: Database) -> FastAPI:
    """The application."""
    return application(db)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that sends a key."""
    async with client_of(app) as client:
        client.headers["Idempotency-Key"] = "k1"
        yield client


async def rows_of(db: Database, model: type[SQLModel] = Freight) -> int:
    """Count the rows of a table."""
    async with db.session() as session:
        return (await session.exec(select(func.count()).select_from(model))).one()


def seen(answer: httpx2.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return all of an answer, but whether it was given before."""
    headers = [
        (name, value)
        for name, value in answer.headers.multi_items()
        if name not in ("idempotent-replayed", "set-cookie")
    ]
    return int(answer.status_code), answer.content, sorted(headers)


def problem(answer: httpx2.Response) -> tuple[int, list[Any], str]:
    """Return status, place and kind of the only error."""
    (item,) = answer.json()["detail"]
    return answer.status_code, item["loc"], item["type"]


BODY = {"label": "Books"}
IN_HEADER = ["header", "Idempotency-Key"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/freights", BODY),
        ("/freights/batch", [BODY] * 2),
        ("/shipments/7", BODY),
        ("/singles", BODY),
    ],
)
async def test_a_repeat_is_answered_byte_for_byte(
    db: Database, client: httpx2.AsyncClient, path: str, body: Any
) -> None:
    """Status, headers and body are those of the first answer, and nothing is done."""
    first = await client.post(path, json=body)
    count = await rows_of(db)
    again = await client.post(path, json=body)
    assert 201 == first.status_code
    assert seen(first) == seen(again)
    assert (None, "true") == tuple(one.headers.get("Idempotent-Replayed") for one in (first, again))
    assert count == await rows_of(db)
    assert "ETag" in again.headers or path != "/freights"
    assert "Set-Cookie" not in again.headers


@pytest.mark.parametrize("path", ["/freights", "/shipments/7", "/singles"])
async def test_fifty_repeats_at_once_make_one_row(db: Database, path: str) -> None:
    """All of them get the same answer; who comes later waits for it."""
    app = application(db)
    async with client_of(app) as client:
        client.headers["Idempotency-Key"] = "storm"
        answers = await asyncio.gather(*[client.post(path, json=BODY) for _ in range(50)])
    assert {201} == {answer.status_code for answer in answers}
    assert 1 == len({str(seen(answer)) for answer in answers})
    assert 49 == sum("Idempotent-Replayed" in answer.headers for answer in answers)
    assert (1, 1) == (await rows_of(db), await rows_of(db, RepeatedKey))


async def test_newer_mariadb_is_no_exception(db: Database) -> None:
    """From 11.6 it refuses to lock what was changed after a transaction began to read."""
    if db.engine.dialect.name != "mysql":
        return

    @event.listens_for(db.engine.sync_engine, "connect")
    def as_newer(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET SESSION innodb_snapshot_isolation = ON")
        cursor.close()

    await db.engine.dispose()
    async with client_of(application(db)) as client:
        client.headers["Idempotency-Key"] = "storm"
        answers = await asyncio.gather(*[client.post("/freights", json=BODY) for _ in range(30)])
    assert [201] * 30 == [answer.status_code for answer in answers]
    assert 1 == await rows_of(db)


async def test_callers_may_be_looked_up_first(db: Database) -> None:
    """A dependency that reads in the same unit of work has begun its transaction by then."""

    async def reader(session: SessionDep) -> str:
        return str((await session.exec(select(func.count()).select_from(Freight))).one() >= 0)

    app = FastAPI()
    install(app, db)
    settings = Idempotency(table=RepeatedKey, caller=reader)
    app.include_router(
        crud_router(FreightService, public=True, idempotency=settings), prefix="/read"
    )
    async with client_of(app) as client:
        client.headers["Idempotency-Key"] = "storm"
        answers = await asyncio.gather(*[client.post("/read", json=BODY) for _ in range(30)])
    assert {201} == {answer.status_code for answer in answers}, [a.text for a in answers]
    assert 1 == len({str(seen(answer)) for answer in answers})
    assert 1 == await rows_of(db)


async def test_other_keys_are_done_beside_each_other(db: Database) -> None:
    """Twenty keys, each sent twice at once: twenty rows, and no deadlock reaches anybody."""
    async with client_of(application(db)) as client:
        answers = await asyncio.gather(
            *[
                client.post("/freights", json=BODY, headers={"Idempotency-Key": f"k{number % 20}"})
                for number in range(40)
            ]
        )
    assert {201} == {answer.status_code for answer in answers}
    assert 20 == len({answer.json()["id"] for answer in answers}) == await rows_of(db)


@pytest.mark.parametrize("way", ["raise", "http", "answer", "crash"])
async def test_what_fails_may_be_tried_again(
    db: Database, app: FastAPI, client: httpx2.AsyncClient, way: str
) -> None:
    """Neither the row nor the record of a request that failed is there, whatever ended it."""
    app.state.switch.fail = way
    if way == "crash":
        with pytest.raises(asyncio.CancelledError):
            await client.post("/shipments/1", json=BODY)
    else:
        refused = await client.post("/shipments/1", json=BODY)
        assert {"raise": 409, "http": 418, "answer": 409}[way] == refused.status_code
    assert 0 == await rows_of(db, RepeatedKey)
    before = await rows_of(db)
    app.state.switch.fail = ""
    done = await client.post("/shipments/1", json=BODY)
    assert (201, None) == (done.status_code, done.headers.get("Idempotent-Replayed"))
    assert before + 1 == await rows_of(db)


async def test_repeats_of_what_fails_are_each_tried(db: Database) -> None:
    """Each in turn, without a deadlock; the one that gets through is answered to the others."""
    app = application(db)
    app.state.switch.fail = "raise"
    async with client_of(app) as client:
        client.headers["Idempotency-Key"] = "k"
        asked = [asyncio.ensure_future(client.post("/shipments/1", json=BODY)) for _ in range(12)]
        await asyncio.sleep(0.15)
        app.state.switch.fail = ""
        answers = await asyncio.gather(*asked)
    codes = [answer.status_code for answer in answers]
    assert {201, 409} >= set(codes), [answer.text for answer in answers]
    assert (1 if 201 in codes else 0) == await rows_of(db)


async def test_another_body_is_another_request(db: Database, client: httpx2.AsyncClient) -> None:
    """The key of one request does not open the answer of another."""
    await client.post("/shipments/1", json=BODY)
    for path, body in (
        ("/shipments/1", {"label": "Shoes"}),
        ("/shipments/2", BODY),
        ("/shipments/1?x=1", BODY),
    ):
        refused = await client.post(path, json=body)
        assert (422, IN_HEADER, "idempotency_key_reused") == problem(refused)
    assert 1 == await rows_of(db)


async def test_keys_of_others_do_not_meet(db: Database, client: httpx2.AsyncClient) -> None:
    """Another caller, another tenant, another route: each has keys of its own."""
    first = await client.post("/freights", json=BODY)
    others = [
        await client.post("/freights", json={"label": "Mine"}, headers={"X-Caller": "bob"}),
        await client.post("/freights", json={"label": "Ours"}, headers={"X-Tenant": "1"}),
        await client.post("/strict", json={"label": "There"}),
        await client.post("/freights/batch", json=[BODY]),
    ]
    assert [201] * 5 == [answer.status_code for answer in (first, *others)]
    assert not [answer for answer in others if "Idempotent-Replayed" in answer.headers]
    assert 5 == await rows_of(db)


async def test_without_a_key_a_request_is_done_each_time(
    db: Database, client: httpx2.AsyncClient
) -> None:
    """Unless a key has to be sent: then it is a 400."""
    del client.headers["Idempotency-Key"]
    for _ in range(2):
        assert 201 == (await client.post("/freights", json=BODY)).status_code
        assert 201 == (await client.post("/shipments/1", json=BODY)).status_code
    assert 4 == await rows_of(db)
    missing = await client.post("/strict", json=BODY)
    assert (400, IN_HEADER, "idempotency_key_required") == problem(missing)
    assert 0 == await rows_of(db, RepeatedKey)


async def test_a_key_that_cannot_be_is_refused(client: httpx2.AsyncClient) -> None:
    """Empty, too long, or two of them."""
    for key in ("", "k" * 256):
        refused = await client.post("/freights", json=BODY, headers={"Idempotency-Key": key})
        assert (422, IN_HEADER) == (refused.status_code, problem_place(refused))
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    del client.headers["Idempotency-Key"]
    refused = await client.post("/freights", json=BODY, headers=twice)
    assert (400, IN_HEADER, "idempotency_key_required") == problem(refused)
    longest = await client.post("/freights", json=BODY, headers={"Idempotency-Key": "k" * 255})
    assert 201 == longest.status_code


def problem_place(answer: httpx2.Response) -> list[str]:
    """Return where an error is, headers by the name that they are known by."""
    part, name = answer.json()["detail"][0]["loc"]
    return [part, name.title()]


async def test_an_answer_is_kept_for_its_time(db: Database, client: httpx2.AsyncClient) -> None:
    """Afterwards the key is a new one, and `purge` removes what is old."""
    await client.post("/brief", json=BODY)
    await asyncio.sleep(0.4)
    later = await client.post("/brief", json={"label": "Shoes"})
    assert (201, None) == (later.status_code, later.headers.get("Idempotent-Replayed"))
    assert (2, 1) == (await rows_of(db), await rows_of(db, RepeatedKey))
    await client.post("/freights", json=BODY)
    await asyncio.sleep(0.4)
    assert (1, 0) == (await BRIEF.purge(db), await BRIEF.purge(db))
    assert 1 == await rows_of(db, RepeatedKey)


async def test_who_waits_too_long_is_told_to_come_again(db: Database) -> None:
    """While another request with the key is in work, for longer than a lock may take."""
    async with like(db, lock_timeout=1) as waiting:
        app = application(db)
        app.state.switch.fail = "slow"
        held = asyncio.Event()
        done = asyncio.Event()

        @app.post("/slow")
        async def slow(once: Annotated[Once, idempotent(ONCE)]) -> Response:
            async def work() -> Response:
                held.set()
                await done.wait()
                return Response("done")

            return await once.answer(work)

        impatient = FastAPI()
        install(impatient, waiting)
        impatient.post("/slow")(slow)
        headers = {"Idempotency-Key": "k"}
        async with client_of(app) as first, client_of(impatient) as second:
            working = asyncio.ensure_future(first.post("/slow", headers=headers))
            await held.wait()
            refused = await second.post("/slow", headers=headers)
            done.set()
            assert 200 == (await working).status_code
            again = await second.post("/slow", headers=headers)
    assert (503, IN_HEADER, "locked") == problem(refused)
    assert "1" == refused.headers["Retry-After"]
    assert "true" == again.headers["Idempotent-Replayed"]


async def test_what_nobody_knows_the_end_of_is_a_409(
    db: Database, client: httpx2.AsyncClient
) -> None:
    """An endpoint that commits in its midst and then fails has done a part."""
    assert 409 == (await client.post("/halves")).status_code
    unknown = await client.post("/halves")
    assert (409, IN_HEADER, "conflict") == problem(unknown)


async def test_mistakes_of_the_developer_s_are_told(
    db: Database, client: httpx2.AsyncClient
) -> None:
    """A caller whom nobody knows, an answer that cannot be kept, a class that is no table."""
    with pytest.raises(ConfigError, match="Nobody knows who sends"):
        await client.post("/freights", json=BODY, headers={"X-Caller": "nobody"})
    with pytest.raises(ConfigError, match="streamed"):
        await client.post("/streams")
    with pytest.raises(ConfigError, match="is not a table"):
        Idempotency(table=StoredAnswer, caller=caller)
    with pytest.raises(ConfigError, match="would not be kept"):
        Idempotency(table=RepeatedKey, caller=caller, keep=timedelta(0))


async def test_large_answers_are_kept(db: Database, client: httpx2.AsyncClient) -> None:
    """Beyond the 64 KiB at which a BLOB of MariaDB ends."""
    body = [{"label": "x" * 40}] * 100
    app = application(db)

    @app.post("/large")
    async def large(once: Annotated[Once, idempotent(ONCE)]) -> Response:
        async def work() -> Response:
            return Response(str(body) * 40)

        return await once.answer(work)

    async with client_of(app) as own:
        answers = [await own.post("/large", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert len(answers[0].content) > 2**17
    assert seen(answers[0]) == seen(answers[1])


async def test_a_crash_leaves_neither_row_nor_answer(db: Database, app: FastAPI) -> None:
    """The connection is cut between the work and the commit."""
    if is_sqlite(db):
        return
    kill = (
        "SELECT pg_terminate_backend(pg_backend_pid())"
        if db.engine.dialect.name == "postgresql"
        else "KILL CONNECTION_ID()"
    )
    crashing = True

    @app.post("/crash")
    async def crash(
        wish: FreightBase,
        session: SessionDep,
        freights: Annotated[FreightService, service(FreightService)],
        once: Annotated[Once, idempotent(ONCE)],
    ) -> Response:
        async def work() -> FreightPublic:
            made = await freights.create(wish, into=FreightPublic)
            if crashing:
                await (await session.connection()).execute(text(kill))
            return made

        return await once.answer(work, status_code=201)

    async with client_of(app) as client:
        client.headers["Idempotency-Key"] = "k"
        assert 503 == (await client.post("/crash", json=BODY)).status_code
        assert (0, 0) == (await rows_of(db), await rows_of(db, RepeatedKey))
        crashing = False
        done = [await client.post("/crash", json=BODY) for _ in range(2)]
    assert [201, 201] == [answer.status_code for answer in done]
    assert 1 == await rows_of(db)


def test_openapi_tells_of_keys(app: FastAPI) -> None:
    """The header, what is answered without it, and that an answer may be an old one."""
    paths = app.openapi()["paths"]
    for path in ("/freights", "/freights/batch", "/strict"):
        operation = paths[path]["post"]
        (header,) = [one for one in operation["parameters"] if one["in"] == "header"][:1]
        told = {one["name"] for one in operation["parameters"]}
        assert {"Idempotency-Key"} <= told, header
        assert {"201", "400", "409", "422", "503", "504"} == set(operation["responses"])
        assert "Idempotent-Replayed" in operation["responses"]["201"]["headers"]
    assert "ETag" in paths["/freights"]["post"]["responses"]["201"]["headers"]
    assert "Idempotency-Key" in {
        one["name"] for one in paths["/shipments/{number}"]["post"]["parameters"]
    }
