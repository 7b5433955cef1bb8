"""Whether the database reads whole tables for a statement, and whether an index would spare it.

Start at `advise`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .indexes import IndexAdvice, candidates
from .sending import Sent

_SMALL = 1000
"""A table with fewer rows is read as a whole in no time."""

_KEPT = 0.9
"""An index has to spare a tenth of the cost to be worth a word."""


async def explain(connection: AsyncConnection, sent: Sent) -> list[str]:
    """Return the database's plan of a statement, as lines."""
    verb = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    found = await connection.exec_driver_sql(f"{verb} {sent.text}", sent.values)
    return [" ".join(str(part) for part in row if part is not None) for row in found]


async def advise(
    connection: AsyncConnection, sent: Sent, *, metadata: MetaData
) -> list[IndexAdvice]:
    """Return the indexes that a statement misses, where the database reads the whole table.

    On PostgreSQL with the extension HypoPG each is tried: without being made, as an index that only
    the planner sees.

    Args:
        connection: To the database that shall be asked.
        sent: The statement.
        metadata: The tables with their indexes.
    """
    if not sent.reads:
        return []
    advice = []
    whole = await _scanned(connection, sent)
    for candidate in candidates(sent.text, metadata):
        if candidate.table not in whole:
            continue
        rows = whole[candidate.table]
        said = f"{rows} rows are read" if rows is not None else "The whole table is read"
        if rows is not None and rows < _SMALL:
            continue
        found: IndexAdvice | None = replace(candidate, proof=f"{said}.")
        if found and await _has_hypopg(connection):
            found = await _tried(connection, sent, found)
        if found:
            advice.append(found)
    return advice


async def _scanned(connection: AsyncConnection, sent: Sent) -> dict[str, int | None]:
    """Return the tables that are read as a whole, with the planner's guess of their rows."""
    match connection.dialect.name:
        case "postgresql":
            plan = await _plan(connection, sent)
            read = [node["Relation Name"] for node in _nodes(plan) if _reads_all(node)]
            return {name: await _rows_of(connection, name) for name in read}
        case "sqlite":
            lines = await explain(connection, sent)
            return {name: await _some_rows(connection, name) for name in _scans(sent, lines)}
        case _:
            found = await connection.exec_driver_sql(f"EXPLAIN {sent.text}", sent.values)
            names = _aliases(sent.text)
            whole = [row["table"] for row in found.mappings() if row["type"] in {"ALL", "index"}]
            tables = [str(names.get(table, table)) for table in whole if table]
            return {table: await _rows_of(connection, table) for table in tables}


def _reads_all(node: dict[str, Any]) -> bool:
    """Tell whether a step reads a table from its beginning, in its own order or an index's."""
    kind = node["Node Type"]
    return kind == "Seq Scan" or (
        kind in {"Index Scan", "Index Only Scan"} and "Index Cond" not in node
    )


def _scans(sent: Sent, lines: list[str]) -> Iterator[str]:
    names = _aliases(sent.text)
    for line in lines:
        found = re.search(r"\bSCAN (\w+)", line)
        if found and not found[1].isupper():
            yield names.get(found[1], found[1])


def _aliases(text: str) -> dict[str, str]:
    found = re.findall(r"(?:FROM|JOIN|,)\s+[`\"]?(\w+)[`\"]? AS [`\"]?(\w+)[`\"]?", text)
    return {alias: table for table, alias in found}


async def _plan(connection: AsyncConnection, sent: Sent) -> dict[str, Any]:
    found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sent.text}", sent.values)
    told = found.scalar_one()
    plan: dict[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


async def _rows_of(connection: AsyncConnection, table: str) -> int | None:
    """Return how many rows a table has, as far as the server knows; None says many."""
    name = table
    if connection.dialect.name == "postgresql":
        table = connection.dialect.identifier_preparer.quote(table)
        asked = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)"
    else:
        asked = (
            "SELECT table_rows FROM information_schema.tables"
            " WHERE table_schema = database() AND table_name = :name"
        )
    rows = int((await connection.execute(text(asked), {"name": table})).scalar() or 0)
    # PostgreSQL does not know before the table was analysed.
    return await _some_rows(connection, name) if rows < 0 else rows


async def _some_rows(connection: AsyncConnection, table: str) -> int | None:
    """Count the rows of a small table; None says that there are many."""
    quoted = connection.dialect.identifier_preparer.quote(table)
    # The name is one of the models' own, quoted.
    asked = f"SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {_SMALL}) AS few"  # noqa: S608
    rows = int((await connection.exec_driver_sql(asked)).scalar_one())
    return rows if rows < _SMALL else None


async def _has_hypopg(connection: AsyncConnection) -> bool:
    if connection.dialect.name != "postgresql":
        return False
    asked = text("SELECT 1 FROM pg_extension WHERE extname = 'hypopg'")
    return (await connection.execute(asked)).scalar() is not None


async def _tried(
    connection: AsyncConnection, sent: Sent, advice: IndexAdvice
) -> IndexAdvice | None:
    """Return advice with what the planner makes of the index; None where it makes nothing of it."""
    before = await _plan(connection, sent)
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column) for column in advice.columns)
    made = f"CREATE INDEX ON {quote(advice.table)} ({columns})"
    asked = text("SELECT indexname FROM hypopg_create_index(:made)")
    name = (await connection.execute(asked, {"made": made})).scalar_one()
    try:
        after = await _plan(connection, sent)
    finally:
        await connection.execute(text("SELECT hypopg_reset()"))
    used = any(node.get("Index Name") == name for node in _nodes(after))
    if not used or after["Total Cost"] > before["Total Cost"] * _KEPT:
        return None
    proof = (
        f"The planner would use it: cost {before['Total Cost']:.0f} becomes "
        f"{after['Total Cost']:.0f} (tried with HypoPG)."
    )
    return replace(advice, proof=proof)
