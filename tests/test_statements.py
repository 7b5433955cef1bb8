"""Statements compiled once: their text, their values on the way in, and rows on the way out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, Dialect, Integer, MetaData, String, Table, bindparam, insert, select
from sqlalchemy.dialects.mysql.asyncmy import dialect as mysql
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgresql
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite
from sqlalchemy.schema import CreateTable

from sqlmodelkit.statements import Latest, compile_statement
from tests.world import Volume, Writer

POSTGRESQL: Dialect = postgresql()  # type: ignore[no-untyped-call]
DIALECTS = [sqlite(), POSTGRESQL, mysql()]
DEFAULTED = Table(
    "defaulted",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("made", String, default=lambda: "in Python"),
    Column("changed", String, onupdate=lambda: "in Python"),
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def columns(*names: str) -> list[Any]:
    """Return attributes of `Volume`."""
    return [getattr(Volume, name) for name in names]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_values_are_given_in_the_driver_s_order(dialect: Dialect) -> None:
    """By name, wherever the database writes them: the limit after the offset, for example."""
    statement = (
        select(*columns("id"))
        .where(Volume.title == bindparam("title", type_=String))  # type: ignore[arg-type]
        .limit(bindparam("most", type_=Integer))
        .offset(bindparam("skipped", type_=Integer))
    )
    compiled = compile_statement(statement, dialect, columns("id"))
    names = [name for name, _, _ in compiled.parameters]
    values = {"most": 5, "title": "Dune", "skipped": 7}
    assert {"most", "title", "skipped"} == set(names)
    assert tuple(values[name] for name in names) == compiled.arguments(values)
    assert "Dune" not in compiled.text
    if dialect.name == "mysql":
        assert ["title", "skipped", "most"] == names


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_value_of_the_statement_s_own_needs_not_be_given(dialect: Dialect) -> None:
    """It is sent each time, beside those that are given."""
    statement = select(*columns("id")).where(
        Volume.title == "Dune",  # type: ignore[arg-type]
        Volume.stars == bindparam("stars", type_=Integer),  # type: ignore[arg-type]
    )
    compiled = compile_statement(statement, dialect, columns("id"))
    assert ("Dune", 4) == compiled.arguments({"stars": 4})
    assert ("Dune", 5) == compiled.arguments({"stars": 5})


def test_values_become_what_the_driver_takes() -> None:
    """Each by its column's type: a UUID is text for SQLite, and itself for asyncpg."""
    key = UUID(int=7)
    statement = select(*columns("id")).where(
        Volume.writer_id == bindparam("key", type_=Volume.__table__.c.writer_id.type)  # type: ignore[attr-defined]
    )
    as_text = compile_statement(statement, sqlite(), columns("id"))
    assert (key.hex,) == as_text.arguments({"key": key})
    as_itself = compile_statement(statement, POSTGRESQL, columns("id"))
    assert (key,) == as_itself.arguments({"key": key})


def test_lists_are_sent_value_by_value() -> None:
    """As many parameters as the list of the statement has, each converted."""
    keys = [UUID(int=number) for number in range(3)]
    statement = select(*columns("id")).where(Volume.writer_id.in_(keys))  # type: ignore[union-attr]
    compiled = compile_statement(statement, sqlite(), columns("id"))
    assert tuple(key.hex for key in keys) == compiled.arguments({})
    assert 3 == compiled.text.count("?")


def read(dialect: Dialect, names: Sequence[str], rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Return what a statement with these columns makes of a driver's rows."""
    compiled = compile_statement(select(*columns(*names)), dialect, columns(*names))
    return [list(row) for row in compiled.read(rows)]


def test_what_the_driver_gives_becomes_python_s_values() -> None:
    """Decimals, moments and keys, NULL among them."""
    rows = [
        (1, 9.5, "2026-01-31 12:00:00.000000", UUID(int=7).hex),
        (2, 0, None, None),
    ]
    answered = read(sqlite(), ["id", "price", "printed_at", "writer_id"], rows)
    assert [
        [1, Decimal("9.50"), NOON, UUID(int=7)],
        [2, Decimal("0.00"), None, None],
    ] == answered
    assert (str(answered[0][1]), NOON.tzinfo) == ("9.50", answered[0][2].tzinfo)


def test_moments_are_converted_when_the_first_of_them_needs_it() -> None:
    """A NULL before tells nothing."""
    naive = NOON.replace(tzinfo=None)
    assert [[None], [NOON], [NOON]] == read(mysql(), ["printed_at"], [(None,), (naive,), (naive,)])
    assert [[None], [None]] == read(mysql(), ["printed_at"], [(None,), (None,)])
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    (row,) = read(POSTGRESQL, ["printed_at"], [(elsewhere,)])
    assert (NOON, UTC) == (row[0], row[0].tzinfo)


def test_rows_that_are_right_already_are_not_copied() -> None:
    """The driver's own list is answered."""
    names = ["id", "title", "printed_at", "writer_id"]
    compiled = compile_statement(select(*columns(*names)), POSTGRESQL, columns(*names))
    rows = [(1, "Dune", None, None), (2, "Emma", NOON, UUID(int=1))]
    assert rows is compiled.read(rows)
    assert [] == compiled.read([])


def test_defaults_made_in_python_are_refused() -> None:
    """Only SQLAlchemy can fill them in at each execution."""
    with pytest.raises(TypeError, match="defaults"):
        compile_statement(insert(DEFAULTED).values(id=1), sqlite(), ())
    with pytest.raises(TypeError, match="defaults"):
        compile_statement(DEFAULTED.update().values(made="x"), sqlite(), ())
    given = insert(DEFAULTED).values(id=bindparam("id"), made=bindparam("made"))
    compiled = compile_statement(given, sqlite(), ())
    assert (1, "x") == compiled.arguments({"id": 1, "made": "x"})


def test_what_brings_no_rows_is_refused() -> None:
    """A CREATE TABLE is no statement for a service."""
    with pytest.raises(TypeError, match="CreateTable"):
        compile_statement(CreateTable(Writer.__table__), sqlite(), ())  # type: ignore[attr-defined]


def test_latest_keeps_no_more_than_its_size() -> None:
    """What was used longest ago goes first."""
    latest: Latest[str] = Latest(size=3)
    made: list[int] = []

    def make(number: int) -> str:
        made.append(number)
        return f"made {number}"

    for number in (1, 2, 3, 1, 4, 1, 3, 2):
        assert f"made {number}" == latest.get(number, lambda number=number: make(number))  # type: ignore[misc]
    assert [1, 2, 3, 4, 2] == made
    for number in range(1000):
        latest.get(number, lambda: "x")
    assert 3 == len(latest._kept)


def test_latest_keeps_nothing_of_what_could_not_be_made() -> None:
    """The next one tries again."""
    latest: Latest[int] = Latest()
    with pytest.raises(ZeroDivisionError):
        latest.get("key", lambda: 1 // 0)
    assert 7 == latest.get("key", lambda: 7)
    assert 7 == latest.get("key", lambda: 8)
