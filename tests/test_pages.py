"""Sorts as SQL text for three databases, and the bounds of pages."""

from typing import Any

import pytest
from sqlalchemy import Dialect, select
from sqlalchemy.dialects.mysql import asyncmy
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlmodel import SQLModel

from sqlmodelkit.errors import PageError, SortError
from sqlmodelkit.pages import MAX_LIMIT, MAX_OFFSET, Page, check_page, order_by
from tests.tables import Club, Mastery, Player, Trophy

DIALECTS: dict[str, Dialect] = {
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
    "sqlite": aiosqlite.dialect(),
    "mysql": asyncmy.dialect(),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def order(model: type[SQLModel], sort: Any, dialect: str = "postgresql", **options: Any) -> str:
    """Return the ORDER BY in one line, without the table's name."""
    statement = select(model).order_by(*order_by(model, sort, dialect=dialect, **options))
    text = str(statement.compile(dialect=DIALECTS[dialect]))
    table = f"{model.__tablename__}."
    return text.rpartition("ORDER BY ")[2].replace(table, "")


@every_dialect
def test_fields_that_are_never_null_are_sorted_alike(dialect: str) -> None:
    """A minus before the name descends."""
    assert order(Player, "-shirt,name", dialect) == "shirt DESC, name ASC, id"


@pytest.mark.parametrize(
    ("dialect", "ascending", "descending"),
    [
        ("postgresql", "score ASC, id", "score DESC, id"),
        ("sqlite", "score IS NULL ASC, score ASC, id", "score IS NULL DESC, score DESC, id"),
        ("mysql", "score IS NULL ASC, score ASC, id", "score IS NULL DESC, score DESC, id"),
    ],
)
def test_nulls_are_the_greatest_everywhere(dialect: str, ascending: str, descending: str) -> None:
    """Last when ascending, first when descending: PostgreSQL's way, on the others too."""
    assert order(Player, "score", dialect) == ascending
    assert order(Player, "-score", dialect) == descending


@pytest.mark.parametrize(
    ("model", "sort", "expected"),
    [
        pytest.param(Player, None, "id", id="nothing asked"),
        pytest.param(Player, [], "id", id="an empty list"),
        pytest.param(Mastery, None, "player_id, skill_id", id="composite"),
        pytest.param(Mastery, "-skill_id", "skill_id DESC, player_id", id="a part was named"),
        pytest.param(Player, "-id", "id DESC", id="the key was named"),
        pytest.param(Trophy, "holder", "held_by ASC, year", id="another column name"),
    ],
)
def test_the_key_ends_every_order(model: type[SQLModel], sort: Any, expected: str) -> None:
    """The order is total: rows that are otherwise equal come in the same order every time."""
    assert order(model, sort) == expected


@pytest.mark.parametrize(
    "sort", ["-shirt,name", "-shirt, name", ["-shirt", "name"], ("-shirt", " name ")]
)
def test_a_sort_is_a_text_or_a_list(sort: Any) -> None:
    """Spaces do not count."""
    assert order(Player, sort) == "shirt DESC, name ASC, id"


@pytest.mark.parametrize(
    "name",
    [
        "nickname",
        "club",
        "club__name",
        "title",
        "Name",
        "--name",
        "+name",
        "name desc",
        "__class__",
    ],
)
def test_an_unknown_field_is_refused_with_those_there_are(name: str) -> None:
    """Relations, properties and SQL are no fields."""
    with pytest.raises(SortError) as caught:
        order(Player, name)
    assert caught.value.message.startswith("Player cannot be sorted by ")
    assert caught.value.fields == (name.removeprefix("-"),)
    assert str(caught.value.hint).startswith("Fields are version, deleted_at, id, name, ")


def test_a_field_without_an_order_is_refused() -> None:
    """PostgreSQL cannot sort by json; the others would sort by its text."""
    with pytest.raises(SortError, match="Club cannot be sorted by 'facts'") as caught:
        order(Club, "facts")
    assert "facts" not in str(caught.value.hint)


@pytest.mark.parametrize("sort", ["name,name", "name,-name", ["-name", "shirt", "name"]])
def test_a_field_named_twice_is_refused(sort: Any) -> None:
    """The second would do nothing: a mistake, then."""
    with pytest.raises(SortError, match="The sort names 'name' twice"):
        order(Player, sort)


@pytest.mark.parametrize("sort", ["", ",", "name,", "name,,shirt", " ", [""]])
def test_an_empty_name_is_refused(sort: Any) -> None:
    """The message shows how a sort is written."""
    with pytest.raises(SortError, match=r"The sort has an empty name\. Write it as -price,name\."):
        order(Player, sort)


def test_a_minus_alone_is_refused() -> None:
    """It names no field."""
    with pytest.raises(SortError):
        order(Player, "-")


def test_more_fields_than_allowed_are_refused() -> None:
    """Eight are enough for every list."""
    names = ["version", "deleted_at", "name", "email", "shirt", "score", "signed_at", "club_id"]
    assert order(Player, names).startswith("version ASC, deleted_at ASC")
    with pytest.raises(SortError, match="more than 8 fields"):
        order(Player, [*names, "level"])


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (MAX_LIMIT, MAX_OFFSET)])
def test_a_page_within_bounds_passes(limit: int, offset: int) -> None:
    """The bounds themselves are allowed."""
    check_page(limit, offset)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
def test_a_limit_out_of_bounds_is_refused(limit: int) -> None:
    """The message names the limit, what was given and what is allowed."""
    with pytest.raises(PageError) as caught:
        check_page(limit, 0)
    assert caught.value.message == f"limit is {limit}; it must be between 1 and {MAX_LIMIT}."
    assert caught.value.fields == ("limit",)


@pytest.mark.parametrize("offset", [-1, MAX_OFFSET + 1])
def test_an_offset_out_of_bounds_is_refused(offset: int) -> None:
    """A far offset reads all the rows before it."""
    with pytest.raises(PageError) as caught:
        check_page(1, offset)
    assert caught.value.message == f"offset is {offset}; it must be between 0 and {MAX_OFFSET}."
    assert caught.value.fields == ("offset",)


def test_the_greatest_limit_can_be_another() -> None:
    """Code may ask for more than clients."""
    check_page(1000, 0, max_limit=1000)
    with pytest.raises(PageError, match="between 1 and 10"):
        check_page(11, 0, max_limit=10)


class Line(SQLModel):
    """An item of a page."""

    name: str


def test_a_page_is_a_model() -> None:
    """It reads attributes, prints JSON, and says in its schema what its numbers mean."""
    page = Page[Line](items=[Line(name="A")], total=None, limit=1, offset=0)
    assert page.model_dump_json() == '{"items":[{"name":"A"}],"total":null,"limit":1,"offset":0}'
    assert Page[Line].model_validate(page) == page
    schema = Page[Line].model_json_schema()
    assert schema["required"] == ["items", "total", "limit", "offset"]
    assert schema["properties"]["total"]["description"] == (
        "Matching rows in all; null when not counted."
    )
