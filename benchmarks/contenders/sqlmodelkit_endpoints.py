"""sqlmodelkit with hand-written endpoints that answer by `responder`."""

from typing import Annotated

from fastapi import FastAPI, Response

from benchmarks.tables import (
    Hero,
    HeroCreate,
    HeroNested,
    HeroPublic,
    HeroUpdate,
    Team,
    TeamCreate,
    TeamNested,
    TeamUpdate,
)
from sqlmodelkit import Database, DatabaseSettings, Page, ServiceBase
from sqlmodelkit.fastapi import Responder, install, responder

from .connection import CONNECTIONS, URL


class HeroService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
    public = HeroPublic


class TeamService(ServiceBase[Team, TeamCreate, TeamUpdate]):
    public = TeamNested


db = Database(settings=DatabaseSettings(url=URL, pool_size=CONNECTIONS, max_overflow=0))
app = FastAPI(lifespan=db.lifespan)
install(app, db)

Heroes = Annotated[Responder, responder(HeroService, single=True)]
NestedHeroes = Annotated[Responder, responder(HeroService, HeroNested, single=True)]
Teams = Annotated[Responder, responder(TeamService, single=True)]


@app.get("/heroes/{hero_id}", response_model=HeroPublic)
async def read_hero(hero_id: int, heroes: Heroes) -> Response:
    return await heroes.get(hero_id)


@app.get("/heroes", response_model=list[HeroPublic])
async def list_heroes(heroes: Heroes, limit: int = 100) -> Response:
    return await heroes.all(limit=limit)


@app.get("/nested-heroes", response_model=list[HeroNested])
async def list_nested_heroes(heroes: NestedHeroes, limit: int = 100) -> Response:
    return await heroes.all(limit=limit)


@app.get("/teams", response_model=list[TeamNested])
async def list_teams(teams: Teams, limit: int = 20) -> Response:
    return await teams.all(limit=limit)


@app.post("/heroes", status_code=201, response_model=HeroPublic)
async def create_hero(data: HeroCreate, heroes: Heroes) -> Response:
    return await heroes.create(data)


@app.get("/hero-pages", response_model=Page[HeroPublic])
async def page_of_heroes(
    heroes: Heroes, min_age: int, limit: int = 50, offset: int = 0
) -> Response:
    return await heroes.page(age__gte=min_age, sort="-age,name", limit=limit, offset=offset)


@app.patch("/heroes/{hero_id}", response_model=HeroPublic)
async def update_hero(hero_id: int, data: HeroUpdate, heroes: Heroes) -> Response:
    return await heroes.update(hero_id, data)
