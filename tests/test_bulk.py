"""Many rows at once: all or none, or each for itself, in any number."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, BigInteger, MetaData, event
from sqlmodel import Field, SQLModel

from sqlmodelkit import (
    Database,
    IntKey,
    RowResult,
    ServiceBase,
    Timestamps,
    UUIDKey,
    Version,
    where,
)
from sqlmodelkit.errors import (
    CheckViolation,
    ConfigError,
    FilterError,
    ForeignKeyViolation,
    InvalidValue,
    UniqueViolation,
)
from sqlmodelkit.events import recording
from tests.firms import ProjectCreate, ProjectService, RemarkService, create_firms
from tests.world import (
    ChapterService,
    VolumeCreate,
    VolumeService,
    add_volume,
    create_world,
    is_postgresql,
)


class Hall(SQLModel):
    """A base with a metadata of its own, for tables that are odd."""

    metadata = MetaData()


class Size(Enum):
    """How large something is."""

    SMALL = "s"
    LARGE = "l"


class ThingBase(SQLModel):
    """A column of every kind."""

    name: str = Field(max_length=40, unique=True)
    number: int | None = 7
    large: int | None = Field(default=None, sa_type=BigInteger)
    ratio: float | None = None
    price: Decimal | None = Field(default=None, max_digits=10, decimal_places=3)
    is_open: bool | None = None
    size: Size | None = Size.SMALL
    made_at: datetime | None = None
    day: date | None = None
    clock: time | None = None
    owner: UUID | None = None
    raw: bytes | None = None
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    place: str | None = Field(default=None, sa_column_kwargs={"server_default": "shelf"})


class Thing(ThingBase, UUIDKey, Timestamps, Version, Hall, table=True):
    """All of them, and defaults of the model and of the server."""

    __tablename__ = "bu_thing"  # pyright: ignore[reportAssignmentType]


class Counter(IntKey, Hall, table=True):
    """As many columns as make it fourteen, for large numbers of values."""

    __tablename__ = "bu_counter"  # pyright: ignore[reportAssignmentType]

    code: int = Field(unique=True)
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: str = ""
    f: str = ""
    g: str = ""
    h: str = ""
    i: float = 0
    j: float = 0
    k: bool = False
    l: str | None = None  # noqa: E741 - one more


class CounterIn(SQLModel):
    """Input of counters."""

    code: int
    a: int = 0
    e: str = ""
    l: str | None = None  # noqa: E741 - one more


class ThingService(ServiceBase[Thing, ThingBase, ThingBase]):
    """Things."""


class CounterService(ServiceBase[Counter, CounterIn, CounterIn]):
    """Counters."""


class Heard(IntKey, Hall, table=True):
    """A table whose writes are listened to."""

    __tablename__ = "bu_heard"  # pyright: ignore[reportAssignmentType]

    code: int = Field(unique=True)


class HeardIn(SQLModel):
    """Input."""

    code: int


class HeardService(ServiceBase[Heard, HeardIn, HeardIn]):
    """A service of such a table."""


@event.listens_for(Heard, "before_insert")
def _hear(mapper: Any, connection: Any, row: Any) -> None:
    """Be heard."""


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py and of this module."""
    return await with_hall(await create_world(database))


@pytest.fixture
async def any_world(any_world: Database) -> Database:
    """The same, once for each driver."""
    return await with_hall(any_world)


async def with_hall(database: Database) -> Database:
    """Make the tables of this module, too."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Hall.metadata.create_all)
    return database


FULL: dict[str, Any] = {
    "number": -1,
    "large": 2**62,
    "ratio": 0.1,
    "price": Decimal("12.345"),
    "is_open": True,
    "size": Size.LARGE,
    "made_at": datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC),
    "day": date(2026, 1, 31),
    "clock": time(1, 2, 3),
    "owner": UUID(int=5),
    "raw": b"\x00\xff",
    "facts": {"a": [1, None, "ü"]},
    "place": "door",
}
MOVING = {"id", "created_at", "updated_at", "name"}


async def all_alike(world: Database, values: dict[str, Any]) -> dict[str, Any]:
    """Store a row with these values by every verb; return it, when it is the same by all."""
    async with world.transaction() as session:
        things = ThingService(session)
        one = await things.create(ThingBase(name="create", **values))
        await things.create_many([ThingBase(name="create_many", **values)])
        other = ThingBase(name="other")
        assert 2 == await things.insert_many([ThingBase(name="insert", **values), other])
        await things.upsert(ThingBase(name="upsert", **values), on="name")
        many = [ThingBase(name="upsert_many", **values), other]
        assert 1 == await things.upsert_many(many, on="name")
        key = one.id
    async with world.session() as session:
        rows = await ThingService(session).all()
        dumped = [row.model_dump(exclude=MOVING) for row in rows if row.name != "other"]
        assert all(dumped[0] == row for row in dumped), dumped
        row = await ThingService(session).get(key)
        nulls = {name for name, value in row.model_dump().items() if value is None}
        for name in nulls:
            rest = where(**{f"{name}__is": None, "name__ne": "other"})
            assert len(dumped) == await ThingService(session).count(rest)
    return dumped[0]


@pytest.mark.parametrize(
    "values", [{}, FULL, dict.fromkeys(FULL), {"facts": {}, "place": None}], ids=str
)
async def test_a_row_is_the_same_by_every_verb(any_world: Database, values: dict[str, Any]) -> None:
    """Defaults, NULL that was given, and values of every type."""
    stored = await all_alike(any_world, values)
    expected = dict.fromkeys(FULL) | {"number": 7, "size": Size.SMALL, "place": "shelf"}
    assert expected | values | {"version": 1} == stored


@pytest.mark.parametrize("many", [False, True])
async def test_what_is_there_is_changed_by_what_was_given(world: Database, many: bool) -> None:
    """Row by row: some set a value, some NULL, some nothing."""
    async with world.transaction() as session:
        things = ThingService(session)
        await things.insert_many([ThingBase(name=name, **FULL) for name in "abc"])
    given = [ThingBase(name="a", number=1), ThingBase(name="b", facts=None), ThingBase(name="c")]
    await asyncio.sleep(0.01)
    async with world.transaction() as session:
        things = ThingService(session)
        if many:
            assert 2 == await things.upsert_many(given, on="name")
        else:
            for data in given:
                await things.upsert(data, on="name")
    async with world.session() as session:
        rows = await ThingService(session).all(sort="name")
    assert [(1, 2), (-1, 2), (-1, 1)] == [(row.number, row.version) for row in rows]
    assert [FULL["facts"], None, FULL["facts"]] == [row.facts for row in rows]
    assert [True, True, False] == [row.updated_at > row.created_at for row in rows]


async def numbers(world: Database) -> list[int]:
    """Return the codes of the counters, in the order of their keys."""
    async with world.session() as session:
        return [row.code for row in await CounterService(session).all(sort="id")]


async def given_as(way: str, count: int) -> Any:
    """Return rows as a list, a generator, or asynchronously; as models or as mappings."""

    def each() -> Iterator[Any]:
        for code in range(count):
            yield {"code": code} if "mapping" in way else CounterIn(code=code)

    async def slowly() -> AsyncIterator[Any]:
        for row in each():
            await asyncio.sleep(0)
            yield row

    return slowly() if "async" in way else each() if "generator" in way else list(each())


WAYS = ["list", "generator", "async", "list of mappings", "async mappings"]


@pytest.mark.parametrize("way", WAYS)
async def test_rows_are_taken_as_they_come(world: Database, way: str) -> None:
    """In batches, and progress is told after each of them."""
    told: list[int] = []
    async with world.transaction() as session:
        counters = CounterService(session)
        rows = await given_as(way, 25)
        assert 25 == await counters.insert_many(rows, batch=10, progress=told.append)
        rows = await given_as(way, 30)
        done = await counters.upsert_many(rows, on="code", update=(), batch=10)
        assert 5 == done
        assert 0 == await counters.insert_many([])
        with pytest.raises(ConfigError):
            await counters.insert_many([], batch=0)
    assert [10, 20, 25] == told
    assert list(range(30)) == await numbers(world)


async def test_one_refused_row_refuses_all(world: Database) -> None:
    """Of every batch, though the unit of work goes on."""
    async with world.transaction() as session:
        counters = CounterService(session)
        await counters.create(CounterIn(code=100))
        codes = [*range(7), 100]
        with pytest.raises(UniqueViolation):
            await counters.insert_many([CounterIn(code=code) for code in codes], batch=3)
        with pytest.raises(InvalidValue) as caught:
            await counters.insert_many([{"code": 1}, {"code": "x"}])
        assert "Row 2: code" in str(caught.value)
        assert ("code",) == caught.value.fields
        with pytest.raises(InvalidValue) as caught:
            await counters.insert_many([CounterIn(code=1), CounterIn(code=2**31)])
        assert "row 2" in str(caught.value)
        await counters.create(CounterIn(code=101))
    assert [100, 101] == await numbers(world)


async def test_json_that_is_too_deep_is_refused_by_every_verb(world: Database) -> None:
    """As deep as Pydantic itself can dump it, and deeper."""
    async with world.transaction() as session:
        things = ThingService(session)
        key = (await things.create(ThingBase(name="a"))).id
        for depth in (101, 400):
            facts: dict[str, Any] = {}
            for _ in range(depth - 1):
                facts = {"a": facts}
            deep = ThingBase(name="b", facts=facts)
            writes: list[Callable[[], Awaitable[Any]]] = [
                partial(things.create, deep),
                partial(things.create_many, [deep]),
                partial(things.insert_many, [deep]),
                partial(things.upsert, deep, on="name"),
                partial(things.update, key, deep),
                partial(things.update_where, deep, name="a"),
            ]
            for write in writes:
                with pytest.raises(InvalidValue) as caught:
                    await write()
                assert ("facts",) == caught.value.fields
            (failed,) = await things.insert_many([deep], report=True)
            assert ("failed", InvalidValue) == (failed.outcome, type(failed.error))
        assert 1 == await things.count()


async def test_a_time_of_day_loses_nothing(world: Database) -> None:
    """Microseconds are kept. No engine keeps an offset, so it is refused, also in a filter."""
    noon, late = time(12, tzinfo=UTC), time(23, 59, 59, 999_999)
    async with world.transaction() as session:
        things = ThingService(session)
        await things.create(ThingBase(name="c", clock=late))
        await things.insert_many([ThingBase(name="d", clock=late)])
    async with world.transaction() as session:
        things = ThingService(session)
        assert [late, late] == [row.clock for row in await things.all(clock=late)]
        with pytest.raises(InvalidValue) as caught:
            await things.insert_many([ThingBase(name="a", clock=noon), ThingBase(name="b")])
        assert ("clock",) == caught.value.fields
        with pytest.raises(FilterError):
            await things.all(clock=noon)


async def test_errors_of_bulk_are_those_of_create(world: Database) -> None:
    """With the same names."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        broken = [VolumeCreate(title="a"), VolumeCreate(title="b", price=Decimal(-1))]
        with pytest.raises(CheckViolation) as check:
            await volumes.insert_many(broken)
        assert ("Volume", ("price",)) == (check.value.model, check.value.fields)
        orphans = [VolumeCreate(title="a"), VolumeCreate(title="b", writer_id=uuid4())]
        with pytest.raises(ForeignKeyViolation) as foreign:
            await volumes.insert_many(orphans)
        assert ("Volume", ("writer_id",)) == (foreign.value.model, foreign.value.fields)
        twice = [VolumeCreate(title="a", isbn="1"), VolumeCreate(title="b", isbn="1")]
        with pytest.raises(UniqueViolation) as unique:
            await volumes.insert_many(twice)
        assert ("Volume", ("isbn",)) == (unique.value.model, unique.value.fields)
        assert 0 == await volumes.count()


async def test_each_row_is_reported(world: Database) -> None:
    """A bad one does not keep the others from being stored."""
    async with world.transaction() as session:
        counters = CounterService(session)
        await counters.insert_many([CounterIn(code=code, a=1) for code in (3, 5)])
        rows: list[Any] = [{"code": code, "a": 2} for code in range(8)]
        rows[1] = {"code": "x"}
        rows[2] = {"code": 2**31}
        found = await counters.insert_many(rows, report=True, batch=5)
        outcomes = ["inserted", "failed", "failed", "failed", "inserted", "failed"]
        assert [*outcomes, "inserted", "inserted"] == [row.outcome for row in found]
        errors = {type(row.error) for row in found}
        assert {type(None), InvalidValue, UniqueViolation} == errors
        rows[1], rows[2] = {"code": 10}, {"code": 3, "a": 9}
        found = await counters.upsert_many(rows, on="code", report=True)
        new = [number for number, row in enumerate(found) if row.outcome == "inserted"]
        assert ([1], {"inserted", "updated"}) == (new, {row.outcome for row in found})
        # Of two rows with one key the later one counts.
        assert 2 == (await counters.all(code=3))[0].a
        found = await counters.upsert_many(rows, on="code", update=(), report=True)
        assert [RowResult("skipped")] * 8 == found
        assert [] == await counters.insert_many([], report=True)
    assert [0, 3, 4, 5, 6, 7, 10] == sorted(await numbers(world))


async def test_a_report_names_rows_of_another_key(world: Database) -> None:
    """Only they fail."""
    async with world.transaction() as session:
        volumes = VolumeService(session)
        await volumes.create(VolumeCreate(title="a", isbn="1"))
        await volumes.delete(1)
        rows = [VolumeCreate(title=str(n), isbn=str(n)) for n in range(4)]
        found = await volumes.upsert_many(rows, on="isbn", report=True)
        outcomes = ["inserted", "failed", "inserted", "inserted"]
        assert outcomes == [row.outcome for row in found]
        assert 3 == await volumes.count()


async def test_of_rows_with_one_key_the_last_counts(world: Database) -> None:
    """As if they came one after the other, also in one batch."""
    rows = [CounterIn(code=n % 3, a=n) for n in range(10)]
    async with world.transaction() as session:
        counters = CounterService(session)
        assert 10 == await counters.upsert_many(rows, on="code")
        assert [9, 7, 8] == [row.a for row in await counters.all(sort="code")]


async def test_bulk_takes_few_statements(world: Database) -> None:
    """A thousand rows are not a thousand statements."""
    rows = [CounterIn(code=code) for code in range(1000)]
    async with world.transaction() as session:
        counters = CounterService(session)
        await session.connection()
        with recording(world.engine.sync_engine) as seen:
            await counters.insert_many(rows)
            await counters.upsert_many(rows, on="code")
        verbs = [event.statement.split()[0] for event in seen]
        assert len(verbs) <= 10, verbs


async def test_tables_that_are_listened_to_are_refused(world: Database) -> None:
    """Their listeners would not hear of it."""
    async with world.transaction() as session:
        rows = HeardService(session)
        with pytest.raises(ConfigError):
            await rows.insert_many([HeardIn(code=1)])
        with pytest.raises(ConfigError):
            await rows.upsert(HeardIn(code=1), on="code")
        assert 1 == len(await rows.create_many([HeardIn(code=1)]))


async def test_references_out_of_scope_are_refused(database: Database) -> None:
    """By bulk as by create."""
    ours, theirs = await create_firms(database)
    async with database.transaction(scope=ours.scope) as session:
        remarks = RemarkService(session)
        with pytest.raises(ForeignKeyViolation):
            await remarks.insert_many([{"text": "x", "project_id": theirs.projects[0]}])
        with pytest.raises(ForeignKeyViolation):
            await remarks.update_where({"project_id": theirs.projects[0]}, everything=True)
        projects = ProjectService(session)
        with pytest.raises(InvalidValue):
            await projects.insert_many([ProjectCreate(code="x", name="x", firm_id=theirs.firm)])
        with pytest.raises(InvalidValue):
            await projects.update_where({"firm_id": theirs.firm}, everything=True)


async def test_a_cancelled_bulk_leaves_nothing(world: Database) -> None:
    """Cancelled between and within batches; the database is whole, and goes on."""
    for pause in (0, 0.002, 0.01, 0.03, 0.06):

        async def write() -> None:
            async with world.transaction() as session:
                counters = CounterService(session)
                rows = [CounterIn(code=code) for code in range(4000)]
                await counters.insert_many(rows, batch=1000)
                await counters.upsert_many(rows, on="code", batch=1000)
                await asyncio.sleep(60)

        task = asyncio.create_task(write())
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [] == await numbers(world)
    async with world.transaction() as session:
        assert 1 == await CounterService(session).insert_many([CounterIn(code=1)])
    assert [1] == await numbers(world)


async def test_writers_side_by_side_lose_nothing(world: Database) -> None:
    """Several tasks upsert the same keys in the same order."""

    async def write(number: int) -> None:
        async with world.transaction() as session:
            rows = [CounterIn(code=code, a=number) for code in range(50)]
            await CounterService(session).upsert_many(rows, on="code")

    await asyncio.gather(*[write(number) for number in range(5)])
    assert sorted(await numbers(world)) == list(range(50))
    async with world.session() as session:
        assert 1 == len({row.a for row in await CounterService(session).all()})


NOTING = (
    "CREATE TABLE bu_noted (verb text)",
    (
        "CREATE FUNCTION bu_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO bu_noted VALUES (left(current_query(), 4)); RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER bu_note AFTER INSERT ON bu_counter FOR EACH STATEMENT "
        "EXECUTE FUNCTION bu_note()"
    ),
)


async def test_copy_is_used_where_nobody_listens(world: Database) -> None:
    """On PostgreSQL; where somebody listens, it is a statement that is heard."""
    if not is_postgresql(world):
        return
    async with world.engine.begin() as connection:
        for statement in NOTING:
            await connection.exec_driver_sql(statement)
    async with world.transaction() as session:
        counters = CounterService(session)
        assert 2 == await counters.insert_many([CounterIn(code=n) for n in (1, 2)])
        with recording(world.engine.sync_engine):
            assert 2 == await counters.insert_many([CounterIn(code=n) for n in (3, 4)])
        connection = await session.connection()
        noted = await connection.exec_driver_sql("SELECT verb FROM bu_noted")
        assert ["COPY", "INSE"] == [verb for (verb,) in noted.all()]


async def test_composite_keys(world: Database) -> None:
    """The primary key is the unique key when none is named."""
    key = await add_volume(world)
    async with world.transaction() as session:
        chapters = ChapterService(session)
        rows = [{"volume_id": key, "number": n, "title": "a"} for n in range(3)]
        assert 3 == await chapters.upsert_many(rows)
        rows = [{"volume_id": key, "number": n, "title": "b"} for n in range(4)]
        assert 4 == await chapters.upsert_many(rows, update=["title"])
        assert ["b"] * 4 == [row.title for row in await chapters.all()]


@pytest.mark.slow
async def test_two_hundred_thousand_rows(world: Database) -> None:
    """No number of rows or values meets a limit."""

    def rows(a: int) -> Iterator[CounterIn]:
        return (CounterIn(code=code, a=a, e="x" * 20) for code in range(200_000))

    async with world.transaction() as session:
        counters = CounterService(session)
        assert 200_000 == await counters.insert_many(rows(1))
        assert 200_000 == await counters.upsert_many(rows(2), on="code")
        assert (200_000, 0) == (await counters.count(), await counters.count(a=1))


async def test_a_batch_at_a_time_is_in_memory(world: Database) -> None:
    """However many rows there are."""
    peaks = []
    async with world.transaction() as session:
        counters = CounterService(session)
        for first, count in ((0, 1000), (1000, 1000), (2000, 10_000)):
            rows = (CounterIn(code=code, e="x" * 200) for code in range(first, first + count))
            tracemalloc.start()
            assert count == await counters.insert_many(rows, batch=500)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < 2 * peaks[1]


THINGS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.none(), st.integers(-5, 5)),
        st.booleans(),
        st.sampled_from([None, (), ("a",), ("a", "l")]),
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(THINGS, max_size=3))
def test_upserts_are_what_a_dictionary_would_do(database_url: str, batches: Any) -> None:
    """Whatever is there, given, unset or chosen: the table is what the model of it says."""
    asyncio.run(_compare(database_url, batches))


async def _compare(url: str, batches: list[list[tuple[int, int | None, bool, Any]]]) -> None:
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(Hall.metadata.drop_all)
            await connection.run_sync(Hall.metadata.create_all)
        expected: dict[int, dict[str, Any]] = {}
        for batch in batches:
            update = batch[0][3] if batch else None
            rows, written = [], 0
            for code, value, has_text, _ in batch:
                given: dict[str, Any] = {"code": code, "a": value or 0}
                given |= {"l": str(value)} if has_text else {}
                rows.append(CounterIn(**given))
                if code not in expected:
                    expected[code] = {"a": 0, "l": None} | given
                    written += 1
                else:
                    chosen = {n: v for n, v in given.items() if n in (update or ("a", "l"))}
                    chosen = {} if update == () else chosen
                    expected[code].update(chosen)
                    written += bool(chosen)
            async with database.transaction() as session:
                done = await CounterService(session).upsert_many(rows, on="code", update=update)
                assert written == done
        async with database.session() as session:
            found = await CounterService(session).all()
        assert {code: (row["a"], row["l"]) for code, row in expected.items()} == {
            row.code: (row.a, row.l) for row in found
        }
    finally:
        await database.close()
