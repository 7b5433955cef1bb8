"""How a plan is run: its statements sent, and what comes back put together. Ring 4.

Start at `read_responses` and `read_json`.
"""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import Result, Select
from sqlmodel import SQLModel

from .columns import row_key
from .filters import MAX_ITEMS
from .plan import KEYS, Fetch, Groups, Plan, row_options
from .sessions import AsyncSession, translating

P = TypeVar("P", bound=BaseModel)

Source = SQLModel | dict[str, Any]
"""What a response is made from: a table row, or its values."""


async def read_rows(
    session: AsyncSession, statement: Select[Any], model: type[SQLModel], load: Collection[str]
) -> list[tuple[Any, Any]]:
    """Read table rows with exactly the relations named; answer key and row of each."""
    with translating():
        result = await _execute(session, statement.options(*row_options(model, load)))
        key = row_key(model)
        return [(key(row), row) for row in result.scalars()]


async def read_responses(
    session: AsyncSession, statement: Select[Any], plan: Plan[P]
) -> list[tuple[Any, P]]:
    """Read response models; answer key and response of each row."""
    with translating():
        return [
            (key, plan.build(source)) for key, source in await _sources(session, statement, plan)
        ]


async def read_json(
    session: AsyncSession, statement: Select[Any], plan: Plan[Any]
) -> tuple[int, bytes]:
    """Read responses as JSON; answer how many there are, and the array of them."""
    with translating():
        sources = await _sources(session, statement, plan)
        return len(sources), plan.dump([source for _, source in sources])


async def _sources(
    session: AsyncSession, statement: Select[Any], plan: Plan[Any]
) -> Sequence[tuple[Any, Source]]:
    if plan.path == "rows":
        return await _fetch(session, plan.fetch, plan.fetch.select(statement))
    # Rows of the plan are partly loaded: a session of their own keeps them, and what happens to
    # be in the unit of work's session, apart. Closing it detaches them; all is loaded by then.
    await session.flush()
    connection = await session.connection()
    async with AsyncSession(connection, join_transaction_mode="rollback_only") as reader:
        result = await _execute(reader, statement.options(*plan.options))
        key = row_key(plan.shape.model)
        return [(key(row), row) for row in result.scalars()]


async def _fetch(
    session: AsyncSession, fetch: Fetch, statement: Select[Any]
) -> list[tuple[Any, dict[str, Any]]]:
    """Run a flat statement and those of its collections; answer key and values of each row."""
    groups = fetch.groups()
    rows = await _execute(session, statement)
    items = [(fetch.key(row), fetch.build(row, groups)) for row in rows]
    await _fill(session, fetch, groups)
    return items


async def _fill(session: AsyncSession, fetch: Fetch, groups: Groups) -> None:
    for collection, lists in zip(fetch.collections, groups, strict=True):
        inner = collection.fetch.groups()
        keys = list(lists)
        for start in range(0, len(keys), MAX_ITEMS):
            part = {KEYS: keys[start : start + MAX_ITEMS]}
            collection.fill(await _execute(session, collection.statement, part), lists, inner)
        await _fill(session, collection.fetch, inner)


async def _execute(
    session: AsyncSession, statement: Select[Any], parameters: dict[str, Any] | None = None
) -> Result[Any]:
    # SQLModel's `exec` is typed for its own select; for SQLAlchemy's it answers a Result.
    result: Any = await session.exec(cast("Any", statement), params=parameters)
    return cast("Result[Any]", result)
