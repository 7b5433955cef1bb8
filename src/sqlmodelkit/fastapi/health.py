"""Health routes: whether the process lives, and whether it can serve."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel

from sqlmodelkit.database import Database
from sqlmodelkit.errors import SQLModelKitError

READY_WITHIN = 5.0

Check = Callable[[], Awaitable[None]]
"""A check of readiness: it raises when the application cannot serve."""


class Health(BaseModel):
    """What a health route answers."""

    status: str
    checks: dict[str, str] = {}
    database: dict[str, str] = {}
    pool: dict[str, int] = {}


def add_health(app: FastAPI, db: Database, checks: Mapping[str, Check], *, prefix: str) -> None:
    """Give an application the routes `/live` and `/ready`, below a prefix.

    They are routes of the application itself: one router less that other requests are matched with.
    """

    @app.get(f"{prefix}/live", tags=["health"])
    async def live() -> Health:
        """The process answers."""
        return Health(status="live")

    @app.get(
        f"{prefix}/ready",
        tags=["health"],
        responses={503: {"model": Health, "description": "Cannot serve."}},
    )
    async def ready(response: Response) -> Health:
        """The database answers, and every further check passes."""
        results: dict[str, str] = {}
        database: dict[str, str] = {}

        async def ping() -> None:
            info = await db.ping()
            database.update(dialect=info.dialect, version=info.version)

        for name, check in {"database": ping, **checks}.items():
            results[name] = await _result(check)
        healthy = all(result == "ok" for result in results.values())
        if not healthy:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Health(
            status="ready" if healthy else "unavailable",
            checks=results,
            database=database,
            pool=db.pool_status(),
        )


async def _result(check: Callable[[], Awaitable[Any]]) -> str:
    try:
        async with asyncio.timeout(READY_WITHIN):
            await check()
    except TimeoutError:
        return f"no answer within {READY_WITHIN:g} s"
    except SQLModelKitError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - a check may fail in any way; that is the answer
        return type(error).__name__
    return "ok"
