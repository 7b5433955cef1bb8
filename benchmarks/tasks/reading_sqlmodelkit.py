"""sqlmodelkit by its service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.contenders.connection import URL
from benchmarks.contenders.sqlmodelkit_endpoints import HeroService
from benchmarks.tables import HeroPublic
from sqlmodelkit import Database, DatabaseSettings

from . import FAR, PAGE, Run

SORT = "created_at,id"
SECRET = "the same for every process of the benchmark"  # noqa: S105 - it guards nothing

db = Database(settings=DatabaseSettings(url=URL, pool_size=1, max_overflow=0, cursor_secret=SECRET))


@asynccontextmanager
async def first_page() -> AsyncIterator[Run]:
    async with db.lifespan():
        async for run in _pages(None):
            yield run


@asynccontextmanager
async def far_page() -> AsyncIterator[Run]:
    cursor: str | None = None
    async with db.lifespan():
        async with db.unit(reading=True) as unit:
            for _ in range(FAR // 1000):
                page = await HeroService(unit).cursor_page(
                    sort=SORT, limit=1000, cursor=cursor, into=HeroPublic
                )
                cursor = page.next
        async for run in _pages(cursor):
            yield run


async def _pages(cursor: str | None) -> AsyncIterator[Run]:
    async def run() -> bytes:
        async with db.unit(reading=True) as unit:
            return await HeroService(unit).cursor_page_json(
                sort=SORT, limit=PAGE, cursor=cursor, into=HeroPublic
            )

    await run()
    yield run


@asynccontextmanager
async def far_offset_page() -> AsyncIterator[Run]:
    async def run() -> bytes:
        async with db.unit(reading=True) as unit:
            return await HeroService(unit).page_json(
                sort=SORT, limit=PAGE, offset=FAR, count="none", into=HeroPublic
            )

    async with db.lifespan():
        await run()
        yield run


@asynccontextmanager
async def export() -> AsyncIterator[Run]:
    async def run() -> int:
        lines = 0
        async with db.unit(reading=True) as unit:
            async for part in HeroService(unit).stream_json(into=HeroPublic):
                lines += part.count(b"\n")
        return lines

    async with db.lifespan():
        async with db.unit(reading=True) as unit:
            await HeroService(unit).all_json(limit=1, into=HeroPublic)
        yield run
