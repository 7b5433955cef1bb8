"""New migrations: what is found, how it is written, and what is refused."""

import enum
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Uuid,
    text,
)
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from sqlmodelkit import ConfigError, DatabaseSettings
from sqlmodelkit.migrations import Schema, downgrade, init, revision, upgrade
from sqlmodelkit.migrations.environment import connected
from sqlmodelkit.migrations.filling import literal
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
        Column("file", AutoString(length=50), Computed("replace(name, ' ', '_')", persisted=True)),
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
        Column("twice", Integer, Computed("age * 2", persisted=True)),
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


async def test_a_default_is_another_one_by_its_case_and_spaces(schema_of: SchemaOf) -> None:
    """A text is a value, however alike two of them look; SQL is the same in each spelling."""

    def metadata(title: str, now: str) -> MetaData:
        metadata = new_metadata()
        Table(
            "page",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("title", String(20), nullable=False, server_default=title),
            Column("number", Integer, nullable=False, server_default=text(now)),
        )
        return metadata

    titles = ["Draft", "draft", "new draft", "newdraft", "it's", "its", ""]
    for number, title in enumerate(titles):
        schema = schema_of(metadata(title, "7"))
        assert await revision(schema, f"title {number}"), title
        await upgrade(schema)
        assert await revision(schema, "nothing") is None, title
        assert await revision(schema_of(metadata(title, "( 7 )")), "nothing") is None
    for _ in titles[1:]:
        await downgrade(schema_of(metadata("", "7")), "-1")


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


@pytest.mark.parametrize(
    ("kind", "given", "written"),
    [
        (Boolean(), "no", "false"),
        (Integer(), "18", "18"),
        (Numeric(8, 2), "2.50", "2.50"),
        (Float(), 1.5, "1.5"),
        (Date(), "2026-01-31", "'2026-01-31'"),
        (UTCDateTime(), "2026-01-31T10:00:00+02:00", r"'2026-01-31 08\:00\:00'"),
        (Uuid(), "6f1e6c1e-0000-4000-8000-000000000001", "'6f1e6c1e000040008000000000000001'"),
        (JSON(), {"a": 1}, r"""'{"a"\: 1}'"""),
        (AutoString(), "it's", "'it''s'"),
        (Enum(Rank, name="rank"), Rank.captain, "'captain'"),
    ],
    ids=str,
)
def test_a_value_is_written_as_sql(kind: Any, given: Any, written: str) -> None:
    """So that every engine reads it as the same."""
    assert written == literal(Column("any", kind), given)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Boolean(), "maybe"),
        (Integer(), "2.5"),
        (Float(), "much"),
        (Float(), "inf"),
        (Numeric(8, 2), "nan"),
        (Date(), "soon"),
        (Uuid(), "1"),
        (Enum(Rank, name="rank"), "general"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused(kind: Any, given: str) -> None:
    """It is not made into another one."""
    with pytest.raises(ConfigError, match=f"{given!r} is no value of any"):
        literal(Column("any", kind), given)


async def test_nulls_are_filled_whatever_the_names(schema_of: SchemaOf) -> None:
    """Names with capitals, and words of SQL, are quoted."""

    def metadata(*, nullable: bool) -> MetaData:
        found = new_metadata()
        key = Column("id", Integer, primary_key=True)
        Table("Order", found, key, Column("Group", Integer, nullable=nullable))
        return found

    before, after = (schema_of(metadata(nullable=nullable)) for nullable in (True, False))
    await revision(before, "first")
    await upgrade(before)
    table = before.metadata.tables["Order"]
    async with connected(before.settings) as connection:
        await connection.execute(table.insert().values(id=1))
        await connection.commit()
    await revision(after, "groups", fill={"Order.Group": "7"})
    await upgrade(after)
    async with connected(before.settings) as connection:
        assert [(1, 7)] == [tuple(row) for row in await connection.execute(table.select())]
    assert await revision(after, "nothing") is None


def boats(first: Enum, second: Enum) -> MetaData:
    """Return a table with two columns of enums."""
    metadata = new_metadata()
    key = Column("id", Integer, primary_key=True)
    Table("boat", metadata, key, Column("a", first), Column("b", second))
    return metadata


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_a_value_that_a_row_has_stays_on_sqlite_too(schema_of: SchemaOf) -> None:
    """SQLite knows no enums, so the rows are looked at when the migration is written."""
    both, one = Enum("x", "y", name="kind"), Enum("x", name="kind")
    before = schema_of(boats(both, both))
    await revision(before, "first")
    await upgrade(before)
    async with connected(before.settings) as connection:
        await connection.execute(text("INSERT INTO boat (a, b) VALUES ('x', 'y')"))
        await connection.commit()
    with pytest.raises(ConfigError, match=r"Rows have one of y in boat\.b"):
        await revision(schema_of(boats(both, one)), "fewer")
    assert await revision(schema_of(boats(one, both)), "fewer") is None


@pytest.mark.parametrize("kept", [False, True], ids=["everywhere", "in one column"])
async def test_an_enum_has_another_name(
    schema_of: SchemaOf, engine_name: str, *, kept: bool
) -> None:
    """In all columns, or in one of them while another keeps it; rows keep their values."""
    old, new = Enum("x", "y", name="old_kind"), Enum("x", "y", "z", name="new_kind")
    before, after = schema_of(boats(old, old)), schema_of(boats(old if kept else new, new))
    await revision(before, "first")
    await upgrade(before)
    async with connected(before.settings) as connection:
        await connection.execute(text("INSERT INTO boat (a, b) VALUES ('x', 'y')"))
        await connection.commit()
    written = await revision(after, "another name")
    assert (written is None) == (engine_name == "sqlite")  # which does not know enums
    if written is None:
        return
    await upgrade(after)
    assert await revision(after, "nothing") is None
    await downgrade(after, "-1")
    await upgrade(after)
    assert await revision(after, "nothing") is None
    async with connected(before.settings) as connection:
        assert [(1, "x", "y")] == [
            tuple(row) for row in await connection.execute(text("SELECT id, a, b FROM boat"))
        ]


async def test_an_enum_has_more_values_in_what_has_another_name(schema_of: SchemaOf) -> None:
    """New values come first, when tables and columns still have their old names."""
    old, new = Enum("x", "y", name="kind"), Enum("x", "y", "z", name="kind")
    before = schema_of(boats(old, old))
    await revision(before, "first")
    await upgrade(before)
    async with connected(before.settings) as connection:
        await connection.execute(text("INSERT INTO boat (a, b) VALUES ('x', 'y')"))
        await connection.commit()
    ships = new_metadata()
    key = Column("id", Integer, primary_key=True)
    Table("ship", ships, key, Column("c", new, index=True), Column("b", new))
    after = schema_of(ships)
    await revision(after, "ships", rename={"boat": "ship", "ship.a": "c"})
    await upgrade(after)
    assert await revision(after, "nothing") is None
    await downgrade(after, "-1")
    await upgrade(after)
    async with connected(after.settings) as connection:
        assert [("x", "y")] == [
            tuple(row) for row in await connection.execute(text("SELECT c, b FROM ship"))
        ]
