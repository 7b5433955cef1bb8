"""What a plan prints is, byte by byte, what FastAPI prints from table rows."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, field_validator
from pydantic.alias_generators import to_camel
from sqlalchemy import delete, select, update
from sqlmodel import SQLModel

from sqlmodelkit import Database, Plan, ServiceBase, where
from sqlmodelkit.filters import compile_filters
from sqlmodelkit.models import uuid7
from sqlmodelkit.plan import Shape, row_options
from sqlmodelkit.plan.printing import obstacles
from tests.tables import Club, Mastery, Player, Skill, SportLevel


class SkillOut(SQLModel):
    """The far side of a many-to-many relation."""

    id: int
    name: str


class MasteryOut(BaseModel):
    """A link with its own column and its other side."""

    points: int
    skill: SkillOut


class ParentOut(BaseModel):
    """The tree, one level up."""

    id: UUID
    name: str
    city: str


class ClubOut(BaseModel):
    """Every kind of column, and a to-one relation."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: UUID
    name: str
    founded: date | None
    budget: Decimal
    is_open: bool
    facts: dict[str, Any]
    created_at: datetime
    parent: ParentOut | None


class PlayerOut(SQLModel):
    """To-one, to-many and many-to-many, two levels deep."""

    id: int
    name: str
    level: SportLevel
    shirt: int
    score: float | None
    signed_at: datetime | None
    email: str | None = Field(default=None, exclude=True)
    club: ClubOut | None
    masteries: list[MasteryOut]
    skills: list[SkillOut]


class PlayerBrief(BaseModel):
    """A child of a collection."""

    number: int = Field(validation_alias="id")
    label: str = Field(validation_alias=AliasChoices("name", "title"), serialization_alias="Label")
    skills: list[SkillOut]


class BranchOut(BaseModel):
    """The tree, one level down."""

    name: str
    players: list[PlayerBrief]


class ClubTree(BaseModel):
    """Collections of collections, from a parent with a UUID key."""

    name: str
    players: list[PlayerBrief]
    branches: list[BranchOut]


class ShoutingClub(BaseModel):
    """A response whose own code changes a value: it has to be made before it is printed."""

    name: str
    players: list[PlayerBrief]
    city: str

    @field_validator("city")
    @classmethod
    def shout(cls, value: str) -> str:
        """Change what the database gave."""
        return value.upper()


class TitledClub(BaseModel):
    """A response that shows a property of the table model."""

    title: str
    players: list[PlayerBrief]


class PlayerIn(SQLModel):
    """Unused input."""

    name: str


class Players(ServiceBase[Player, PlayerIn, PlayerIn]):
    """Players."""


class Clubs(ServiceBase[Club, PlayerIn, PlayerIn]):
    """Clubs."""


class SparingPlayers(Players):
    """Players, printed by the database wherever it can."""

    spare = "application"


class SparingClubs(Clubs):
    """Clubs, printed by the database wherever it can."""

    spare = "application"


SPARING: dict[type[ServiceBase[Any, Any, Any]], type[ServiceBase[Any, Any, Any]]] = {
    Players: SparingPlayers,
    Clubs: SparingClubs,
}


RESPONSES: tuple[tuple[type[ServiceBase[Any, Any, Any]], type[BaseModel]], ...] = (
    (Players, PlayerOut),
    (Clubs, ClubOut),
    (Clubs, ClubTree),
    (Clubs, ShoutingClub),
    (Clubs, TitledClub),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
documents = st.dictionaries(
    texts,
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts),
    max_size=3,
)
clubs: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=texts,
    founded=st.none() | st.dates(date(1900, 1, 1)),
    budget=st.decimals(-(10**9), 10**9, places=2),
    is_open=st.booleans(),
    facts=documents,
    parent=st.none() | st.integers(0, 2),
)
players: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=texts,
    level=st.sampled_from(SportLevel),
    shirt=st.integers(-(2**15), 2**15 - 1),
    score=st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
    signed_at=st.none() | moments,
    club=st.none() | st.integers(0, 2),
    deleted_at=st.none() | st.none() | moments,
    skills=st.dictionaries(st.integers(1, 3), st.integers(0, 100), max_size=3),
)
worlds = st.tuples(st.lists(clubs, max_size=3), st.lists(players, max_size=5))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


async def fill(db: Database, world: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Put a generated world in place of what is there."""
    club_rows, player_rows = world
    keys = [uuid7() for _ in club_rows]
    async with db.transaction() as session:
        connection = await session.connection()
        await connection.execute(update(Club).values(parent_id=None))
        for model in (Mastery, Player, Club, Skill):
            await connection.execute(delete(model))
        session.add_all([Skill(id=number, name=f"skill {number}") for number in (1, 2, 3)])
        for number, (key, club) in enumerate(zip(keys, club_rows, strict=True)):
            values = {name: value for name, value in club.items() if name != "parent"}
            session.add(Club(id=key, city=f"Ort {number}", **values))
        await session.flush()
        for club, key in zip(club_rows, keys, strict=True):
            if club["parent"] is not None and club["parent"] < len(keys):
                row = await session.get_one(Club, key)
                row.parent_id = keys[club["parent"]]
        for number, player in enumerate(player_rows, 1):
            values = {k: v for k, v in player.items() if k not in ("club", "skills")}
            home = player["club"]
            club_id = keys[home] if home is not None and home < len(keys) else None
            session.add(Player(id=number, club_id=club_id, **values))
            await session.flush()
            session.add_all(
                [
                    Mastery(player_id=number, skill_id=s, points=p)
                    for s, p in player["skills"].items()
                ]
            )


def paths(shape: Shape) -> Iterator[str]:
    """Yield the relations of a response, from its table on."""
    for edge in shape.relations:
        yield edge.name
        for path in paths(edge.shape):
            yield f"{edge.name}.{path}"


async def ordinary(
    db: Database, service: type[ServiceBase[Any, Any, Any]], response: type[BaseModel]
) -> bytes:
    """Print the rows as FastAPI does: table rows, validated from their attributes, and dumped."""
    plan = Plan.of(service.model, response)
    adapter: TypeAdapter[Any] = TypeAdapter(list[response])  # type: ignore[valid-type]
    async with db.session() as session:
        key = service.model.__table__.c.id
        options = row_options(service.model, list(paths(plan.shape)))
        statement: Any = select(service.model).order_by(key).options(*options)
        rows = (await session.exec(statement)).scalars().all()
        return adapter.dump_json(adapter.validate_python(rows, from_attributes=True), by_alias=True)


async def compare(db: Database, world: Any) -> None:
    """Compare every response model with the ordinary way."""
    await fill(db, world)
    for service, response in RESPONSES:
        expected = await ordinary(db, service, response)
        async with db.session() as session:
            rows = service(session)
            page = await rows.page_json(into=response, limit=100)
            models = await rows.all(into=response)
            first = await rows.all(limit=1)
            one = await rows.get_json(first[0].id, into=response) if first else b""
            assert expected == await SPARING[service](session).all_json(into=response)
        number = len(models)
        assert page == b'{"items":%b,"total":%d,"limit":100,"offset":0}' % (expected, number)
        adapter: TypeAdapter[Any] = TypeAdapter(list[response])  # type: ignore[valid-type]
        assert adapter.dump_json(models, by_alias=True) == expected
        assert one in expected


@pytest.mark.db
def test_every_path_prints_what_fastapi_prints(database_url: str, loop: asyncio.Runner) -> None:
    """Generated rows come out the same, byte by byte, on every engine and every path."""
    db = Database(database_url)
    loop.run(db.create_all())
    try:

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(worlds)
        def check(world: Any) -> None:
            loop.run(compare(db, world))

        check()
    finally:
        loop.run(db.close())


def test_a_response_of_plain_columns_is_printed_as_it_comes() -> None:
    """No model is made where nothing in it could change a value."""
    assert Plan.of(Player, PlayerOut).path == "rows"
    assert list(obstacles(Plan.of(Player, PlayerOut).shape)) == []
    assert list(obstacles(Plan.of(Club, ClubTree).shape)) == []


def test_code_of_the_response_model_is_run() -> None:
    """A validator is a reason to make the model, a property one to load table rows."""
    assert list(obstacles(Plan.of(Club, ShoutingClub).shape)) == [
        "ShoutingClub.shout is code of the model"
    ]
    assert Plan.of(Club, ShoutingClub).path == "rows"
    assert Plan.of(Club, TitledClub).path == "objects"
    assert "TitledClub.title is a property of Club" in Plan.of(Club, TitledClub).explain()


def test_a_filter_narrows_the_printed_rows_too() -> None:
    """Filters belong to the statement, whichever path prints it."""
    fetch = Plan.of(Player, PlayerOut).fetch
    base = select(Player).where(*compile_filters(Player, where(name="x")))
    assert "WHERE sport_player.name = " in str(fetch.select(base))
