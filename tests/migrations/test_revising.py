"""New migrations: what is found, how it is written, and what is refused."""

import enum
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from sqlmodelkit import ConfigError, DatabaseSettings
from sqlmodelkit.migrations import Schema, downgrade, init, revision, upgrade
from sqlmodelkit.models import unique_live, utcnow

from .conftest import SchemaOf, new_metadata


class Rank(enum.Enum):
    """What a worker is."""

    recruit = "r"
    captain = "c"


def firms() -> MetaData:
    """Return two tables with everything that SQLModel makes."""
    metadata = new_metadata()
    Table(
        "firm",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("name", AutoString(length=50), nullable=False, unique=True),
        Column("note", AutoString),
        Column("founded", UTCDateTime, nullable=False, server_default=utcnow()),
        Column("deleted_at", UTCDateTime, index=True),
        unique_live("note"),
    )
    Table(
        "worker",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("firm_id", ForeignKey("firm.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("rank", Enum(Rank, name="rank"), nullable=False),
        Column("former", Enum(Rank, name="rank")),
        Column("age", Integer, nullable=False, server_default=text("18")),
        CheckConstraint("age > 0", name="adult"),
        Index(None, "age", "rank"),
    )
    return metadata


async def test_what_was_made_is_as_it_was_declared(schema_of: SchemaOf) -> None:
    """After a migration of everything that SQLModel makes, there is nothing left to do."""
    schema = schema_of(firms())
    written = await revision(schema, "first")
    assert written is not None
    steps = await upgrade(schema)
    assert [written.revision] == [step.revision for step in steps]
    assert await revision(schema, "second") is None
    await downgrade(schema, "base")
    await upgrade(schema)
    assert await revision(schema, "second") is None


async def test_a_migration_runs_on_every_engine(new_database: Any, tmp_path: Path) -> None:
    """What was written on SQLite makes the same tables on PostgreSQL and MariaDB."""
    init(tmp_path / "migrations")
    engines = ("sqlite", "postgresql", "mariadb")
    schemas = [
        Schema(firms(), tmp_path / "migrations", DatabaseSettings(url=new_database(engine)))
        for engine in engines
    ]
    await revision(schemas[0], "first")
    for schema in schemas:
        await upgrade(schema)
        assert await revision(schema, "second") is None
        await downgrade(schema, "base")
        await upgrade(schema)


async def test_no_model_is_an_error(schema_of: SchemaOf) -> None:
    """Without a table there is no migration that would drop them all."""
    await revision(schema_of(firms()), "first")
    await upgrade(schema_of(firms()))
    with pytest.raises(ConfigError, match="No table is known"):
        await revision(schema_of(new_metadata()), "nothing")


async def test_a_table_that_vanished_is_refused(schema_of: SchemaOf) -> None:
    """It is dropped when it is named, and then with its enum."""
    await revision(schema_of(firms()), "first")
    await upgrade(schema_of(firms()))
    fewer = firms()
    fewer.remove(fewer.tables["worker"])
    with pytest.raises(ConfigError, match="worker is in the database and in no model") as refused:
        await revision(schema_of(fewer), "forgotten")
    assert "--drop worker" in str(refused.value.hint)
    with pytest.raises(ConfigError, match="nothing of that name"):
        await revision(schema_of(fewer), "forgotten", drop=["worker", "nobody"])
    assert await revision(schema_of(fewer), "without workers", drop=["worker"])
    await upgrade(schema_of(fewer))
    assert await revision(schema_of(fewer), "nothing") is None
    await downgrade(schema_of(fewer), "-1")
    await upgrade(schema_of(fewer))


async def test_a_database_that_is_behind_is_refused(schema_of: SchemaOf) -> None:
    """A migration from an old state would do again what others do already."""
    await revision(schema_of(firms()), "first")
    with pytest.raises(ConfigError, match="not at the newest"):
        await revision(schema_of(firms()), "second")
