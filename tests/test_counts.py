"""Counting a page: exactly, not at all, up to a bound, or by the planner's guess."""

from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from sqlmodelkit import ConfigError, CountedPage, Database
from sqlmodelkit.fastapi import crud_router
from tests.test_walks import Stone, StoneOut, StoneService, add, reading


class FewService(StoneService):
    """Counts no more than six rows."""

    count_cap = 6


@pytest.fixture
async def stones(database: Database) -> Database:
    """Ten stones of a tenant, two of another one, and one that was removed."""
    await database.create_all()
    await add(database, [{"tenant": 0, "weight": n} for n in range(10)])
    await add(database, [{"tenant": 1, "weight": n} for n in range(2)])
    async with database.transaction(scope={"tenant": 0}) as session:
        await StoneService(session).delete(10)
    return database


async def counted(service: StoneService, count: Any, **options: Any) -> tuple[int | None, str]:
    """Return a total and what it is, the same in every way to read."""
    page = await service.page(count=count, into=StoneOut, **options)
    assert isinstance(page, CountedPage)
    assert page.model_dump_json().encode() == await service.page_json(
        count=count, into=StoneOut, **options
    )
    assert page.total == (await service.page(count=count, **options)).total
    return page.total, page.total_is


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"limit": 2}, (6, "at_least"), id="more than the cap"),
        pytest.param({"limit": 2, "weight__lt": 6}, (6, "exact"), id="just the cap"),
        pytest.param({"limit": 2, "weight__lt": 4}, (4, "exact"), id="fewer"),
        pytest.param({"limit": 3, "offset": 5}, (8, "at_least"), id="seen beyond the cap"),
        pytest.param({"limit": 3, "offset": 100}, (6, "at_least"), id="past the end"),
        pytest.param({"limit": 20}, (9, "exact"), id="a page that is not full"),
        pytest.param(
            {"limit": 2, "include_deleted": True, "weight__gte": 8}, (2, "exact"), id="all"
        ),
    ],
)
async def test_a_capped_count_says_when_there_are_more(
    stones: Database, options: dict[str, Any], expected: tuple[int, str]
) -> None:
    """It counts no rows of another tenant and no removed ones, and no more than it may."""
    async with reading(stones) as unit:
        assert expected == await counted(FewService(unit), "capped", **options)


async def test_an_estimate_is_the_planner_s(stones: Database, engine_name: str) -> None:
    """PostgreSQL guesses by its statistics; the others count up to the cap, and say so."""
    await add(stones, [{"tenant": 0, "weight": 50} for _ in range(2000)])
    if engine_name == "postgresql":
        async with stones.engine.begin() as connection:
            await connection.execute(text("ANALYZE walk_stone"))
    weight: Any = Stone.weight
    async with reading(stones) as unit:
        service = FewService(unit)
        total, total_is = await counted(service, "estimated", limit=2, weight=50)
        if engine_name == "postgresql":
            assert "estimate" == total_is
            assert 1500 < (total or 0) < 2500
        else:
            assert (6, "at_least") == (total, total_is)
        assert (9, "exact") == await counted(service, "estimated", limit=20, weight__lt=10)
        # An expression of SQLAlchemy's is counted: it may hold what cannot be explained.
        page: Any = await service.page(weight == 50, count="estimated", limit=2)
        assert (6, "at_least") == (page.total, page.total_is)


async def test_an_estimate_is_never_below_what_was_seen(stones: Database) -> None:
    """Statistics may be older than the rows."""
    await add(stones, [{"tenant": 0, "weight": 60} for _ in range(50)])
    async with reading(stones) as unit:
        page = await FewService(unit).page(count="estimated", limit=10, offset=30)
        assert 40 <= (page.total or 0)


async def test_an_estimate_past_the_end_is_not_what_was_skipped(stones: Database) -> None:
    """No row has been seen there: the statistics of an empty table may say many, or few."""
    async with reading(stones) as unit:
        service = FewService(unit)
        page = await service.page(count="estimated", limit=10, offset=9000)
        assert 1000 > (page.total or 0)
        page = await service.page(count="estimated", limit=10, offset=12)
        assert 12 >= (page.total or 0)


async def test_an_unknown_way_to_count_is_refused(stones: Database) -> None:
    """A typo would otherwise be an expensive count."""
    async with reading(stones) as unit:
        calls: list[Any] = [StoneService(unit).page, StoneService(unit).page_json]
        for call in calls:
            with pytest.raises(ConfigError, match="There is no way to count by 'precise'"):
                await call(count="precise", into=StoneOut)
    with pytest.raises(ConfigError, match="There is no way to count"):
        crud_router(StoneService, operations=["list"], count="precise")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "shown"), [("capped", True), ("estimated", True), ("none", False)]
)
def test_a_router_shows_what_its_totals_are(count: Any, shown: bool) -> None:
    """In the model of its answers."""
    router = crud_router(StoneService, operations=["list"], count=count)
    model: Any = router.routes[0].response_model  # type: ignore[attr-defined]
    assert issubclass(model, BaseModel)
    assert shown is ("total_is" in model.model_fields)
