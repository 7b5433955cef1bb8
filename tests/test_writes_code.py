"""Code of the application in the way of a write: it is run, whichever way the row is written."""

from typing import Any, ClassVar

import pytest
from pydantic import field_validator
from sqlalchemy import Column, Integer, event, func
from sqlalchemy.orm import Mapper, validates
from sqlmodel import Field, SQLModel, select

from sqlmodelkit import Database, IntKey, ServiceBase
from sqlmodelkit.errors import UniqueViolation
from tests.test_writes import Workshop, changed, made
from tests.world import (
    Genre,
    Volume,
    VolumeCreate,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    add_volume,
    create_world,
)


class Listened(IntKey, Workshop, table=True):
    """Mapper events set a value."""

    __tablename__ = "wr_listened"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None


class Checked(IntKey, Workshop, table=True):
    """A validator of SQLAlchemy's refuses a value."""

    __tablename__ = "wr_checked"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None

    @validates("name")
    def note(self, key: str, value: str) -> str:
        """Refuse a name (SQLModel drops what a validator would put in its place)."""
        if value == "no":
            raise ValueError(f"{key} must not be {value}")
        return value


class Watched(IntKey, Workshop, table=True):
    """An attribute is listened to."""

    __tablename__ = "wr_watched"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None


class Built(IntKey, Workshop, table=True):
    """Its own way to be made."""

    __tablename__ = "wr_built"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None

    def __init__(self, **values: Any) -> None:
        super().__init__(**{**values, "made": "built"})


class Posted(IntKey, Workshop, table=True):
    """Code of Pydantic's that runs as it is made."""

    __tablename__ = "wr_posted"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None

    def model_post_init(self, context: Any) -> None:
        """Set what nobody gave."""
        self.made = "posted"


class Begun(IntKey, Workshop, table=True):
    """An instance event sets a value."""

    __tablename__ = "wr_begun"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: str | None = None


@event.listens_for(Begun, "init")
def _begin(target: Begun, args: Any, values: dict[str, Any]) -> None:
    values["made"] = "begun"


@event.listens_for(Listened, "before_insert")
def _insert(mapper: Mapper[Any], connection: Any, target: Listened) -> None:
    target.made = "inserted"


@event.listens_for(Listened, "before_update")
def _update(mapper: Mapper[Any], connection: Any, target: Listened) -> None:
    target.made = "updated"


_COUNT: Column[int] = Column("made", Integer, nullable=False)


class Counted(IntKey, Workshop, table=True):
    """A version of its own making."""

    __tablename__ = "wr_counted"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    made: int | None = Field(default=None, sa_column=_COUNT)
    __mapper_args__: ClassVar[dict[str, Any]] = {"version_id_col": _COUNT}


class Named(SQLModel):
    """Input of all of these."""

    name: str | None = None


class Shown(SQLModel):
    """What is answered of them."""

    id: int
    name: str
    made: str | None


class ShownCount(Shown):
    """The same, of versions."""

    made: int  # type: ignore[assignment]


def service_of(table: type[Any]) -> type[ServiceBase[Any, Any, Any]]:
    """Return a service of one of the odd tables."""

    class Service(ServiceBase[table, Named, Named]):  # type: ignore[valid-type]
        """Of any of them."""

        public = ShownCount if table is Counted else Shown

    return Service


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py and of this module."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Workshop.metadata.create_all)
    return await create_world(database)


@pytest.mark.parametrize(
    ("table", "first", "second"),
    [
        (Listened, "inserted", "updated"),
        (Built, "built", "built"),
        (Posted, "posted", "posted"),
        (Begun, "begun", "begun"),
        (Counted, 1, 2),
    ],
)
async def test_code_of_a_table_runs_for_every_write(
    world: Database, table: type[Any], first: Any, second: Any
) -> None:
    """Events of mappers and instances, validators, `__init__`, versions: all by the session."""
    service = service_of(table)
    for alone in (True, False):
        row = await made(world, service, Named(name="A"), alone=alone)
        assert (first, "A") == (row.made, row.name)
        row = await changed(world, service, row.id, Named(name="B"), alone=alone)
        assert (second, "B") == (row.made, row.name)


async def test_validators_of_a_table_are_asked(world: Database) -> None:
    """Whatever the way, what they refuse is not written."""
    service = service_of(Checked)
    row = await made(world, service, Named(name="yes"), alone=True)
    for alone in (True, False):
        with pytest.raises(ValueError, match="name must not be no"):
            await made(world, service, Named(name="no"), alone=alone)
        with pytest.raises(ValueError, match="name must not be no"):
            await changed(world, service, row.id, Named(name="no"), alone=alone)


async def test_a_listener_of_all_mappers_hears_of_every_row(world: Database) -> None:
    """Also one that came after rows had been written by one statement."""
    heard: list[str] = []

    def hear(mapper: Any, connection: Any, target: Any) -> None:
        heard.append(type(target).__name__)

    await made(world, VolumeService, VolumeCreate(title="a"), alone=True)
    event.listen(Mapper, "after_insert", hear)
    try:
        await made(world, VolumeService, VolumeCreate(title="b"), alone=True)
    finally:
        event.remove(Mapper, "after_insert", hear)
    await made(world, VolumeService, VolumeCreate(title="c"), alone=True)
    assert ["Volume"] == heard


async def test_a_listener_of_an_attribute_hears_of_every_value(world: Database) -> None:
    """`set` events too need an object."""
    heard: list[Any] = []

    def hear(target: Any, value: Any, before: Any, initiator: Any) -> None:
        heard.append(value)

    event.listen(Watched.name, "set", hear)
    row = await made(world, service_of(Watched), Named(name="A"), alone=True)
    await changed(world, service_of(Watched), row.id, Named(name="B"), alone=True)
    assert ["A", "B"] == heard


class Hooked(VolumeService):
    """Reads and writes in its hooks."""

    async def create_values(self, data: VolumeCreate) -> dict[str, Any]:
        """Note who came, and count those before."""
        self.session.add(Genre(name=f"by {data.title}"))
        number = (await self.session.exec(select(func.count()).select_from(Volume))).one()
        return await super().create_values(data) | {"stars": number}

    async def update_values(self, data: VolumeUpdate) -> dict[str, Any]:
        """Note what was changed."""
        self.session.add(Genre(name=f"change to {data.title}"))
        return await super().update_values(data)


async def test_hooks_that_use_the_session_are_in_the_same_transaction(world: Database) -> None:
    """What they write is there when the row is, and goes when it goes."""
    answer = b""
    for title in ("a", "b"):
        async with world.unit() as unit:
            data = VolumeCreate(title=title, isbn=title)
            answer = await Hooked(unit).create_json(data, into=VolumePublic, last=True)
    assert b'"stars":1' in answer
    with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            data = VolumeCreate(title="c", isbn="a")
            await Hooked(unit).create_json(data, into=VolumePublic, last=True)
    with pytest.raises(UniqueViolation):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            update = VolumeUpdate(title="d", isbn="b")
            await Hooked(unit).update_json(1, update, into=VolumePublic, last=True)
    async with world.unit() as unit:
        await Hooked(unit).update_json(1, VolumeUpdate(title="e"), into=VolumePublic, last=True)
    async with world.session() as session:
        names = (await session.exec(select(Genre.name).order_by(Genre.name))).all()
    assert ["by a", "by b", "change to e"] == list(names)


class Overridden(VolumeService):
    """Does it in its own way."""

    async def create(self, data: VolumeCreate, *, into: Any = None) -> Any:
        """Add something to the title."""
        given = data.model_copy(update={"title": f"{data.title}!"})
        return await super().create(given, into=into)

    async def update(
        self, key: Any, data: VolumeUpdate, *, into: Any = None, version: int | None = None
    ) -> Any:
        """Add something to the title."""
        given = data.model_copy(update={"title": f"{data.title}?"})
        return await super().update(key, given, into=into, version=version)


async def test_verbs_that_a_service_overrides_are_called(world: Database) -> None:
    """By the JSON verbs too."""
    async with world.unit() as unit:
        data = VolumeCreate(title="a")
        answer = await Overridden(unit).create_json(data, into=VolumePublic, last=True)
    assert b'"title":"a!"' in answer
    async with world.unit() as unit:
        update = VolumeUpdate(title="b")
        answer = await Overridden(unit).update_json(1, update, into=VolumePublic, last=True)
    assert b'"title":"b?"' in answer


class Strict(VolumePublic):
    """Refuses to be shown with a certain title."""

    @field_validator("title")
    @classmethod
    def refuse(cls, value: str) -> str:
        """Do not show what is not to be seen."""
        if value == "hidden":
            raise ValueError(value)
        return value


async def test_a_row_whose_answer_cannot_be_made_is_not_kept(world: Database) -> None:
    """A client that is answered an error may send it again."""
    with pytest.raises(ValueError, match="hidden"):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            data = VolumeCreate(title="hidden")
            await VolumeService(unit).create_json(data, into=Strict, last=True)
    key = await add_volume(world)
    with pytest.raises(ValueError, match="hidden"):  # noqa: PT012 - leaving the block raises
        async with world.unit() as unit:
            update = VolumeUpdate(title="hidden")
            await VolumeService(unit).update_json(key, update, into=Strict, last=True)
    async with world.session() as session:
        assert ["Dune"] == [volume.title for volume in await VolumeService(session).all()]
