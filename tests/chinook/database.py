"""Makes the Chinook database: the tables as its authors wrote them, and the rows of rows.json."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, MetaData, Numeric, Table

from sqlmodelkit import Database

HERE = Path(__file__).parent


async def create_chinook(db: Database) -> None:
    """Make the tables of Chinook, and fill them."""
    await run_script(db, HERE)
    async with db.engine.begin() as connection:
        await connection.run_sync(_fill)


async def run_script(db: Database, directory: Path) -> None:
    """Run the statements that a directory has for the engine, as `sqlite.sql`."""
    script = (directory / f"{(await db.ping()).dialect}.sql").read_text()
    statements = [part.strip() for part in _without_comments(script).split(";") if part.strip()]
    async with db.engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


def _without_comments(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.startswith("--"))


def _fill(connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection)
    tables = {name.replace("_", "").lower(): table for name, table in metadata.tables.items()}
    for name, rows in json.loads((HERE / "rows.json").read_text()).items():
        table = tables[name.lower()]
        if name == "Employee":  # who reports to somebody comes after that one
            rows.sort(key=lambda row: row[4] or 0)
        connection.execute(table.insert(), [_row(table, row) for row in rows])


def _row(table: Table, values: list[Any]) -> dict[str, Any]:
    return {
        column.name: _value(column.type, value)
        for column, value in zip(table.columns, values, strict=True)
    }


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    return round(value, 2) if isinstance(kind, Numeric) else value
