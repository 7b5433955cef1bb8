"""Tables that several test modules share: a small world of clubs, players and skills.

Every table's name starts with `sport_`, so that examples can be imported beside it.
"""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Optional
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import IntKey, SoftDelete, Timestamps, UUIDKey, Version


class SportLevel(Enum):
    """How well somebody plays; stored by its name."""

    JUNIOR = "junior"
    SENIOR = "senior"


class Mastery(SQLModel, table=True):
    """A link with a column of its own, and a composite key."""

    __tablename__ = "sport_mastery"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("points >= 0", name="points_not_negative"),)

    player_id: int = Field(foreign_key="sport_player.id", primary_key=True)
    skill_id: int = Field(foreign_key="sport_skill.id", primary_key=True)
    points: int = 0
    player: "Player" = Relationship(back_populates="masteries")
    skill: "Skill" = Relationship(back_populates="masteries")


class Club(UUIDKey, Timestamps, table=True):
    """A UUID key, a tree, and a column of nearly every kind."""

    __tablename__ = "sport_club"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (UniqueConstraint("city", "name"),)

    name: str = Field(max_length=40)
    city: str = Field(default="Bern", max_length=40)
    code: str | None = Field(default=None, max_length=10, unique=True)
    founded: date | None = None
    budget: Decimal = Field(default=Decimal(0), max_digits=12, decimal_places=2)
    is_open: bool = True
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    parent_id: UUID | None = Field(default=None, foreign_key="sport_club.id")
    parent: Optional["Club"] = Relationship(
        back_populates="branches", sa_relationship_kwargs={"remote_side": "Club.id"}
    )
    branches: list["Club"] = Relationship(
        back_populates="parent", sa_relationship_kwargs={"order_by": "Club.city"}
    )
    players: list["Player"] = Relationship(
        back_populates="club", sa_relationship_kwargs={"order_by": "Player.id.desc()"}
    )

    @property
    def title(self) -> str:
        """Name and city in one, made in Python."""
        return f"{self.name} ({self.city})"


class Player(IntKey, SoftDelete, Version, table=True):
    """An integer key, soft delete, a version, and relations in every direction."""

    __tablename__ = "sport_player"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=40, index=True)
    email: str | None = Field(default=None, max_length=80, unique=True, index=True)
    level: SportLevel = SportLevel.JUNIOR
    shirt: int = Field(default=1, sa_type=SmallInteger)
    score: float | None = None
    signed_at: datetime | None = None
    club_id: UUID | None = Field(default=None, foreign_key="sport_club.id")
    club: Club | None = Relationship(back_populates="players")
    masteries: list[Mastery] = Relationship(
        back_populates="player", sa_relationship_kwargs={"order_by": "Mastery.skill_id"}
    )
    skills: list["Skill"] = Relationship(
        back_populates="players",
        link_model=Mastery,
        sa_relationship_kwargs={"viewonly": True, "order_by": "Skill.id"},
    )


class Skill(IntKey, table=True):
    """Reached over a link table."""

    __tablename__ = "sport_skill"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=40)
    masteries: list[Mastery] = Relationship(back_populates="skill")
    players: list[Player] = Relationship(
        back_populates="skills",
        link_model=Mastery,
        sa_relationship_kwargs={"viewonly": True},
    )


class Trophy(SQLModel, table=True):
    """A key that others own, a number of 64 bits, and an attribute named unlike its column."""

    __tablename__ = "sport_trophy"  # pyright: ignore[reportAssignmentType]

    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    value: int = Field(default=0, sa_type=BigInteger)
    holder: int = Field(
        sa_column=Column("held_by", Integer, ForeignKey("sport_player.id"), nullable=False)
    )
    engraving_that_is_much_longer_than_any_name_in_a_database_may_be: str = Field(
        default="", max_length=20
    )
    __table_args__: ClassVar[tuple[Any, ...]] = (
        UniqueConstraint("engraving_that_is_much_longer_than_any_name_in_a_database_may_be"),
    )


FIXTURES = Table(
    "sport_fixture",
    SQLModel.metadata,
    Column("id", Integer, primary_key=True),
    Column("place", String(40), unique=True, nullable=False),
)
"""A table without a model."""

ALL: tuple[Table, ...] = tuple(
    table for table in SQLModel.metadata.sorted_tables if table.name.startswith("sport_")
)
