"""What a database prints of a whole response is, byte by byte, what FastAPI prints."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Optional
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, create_model
from sqlalchemy import BigInteger, DateTime, Select, bindparam, delete, insert, select, text
from sqlmodel import Field as Stored
from sqlmodel import Relationship, SQLModel

from sqlmodelkit import Database, IntKey, Plan, SoftDelete
from sqlmodelkit.plan import row_options
from sqlmodelkit.plan.bytes import bytes_obstacles, json_items, json_select
from tests.plan.test_exactness import ClubOut, ClubTree, PlayerOut, fill, paths, worlds
from tests.tables import Club, Player

CAPITALS = (0x0B, 0x0E, 0x0F, *range(0x1A, 0x20))
"""Control characters whose escape has a letter, which MariaDB writes as a capital."""


class Grade(Enum):
    """Values that are no texts, and texts that need escapes."""

    ONE = 1
    HALF = 0.5
    SAID = 'he said "%(x)s" \\ :y'


class Oddity(SQLModel, table=True):
    """A column of each kind that some database prints."""

    __tablename__ = "bytes_oddity"  # pyright: ignore[reportAssignmentType]

    id: int = Stored(primary_key=True, sa_column_kwargs={"autoincrement": False})
    words: str | None = None
    flag: bool | None = None
    big: int | None = Stored(default=None, sa_type=BigInteger)
    uid: UUID | None = None
    day: date | None = None
    moment: datetime | None = None
    naive: datetime | None = Stored(default=None, sa_type=DateTime)
    at: time | None = None
    grade: Grade | None = None
    price: Decimal | None = Stored(default=None, max_digits=20, decimal_places=6)
    score: float | None = None


class Node(IntKey, SoftDelete, table=True):
    """A tree and a graph of nodes, each of which may be deleted."""

    __tablename__ = "bytes_node"  # pyright: ignore[reportAssignmentType]

    name: str = ""
    parent_id: int | None = Stored(default=None, foreign_key="bytes_node.id")
    parent: Optional["Node"] = Relationship(
        back_populates="children", sa_relationship_kwargs={"remote_side": "Node.id"}
    )
    children: list["Node"] = Relationship(back_populates="parent")


class OddityOut(BaseModel):
    """Every kind, under names that trouble databases."""

    id: int
    words: str | None = Field(serialization_alias="a \"quoted\" %(name)s :b \\ '%s' " + "ü" * 70)
    flag: bool | None
    big: int | None = Field(serialization_alias="select")
    uid: UUID | None
    day: date | None
    moment: datetime | None = Field(serialization_alias="flag")
    naive: datetime | None
    at: time | None
    grade: Grade | None = Field(serialization_alias="\x01\U0001f600{}")
    price: Decimal | None
    score: float | None


class NodeBrief(BaseModel):
    """A node alone."""

    name: str


class NodeUp(BaseModel):
    """A node with two levels above it."""

    name: str
    parent: NodeBrief | None


class NodeDown(BaseModel):
    """A node with the level below it."""

    name: str
    children: list[NodeBrief]


class NodeOut(BaseModel):
    """A node in the middle of its tree."""

    id: int = Field(exclude=True)
    parent: NodeUp | None
    name: str
    children: list[NodeDown]


MODELS: dict[type[BaseModel], type[SQLModel]] = {
    OddityOut: Oddity, NodeOut: Node, PlayerOut: Player, ClubOut: Club, ClubTree: Club,
}  # fmt: skip


plan_of: Any = cache(Plan.of)


def server(db: Database) -> tuple[str, tuple[int, ...]]:
    """Return the name and the version of a connected database."""
    dialect: Any = db.engine.dialect
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    return name, tuple(dialect.server_version_info)


def printable(db: Database, response: type[BaseModel], model: type[SQLModel]) -> type[BaseModel]:
    """Return the response model without the fields that the database does not print."""
    name, version = server(db)
    kept: dict[str, Any] = {}
    config = response.model_config
    for field_name, field in response.model_fields.items():
        one = create_model("One", __config__=config, **{field_name: (field.annotation, field)})  # type: ignore[call-overload]
        nested = next(iter(Plan.of(model, one).shape.relations), None)
        annotation: Any = field.annotation
        if nested is not None:
            inner: Any = printable(db, nested.shape.response, nested.shape.model)
            annotation = list[inner] if nested.many else inner | None
            one = create_model("One", __config__=config, **{field_name: (annotation, field)})  # type: ignore[call-overload]
        if not list(bytes_obstacles(Plan.of(model, one).shape, name, version)):
            kept[field_name] = (annotation, field)
    return create_model(response.__name__, __config__=config, **kept)


async def printed(
    db: Database, response: type[BaseModel], base: Select[Any]
) -> tuple[int, bytes] | None:
    """Print a response by the database."""
    name, _ = server(db)
    model: type[SQLModel] = base.column_descriptions[0]["entity"]
    statement: Any = json_select(plan_of(model, response).shape, base, name)
    async with db.session() as session:
        return json_items((await session.exec(statement)).all())


async def ordinary(db: Database, response: type[BaseModel], base: Select[Any]) -> tuple[int, bytes]:
    """Print a response as FastAPI does."""
    model: type[SQLModel] = base.column_descriptions[0]["entity"]
    adapter: TypeAdapter[Any] = TypeAdapter(list[response])  # type: ignore[valid-type]
    options = row_options(model, list(paths(plan_of(model, response).shape)))
    statement: Any = base.options(*options)
    async with db.session() as session:
        rows = (await session.exec(statement)).scalars().all()
        models = adapter.validate_python(rows, from_attributes=True)
        return len(rows), adapter.dump_json(models, by_alias=True)[1:-1]


async def compare(db: Database, response: type[BaseModel], bases: Sequence[Any]) -> None:
    """Compare what the database prints of several pages with the ordinary way."""
    for base in bases:
        expected = await ordinary(db, response, base)
        found = await printed(db, response, base)
        if found is None:
            # MariaDB escapes some control characters in capitals, and then the text is not taken.
            assert server(db)[0] == "mariadb"
            assert b"\\u00" in expected[1]
        else:
            assert found == expected


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def db(database_url: str, loop: asyncio.Runner) -> Iterator[Database]:
    """A database with the tables, on each engine."""
    database = Database(database_url)
    loop.run(database.create_all())
    yield database
    loop.run(database.close())


examples = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
days = st.dates(date(1, 1, 1))
moments = st.datetimes() | st.datetimes().map(lambda found: found.replace(microsecond=0))
oddities: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        words=st.none() | words,
        flag=st.none() | st.booleans(),
        big=st.none() | st.integers(-(2**63), 2**63 - 1),
        uid=st.none() | st.uuids(version=4),
        day=st.none() | days,
        moment=st.none() | moments.map(lambda found: found.replace(tzinfo=UTC)),
        naive=st.none() | moments,
        at=st.none() | st.times() | st.times().map(lambda found: found.replace(microsecond=0)),
        grade=st.none() | st.sampled_from(Grade),
        price=st.none() | st.decimals(-(10**13), 10**13, places=6),
        score=st.none() | st.floats(1e-4, 1e14) | st.floats(-1e6, -1e-4) | st.integers(-9, 9),
    ),
    max_size=5,
)


async def put(db: Database, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    """Put rows in place of what a table has."""
    async with db.transaction() as session:
        connection = await session.connection()
        await connection.execute(delete(model))
        if rows:
            names = dict.fromkeys(name for row in rows for name in row)
            await connection.execute(insert(model), [dict.fromkeys(names) | row for row in rows])


async def change(db: Database, assignment: str) -> None:
    """Change the first row behind the back of the library."""
    async with db.engine.begin() as connection:
        await connection.execute(text(f"UPDATE bytes_oddity SET {assignment} WHERE id = 0"))


@pytest.mark.db
def test_values_of_each_kind_are_printed_as_pydantic_prints_them(
    db: Database, loop: asyncio.Runner
) -> None:
    """Generated values, of the kinds that have no obstacle on the engine."""
    response = printable(db, OddityOut, Oddity)
    base = select(Oddity).order_by(Oddity.id)  # type: ignore[arg-type]

    @examples
    @given(oddities)
    def check(rows: list[dict[str, Any]]) -> None:
        numbered = [{"id": number, **row} for number, row in enumerate(rows)]
        loop.run(put(db, Oddity, numbered))
        loop.run(compare(db, response, [base, base.limit(2).offset(1)]))

    check()


@pytest.mark.db
def test_every_character_is_printed(db: Database, loop: asyncio.Runner) -> None:
    """Control characters, the plane of most scripts, and what is beyond it."""
    codes = [*range(1, 0xD800), *range(0xE000, 0x10000), 0x10000, 0x1F600, 0x10FFFF]
    rows = [{"id": code, "words": f"x{chr(code)}\\u000B"} for code in codes if code not in CAPITALS]
    response = printable(db, OddityOut, Oddity)
    base: Any = select(Oddity).order_by(Oddity.id)  # type: ignore[arg-type]
    if server(db)[0] == "mariadb":
        # There, what looks like such an escape is left to the rows as well.
        rows = [{**row, "words": row["words"][:2]} for row in rows if row["id"] > 31]
    loop.run(put(db, Oddity, rows))
    assert loop.run(printed(db, response, base)) == loop.run(ordinary(db, response, base))
    for code in CAPITALS:
        loop.run(put(db, Oddity, [{"id": 1, "words": f'"{chr(code)}é'}]))
        loop.run(compare(db, response, [base]))


@pytest.mark.db
@pytest.mark.parametrize("year", [1, 99, 999, 1000, 9999])
def test_times_of_far_years_are_printed(db: Database, loop: asyncio.Runner, year: int) -> None:
    """The first and the last moment that Python knows, and years of few digits."""
    ends = [datetime(year, 1, 1), datetime(year, 12, 31, 23, 59, 59, 999999)]  # noqa: DTZ001
    ends += [datetime(year, 7, 1, 1, 2, 3, 120000), datetime(year, 7, 1, 1, 2, 3, 4)]  # noqa: DTZ001
    rows = [
        {"id": number, "moment": end.replace(tzinfo=UTC), "naive": end, "day": end.date()}
        for number, end in enumerate(ends)
    ]
    response = printable(db, OddityOut, Oddity)
    loop.run(put(db, Oddity, rows))
    base: Any = select(Oddity).order_by(Oddity.id)  # type: ignore[arg-type]
    if server(db)[0] == "postgresql" and year in (1, 9999):
        # The driver stores the very first and the very last as infinity.
        assert loop.run(printed(db, response, base)) is None
        for names in ("day = '%(day)s'", "moment = '%(day)s 00:00:00+00', naive = '%(day)s'"):
            day = {1: "0001-01-01", 9999: "9999-12-31"}[year]
            loop.run(put(db, Oddity, [{"id": 0}]))
            loop.run(change(db, names % {"day": day}))
            expected = loop.run(ordinary(db, response, base))
            assert loop.run(printed(db, response, base)) == expected
    else:
        assert loop.run(printed(db, response, base)) == loop.run(ordinary(db, response, base))


@pytest.mark.db
def test_whole_trees_are_printed(db: Database, loop: asyncio.Runner) -> None:
    """Relations of a table to itself, deleted rows, pages, and no rows at all."""
    response = printable(db, NodeOut, Node)
    gone = datetime(2020, 1, 1, tzinfo=UTC)
    parents = (None, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 99)
    rows = [
        {
            "id": number,
            "name": f"{number}%s",
            "parent_id": parent if parent != 99 else None,
            "deleted_at": gone if number in (3, 5, 8) else None,
        }
        for number, parent in enumerate(parents, 1)
    ]
    loop.run(put(db, Node, rows))
    base: Any = select(Node).order_by(Node.id.desc())  # type: ignore[union-attr]
    pages = [base, base.limit(3), base.limit(2).offset(2), base.where(Node.name == "?")]
    pages += [base.where(Node.parent.has(name="2%s"))]  # type: ignore[union-attr]
    loop.run(compare(db, response, pages))
    everything = base.execution_options(include_deleted=True)
    loop.run(compare(db, response, [everything]))
    assert loop.run(printed(db, response, pages[3])) == (0, b"")
    live = loop.run(printed(db, response, base))
    full = loop.run(printed(db, response, everything))
    assert live is not None
    assert full is not None
    assert (live[0], full[0]) == (9, 12)
    assert b'"3%s"' not in live[1]
    assert b'"parent":null,"name":"6%s"' in live[1]
    assert b'"3%s"' in full[1]


@pytest.mark.db
def test_generated_worlds_are_printed(db: Database, loop: asyncio.Runner) -> None:
    """Relations in every direction over generated rows."""
    responses = [
        (printable(db, response, model), model)
        for response, model in MODELS.items()
        if model in (Player, Club)
    ]

    @examples
    @given(worlds)
    def check(world: Any) -> None:
        for player in world[1]:
            # Others are left to the rows.
            if player["score"] and not 1e-4 <= abs(player["score"]) < 1e15:
                player["score"] = 0.5
        loop.run(fill(db, world))
        for response, model in responses:
            table: Any = model
            base: Any = select(table).order_by(table.id)
            named: Any = base.where(table.name > "0")
            loop.run(compare(db, response, [base, base.limit(2), named.limit(3).offset(1)]))

    check()


@pytest.mark.db
def test_a_statement_is_compiled_once_and_run_by_the_driver(
    db: Database, loop: asyncio.Runner
) -> None:
    """Only the select's own parameters are left, whatever the names in the response."""
    response = printable(db, OddityOut, Oddity)
    loop.run(put(db, Oddity, [{"id": 1, "words": "%s :x", "grade": Grade.SAID}, {"id": 2}]))
    table: Any = Oddity
    base = select(Oddity).where(table.id == bindparam("key", type_=BigInteger))
    statement = json_select(plan_of(Oddity, response).shape, base, server(db)[0])
    compiled: Any = statement.compile(dialect=db.engine.dialect)
    assert list(compiled.params) == ["key"]

    async def run(key: int) -> Any:
        async with db.engine.connect() as connection:
            return json_items((await connection.exec_driver_sql(str(compiled), (key,))).all())

    for key in (1, 2, 3):
        expected = loop.run(ordinary(db, response, select(Oddity).where(table.id == key)))
        assert loop.run(run(key)) == expected


ODD: dict[str, list[str]] = {
    "postgresql": [
        "day = 'infinity'", "day = '-infinity'", "day = DATE '9999-12-31' + 1",
        "moment = 'infinity'", "moment = '-infinity'", "naive = 'infinity'", "at = '24:00:00'",
        "score = 'NaN'", "score = '-Infinity'", "score = 1e15", "score = 1e-5", "score = -1e300",
    ],
    "sqlite": [
        "words = x'41'", "big = 'many'", "big = 1.5", "flag = 7", "uid = 'x'",
        "uid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", "uid = '6BA7B8109DAD11D180B400C04FD430C8'",
        "day = '2020-02-31'", "day = '20200101'", "day = '0000-01-01'",
        "moment = '2020-01-01 25:00:00'", "moment = '2020-01-01T00:00:00Z'",
        "moment = '2020-01-01 00:00:00.123'", "moment = '0000-01-01 00:00:00'",
        "at = '1:00'", "grade = 'FOUR'",
    ],
    "mariadb": [],
}  # fmt: skip


@pytest.mark.db
def test_what_others_have_stored_is_left_to_the_rows(db: Database, loop: asyncio.Runner) -> None:
    """A value that the database would print differently, or that Python does not know."""
    response = printable(db, OddityOut, Oddity)
    base: Any = select(Oddity).order_by(Oddity.id)  # type: ignore[arg-type]

    for assignment in ODD[server(db)[0]]:
        loop.run(put(db, Oddity, [{"id": 1}, {"id": 0}]))
        assert loop.run(printed(db, response, base)) is not None
        loop.run(change(db, assignment))
        assert loop.run(printed(db, response, base)) is None, assignment
