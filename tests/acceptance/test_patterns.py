"""Each pattern of examples/patterns does on every engine what it says."""

import ast
import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import SQLModel

from examples.patterns import (
    aggregates,
    common_table_expressions,
    conditions,
    dependency_injection,
    dynamic_filters,
    eager_loading,
    joins,
    json_values,
    many_rows,
    outside_requests,
    pages,
    reading_rows,
    retry,
    row_locks,
    rows_to_dicts,
    savepoints,
    soft_delete,
    streaming,
    subqueries,
    text_statements,
    window_functions,
)
from examples.shop import models
from examples.shop.auth import EVERYBODY
from examples.shop.models import (
    Address,
    Category,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Product,
    ProductStatus,
    ProductTag,
    Review,
    Tag,
)
from examples.shop.services import ProductService
from sqlmodelkit import Conflict, Database, NotFound, Scope
from sqlmodelkit.fastapi import install, scoped_by

ROOT = Path(__file__).parents[2]
PATTERNS = sorted((ROOT / "examples" / "patterns").glob("[a-z]*.py"))
PAGE = (ROOT / "docs" / "patterns.md").read_text()
TABLES = [
    table
    for model in vars(models).values()
    if isinstance(model, type)
    and issubclass(model, SQLModel)
    and (table := getattr(model, "__table__", None)) is not None
]


@dataclass
class Shop:
    """A small shop: products by a short name, customers, and Ann's order."""

    db: Database
    products: dict[str, UUID]
    customers: dict[str, UUID]
    order: UUID
    tools: int


@pytest.fixture
async def shop(database: Database) -> Shop:
    """Three levels of categories, four products, three customers, two orders and some reviews."""
    async with database.engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=TABLES)
    async with database.transaction(scope=EVERYBODY) as session:
        tools = Category(name="Tools", slug="tools")
        session.add(tools)
        await session.flush()
        hammers = Category(name="Hammers", slug="hammers", parent_id=tools.id)
        session.add_all([hammers, Category(name="Books", slug="books")])
        await session.flush()
        sledges = Category(name="Sledges", slug="sledges", parent_id=hammers.id)
        session.add(sledges)
        assert tools.id
        assert hammers.id
        products = [
            Product(sku=sku, name=name, price=Decimal(price), stock=10, category_id=key, **more)
            for sku, name, price, key, more in (
                ("saw", "Saw", "30.00", tools.id, {"attributes": {"colour": "red"}}),
                ("axe", "Axe", "40.00", tools.id, {"attributes": {"colour": "blue"}}),
                ("awl", "Awl", "5.00", tools.id, {"status": ProductStatus.ACTIVE}),
                ("maul", "Maul 100%", "40.00", hammers.id, {"attributes": {"colour": "red"}}),
            )
        ]
        customers = [
            Customer(email=f"{name}@x.example", name=name, password_hash="-")
            for name in ("Ann", "Bob", "Cid")
        ]
        session.add_all([*products, *customers])
        await session.flush()
        (saw, axe, awl, maul), (ann, bob, _) = products, customers
        noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        orders = [
            Order(customer_id=ann.id, total=Decimal(70), created_at=noon, status=OrderStatus.PAID),
            Order(customer_id=bob.id, total=Decimal(5), created_at=noon + timedelta(hours=1)),
        ]
        session.add_all(orders)
        await session.flush()
        lines = [(orders[0], saw), (orders[0], axe), (orders[1], awl)]
        session.add_all(
            [
                OrderLine(
                    order_id=order.id,
                    product_id=product.id,
                    quantity=1,
                    unit_price=product.price,
                    product_name=product.name,
                )
                for order, product in lines
            ]
        )
        home: dict[str, Any] = {"street": "A 1", "postal_code": "1", "country": "CH"}
        session.add_all(
            [
                *(Address(customer_id=ann.id, city=city, **home) for city in ("Bern", "Bern")),
                Address(customer_id=bob.id, city="Aarau", **home),
            ]
        )
        reviews = [(saw, ann, 5), (saw, bob, 4), (maul, ann, 2)]
        session.add_all(
            [
                Review(product_id=product.id, customer_id=who.id, rating=stars, title="-")
                for product, who, stars in reviews
            ]
        )
    return Shop(
        database,
        {product.sku: product.id for product in products},
        {customer.name: customer.id for customer in customers},
        orders[0].id,
        tools.id,
    )


async def everybody() -> Scope:
    """Let every request see the rows of all customers."""
    return EVERYBODY


async def test_dependency_injection(shop: Shop) -> None:
    """A customer with addresses, or 404."""
    app = FastAPI(dependencies=[scoped_by(everybody)])
    install(app, shop.db)
    app.include_router(dependency_injection.router)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        found = await client.get(f"/customers/{shop.customers['Ann']}")
        missing = await client.get(f"/customers/{UUID(int=1)}")
    assert ["Bern", "Bern"] == [address["city"] for address in found.json()["addresses"]]
    assert 404 == missing.status_code


async def test_outside_requests(shop: Shop) -> None:
    """Retired is stored."""
    assert ["Awl"] == await outside_requests.retire_cheaper_than(shop.db, Decimal(10))
    async with shop.db.session(scope=EVERYBODY) as session:
        search = dynamic_filters.search(session, status=ProductStatus.RETIRED)
        assert ["Awl"] == await search


async def test_savepoints(shop: Shop) -> None:
    """Good ones stay, before and after the bad one."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert ["a"] == await savepoints.add_tags(session, ["a", "b", "a", "c"])
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert ["b", "c"] == await savepoints.add_tags(session, ["b", "c", "d"])


async def test_many_rows(shop: Shop) -> None:
    """How many there were; deleted products keep their price."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        added = await many_rows.add_tags(session, ["x", "y"])
        assert ["x", "y"] == [tag.name for tag in added]
        assert ["x"] == await many_rows.import_tags(session, ["w", "x", "z"])
        await soft_delete.take_off(session, shop.products["awl"])
        assert 2 == await many_rows.raise_prices(session, shop.tools, Decimal(2))
        assert 1 == await many_rows.remove_bad_reviews(session, 2)
    async with shop.db.session(scope=EVERYBODY) as session:
        page = await pages.product_page(session, 1)
        assert ["Axe", "Saw", "Maul 100%"] == page["products"]
        assert [("Saw", 4.5)] == await aggregates.best_rated(session, 9)


async def test_eager_loading(shop: Shop) -> None:
    """Two levels of rows, and the shape of the answer."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert Decimal(70) == await eager_loading.recount(session, shop.order)
        assert ["Axe", "Saw"] == await eager_loading.product_names(session, shop.order)
        shown = await eager_loading.show(session, shop.order)
    assert ("Ann", ["Axe", "Saw"]) == (
        shown.customer.name,
        [line.product.name for line in shown.lines if line.product],
    )


async def test_aggregates(shop: Shop) -> None:
    """Groups of nothing too; the best first."""
    async with shop.db.session(scope=EVERYBODY) as session:
        counts = await aggregates.products_per_category(session)
        assert [("Tools", 3), ("Hammers", 1), ("Books", 0), ("Sledges", 0)] == counts
        least = await aggregates.products_per_category(session, least=2)
        assert [("Tools", 3)] == least
        assert [("Saw", 4.5)] == await aggregates.best_rated(session, 1)
        assert {"Bern": 2, "Aarau": 1} == await aggregates.cities(session)


async def test_streaming(shop: Shop) -> None:
    """Every row once, in each form."""
    lines = sorted([line async for line in streaming.price_list(shop.db)])
    assert ["awl 5.00", "axe 40.00", "maul 40.00", "saw 30.00"] == lines
    printed = b"".join([part async for part in streaming.json_lines(shop.db)])
    names = {json.loads(line)["name"] for line in printed.splitlines()}
    assert {"Saw", "Axe", "Awl", "Maul 100%"} == names
    async with shop.db.session(scope=EVERYBODY) as session:
        assert Decimal(75) == await streaming.turnover(session)


async def test_soft_delete(shop: Shop) -> None:
    """Out of sight, there on request, and back."""
    key = shop.products["awl"]
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert await soft_delete.take_off(session, key)
        assert not await soft_delete.take_off(session, key)
        assert ["Axe", "Maul 100%", "Saw"] == await soft_delete.names(session)
        assert 4 == len(await soft_delete.names(session, include_deleted=True))
        assert "Awl" == (await soft_delete.bring_back(session, key)).name
        assert 4 == len(await soft_delete.names(session))


async def test_rows_to_dicts(shop: Shop) -> None:
    """Ready for JSON, and only the fields that were named."""
    async with shop.db.session(scope=EVERYBODY) as session:
        found = await rows_to_dicts.records(session)
    assert ["Ann", "Bob", "Cid"] == [record["name"] for record in json.loads(json.dumps(found))]
    assert {"id", "name", "created_at"} == set(found[0])


async def test_pages(shop: Shop) -> None:
    """The last one is not full; past it there is none, and the total stays."""
    async with shop.db.session(scope=EVERYBODY) as session:
        first = await pages.product_page(session, 1, size=3)
        last = await pages.product_page(session, 2, size=3)
        past = await pages.product_page(session, 3, size=3)
    assert {"Axe", "Maul 100%"} == set(first["products"][:2])
    assert (["Awl"], 2, 4) == (last["products"], last["pages"], last["total"])
    assert ([], 2, 4) == (past["products"], past["pages"], past["total"])


async def test_dynamic_filters(shop: Shop) -> None:
    """Each alone and all together; a percent sign is a percent sign."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert 4 == len(await dynamic_filters.search(session))
        assert ["Maul 100%"] == await dynamic_filters.search(session, text="%")
        tools = await dynamic_filters.search(session, text="a", category="tools")
        assert ["Awl", "Axe", "Saw"] == tools
        cheap = await dynamic_filters.search(session, cheaper_than=Decimal(40), text="s")
        assert ["Saw"] == cheap
        assert ["Awl"] == await dynamic_filters.search(session, status=ProductStatus.ACTIVE)
        session.add_all([tag := Tag(name="Shiny")])
        await session.flush()
        session.add(ProductTag(product_id=shop.products["axe"], tag_id=tag.id or 0))
        assert ["Axe"] == await dynamic_filters.search(session, text="SHIN")


async def test_joins(shop: Shop) -> None:
    """Inner, outer with a condition, and two rows in one."""
    async with shop.db.session(scope=EVERYBODY) as session:
        sold = await joins.sold(session)
        assert [("Ann", "Axe", 1), ("Ann", "Saw", 1), ("Bob", "Awl", 1)] == sold
        paid = await joins.customers_with_paid_orders(session)
        assert [("Ann", Decimal(70)), ("Bob", None), ("Cid", None)] == paid
        pairs = await joins.lines_with_products(session)
        assert ["awl", "axe", "saw"] == [product.sku for _, product in pairs]
        assert all(line.product_id == product.id for line, product in pairs)


async def test_subqueries(shop: Shop) -> None:
    """Nobody twice."""
    async with shop.db.session(scope=EVERYBODY) as session:
        assert await subqueries.exists(session, "saw")
        assert not await subqueries.exists(session, "pen")
        assert ["Ann"] == await subqueries.buyers(session, at_least=Decimal(10))
        assert ["Cid"] == await subqueries.never_bought(session)
        assert ["Maul 100%", "Saw"] == await subqueries.reviewed(session)
        assert ["Aarau", "Bern"] == await subqueries.cities(session)
        assert ["Ann", "Bob"] == await subqueries.active_customers(session)


async def test_common_table_expressions(shop: Shop) -> None:
    """All levels, and no other branch."""
    async with shop.db.session(scope=EVERYBODY) as session:
        below = await common_table_expressions.below(session, "tools")
        assert ["Hammers", "Sledges", "Tools"] == below
        assert ["Books"] == await common_table_expressions.below(session, "books")


async def test_window_functions(shop: Shop) -> None:
    """The first of each group, shared ranks, and sums up to each row."""
    async with shop.db.session(scope=EVERYBODY) as session:
        best = await window_functions.dearest_per_category(session, 2)
        assert ["Axe", "Saw", "Maul 100%"] == [name for _, name in best]
        ranks = await window_functions.ranks(session)
        assert [("Axe", 1), ("Maul 100%", 1), ("Saw", 3), ("Awl", 4)] == ranks
        totals = await window_functions.running_total(session)
        assert [(Decimal(70), Decimal(70)), (Decimal(5), Decimal(75))] == totals


async def test_reading_rows(shop: Shop) -> None:
    """By key, by a condition, in an order; a missing one is told."""
    keys = [shop.products[sku] for sku in ("maul", "awl")]
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert "Maul 100%" == (await reading_rows.by_key(session, keys[0])).name
        with pytest.raises(NotFound):
            await reading_rows.by_key(session, UUID(int=1))
        names = [product.name for product in await reading_rows.by_keys(session, keys)]
        assert ["Maul 100%", "Awl"] == names
        found = await reading_rows.by_sku(session, "saw")
        assert found is not None
        assert "Saw" == found.name
        assert await reading_rows.by_sku(session, "pen") is None
        first = await reading_rows.dearest(session)
        assert first is not None
        assert "Axe" == first.name
        names = [product.name for product in await reading_rows.everything(session)]
        assert ["Axe", "Maul 100%", "Saw", "Awl"] == names
        prices = [("awl", "5.00"), ("axe", "40.00"), ("maul", "40.00"), ("saw", "30.00")]
        assert prices == await reading_rows.prices(session)
        for key in shop.products.values():
            await soft_delete.take_off(session, key)
        assert await reading_rows.dearest(session) is None


async def test_conditions(shop: Shop) -> None:
    """Each alone, and three together."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert ["Awl", "Saw"] == await conditions.cheaper_than(session, Decimal(40))
        assert ["Awl", "Saw"] == await conditions.between(session, Decimal(5), Decimal(30))
        assert ["Axe", "Saw"] == await conditions.one_of(session, {"saw", "axe", "pen"})
        assert [] == await conditions.one_of(session, ())
        assert ["Awl", "Axe"] == await conditions.like(session, "A%")
        assert ["Maul 100%"] == await conditions.containing(session, "0%")
        assert ["Awl", "Maul 100%"] == await conditions.cheap_or_m(session, Decimal(35))
        assert ["Books", "Tools"] == await conditions.top_categories(session)
        dearer = await conditions.dearer_than_stock(session)
        assert ["Axe", "Maul 100%", "Saw"] == dearer


async def test_text_statements(shop: Shop) -> None:
    """A value is a value, whatever it says."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        found = await text_statements.stock_of(session, "Saw")
        assert [("saw", 10, Decimal("30.00"))] == found
        assert [] == await text_statements.stock_of(session, "' OR '1' = '1")
        await soft_delete.take_off(session, shop.products["saw"])
        assert [] == await text_statements.stock_of(session, "Saw")


async def test_json_values(shop: Shop) -> None:
    """Found by what was stored, and by what it was changed to."""
    async with shop.db.transaction(scope=EVERYBODY) as session:
        assert ["Maul 100%", "Saw"] == await json_values.in_colour(session, "red")
        await json_values.paint(session, shop.products["saw"], "blue")
    async with shop.db.session(scope=EVERYBODY) as session:
        assert ["Axe", "Saw"] == await json_values.in_colour(session, "blue")


async def test_row_locks(shop: Shop) -> None:
    """Moves in both directions at once: nothing is lost, and nobody waits for ever."""

    async def move(source: str, target: str) -> None:
        async with shop.db.transaction(scope=EVERYBODY) as session:
            keys = shop.products[source], shop.products[target]
            await row_locks.move_stock(session, *keys, 1)

    pairs = [("saw", "axe"), ("axe", "saw"), ("saw", "awl")] * 4
    await asyncio.gather(*(move(*pair) for pair in pairs))
    async with shop.db.transaction(scope=EVERYBODY) as session:
        stocks = {row.sku: row.stock for row in await ProductService(session).all()}
        assert {"saw": 6, "axe": 10, "awl": 14, "maul": 10} == stocks
        with pytest.raises(Conflict):
            await row_locks.move_stock(
                session, shop.products["saw"], shop.products["awl"], pieces=7
            )


async def test_retry(shop: Shop) -> None:
    """Whoever meets whom: nothing is lost, nobody is given up, and each is told once."""
    saw, axe, awl, maul = shop.products.values()
    pairs = [(saw, axe), (axe, saw), (saw, awl)] * 3
    async with asyncio.timeout(60):
        left = await asyncio.gather(
            *(retry.move_stock(shop.db, *pair, 1, scope=EVERYBODY) for pair in pairs)
        )
    assert all(number >= 0 for number in left)
    with pytest.raises(Conflict):
        await retry.move_stock(shop.db, saw, awl, 8, scope=EVERYBODY)
    told: list[str] = []
    orders = [[axe, maul], [maul, axe]] * 3
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(
                retry.sell_all(shop.db, keys, lambda: told.append("sold"), scope=EVERYBODY)
                for keys in orders
            )
        )
    assert ["sold"] * 6 == told
    async with shop.db.session(scope=EVERYBODY) as session:
        stocks = {row.sku: row.stock for row in await ProductService(session).all()}
    assert {"saw": 7, "axe": 4, "awl": 13, "maul": 4} == stocks


@pytest.mark.parametrize("path", PATTERNS, ids=lambda path: path.stem)
def test_a_pattern_is_told_and_tested(path: Path) -> None:
    """Its file says problem and way, the page lists it, and a test bears its name."""
    docstring = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    assert "Problem: " in docstring
    assert " Way: " in docstring
    assert f"(../examples/patterns/{path.name})" in PAGE
    assert f"test_{path.stem}" in globals()
