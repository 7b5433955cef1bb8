"""Teams and heroes: a whole API in one file. Run it with `uvicorn examples.heroes.main:app`."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import Database, ServiceBase, Timestamps, UUIDKey
from sqlmodelkit.fastapi import crud_router, install, service


class TeamBase(SQLModel):
    name: str = Field(max_length=100, unique=True)


class Team(TeamBase, UUIDKey, Timestamps, table=True):
    heroes: list["Hero"] = Relationship(back_populates="team")


class TeamUpdate(SQLModel):
    name: str | None = Field(default=None, max_length=100)


class HeroBase(SQLModel):
    name: str = Field(max_length=100, index=True)
    rank: int = Field(default=1, ge=1)
    team_id: UUID | None = Field(default=None, foreign_key="team.id", index=True)


class Hero(HeroBase, UUIDKey, Timestamps, table=True):
    team: Team | None = Relationship(back_populates="heroes")


class HeroUpdate(SQLModel):
    name: str | None = Field(default=None, max_length=100)
    rank: int | None = Field(default=None, ge=1)
    team_id: UUID | None = None


class TeamPublic(TeamBase):
    id: UUID


class HeroPublic(HeroBase):  # the response model is the query plan
    id: UUID
    team: TeamPublic | None


class TeamService(ServiceBase[Team, TeamBase, TeamUpdate]):
    public = TeamPublic


class HeroService(ServiceBase[Hero, HeroBase, HeroUpdate]):
    public = HeroPublic


db = Database(create_tables=True)  # DATABASE_URL, or SQLite in ./app.db
app = FastAPI(title="Heroes", lifespan=db.lifespan)
install(app, db)
app.include_router(crud_router(TeamService, public=True), prefix="/teams")
app.include_router(crud_router(HeroService, public=True), prefix="/heroes")


@app.post("/heroes/{hero_id}/promotion")
async def promote(
    hero_id: UUID, heroes: Annotated[HeroService, service(HeroService)]
) -> HeroPublic:
    hero = await heroes.get(hero_id, lock=True)  # a table row: changes are tracked
    hero.rank += 1
    return await heroes.get(hero_id, into=HeroPublic)  # exactly this shape
