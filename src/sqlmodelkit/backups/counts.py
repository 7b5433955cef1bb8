"""How many rows the tables have, by which a copy is compared with what was copied.

Start at `count_rows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

Counts = dict[str, int]
"""Rows by table."""

Range = tuple[int, int]
"""The fewest and the most rows that a table had while it was copied."""

_TABLES = (
    "SELECT schemaname, tablename FROM pg_tables"
    " WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema'"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A table with another number of rows than it should have; None where it is not there."""

    table: str
    expected: Range | None
    found: int | None

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.table} is missing"
        if self.expected is None:
            return f"{self.table} should not be there"
        least, most = self.expected
        wanted = str(least) if least == most else f"{least} to {most}"
        return f"{self.table} has {self.found} rows and should have {wanted}"


async def count_rows(connection: AsyncConnection) -> Counts:
    """Return how many rows each table has."""
    return await connection.run_sync(_count)


def _count(connection: Connection) -> Counts:
    quote = connection.dialect.identifier_preparer.quote
    if connection.dialect.name == "postgresql":
        parts = [tuple(row) for row in connection.execute(text(_TABLES))]
    else:
        parts = [(name,) for name in inspect(connection).get_table_names()]
    counts = {}
    for names in sorted(parts):
        table = ".".join(quote(name) for name in names)
        label = ".".join(name for name in names if name != "public")
        # The names are the database's own, quoted.
        counts[label] = int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608
    return counts


def compare(expected: Mapping[str, Range], found: Mapping[str, int]) -> tuple[Difference, ...]:
    """Return the tables that differ."""
    differences = []
    for table in sorted({*expected, *found}):
        wanted, rows = expected.get(table), found.get(table)
        if wanted is None or rows is None or not wanted[0] <= rows <= wanted[1]:
            differences.append(Difference(table, wanted, rows))
    return tuple(differences)
