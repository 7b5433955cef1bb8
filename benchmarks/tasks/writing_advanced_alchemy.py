"""Advanced Alchemy by its services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.contenders.advanced_alchemy_app import HeroService, TeamService, alchemy

from . import Run
from .writing import HEROES, TEAMS


@asynccontextmanager
async def insert_many() -> AsyncIterator[Run]:
    async def run() -> int:
        async with alchemy.config[0].get_session() as session:
            rows = await HeroService(session=session).create_many(HEROES, auto_commit=True)
        return len(rows)

    yield run
    await alchemy.config[0].get_engine().dispose()


@asynccontextmanager
async def upsert_many() -> AsyncIterator[Run]:
    async def run() -> int:
        async with alchemy.config[0].get_session() as session:
            rows = await TeamService(session=session).upsert_many(
                TEAMS, match_fields=["name"], auto_commit=True
            )
        return len(rows)

    yield run
    await alchemy.config[0].get_engine().dispose()
