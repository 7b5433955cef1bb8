"""Advanced Alchemy: it has no cursors and no streams, so the export goes by offsets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from advanced_alchemy.extensions.fastapi import filters
from pydantic import TypeAdapter

from benchmarks.contenders.advanced_alchemy_app import HeroService, alchemy
from benchmarks.tables import HeroPublic

from . import FAR, PAGE, Run

ROWS = TypeAdapter(list[HeroPublic])
BATCH = 500


@asynccontextmanager
async def first_page() -> AsyncIterator[Run]:
    async for run in _pages(0):
        yield run


@asynccontextmanager
async def far_offset_page() -> AsyncIterator[Run]:
    async for run in _pages(FAR):
        yield run


async def _pages(offset: int) -> AsyncIterator[Run]:
    async def run() -> bytes:
        rows = await _part(offset, PAGE, "created_at", "id")
        return ROWS.dump_json(rows)

    await run()
    yield run
    await alchemy.config[0].get_engine().dispose()


async def _part(offset: int, limit: int, *order: str) -> list[HeroPublic]:
    async with alchemy.config[0].get_session() as session:
        service = HeroService(session=session)
        rows: Any = await service.get_many(
            filters.LimitOffset(limit, offset), *map(filters.OrderBy, order)
        )
        shown: Any = service.to_schema(rows, schema_type=HeroPublic)
    return list(shown.items)


@asynccontextmanager
async def export() -> AsyncIterator[Run]:
    async def run() -> int:
        lines = 0
        while part := await _part(lines, BATCH, "id"):
            for row in part:
                line = row.model_dump_json() + "\n"
                lines += line.encode().count(b"\n")
        return lines

    await _part(0, 1, "id")
    yield run
    await alchemy.config[0].get_engine().dispose()
