"""Loader options: exactly what is shown is read, anything else is asked of the session."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel, model_validator
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel, select

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.events import recording
from sqlmodelkit.plan import Plan, row_options
from tests.tables import ALL, Club, Mastery, Player, Skill


class LazyLoad(Exception):
    """A session was asked for something that had not been loaded."""


class SkillOut(SQLModel):
    """A leaf."""

    name: str


class MasteryOut(BaseModel):
    """A link and its far side."""

    points: int
    skill: SkillOut


class ClubOut(BaseModel):
    """One column of the table, and no relation."""

    name: str


class PlayerOut(SQLModel):
    """A to-one relation, and a collection two levels deep."""

    name: str
    club: ClubOut | None
    masteries: list[MasteryOut]


class TitledClub(BaseModel):
    """A property that needs the whole row."""

    title: str


class TitledPlayer(BaseModel):
    """The same one level down, and a validator that wants the row itself."""

    name: str
    club: TitledClub | None

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> Any:
        """See the row before its fields."""
        return row


class TitledTree(BaseModel):
    """A property on both levels."""

    title: str
    parent: TitledClub | None


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A player with two skills, in a club that has a parent."""
    made = create_engine("sqlite://", poolclass=StaticPool)
    SQLModel.metadata.create_all(made, tables=ALL)
    with Session(made) as session:
        club = Club(name="A", city="Bern", code="a", parent=Club(name="P", city="Chur", code="p"))
        session.add(Player(id=1, name="Ann", email="ann@home", club=club))
        for number, name in enumerate(("Dribble", "Head")):
            session.add(Skill(id=number, name=name))
            session.flush()
            session.add(Mastery(player_id=1, skill_id=number, points=number))
        session.commit()
    yield made
    made.dispose()


@pytest.fixture
def read(engine: Engine) -> Iterator[Callable[[type[Any], Sequence[ORMOption]], Any]]:
    """Read the first row with options, in a session that refuses to load anything later."""
    with Session(engine) as session:

        @event.listens_for(session, "do_orm_execute")
        def guard(state: ORMExecuteState) -> None:
            if state.lazy_loaded_from is not None or state.is_column_load:
                raise LazyLoad

        def first(model: type[Any], options: Sequence[ORMOption]) -> Any:
            statement = select(model).where(model.name.in_(["Ann", "A"])).options(*options)
            return session.scalars(statement).one()

        yield first


def test_a_row_read_by_its_plan_makes_the_response(engine: Engine, read: Any) -> None:
    """Everything that is shown is there, in the number of statements that the plan says."""
    plan = Plan.of(Player, PlayerOut)
    with recording(engine) as events:
        built = plan.build(read(Player, plan.options))
    assert built == PlayerOut(
        name="Ann",
        club=ClubOut(name="A"),
        masteries=[
            MasteryOut(points=0, skill=SkillOut(name="Dribble")),
            MasteryOut(points=1, skill=SkillOut(name="Head")),
        ],
    )
    assert len(events) == plan.statement_count() == 2


def test_only_what_is_shown_is_selected(engine: Engine, read: Any) -> None:
    """Columns that the response leaves out never leave the database; keys do."""
    with recording(engine) as events:
        read(Player, Plan.of(Player, PlayerOut).options)
    whole = " ".join(event.statement for event in events)
    for hidden in ("email", "shirt", "signed_at", "budget", "founded", "created_at", "facts"):
        assert hidden not in whole
    for shown in ("sport_player.name", "sport_player.id", "sport_mastery.points"):
        assert shown in whole


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda player: player.skills, id="a collection"),
        pytest.param(lambda player: player.email, id="a column"),
        pytest.param(lambda player: player.club.players, id="a collection one level down"),
        pytest.param(lambda player: player.club.parent, id="a row one level down"),
        pytest.param(lambda player: player.club.city, id="a column one level down"),
        pytest.param(lambda player: player.masteries[0].player, id="a row that is in the session"),
        pytest.param(lambda player: player.masteries[0].skill.players, id="two levels down"),
    ],
)
def test_what_is_not_shown_is_asked_of_the_session(look: Callable[[Any], Any], read: Any) -> None:
    """Which refuses; also where the row happens to be in the session already."""
    player = read(Player, Plan.of(Player, PlayerOut).options)
    with pytest.raises(LazyLoad):
        look(player)


@pytest.mark.parametrize(
    ("response", "built"),
    [
        (TitledTree, {"title": "A (Bern)", "parent": {"title": "P (Chur)"}}),
        (TitledClub, {"title": "A (Bern)"}),
    ],
)
def test_a_property_has_its_whole_row(
    response: type[BaseModel], built: dict[str, Any], engine: Engine, read: Any
) -> None:
    """Every column is read where a property may need any, in no more statements."""
    plan = Plan.of(Club, response)
    with recording(engine) as events:
        assert plan.build(read(Club, plan.options)).model_dump() == built
    assert len(events) == plan.statement_count() == 1


def test_a_property_one_level_down_has_its_whole_row(engine: Engine, read: Any) -> None:
    """Without making the rows around it any wider; relations stay blocked."""
    plan = Plan.of(Player, TitledPlayer)
    with recording(engine) as events:
        player = read(Player, plan.options)
        assert plan.build(player).model_dump() == {"name": "Ann", "club": {"title": "A (Bern)"}}
    assert len(events) == 1
    assert "email" not in events[0].statement
    with pytest.raises(LazyLoad):
        _ = player.club.players


def test_a_table_row_has_every_column_and_the_relations_named(engine: Engine, read: Any) -> None:
    """One statement more for each collection, however deep."""
    with recording(engine) as events:
        player = read(Player, row_options(Player, ["club", "masteries.skill"]))
        assert (player.email, player.club.city) == ("ann@home", "Bern")
        assert [one.skill.name for one in player.masteries] == ["Dribble", "Head"]
    assert len(events) == 2
    mastery = player.masteries[0]
    for row, name in (
        (player, "skills"),
        (player.club, "parent"),
        (mastery, "player"),
        (mastery.skill, "masteries"),
    ):
        with pytest.raises(LazyLoad):
            getattr(row, name)


def test_a_table_row_without_relations_named_has_none(read: Any) -> None:
    """All of them are blocked."""
    player = read(Player, row_options(Player, ()))
    assert player.name == "Ann"
    for name in ("club", "masteries", "skills"):
        with pytest.raises(LazyLoad):
            getattr(player, name)


def test_paths_that_share_their_beginning_are_one_load(engine: Engine, read: Any) -> None:
    """A relation that is named for itself and as part of a path is read once."""
    with recording(engine) as events:
        player = read(Player, row_options(Player, ["masteries", "masteries.skill", "masteries"]))
    assert player.masteries[0].skill.name == "Dribble"
    assert len(events) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("team", "Player has no relation 'team' to load. Relations are club, masteries, skills."),
        ("name", "Player has no relation 'name' to load. Relations are club, masteries, skills."),
        ("", "Player has no relation '' to load. Relations are club, masteries, skills."),
        (
            "club.owner",
            "Club has no relation 'owner' to load. Relations are parent, branches, players.",
        ),
        (
            "club.players.",
            "Player has no relation '' to load. Relations are club, masteries, skills.",
        ),
    ],
)
def test_a_relation_that_does_not_exist_is_refused(name: str, message: str) -> None:
    """With those there are, at every depth."""
    with pytest.raises(ConfigError) as caught:
        row_options(Player, [name])
    assert str(caught.value) == message


def test_a_text_in_place_of_a_list_is_refused() -> None:
    """`load="club"` is a mistake that is easily made."""
    with pytest.raises(ConfigError, match=r'load=\["club"\]'):
        row_options(Player, "club")


def test_the_explanation_names_statements_columns_and_path() -> None:
    """What a developer needs to know, without a database."""
    assert Plan.of(Player, PlayerOut).explain() == (
        "PlayerOut from Player: 2 statement(s), path rows\n"
        "  Player: name\n"
        "  club (joined):\n"
        "    Club: name\n"
        "  masteries (one more statement):\n"
        "    Mastery: points\n"
        "    skill (joined):\n"
        "      Skill: name"
    )


def test_the_explanation_says_why_it_is_not_the_other_path() -> None:
    """Which field or method, of which model, at every depth."""
    plan = Plan.of(Player, TitledPlayer)
    assert plan.path == "objects"
    assert plan.reasons == (
        "TitledPlayer.look is a validator of the whole model before its fields",
        "TitledClub.title is a property of Club",
    )
    lines = plan.explain().splitlines()
    assert lines[0] == "TitledPlayer from Player: 1 statement(s), path objects"
    assert lines[1:3] == [f"  not by rows: {reason}" for reason in plan.reasons]
    assert lines[-2:] == ["    Club: every column", "      (all, because of title)"]
