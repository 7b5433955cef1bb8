"""FastCRUD: it adds rows one by one, and finds those that are there by the primary key only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlmodel import col

from benchmarks.contenders.fastcrud_app import async_session, engine, hero_crud, team_crud
from benchmarks.tables import HeroCreate, Team, TeamBase

from . import Run
from .writing import HEROES, TEAMS


class TeamWithKey(TeamBase):
    """What FastCRUD needs to find a row."""

    id: int


@asynccontextmanager
async def insert_many() -> AsyncIterator[Run]:
    rows = [HeroCreate(**row) for row in HEROES]

    async def run() -> int:
        async with async_session() as session:
            for row in rows:
                await hero_crud.create(session, row, commit=False)
            await session.commit()
        return len(rows)

    yield run
    await engine.dispose()


@asynccontextmanager
async def upsert_many() -> AsyncIterator[Run]:
    async with async_session() as session:
        found = await session.execute(select(col(Team.name), col(Team.id)))
        keys = dict(found.tuples().all())
    rows = [TeamWithKey(id=keys[row["name"]], **row) for row in TEAMS]

    async def run() -> int:
        async with async_session() as session:
            await team_crud.upsert_multi(session, rows)
        return len(rows)

    yield run
    await engine.dispose()
