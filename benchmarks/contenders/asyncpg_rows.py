"""Hand-written: asyncpg rows, one flat statement per collection, printed by orjson.

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
from .handwritten import HERO, TEAM, assignments, columns, json, not_found

HEROES = f"SELECT {columns(HERO, 'h')} FROM hero h"
TEAM_COLUMNS = ", ".join(f"t.{name} AS team_{name}" for name in TEAM)
NESTED = (
    f"SELECT {columns(HERO, 'h')}, {TEAM_COLUMNS} FROM hero h"
    " LEFT JOIN team t ON t.id = h.team_id ORDER BY h.id LIMIT $1"
)
POWERS = (
    "SELECT l.hero_id, p.id, p.name FROM hero_power l JOIN power p ON p.id = l.power_id"
    " WHERE l.hero_id = ANY($1) ORDER BY p.id"
)
TEAMS = f"SELECT {columns(TEAM, 't')} FROM team t ORDER BY t.id LIMIT $1"
OF_TEAMS = f"{HEROES} WHERE h.team_id = ANY($1) ORDER BY h.id"
INSERT = (
    "INSERT INTO hero AS h (name, secret_name, age, team_id) VALUES ($1, $2, $3, $4)"
    f" RETURNING {columns(HERO, 'h')}"
)
COUNT = "SELECT count(*) FROM hero WHERE age >= $1"
PAGE = f"{HEROES} WHERE h.age >= $1 ORDER BY h.age DESC, h.name LIMIT $2 OFFSET $3"


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
    row = await State.pool.fetchrow(f"{HEROES} WHERE h.id = $1", hero_id)
    if row is None:
        raise not_found()
    return json(dict(row))


@app.get("/heroes")
async def list_heroes(limit: int = 100) -> Response:
    rows = await State.pool.fetch(f"{HEROES} ORDER BY h.id LIMIT $1", limit)
    return json([dict(row) for row in rows])


@app.get("/nested-heroes")
async def list_nested_heroes(limit: int = 100) -> Response:
    async with State.pool.acquire() as connection:
        rows = await connection.fetch(NESTED, limit)
        heroes = {row["id"]: _hero(row) for row in rows}
        for hero_id, power_id, name in await connection.fetch(POWERS, list(heroes)):
            heroes[hero_id]["powers"].append({"id": power_id, "name": name})
    return json(list(heroes.values()))


def _hero(row: Any) -> dict[str, Any]:
    hero_id, name, secret_name, age, team_id, created_at, *team = row
    return {
        "id": hero_id,
        "name": name,
        "secret_name": secret_name,
        "age": age,
        "team_id": team_id,
        "created_at": created_at,
        "team": None if team[0] is None else dict(zip(TEAM, team, strict=True)),
        "powers": [],
    }


@app.get("/teams")
async def list_teams(limit: int = 20) -> Response:
    async with State.pool.acquire() as connection:
        rows = await connection.fetch(TEAMS, limit)
        teams = {row["id"]: dict(row, heroes=[]) for row in rows}
        for row in await connection.fetch(OF_TEAMS, list(teams)):
            teams[row["team_id"]]["heroes"].append(dict(row))
    return json(list(teams.values()))


@app.post("/heroes")
async def create_hero(data: HeroCreate) -> Response:
    row = await State.pool.fetchrow(INSERT, data.name, data.secret_name, data.age, data.team_id)
    return json(dict(row), 201)


@app.get("/hero-pages")
async def page_of_heroes(min_age: int, limit: int = 50, offset: int = 0) -> Response:
    async with State.pool.acquire() as connection:
        total = await connection.fetchval(COUNT, min_age)
        rows = await connection.fetch(PAGE, min_age, limit, offset)
    items = [dict(row) for row in rows]
    return json({"items": items, "total": total, "limit": limit, "offset": offset})


@app.patch("/heroes/{hero_id}")
async def update_hero(hero_id: int, data: HeroUpdate) -> Response:
    names, values = assignments(data, "$")
    statement = f"UPDATE hero h SET {names} WHERE id = $1 RETURNING {columns(HERO, 'h')}"
    row = await State.pool.fetchrow(statement, hero_id, *values)
    if row is None:
        raise not_found()
    return json(dict(row))
