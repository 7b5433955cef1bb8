"""sqlmodelkit by its service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.contenders.sqlmodelkit_endpoints import HeroService, db
from benchmarks.tables import HeroPublic

from . import FAR, PAGE, Run

SORT = "created_at,id"


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
