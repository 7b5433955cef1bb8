"""sqlmodelkit by its service, from input models."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.contenders.sqlmodelkit_endpoints import HeroService, db
from benchmarks.tables import HeroCreate, Team, TeamCreate, TeamUpdate
from sqlmodelkit import ServiceBase

from . import Run
from .writing import HEROES, TEAMS


class TeamService(ServiceBase[Team, TeamCreate, TeamUpdate]):
    """Teams."""


@asynccontextmanager
async def insert_many() -> AsyncIterator[Run]:
    rows = [HeroCreate(**row) for row in HEROES]

    async def run() -> int:
        async with db.transaction() as session:
            return await HeroService(session).insert_many(rows)

    async with db.lifespan():
        yield run


@asynccontextmanager
async def upsert_many() -> AsyncIterator[Run]:
    rows = [TeamCreate(**row) for row in TEAMS]

    async def run() -> int:
        async with db.transaction() as session:
            return await TeamService(session).upsert_many(rows, on="name")

    async with db.lifespan():
        yield run
