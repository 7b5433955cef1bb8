"""The first rows of a collection: the same as reading all of them, sorting and cutting in Python."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Annotated, Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, ValidationError, model_validator
from sqlalchemy import ForeignKeyConstraint, Index, create_mock_engine, delete, insert
from sqlmodel import Field as Column
from sqlmodel import Relationship, SQLModel

from sqlmodelkit import Database, IntKey, ServiceBase, SoftDelete
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.events import recording
from sqlmodelkit.models import utcnow
from sqlmodelkit.plan import Limit, Plan, shape_of
from sqlmodelkit.sessions import ONLY_LIVE

POSTGRESQL, SQLITE, MYSQL = (
    create_mock_engine(f"{name}://", print).dialect
    for name in ("postgresql+asyncpg", "sqlite", "mysql+asyncmy")
)


class Marking(SQLModel, table=True):
    """Links purchases and marks."""

    __tablename__ = "limit_marking"  # pyright: ignore[reportAssignmentType]

    purchase_id: int = Column(foreign_key="limit_purchase.id", primary_key=True)
    mark_id: int = Column(foreign_key="limit_mark.id", primary_key=True)


class Buyer(IntKey, table=True):
    """Has a collection in no order of its own, and one in such an order."""

    __tablename__ = "limit_buyer"  # pyright: ignore[reportAssignmentType]

    name: str = Column(max_length=20)
    purchases: list["Purchase"] = Relationship(back_populates="buyer")
    dearest: list["Purchase"] = Relationship(
        sa_relationship_kwargs={"viewonly": True, "order_by": "Purchase.price.desc()"}
    )

    @property
    def title(self) -> str:
        """Made in Python."""
        return f"<{self.name}>"

    @property
    def bought(self) -> int:
        """Needs the whole collection."""
        return len(self.purchases)


class Purchase(IntKey, SoftDelete, table=True):
    """A child with a sort column that may be NULL, and an index for one of its sorts."""

    __tablename__ = "limit_purchase"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (Index("ix_limit_purchase_placed", "buyer_id", "placed"),)

    placed: int | None = None
    price: int = 0
    buyer_id: int | None = Column(default=None, foreign_key="limit_buyer.id")
    buyer: Buyer | None = Relationship(back_populates="purchases")
    items: list["Item"] = Relationship()
    marks: list["Mark"] = Relationship(back_populates="purchases", link_model=Marking)


class Item(SQLModel, table=True):
    """A grandchild with a key of two columns."""

    __tablename__ = "limit_item"  # pyright: ignore[reportAssignmentType]

    purchase_id: int = Column(foreign_key="limit_purchase.id", primary_key=True)
    number: int = Column(primary_key=True)
    parts: list["Part"] = Relationship()


class Part(IntKey, table=True):
    """Belongs to a parent with a key of two columns."""

    __tablename__ = "limit_part"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        ForeignKeyConstraint(
            ["purchase_id", "number"], ["limit_item.purchase_id", "limit_item.number"]
        ),
    )

    purchase_id: int
    number: int
    weight: int


class Mark(IntKey, table=True):
    """Reached over a link."""

    __tablename__ = "limit_mark"  # pyright: ignore[reportAssignmentType]

    name: str = Column(max_length=20)
    purchases: list[Purchase] = Relationship(back_populates="marks", link_model=Marking)


class PurchaseOut(BaseModel):
    """A child as it is shown."""

    id: int
    price: int


class BuyerOut(BaseModel):
    """One relation in three ways, and another."""

    purchases: list[PurchaseOut]
    latest: Annotated[list[PurchaseOut], Limit(2, sort="-placed")] = Field(
        validation_alias=AliasChoices("latest", "purchases")
    )
    earliest: Annotated[list[PurchaseOut], Limit(3, sort=["placed", "-price"])] = Field(
        validation_alias=AliasChoices("earliest", "purchases")
    )
    name: str
    first: Annotated[list[PurchaseOut], Limit(1)] = Field(
        validation_alias=AliasChoices("first", "purchases")
    )
    dearest: Annotated[list[PurchaseOut], Limit(2)]


class TitledBuyer(BuyerOut):
    """The same by table rows."""

    title: str


class Nothing(SQLModel):
    """Unused input."""


class Buyers(ServiceBase[Buyer, Nothing, Nothing]):
    """Buyers."""


class SparingBuyers(Buyers):
    """Lets the database print what it can: on PostgreSQL and SQLite, the limited collections."""

    spare = "application"


class Marks(ServiceBase[Mark, Nothing, Nothing]):
    """Marks."""


class Purchases(ServiceBase[Purchase, Nothing, Nothing]):
    """Purchases."""


Facts = Sequence[dict[str, Any]]

purchases: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    buyer_id=st.none() | st.integers(1, 3),
    placed=st.none() | st.integers(0, 3),
    price=st.integers(0, 2),
    deleted=st.booleans(),
)


def shown(rows: Facts) -> list[dict[str, Any]]:
    """Return what is shown of purchases."""
    return [{"id": row["id"], "price": row["price"]} for row in rows]


def ordinary(rows: Facts, *, deleted: bool) -> list[dict[str, Any]]:
    """Work out the answer from whole collections, sorted and cut here; NULL is the greatest."""
    found = []
    for number in (1, 2, 3):
        mine = [row for row in rows if row["buyer_id"] == number]
        mine = [row for row in mine if deleted or not row["deleted"]]

        def placed(row: dict[str, Any]) -> int:
            return 9 if row["placed"] is None else int(row["placed"])

        latest = sorted(mine, key=lambda row: (-placed(row), row["id"]))
        earliest = sorted(mine, key=lambda row: (placed(row), -row["price"], row["id"]))
        dearest = sorted(mine, key=lambda row: (-row["price"], row["id"]))
        found.append(
            {
                "purchases": shown(mine),
                "latest": shown(latest[:2]),
                "earliest": shown(earliest[:3]),
                "name": f"b{number}",
                "first": shown(mine[:1]),
                "dearest": shown(dearest[:2]),
            }
        )
    return found


async def fill(db: Database, facts: Facts) -> list[dict[str, Any]]:
    """Put generated purchases in place of what is there."""
    rows = [{"id": number, **fact} for number, fact in enumerate(facts, 1)]
    async with db.engine.begin() as connection:
        await connection.execute(delete(Purchase))
        for row in reversed(rows):
            values = {name: value for name, value in row.items() if name != "deleted"}
            deleted_at = utcnow() if row["deleted"] else None
            await connection.execute(insert(Purchase).values(**values, deleted_at=deleted_at))
    return rows


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test."""
    with asyncio.Runner() as runner:
        yield runner


async def prepare(db: Database) -> None:
    """Make the tables, and three buyers."""
    await db.create_all()
    async with db.transaction() as session:
        session.add_all([Buyer(id=number, name=f"b{number}") for number in (1, 2, 3)])


async def compare(db: Database, facts: Facts) -> None:
    """Compare both paths, with and without deleted rows."""
    rows = await fill(db, facts)
    for deleted, reading in product((False, True), (False, True)):
        expected = ordinary(rows, deleted=deleted)
        async with db.unit(reading=reading) as unit:
            buyers = Buyers(unit)
            plain = await buyers.all(into=BuyerOut, sort="id", include_deleted=deleted)
            titled = await buyers.all(into=TitledBuyer, sort="id", include_deleted=deleted)
            text = await buyers.all_json(into=BuyerOut, sort="id", include_deleted=deleted)
            sparing = SparingBuyers(unit)
            printed = await sparing.all_json(into=BuyerOut, sort="id", include_deleted=deleted)
        assert expected == [buyer.model_dump() for buyer in plain]
        assert expected == [buyer.model_dump(exclude={"title"}) for buyer in titled]
        assert text == b"[%b]" % b",".join(buyer.model_dump_json().encode() for buyer in plain)
        assert text == printed


@pytest.mark.db
def test_a_limited_collection_is_the_whole_one_cut(database_url: str, loop: asyncio.Runner) -> None:
    """Soft-deleted rows take no place, NULLs sort as on pages, the key decides between equals."""
    db = Database(database_url)
    loop.run(prepare(db))
    try:

        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(st.lists(purchases, max_size=14))
        def check(facts: Facts) -> None:
            loop.run(compare(db, facts))

        check()
    finally:
        loop.run(db.close())


class PartOut(BaseModel):
    """A leaf."""

    weight: int


class ItemOut(BaseModel):
    """Shows the heaviest part."""

    number: int
    parts: Annotated[list[PartOut], Limit(1, sort="-weight")]


class BuyerName(BaseModel):
    """A to-one relation."""

    name: str


class MarkedOut(BaseModel):
    """A limited child with everything below it."""

    id: int
    buyer: BuyerName | None
    items: Annotated[list[ItemOut], Limit(2)]


class MarkOut(BaseModel):
    """Limits on three levels, the first of them over a link."""

    name: str
    purchases: Annotated[list[MarkedOut], Limit(2, "-price")]


class SeenMark(MarkOut):
    """The same by table rows: its own code looks at the row."""

    @model_validator(mode="before")
    @classmethod
    def look(cls, row: Any) -> Any:
        """Take rows of the table only."""
        assert isinstance(row, Mark)
        assert row.name == "m"
        return row


async def deep(db: Database) -> None:
    """Three purchases under one mark, each with three items of two parts."""
    await db.create_all()
    async with db.transaction() as session:
        mark = Mark(id=1, name="m")
        session.add_all([mark, Mark(id=2, name="m"), Buyer(id=1, name="b")])
        await session.flush()
        for number in (1, 2, 3):
            buyer = 1 if number > 1 else None
            session.add(Purchase(id=number, price=number, buyer_id=buyer, marks=[mark]))
            await session.flush()
            for item, weight in product((1, 2, 3), (5, 7)):
                if weight == 5:
                    session.add(Item(purchase_id=number, number=item))
                    await session.flush()
                session.add(Part(purchase_id=number, number=item, weight=weight * item))


@pytest.mark.db
@pytest.mark.parametrize("response", [MarkOut, SeenMark])
async def test_limits_may_be_nested(database: Database, response: type[BaseModel]) -> None:
    """Over links, below to-one relations and under keys of two columns; one statement each."""
    await deep(database)
    items = [{"number": n, "parts": [{"weight": 7 * n}]} for n in (1, 2)]
    first = [{"id": n, "buyer": {"name": "b"}, "items": items} for n in (3, 2)]
    async with database.transaction() as session:
        with recording(database.engine.sync_engine) as events:
            found = await Marks(session).all(into=response, sort="id")
    assert [mark.model_dump() for mark in found] == [
        {"name": "m", "purchases": first},
        {"name": "m", "purchases": []},
    ]
    selects = [event for event in events if event.statement.startswith("SELECT")]
    assert len(selects) == Plan.of(Mark, response).statement_count() == 4


@pytest.mark.parametrize("response", [BuyerOut, MarkOut])
def test_limited_collections_can_be_printed_by_the_database(response: type[BaseModel]) -> None:
    """In one statement, where rows can be put together in their order."""
    plan = Plan.of(Mark if response is MarkOut else Buyer, response)
    assert ((), ()) == (plan.bytes_obstacles("postgresql"), plan.bytes_obstacles("sqlite"))


class Counted(BaseModel):
    """Shows a part of what a property needs whole."""

    bought: int
    purchases: Annotated[list[PurchaseOut], Limit(1)]


@pytest.mark.db
async def test_a_property_is_not_given_a_part_for_the_whole(database: Database) -> None:
    """What is limited is nowhere but in the response."""
    await database.create_all()
    async with database.transaction() as session:
        session.add(Buyer(id=1, name="b", purchases=[Purchase(), Purchase()]))
    async with database.session() as session:
        with pytest.raises(ValidationError, match="lazy load operation of attribute"):
            await Buyers(session).get(1, into=Counted)


def sql(response: type[BaseModel], dialect: Any, size: int, field: str = "latest") -> str:
    """Return the statement of a buyer's collection."""
    for collection in Plan.of(Buyer, response).fetch.collections:
        if collection.edge.field == field:
            return str(collection.select(size).options(ONLY_LIVE).compile(dialect=dialect))
    raise AssertionError


def test_an_index_in_the_order_is_used_on_postgresql() -> None:
    """Parent by parent; without one, all children are numbered in one go."""
    latest = sql(BuyerOut, POSTGRESQL, 0)
    assert "unnest(CAST($1::TEXT[] AS INTEGER[])) AS parents JOIN LATERAL" in latest
    assert latest.endswith("ORDER BY anon_1.placed DESC, anon_1.id")
    inner = latest.partition("LATERAL (")[2].partition(") AS anon_1")[0]
    assert "limit_purchase.deleted_at IS NULL ORDER BY limit_purchase.placed DESC" in inner
    dearest = sql(BuyerOut, POSTGRESQL, 0, "dearest")
    assert "row_number() OVER (PARTITION BY limit_purchase.buyer_id" in dearest
    assert "LATERAL" not in dearest


@pytest.mark.parametrize("dialect", [SQLITE, MYSQL])
def test_children_are_numbered_elsewhere(dialect: Any) -> None:
    """With the scope inside, so that what is out of it has no number."""
    latest = sql(BuyerOut, dialect, 8)
    inner = latest.partition("FROM (")[2].partition(") AS anon_1")[0]
    assert "row_number() OVER (PARTITION BY limit_purchase.buyer_id ORDER BY" in inner
    assert "limit_purchase.placed IS NULL DESC, limit_purchase.placed DESC" in inner
    assert inner.endswith("AND limit_purchase.deleted_at IS NULL")
    assert latest.endswith("ORDER BY anon_1.place")


def out(annotation: Any, default: Any = ...) -> type[BaseModel]:
    """Make a response model that shows purchases."""
    namespace: dict[str, Any] = {"__annotations__": {"purchases": annotation}}
    if default is not ...:
        namespace["purchases"] = default
    return type("Out", (BaseModel,), {"__module__": __name__, **namespace})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Limit(0), "Limit(0) shows nothing."),
        (lambda: Limit(-1), "Limit(-1) shows nothing."),
        (
            lambda: shape_of(Buyer, out(Annotated[list[PurchaseOut], Limit(1, "paid")])),
            "Out.purchases: Purchase cannot be sorted by 'paid'.",
        ),
        (
            lambda: shape_of(Buyer, out(Annotated[list[PurchaseOut], Limit(1), Limit(2)])),
            "Out.purchases has more than one Limit or Depth.",
        ),
        (
            lambda: shape_of(
                Purchase,
                out(Annotated[BuyerName | None, Limit(1)], Field(validation_alias="buyer")),
            ),
            "Out.purchases has a Limit and is no collection.",
        ),
        (
            lambda: shape_of(Buyer, out(Annotated[str, Limit(1)], Field(validation_alias="name"))),
            "Out.purchases has a Limit and shows no relation.",
        ),
    ],
)
def test_a_limit_that_does_not_fit_is_refused(make: Callable[[], object], message: str) -> None:
    """When it is declared, or when the response is laid over its table."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.message == message
    assert caught.value.hint


def test_a_limit_is_found_inside_the_annotation() -> None:
    """Wherever it is written; a relation may be shown under another name."""
    within = out(Optional[Annotated[list[PurchaseOut], Limit(2, ("-price", "id"))]])  # noqa: UP045
    (edge,) = shape_of(Buyer, within).relations
    assert (edge.limit, edge.order) == (2, ("-price", "id"))
    renamed = out(Annotated[list[PurchaseOut], Limit(2)], Field(validation_alias="dearest"))
    (edge,) = shape_of(Buyer, renamed).relations
    assert (edge.name, edge.key, edge.limit, edge.order) == ("dearest", "dearest", 2, ())


class Twice(BaseModel):
    """All and some, read under one name."""

    purchases: list[PurchaseOut]
    some: Annotated[list[PurchaseOut], Limit(1)] = Field(validation_alias="purchases")


def test_two_ways_to_show_a_relation_need_two_names() -> None:
    """Pydantic would be given one value for both; the hint has the fix."""
    with pytest.raises(ConfigError) as caught:
        Plan.of(Buyer, Twice)
    assert caught.value.fields == ("purchases", "some")
    assert 'Field(validation_alias=AliasChoices("some", "purchases"))' in str(caught.value)


def test_what_the_client_is_told_stays_the_same() -> None:
    """The limit is no part of the schema."""
    plain, limited = out(list[PurchaseOut]), out(Annotated[list[PurchaseOut], Limit(1)])
    assert plain.model_json_schema() == limited.model_json_schema()


def test_the_explanation_names_the_limit() -> None:
    """And what it is sorted by."""
    lines = Plan.of(Buyer, BuyerOut).explain().splitlines()
    assert "  purchases (one more statement, the first 2 by -placed):" in lines
    assert "  dearest (one more statement, the first 2):" in lines
    assert lines[0] == "BuyerOut from Buyer: 6 statement(s), path rows"
    assert Plan.of(Buyer, TitledBuyer).path == "objects"
