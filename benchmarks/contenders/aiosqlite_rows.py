"""Hand-written for SQLite: aiosqlite rows on one connection, printed by orjson.

One connection: SQLite works in this process, and its single thread is what costs the least.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from fastapi import FastAPI
from fastapi.responses import Response
from sqlalchemy.engine import make_url

from benchmarks.tables import HeroCreate, HeroUpdate

from .connection import URL
from .handwritten import HERO, TEAM, assignments, columns, json, not_found

HEROES = f"SELECT {columns(HERO, 'h')} FROM hero h"
NESTED = (
    f"SELECT {columns(HERO, 'h')}, {columns(TEAM, 't')} FROM hero h"
    " LEFT JOIN team t ON t.id = h.team_id ORDER BY h.id LIMIT ?"
)
POWERS = (
    "SELECT l.hero_id, p.id, p.name FROM hero_power l JOIN power p ON p.id = l.power_id"
    " WHERE l.hero_id IN ({marks}) ORDER BY p.id"
)
TEAMS = f"SELECT {columns(TEAM, 't')} FROM team t ORDER BY t.id LIMIT ?"
OF_TEAMS = HEROES + " WHERE h.team_id IN ({marks}) ORDER BY h.id"
INSERT = (
    "INSERT INTO hero (name, secret_name, age, team_id) VALUES (?, ?, ?, ?)"
    f" RETURNING {', '.join(HERO)}"
)
COUNT = "SELECT count(*) FROM hero WHERE age >= ?"
PAGE = f"{HEROES} WHERE h.age >= ? ORDER BY h.age DESC, h.name LIMIT ? OFFSET ?"


class State:
    connection: aiosqlite.Connection


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    path = make_url(URL).database or ""
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        State.connection = connection
        yield


app = FastAPI(lifespan=lifespan)


async def fetch(statement: str, *values: Any) -> list[Any]:
    return list(await State.connection.execute_fetchall(statement, values))


async def fetch_in(statement: str, keys: list[int]) -> list[Any]:
    return await fetch(statement.format(marks=",".join("?" * len(keys))), *keys)


def as_hero(row: Any) -> dict[str, Any]:
    """Name the columns of a row; the time as Pydantic prints it."""
    hero = dict(zip(HERO, row, strict=False))
    hero["created_at"] = row[5].replace(" ", "T").removesuffix(".000000") + "Z"
    return hero


@app.get("/heroes/{hero_id}")
async def read_hero(hero_id: int) -> Response:
    rows = await fetch(f"{HEROES} WHERE h.id = ?", hero_id)
    if not rows:
        raise not_found()
    return json(as_hero(rows[0]))


@app.get("/heroes")
async def list_heroes(limit: int = 100) -> Response:
    return json([as_hero(row) for row in await fetch(f"{HEROES} ORDER BY h.id LIMIT ?", limit)])


@app.get("/nested-heroes")
async def list_nested_heroes(limit: int = 100) -> Response:
    heroes: dict[int, dict[str, Any]] = {}
    for row in await fetch(NESTED, limit):
        hero = heroes[row[0]] = as_hero(row)
        hero["team"] = None if row[6] is None else dict(zip(TEAM, row[6:], strict=True))
        hero["powers"] = []
    for hero_id, power_id, name in await fetch_in(POWERS, list(heroes)):
        heroes[hero_id]["powers"].append({"id": power_id, "name": name})
    return json(list(heroes.values()))


@app.get("/teams")
async def list_teams(limit: int = 20) -> Response:
    teams: dict[int, dict[str, Any]] = {
        row[0]: dict(zip(TEAM, row, strict=True), heroes=[]) for row in await fetch(TEAMS, limit)
    }
    for row in await fetch_in(OF_TEAMS, list(teams)):
        teams[row[4]]["heroes"].append(as_hero(row))
    return json(list(teams.values()))


@app.post("/heroes")
async def create_hero(data: HeroCreate) -> Response:
    rows = await fetch(INSERT, data.name, data.secret_name, data.age, data.team_id)
    return json(as_hero(rows[0]), 201)


@app.get("/hero-pages")
async def page_of_heroes(min_age: int, limit: int = 50, offset: int = 0) -> Response:
    ((total,),) = await fetch(COUNT, min_age)
    items = [as_hero(row) for row in await fetch(PAGE, min_age, limit, offset)]
    return json({"items": items, "total": total, "limit": limit, "offset": offset})


@app.patch("/heroes/{hero_id}")
async def update_hero(hero_id: int, data: HeroUpdate) -> Response:
    names, values = assignments(data, "?")
    statement = f"UPDATE hero SET {names} WHERE id = ? RETURNING {', '.join(HERO)}"
    rows = await fetch(statement, *values, hero_id)
    if not rows:
        raise not_found()
    return json(as_hero(rows[0]))
