"""sqlmodelkit with hand-written endpoints: a service per request, `into=` a response model."""

from typing import Annotated

from fastapi import FastAPI

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
from sqlmodelkit.fastapi import install, service

from .connection import CONNECTIONS, URL


class HeroService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
    public = HeroPublic


class TeamService(ServiceBase[Team, TeamCreate, TeamUpdate]):
    public = TeamNested


Heroes = Annotated[HeroService, service(HeroService)]
Teams = Annotated[TeamService, service(TeamService)]

db = Database(settings=DatabaseSettings(url=URL, pool_size=CONNECTIONS, max_overflow=0))
app = FastAPI(lifespan=db.lifespan)
install(app, db)


@app.get("/heroes/{hero_id}")
async def read_hero(hero_id: int, heroes: Heroes) -> HeroPublic:
    return await heroes.get(hero_id, into=HeroPublic)


@app.get("/heroes")
async def list_heroes(heroes: Heroes, limit: int = 100) -> list[HeroPublic]:
    return await heroes.all(limit=limit, into=HeroPublic)


@app.get("/nested-heroes")
async def list_nested_heroes(heroes: Heroes, limit: int = 100) -> list[HeroNested]:
    return await heroes.all(limit=limit, into=HeroNested)


@app.get("/teams")
async def list_teams(teams: Teams, limit: int = 20) -> list[TeamNested]:
    return await teams.all(limit=limit, into=TeamNested)


@app.post("/heroes", status_code=201)
async def create_hero(data: HeroCreate, heroes: Heroes) -> HeroPublic:
    return await heroes.create(data, into=HeroPublic)


@app.get("/hero-pages")
async def page_of_heroes(
    heroes: Heroes, min_age: int, limit: int = 50, offset: int = 0
) -> Page[HeroPublic]:
    return await heroes.page(
        age__gte=min_age, sort="-age,name", limit=limit, offset=offset, into=HeroPublic
    )


@app.patch("/heroes/{hero_id}")
async def update_hero(hero_id: int, data: HeroUpdate, heroes: Heroes) -> HeroPublic:
    return await heroes.update(hero_id, data, into=HeroPublic)
