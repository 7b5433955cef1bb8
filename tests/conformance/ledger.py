"""A database in memory, as simple as it can be, to compare the real one with.

Start at `Ledger`. It refuses what the database has to refuse, by the name of the error; a
condition is true, false or, as in SQL, None.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import IntKey, ServiceBase, SoftDelete, Version
from sqlmodelkit.filters import Filter

Row = dict[str, Any]
Truth = bool | None


class LedgerTeam(IntKey, table=True):
    """Deleted for good, unless somebody is in it."""

    __tablename__ = "ledger_team"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=10, unique=True)
    heroes: list["LedgerHero"] = Relationship(back_populates="team")


class HeroData(SQLModel):
    """What `create` takes: a nullable column with a default, one without, and a JSON column."""

    name: str = Field(max_length=10)
    rank: int | None = 3
    code: str | None = Field(default=None, max_length=10, unique=True)
    notes: list[int] | None = Field(default=None, sa_type=JSON)
    team_id: int | None = Field(default=None, foreign_key="ledger_team.id")


class LedgerHero(HeroData, IntKey, SoftDelete, Version, table=True):
    """Deleted softly, with a version."""

    __tablename__ = "ledger_hero"  # pyright: ignore[reportAssignmentType]

    team: LedgerTeam | None = Relationship(back_populates="heroes")


class TeamData(SQLModel):
    """What a team is made of, and what is answered inside a hero."""

    name: str


class HeroChange(SQLModel):
    """What `update` takes."""

    name: str | None = None
    rank: int | None = None
    code: str | None = None
    notes: list[int] | None = None
    team_id: int | None = None


class HeroShown(SQLModel):
    """A hero by its own columns: an update can answer it by RETURNING."""

    id: int
    name: str
    rank: int | None
    code: str | None
    notes: list[int] | None
    team_id: int | None
    version: int


class HeroWithTeam(HeroShown):
    """A hero with its team: read by a join."""

    team: TeamData | None


class TeamWithHeroes(TeamData):
    """A team with its live heroes: read by a second statement."""

    id: int
    heroes: list[HeroShown]


class HeroLedger(ServiceBase[LedgerHero, HeroData, HeroChange]):
    """Heroes."""


class TeamLedger(ServiceBase[LedgerTeam, TeamData, TeamData]):
    """Teams."""


TABLES = [SQLModel.metadata.tables[name] for name in ("ledger_team", "ledger_hero")]


class RefusedError(Exception):
    """What the database has to refuse; any of the named errors will do."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = set(names)


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter as the service takes it, and what it means."""

    filter: Filter
    holds: Callable[[Row], Truth]

    def __repr__(self) -> str:
        return repr(self.filter)


@dataclass
class Ledger:
    """Rows by key; savepoints keep copies."""

    teams: dict[int, Row] = field(default_factory=dict)
    heroes: dict[int, Row] = field(default_factory=dict)
    kept: list[tuple[dict[int, Row], dict[int, Row]]] = field(default_factory=list)

    def keep(self) -> None:
        """Remember everything as it is."""
        self.kept.append(deepcopy((self.teams, self.heroes)))

    def restore_kept(self) -> None:
        """Go back to what was remembered last."""
        self.teams, self.heroes = self.kept.pop()

    def live(self) -> list[Row]:
        """Return the heroes that are not deleted, by key."""
        return [row for _, row in sorted(self.heroes.items()) if not row["deleted"]]

    def hero(self, key: int, *, deleted: bool = False) -> Row:
        """Return the hero with this key."""
        row = self.heroes.get(key)
        if row is None or row["deleted"] is not deleted:
            raise RefusedError("NotFound")
        return row

    def check(self, rows: Iterable[tuple[int | None, Row]]) -> None:
        """Refuse values that break a constraint: each with the key that its row has, if any."""
        given = list(rows)
        reasons = set()
        changed = {key for key, _ in given}
        codes = [row["code"] for key, row in self.heroes.items() if key not in changed]
        for key, row in given:
            old = self.heroes[key]["code"] if key is not None else None
            code = row.get("code", old)
            if code is not None and code in codes:
                reasons.add("UniqueViolation")
            codes.append(code)
            if row.get("team_id") is not None and row["team_id"] not in self.teams:
                reasons.add("ForeignKeyViolation")
        if reasons:
            raise RefusedError(*reasons)

    def matching(self, conditions: Iterable[Condition]) -> list[Row]:
        """Return the live heroes for which every condition is true."""
        wanted = list(conditions)
        return [row for row in self.live() if all(c.holds(row) is True for c in wanted)]

    def shown(self, row: Row) -> Row:
        """Return a hero as `HeroWithTeam` shows it."""
        plain = {name: row[name] for name in HeroShown.model_fields}
        team = self.teams.get(row["team_id"])
        return plain | {"team": team and {"name": team["name"]}}


def ordered(rows: list[Row], sort: tuple[str, ...]) -> list[Row]:
    """Sort as the service says it does: NULL last ascending, first descending, then by key."""
    rows = sorted(rows, key=lambda row: row["id"])
    for name in reversed(sort):
        column = name.removeprefix("-")

        def key(row: Row, column: str = column) -> tuple[bool, Any]:
            value = row[column]
            return value is None, 0 if value is None else value

        rows = sorted(rows, key=key, reverse=name.startswith("-"))
    return rows
