"""The tables that all contenders share, and the models they answer with.

Plain SQLModel, without anything of sqlmodelkit, so that nobody has better tables than the others.
"""

from datetime import datetime

from sqlalchemy import func
from sqlmodel import Field, Relationship, SQLModel


class HeroPower(SQLModel, table=True):
    __tablename__ = "hero_power"

    hero_id: int = Field(foreign_key="hero.id", primary_key=True)
    power_id: int = Field(foreign_key="power.id", primary_key=True)


class TeamBase(SQLModel):
    name: str = Field(max_length=100, unique=True)
    headquarters: str = Field(max_length=100)


class Team(TeamBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    heroes: list["Hero"] = Relationship(
        back_populates="team", sa_relationship_kwargs={"order_by": "Hero.id"}
    )


class PowerBase(SQLModel):
    name: str = Field(max_length=100)


class Power(PowerBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    heroes: list["Hero"] = Relationship(back_populates="powers", link_model=HeroPower)


class HeroBase(SQLModel):
    name: str = Field(max_length=100)
    secret_name: str = Field(max_length=100)
    age: int | None = Field(default=None)
    team_id: int | None = Field(default=None, foreign_key="team.id", index=True)


class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = Field(default=None, sa_column_kwargs={"server_default": func.now()})
    team: Team | None = Relationship(back_populates="heroes")
    powers: list[Power] = Relationship(
        back_populates="heroes",
        link_model=HeroPower,
        sa_relationship_kwargs={"order_by": "Power.id"},
    )


class HeroCreate(HeroBase):
    pass


class HeroUpdate(SQLModel):
    name: str | None = Field(default=None, max_length=100)
    secret_name: str | None = Field(default=None, max_length=100)
    age: int | None = None
    team_id: int | None = None


class TeamCreate(TeamBase):
    pass


class TeamUpdate(SQLModel):
    name: str | None = Field(default=None, max_length=100)
    headquarters: str | None = Field(default=None, max_length=100)


class TeamPublic(TeamBase):
    id: int


class PowerPublic(PowerBase):
    id: int


class HeroPublic(HeroBase):
    id: int
    created_at: datetime


class HeroNested(HeroPublic):
    team: TeamPublic | None
    powers: list[PowerPublic]


class TeamNested(TeamPublic):
    heroes: list[HeroPublic]


class HeroPage(SQLModel):
    items: list[HeroPublic]
    total: int
    limit: int
    offset: int
