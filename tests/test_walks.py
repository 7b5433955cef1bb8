"""Pages at a cursor and streams: what they promise besides the order, and what they refuse."""

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Index, String, delete, insert, select
from sqlmodel import Field

from sqlmodelkit import (
    ConfigError,
    CursorError,
    CursorPage,
    Database,
    DatabaseSettings,
    PageError,
    Scoped,
    ServiceBase,
    SoftDelete,
    SortError,
    any_of,
)
from tests.test_walks_orders import SECRET, Untouched

WALKED = 100_000


class Stone(SoftDelete, Scoped, table=True):
    """Rows of two tenants, many of them alike."""

    __tablename__ = "walk_stone"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("walk_stone_order", "weight", "id"),)
    __scopes__ = {"tenant": "tenant"}

    id: int | None = Field(default=None, primary_key=True)
    tenant: int
    weight: int
    secret: str = Field(default="hidden", max_length=20)
    story: str = Field(default="", sa_column=Column(String(2000), nullable=False))


TABLE: Any = Stone.__table__  # type: ignore[attr-defined]


class StoneOut(BaseModel):
    """What is shown."""

    id: int
    weight: int


class StoneService(ServiceBase[Stone, Untouched, Untouched]):
    """Reads stones."""

    public = StoneOut


@pytest.fixture
async def stones(database_url: str) -> AsyncIterator[Database]:
    """A database with ten stones of each of two tenants."""
    database = Database(settings=DatabaseSettings(url=database_url, cursor_secret=SECRET))
    await database.create_all()
    await add(database, [{"tenant": n % 2, "weight": n // 4} for n in range(20)])
    try:
        yield database
    finally:
        await database.close()


async def add(database: Database, rows: list[dict[str, Any]]) -> None:
    """Insert stones."""
    filled = [{"secret": "hidden", "story": "", **row} for row in rows]
    async with database.engine.begin() as connection:
        await connection.execute(insert(TABLE), filled)


def reading(database: Database, tenant: int = 0) -> Any:
    """Open a unit of work of one tenant that only reads."""
    return database.unit(reading=True, scope={"tenant": tenant})


async def test_a_page_answers_the_same_in_every_way(stones: Database) -> None:
    """As table rows, responses and JSON, and with the same cursors each time."""
    async with reading(stones) as unit:
        service = StoneService(unit)
        rows = await service.cursor_page(sort="-weight", limit=3)
        page = await service.cursor_page(sort="-weight", limit=3, into=StoneOut)
        body = await service.cursor_page_json(sort="-weight", limit=3, into=StoneOut)
    assert (rows.next, rows.previous) == (page.next, page.previous)
    assert [row.id for row in rows.items] == [item.id for item in page.items]
    assert page.model_dump_json().encode() == body
    assert page == CursorPage[StoneOut].model_validate_json(body)


async def test_a_cursor_belongs_to_its_list(stones: Database) -> None:
    """Another sort, filter, value, tenant or kind of row is another list; another limit is not."""
    async with reading(stones) as unit:
        service = StoneService(unit)
        first = await service.cursor_page(sort="weight", limit=2, weight__gte=0)
        same: dict[str, Any] = {"sort": "weight", "cursor": first.next, "weight__gte": 0}
        assert 5 == len((await service.cursor_page(**same, limit=5)).items)
        for other in (
            {"sort": "-weight"}, {"sort": None}, {"sort": "weight,tenant"}, {"sort": "weight,-id"},
            {"weight__gte": 1}, {"weight__lte": 9}, {"include_deleted": True},
        ):  # fmt: skip
            with pytest.raises(CursorError):
                await service.cursor_page(**{**same, **other})
        with pytest.raises(CursorError):
            await service.cursor_page(sort="weight", cursor=first.next)
    async with reading(stones, tenant=1) as unit:
        with pytest.raises(CursorError):
            await StoneService(unit).cursor_page(**same)


async def test_a_cursor_knows_the_values_of_expressions(stones: Database) -> None:
    """SQLAlchemy's filters are told apart by their SQL and by their values."""
    weight: Any = Stone.weight
    async with reading(stones) as unit:
        service = StoneService(unit)
        for more, less in (
            (weight >= 1, weight >= 2),
            (weight.in_([1, 2, 3]), weight.in_([1, 2])),
            (any_of(weight < 4, weight > 2), any_of(weight < 4, weight > 3)),
        ):
            first = await service.cursor_page(more, limit=1)
            assert 1 == len((await service.cursor_page(more, limit=1, cursor=first.next)).items)
            with pytest.raises(CursorError):
                await service.cursor_page(less, limit=1, cursor=first.next)


async def test_a_place_outlives_its_row(stones: Database) -> None:
    """Where a row was removed, and all that follow, the way goes on, and back."""
    async with reading(stones) as unit:
        ids = [item.id for item in (await StoneService(unit).cursor_page(into=StoneOut)).items]
        first = await StoneService(unit).cursor_page(limit=4, into=StoneOut)
    async with stones.engine.begin() as connection:
        await connection.execute(delete(TABLE).where(TABLE.c.id > ids[2]))
    async with reading(stones) as unit:
        service = StoneService(unit)
        empty = await service.cursor_page(limit=4, cursor=first.next, into=StoneOut)
        assert ([], None) == (empty.items, empty.next)
        back = await service.cursor_page(limit=4, cursor=empty.previous, into=StoneOut)
        assert ids[:3] == [item.id for item in back.items]
        assert back.previous is None
        assert back.next is not None


async def test_an_empty_page_leads_to_the_row_it_came_from(stones: Database) -> None:
    """The row at the end is on the page before an empty one, and not lost between the two."""
    async with reading(stones) as unit:
        service = StoneService(unit)
        first = await service.cursor_page(limit=9, into=StoneOut)
        last = await service.cursor_page(limit=9, cursor=first.next, into=StoneOut)
        assert 1 == len(last.items)
    async with stones.engine.begin() as connection:
        await connection.execute(delete(TABLE).where(TABLE.c.id == last.items[0].id))
    async with reading(stones) as unit:
        service = StoneService(unit)
        empty = await service.cursor_page(limit=9, cursor=first.next, into=StoneOut)
        assert [] == empty.items
        again = await service.cursor_page(limit=9, cursor=empty.previous, into=StoneOut)
        assert first.items == again.items
        # And the other way round: nothing before the start, so what follows includes it.
        start = await service.cursor_page(limit=9, cursor=last.previous, into=StoneOut)
        assert first.items == start.items


async def test_pages_and_streams_are_checked(stones: Database) -> None:
    """A bad limit, sort, cursor or batch is refused before anything is read."""
    async with reading(stones) as unit:
        service = StoneService(unit)
        with pytest.raises(PageError, match="limit is 0"):
            await service.cursor_page(limit=0)
        with pytest.raises(PageError, match="limit is 1001"):
            await service.cursor_page_json(limit=1001, into=StoneOut)
        with pytest.raises(SortError):
            await service.cursor_page(sort="colour")
        with pytest.raises(CursorError):
            await service.cursor_page(cursor="")
        with pytest.raises(SortError):
            _ = [part async for part in service.stream_json(sort="colour", into=StoneOut)]


async def test_a_long_text_is_no_place(stones: Database) -> None:
    """It would not fit into an address, and MariaDB does not sort by all of it."""
    await add(stones, [{"tenant": 0, "weight": 1, "story": "x" * 1001}] * 2)
    async with reading(stones) as unit:
        service = StoneService(unit)
        with pytest.raises(SortError, match=r"A row has more than \d+ characters in 'story'"):
            await service.cursor_page(sort="-story", limit=1)
        # Nothing has to be followed on a page that is the only one.
        assert (await service.cursor_page(sort="-story", limit=50)).next is None


async def test_a_secret_is_asked_for_at_once(database_url: str) -> None:
    """Also where one page holds everything: the list would fail on the day that it grows."""
    database = Database(database_url)
    await database.create_all()
    async with reading(database) as unit:
        with pytest.raises(ConfigError, match="Cursors need a secret") as caught:
            await StoneService(unit).cursor_page()
        assert "DB_CURSOR_SECRET" in str(caught.value)
        assert [] == [item async for item in StoneService(unit).stream(into=StoneOut)]
    await database.close()


async def test_a_database_in_memory_needs_no_secret() -> None:
    """Nobody else has its rows."""
    database = Database("sqlite://")
    await database.create_all()
    await add(database, [{"tenant": 0, "weight": 1}] * 2)
    async with reading(database) as unit:
        first = await StoneService(unit).cursor_page(limit=1)
        assert 1 == len((await StoneService(unit).cursor_page(limit=1, cursor=first.next)).items)
    await database.close()


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_short_secret_is_refused(secret: str) -> None:
    """It could be guessed; the message does not show it."""
    with pytest.raises(ConfigError, match="DB_CURSOR_SECRET") as caught:
        DatabaseSettings(cursor_secret=secret)
    assert not secret or secret not in str(caught.value)
    assert SECRET not in repr(DatabaseSettings(cursor_secret=SECRET))


async def test_a_page_is_read_by_one_statement_that_is_compiled_once(stones: Database) -> None:
    """Pages of one form share what was compiled, whatever their values."""

    class Counted(StoneService):
        """A service whose statements are its own."""

    async with reading(stones) as unit:
        service = Counted(unit)
        page = await service.cursor_page(sort="weight", limit=1, into=StoneOut)
        for limit in (1, 2):
            page = await service.cursor_page(
                sort="weight", limit=limit, cursor=page.next, into=StoneOut
            )
        assert 2 == len(Counted._statements._kept)


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["weight", "-weight,id"])
async def test_rows_that_stay_are_walked_once_each(
    stones: Database, engine_name: str, sort: str
) -> None:
    """100,000 rows while another task adds and removes: none is lost, and none repeated."""
    dice = random.Random(7)  # noqa: S311 - rows need no secret randomness
    rows = [{"tenant": 0, "weight": dice.randrange(2000)} for _ in range(WALKED)]
    for start in range(0, WALKED, 5000):
        await add(stones, rows[start : start + 5000])
    async with stones.engine.connect() as connection:
        everything = select(TABLE.c.id).where(TABLE.c.tenant == 0)
        ids = set((await connection.execute(everything)).scalars())
    leaving = sorted(ids)[::97]
    stays = ids - set(leaving)
    done = asyncio.Event()

    async def disturb() -> int:
        changes = 0
        while not done.is_set():
            gone = [leaving.pop() for _ in range(min(5, len(leaving)))]
            async with stones.engine.begin() as connection:
                await connection.execute(delete(TABLE).where(TABLE.c.id.in_(gone)))
            await add(stones, [{"tenant": 0, "weight": dice.randrange(2000)} for _ in range(5)])
            changes += 1
        return changes

    disturbing = asyncio.create_task(disturb())
    seen: list[int] = []
    cursor: str | None = None
    try:
        while True:
            async with reading(stones) as unit:
                page = await StoneService(unit).cursor_page(
                    sort=sort, limit=1000, cursor=cursor, into=StoneOut
                )
            seen += [item.id for item in page.items]
            cursor = page.next
            if cursor is None:
                break
    finally:
        done.set()
    assert await disturbing > 10
    assert len(seen) == len(set(seen))
    assert set() == stays - set(seen)


@pytest.mark.slow
async def test_an_export_takes_constant_memory(stones: Database) -> None:
    """20,000 rows in any sort, and less than 20 MiB more at any time."""
    for _ in range(4):
        await add(stones, [{"tenant": 0, "weight": n % 7} for n in range(5000)])
    number = 0
    async with reading(stones) as unit:
        lines = StoneService(unit).stream_json(sort="-weight", into=StoneOut)
        await anext(lines)
        tracemalloc.start()
        async for part in lines:
            number += part.count(b"\n")
            assert 0 == stones.pool_status()["in_use"]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert 20_010 - 500 == number
    assert peak < 20 * 2**20
