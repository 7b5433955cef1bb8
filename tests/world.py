"""A small world of writers and volumes, for the tests that need a database.

Every table's name starts with `w_`. Start at `Volume`: it has a relation of each kind, soft
delete, a version and time stamps.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Table, text
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import (
    AsyncSession,
    Database,
    IntKey,
    ServiceBase,
    SoftDelete,
    Timestamps,
    UUIDKey,
    Version,
)
from sqlmodelkit.events import Hook


class State(Enum):
    """Where a volume stands."""

    DRAFT = "draft"
    PRINTED = "printed"


class WriterBase(SQLModel):
    """What clients may give and see of a writer."""

    name: str = Field(max_length=60)
    email: str | None = Field(default=None, max_length=80, unique=True)
    motto: str | None = Field(default="Write.", max_length=80)


class Writer(WriterBase, UUIDKey, Timestamps, table=True):
    """A UUID key, a nullable column with a default, a secret, and a collection."""

    __tablename__ = "w_writer"  # pyright: ignore[reportAssignmentType]

    secret: str = Field(default="canary", max_length=40)
    volumes: list["Volume"] = Relationship(back_populates="writer")

    @property
    def initial(self) -> str:
        """Made in Python, so that whole rows must be read for it."""
        return self.name[0]


class VolumeGenre(SQLModel, table=True):
    """A link without columns of its own."""

    __tablename__ = "w_volume_genre"  # pyright: ignore[reportAssignmentType]

    volume_id: int = Field(foreign_key="w_volume.id", ondelete="CASCADE", primary_key=True)
    genre_id: int = Field(foreign_key="w_genre.id", ondelete="CASCADE", primary_key=True)


class VolumeBase(SQLModel):
    """What clients may give and see of a volume."""

    title: str = Field(max_length=40)
    isbn: str | None = Field(default=None, max_length=20, unique=True)
    price: Decimal = Field(default=Decimal(10), max_digits=8, decimal_places=2)
    state: State = State.DRAFT
    stars: int | None = 3
    weight: float | None = None
    shelf: int = Field(default=0, sa_type=BigInteger)
    printed_at: datetime | None = None
    writer_id: UUID | None = Field(default=None, foreign_key="w_writer.id")


class Volume(VolumeBase, IntKey, Timestamps, SoftDelete, Version, table=True):
    """An integer key, every mixin, and a relation of each kind."""

    __tablename__ = "w_volume"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (CheckConstraint("price >= 0", name="price_not_negative"),)

    writer: Writer | None = Relationship(back_populates="volumes")
    chapters: list["Chapter"] = Relationship(
        back_populates="volume", cascade_delete=True, passive_deletes=True
    )
    genres: list["Genre"] = Relationship(back_populates="volumes", link_model=VolumeGenre)


class Chapter(SQLModel, table=True):
    """A composite key; it goes when its volume goes."""

    __tablename__ = "w_chapter"  # pyright: ignore[reportAssignmentType]

    volume_id: int = Field(foreign_key="w_volume.id", ondelete="CASCADE", primary_key=True)
    number: int = Field(primary_key=True)
    title: str = Field(default="", max_length=40)
    volume: Volume = Relationship(back_populates="chapters")


class Genre(IntKey, table=True):
    """Joined to volumes by a link table."""

    __tablename__ = "w_genre"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=40, unique=True)
    volumes: list[Volume] = Relationship(back_populates="genres", link_model=VolumeGenre)


class WriterCreate(WriterBase):
    """What `POST` takes."""


class WriterUpdate(SQLModel):
    """What `PATCH` takes."""

    name: str | None = Field(default=None, max_length=60)
    email: str | None = None
    motto: str | None = None


class WriterPublic(WriterBase):
    """What is answered: not every column."""

    id: UUID


class WriterWithVolumes(WriterPublic):
    """A writer with volumes, each of them with chapters."""

    volumes: list["VolumeWithChapters"]


class WriterCard(WriterWithVolumes):
    """Shows a property, so that objects are read for it."""

    initial: str


class VolumeCreate(VolumeBase):
    """What `POST` takes."""


class VolumeUpdate(SQLModel):
    """What `PATCH` takes."""

    title: str | None = Field(default=None, max_length=40)
    isbn: str | None = None
    price: Decimal | None = None
    stars: int | None = None
    writer_id: UUID | None = None


class VolumePublic(VolumeBase):
    """A volume by its own columns."""

    id: int


class ChapterCreate(SQLModel):
    """What `POST` takes: the key is the client's."""

    volume_id: int
    number: int
    title: str = ""


class ChapterUpdate(SQLModel):
    """What `PATCH` takes: never the key."""

    title: str | None = Field(default=None, max_length=40)


class ChapterPublic(ChapterCreate):
    """What is answered."""


class VolumeWithChapters(VolumePublic):
    """A volume with its chapters."""

    chapters: list[ChapterPublic]


class GenrePublic(SQLModel):
    """What is answered."""

    name: str


class VolumeDetail(VolumeWithChapters):
    """A volume with everything around it."""

    writer: WriterPublic | None
    genres: list[GenrePublic]


class WriterService(ServiceBase[Writer, WriterCreate, WriterUpdate]):
    """Writers: deleted for good."""

    public = WriterPublic


class VolumeService(ServiceBase[Volume, VolumeCreate, VolumeUpdate]):
    """Volumes: deleted softly."""

    public = VolumePublic


class ChapterService(ServiceBase[Chapter, ChapterCreate, ChapterUpdate]):
    """Chapters: a key of two parts."""

    public = ChapterPublic


WriterWithVolumes.model_rebuild()
WriterCard.model_rebuild()

TABLES: list[Table] = [
    table for table in SQLModel.metadata.sorted_tables if table.name.startswith("w_")
]


async def create_world(database: Database) -> Database:
    """Create the tables of this module, and no others, in the database that is returned."""
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=TABLES)
    return database


async def add_writer(database: Database, name: str = "Ann", volumes: int = 0) -> UUID:
    """Store a writer with volumes of two chapters each, and return its key."""
    writer = Writer(name=name)
    async with database.transaction() as session:
        session.add(writer)
        for number in range(1, volumes + 1):
            volume = Volume(title=f"{name} {number}", price=Decimal(number), writer=writer)
            session.add(volume)
            await session.flush()
            titles = enumerate(("One", "Two"), start=1)
            session.add_all(
                [Chapter(volume_id=volume.id or 0, number=n, title=title) for n, title in titles]
            )
    return writer.id


async def add_volume(database: Database, title: str = "Dune", **values: Any) -> int:
    """Store a volume and return its key."""
    volume = Volume(title=title, **values)
    async with database.transaction() as session:
        session.add(volume)
    assert volume.id is not None
    return volume.id


def is_sqlite(database: Database) -> bool:
    """Tell whether this is SQLite."""
    return database.engine.dialect.name == "sqlite"


def is_postgresql(database: Database) -> bool:
    """Tell whether this is PostgreSQL."""
    return database.engine.dialect.name == "postgresql"


def is_mariadb(database: Database) -> bool:
    """Tell whether this is MariaDB."""
    return database.engine.dialect.name in ("mysql", "mariadb")


@asynccontextmanager
async def like(
    database: Database, *, hooks: Sequence[Hook] = (), **settings: Any
) -> AsyncIterator[Database]:
    """Open the same database once more, with other settings."""
    other = Database(settings=database.settings.model_copy(update=settings), hooks=hooks)
    try:
        yield other
    finally:
        await other.close()


async def make_commit_fail(database: Database) -> None:
    """Prepare the tables for `fail_at_commit`."""
    if is_postgresql(database):
        async with database.engine.begin() as connection:
            await connection.execute(
                text(
                    "ALTER TABLE w_volume ALTER CONSTRAINT fk_w_volume_writer_id_w_writer "
                    "DEFERRABLE INITIALLY DEFERRED"
                )
            )


async def fail_at_commit(database: Database, session: AsyncSession) -> None:
    """Do something that is refused at the commit, and not before.

    MariaDB has no deferred constraints: there the connection is killed, by another one.
    """
    if is_mariadb(database):
        await session.flush()
        connection = await session.connection()
        number = (await connection.execute(text("SELECT connection_id()"))).scalar_one()
        async with database.engine.connect() as other:
            await other.execute(text(f"KILL {number}"))
        return
    if is_sqlite(database):
        await (await session.connection()).execute(text("PRAGMA defer_foreign_keys = ON"))
    session.add(Volume(title="Orphan", writer_id=UUID(int=1)))
    await session.flush()
