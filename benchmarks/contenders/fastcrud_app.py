"""FastCRUD as its documentation writes it.

`crud_router` with `filter_config` for one row, create and the filtered page ("Automatic
Endpoints"); FastCRUD methods behind endpoints of one's own, which its skill recommends, where the
router cannot do it: lists without a total, nested answers ("Joins"), and PATCH, which the router
answers with null.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastcrud import FastCRUD, JoinConfig, crud_router
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import col

from benchmarks.tables import (
    Hero,
    HeroCreate,
    HeroNested,
    HeroPower,
    HeroPublic,
    HeroUpdate,
    Power,
    PowerPublic,
    Team,
    TeamNested,
    TeamPublic,
)

from .connection import CONNECTIONS, URL

NO_LIMIT_IN_PRACTICE = 1_000

engine = create_async_engine(URL, pool_size=CONNECTIONS, max_overflow=0)
async_session = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with async_session() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
app = FastAPI(lifespan=lifespan)
hero_crud: Any = FastCRUD(Hero)
team_crud: Any = FastCRUD(Team)

app.include_router(
    crud_router(
        session=get_session,
        model=Hero,
        create_schema=HeroCreate,
        update_schema=HeroUpdate,
        select_schema=HeroPublic,
        path="/heroes",
        included_methods=["create", "read", "read_multi"],
        filter_config={"age__gte": None},
    )
)


@app.get("/flat-heroes", response_model=list[HeroPublic])
async def list_heroes(db: SessionDep, limit: int = 100) -> Any:
    heroes = await hero_crud.get_multi(
        db,
        limit=limit,
        sort_columns="id",
        schema_to_select=HeroPublic,
        return_total_count=False,
    )
    return heroes["data"]


@app.get("/nested-heroes", response_model=list[HeroNested])
async def list_nested_heroes(db: SessionDep, limit: int = 100) -> Any:
    # LIMIT would count the joined rows, so the page is chosen by a condition.
    page = select(col(Hero.id)).order_by(col(Hero.id)).limit(limit)
    heroes = await hero_crud.get_multi_joined(
        db,
        limit=None,
        sort_columns="id",
        schema_to_select=HeroPublic,
        joins_config=[
            JoinConfig(
                model=Team,
                join_on=col(Hero.team_id) == Team.id,
                join_prefix="team_",
                schema_to_select=TeamPublic,
            ),
            JoinConfig(
                model=HeroPower,
                join_on=col(HeroPower.hero_id) == Hero.id,
                join_prefix="link_",
            ),
            JoinConfig(
                model=Power,
                join_on=col(Power.id) == HeroPower.power_id,
                join_prefix="powers_",
                schema_to_select=PowerPublic,
                relationship_type="one-to-many",
                sort_columns="id",
            ),
        ],
        nest_joins=True,
        return_total_count=False,
        where=col(Hero.id).in_(page),
    )
    return heroes["data"]


@app.get("/teams", response_model=list[TeamNested])
async def list_teams(db: SessionDep, limit: int = 20) -> Any:
    teams = await team_crud.get_multi_joined(
        db,
        limit=limit,
        sort_columns="id",
        schema_to_select=TeamPublic,
        joins_config=[
            JoinConfig(
                model=Hero,
                join_on=col(Hero.team_id) == Team.id,
                join_prefix="heroes_",
                schema_to_select=HeroPublic,
                relationship_type="one-to-many",
                sort_columns="id",
                # Without a limit per team the limit of teams would count heroes.
                nested_limit=NO_LIMIT_IN_PRACTICE,
            )
        ],
        nest_joins=True,
        return_total_count=False,
    )
    return teams["data"]


@app.patch("/heroes/{hero_id}", response_model=HeroPublic)
async def update_hero(db: SessionDep, hero_id: int, data: HeroUpdate) -> Any:
    if engine.dialect.name == "sqlite":
        # There `return_columns` answers times as they are stored, without their zone.
        await hero_crud.update(db, data, id=hero_id)
        return await hero_crud.get(db, schema_to_select=HeroPublic, id=hero_id)
    shown = list(HeroPublic.model_fields)
    return await hero_crud.update(db, data, return_columns=shown, id=hero_id)
