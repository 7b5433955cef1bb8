"""Table rows: exactly what is shown is read, anything else is asked of the session."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel, col, select

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.events import recording
from sqlmodelkit.plan import Collection, Fetch, Limit, Plan, row_options
from sqlmodelkit.plan.objects import View, source_of
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
def session(engine: Engine) -> Iterator[Session]:
    """A session that refuses to load anything later."""
    with Session(engine) as session:

        @event.listens_for(session, "do_orm_execute")
        def guard(state: ORMExecuteState) -> None:
            if state.lazy_loaded_from is not None or state.is_column_load:
                raise LazyLoad

        yield session


def first(model: type[Any]) -> Any:
    """Return a select of the row that the tests look at."""
    return select(model).where(model.name.in_(["Ann", "A"]))


def fill(session: Session, collection: Collection, lists: dict[Any, Any]) -> None:
    """Read a collection of all rows that have it, and those below it."""
    inner = collection.fetch.groups()
    if lists:
        keys = list(lists)
        size = collection.size(len(keys), "sqlite")
        rows = session.execute(collection.select(size), collection.values(keys, size)).all()
        collection.fill(rows, lists, inner)
    for further, further_lists in zip(collection.fetch.collections, inner, strict=True):
        fill(session, further, further_lists)


def read(session: Session, fetch: Fetch) -> Any:
    """Read the first row by a plan's statements."""
    groups = fetch.groups()
    (node,) = fetch.build(session.execute(fetch.select(first(fetch.model))).all(), groups)
    for collection, lists in zip(fetch.collections, groups, strict=True):
        fill(session, collection, lists)
    return source_of(node)


def read_row(session: Session, model: type[Any], load: Sequence[str]) -> Any:
    """Read the first row with the relations named."""
    return session.scalars(first(model).options(*row_options(model, load))).one()


def test_a_row_read_by_its_plan_makes_the_response(engine: Engine, session: Session) -> None:
    """Everything that is shown is there, in the number of statements that the plan says."""
    plan = Plan.of(Player, PlayerOut)
    with recording(engine) as events:
        built = plan.build(read(session, plan.entities))
    assert built == PlayerOut(
        name="Ann",
        club=ClubOut(name="A"),
        masteries=[
            MasteryOut(points=0, skill=SkillOut(name="Dribble")),
            MasteryOut(points=1, skill=SkillOut(name="Head")),
        ],
    )
    assert len(events) == plan.statement_count() == 2


def test_only_what_is_shown_is_selected(engine: Engine, session: Session) -> None:
    """Columns that the response leaves out never leave the database; keys do."""
    with recording(engine) as events:
        read(session, Plan.of(Player, PlayerOut).entities)
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
def test_what_is_not_shown_is_asked_of_the_session(
    look: Callable[[Any], Any], session: Session
) -> None:
    """Which refuses; also where the row happens to be in the session already."""
    player = read(session, Plan.of(Player, PlayerOut).entities)
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
    response: type[BaseModel], built: dict[str, Any], engine: Engine, session: Session
) -> None:
    """Every column is read where a property may need any, in no more statements."""
    plan = Plan.of(Club, response)
    with recording(engine) as events:
        assert plan.build(read(session, plan.entities)).model_dump() == built
    assert len(events) == plan.statement_count() == 1


def test_a_property_one_level_down_has_its_whole_row(engine: Engine, session: Session) -> None:
    """Without making the rows around it any wider; relations stay blocked."""
    plan = Plan.of(Player, TitledPlayer)
    with recording(engine) as events:
        player = read(session, plan.entities)
        assert plan.build(player).model_dump() == {"name": "Ann", "club": {"title": "A (Bern)"}}
    assert len(events) == 1
    assert "email" not in events[0].statement
    with pytest.raises(LazyLoad):
        _ = player.club.players


def test_a_table_row_has_every_column_and_the_relations_named(
    engine: Engine, session: Session
) -> None:
    """One statement more for each collection, however deep."""
    with recording(engine) as events:
        player = read_row(session, Player, ["club", "masteries.skill"])
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


def test_a_table_row_without_relations_named_has_none(session: Session) -> None:
    """All of them are blocked."""
    player = read_row(session, Player, ())
    assert player.name == "Ann"
    for name in ("club", "masteries", "skills"):
        with pytest.raises(LazyLoad):
            getattr(player, name)


def test_paths_that_share_their_beginning_are_one_load(engine: Engine, session: Session) -> None:
    """A relation that is named for itself and as part of a path is read once."""
    with recording(engine) as events:
        player = read_row(session, Player, ["masteries", "masteries.skill", "masteries"])
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


class Home(BaseModel):
    """A club, with those that are around it."""

    name: str
    parent: ClubOut | None


class Traveller(BaseModel):
    """Shows the same table in two places of a statement."""

    name: str
    club: Home | None


def test_criteria_of_an_application_reach_every_row(engine: Engine) -> None:
    """Also without `include_aliases`: what is joined twice has a statement of its own."""
    plan = Plan.of(Player, Traveller)
    with Session(engine) as session:

        @event.listens_for(session, "do_orm_execute")
        def hide(state: ORMExecuteState) -> None:
            state.statement = state.statement.options(
                with_loader_criteria(Club, col(Club.name) != "P")
            )

        hidden = plan.build(read(session, plan.watched_entities))
        session.expunge_all()
        shown = plan.build(read(session, plan.entities))
    assert hidden == Traveller(name="Ann", club=Home(name="A", parent=None))
    assert shown == Traveller(name="Ann", club=Home(name="A", parent=ClubOut(name="P")))


class TitledHome(BaseModel):
    """Needs whole rows, around a part of others of the same table."""

    title: str
    parent: ClubOut | None


def test_whole_rows_stay_whole_beside_parts_of_others(engine: Engine, session: Session) -> None:
    """What an alias leaves out is left out of that alias only."""
    plan = Plan.of(Club, TitledHome)
    with recording(engine) as events:
        built = plan.build(read(session, plan.entities))
    assert built.model_dump() == {"title": "A (Bern)", "parent": {"name": "P"}}
    assert len(events) == plan.statement_count() == 1
    assert "sport_club_1.name" in events[0].statement
    assert "sport_club_1.city" not in events[0].statement


class Twofold(BaseModel):
    """One relation in two ways, whole in both."""

    masteries: list[MasteryOut]
    points: list["PointsOut"] = Field(validation_alias="masteries")


class PointsOut(BaseModel):
    """Another view of the same rows."""

    points: int


def test_two_fields_may_show_the_same_rows(session: Session) -> None:
    """Each finds what it shows on them."""
    plan = Plan.of(Player, Twofold)
    assert plan.path == "objects"
    built = plan.build(read(session, plan.entities))
    assert [(one.points, one.skill.name) for one in built.masteries] == [
        (0, "Dribble"),
        (1, "Head"),
    ]
    assert [one.points for one in built.points] == [0, 1]


class Parted(BaseModel):
    """One relation in two ways, with a part inside."""

    masteries: list[MasteryOut]
    points: list["PartOut"] = Field(validation_alias="masteries")


class PartOut(BaseModel):
    """Shows a part of the skill's masteries."""

    skill: "SkillPart"


class SkillPart(BaseModel):
    """The first of them."""

    masteries: Annotated[list[PointsOut], Limit(1)]


def test_two_fields_for_the_same_rows_need_two_names_where_a_part_is_shown() -> None:
    """What each is given differs then, and Pydantic would read one for both."""
    with pytest.raises(ConfigError, match=r"Parted\.masteries and Parted\.points show masteries"):
        Plan.of(Player, Parted)


def test_a_view_passes_for_its_row() -> None:
    """Unless the row is an instance of the response model, which Pydantic takes as it is."""
    row = Player(id=1, name="Ann")
    view = View(row, {"skills": []}, frozenset({"club"}), as_row=True)
    assert (isinstance(view, Player), view.name, view.skills) == (True, "Ann", [])
    assert not hasattr(view, "club")
    assert not isinstance(View(row, {}, frozenset(), as_row=False), Player)
