"""Results over groups, the first of each group, and which keys exist, beside Python's reckoning."""

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import SQLModel, col

from sqlmodelkit import Database, FilterError, PageError, SortError, any_of, where
from tests.test_filters_engines import (
    BOXES,
    ITEMS,
    NOON,
    SHELVES,
    Box,
    BoxService,
    Hue,
    ShelfService,
    boxes,
)
from tests.world import (
    ChapterService,
    VolumeService,
    WriterService,
    add_volume,
    add_writer,
    create_world,
)

__all__ = ["boxes"]


def grouped(key: Callable[[Box], Any]) -> dict[Any, list[Box]]:
    """Group the boxes in Python."""
    groups: dict[Any, list[Box]] = defaultdict(list)
    for row in BOXES:
        groups[key(row)].append(row)
    return groups


def known(values: Any) -> list[Any]:
    """Leave NULLs out, as aggregates do."""
    return [value for value in values if value is not None]


def total(values: Any) -> Any:
    """Sum what is not NULL; NULL where nothing is."""
    found = known(values)
    return sum(found) if found else None


def mean(values: Any) -> Any:
    """The average of what is not NULL."""
    found = known(values)
    return sum(found) / len(found) if found else None


MEASURES = {
    "rows": "count",
    "sized": "size__count",
    "sizes": "size__count_distinct",
    "size": "size__sum",
    "mean_size": "size__avg",
    "least": "size__min",
    "most": "size__max",
    "price": "price__sum",
    "mean_price": "price__avg",
    "dearest": "price__max",
    "first": "packed_at__min",
}


def reckoned(rows: list[Box]) -> dict[str, Any]:
    """Return what the measures above come to in Python."""
    sizes, prices = known(row.size for row in rows), known(row.price for row in rows)
    average = mean(prices)
    return {
        "rows": len(rows),
        "sized": len(sizes),
        "sizes": len(set(sizes)),
        "size": total(sizes),
        "mean_size": mean(sizes),
        "least": min(sizes, default=None),
        "most": max(sizes, default=None),
        "price": total(prices),
        "mean_price": None if average is None else round(average, 6),
        "dearest": max(prices, default=None),
        "first": min(known(row.packed_at for row in rows), default=None),
    }


def almost(row: dict[str, Any]) -> dict[str, Any]:
    """Round floats, and nothing else."""
    return {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items()}


async def test_having_compares_numbers_as_they_are(boxes: Database) -> None:
    """Neither rounded to the places of a column, nor refused for having too many."""
    sums = {
        key: total(row.price for row in rows) for key, rows in grouped(lambda r: r.size).items()
    }
    number = min(known(sums.values())) + Decimal("0.004")
    async with boxes.session() as session:
        for least in (number, Decimal("1e7")):
            found = await BoxService(session).aggregate(
                by=["size"], measures={"price": "price__sum"}, having={"price__gte": least}
            )
            assert len([one for one in known(sums.values()) if one >= least]) == len(found)


async def test_groups_come_to_what_python_reckons(boxes: Database) -> None:
    """By a field that may be NULL and is an enum; a Decimal stays one, an integer too."""
    async with boxes.session() as session:
        twice = [await BoxService(session).aggregate(MEASURES, by=("hue",)) for _ in range(2)]
    rows = twice[1]
    expected = [
        almost({"hue": hue, **reckoned(found)}) for hue, found in grouped(lambda r: r.hue).items()
    ]
    assert len(expected) == len(rows) == 3
    for row in map(almost, rows):
        (same,) = [one for one in expected if one["hue"] == row["hue"]]
        assert same == row
        assert {k: type(v) for k, v in same.items()} == {k: type(v) for k, v in row.items()}


async def test_without_groups_there_is_one_result(boxes: Database) -> None:
    """Also where no row matches: nothing is 0 in number, and NULL in sum."""
    async with boxes.session() as session:
        service = BoxService(session)
        (everything,) = await service.aggregate(MEASURES)
        (nothing,) = await service.aggregate(MEASURES, id=0)
    assert almost(reckoned(BOXES)) == almost(everything)
    assert reckoned([]) == nothing


async def test_floats_are_reckoned_like_other_numbers(database: Database) -> None:
    """By rows and along a collection, with conditions on the results."""
    await create_world(database)
    writer = await add_writer(database)
    for weight in (1.5, -0.25, None, 4.0):
        await add_volume(database, weight=weight, writer_id=writer)
    measures = {"sum": "weight__sum", "mean": "weight__avg", "most": "weight__max"}
    async with database.session() as session:
        volumes = VolumeService(session)
        (row,) = await volumes.aggregate(measures, having={"sum__gt": 5, "mean__between": [1, 2]})
        (none,) = await volumes.aggregate(measures, id=0)
        (along,) = await WriterService(session).aggregate(
            {name: f"volumes__{label}" for name, label in measures.items()}
        )
    assert {"sum": 5.25, "mean": 1.75, "most": 4.0} == row == along
    assert {float} == {type(value) for value in row.values()}
    assert dict.fromkeys(measures) == none


class Sold(SQLModel):
    """A group, typed."""

    shelf__name: str | None
    rows: int
    price: Decimal | None


async def test_groups_go_along_to_one_relations(boxes: Database) -> None:
    """A shelf that is out of scope is no name; filters, having, sort and limit together."""
    names = {shelf.id: shelf.name for shelf in SHELVES if shelf.deleted_at is None}
    expected = grouped(lambda row: names.get(row.shelf_id))
    measures = {"rows": "count", "price": "price__sum", "shelf": "shelf__id__max"}
    async with boxes.session() as session:
        service = BoxService(session)
        sold = await service.aggregate(measures, by=("shelf__name",), into=Sold, sort=("-rows",))
        some = await service.aggregate(
            {"rows": "count"},
            where(size__gte=0),
            any_of(where(hue="red"), where(hue="blue")),
            by=("shelf__name", "hue"),
            having={"rows__ge": 2, "rows__lt": 100},
            sort=("-rows", "hue"),
            limit=2,
        )
    assert {name: len(rows) for name, rows in expected.items()} == {
        one.shelf__name: one.rows for one in sold
    }
    assert all(one.price == total(r.price for r in expected[one.shelf__name]) for one in sold)
    assert [one.rows for one in sold] == sorted((one.rows for one in sold), reverse=True)
    matching = Counter(
        (names.get(row.shelf_id), row.hue)
        for row in BOXES
        if row.size is not None and row.size >= 0 and row.hue
    )
    counts = sorted((n for n in matching.values() if n >= 2), reverse=True)[:2]
    assert counts == [row["rows"] for row in some]
    assert all(matching[row["shelf__name"], row["hue"]] == row["rows"] for row in some)


async def test_a_collection_never_multiplies_rows(boxes: Database) -> None:
    """Sums over items beside sums over boxes: each box counts once, whatever is in it."""
    measures = {
        "rows": "count",
        "price": "price__sum",
        "items": "items__id__count",
        "weight": "items__weight__sum",
        "mean": "items__weight__avg",
        "heaviest": "items__weight__max",
    }
    async with boxes.session() as session:
        rows = await BoxService(session).aggregate(measures, by=("hue",))
        (shelves,) = await ShelfService(session).aggregate(
            {"rows": "count", "prices": "boxes__price__sum", "mean": "boxes__price__avg"}
        )
    for row in rows:
        own = [box for box in BOXES if box.hue is row["hue"]]
        items = [item for item in ITEMS if item.box_id in {box.id for box in own}]
        weights = [item.weight for item in items]
        assert (len(own), total(box.price for box in own)) == (row["rows"], row["price"])
        assert (len(items), total(weights)) == (row["items"], row["weight"])
        assert (mean(weights), max(known(weights), default=None)) == (
            pytest.approx(row["mean"]),
            row["heaviest"],
        )
    prices = known(box.price for box in BOXES if box.shelf_id in (1, 2))
    assert (2, sum(prices), round(sum(prices) / len(prices), 6)) == tuple(shelves.values())


async def test_distinct_values_are_counted(boxes: Database) -> None:
    """The most frequent first; NULL is a value among them."""
    async with boxes.session() as session:
        found = await BoxService(session).distinct("price", size__gt=-5)
        first = await BoxService(session).distinct("is_full", limit=1)
    expected = Counter(row.price for row in BOXES if row.size is not None)
    assert dict(expected) == found
    assert sorted(found.values(), reverse=True) == list(found.values())
    assert list(first.values()) == [max(Counter(row.is_full for row in BOXES).values())]


async def test_the_first_of_each_group(boxes: Database) -> None:
    """In the order asked, NULL a group like others, and again by a statement known by then."""
    expected = []
    for hue in (*sorted((h for h in Hue), key=lambda h: h.name), None):
        own = [row for row in BOXES if row.hue is hue and row.size is not None]
        expected.append([r.id for r in sorted(own, key=lambda r: (-(r.size or 0), r.id))][:3])
    async with boxes.session() as session:
        service = BoxService(session)
        twice = [
            await service.top(3, by=("hue",), sort="-size", size__is_not=None) for _ in range(2)
        ]
        by_expression = await service.top(3, col(Box.size).is_not(None), by=("hue",), sort="-size")
        with pytest.raises(PageError):
            await service.top(0, by=("hue",))
        with pytest.raises(SortError):
            await service.top(1, by=("hut",))
        with pytest.raises(FilterError):
            await service.top(1, by=())
    assert sorted(map(tuple, expected)) == sorted(
        tuple(row.id for row in twice[1] if row.hue is hue) for hue in (*Hue, None)
    )
    assert [row.id for row in twice[1]] == [row.id for row in by_expression]


async def test_keys_that_are_missing_are_told(boxes: Database) -> None:
    """None in their place, or left out; text is read as a key."""
    async with boxes.session() as session:
        service = BoxService(session)
        rows = await service.find_many([3, 999, "1", 3])
        assert [3, None, 1, 3] == [row and row.id for row in rows]
        assert [42, "7", 42] == await service.existing([42, "7", 0, 42, 999])
        assert [] == await service.existing([])
        assert [1] == await ShelfService(session).existing([3, 1])
        assert [3, 1] == await ShelfService(session).existing([3, 1], include_deleted=True)
        with pytest.raises(FilterError):
            await service.existing(["x"])
        with pytest.raises(FilterError):
            await service.find_many([None])
        assert 1200 == len(await service.find_many(range(1200)))


async def test_composite_keys_are_found(database: Database) -> None:
    """As tuples, in the key's order."""
    await create_world(database)
    await add_writer(database, volumes=2)
    async with database.session() as session:
        chapters = ChapterService(session)
        asked = [(2, 1), (1, 9), (1, 2)]
        assert [(2, 1), (1, 2)] == await chapters.existing(asked)
        rows = await chapters.find_many(asked)
        assert [(2, 1), None, (1, 2)] == [row and (row.volume_id, row.number) for row in rows]
        first = await chapters.top(1, by=("volume_id",), sort="-number")
        assert [(1, 2), (2, 2)] == [(row.volume_id, row.number) for row in first]


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"measures": {}}, FilterError),
    ({"measures": {"a": "sum"}}, FilterError),
    ({"measures": {"a": "size"}}, FilterError),
    ({"measures": {"a": "size__total"}}, FilterError),
    ({"measures": {"a": "nothing__sum"}}, FilterError),
    ({"measures": {"a": "label__sum"}}, FilterError),
    ({"measures": {"a": "hue__min"}}, FilterError),
    ({"measures": {"a": "is_full__avg"}}, FilterError),
    ({"measures": {"a": "size__gte__sum"}}, FilterError),
    ({"measures": {"a": "items__name__count_distinct"}}, FilterError),
    ({"by": ("nothing",)}, FilterError),
    ({"by": ("facts",)}, FilterError),
    ({"by": ("shelf",)}, FilterError),
    ({"by": ("items__name",)}, FilterError),
    ({"by": ("size__gte",)}, FilterError),
    ({"by": ("rows",)}, FilterError),
    ({"by": ("size", "size")}, FilterError),
    ({"having": {"nothing": 1}}, FilterError),
    ({"having": {"rows__above": 1}}, FilterError),
    ({"having": {"rows__like": "1"}}, FilterError),
    ({"having": {"rows": "x"}}, FilterError),
    ({"having": {"rows": 2**70}}, FilterError),
    ({"having": {"rows__between": [1]}}, FilterError),
    ({"having": {"size__gt": 1}}, FilterError),
    ({"sort": ("nothing",)}, SortError),
    ({"sort": ("-price",)}, SortError),
    ({"limit": 0}, PageError),
    ({"limit": 1001}, PageError),
    ({"nothing": 1}, FilterError),
]


@pytest.mark.parametrize(("arguments", "error"), WRONG)
async def test_what_cannot_be_reckoned_is_refused(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    """Nothing unknown is left out, and the database is not asked."""
    database = Database("sqlite://")
    async with database.session() as session:
        with pytest.raises(error):
            await BoxService(session).aggregate(**{"measures": {"rows": "count"}, **arguments})
    await database.close()


async def test_more_groups_than_fit_are_refused(boxes: Database) -> None:
    """A short answer would pass for a whole one."""
    async with boxes.transaction() as session:
        session.add_all([Box(id=number, size=number) for number in range(2000, 3001)])
    async with boxes.session() as session:
        with pytest.raises(PageError, match="more than 1000 groups"):
            await BoxService(session).aggregate({"rows": "count"}, by=("size",))
        rows = await BoxService(session).aggregate(
            {"rows": "count", "first": "packed_at__min"}, by=("size",), limit=1, sort=("-rows",)
        )
    assert NOON <= rows[0]["first"]
