"""Sessions: nothing is loaded behind your back, savepoints, and how errors are translated."""

from collections.abc import Callable

import pytest
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import defer
from sqlmodel import select

from sqlmodelkit import Database
from sqlmodelkit.errors import NotLoaded, UniqueViolation
from sqlmodelkit.sessions import translating
from tests.world import (
    Chapter,
    Genre,
    Volume,
    VolumeCreate,
    VolumeService,
    Writer,
    WriterService,
    add_volume,
    add_writer,
    create_world,
)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


def refused(read: Callable[[], object]) -> tuple[str | None, str | None]:
    """Say which model and field a read was refused for."""
    with pytest.raises(NotLoaded) as caught:
        read()
    assert caught.value.hint
    return caught.value.model, caught.value.field


async def test_a_relation_to_one_that_was_not_named_is_refused(world: Database) -> None:
    """The error names model and field, and how to ask for it."""
    await add_writer(world, volumes=1)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
        with pytest.raises(NotLoaded) as caught:
            _ = volume.writer
    assert ("Volume", "writer") == (caught.value.model, caught.value.field)
    assert 'load=["writer"]' in str(caught.value)


async def test_a_relation_is_refused_though_its_row_is_in_the_session(world: Database) -> None:
    """What happens to be in the session makes no difference."""
    key = await add_writer(world, volumes=1)
    async with world.session() as session:
        writer = await WriterService(session).get(key)
        volume = await VolumeService(session).get(1)
        assert ("Volume", "writer") == refused(lambda: volume.writer)
        assert ("Writer", "volumes") == refused(lambda: writer.volumes)


async def test_a_relation_with_a_null_foreign_key_is_refused_too(world: Database) -> None:
    """A mistake shows with the first row, not with the first row that has a writer."""
    await add_volume(world)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
        assert ("Volume", "writer") == refused(lambda: volume.writer)


async def test_a_collection_that_was_not_named_is_refused(world: Database) -> None:
    """To many, over a link table and along a foreign key."""
    await add_volume(world)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
        assert ("Volume", "chapters") == refused(lambda: volume.chapters)
        assert ("Volume", "genres") == refused(lambda: volume.genres)


async def test_rows_of_a_plain_statement_load_nothing_lazily(world: Database) -> None:
    """Also without a service."""
    await add_writer(world, volumes=1)
    async with world.session() as session:
        volume = (await session.exec(select(Volume))).one()
        assert ("Volume", "writer") == refused(lambda: volume.writer)
        assert ("Volume", "chapters") == refused(lambda: volume.chapters)


async def test_a_row_that_was_just_created_has_no_relations(world: Database) -> None:
    """Neither a parent by its key, nor an empty collection."""
    key = await add_writer(world)
    async with world.transaction() as session:
        volume = await VolumeService(session).create(VolumeCreate(title="New", writer_id=key))
        assert ("Volume", "writer") == refused(lambda: volume.writer)
        assert ("Volume", "chapters") == refused(lambda: volume.chapters)


async def test_a_created_row_has_no_relations_though_the_parent_is_here(world: Database) -> None:
    """What happens to be in the session makes no difference to a new row either."""
    key = await add_writer(world)
    async with world.transaction() as session:
        writer = await WriterService(session).get(key)
        volume = await VolumeService(session).create(VolumeCreate(title="New", writer_id=key))
        assert writer.id == volume.writer_id
        assert ("Volume", "writer") == refused(lambda: volume.writer)


async def test_a_flush_makes_no_relation_readable(world: Database) -> None:
    """After a change the columns are current, and relations as before."""
    await add_writer(world, volumes=1)
    async with world.transaction() as session:
        volume = await VolumeService(session).get(1)
        before = volume.updated_at
        volume.title = "Changed"
        await session.flush()
        assert (2, True) == (volume.version, volume.updated_at >= before)
        assert ("Volume", "writer") == refused(lambda: volume.writer)


async def test_a_deferred_column_is_refused_by_name(world: Database) -> None:
    """A column that the statement left out is not fetched in passing."""
    await add_volume(world)
    async with world.session() as session:
        statement = select(Volume).options(defer(Volume.isbn))  # type: ignore[arg-type]
        volume = (await session.exec(statement)).one()
        assert ("Volume", "isbn") == refused(lambda: volume.isbn)
        await session.refresh(volume, ["isbn"])
        assert volume.isbn is None


async def test_an_expired_column_is_refused_until_the_row_is_refreshed(world: Database) -> None:
    """`refresh` is how to ask for it."""
    await add_volume(world)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
        session.expire(volume)
        assert "Volume" == refused(lambda: volume.title)[0]
        await session.refresh(volume)
        assert "Dune" == volume.title
        assert ("Volume", "writer") == refused(lambda: volume.writer)


async def test_refresh_loads_a_relation_that_is_named(world: Database) -> None:
    """Asking by name is asking."""
    await add_writer(world, volumes=1)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
        await session.refresh(volume, ["writer", "chapters"])
        assert volume.writer is not None
        assert ["One", "Two"] == [chapter.title for chapter in volume.chapters]


async def test_load_gives_exactly_what_it_names(world: Database) -> None:
    """The rest stays blocked, at every depth."""
    await add_writer(world, volumes=1)
    async with world.session() as session:
        volume = await VolumeService(session).get(1, load=["writer", "chapters"])
        writer = volume.writer
        assert writer is not None
        assert "Ann" == writer.name
        assert [1, 2] == [chapter.number for chapter in volume.chapters]
        assert ("Volume", "genres") == refused(lambda: volume.genres)
        assert ("Writer", "volumes") == refused(lambda: writer.volumes)
        assert ("Chapter", "volume") == refused(lambda: volume.chapters[0].volume)


async def test_load_goes_along_a_dotted_path(world: Database) -> None:
    """The relations between are loaded too."""
    key = await add_writer(world, volumes=2)
    async with world.session() as session:
        writer = await WriterService(session).get(key, load=["volumes.chapters"])
        chapters = [len(volume.chapters) for volume in writer.volumes]
    assert [2, 2] == chapters


async def test_load_adds_to_a_row_that_is_already_here(world: Database) -> None:
    """Reading again with `load=` gives the same row, with the relation."""
    await add_writer(world, volumes=1)
    async with world.session() as session:
        volumes = VolumeService(session)
        first = await volumes.get(1)
        again = await volumes.get(1, load=["writer", "chapters"])
        assert first is again
        assert again.writer is not None
        assert 2 == len(again.chapters)


async def test_what_was_loaded_can_be_read_after_the_unit_of_work(world: Database) -> None:
    """A commit expires nothing."""
    await add_writer(world, volumes=1)
    async with world.transaction() as session:
        volume = await VolumeService(session).get(1, load=["chapters"])
        volume.title = "Changed"
    assert ("Changed", 2, 2) == (volume.title, volume.version, len(volume.chapters))


async def test_a_late_read_is_told_as_not_loaded(world: Database) -> None:
    """After its unit of work a row cannot load, and the translated error says so."""
    await add_volume(world)
    async with world.session() as session:
        volume = await VolumeService(session).get(1)
    with pytest.raises(NotLoaded), translating():
        _ = volume.chapters


async def test_a_savepoint_undoes_only_its_own_block(world: Database) -> None:
    """The unit of work goes on after a refused statement."""
    async with world.transaction() as session:
        session.add(Genre(name="Poetry"))
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                session.add_all([Genre(name="Essay"), Genre(name="Poetry")])
        assert ("Genre", ("name",)) == (caught.value.model, caught.value.fields)
        session.add(Genre(name="Drama"))
    async with world.session() as session:
        names = (await session.exec(select(Genre.name).order_by(Genre.name))).all()
    assert ["Drama", "Poetry"] == list(names)


async def test_savepoints_nest(world: Database) -> None:
    """An inner one may fail while the outer one stays."""
    async with world.transaction() as session, session.savepoint():
        session.add(Genre(name="Outer"))
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the inner block raises
            async with session.savepoint():
                session.add(Genre(name="Inner"))
                await session.flush()
                raise ZeroDivisionError
    async with world.session() as session:
        assert ["Outer"] == list((await session.exec(select(Genre.name))).all())


async def test_a_savepoint_flushes_what_was_added_in_it(world: Database) -> None:
    """The refusal comes at the end of the block, not at the commit."""
    async with world.transaction() as session:
        with pytest.raises(UniqueViolation):
            async with session.savepoint():
                session.add_all([Genre(name="Same"), Genre(name="Same")])
        assert 0 == (await session.exec(select(func.count()).select_from(Genre))).one()


async def test_inside_the_block_errors_are_sqlalchemy_s_own(world: Database) -> None:
    """Code that knows SQLAlchemy keeps working."""
    async with world.transaction() as session:
        session.add_all([Genre(name="Same"), Genre(name="Same")])
        with pytest.raises(IntegrityError):
            await session.flush()
        await session.rollback()


async def test_an_error_is_chained_to_the_original(world: Database) -> None:
    """Nothing that the driver said is lost."""
    with pytest.raises(UniqueViolation) as caught:
        async with world.transaction() as session:
            session.add_all([Genre(name="Same"), Genre(name="Same")])
    assert isinstance(caught.value.__cause__, IntegrityError)


async def test_errors_that_are_not_the_database_s_are_left_alone() -> None:
    """Unknown errors, and those that are ours already, pass as they are."""
    for error in (ZeroDivisionError("no"), NotLoaded("yes"), StatementError("x", "", None, None)):
        with pytest.raises(type(error)) as caught, translating():
            raise error
        assert error is caught.value
        assert caught.value.__cause__ is None


async def test_removing_an_object_lets_the_database_cascade(world: Database) -> None:
    """`session.delete` needs no relation in memory."""
    await add_writer(world, volumes=1)
    async with world.transaction() as session:
        await session.delete(await VolumeService(session).get(1))
    async with world.session() as session:
        assert [] == (await session.exec(select(Chapter))).all()
        assert 1 == len((await session.exec(select(Writer))).all())
