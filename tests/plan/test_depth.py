"""A response model that shows itself, to a declared depth, on every path alike."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Optional

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, create_model, field_validator, model_validator
from sqlalchemy import delete, insert, select, update
from sqlmodel import Field as Column
from sqlmodel import Relationship, SQLModel

from sqlmodelkit import Database, IntKey, ServiceBase
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.events import recording
from sqlmodelkit.plan import Depth, Limit, Plan, Shape, shape_of
from sqlmodelkit.plan.printing import obstacles


class Topic(IntKey, table=True):
    """A tree."""

    __tablename__ = "depth_topic"  # pyright: ignore[reportAssignmentType]

    name: str = Column(max_length=20)
    parent_id: int | None = Column(default=None, foreign_key="depth_topic.id")
    parent: Optional["Topic"] = Relationship(
        back_populates="children", sa_relationship_kwargs={"remote_side": "Topic.id"}
    )
    children: list["Topic"] = Relationship(back_populates="parent")

    @property
    def title(self) -> str:
        """Made in Python."""
        return f"<{self.name}>"


class Speaker(IntKey, table=True):
    """Speaks."""

    __tablename__ = "depth_speaker"  # pyright: ignore[reportAssignmentType]

    name: str = Column(max_length=20)
    talks: list["Talk"] = Relationship(back_populates="speaker")


class Talk(SQLModel, table=True):
    """Is spoken; its key is a text, which each database sorts in a way of its own."""

    __tablename__ = "depth_talk"  # pyright: ignore[reportAssignmentType]

    code: str = Column(max_length=20, primary_key=True)
    speaker_id: int | None = Column(default=None, foreign_key="depth_speaker.id")
    speaker: Speaker | None = Relationship(back_populates="talks")


class TopicOut(BaseModel):
    """Three levels down, one level up."""

    children: Annotated[list["TopicOut"], Depth(3)] = []
    id: int
    parent: Annotated[Optional["TopicOut"], Depth(1)] = None


class TitledTopic(BaseModel):
    """The same by table rows."""

    title: str
    children: Annotated[list["TitledTopic"], Depth(3)] = []
    id: int
    parent: Annotated[Optional["TitledTopic"], Depth(1)] = None


class YoungTopic(BaseModel):
    """A part of each level."""

    id: int
    youngest: Annotated[list["YoungTopic"], Depth(2), Limit(2, "-id")] = Field(
        default_factory=list, validation_alias=AliasChoices("youngest", "children")
    )
    children: Annotated[list["TopicName"], Depth(1)] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> Any:
        """Take rows of the table only."""
        assert isinstance(row, Topic)
        return row


class TopicName(BaseModel):
    """A leaf."""

    id: int


class Nothing(SQLModel):
    """Unused input."""


class Topics(ServiceBase[Topic, Nothing, Nothing]):
    """Topics."""


class SparingTopics(Topics):
    """Lets the database print what it can: on PostgreSQL and SQLite, whole trees."""

    spare = "application"


class Speakers(ServiceBase[Speaker, Nothing, Nothing]):
    """Speakers."""


class Talks(ServiceBase[Talk, Nothing, Nothing]):
    """Talks."""


Parents = dict[int, int | None]


def children_of(parents: Parents, key: int) -> list[int]:
    """Return the keys of a topic's children, in order."""
    return [child for child, parent in sorted(parents.items()) if parent == key]


def ordinary(parents: Parents, key: int, level: int = 0) -> dict[str, Any]:
    """Follow the tree by hand, as far as TopicOut does."""
    below = children_of(parents, key) if level < 3 else []
    above = parents[key] if level < 1 else None
    return {
        "children": [ordinary(parents, child, level + 1) for child in below],
        "id": key,
        "parent": None if above is None else ordinary(parents, above, level + 1),
    }


def young(parents: Parents, key: int, level: int = 0) -> dict[str, Any]:
    """Follow the tree by hand, as far as YoungTopic does."""
    below = children_of(parents, key)
    return {
        "id": key,
        "youngest": [
            young(parents, child, level + 1) for child in (below[::-1][:2] if level < 2 else [])
        ],
        "children": [{"id": child} for child in (below if level < 1 else [])],
    }


def without_titles(value: Any) -> Any:
    """Take the titles away that only table rows have."""
    if isinstance(value, list):
        return [without_titles(item) for item in value]
    if isinstance(value, dict):
        return {name: without_titles(item) for name, item in value.items() if name != "title"}
    return value


async def fill(db: Database, parents: Parents) -> None:
    """Put a generated forest in place of what is there; it may have cycles."""
    async with db.engine.begin() as connection:
        await connection.execute(update(Topic).values(parent_id=None))
        await connection.execute(delete(Topic))
        for key in reversed(parents):
            await connection.execute(insert(Topic).values(id=key, name=f"t{key}"))
        for key, parent in parents.items():
            await connection.execute(
                update(Topic).where(Topic.id == key).values(parent_id=parent)  # type: ignore[arg-type]
            )


async def compare(db: Database, parents: Parents) -> None:
    """Compare both paths, models and JSON."""
    await fill(db, parents)
    expected = [ordinary(parents, key) for key in sorted(parents)]
    async with db.unit(reading=True) as unit:
        topics = Topics(unit)
        plain = await topics.all(into=TopicOut, sort="id")
        text = await topics.all_json(into=TopicOut, sort="id")
        printed = await SparingTopics(unit).all_json(into=TopicOut, sort="id")
        titled = await topics.all(into=TitledTopic, sort="id")
        youngest = await topics.all(into=YoungTopic, sort="id")
    assert expected == [topic.model_dump() for topic in plain]
    assert text == b"[%b]" % b",".join(topic.model_dump_json().encode() for topic in plain)
    assert text == printed
    assert expected == without_titles([topic.model_dump() for topic in titled])
    assert [young(parents, key) for key in sorted(parents)] == [t.model_dump() for t in youngest]


@st.composite
def forests(draw: st.DrawFn) -> Parents:
    """Draw topics with parents anywhere, themselves included."""
    number = draw(st.integers(0, 8))
    return {key: draw(st.none() | st.integers(1, number)) for key in range(1, number + 1)}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.db
def test_a_tree_is_shown_to_its_depth(database_url: str, loop: asyncio.Runner) -> None:
    """As followed by hand, also where a topic is in several places and levels at once."""
    db = Database(database_url)
    loop.run(db.create_all())
    try:

        @settings(
            max_examples=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(forests())
        def check(parents: Parents) -> None:
            loop.run(compare(db, parents))

        check()
    finally:
        loop.run(db.close())


class TalkOut(BaseModel):
    """Leads to its speaker, who leads back."""

    code: str
    speaker: "SpeakerOut | None"


class SpeakerOut(BaseModel):
    """Declares where the loop ends."""

    name: str
    talks: Annotated[list[TalkOut], Depth(2)] = []


def names(shape: Shape) -> dict[str, Any]:
    """Return what a shape shows as plain names."""
    return {
        **dict.fromkeys(shape.columns, None),
        **{edge.name: names(edge.shape) for edge in shape.relations},
        **{cut.name: "default" for cut in shape.cuts},
    }


def test_one_declared_depth_ends_a_loop_of_several_models() -> None:
    """Counted by the model whose field declares it, wherever the loop is entered."""
    last = {"code": None, "speaker": {"name": None, "talks": "default"}}
    speaker = {"name": None, "talks": {"code": None, "speaker": {"name": None, "talks": last}}}
    assert names(shape_of(Speaker, SpeakerOut)) == speaker
    assert names(shape_of(Talk, TalkOut)) == {"code": None, "speaker": speaker}


@pytest.mark.db
async def test_a_loop_of_several_models_is_read(database: Database) -> None:
    """Every model in it is an instance of the declared one."""
    await database.create_all()
    async with database.transaction() as session:
        session.add(Speaker(id=1, name="s", talks=[Talk(code="b"), Talk(code="a")]))
    async with database.transaction() as session:
        with recording(database.engine.sync_engine) as events:
            speaker = await Speakers(session).get(1, into=SpeakerOut)
        printed = await Talks(session).get_json("a", into=TalkOut)
        talk = await Talks(session).get("a", into=TalkOut)
    assert type(speaker) is SpeakerOut
    (first, _) = speaker.talks
    assert first.speaker is not None
    assert (type(first), type(first.speaker), first.code) == (TalkOut, SpeakerOut, "a")
    last = first.speaker.talks[1].speaker
    assert last is not None
    assert (type(last), last.talks) == (SpeakerOut, [])
    assert printed == talk.model_dump_json().encode()
    assert len(events) == Plan.of(Speaker, SpeakerOut).statement_count() == 3


class PlainSpeaker(BaseModel):
    """A collection in no order of its own, with a text for its key."""

    talks: list["TalkCode"]


class TalkCode(BaseModel):
    """A leaf."""

    code: str


class SeenSpeaker(PlainSpeaker):
    """The same by table rows."""

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> Any:
        """Take rows of the table only."""
        assert isinstance(row, Speaker)
        return row


@pytest.mark.db
async def test_collections_have_the_databases_order(database: Database) -> None:
    """By the child's key where the relation declares none, also by table rows."""
    await database.create_all()
    codes = ["b", "ä", "a b", "Z", "_", "10", "9"]
    async with database.transaction() as session:
        session.add(Speaker(id=1, name="s"))
        await session.flush()
        session.add_all([Talk(code=code, speaker_id=1) for code in codes])
    async with database.transaction() as session:
        ordered = await session.exec(select(Talk.code).order_by(Talk.code))  # type: ignore[call-overload]
        expected = [row[0] for row in ordered]
        for response in (PlainSpeaker, SeenSpeaker):
            speaker = await Speakers(session).get(1, into=response)
            assert expected == [talk.code for talk in speaker.talks]
    assert Plan.of(Speaker, SeenSpeaker).path == "objects"


class NoDefault(BaseModel):
    """A depth without a default."""

    children: Annotated[list["NoDefault"], Depth(1)]


class NoLoop(BaseModel):
    """A depth where nothing leads back is harmless."""

    children: Annotated[list[TopicName], Depth(1)] = []


class Columned(BaseModel):
    """A depth on a column."""

    name: Annotated[str, Depth(1)] = ""


class Undecided(BaseModel):
    """Only one of two fields for one relation ends."""

    children: Annotated[list["Undecided"], Depth(1)] = []
    again: list[TopicName] = Field(validation_alias="children")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Depth(0), "Depth(0) shows nothing."),
        (
            lambda: shape_of(Topic, NoDefault),
            "NoDefault.children has a depth and needs a default, which is shown below it.",
        ),
        (
            lambda: shape_of(Topic, Columned),
            "Columned.name has a Depth and shows no relation.",
        ),
        (
            lambda: shape_of(Topic, Undecided),
            (
                "Undecided.children and Undecided.again are both read from 'children', "
                "and only one has a depth."
            ),
        ),
    ],
)
def test_a_depth_that_does_not_fit_is_refused(make: Callable[[], object], message: str) -> None:
    """When it is declared, or when the response is laid over its table."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.message == message
    assert caught.value.hint


def test_a_depth_without_a_loop_shows_everything() -> None:
    """There is nothing to end."""
    assert names(shape_of(Topic, NoLoop)) == {"children": {"id": None}}


class Empty(BaseModel):
    """The default is printed as it is."""

    id: int
    children: Annotated[list["Empty"], Depth(1)] = Field(
        default_factory=list, serialization_alias="below"
    )


class Spoken(BaseModel):
    """The default is not what is read when there are no rows."""

    id: int
    children: Annotated[list["Spoken"] | None, Depth(1)] = None


class Minded(BaseModel):
    """Its own code would refuse the default, and is not run for it."""

    id: int
    children: Annotated[list["Minded"], Depth(1)] = []

    @field_validator("children")
    @classmethod
    def look(cls, value: list[Any]) -> list[Any]:
        """Change what was read."""
        return [*value, *value]


@pytest.mark.parametrize(
    ("response", "printed"),
    [
        (Empty, b'{"id":1,"below":[{"id":2,"below":[]}]}'),
        (Spoken, b'{"id":1,"children":[{"id":2,"children":null}]}'),
        (Minded, b'{"id":1,"children":[{"id":2,"children":[]},{"id":2,"children":[]}]}'),
    ],
)
async def test_the_default_is_shown_at_the_last_level(
    response: type[BaseModel], printed: bytes, anyio_backend: str
) -> None:
    """Printed without making models where that is the same, and by models otherwise."""
    db = Database("sqlite+aiosqlite://")
    await db.create_all()
    await fill(db, {1: None, 2: 1})
    async with db.transaction() as session:
        assert printed == await Topics(session).get_json(1, into=response)
        assert (
            printed
            == (await Topics(session).get(1, into=response)).model_dump_json(by_alias=True).encode()
        )
    await db.close()
    assert (list(obstacles(Plan.of(Topic, response).shape)) == []) == (response is Empty)


def test_what_the_client_is_told_stays_the_same() -> None:
    """FastAPI describes the model as it would without a depth."""

    def described(annotation: Any) -> Any:
        app = FastAPI()
        app.get("/", response_model=create_model("Tree", children=(annotation, [])))(lambda: None)
        return app.openapi()

    assert described(list[TopicOut]) == described(Annotated[list[TopicOut], Depth(2)])


def test_the_explanation_says_where_it_ends() -> None:
    """Level by level."""
    assert Plan.of(Topic, Empty).explain() == (
        "Empty from Topic: 2 statement(s), path rows\n"
        "  Topic: id\n"
        "  children (one more statement):\n"
        "    Topic: id\n"
        "    children (not read at this depth: its default)"
    )
