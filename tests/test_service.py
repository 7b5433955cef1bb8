"""Writing verbs: create, update, delete and restore, and what the database refuses of them."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from sqlmodelkit import Database, events
from sqlmodelkit.errors import (
    CheckViolation,
    ConfigError,
    ForeignKeyViolation,
    InvalidValue,
    NotFound,
    StaleVersion,
    UniqueViolation,
)
from tests.world import (
    ChapterCreate,
    ChapterService,
    ChapterUpdate,
    State,
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterUpdate,
    add_volume,
    add_writer,
    create_world,
)


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def stored(database: Database, key: int) -> Volume:
    """Return a volume as the next unit of work sees it."""
    async with database.session() as session:
        return await VolumeService(session).get(key, include_deleted=True)


async def test_create_answers_key_and_defaults(world: Database) -> None:
    """What Python and the database set is there at once, without another read."""
    async with world.transaction() as session:
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            volume = await VolumeService(session).create(VolumeCreate(title="Dune"))
            assert (1, 1, 3, State.DRAFT) == (volume.id, volume.version, volume.stars, volume.state)
            assert volume.created_at == volume.updated_at
            assert volume.deleted_at is None
    assert len(seen) <= 2
    assert "Dune" == (await stored(world, 1)).title


async def test_create_into_answers_the_response_model(world: Database) -> None:
    """With relations, read after the write."""
    key = await add_writer(world)
    async with world.transaction() as session:
        data = VolumeCreate(title="Dune", writer_id=key)
        shown = await VolumeService(session).create(data, into=VolumeDetail)
    assert shown.writer is not None
    assert ("Dune", "Ann", []) == (shown.title, shown.writer.name, shown.chapters)


async def test_an_explicit_none_is_stored_as_null(world: Database) -> None:
    """Though the column has a default, which only what is left out gets."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        none = await volumes.create(VolumeCreate(title="None", stars=None))
        left_out = await volumes.create(VolumeCreate(title="Left out"))
        assert (None, 3) == (none.stars, left_out.stars)
        many = await volumes.create_many(
            [
                VolumeCreate(title="a", stars=None),
                VolumeCreate(title="b"),
                VolumeCreate(title="c", stars=5),
            ]
        )
        assert [None, 3, 5] == [volume.stars for volume in many]
    assert [None, 3, None, 3, 5] == [(await stored(world, key)).stars for key in range(1, 6)]


async def test_create_many_keeps_the_order_given(world: Database) -> None:
    """Rows and response models."""
    titles = [f"{number:03}" for number in range(120)]
    async with world.transaction() as session:
        volumes = VolumeService(session)
        rows = await volumes.create_many(VolumeCreate(title=title) for title in titles)
        assert titles == [row.title for row in rows]
        shown = await volumes.create_many(
            [VolumeCreate(title="x"), VolumeCreate(title="w")], into=VolumePublic
        )
        assert ["x", "w"] == [item.title for item in shown]
        assert [] == await volumes.create_many([])


async def test_create_many_keeps_all_or_none(world: Database) -> None:
    """The third is refused, so the first is not there either."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                await volumes.create_many(
                    [VolumeCreate(title=str(n), isbn=isbn) for n, isbn in enumerate("aba")]
                )
        assert 0 == await volumes.count()
    assert ("Volume", ("isbn",)) == (caught.value.model, caught.value.fields)


async def test_a_second_row_of_a_unique_value_is_named(world: Database) -> None:
    """Model, field and constraint, and no value."""
    async with world.transaction() as session:
        writers = WriterService(session)
        await writers.create(WriterCreate(name="Ann", email="a@b.example"))
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                await writers.create(WriterCreate(name="Bea", email="a@b.example"))
    assert ("Writer", ("email",)) == (caught.value.model, caught.value.fields)
    assert "a@b.example" not in str(caught.value)


async def test_a_missing_parent_is_named(world: Database) -> None:
    """The field refers to nothing."""
    with pytest.raises(ForeignKeyViolation) as caught:
        async with world.transaction() as session:
            await VolumeService(session).create(VolumeCreate(title="x", writer_id=uuid4()))
    error = caught.value
    assert ("Volume", ("writer_id",), True) == (error.model, error.fields, error.missing)


async def test_a_broken_check_is_named(world: Database) -> None:
    """By its constraint, and the field in it."""
    with pytest.raises(CheckViolation) as caught:
        async with world.transaction() as session:
            await VolumeService(session).create(VolumeCreate(title="x", price=Decimal(-1)))
    error = caught.value
    assert ("Volume", ("price",)) == (error.model, error.fields)
    assert "ck_w_volume_price_not_negative" == error.constraint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "x" * 41),
        ("title", "a\x00b"),
        ("title", "\ud800"),
        ("shelf", 2**63),
        ("stars", 2**31),
        ("stars", -(2**31) - 1),
        ("state", None),
    ],
)
async def test_a_value_that_does_not_fit_is_named(world: Database, field: str, value: Any) -> None:
    """Before it is sent, on every engine alike, in create and in update."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        create = VolumeCreate.model_construct(
            _fields_set={"title", field}, **{"title": "x", field: value}
        )
        with pytest.raises(InvalidValue) as caught:
            await volumes.create(create)
        assert ("Volume", (field,)) == (caught.value.model, caught.value.fields)
        update = VolumeUpdate.model_construct(_fields_set={field}, **{field: value})
        if field in VolumeUpdate.model_fields:
            with pytest.raises(InvalidValue) as caught:
                await volumes.update(key, update)
            assert (field,) == caught.value.fields
    assert "Dune" == (await stored(world, key)).title


async def test_update_keeps_unset_null_and_value_apart(world: Database) -> None:
    """What was not set stays, None becomes NULL, a value is written."""
    key = await add_volume(world, isbn="1", stars=5)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        changed = await volumes.update(key, VolumeUpdate(title="New", stars=None))
        assert ("New", None, "1") == (changed.title, changed.stars, changed.isbn)
    row = await stored(world, key)
    assert ("New", None, "1", 2) == (row.title, row.stars, row.isbn, row.version)


async def test_update_sends_one_update_of_the_fields_that_were_set(world: Database) -> None:
    """And none at all when nothing was set."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await session.connection()
        with events.recording(world.engine.sync_engine) as seen:
            await volumes.update(key, VolumeUpdate(title="New"))
        updates = [event.statement for event in seen if event.statement.startswith("UPDATE")]
        assert 1 == len(updates)
        assert "title" in updates[0]
        assert "isbn" not in updates[0]
        with events.recording(world.engine.sync_engine) as seen:
            row = await volumes.update(key, VolumeUpdate())
        assert not [event for event in seen if event.statement.startswith("UPDATE")]
        assert 2 == row.version


async def test_update_into_answers_what_was_written(world: Database) -> None:
    """The response model, with the relation that has just changed."""
    key = await add_volume(world)
    writer = await add_writer(world)
    async with world.transaction() as session:
        shown = await VolumeService(session).update(
            key, VolumeUpdate(writer_id=writer), into=VolumeDetail
        )
    assert shown.writer is not None
    assert "Ann" == shown.writer.name


async def test_update_of_a_missing_row_is_not_found(world: Database) -> None:
    """Nothing is written."""
    async with world.transaction() as session:
        with pytest.raises(NotFound):
            await VolumeService(session).update(7, VolumeUpdate(title="New"))
        with pytest.raises(NotFound):
            await ChapterService(session).update((7, 1), ChapterUpdate(title="New"))


async def test_update_names_what_the_database_refuses(world: Database) -> None:
    """As in create."""
    await add_volume(world, isbn="1")
    key = await add_volume(world, isbn="2")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        for data, kind, field in (
            (VolumeUpdate(isbn="1"), UniqueViolation, "isbn"),
            (VolumeUpdate(writer_id=uuid4()), ForeignKeyViolation, "writer_id"),
            (VolumeUpdate(price=Decimal(-1)), CheckViolation, "price"),
            (VolumeUpdate(title=None), InvalidValue, "title"),
        ):
            with pytest.raises(kind) as caught:
                async with session.savepoint():
                    await volumes.update(key, data)
            assert (field,) == caught.value.fields


async def test_a_row_changed_by_somebody_else_is_stale(world: Database) -> None:
    """Who read before the change may not write over it."""
    key = await add_volume(world)
    async with world.session() as early:
        volume = await VolumeService(early).get(key)
        await early.commit()
        async with world.transaction() as session:
            await VolumeService(session).update(key, VolumeUpdate(title="First"))
        volume.title = "Second"
        with pytest.raises(StaleVersion):
            await VolumeService(early).update(key, VolumeUpdate(stars=1))
    assert ("First", 2) == ((await stored(world, key)).title, (await stored(world, key)).version)


async def test_a_composite_key_is_written_and_removed(world: Database) -> None:
    """Create, update and delete by a tuple."""
    volume = await add_volume(world)
    async with world.transaction() as session:
        chapters = ChapterService(session)
        await chapters.create_many(
            [ChapterCreate(volume_id=volume, number=number) for number in (1, 2)]
        )
        await chapters.update((volume, 2), ChapterUpdate(title="Two"))
        await chapters.delete((volume, 1))
        assert ["Two"] == [row.title for row in await chapters.all()]
        with pytest.raises(UniqueViolation) as caught:
            async with session.savepoint():
                await chapters.create(ChapterCreate(volume_id=volume, number=2))
    assert {"volume_id", "number"} == set(caught.value.fields)


async def test_hooks_change_what_is_written(world: Database) -> None:
    """They may add, replace and look something up."""

    class Careful(WriterService):
        async def create_values(self, data: WriterCreate) -> dict[str, Any]:
            values = await super().create_values(data)
            number = await self.count()
            return values | {"secret": f"number {number}", "name": data.name.title()}

        async def update_values(self, data: WriterUpdate) -> dict[str, Any]:
            values = await super().update_values(data)
            return values | {"secret": f"changed {','.join(sorted(values))}"}

    async with world.transaction() as session:
        writers = Careful(session)
        writer = await writers.create(WriterCreate(name="ann"))
        assert ("Ann", "number 0") == (writer.name, writer.secret)
        changed = await writers.update(writer.id, WriterUpdate(email=None, motto="x"))
        assert "changed email,motto" == changed.secret


async def test_a_hook_that_names_no_column_is_a_config_error(world: Database) -> None:
    """Nothing is silently dropped."""

    class Wrong(WriterService):
        async def create_values(self, data: WriterCreate) -> dict[str, Any]:
            return {"nmae": data.name}

    async with world.transaction() as session:
        with pytest.raises(ConfigError, match="no column for 'nmae'"):
            await Wrong(session).create(WriterCreate(name="ann"))


async def test_services_share_the_unit_of_work(world: Database) -> None:
    """All of it is kept, or nothing."""
    key: UUID | None = None
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the inner block raises
        async with world.transaction() as session:
            key = (await WriterService(session).create(WriterCreate(name="Ann"))).id
            await VolumeService(session).create(VolumeCreate(title="x", writer_id=key))
            raise ZeroDivisionError
    async with world.session() as session:
        assert not await WriterService(session).exists(id=key)
        assert 0 == await VolumeService(session).count()


async def test_create_answers_no_secret(world: Database) -> None:
    """The response model has no field for it."""
    async with world.transaction() as session:
        shown = await WriterService(session).create(WriterCreate(name="Ann"), into=WriterPublic)
    assert {"id", "name", "email", "motto"} == set(shown.model_dump())
