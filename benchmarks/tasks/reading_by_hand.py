"""Hand-written: asyncpg, JSON by PostgreSQL, a cursor of the server for the export."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from benchmarks.contenders.asyncpg_json import array, hero
from benchmarks.contenders.connection import driver_url

from . import FAR, PAGE, Run

ORDER = "ORDER BY created_at, id LIMIT $1"


def _page(rest: str) -> str:
    # The page is cut before its rows are printed.
    return array(f"SELECT {hero('h')} FROM (SELECT * FROM hero {rest}) h")


FIRST = _page(ORDER)
AFTER = _page(f"WHERE (created_at, id) > ($2, $3) {ORDER}")
OFFSET = _page(f"{ORDER} OFFSET $2")
LINES = f"SELECT row_to_json(r)::text FROM (SELECT {hero('h')} FROM hero h ORDER BY h.id) r"
LAST = "SELECT created_at, id FROM hero ORDER BY created_at, id OFFSET $1 LIMIT 1"
PREFETCHED = 500


@asynccontextmanager
async def connected() -> AsyncIterator[Any]:
    connection = await asyncpg.connect(driver_url())
    yield connection
    await connection.close()


@asynccontextmanager
async def first_page() -> AsyncIterator[Run]:
    async with connected() as connection:

        async def run() -> bytes:
            page: str = await connection.fetchval(FIRST, PAGE)
            return page.encode()

        await run()
        yield run


@asynccontextmanager
async def far_page() -> AsyncIterator[Run]:
    async with connected() as connection:
        last = await connection.fetchrow(LAST, FAR - 1)

        async def run() -> bytes:
            page: str = await connection.fetchval(AFTER, PAGE, *last)
            return page.encode()

        await run()
        yield run


@asynccontextmanager
async def far_offset_page() -> AsyncIterator[Run]:
    async with connected() as connection:

        async def run() -> bytes:
            page: str = await connection.fetchval(OFFSET, PAGE, FAR)
            return page.encode()

        await run()
        yield run


@asynccontextmanager
async def export() -> AsyncIterator[Run]:
    async with connected() as connection:

        async def run() -> int:
            lines = 0
            async with connection.transaction():
                async for row in connection.cursor(LINES, prefetch=PREFETCHED):
                    lines += (row[0] + "\n").encode().count(b"\n")
            return lines

        await connection.fetchval(FIRST, 1)
        yield run
