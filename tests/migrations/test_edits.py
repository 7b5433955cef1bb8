"""Every migration of a random sequence of edits goes up, down and up again, and keeps the data.

`MIGRATION_CASES=200 pytest tests/migrations/test_edits.py` tries more of them.
"""

import asyncio
import copy
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text

from sqlmodelkit import DatabaseSettings, SQLModelKitError
from sqlmodelkit.migrations import Schema, current, downgrade, init, revision, upgrade
from sqlmodelkit.migrations.environment import connected
from tests.servers import empty

from .edits import VALUES, Field, World, edits

CASES = int(os.environ.get("MIGRATION_CASES", "10"))
REFUSALS = (
    "would be lost|invalid input syntax|invalid input value for enum|which would go away|"
    "violates foreign key|foreign key constraint fails|would refer to rows|"
    "null values|cannot be null|NOT NULL constraint failed|Data truncated"
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
                differ += [f"{now}.{name}" for a, b in pairs if a[column] != b[name]]
    return differ


def expect_refusal(error: SQLModelKitError) -> None:
    """Let nothing pass but a refusal to lose something."""
    assert re.search(REFUSALS, str(error)), str(error)


async def step(schema: Schema, before: World, after: World) -> bool:
    """Write and run one migration there and back; False when it was refused, and nothing lost."""
    old = await rows_of(schema, before)
    schema = Schema(after.metadata(), schema.directory, schema.settings)
    written = await revision(schema, "step", drop=after.drop, rename=after.rename, fill=after.fill)
    if written is None:
        return True
    note(written.path.read_text())
    at = (await current(schema)).current
    try:
        await upgrade(schema)
    except SQLModelKitError as error:
        expect_refusal(error)

        assert at == (await current(schema)).current
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
    changed = {name for name in after.tables if name}
    assert changed
    await upgrade(schema)
    assert await revision(schema, "again") is None
    assert {table: len(rows) for table, rows in old.items()} == {
        table: len(rows) if table not in after.drop else len(old[table])
        for table, rows in back.items()
    }
    untouched = copy.deepcopy(after)
    differ = kept(old, await rows_of(schema, after), untouched)
    asked = {name for name in differ if _same_kind(name, before, after)}
    assert asked == set()
    return True


def _same_kind(name: str, before: World, after: World) -> bool:
    table, column = name.split(".")
    tables = {new: old for old, new in after.rename.items() if "." not in old}
    earlier = before.tables.get(tables.get(table, table), {})
    names = {
        f"{old.split('.')[0]}.{new}": old.split(".")[1]
        for old, new in after.rename.items()
        if "." in old
    }
    found = earlier.get(names.get(name, column))
    return found is None or found.kind == after.tables[table][column].kind


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
