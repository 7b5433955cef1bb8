"""Hand-written: asyncpg, one statement per answer whose JSON PostgreSQL builds.

The pool's reset on release is left out, for it costs a round trip: nothing here changes a session.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from fastapi import FastAPI
from fastapi.responses import Response

from benchmarks.tables import HeroCreate, HeroUpdate

from .connection import CONNECTIONS, driver_url
from .handwritten import HERO, TEAM, assignments, body, columns, not_found

# Times as Pydantic prints them: Z, and six digits of a second or none.
TIME = (
    "replace(to_char({alias}.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " '.000000Z', 'Z') AS created_at"
)


def hero(alias: str) -> str:
    """Return the columns of a hero."""
    return f"{columns(HERO[:-1], alias)}, {TIME.format(alias=alias)}"


def array(select: str) -> str:
    """Return a SELECT of one JSON array of the rows of a SELECT."""
    return f"SELECT coalesce(array_to_json(array_agg(r)), '[]')::text FROM ({select}) r"


ONE = f"SELECT row_to_json(r)::text FROM (SELECT {hero('h')} FROM hero h WHERE h.id = $1) r"
MANY = array(f"SELECT {hero('h')} FROM hero h ORDER BY h.id LIMIT $1")
NESTED = array(
    f"SELECT {hero('h')}, t AS team, ARRAY(SELECT p FROM hero_power l"
    " JOIN power p ON p.id = l.power_id WHERE l.hero_id = h.id ORDER BY p.id) AS powers"
    " FROM hero h LEFT JOIN team t ON t.id = h.team_id ORDER BY h.id LIMIT $1"
)
TEAMS = array(
    f"SELECT {columns(TEAM, 't')}, ARRAY(SELECT i FROM (SELECT {hero('h')} FROM hero h"
    " WHERE h.team_id = t.id ORDER BY h.id) i) AS heroes FROM team t ORDER BY t.id LIMIT $1"
)
INSERT = (
    "WITH h AS (INSERT INTO hero (name, secret_name, age, team_id) VALUES ($1, $2, $3, $4)"
    f" RETURNING *) SELECT row_to_json(r)::text FROM (SELECT {hero('h')} FROM h) r"
)
# The page is cut before its times are printed: in one SELECT every row that matches would be.
PAGE = (
    "SELECT json_build_object('items', (SELECT coalesce(array_to_json(array_agg(r)), '[]') FROM"
    f" (SELECT {hero('h')} FROM (SELECT * FROM hero WHERE age >= $1 ORDER BY age DESC, name"
    " LIMIT $2 OFFSET $3) h ORDER BY h.age DESC, h.name) r), 'total', (SELECT count(*) FROM hero WHERE age >= $1),"
    " 'limit', $2::bigint, 'offset', $3::bigint)::text"
)


class State:
    pool: asyncpg.Pool


async def keep(connection: Any) -> None:
    """Leave a released connection as it is."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        driver_url(), min_size=1, max_size=CONNECTIONS, reset=keep
    ) as pool:
        State.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/heroes/{hero_id}")
async def read_hero(hero_id: int) -> Response:
    text = await State.pool.fetchval(ONE, hero_id)
    if text is None:
        raise not_found()
    return body(text)


@app.get("/heroes")
async def list_heroes(limit: int = 100) -> Response:
    return body(await State.pool.fetchval(MANY, limit))


@app.get("/nested-heroes")
async def list_nested_heroes(limit: int = 100) -> Response:
    return body(await State.pool.fetchval(NESTED, limit))


@app.get("/teams")
async def list_teams(limit: int = 20) -> Response:
    return body(await State.pool.fetchval(TEAMS, limit))


@app.post("/heroes")
async def create_hero(data: HeroCreate) -> Response:
    text = await State.pool.fetchval(INSERT, data.name, data.secret_name, data.age, data.team_id)
    return body(text, 201)


@app.get("/hero-pages")
async def page_of_heroes(min_age: int, limit: int = 50, offset: int = 0) -> Response:
    return body(await State.pool.fetchval(PAGE, min_age, limit, offset))


@app.patch("/heroes/{hero_id}")
async def update_hero(hero_id: int, data: HeroUpdate) -> Response:
    names, values = assignments(data, "$")
    text = await State.pool.fetchval(
        f"WITH h AS (UPDATE hero SET {names} WHERE id = $1 RETURNING *)"
        f" SELECT row_to_json(r)::text FROM (SELECT {hero('h')} FROM h) r",
        hero_id,
        *values,
    )
    if text is None:
        raise not_found()
    return body(text)
