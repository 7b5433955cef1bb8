"""SQLModel as its documentation writes it, made async.

From "Session with FastAPI Dependency", "Read One Model", "Update Data with FastAPI" and "Models
with Relationships in FastAPI" of the SQLModel tutorial. The tutorial loads relations lazily, which
an async session cannot do: they are named with `selectinload`, as SQLAlchemy's asyncio page says.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.tables import (
    Hero,
    HeroCreate,
    HeroNested,
    HeroPage,
    HeroPublic,
    HeroUpdate,
    Team,
    TeamNested,
)

from .connection import CONNECTIONS, URL

engine = create_async_engine(URL, pool_size=CONNECTIONS, max_overflow=0)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
app = FastAPI(lifespan=lifespan)


@app.get("/heroes/{hero_id}", response_model=HeroPublic)
async def read_hero(*, session: SessionDep, hero_id: int) -> Hero:
    hero = await session.get(Hero, hero_id)
    if not hero:
        raise HTTPException(status_code=404, detail="Hero not found")
    return hero


@app.get("/heroes", response_model=list[HeroPublic])
async def read_heroes(*, session: SessionDep, limit: int = 100) -> Sequence[Hero]:
    heroes = await session.exec(select(Hero).order_by(col(Hero.id)).limit(limit))
    return heroes.all()


@app.get("/nested-heroes", response_model=list[HeroNested])
async def read_nested_heroes(*, session: SessionDep, limit: int = 100) -> Sequence[Hero]:
    team: Any = Hero.team
    powers: Any = Hero.powers
    statement = select(Hero).options(selectinload(team), selectinload(powers))
    heroes = await session.exec(statement.order_by(col(Hero.id)).limit(limit))
    return heroes.all()


@app.get("/teams", response_model=list[TeamNested])
async def read_teams(*, session: SessionDep, limit: int = 20) -> Sequence[Team]:
    heroes: Any = Team.heroes
    statement = select(Team).options(selectinload(heroes)).order_by(col(Team.id)).limit(limit)
    teams = await session.exec(statement)
    return teams.all()


@app.post("/heroes", response_model=HeroPublic, status_code=201)
async def create_hero(*, session: SessionDep, hero: HeroCreate) -> Hero:
    db_hero = Hero.model_validate(hero)
    session.add(db_hero)
    await session.commit()
    await session.refresh(db_hero)
    return db_hero


@app.get("/hero-pages")
async def read_hero_page(
    *, session: SessionDep, min_age: int, limit: int = 50, offset: int = 0
) -> HeroPage:
    matches = col(Hero.age) >= min_age
    total = (await session.exec(select(func.count()).select_from(Hero).where(matches))).one()
    statement = select(Hero).where(matches).order_by(col(Hero.age).desc(), col(Hero.name))
    heroes = await session.exec(statement.limit(limit).offset(offset))
    items = [HeroPublic.model_validate(hero) for hero in heroes]
    return HeroPage(items=items, total=total, limit=limit, offset=offset)


@app.patch("/heroes/{hero_id}", response_model=HeroPublic)
async def update_hero(*, session: SessionDep, hero_id: int, hero: HeroUpdate) -> Hero:
    db_hero = await session.get(Hero, hero_id)
    if not db_hero:
        raise HTTPException(status_code=404, detail="Hero not found")
    db_hero.sqlmodel_update(hero.model_dump(exclude_unset=True))
    session.add(db_hero)
    await session.commit()
    await session.refresh(db_hero)
    return db_hero
