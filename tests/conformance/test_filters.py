"""A condition that is not understood must never be left out, and text is no pattern."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from sqlmodelkit import Database, FilterError, IntKey, ServiceBase, any_of, search, where
from sqlmodelkit.filters import Filter
from tests.conformance.guarding import guards
from tests.world import Volume, VolumeService, WriterService, add_volume, add_writer, is_postgresql


async def titles(database: Database, *filters: Filter, **conditions: Any) -> list[str]:
    """Return the titles of the volumes that match, sorted."""
    async with database.session() as session:
        rows: list[Volume]
        rows = await VolumeService(session).all(*filters, sort="title", **conditions)
    return [row.title for row in rows]


@guards(
    "`between` hands both bounds over as one argument and fails on every use.", seen_in="recipes"
)
async def test_between_takes_both_bounds(world: Database) -> None:
    """Bounds included; a pair the wrong way round is refused, since it would match nothing."""
    for stars in range(1, 6):
        await add_volume(world, str(stars), stars=stars)
    assert ["2", "3", "4"] == await titles(world, stars__between=(2, 4))
    with pytest.raises(FilterError):
        await titles(world, stars__between=(4, 2))


@guards("Lists and ranges inside an OR are refused, so they cannot be combined.", seen_in="recipes")
@guards(
    "An OR is a mapping by operator, so the same operator cannot be used twice.", seen_in="recipes"
)
async def test_an_or_takes_every_operator_many_times(world: Database) -> None:
    """`in`, `not_in`, `between`, and one operator twice on one field."""
    for stars in range(1, 7):
        await add_volume(world, str(stars), stars=stars)
    mixed = any_of(where(stars__in=[1, 2]), where(stars__between=(5, 6)))
    assert ["1", "2", "5", "6"] == await titles(world, mixed)
    assert ["1", "6"] == await titles(world, any_of(where(stars__lt=2), where(stars__gt=5)))
    twice = any_of(where(title__contains="3"), where(title__contains="4"))
    assert ["3", "4"] == await titles(world, twice)
    assert ["1", "6"] == await titles(world, any_of(where(stars__not_in=[2, 3, 4, 5])))


@guards(
    "An unknown operator is dropped with a warning, and the answer is wider.",
    seen_in="sqlalchemy-crud-plus",
)
@guards(
    "A condition on an unknown column is dropped; a delete by it emptied the table.",
    seen_in="recipes",
)
@pytest.mark.parametrize("typo", ["titel", "title__zz", "writer__nmae", "title__eq__eq"])
async def test_a_typing_error_is_an_error(world: Database, typo: str) -> None:
    """On every verb that takes conditions, beside a condition that is right."""
    conditions: dict[str, Any] = {"title": "Dune", typo: "x"}
    await add_volume(world, "Dune")
    async with world.transaction() as session:
        volumes = VolumeService(session)
        verbs: list[Any] = [volumes.all, volumes.count, volumes.exists, volumes.find, volumes.page]
        for verb in verbs:
            with pytest.raises(FilterError) as caught:
                await verb(**conditions)
            assert (typo,) == caught.value.fields
    assert 1 == len(await titles(world))


@guards(
    "A filter that a client misspells is ignored, and every row is answered.",
    seen_in="fastapi-filter",
)
async def test_a_mistyped_query_parameter_is_422(client: httpx2.AsyncClient) -> None:
    """And the answer names what is allowed."""
    for query in ("name__zz=1", "nmae=x", "name_=x", "Name=x"):
        answer = await client.get(f"/writers?{query}")
        assert 422 == answer.status_code
        assert query.partition("=")[0] == answer.json()["detail"][0]["loc"][1]
        assert "name__icontains" in answer.json()["detail"][0]["msg"]


@guards(
    "`%` and `_` in a search text match everything.", seen_in="FastCRUD, fastapi-filter, recipes"
)
async def test_text_is_no_pattern(world: Database) -> None:
    """In none of the operators that look for a text."""
    for title in ("100%", "a_b", "axb", "a/b", "a\\b"):
        await add_volume(world, title)
    for form in ("contains", "icontains"):
        assert ["100%"] == await titles(world, **{f"title__{form}": "%"})
        assert ["a_b"] == await titles(world, **{f"title__{form}": "_"})
        assert ["a/b"] == await titles(world, **{f"title__{form}": "/"})
        assert ["a\\b"] == await titles(world, **{f"title__{form}": "\\"})
    for form in ("startswith", "istartswith"):
        assert ["a_b"] == await titles(world, **{f"title__{form}": "a_"})
        assert [] == await titles(world, **{f"title__{form}": "%"})
    for form in ("endswith", "iendswith"):
        assert ["a_b"] == await titles(world, **{f"title__{form}": "_b"})


@guards("`iendswith` looks at the start of the text.", seen_in="Advanced Alchemy")
async def test_iendswith_looks_at_the_end(world: Database) -> None:
    """Without regard to case."""
    await add_volume(world, "Dune Messiah")
    await add_volume(world, "Messiah of Dune")
    assert ["Messiah of Dune"] == await titles(world, title__iendswith="DUNE")


@guards(
    "A comparison of dates compares texts, since a cast does nothing.", seen_in="Advanced Alchemy"
)
async def test_times_are_compared_as_times(world: Database) -> None:
    """Also when the offsets differ, and the texts sort the other way."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    await add_volume(world, "early", printed_at=noon)
    await add_volume(world, "late", printed_at=noon + timedelta(hours=1))
    assert ["late"] == await titles(world, printed_at__gt="2026-01-01T14:30:00+02:00")
    assert ["early"] == await titles(world, printed_at="2026-01-01T14:00:00+02:00")


@guards("A time without an offset as query parameter is a 500.", seen_in="SQLModel")
async def test_a_naive_time_is_422(client: httpx2.AsyncClient) -> None:
    """In a filter, and in a body."""
    filtered = await client.get("/volumes?printed_at__gt=2026-01-01T00:00:00")
    assert 422 == filtered.status_code
    assert ["query", "printed_at__gt"] == filtered.json()["detail"][0]["loc"]
    made = await client.post("/volumes", json={"title": "x", "printed_at": "2026-01-01T00:00:00"})
    assert 422 == made.status_code


@guards(
    "Rows can be filtered by a column that no answer shows, letter by letter.",
    seen_in="FastCRUD, Advanced Alchemy",
)
@guards(
    "A list can be sorted by a password, and so tells it.",
    seen_in="FastCRUD, Advanced Alchemy, fastapi-filter",
)
async def test_a_hidden_column_cannot_be_filtered_by(
    client: httpx2.AsyncClient, world: Database
) -> None:
    """Nor sorted, by any spelling."""
    await add_writer(world)
    for query in ("secret=canary", "secret__startswith=c", "sort=secret", "sort=-name,-secret"):
        assert 422 == (await client.get(f"/writers?{query}")).status_code


@guards("Full-text search on SQLite fails in the middle of a statement.", seen_in="recipes")
async def test_full_text_search_is_a_result_or_a_clear_refusal(world: Database) -> None:
    """Before anything is sent, where the table has no index for it."""
    if is_postgresql(world):
        await add_volume(world, "The dunes")
        assert ["The dunes"] == await titles(world, title__match="dunes")
        return
    with pytest.raises(FilterError):
        await titles(world, title__match="dunes")


@guards("An empty list in `in` is a syntax error, or is left out.", seen_in="recipes")
async def test_an_empty_list_matches_nothing(world: Database) -> None:
    """And `not_in` of nothing leaves nothing out."""
    await add_volume(world, "Dune")
    assert [] == await titles(world, title__in=[])
    assert ["Dune"] == await titles(world, title__not_in=[])


@guards("A list is as long as the client likes, up to the database's limit.", seen_in="recipes")
async def test_lists_and_conditions_are_bounded(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """In Python and over HTTP."""
    with pytest.raises(FilterError):
        await titles(world, stars__in=list(range(501)))
    query = "&".join(f"stars__in={number}" for number in range(101))
    assert 422 == (await client.get(f"/volumes?{query}")).status_code


@guards(
    "Conditions on a collection join it, and a row comes once for each match.", seen_in="recipes"
)
async def test_a_condition_on_a_collection_repeats_no_row(world: Database) -> None:
    """Nor does it count one twice."""
    key = await add_writer(world, volumes=3)
    async with world.session() as session:
        writers = WriterService(session)
        assert [key] == [row.id for row in await writers.all(volumes__stars=3)]
        page = await writers.page(volumes__chapters__title__startswith="O", limit=1)
        assert (1, 1) == (page.total, len(page.items))


class GuardedGear(IntKey, table=True):
    """A table with a JSON column."""

    __tablename__ = "g_gear"  # pyright: ignore[reportAssignmentType]

    facts: dict[str, Any] | None = Field(default=None, sa_type=JSON)


class GuardedGearService(ServiceBase[GuardedGear, SQLModel, SQLModel]):
    """Gear."""


@guards("Values inside JSON can be compared on PostgreSQL only.", seen_in="recipes")
@guards("A value inside JSON is compared as text, and 10 is less than 9.", seen_in="recipes")
async def test_values_inside_json_have_types(database: Database) -> None:
    """On every engine alike; a typing error in the operator is an error here as well."""
    table = SQLModel.metadata.tables["g_gear"]
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=[table])
    async with database.transaction() as session:
        facts: list[Any] = [{"size": 9}, {"size": 10}, {"size": "10"}, {"size": None}, {}, None]
        session.add_all([GuardedGear(facts=each) for each in facts])
        await session.flush()
        gear = GuardedGearService(session)
        assert [1, 2] == [row.id for row in await gear.all(facts__path__size__gte=9)]
        assert [3] == [row.id for row in await gear.all(facts__path__size__eq="10")]
        with pytest.raises(FilterError):
            await gear.all(facts__path__size__gtee=9)


@guards(
    "A search over several fields takes `%` for anything, or joins and repeats rows.",
    seen_in="fastapi-filter",
)
async def test_a_search_finds_words_in_fields_and_relations(world: Database) -> None:
    """Each row once, whatever the case, and special characters as they are."""
    await add_writer(world, "Ann 100%", volumes=2)
    await add_writer(world, "Bob", volumes=1)
    async with world.session() as session:
        writers = WriterService(session)
        for words, names in (("ANN two", ["Ann 100%"]), ("0%", ["Ann 100%"]), ("%%", [])):
            found = await writers.all(search(words, ("name", "volumes__chapters__title")))
            assert names == [row.name for row in found]
