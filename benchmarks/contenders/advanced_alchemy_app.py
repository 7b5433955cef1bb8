"""Advanced Alchemy as its page "FastAPI Integration" writes it.

Its own base classes (a partial update of SQLModel tables is not safe with it), a service per
request by `provide_service`, sessions that commit on a 2xx, `to_schema` with a Pydantic model.
`provide_filters` with a sort field does not work with today's FastAPI, so the page declares its
parameters like the page's `provide_limit_offset_pagination`.
"""

from datetime import datetime
from typing import Annotated, Any

from advanced_alchemy.extensions.fastapi import (
    AdvancedAlchemy,
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    base,
    filters,
    repository,
    service,
)
from advanced_alchemy.types import DateTimeUTC
from fastapi import Depends, FastAPI
from sqlalchemy import Column, ForeignKey, Table, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from benchmarks.tables import (
    HeroCreate,
    HeroNested,
    HeroPublic,
    HeroUpdate,
    TeamNested,
)

from .connection import CONNECTIONS, URL

hero_power = Table(
    "hero_power",
    base.BigIntBase.metadata,
    Column("hero_id", ForeignKey("hero.id"), primary_key=True),
    Column("power_id", ForeignKey("power.id"), primary_key=True),
)


class Team(base.BigIntBase):
    __tablename__ = "team"

    name: Mapped[str] = mapped_column(unique=True)
    headquarters: Mapped[str]
    heroes: Mapped[list["Hero"]] = relationship(back_populates="team", order_by="Hero.id")


class Power(base.BigIntBase):
    __tablename__ = "power"

    name: Mapped[str]


class Hero(base.BigIntBase):
    __tablename__ = "hero"

    name: Mapped[str]
    secret_name: Mapped[str]
    age: Mapped[int | None]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(
        DateTimeUTC(timezone=True), server_default=func.now()
    )
    team: Mapped[Team | None] = relationship(back_populates="heroes")
    powers: Mapped[list[Power]] = relationship(secondary=hero_power, order_by="Power.id")


class HeroService(service.SQLAlchemyAsyncRepositoryService[Hero]):
    class Repo(repository.SQLAlchemyAsyncRepository[Hero]):
        model_type = Hero

    repository_type = Repo


class TeamService(service.SQLAlchemyAsyncRepositoryService[Team]):
    class Repo(repository.SQLAlchemyAsyncRepository[Team]):
        model_type = Team

    repository_type = Repo


app = FastAPI()
alchemy = AdvancedAlchemy(
    config=SQLAlchemyAsyncConfig(
        connection_string=URL,
        session_config=AsyncSessionConfig(expire_on_commit=False),
        commit_mode="autocommit",
        engine_config=EngineConfig(pool_size=CONNECTIONS, max_overflow=0),
    ),
    app=app,
)
Heroes = Annotated[HeroService, Depends(alchemy.provide_service(HeroService))]
NestedHeroes = Annotated[
    HeroService, Depends(alchemy.provide_service(HeroService, load=[Hero.team, Hero.powers]))
]
Teams = Annotated[TeamService, Depends(alchemy.provide_service(TeamService, load=[Team.heroes]))]


@app.get("/heroes/{hero_id}")
async def get_hero(heroes: Heroes, hero_id: int) -> HeroPublic:
    return heroes.to_schema(await heroes.get(hero_id), schema_type=HeroPublic)


@app.get("/heroes", response_model=list[HeroPublic])
async def list_heroes(heroes: Heroes, limit: int = 100) -> Any:
    return await heroes.get_many(filters.LimitOffset(limit, 0), filters.OrderBy("id"))


@app.get("/nested-heroes", response_model=list[HeroNested])
async def list_nested_heroes(heroes: NestedHeroes, limit: int = 100) -> Any:
    return await heroes.get_many(filters.LimitOffset(limit, 0), filters.OrderBy("id"))


@app.get("/teams", response_model=list[TeamNested])
async def list_teams(teams: Teams, limit: int = 20) -> Any:
    return await teams.get_many(filters.LimitOffset(limit, 0), filters.OrderBy("id"))


@app.post("/heroes", status_code=201)
async def create_hero(heroes: Heroes, data: HeroCreate) -> HeroPublic:
    return heroes.to_schema(await heroes.create(data), schema_type=HeroPublic)


@app.get("/hero-pages")
async def page_of_heroes(
    heroes: Heroes, min_age: int, limit: int = 50, offset: int = 0
) -> service.OffsetPagination[HeroPublic]:
    page = filters.LimitOffset(limit, offset)
    results, total = await heroes.get_many_and_count(
        filters.ComparisonFilter("age", "ge", min_age),
        filters.OrderBy("age", "desc"),
        filters.OrderBy("name"),
        page,
    )
    return heroes.to_schema(results, total, filters=[page], schema_type=HeroPublic)


@app.patch("/heroes/{hero_id}")
async def update_hero(heroes: Heroes, hero_id: int, data: HeroUpdate) -> HeroPublic:
    return heroes.to_schema(await heroes.update(data, item_id=hero_id), schema_type=HeroPublic)
