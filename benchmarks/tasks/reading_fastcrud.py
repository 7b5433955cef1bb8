"""FastCRUD: its cursor goes by one column, so the page is by time alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlmodel import col

from benchmarks.contenders.fastcrud_app import async_session, engine, hero_crud
from benchmarks.tables import Hero, HeroPublic

from . import FAR, PAGE, Run

ROWS = TypeAdapter(list[HeroPublic])
BATCH = 500


@asynccontextmanager
async def first_page() -> AsyncIterator[Run]:
    async for run in _pages(None):
        yield run


@asynccontextmanager
async def far_page() -> AsyncIterator[Run]:
    last = select(col(Hero.created_at)).order_by(col(Hero.created_at)).offset(FAR - 1).limit(1)
    async with async_session() as session:
        cursor = await session.scalar(last)
    async for run in _pages(cursor):
        yield run


async def _pages(cursor: Any) -> AsyncIterator[Run]:
    async def run() -> bytes:
        async with async_session() as session:
            page = await hero_crud.get_multi_by_cursor(
                session,
                cursor=cursor,
                limit=PAGE,
                sort_column="created_at",
                schema_to_select=HeroPublic,
            )
        return ROWS.dump_json(ROWS.validate_python(page["data"]))

    await run()
    yield run
    await engine.dispose()


@asynccontextmanager
async def far_offset_page() -> AsyncIterator[Run]:
    async def run() -> bytes:
        return ROWS.dump_json(ROWS.validate_python(await _part(FAR, PAGE, ["created_at", "id"])))

    await run()
    yield run
    await engine.dispose()


async def _part(offset: int, limit: int, order: list[str]) -> Any:
    async with async_session() as session:
        part = await hero_crud.get_multi(
            session,
            offset=offset,
            limit=limit,
            sort_columns=order,
            schema_to_select=HeroPublic,
            return_total_count=False,
        )
    return part["data"]


@asynccontextmanager
async def export() -> AsyncIterator[Run]:
    async def run() -> int:
        lines, cursor = 0, None
        async with async_session() as session:
            while True:
                page = await hero_crud.get_multi_by_cursor(
                    session,
                    cursor=cursor,
                    limit=BATCH,
                    sort_column="id",
                    schema_to_select=HeroPublic,
                )
                for row in page["data"]:
                    line = HeroPublic.model_validate(row).model_dump_json() + "\n"
                    lines += line.encode().count(b"\n")
                cursor = page["next_cursor"]
                if cursor is None:
                    return lines

    await _part(0, 1, ["id"])
    yield run
    await engine.dispose()
