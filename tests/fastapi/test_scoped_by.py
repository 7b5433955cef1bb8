"""The scope of a request: given once, and kept by whatever opens the unit of work."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Response
from sqlalchemy import event
from sqlalchemy.orm import Session
from sqlmodel import select

from sqlmodelkit import ConfigError, Database, Scope
from sqlmodelkit.fastapi import (
    Responder,
    SessionDep,
    crud_router,
    install,
    responder,
    scoped_by,
    service,
)
from tests.firms import EVERYBODY, Project, ProjectService, Remark, Side, create_firms

WAYS = ("/projects", "/service", "/session", "/responder", "/lines", "/late")


@dataclass
class Api:
    """An application with each way to read, and two firms."""

    app: FastAPI
    ours: Side
    theirs: Side

    def client(self, side: Side | None) -> httpx2.AsyncClient:
        """Return a client of a firm's member."""
        given = {"x-firm": str(side.firm), "x-member": str(side.member)} if side else {}
        transport = httpx2.ASGITransport(self.app)
        return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=given)


async def current_scope(
    x_firm: Annotated[UUID | None, Header()] = None, x_member: Annotated[int, Header()] = 0
) -> dict[str, Any]:
    """Read whose request it is, and nothing where it does not say."""
    return {} if x_firm is None else {"firm": x_firm, "member": x_member}


async def late_scope(session: SessionDep, x_firm: Annotated[UUID, Header()]) -> Scope:
    """Look into the database first, as for the user."""
    if (await session.exec(select(Remark))).first() is None:
        raise HTTPException(401)
    return Scope({"firm": x_firm}, leaving=["member"])


def routes() -> APIRouter:
    """Return an endpoint for each way to the database."""
    router = APIRouter()

    @router.get("/service")
    async def by_service(rows: Annotated[ProjectService, service(ProjectService)]) -> list[str]:
        return [row.name for row in await rows.all()]

    @router.get("/session")
    async def by_session(session: SessionDep) -> list[str]:
        return list((await session.exec(select(Project.name))).all())

    @router.get("/responder")
    async def by_responder(rows: Annotated[Responder, responder(ProjectService)]) -> Response:
        return await rows.all()

    @router.get("/lines")
    async def by_lines(rows: Annotated[Responder, responder(ProjectService)]) -> Response:
        return await rows.stream()

    return router


@pytest.fixture
async def api(database: Database) -> Api:
    """The application, limited as a whole; `/late` and `/open` say for themselves."""
    ours, theirs = await create_firms(database)
    app = FastAPI()
    install(app, database, health=None)
    scoped = [scoped_by(current_scope)]
    app.include_router(routes(), dependencies=scoped)
    app.include_router(
        crud_router(ProjectService, public=True), prefix="/projects", dependencies=scoped
    )

    @app.get("/late", dependencies=[scoped_by(late_scope)])
    async def late(rows: Annotated[ProjectService, service(ProjectService)]) -> list[str]:
        return [row.name for row in await rows.all()]

    @app.get("/open")
    async def unlimited(session: SessionDep) -> list[str]:
        return list((await session.exec(select(Project.name))).all())

    @app.get("/twice", dependencies=[*scoped, scoped_by(late_scope)])
    async def twice(session: SessionDep) -> None:
        """Two scopes that do not agree."""

    return Api(app, ours, theirs)


@pytest.mark.parametrize("path", WAYS)
async def test_every_way_is_limited(api: Api, path: str) -> None:
    """Each firm is answered its own rows, by the same endpoint."""
    for side in (api.ours, api.theirs, api.ours):
        async with api.client(side) as client:
            answer = await client.get(path)
        assert 200 == answer.status_code
        other = {"ours": "theirs", "theirs": "ours"}[side.word]
        assert f"{side.word} 1" in answer.text
        assert other not in answer.text


@pytest.mark.parametrize("path", [*WAYS[:-1], "/open"])
async def test_a_request_without_a_scope_is_refused(api: Api, path: str) -> None:
    """A tenant that nobody has named is the developer's mistake, and never all rows."""
    async with api.client(None) as client:
        with pytest.raises(ConfigError, match="firm"):
            await client.get(path)


async def test_scopes_that_do_not_agree_are_refused(api: Api) -> None:
    """Two dependencies may each say a part; they may not contradict each other."""
    async with api.client(api.ours) as client:
        with pytest.raises(ConfigError, match="both given and left"):
            await client.get("/twice")


async def test_generated_endpoints_write_in_scope(api: Api, database: Database) -> None:
    """What is created is ours, and what is theirs is not found."""
    async with api.client(api.ours) as client:
        made = await client.post("/projects", json={"code": "N", "name": "new"})
        batch = await client.post("/projects/batch", json=[{"code": "M", "name": "more"}])
        assert (201, 201) == (made.status_code, batch.status_code)
        stolen = {"code": "X", "name": "x", "firm_id": str(api.theirs.firm)}
        assert 422 == (await client.post("/projects", json=stolen)).status_code
        leading = {"code": "X", "name": "x", "lead_id": api.theirs.member}
        assert 409 == (await client.post("/projects", json=leading)).status_code
        for key in api.theirs.projects:
            path = f"/projects/{key}"
            assert 404 == (await client.get(path)).status_code
            assert 404 == (await client.patch(path, json={"name": "x"})).status_code
            assert 404 == (await client.delete(path)).status_code
    async with database.session(scope=EVERYBODY) as session:
        for key in (made.json()["id"], batch.json()[0]["id"]):
            assert api.ours.firm == (await session.get_one(Project, UUID(key))).firm_id


async def test_who_is_listened_to_is_limited_too(api: Api) -> None:
    """A listener to all sessions has everything read by them, in the same scope."""

    def hear(state: Any) -> None:
        """Do nothing."""

    event.listen(Session, "do_orm_execute", hear)
    try:
        for path in WAYS:
            async with api.client(api.ours) as client:
                answer = await client.get(path)
            assert ("ours 1" in answer.text, "theirs" in answer.text) == (True, False)
    finally:
        event.remove(Session, "do_orm_execute", hear)


def test_a_dependency_is_what_scoped_by_answers() -> None:
    """So that it stands wherever FastAPI takes one."""
    assert isinstance(scoped_by(current_scope), type(Depends()))
