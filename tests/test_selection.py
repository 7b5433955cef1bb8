"""Selections: rows, order and part, whose statement is shared by all that differ in values only."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, insert, select
from sqlmodel import SQLModel

from sqlmodelkit import all_of, any_of, not_, where
from sqlmodelkit.errors import SortError
from sqlmodelkit.filters import Filter, compile_filters
from sqlmodelkit.pages import order_by
from sqlmodelkit.selection import Selection
from sqlmodelkit.sessions import ONLY_LIVE
from sqlmodelkit.statements import Compiled, Latest, compile_statement
from tests.world import TABLES, Chapter, Genre, State, Volume, VolumeGenre, Writer

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KEYS = [UUID(int=number) for number in range(1, 4)]

Tree = tuple[Any, ...]
"""A condition's label and strategy, or `any`, `all`, `not` and the trees below it."""

NUMBERS = st.integers(0, 5)
WORDS = st.sampled_from(["a", "A", "b_", "%", "1", ""])
MOMENTS = NUMBERS.map(lambda hours: NOON + timedelta(hours=hours))
PRICES = NUMBERS.map(Decimal)
OR_NONE = st.none()
CONDITIONS: tuple[Tree, ...] = (
    ("title", WORDS),
    ("title__ne", WORDS),
    ("title__icontains", WORDS),
    ("title__startswith", WORDS),
    ("title__not_like", WORDS),
    ("title__in", st.lists(WORDS, max_size=3)),
    ("isbn", WORDS | OR_NONE),
    ("isbn__ne", WORDS | OR_NONE),
    ("isbn__is", OR_NONE),
    ("isbn__is_not", OR_NONE),
    ("stars", NUMBERS | OR_NONE),
    ("stars__gte", NUMBERS),
    ("stars__not_in", st.lists(NUMBERS, max_size=3)),
    ("stars__between", st.tuples(NUMBERS, NUMBERS).map(sorted)),
    ("price__lt", PRICES),
    ("price__in", st.lists(PRICES, max_size=3)),
    ("state", st.sampled_from(State)),
    ("printed_at__gt", MOMENTS),
    ("printed_at", MOMENTS | OR_NONE),
    ("writer_id", st.sampled_from(KEYS)),
    ("writer_id__in", st.lists(st.sampled_from(KEYS), max_size=3)),
    ("writer__name", WORDS),
    ("writer__motto__is", OR_NONE),
    ("writer__volumes__stars", NUMBERS),
    ("chapters__title__icontains", WORDS),
    ("chapters__number__in", st.lists(NUMBERS, max_size=3)),
    ("genres__name__ne", WORDS),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda trees: st.tuples(
        st.sampled_from(["any", "all", "not"]), st.lists(trees, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
SORTS = st.sampled_from([None, "-id", "-price", "isbn,-title", "stars"])


def filled(draw: st.DrawFn, tree: Tree) -> Filter:
    """Give each condition of a tree a value."""
    kind, below = tree
    if kind not in ("any", "all", "not"):
        return where(**{kind: draw(below)})
    joined = {"any": any_of, "all": all_of, "not": not_}[kind]
    return joined(*[filled(draw, part) for part in below])


@st.composite
def twins(draw: st.DrawFn) -> list[tuple[Selection, list[Filter]]]:
    """Draw selections of one form, by different values."""
    trees = draw(st.lists(TREES, max_size=3))
    sort, deleted = draw(SORTS), draw(st.booleans())
    cut = draw(st.booleans())
    selections = []
    for _ in range(2):
        filters = [filled(draw, tree) for tree in trees]
        found = Selection.of(Volume, filters, {}, dialect="sqlite", include_deleted=deleted)
        found = found if sort is None else found.ordered(sort)
        found = found.cut(draw(st.integers(1, 9)), draw(NUMBERS)) if cut else found
        selections.append((found, filters))
    return selections


def stored() -> Iterator[tuple[type[SQLModel], dict[str, Any]]]:
    """Make rows in which every condition finds some and misses others."""
    for number, key in enumerate(KEYS):
        motto = None if number else "a"
        yield Writer, {"id": key, "name": ("a", "b_", "%")[number], "motto": motto}
    for number, name in enumerate(("a", "A")):
        yield Genre, {"id": number, "name": name}
    for number in range(24):
        yield (
            Volume,
            {
                "id": number,
                "title": ("a", "A", "b_", "%a", "1")[number % 5],
                "isbn": None if number % 3 else f"{number}",
                "stars": None if number % 7 == 0 else number % 6,
                "price": Decimal(number % 4),
                "state": State.PRINTED if number % 2 else State.DRAFT,
                "printed_at": None if number % 4 == 0 else NOON + timedelta(hours=number % 5),
                "writer_id": None if number % 5 == 0 else KEYS[number % 3],
                "deleted_at": NOON if number % 6 == 0 else None,
            },
        )
        yield Chapter, {"volume_id": number, "number": number % 3, "title": "aA1"[number % 3]}
        yield VolumeGenre, {"volume_id": number, "genre_id": number % 2}


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    """SQLite with rows, without asyncio: hypothesis asks it thousands of times."""
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA case_sensitive_like = ON"))
    with engine.connect() as connection:
        SQLModel.metadata.create_all(connection, TABLES)
        for model, values in stored():
            table = model.__table__  # type: ignore[attr-defined]
            connection.execute(insert(table).values(values))
        yield connection
    engine.dispose()


def compiled(selection: Selection, connection: Connection) -> Compiled:
    """Compile the statement that services send for a selection."""
    key: Any = Volume.id
    statement = selection.scope(selection.select().with_only_columns(key))
    return compile_statement(statement, connection.dialect, [key])


def found(selection: Selection, statement: Compiled, connection: Connection) -> list[int]:
    """Run a statement with a selection's values."""
    arguments = statement.arguments(selection.values)
    return [row[0] for row in connection.exec_driver_sql(statement.text, arguments)]


def expected(selection: Selection, filters: list[Any], connection: Connection) -> list[int]:
    """Ask the same of SQLAlchemy, with the values in the statement."""
    key: Any = Volume.id
    statement = select(key).where(*filters)
    if selection.sort is not None:
        statement = statement.order_by(*order_by(Volume, selection.sort, dialect="sqlite"))
    if selection.part is not None:
        statement = statement.limit(selection.part[0]).offset(selection.part[1])
    if not selection.include_deleted:
        statement = statement.options(ONLY_LIVE)
    return list(connection.execute(statement).scalars())


# What has been compiled in earlier examples serves later ones, as in a service.
KEPT: Latest[Compiled] = Latest(size=100_000)


@pytest.mark.slow
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(twins())
def test_selections_of_one_key_share_their_statement(
    connection: Connection, selections: list[tuple[Selection, list[Filter]]]
) -> None:
    """The text is the same, and with each one's values it finds each one's rows."""
    for selection, filters in selections:
        own = compiled(selection, connection)
        kept = KEPT.get(selection.key, lambda own=own: own)  # type: ignore[misc]
        assert own.text == kept.text
        assert own.arguments(selection.values) == kept.arguments(selection.values)
        inline = compile_filters(Volume, *filters, dialect="sqlite")
        rows = found(selection, kept, connection)
        wanted = expected(selection, inline, connection)
        if selection.sort is None:
            rows, wanted = sorted(rows), sorted(wanted)
            if selection.part is not None:
                rows, wanted = [len(rows)], [len(wanted)]
        assert wanted == rows


def test_the_key_tells_what_is_in_the_text() -> None:
    """Values are not part of it; whether a value is NULL, how many there are, and the rest are."""

    def key(*filters: Filter, **conditions: Any) -> Any:
        selection = Selection.of(
            Volume, filters, conditions, dialect="sqlite", include_deleted=False
        )
        return selection.key

    assert key(title="a") == key(title="b")
    assert key(stars__in=[1, 2]) == key(stars__in=[3, 4])
    different = [
        key(),
        key(title="a"),
        key(isbn="a"),
        key(isbn=None),
        key(isbn__ne=None),
        key(title__ne="a"),
        key(stars__in=[]),
        key(stars__in=[1]),
        key(stars__in=[1, 2]),
        key(stars__between=[1, 2]),
        key(title="a", isbn="b"),
        key(where(title="a"), isbn="b"),
        key(any_of(where(title="a"), where(isbn="b"))),
        key(all_of(where(title="a"), where(isbn="b"))),
        key(not_(where(title="a"), where(isbn="b"))),
        key(writer__name="a"),
        key(any_of()),
        key(not_()),
        key(not_(not_())),
    ]
    assert len(different) == len(set(different))


def test_order_part_and_deleted_rows_are_in_the_key() -> None:
    """How large a part is, and where it begins, is not."""
    plain = Selection.of(Volume, (), {"stars": 3}, dialect="sqlite", include_deleted=False)
    deleted = Selection.of(Volume, (), {"stars": 3}, dialect="sqlite", include_deleted=True)
    assert plain.cut(5, 10).key == plain.cut(1).key
    different = [
        plain.key,
        deleted.key,
        plain.cut(5).key,
        plain.ordered(None).key,
        plain.ordered("title").key,
        plain.ordered("-title").key,
        plain.ordered("title,price").key,
        plain.ordered("price,title").key,
    ]
    assert len(different) == len(set(different))
    assert plain.ordered("title,price").key == plain.ordered(["title", "price"]).key


def test_the_steps_keep_what_was_there() -> None:
    """An order after a part, a part after an order, and deleted rows all the way."""
    selection = Selection.of(Volume, (), {"stars": 3}, dialect="sqlite", include_deleted=True)
    both = selection.ordered("-title").cut(5, 10)
    assert both == selection.cut(5, 10).ordered("-title")
    assert (("-title",), (5, 10), True) == (both.sort, both.part, both.include_deleted)
    assert {"filter_0": 3, "part_limit": 5, "part_offset": 10} == both.values
    assert {"filter_0": 3} == selection.values


def test_an_expression_has_no_key() -> None:
    """Nobody can tell its SQL from another's without compiling it."""
    expression: Any = Volume.stars == 3
    for filters in ((expression,), (any_of(where(title="a"), not_(expression)),)):
        selection = Selection.of(Volume, filters, {}, dialect="sqlite", include_deleted=False)
        assert selection.key is None
        assert selection.ordered("title").cut(1).key is None


def test_an_expression_finds_the_same_rows(connection: Connection) -> None:
    """Beside values that are sent as parameters."""
    stars: Any = Volume.stars
    selection = Selection.of(
        Volume, (stars == 3,), {"title__in": ["a", "A"]}, dialect="sqlite", include_deleted=False
    ).ordered(None)
    inline = compile_filters(Volume, where(stars=3, title__in=["a", "A"]), dialect="sqlite")
    rows = found(selection, compiled(selection, connection), connection)
    assert expected(selection, inline, connection) == rows
    assert rows


def test_a_wrong_sort_is_refused() -> None:
    """Before anything is compiled."""
    selection = Selection.of(Volume, (), {}, dialect="sqlite", include_deleted=False)
    with pytest.raises(SortError):
        selection.ordered("nobody")
