"""A row and its children, created in one call."""

from decimal import Decimal
from functools import cached_property

import pytest
from pydantic import field_serializer
from sqlmodel import Field, SQLModel

from sqlmodelkit import Database, Scope, ServiceBase
from sqlmodelkit.errors import ConfigError, InvalidValue, UniqueViolation
from sqlmodelkit.events import recording
from sqlmodelkit.nesting import nested, set_values, unknown_fields, values_of
from tests.firms import Firm, Side, create_firms
from tests.world import (
    ChapterService,
    Genre,
    Volume,
    VolumeService,
    VolumeUpdate,
    Writer,
    WriterService,
    WriterUpdate,
    WriterWithVolumes,
    create_world,
    is_sqlite,
)


class ChapterNew(SQLModel):
    """A chapter, whose volume is the one that it comes with."""

    number: int
    title: str = ""


class GenreNew(SQLModel):
    """A genre."""

    name: str = Field(max_length=40)


class VolumeNew(SQLModel):
    """A volume with its chapters and genres."""

    title: str
    isbn: str | None = None
    stars: int | None = 3
    price: Decimal = Decimal(10)
    chapters: list[ChapterNew] = []
    genres: list[GenreNew] | None = None


class WriterNew(SQLModel):
    """A writer with volumes."""

    name: str
    volumes: list[VolumeNew] = []


class NewWriterService(ServiceBase[Writer, WriterNew, WriterUpdate]):
    """Writers."""


class NewVolumeService(ServiceBase[Volume, VolumeNew, VolumeUpdate]):
    """Volumes."""


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


def writer(volumes: int) -> WriterNew:
    """Return a writer with volumes of two chapters and a genre each."""
    return WriterNew(
        name="Ann",
        volumes=[
            VolumeNew(
                title=f"v{n}",
                stars=None if n == 0 else n,
                chapters=[ChapterNew(number=1, title="One"), ChapterNew(number=2)],
                genres=[GenreNew(name=f"g{n}")],
            )
            for n in range(volumes)
        ],
    )


async def test_a_row_is_created_with_its_children(world: Database) -> None:
    """At every depth, with keys set, by a statement for each table; NULL is NULL."""
    async with world.transaction() as session:
        await session.connection()
        with recording(world.engine.sync_engine) as seen:
            made = await NewWriterService(session).create(writer(5))
        tables = {event.statement.split()[2] for event in seen}
        # SQLite cannot say which of several new keys is whose, so that these go one by one.
        most = 17 if is_sqlite(world) else 7
        assert len(tables) == 5
        assert len(seen) <= most, [event.statement for event in seen]
        assert [made.id] * 5 == [volume.writer_id for volume in made.volumes]
        assert [1, 2] == [chapter.number for chapter in made.volumes[4].chapters]
    async with world.session() as session:
        shown = await WriterService(session).get(made.id, into=WriterWithVolumes)
        volumes = sorted(shown.volumes, key=lambda volume: volume.title)
        assert [None, 1, 2, 3, 4] == [volume.stars for volume in volumes]
        assert ["One", ""] == [chapter.title for chapter in volumes[0].chapters]
        assert 1 == await VolumeService(session).count(genres__name="g3")


async def test_children_come_with_every_way_to_create(world: Database) -> None:
    """With a response model, as JSON, and many at once."""
    async with world.transaction() as session:
        writers = NewWriterService(session)
        shown = await writers.create(writer(1), into=WriterWithVolumes)
        assert ["v0"] == [volume.title for volume in shown.volumes]
    async with world.unit() as unit:
        data = VolumeNew(title="x", chapters=[ChapterNew(number=7)])
        json = await NewVolumeService(unit).create_json(data, into=VolumeNew, last=True)
        assert b'"number":7' in json
    async with world.transaction() as session:
        many = [VolumeNew(title="a", chapters=[ChapterNew(number=1)]), VolumeNew(title="b")]
        rows = await NewVolumeService(session).create_many(many)
        assert [1, 0] == [len(row.chapters) for row in rows]
        with pytest.raises(ConfigError):
            await NewVolumeService(session).insert_many(many)


async def test_all_or_none_of_a_family_is_stored(world: Database) -> None:
    """A child that is refused refuses its parent."""
    twice = [VolumeNew(title="a", isbn="1"), VolumeNew(title="b", isbn="1")]
    long = [VolumeNew(title="x" * 41)]
    async with world.transaction() as session:
        writers = NewWriterService(session)
        with pytest.raises(UniqueViolation):
            async with session.savepoint():
                await writers.create(WriterNew(name="Ann", volumes=twice))
        with pytest.raises(InvalidValue) as caught:
            await writers.create(WriterNew(name="Ann", volumes=long))
        assert ("Volume", ("title",)) == (caught.value.model, caught.value.fields)
        assert 0 == await writers.count()
        assert 0 == await ChapterService(session).count()


class ProjectNew(SQLModel):
    """A project of a firm."""

    code: str
    name: str


class FirmNew(SQLModel):
    """A firm with its projects."""

    name: str
    projects: list[ProjectNew] = []


class NewFirmService(ServiceBase[Firm, FirmNew, FirmNew]):
    """Firms."""


async def test_children_have_the_scope_of_their_parent(database: Database) -> None:
    """The relation sets the firm of each project."""
    ours: Side = (await create_firms(database))[0]
    everywhere = Scope(leaving=["firm", "member"])
    async with database.transaction(scope=everywhere) as session:
        data = FirmNew(name="new", projects=[ProjectNew(code="1", name="one")])
        firm = await NewFirmService(session).create(data)
        assert [firm.id] == [project.firm_id for project in firm.projects]
        assert firm.id != ours.firm


def test_only_lists_of_input_models_are_children() -> None:
    """A field for something else has neither column nor relation, at any depth."""

    class Bad(SQLModel):
        number: int
        nothing: int = 0

    class VolumeBad(SQLModel):
        title: str
        chapters: list[Bad] = []
        writer: ChapterNew | None = None
        genres: list[Genre] = []

    assert {"chapters": Bad} == nested(Volume, VolumeBad)
    assert ["writer", "genres", "chapters.nothing"] == unknown_fields(Volume, VolumeBad)
    NewWriterService.check()

    class Broken(ServiceBase[Volume, VolumeBad, VolumeUpdate]):
        pass

    with pytest.raises(ConfigError, match=r"chapters\.nothing"):
        Broken.check()


class Plain(SQLModel):
    """An input model of scalars, with something that is no field."""

    name: str = "Poetry"
    note: str | None = None

    @cached_property
    def length(self) -> int:
        """Kept beside the fields."""
        return len(self.name)


class Repeated(Plain):
    """Its field is asked for twice, and stored once."""

    again: str = Field(default="", exclude=True)


class Upper(Plain):
    """What it dumps is not what it has."""

    @field_serializer("name")
    def _upper(self, name: str) -> str:
        return name.upper()


@pytest.mark.parametrize(
    "data",
    [
        Plain(name="Prose", note=None),
        Plain(),
        Plain.model_construct(name="Prose"),
        Repeated(name="Prose", again="Prose"),
        Upper(name="Prose"),
        Genre(name="Prose"),
    ],
    ids=lambda data: type(data).__name__,
)
def test_values_are_what_the_model_dumps(data: SQLModel) -> None:
    """Whichever way they are taken; what a model keeps beside its fields is no value."""
    if isinstance(data, Plain):
        assert data.length == len(data.name)
    dumped, given = data.model_dump(), data.model_fields_set
    expected = {name: v for name, v in dumped.items() if name in given or v is not None}
    assert expected == values_of(Genre, data)
    assert data.model_dump(exclude_unset=True) == set_values(data)


class RepeatedService(ServiceBase[Genre, Repeated, Repeated]):
    """Takes a field that is not stored."""


async def test_what_is_excluded_is_not_stored(world: Database) -> None:
    """Of one row and of many."""
    async with world.transaction() as session:
        genres = RepeatedService(session)
        await genres.create(Repeated(name="One", again="One"))
        await genres.insert_many([Repeated(name="Two", again="Two")])
        assert 2 == await genres.count(name__in=["One", "Two"])
