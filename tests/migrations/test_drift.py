"""Models, migrations and database agree, or it is said how they differ."""

import pytest
from sqlalchemy import CheckConstraint, Column, Date, Integer, MetaData, Table, text

from sqlmodelkit import ConfigError
from sqlmodelkit.catalogs import reflect
from sqlmodelkit.migrations import check, lint, revision, sql, upgrade
from sqlmodelkit.migrations.environment import connected
from sqlmodelkit.migrations.resetting import reset

from .conftest import SchemaOf, new_metadata
from .test_revising import firms


async def test_there_is_no_drift_after_an_upgrade(schema_of: SchemaOf) -> None:
    """Neither between models and database nor between models and migrations."""
    schema = schema_of(firms())
    await revision(schema, "first")
    behind = await check(schema)
    assert (True, True, ()) == (bool(behind.pending), bool(behind.database), behind.migrations)
    await upgrade(schema)
    assert not await check(schema)


async def test_drift_is_told_in_words(schema_of: SchemaOf) -> None:
    """A column that no migration makes is named."""
    await revision(schema_of(firms()), "first")
    await upgrade(schema_of(firms()))
    more = firms()
    more.tables["firm"].append_column(Column("size", Integer))
    found = await check(schema_of(more))
    told = ["new: firm.size, Integer(), may be null", "drops firm.size with its values"]
    assert [told, told] == [
        [note.text for note in notes] for notes in (found.database, found.migrations or ())
    ]


async def test_partitions_are_no_tables_of_their_own(schema_of: SchemaOf) -> None:
    """A job may make one at any time: it is no drift, no revision drops it, and a reset does."""
    metadata = new_metadata()
    Table(
        "reading",
        metadata,
        Column("day", Date, primary_key=True),
        Column("size", Integer),
        postgresql_partition_by="RANGE (day)",
    )
    schema = schema_of(metadata)
    await revision(schema, "first")
    await upgrade(schema)
    if schema.settings.engine_url().get_backend_name() != "postgresql":
        return
    async with connected(schema.settings) as connection:
        for year in (2026, 2027):
            part = f"reading_{year} PARTITION OF reading"
            bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            await connection.execute(text(f"CREATE TABLE {part} FOR VALUES {bounds}"))
        await connection.commit()
        assert {"reading", "alembic_version"} == set((await connection.run_sync(reflect)).tables)
    assert not await check(schema)
    assert await revision(schema, "nothing") is None
    await reset(schema, name=str(schema.settings.engine_url().database))
    assert not await check(schema)


async def test_sql_needs_no_database(schema_of: SchemaOf) -> None:
    """It is written for the kind of database that the settings name."""
    metadata = new_metadata()
    Table("stone", metadata, Column("id", Integer, primary_key=True))
    schema = schema_of(metadata)
    await revision(schema, "first")
    assert "CREATE TABLE stone" in sql(schema)
    assert "INSERT INTO alembic_version" in sql(schema)


async def test_tables_that_no_migration_has_made_are_told(schema_of: SchemaOf) -> None:
    """SQLite's are copied by what is there, so a migration of them needs those before it."""

    def plants(*more: CheckConstraint) -> MetaData:
        metadata = new_metadata()
        columns = Column("id", Integer, primary_key=True), Column("age", Integer)
        Table("plant", metadata, *columns, *more)
        return metadata

    schema = schema_of(plants())
    if schema.settings.engine_url().get_backend_name() != "sqlite":
        return
    async with connected(schema.settings) as connection:
        await connection.run_sync(plants().create_all)
        await connection.commit()
    schema = schema_of(plants(CheckConstraint("age < 99", name="young")))
    assert await revision(schema, "young") is not None
    with pytest.raises(ConfigError, match="table plant, which no migration before it has made"):
        await lint(schema)
    with pytest.raises(ConfigError, match="plant"):
        await check(schema)
    await upgrade(schema)
    assert not (await check(schema, migrations=False)).database
