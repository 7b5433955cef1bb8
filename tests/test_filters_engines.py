"""Filters on each engine: the rows that SQL finds are those that Python finds."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Index
from sqlmodel import Field, Relationship, SQLModel, col

from sqlmodelkit import (
    Database,
    FilterError,
    IntKey,
    ServiceBase,
    SoftDelete,
    all_of,
    any_of,
    not_,
    search,
    where,
)
from sqlmodelkit.filters import MAX_TEXT, MAX_WILDCARDS, Filter
from tests.world import is_mariadb, is_sqlite

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Hue(Enum):
    """Compared by its value."""

    RED = "red"
    BLUE = "blue"


class Shelf(IntKey, SoftDelete, table=True):
    """What boxes stand on."""

    __tablename__ = "f_shelf"  # pyright: ignore[reportAssignmentType]

    name: str | None = Field(default=None, max_length=40)
    boxes: list["Box"] = Relationship(back_populates="shelf")


class Box(IntKey, table=True):
    """A column of each kind that is compared, most of them nullable."""

    __tablename__ = "f_box"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        Index("ft_f_box_label", "label", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT"),
    )

    label: str | None = Field(
        default=None, max_length=200, sa_column_kwargs={"info": {"match_language": "english"}}
    )
    note: str | None = Field(default=None, max_length=40)
    size: int | None = None
    price: Decimal | None = Field(default=None, max_digits=8, decimal_places=2)
    hue: Hue | None = None
    is_full: bool | None = None
    packed_at: datetime | None = None
    facts: Any = Field(default=None, sa_type=JSON)
    shelf_id: int | None = Field(default=None, foreign_key="f_shelf.id")
    shelf: Shelf | None = Relationship(back_populates="boxes")
    items: list["Parcel"] = Relationship(back_populates="box")


class Parcel(IntKey, table=True):
    """What is in a box."""

    __tablename__ = "f_item"  # pyright: ignore[reportAssignmentType]

    name: str = Field(max_length=40)
    weight: int | None = None
    box_id: int = Field(foreign_key="f_box.id")
    box: Box = Relationship(back_populates="items")


class BoxInput(SQLModel):
    """Nothing is written by these tests' services."""


class BoxService(ServiceBase[Box, BoxInput, BoxInput]):
    """Boxes."""


class ShelfService(ServiceBase[Shelf, BoxInput, BoxInput]):
    """Shelves."""


TABLES = [SQLModel.metadata.tables[name] for name in ("f_shelf", "f_box", "f_item")]
SHELVES = [
    Shelf(id=1, name="top"),
    Shelf(id=2, name=None),
    Shelf(id=3, name="gone", deleted_at=NOON),
]
BOXES = [
    Box(
        id=number,
        label=[None, "fast cars", "a slow car", "100% cotton_wool", "red cars and boats"][
            number % 5
        ],
        note=[None, "ab", "b", "a%b", "a_b", ""][number % 6],
        size=[None, 0, 1, 2, -3][number % 5],
        price=[None, Decimal("0.10"), Decimal("2.50"), Decimal(3)][number % 4],
        hue=[None, Hue.RED, Hue.BLUE][number % 3],
        is_full=[None, True, False][number // 3 % 3],
        packed_at=None if number % 4 == 1 else NOON + timedelta(microseconds=number % 3),
        facts=[
            None,
            {"color": "Red", "size": 3, "on": True, "tags": ["x", "y"], "in": "kept"},
            {"color": "red", "size": 2.5, "on": False, "tags": [], "0": "zero"},
            {"color": None, "size": "3", "on": "true", "deep": {"er": {"a-b": 7}}},
            {"color": 7, "size": [3], "on": 1, "tags": {"0": "key"}},
            ["list", 3],
            {"color": "a'b\"c%", "size": -1, "on": None},
        ][number % 7],
        shelf_id=[None, 1, 2, 3][number % 4],
    )
    for number in range(1, 43)
]
ITEMS = [
    Parcel(
        id=number, name="abc"[number % 3], weight=[None, 1, 5][number % 3], box_id=number % 9 + 1
    )
    for number in range(1, 31)
]


@pytest.fixture
async def boxes(database: Database) -> Database:
    """Rows in which every condition finds some and misses others."""
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=TABLES)
    for rows in (SHELVES, BOXES, ITEMS):
        async with database.transaction() as session:
            session.add_all([type(row)(**row.model_dump()) for row in rows])
    return database


async def found(database: Database, *filters: Any, **conditions: Any) -> list[int]:
    """Return the keys of the boxes that a service finds, and of those that it counts."""
    async with database.session() as session:
        rows = await BoxService(session).all(*filters, limit=1000, **conditions)
        counted = await BoxService(session).count(*filters, **conditions)
    keys = [row.id for row in rows if row.id is not None]
    assert counted == len(keys) == len(set(keys))
    return sorted(keys)


Truth = bool | None
"""SQL's truth: yes, no, or unknown."""


def compared(operator: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    """Make a comparison of Python one of SQL: with NULL it is unknown."""
    return lambda value, given: None if value is None else operator(value, given)


LIKE = {"a%": str.startswith, "%b": str.endswith}
MEANING: dict[str, Callable[[Any, Any], Truth]] = {
    "eq": lambda v, g: v is None if g is None else None if v is None else v == g,
    "ne": lambda v, g: v is not None if g is None else None if v is None else v != g,
    "gt": compared(lambda v, g: v > g),
    "gte": compared(lambda v, g: v >= g),
    "ge": compared(lambda v, g: v >= g),
    "lt": compared(lambda v, g: v < g),
    "lte": compared(lambda v, g: v <= g),
    "le": compared(lambda v, g: v <= g),
    "between": compared(lambda v, g: g[0] <= v <= g[1]),
    "in": lambda v, g: False if not g else None if v is None else v in g,
    "not_in": lambda v, g: True if not g else None if v is None else v not in g,
    "is": lambda v, g: v is g,
    "is_not": lambda v, g: v is not g,
    "like": compared(lambda v, g: LIKE[g](v, g.strip("%"))),
    "not_like": compared(lambda v, g: not LIKE[g](v, g.strip("%"))),
    "startswith": compared(lambda v, g: v.startswith(g)),
    "endswith": compared(lambda v, g: v.endswith(g)),
    "contains": compared(lambda v, g: g in v),
    "icontains": compared(lambda v, g: g.lower() in v.lower()),
    "istartswith": compared(lambda v, g: v.lower().startswith(g.lower())),
    "iendswith": compared(lambda v, g: v.lower().endswith(g.lower())),
}
EQUAL, ORDER = ("eq", "ne"), ("gt", "gte", "ge", "lt", "lte", "le")
PIECES = st.sampled_from(["a", "b", "%", "_", "ab", "a_", "/"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "note": st.sampled_from(["ab", "b", "a%b", "a_b", "", "zz"]),
    "size": st.integers(-4, 3),
    "price": st.sampled_from([Decimal("0.1"), Decimal("2.5"), Decimal(3), Decimal("2.6")]),
    "hue": st.sampled_from([*Hue, "red"]),
    "is_full": st.booleans(),
    "packed_at": st.integers(0, 3).map(lambda n: NOON + timedelta(microseconds=n)),
}


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, str, Any]:
    """Draw a field, an operator that it has, and a value."""
    field = draw(st.sampled_from(sorted(VALUES)))
    value = VALUES[field]
    operators = [*EQUAL, "in", "not_in", "is", "is_not"]
    if field not in ("hue", "is_full", "note"):  # The order of text is its collation's.
        operators += [*ORDER, "between"]
    if field == "note":
        operators += ["like", "not_like", "startswith", "endswith", "contains"]
        operators += ["icontains", "istartswith", "iendswith"]
    operator = draw(st.sampled_from(operators))
    if operator in EQUAL:
        value = value | st.none()
    elif operator in ("is", "is_not"):
        value = st.none() | value if field == "is_full" else st.none()
    elif operator in ("in", "not_in"):
        value = st.lists(value, max_size=3)
    elif operator == "between":
        value = st.tuples(value, value).map(sorted)
    elif operator in ("like", "not_like"):
        value = st.sampled_from(sorted(LIKE))
    elif "with" in operator or "contains" in operator:
        value = PIECES
    return field, operator, draw(value)


TREES: st.SearchStrategy[Any] = st.recursive(
    conditions(),
    lambda trees: st.tuples(st.sampled_from(["any", "all", "not"]), st.lists(trees, max_size=3)),
    max_leaves=6,
)


def filter_of(tree: Any) -> Filter:
    """Return a tree as a filter."""
    if len(tree) == 3:
        field, operator, value = tree
        return where(**{f"{field}__{operator}": value})
    joined = {"any": any_of, "all": all_of, "not": not_}[tree[0]]
    return joined(*map(filter_of, tree[1]))


def truth(tree: Any, row: Box) -> Truth:
    """Tell whether a tree holds for a row, as SQL reckons."""
    if len(tree) == 3:
        field, operator, value = tree
        value = Hue(value) if field == "hue" and isinstance(value, str) else value
        if field == "hue" and isinstance(value, list):
            value = [Hue(one) for one in value]
        return MEANING[operator](getattr(row, field), value)
    truths = [truth(part, row) for part in tree[1]]
    if tree[0] == "any":
        return True if True in truths else None if None in truths else False
    both = False if False in truths else None if None in truths else True
    return both if tree[0] == "all" or both is None else not both


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees=st.lists(TREES, min_size=1, max_size=2))
async def test_sql_finds_what_python_finds(boxes: Database, trees: list[Any]) -> None:
    """Each operator on each kind of column, in groups, NULLs included."""
    expected = [row.id for row in BOXES if all(truth(tree, row) is True for tree in trees)]
    assert expected == await found(boxes, *map(filter_of, trees))


INSIDE: dict[str, tuple[Any, set[int]]] = {
    "facts__path__color__eq": ("red", {2}),
    "facts__path__color__ne": ("red", {1, 6}),
    "facts__path__color__in": (["Red", "red"], {1, 2}),
    "facts__path__color__not_in": (["red"], {1, 6}),
    "facts__path__color__icontains": ("RE", {1, 2}),
    "facts__path__color__contains": ("'b\"c%", {6}),
    "facts__path__color__like": ("r%", {2}),
    "facts__path__color__gt": ("a", {2, 6}),
    "facts__path__color__is": (None, {0, 3, 5}),
    "facts__path__color__is_not": (None, {1, 2, 4, 6}),
    "facts__path__on__eq": (True, {1}),
    "facts__path__on__ne": (True, {2}),
    "facts__path__on__in": ([True, False], {1, 2}),
    "facts__path__size__eq": (3, {1}),
    "facts__path__size__gte": (2.5, {1, 2}),
    "facts__path__size__lt": (Decimal(3), {2, 6}),
    "facts__path__size__between": ([-1, 2.5], {2, 6}),
    "facts__path__size__in": ([3, 2.5], {1, 2}),
    "facts__path__size__ne": (None, {1, 2, 3, 4, 6}),
    "facts__path__tags__0__eq": ("x", {1}),
    "facts__path__tags__1__eq": ("y", {1}),
    "facts__path__deep__er__a-b__eq": (7, {3}),
    "facts__path__1__eq": (3, {5}),
    "facts__path__in__eq": ("kept", {1}),
    "facts__path__nothing__eq": ("x", set()),
}
"""Conditions on a JSON column, and which of the seven values each one finds."""


async def test_a_path_into_json_is_compared_by_type(boxes: Database) -> None:
    """Text with text, numbers with numbers: what is of another type counts as NULL."""
    expected = {}
    results = {}
    for name, (value, kinds) in INSIDE.items():
        expected[name] = [row.id for row in BOXES if (row.id or 0) % 7 in kinds]
        results[name] = await found(boxes, **{name: value})
    assert expected == results
    other = [row.id for row in BOXES if (row.id or 0) % 7 in {1, 6}]
    assert other == await found(boxes, not_(where(facts__path__color__eq="red")))


async def test_a_path_into_json_goes_along_relations_first(boxes: Database) -> None:
    """Through a collection, with its values as parameters of a statement compiled once."""
    async with boxes.session() as session:
        shelves = ShelfService(session)
        for _ in range(2):
            keys = [row.id for row in await shelves.all(boxes__facts__path__on__eq=True)]
            assert keys == [1, 2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("facts__path__color", "red"),
        ("facts__path__color__gtt", 3),
        ("facts__path__color__match", "x"),
        ("facts__path__eq", "red"),
        ("facts__path____eq", "red"),
        ("facts__path__a__b__c__d__e__f__eq", 1),
        ("facts__path__a.b__eq", 1),
        ('facts__path__a"b__eq', 1),
        ("facts__path__a'b__eq", 1),
        ("facts__path__a]b__eq", 1),
        ("facts__path__$__eq", 1),
        (f"facts__path__{'a' * 65}__eq", 1),
        ("facts__path__99999999__eq", 1),
        ("facts__path__color__eq", [1]),
        ("facts__path__color__eq", {"a": 1}),
        ("facts__path__color__in", ["a", 1]),
        ("facts__path__color__in", ["a", None]),
        ("facts__path__color__in", "red"),
        ("facts__path__color__gt", True),
        ("facts__path__color__gt", None),
        ("facts__path__color__is", True),
        ("facts__path__color__like", 3),
        ("facts__path__size__eq", float("nan")),
        ("facts__path__size__eq", 2**53 + 1),
        ("facts__path__size__eq", 10**400),
        ("facts__path__size__eq", Decimal("1e999")),
        ("facts__path__size__eq", Decimal("sNaN")),
        ("facts__path__color__eq", "a\x00"),
        ("label__path__a__eq", 1),
    ],
)
async def test_a_wrong_path_into_json_is_refused(name: str, value: Any) -> None:
    """A mistyped operator must not be taken for a key, nor a step leave the path."""
    database = Database("sqlite://")
    async with database.session() as session:
        with pytest.raises(FilterError) as caught:
            await BoxService(session).all(**{name: value})
    await database.close()
    assert (name,) == caught.value.fields


async def test_a_path_never_multiplies_rows(boxes: Database) -> None:
    """Boxes with several matching items come once, and count as one."""
    expected = sorted({item.box_id for item in ITEMS if item.name in "ab"})
    assert len(expected) < len([item for item in ITEMS if item.name in "ab"])
    assert expected == await found(boxes, items__name__in=["a", "b"])
    assert expected == await found(
        boxes, any_of(where(items__name="a"), where(items__name="b")), items__name__in=["a", "b"]
    )
    heavy = {i.box_id for i in ITEMS if i.weight == 5} & {i.box_id for i in ITEMS if i.name == "a"}
    assert sorted(heavy) == await found(boxes, items__weight=5, items__name="a")


async def test_a_deleted_row_is_not_found_along_a_path(boxes: Database) -> None:
    """The scope holds inside EXISTS too."""
    assert [] == await found(boxes, shelf__name="gone")
    outside = [row.id for row in BOXES if row.shelf_id == 3]
    assert outside
    assert set(outside) <= set(await found(boxes, not_(where(shelf__id__gt=0))))


async def test_a_number_is_compared_as_it_is(boxes: Database) -> None:
    """Neither rounded to the places of its column, nor refused for having too many."""
    prices = [row.price for row in BOXES if row.price is not None]
    async with boxes.session() as session:
        service = BoxService(session)
        for number in map(Decimal, ("0.104", "2.4999", "2.5049", "3.00000001", "1e7", "1e300")):
            found = [
                await service.count(price=number),
                await service.count(price__in=[number]),
                await service.count(price__lt=number),
                await service.count(price__gte=number),
            ]
            below = len([price for price in prices if price < number])
            assert [0, 0, below, len(prices) - below] == found


async def test_the_three_spellings_find_the_same(boxes: Database) -> None:
    """Keywords, groups and SQLAlchemy expressions."""
    expected = [row.id for row in BOXES if row.size is not None and row.size >= 1]
    assert expected == await found(boxes, size__ge=1)
    assert expected == await found(boxes, where(size__gte="1"))
    assert expected == await found(boxes, col(Box.size) >= 1)


async def test_match_finds_words(boxes: Database) -> None:
    """In the language that the column declares, where the database knows one."""
    if is_sqlite(boxes):
        with pytest.raises(FilterError, match="SQLite has no full-text search"):
            await found(boxes, label__match="cars")
        return
    cars = [row.id for row in BOXES if row.label and "cars" in row.label]
    stemmed = [row.id for row in BOXES if row.label and "car" in row.label]
    assert (cars if is_mariadb(boxes) else stemmed) == await found(boxes, label__match="cars")
    assert [] == await found(boxes, label__match="submarine")


async def test_match_without_an_index_is_refused_on_mariadb(boxes: Database) -> None:
    """The message says which index; PostgreSQL needs none."""
    if is_mariadb(boxes):
        with pytest.raises(FilterError, match=r"note has no FULLTEXT index .*mariadb_prefix"):
            await found(boxes, note__match="ab")
    elif not is_sqlite(boxes):
        assert await found(boxes, note__match="ab")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(st.sampled_from("ab\"'()+-~*<>@&|!:\\ %_\u00e9,;"), max_size=12))
async def test_no_text_of_a_user_is_an_error(boxes: Database, text: str) -> None:
    """Operators of full-text languages, quotes and wildcards are words, or nothing."""
    escapes = len(text) - len(text.rstrip("\\"))
    for operator in ("contains", "icontains", "startswith", "ilike", "like", "eq"):
        refused = (
            pytest.raises(FilterError, match=r"escape|wildcards")
            if operator.endswith("like") and (escapes % 2 or sum(map(text.count, "%_")) > 10)
            else nullcontext()
        )
        with refused:
            await found(boxes, **{f"label__{operator}": text})
    await found(boxes, facts__path__color__icontains=text)
    if not is_sqlite(boxes):
        await found(boxes, label__match=text)


async def test_a_search_looks_for_each_word_in_each_field(boxes: Database) -> None:
    """Whatever its case; wildcards are ordinary characters."""
    fields = ("label", "note", "shelf__name")
    every = [row.id for row in BOXES if row.label and "cars" in row.label]
    assert every == await found(boxes, search("CARS", fields))
    both = [row.id for row in BOXES if row.label == "fast cars" and row.shelf_id == 1]
    assert both
    assert both == await found(boxes, search("  fast TOP ", fields))
    assert [row.id for row in BOXES if row.label and "%" in row.label] == await found(
        boxes, search("0%", ("label",))
    )
    assert await found(boxes, search("n_w", ("label",)))
    assert [] == await found(boxes, search("n_w", ("note",)))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", ("label",)),
        (" ", ("label",)),
        ("a", ("label",)),
        ("a b c d e f g h i", ("label",)),
        ("x" * 1001, ("label",)),
        ("abc", ()),
        ("abc", "label"),
    ],
)
def test_a_search_for_next_to_nothing_or_too_much_is_refused(text: str, fields: Any) -> None:
    """An empty search would match every row."""
    with pytest.raises(FilterError):
        search(text, fields)


async def test_texts_and_patterns_are_capped() -> None:
    """Each wildcard may double the work for a row; groups do not nest without end."""
    database = Database("sqlite://")
    async with database.session() as session:
        boxes = BoxService(session)
        conditions: tuple[dict[str, Any], ...] = (
            {"label__like": "%a" * (MAX_WILDCARDS + 1)},
            {"label__ilike": "_" * (MAX_WILDCARDS + 1)},
            {"label__contains": "a" * (MAX_TEXT + 1)},
            {"label__like": "a\\"},
        )
        for condition in conditions:
            with pytest.raises(FilterError, match=r"more than|longer than|ends in an escape"):
                await boxes.all(**condition)
        deep: Filter = where(size=1)
        for _ in range(2000):
            deep = not_(deep)
        with pytest.raises(FilterError, match="more than 10 deep"):
            await boxes.all(deep)
        with pytest.raises(FilterError, match="more than 50 conditions"):
            await boxes.all(any_of(*[any_of() for _ in range(51)]))
    await database.close()
