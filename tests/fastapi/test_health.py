"""Health: the process lives, and whether it can serve."""

import asyncio

import pytest
from fastapi import FastAPI

from sqlmodelkit import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.fastapi import health, install
from tests.own_servers import PostgreSQL

from .conftest import client_of


async def test_ready_tells_the_server_and_the_pool(database: Database) -> None:
    """What answered, its version, and the connections."""
    app = FastAPI()
    install(app, database)
    async with client_of(app) as client:
        answer = await client.get("/health/ready")
    body, info = answer.json(), await database.ping()
    assert (200, "ready", {"database": "ok"}) == (
        answer.status_code,
        body["status"],
        body["checks"],
    )
    assert {"dialect": info.dialect, "version": info.version} == body["database"]
    assert database.pool_status()["limit"] == body["pool"]["limit"]


@pytest.mark.db
@pytest.mark.slow
async def test_a_stopped_database_is_not_ready_but_alive(own_postgresql: PostgreSQL) -> None:
    """503 without an address or SQL; ready again after it has started."""
    database = Database(own_postgresql.url)
    app = FastAPI()
    install(app, database)
    own_postgresql.stop()
    try:
        async with client_of(app) as client:
            live = await client.get("/health/live")
            assert (200, "live") == (live.status_code, live.json()["status"])
            answer = await client.get("/health/ready")
            assert (503, "unavailable") == (answer.status_code, answer.json()["status"])
            assert answer.json()["checks"]["database"] not in ("", "ok")
            assert "127.0.0.1" not in answer.text
            own_postgresql.start()
            assert 200 == (await client.get("/health/ready")).status_code
    finally:
        await database.close()


async def test_every_further_check_must_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer names each, and shows what it may."""
    monkeypatch.setattr(health, "READY_WITHIN", 0.05)
    database = Database("sqlite://")

    async def good() -> None:
        """Passes."""

    async def wrong() -> None:
        raise ConfigError("The migrations are not at head.", hint="Run them.")

    async def broken() -> None:
        raise ValueError("a detail that is nobody's business")

    async def slow() -> None:
        await asyncio.sleep(60)

    app = FastAPI()
    checks = {"good": good, "migrations": wrong, "broken": broken, "slow": slow}
    install(app, database, checks=checks)
    async with client_of(app) as client:
        answer = await client.get("/health/ready")
    await database.close()
    assert 503 == answer.status_code
    assert {
        "database": "ok",
        "good": "ok",
        "migrations": "The migrations are not at head.",
        "broken": "ValueError",
        "slow": "no answer within 0.05 s",
    } == answer.json()["checks"]


def test_openapi_lists_both_answers_of_ready() -> None:
    """200 and 503, of one form."""
    app = FastAPI()
    install(app, Database("sqlite://"))
    ready = app.openapi()["paths"]["/health/ready"]["get"]
    assert {"200", "503"} == set(ready["responses"])
    assert ["health"] == ready["tags"]
