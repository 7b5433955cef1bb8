"""Every migration of a random sequence of edits goes up, down and up again, and keeps the data.

`MIGRATION_CASES=200 pytest tests/migrations/test_edits.py` tries more of them.
"""

import asyncio
import copy
import datetime as dt
import os
import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from sqlmodelkit import ConfigError, DatabaseSettings, SQLModelKitError
from sqlmodelkit.migrations import Schema, current, downgrade, init, revision, upgrade
from sqlmodelkit.migrations.environment import connected
from tests.servers import empty

from .edits import VALUES, Field, World, edits

CASES = int(os.environ.get("MIGRATION_CASES", "10"))
REFUSALS = (
    "would be lost|invalid input syntax|invalid input value for enum|which would go away|"
    "violates foreign key|foreign key constraint fails|would refer to rows|"
    "null values|cannot be null|NOT NULL constraint failed|Data truncated|"
    "could not create unique index|Duplicate entry|UNIQUE constraint failed"
)
"""What a database or a migration says in place of losing something."""

Rows = dict[str, list[dict[str, Any]]]


def first() -> World:
    """Return the tables that each sequence starts with."""
    fields = {
        "name": Field("short", nullable=False, unique=True),
        "age": Field("int", index=True),
        "price": Field("number"),
        "rank": Field("enum", nullable=False, default=True),
        "anchor_id": Field("int", index=True, foreign=True),
        "born": Field("day"),
    }
    return World({"anchor": {}, "boat": fields})


async def fill(schema: Schema, world: World) -> None:
    """Put rows into every table."""
    async with connected(schema.settings) as connection:
        for number in range(3):
            await connection.execute(text(f"INSERT INTO anchor (id) VALUES ({number + 1})"))
        for table, fields in world.tables.items():
            for number in range(3) if table != "anchor" else ():
                values = [
                    VALUES["fk" if each.foreign else each.kind][number] for each in fields.values()
                ]
                names = ", ".join(["id", *fields])
                listed = ", ".join([str(number + 1), *values])
                await connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({listed})"))
        await connection.commit()


async def rows_of(schema: Schema, world: World) -> Rows:
    """Return what is in the tables of a world."""
    rows: Rows = {}
    async with connected(schema.settings) as connection:
        for table in world.metadata().sorted_tables:
            found = await connection.execute(table.select().order_by(table.c.id))
            rows[table.name] = [dict(row._mapping) for row in found]
    return rows


def kept(before: Rows, after: Rows, world: World) -> list[str]:
    """Return the columns that are on both sides and whose values differ."""
    differ = []
    for table, rows in before.items():
        now = world.rename.get(table, table)
        for column in (rows[0] if rows else {}) if now in after else ():
            name = world.rename.get(f"{table}.{column}", column)
            if after[now] and name in after[now][0]:
                pairs = zip(rows, after[now], strict=True)
                differ += [f"{now}.{name}" for a, b in pairs if not same(a[column], b[name])]
    return differ


def same(before: Any, after: Any) -> bool:
    """Tell whether a value is still what it was, as another type writes it."""
    if isinstance(before, dt.datetime) or isinstance(after, dt.datetime):
        before, after = (str(value)[:19].removesuffix(" 00:00:00") for value in (before, after))
    if isinstance(before, bool) and not isinstance(after, bool):
        before = int(before)
    if str(before) == str(after):
        return True
    try:
        return Decimal(str(before)) == Decimal(str(after))
    except ArithmeticError:
        return False


def expect_refusal(error: SQLModelKitError) -> None:
    """Let nothing pass but a refusal to lose something."""
    assert re.search(REFUSALS, str(error)), str(error)


async def step(schema: Schema, before: World, after: World) -> bool:
    """Write and run one migration there and back; False when it was refused, and nothing lost."""
    old = await rows_of(schema, before)
    schema = Schema(after.metadata(), schema.directory, schema.settings)
    await expect_to_be_asked(schema, after)
    asked: Any = {"drop": after.drop, "rename": after.rename, "fill": after.fill}
    try:
        written = await revision(schema, "step", **asked)
    except SQLModelKitError as error:
        expect_refusal(error)
        return False
    if written is None:
        return True
    note(written.path.read_text())
    at = (await current(schema)).current
    try:
        await upgrade(schema)
    except SQLModelKitError as error:
        expect_refusal(error)

        assert at == (await current(schema)).current
        if schema.settings.engine_url().get_backend_name() in ("postgresql", "sqlite"):
            assert old == await rows_of(schema, before)
        written.path.unlink()
        return False
    new = await rows_of(schema, after)
    assert await revision(schema, "again") is None
    try:
        await downgrade(schema, "-1")
    except SQLModelKitError as error:
        expect_refusal(error)

        assert kept(new, await rows_of(schema, after), World({})) == []
        return False
    back = await rows_of(schema, before)
    await upgrade(schema)
    assert await revision(schema, "again") is None
    assert {table: len(rows) for table, rows in old.items()} == {
        table: len(rows) if table not in after.drop else len(old[table])
        for table, rows in back.items()
    }
    assert kept(old, await rows_of(schema, after), after) == []
    return True


async def expect_to_be_asked(schema: Schema, after: World) -> None:
    """Nothing goes away, and nothing gets another name, that was not named."""
    for name in after.drop:
        fewer = [other for other in after.drop if other != name]
        with pytest.raises(ConfigError, match="is in the database and in no model"):
            await revision(schema, "unasked", drop=fewer, rename=after.rename, fill=after.fill)
    if after.rename:
        with pytest.raises(ConfigError, match="is in the database and in no model"):
            await revision(schema, "unasked", drop=after.drop, fill=after.fill)


KINDS_OF_EDITS = {
    *("add", "drop", "rename", "type", "null", "default", "enum", "index", "unique", "foreign"),
    *("table", "drop_table", "rename_table"),
}


def test_every_kind_of_edit_is_drawn() -> None:
    """None is declined always, or the sequences would not try it."""
    made: set[str] = set()

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        world = first()
        for _ in range(4):
            made.add(str(data.draw(edits(world))).partition(" ")[0])

    draw()
    assert made - {"nothing"} == KINDS_OF_EDITS


@pytest.mark.slow
def test_edits_go_there_and_back(engine_name: str, new_database: Any, tmp_path: Path) -> None:
    """Whatever is edited, in whatever order."""
    url = new_database(engine_name)

    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize="MIGRATION_CASES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal url
        directory = tmp_path / "migrations"
        shutil.rmtree(directory, ignore_errors=True)
        init(directory)
        if engine_name == "sqlite":
            for path in Path(url.split("///")[1]).parent.glob("test.db*"):
                path.unlink()
        else:
            empty(url)
        asyncio.run(
            _sequence(data, Schema(first().metadata(), directory, DatabaseSettings(url=url)))
        )

    run()


async def _sequence(data: st.DataObject, schema: Schema) -> None:
    world = first()
    await revision(schema, "first")
    await upgrade(schema)
    await fill(schema, world)
    for _ in range(data.draw(st.integers(1, 3))):
        after = copy.deepcopy(world)
        after.drop, after.rename, after.fill, after.new = [], {}, {}, set()
        for _ in range(data.draw(st.integers(1, 2))):
            note(data.draw(edits(after)))
            if after.rename and any("." not in old for old in after.rename):
                break
        if not await step(schema, world, after):
            return
        world = after
