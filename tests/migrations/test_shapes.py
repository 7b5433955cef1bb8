"""Tables of awkward shapes: rings of foreign keys, generated columns, percent signs, other types."""

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    text,
)

from sqlmodelkit.migrations import Schema, check, downgrade, revision, upgrade
from sqlmodelkit.migrations.environment import connected
from sqlmodelkit.models import OtherType

from .conftest import SchemaOf, new_metadata


def lone() -> MetaData:
    """Return a table that refers to none."""
    metadata = new_metadata()
    Table("stone", metadata, Column("id", Integer, primary_key=True))
    return metadata


def ring() -> MetaData:
    """Return two tables of which each refers to the other, and one that refers to both."""
    metadata = lone()
    Table(
        "club",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("chair_id", ForeignKey("person.id")),
        Column("deputy_id", ForeignKey("person.id")),
    )
    Table(
        "person",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("club_id", ForeignKey("club.id", ondelete="CASCADE")),
        Column("former_id", ForeignKey("club.id")),
        Column("boss_id", ForeignKey("person.id")),
    )
    Table(
        "badge",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("club_id", ForeignKey("club.id")),
        Column("person_id", ForeignKey("person.id")),
    )
    return metadata


async def test_tables_that_refer_to_each_other_come_and_go(schema_of: SchemaOf) -> None:
    """No order serves them: a foreign key is made after both, and dropped before them."""
    schema = schema_of(ring())
    await revision(schema, "first")
    await upgrade(schema)
    assert not await check(schema)
    await downgrade(schema, "base")
    await upgrade(schema)
    gone = schema_of(lone())
    await revision(gone, "second", drop=["club", "person", "badge"])
    await upgrade(gone)
    assert not await check(gone)
    await downgrade(gone, "-1")
    assert 1 == len(await upgrade(gone))
    await downgrade(gone, "base")


async def test_tables_go_that_refer_to_one_that_stays(schema_of: SchemaOf) -> None:
    """Several at once: they are put in order without it."""

    def stones(*more: str) -> MetaData:
        metadata = lone()
        for name in more:
            key = Column("id", Integer, primary_key=True)
            Table(name, metadata, key, Column("stone_id", ForeignKey("stone.id")))
        return metadata

    await revision(schema_of(stones("gem", "pearl")), "first")
    await upgrade(schema_of(lone()))
    await revision(schema_of(lone()), "second", drop=["gem", "pearl"])
    await upgrade(schema_of(lone()))
    assert not await check(schema_of(lone()))
    await downgrade(schema_of(lone()), "base")


async def test_a_key_goes_while_its_table_gets_another_name(schema_of: SchemaOf) -> None:
    """The way back makes it, and does not look for it before."""

    def gems(name: str, *target: ForeignKey) -> MetaData:
        metadata = lone()
        key = Column("id", Integer, primary_key=True)
        Table(name, metadata, key, Column("stone_id", Integer, *target, index=True))
        return metadata

    before, after = schema_of(gems("gem", ForeignKey("stone.id"))), schema_of(gems("pearl"))
    await revision(before, "first")
    await upgrade(before)
    await revision(after, "second", rename={"gem": "pearl"})
    await upgrade(after)
    await downgrade(after, "-1")
    assert not (await check(before, migrations=False)).database
    await upgrade(after)
    assert not await check(after)


def shapes(length: int) -> MetaData:
    """Return a table with a generated column, whose name may be so long."""
    metadata = new_metadata()
    Table(
        "shape",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(length), nullable=False),
        Column("size", Integer),
        Column("twice", Integer, Computed("size * (2 + 0)", persisted=True)),
    )
    return metadata


async def test_a_table_with_a_generated_column_is_changed(schema_of: SchemaOf) -> None:
    """SQLite makes a copy of it, and computes the column anew."""
    schema = schema_of(shapes(10))
    await revision(schema, "first")
    await upgrade(schema)
    await run(schema, "INSERT INTO shape (id, name, size) VALUES (1, 'cube', 4)")
    longer = schema_of(shapes(20))
    await revision(longer, "longer")
    await upgrade(longer)
    assert not await check(longer)
    await run(longer, "INSERT INTO shape (id, name, size) VALUES (2, 'cone', 5)")
    assert [("cube", 8), ("cone", 10)] == await run(
        longer, "SELECT name, twice FROM shape ORDER BY id"
    )
    await downgrade(longer, "-1")
    assert [(8,), (10,)] == await run(longer, "SELECT twice FROM shape ORDER BY id")


async def test_percent_signs_stay_single(schema_of: SchemaOf) -> None:
    """Drivers of MySQL have them doubled, which is not for a file."""
    metadata = new_metadata()
    Table(
        "share",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("part", String(20), server_default=text("'50%'")),
        Column("told", String(40), Computed("replace(part, '%', ' of 100')", persisted=True)),
        CheckConstraint("part LIKE '%\\%' OR part LIKE '%50%'", name="percent"),
    )
    schema = schema_of(metadata)
    written = await revision(schema, "first")
    assert written is not None
    assert "%%" not in written.path.read_text()
    await upgrade(schema)
    await run(schema, "INSERT INTO share (id) VALUES (1)")
    assert [("50%", "50 of 100")] == await run(schema, "SELECT part, told FROM share")


async def test_a_type_that_only_the_database_knows(schema_of: SchemaOf) -> None:
    """It is written by its name, made, and no drift."""
    metadata = new_metadata()
    schema = schema_of(metadata)
    engine = schema.settings.engine_url().get_backend_name()
    kind = {"postgresql": "xml", "mysql": "inet6"}.get(engine, "FANCYBLOB")
    Table(
        "note",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("body", OtherType(kind)),
    )
    await revision(schema, "first")
    await upgrade(schema)
    assert not await check(schema)
    value = "<a/>" if engine == "postgresql" else "::1"
    await run(schema, f"INSERT INTO note (id, body) VALUES (1, '{value}')")
    assert [(value,)] == await run(schema, "SELECT body FROM note")


async def run(schema: Schema, statement: str) -> list[Any]:
    """Run a statement, and return its rows."""
    async with connected(schema.settings) as connection:
        found = await connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in found] if found.returns_rows else []
        await connection.commit()
        return rows
