"""Tables of every kind of column, without schemas."""

from enum import StrEnum
from typing import Any, Optional
from uuid import UUID, uuid4

from sqlalchemy import JSON, Column, Computed, Integer, Text, text
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import IntKey, SoftDelete, Timestamps, UUIDKey, Version

from .shared import OfTenant, Priced


class Grade(StrEnum):
    """How good it is."""

    GOOD = "good"
    BEST = "best"


class GearLink(SQLModel, table=True):
    gear_id: UUID = Field(foreign_key="gear.id", ondelete="CASCADE", primary_key=True)
    label_id: int = Field(foreign_key="gearlabel.id", ondelete="CASCADE", primary_key=True)


class GearMaker(SQLModel, table=True):
    code: str = Field(primary_key=True, max_length=8)
    title: str = Field(max_length=60, unique=True)

    pieces: list["Gear"] = Relationship(back_populates="maker", passive_deletes="all")


class GearLabel(IntKey, table=True):
    word: str = Field(max_length=40)

    pieces: list["Gear"] = Relationship(
        back_populates="labels", link_model=GearLink, passive_deletes="all"
    )


class Gear(Priced, UUIDKey, Timestamps, SoftDelete, Version, OfTenant, table=True):
    name: str = Field(min_length=1, max_length=60, index=True, description="As it is called.")
    grade: Grade = Grade.GOOD
    next_grade: Optional[Grade] = None  # noqa: UP045 - as older code has it
    note: str | None = Field(None, sa_type=Text)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    batch: UUID = Field(default_factory=uuid4)
    stock: int = Field(ge=0, sa_column=Column(Integer, server_default=text("7"), nullable=False))
    double: int | None = Field(
        default=None, sa_column=Column(Integer, Computed("stock * 2", persisted=True))
    )
    access_token: str | None = Field(default=None, max_length=80)
    maker_code: str = Field(
        foreign_key="gearmaker.code", ondelete="RESTRICT", max_length=8, index=True
    )
    parent_id: UUID | None = Field(
        default=None, foreign_key="gear.id", ondelete="SET NULL", index=True
    )

    maker: GearMaker = Relationship(back_populates="pieces")
    labels: list[GearLabel] = Relationship(
        back_populates="pieces", link_model=GearLink, passive_deletes="all"
    )
    parent: Optional["Gear"] = Relationship(
        back_populates="parts", sa_relationship_kwargs={"remote_side": "Gear.id"}
    )
    parts: list["Gear"] = Relationship(back_populates="parent", passive_deletes="all")


# What is written here stays.
LIMIT = 100
