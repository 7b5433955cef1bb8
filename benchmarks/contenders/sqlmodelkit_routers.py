"""sqlmodelkit with generated endpoints: `crud_router`, nothing else.

Lists without a total (`count="none"`) have routers of their own, because a router has one policy.
"""

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
from sqlmodelkit import Database, DatabaseSettings, ServiceBase
from sqlmodelkit.fastapi import crud_router, install

from .connection import CONNECTIONS, URL


class HeroService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
    public = HeroPublic


class HeroNestedService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
    public = HeroNested


class TeamService(ServiceBase[Team, TeamCreate, TeamUpdate]):
    public = TeamNested


db = Database(settings=DatabaseSettings(url=URL, pool_size=CONNECTIONS, max_overflow=0))
app = FastAPI(lifespan=db.lifespan)
install(app, db)
app.include_router(crud_router(HeroService, public=True), prefix="/heroes")
for prefix, service in (
    ("/flat-heroes", HeroService),
    ("/nested-heroes", HeroNestedService),
    ("/teams", TeamService),
):
    app.include_router(crud_router(service, operations=["list"], count="none"), prefix=prefix)
