"""Hand-written: asyncpg's COPY, and an array for each column."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import Run
from .reading_by_hand import connected
from .writing import HEROES, NUMBER, TEAMS

UPSERT = (
    "INSERT INTO team (name, headquarters) SELECT * FROM unnest($1::text[], $2::text[]) "
    "ON CONFLICT (name) DO UPDATE SET headquarters = excluded.headquarters"
)


@asynccontextmanager
async def insert_many() -> AsyncIterator[Run]:
    rows = [tuple(row.values()) for row in HEROES]

    async with connected() as connection:

        async def run() -> int:
            async with connection.transaction():
                await connection.copy_records_to_table(
                    "hero", records=rows, columns=list(HEROES[0])
                )
            return len(rows)

        yield run


@asynccontextmanager
async def upsert_many() -> AsyncIterator[Run]:
    names = [row["name"] for row in TEAMS]
    places = [row["headquarters"] for row in TEAMS]

    async with connected() as connection:

        async def run() -> int:
            async with connection.transaction():
                await connection.execute(UPSERT, names, places)
            return NUMBER

        yield run
