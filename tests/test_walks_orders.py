"""Walking through rows of every kind, in any order: generated, on each engine."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, Time, delete, insert
from sqlmodel import Field, SQLModel

from sqlmodelkit import CursorPage, Database, DatabaseSettings, ServiceBase
from sqlmodelkit.keysets import total_order

SECRET = "a secret of the tests, long enough to be one"
EXAMPLES = 60


class StepGrade(Enum):
    """Declared in another order than that of its names."""

    MIDDLE = "m"
    LOW = "l"
    HIGH = "h"


class Step(SQLModel, table=True):
    """A composite key, and a column of every kind that has an order."""

    __tablename__ = "walk_step"  # pyright: ignore[reportAssignmentType]

    region: str = Field(primary_key=True, max_length=4)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(max_length=8)
    size: int = Field(sa_type=BigInteger)
    alias: str | None = Field(default=None, max_length=8)
    ratio: float | None = None
    amount: Decimal | None = Field(default=None, max_digits=20, decimal_places=4)
    at: datetime | None = None
    day: date | None = None
    hour: time | None = Field(default=None, sa_column=Column(Time()))
    grade: StepGrade | None = None
    flag: bool | None = None
    token: UUID | None = None


class StepOut(BaseModel):
    """What is shown: none of what it is sorted by, but the key."""

    region: str
    number: int


class Untouched(SQLModel):
    """Nothing is written by the service."""


class StepService(ServiceBase[Step, Untouched, Untouched]):
    """Reads steps."""

    public = StepOut


FIELDS = list(Step.model_fields)


def few(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Values with many ties, and NULL."""
    return st.sampled_from([None, *values])


TEXTS = ["", "a", "A", "ä", "b", "B ", "b", "é", "ß", "ss", "\U0001f40e", "'%_"]
ROWS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(TEXTS),
        "size": st.sampled_from([0, -(2**63), 2**63 - 1, 2**53, 2**53 + 1]),
        "alias": few(TEXTS),
        "ratio": st.one_of(
            few([0.0, -0.0, 0.1, 0.2, 0.1 + 0.2, 0.3, 1 / 3, 1.5e-7, -2.5, 1e22]),
            st.floats(-1e30, 1e30, allow_subnormal=False),
        ),
        "amount": few(
            [Decimal("0.1"), Decimal("0.1000"), Decimal("1234567890123456.7891"),
             Decimal("1234567890123456.7892"), Decimal(-1)]
        ),
        "at": few(
            [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
             datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
        ),
        "day": few([date(2026, 1, 1), date(2026, 1, 2), date(1, 1, 1)]),
        "hour": few([time(0), time(0, 0, 0, 1), time(23, 59, 59)]),
        "grade": few(list(StepGrade)),
        "flag": few([True, False]),
        "token": few([UUID(int=0), UUID(int=2**128 - 1), UUID("10000000-0000-1000-8000-000000000001"),
                      UUID("00000001-0000-4000-8000-000000000000")]),
    }
)  # fmt: skip


@st.composite
def sorts(draw: st.DrawFn) -> tuple[str, ...]:
    """Any columns, each in a direction of its own."""
    names = draw(st.lists(st.sampled_from(FIELDS), max_size=4, unique=True))
    one_way = draw(st.sampled_from(["", "-", None]))
    signs = [draw(st.sampled_from(["", "-"])) if one_way is None else one_way for _ in names]
    return tuple(sign + name for sign, name in zip(signs, names, strict=True))


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def db(database_url: str, loop: asyncio.Runner) -> Iterator[Database]:
    """A database with the table, still empty."""
    database = Database(settings=DatabaseSettings(url=database_url, cursor_secret=SECRET))
    loop.run(database.create_all())
    yield database
    loop.run(database.close())


async def fill(db: Database, rows: Sequence[dict[str, Any]]) -> None:
    """Put these rows in the place of all others."""
    async with db.transaction() as session:
        connection = await session.connection()
        await connection.execute(delete(Step))
        for number, row in enumerate(rows):
            key = {"region": "ba"[number % 2], "number": number // 2}
            await connection.execute(insert(Step.__table__).values(**row, **key))  # type: ignore[attr-defined]


Read = Callable[[StepService, str | None], Any]


def _keys(items: Sequence[Any]) -> list[tuple[str, int]]:
    return [(item.region, item.number) for item in items]


def ways(sort: Sequence[str], limit: int) -> dict[str, Read]:
    """Return the ways to read a page."""

    async def as_rows(steps: StepService, cursor: str | None) -> Any:
        return await steps.cursor_page(sort=sort, limit=limit, cursor=cursor)

    async def as_responses(steps: StepService, cursor: str | None) -> Any:
        return await steps.cursor_page(sort=sort, limit=limit, cursor=cursor, into=StepOut)

    async def as_json(steps: StepService, cursor: str | None) -> Any:
        body = await steps.cursor_page_json(sort=sort, limit=limit, cursor=cursor, into=StepOut)
        return CursorPage[StepOut].model_validate_json(body)

    return {"rows": as_rows, "responses": as_responses, "json": as_json}


async def walk(db: Database, sort: Sequence[str], limit: int, most: int) -> None:
    """Go through the rows forward and back, in every way, and compare."""
    async with db.unit(reading=True) as unit:
        steps = StepService(unit)
        order = total_order(Step, sort)
        expected = _keys(await steps.all(sort=order, limit=1000))
        for name, read in ways(sort, limit).items():
            page = await read(steps, None)
            assert page.previous is None
            pages = [page]
            while page.next is not None:
                assert limit == len(page.items)
                page = await read(steps, page.next)
                pages.append(page)
                assert len(pages) <= most + 1
            assert expected == [key for page in pages for key in _keys(page.items)], name
            back = [pages[-1]]
            while back[-1].previous is not None:
                back.append(await read(steps, back[-1].previous))
                assert back[-1].next is not None
                assert len(back) <= most + 1
            assert expected == [key for page in back[::-1] for key in _keys(page.items)], name
        streamed = [step async for step in steps.stream(sort=sort, batch=limit, into=StepOut)]
        assert expected == _keys(streamed)
        lines = b"".join(
            [part async for part in steps.stream_json(sort=sort, batch=limit, into=StepOut)]
        )
        assert expected == _keys([StepOut(**json.loads(line)) for line in lines.splitlines()])


@pytest.mark.slow
def test_walking_gives_the_whole_list_in_its_order(db: Database, loop: asyncio.Runner) -> None:
    """Forward and back, in every way to read, with NULLs, ties, and any directions."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(rows=st.lists(ROWS, max_size=12), sort=sorts(), limit=st.integers(1, 4))
    def check(rows: list[dict[str, Any]], sort: tuple[str, ...], limit: int) -> None:
        loop.run(fill(db, rows))
        loop.run(walk(db, sort, limit, len(rows)))

    check()
