"""Placing orders on every engine: nothing is sold twice, and nothing is half done."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import httpx2
import pytest

from examples.shop.application import create_app
from examples.shop.auth import EVERYBODY
from examples.shop.models import (
    CategoryCreate,
    CustomerCreate,
    OrderPublic,
    ProductCreate,
    ProductStatus,
    ProductUpdate,
)
from examples.shop.services import (
    CategoryService,
    CustomerService,
    OrderLineService,
    OrderService,
    ProductService,
)
from sqlmodelkit import Database, DatabaseSettings, QueryEvent
from sqlmodelkit.events import listen

TOKEN = "test-token"


@dataclass
class Shop:
    """A shop over ASGI with one customer and one category."""

    db: Database
    client: httpx2.AsyncClient
    customer_id: UUID
    category_id: int

    async def add(self, sku: str, *, stock: int, status: str = "active") -> UUID:
        """Put a product on sale for 9.90."""
        async with self.db.transaction(scope=EVERYBODY) as session:
            product = await ProductService(session).create(
                ProductCreate(
                    sku=sku,
                    name=f"Product {sku}",
                    price=Decimal("9.90"),
                    status=ProductStatus(status),
                    stock=stock,
                    category_id=self.category_id,
                )
            )
            return product.id

    async def place(self, *lines: tuple[UUID, int], key: str | None = None) -> httpx2.Response:
        """Order pieces of products."""
        return await self.client.post(
            "/orders/place",
            headers={} if key is None else {"Idempotency-Key": key},
            json={
                "customer_id": str(self.customer_id),
                "lines": [{"product_id": str(p), "quantity": n} for p, n in lines],
            },
        )

    async def stock(self, product_id: UUID) -> int:
        """Return how many pieces are left."""
        async with self.db.session(scope=EVERYBODY) as session:
            return (await ProductService(session).get(product_id)).stock

    async def sold(self) -> tuple[int, int]:
        """Return the number of orders, and of pieces in their lines."""
        async with self.db.session(scope=EVERYBODY) as session:
            lines = await OrderLineService(session).all()
            return await OrderService(session).count(), sum(line.quantity for line in lines)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database for patient clients: who gets a piece matters here, not how soon."""
    database = Database(
        settings=DatabaseSettings(
            url=database_url, pool_timeout=240, lock_timeout=240, statement_timeout=240
        )
    )
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """An empty shop on each engine."""
    await database.create_all()
    async with database.transaction(scope=EVERYBODY) as session:
        customer = await CustomerService(session).create(
            CustomerCreate(email="ada@example.com", name="Ada", password="long-enough")
        )
        category = await CategoryService(session).create(CategoryCreate(name="All", slug="all"))
    assert category.id is not None
    transport = httpx2.ASGITransport(create_app(database, TOKEN))
    async with httpx2.AsyncClient(
        transport=transport,
        base_url="http://shop",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=300,
    ) as client:
        yield Shop(database, client, customer.id, category.id)


@pytest.mark.slow
async def test_200_buyers_share_50_pieces(shop: Shop) -> None:
    """Of 200 orders at once for a stock of 50, exactly 50 succeed; the others are told why."""
    product_id = await shop.add("A", stock=50)
    answers = await asyncio.gather(*(shop.place((product_id, 1)) for _ in range(200)))

    assert Counter(answer.status_code for answer in answers) == {201: 50, 409: 150}
    messages = {a.json()["detail"][0]["msg"] for a in answers if a.status_code == 409}
    assert messages == {"Only 0 of 'Product A' are left, 1 were asked for."}
    assert await shop.stock(product_id) == 0
    assert await shop.sold() == (50, 50)


@pytest.mark.slow
async def test_messages_stay_true_while_others_buy(shop: Shop) -> None:
    """A refusal never says that as many are left as were asked for, or more."""
    product_id = await shop.add("A", stock=50)
    answers = await asyncio.gather(*(shop.place((product_id, n % 7 + 1)) for n in range(60)))
    refused = [answer.json()["detail"][0]["msg"] for answer in answers if answer.status_code == 409]

    assert {answer.status_code for answer in answers} == {201, 409}
    for message in refused:
        left, asked = map(int, re.findall(r"\d+", message))
        assert left < asked
    assert (await shop.sold())[1] == 50 - await shop.stock(product_id)


@pytest.mark.slow
async def test_orders_for_the_same_products_do_not_block_each_other(shop: Shop) -> None:
    """Whatever the order of the lines, concurrent orders wait in turn instead of deadlocking."""
    ids = [await shop.add(sku, stock=100) for sku in "ABCD"]
    baskets = [[(ids[(start + i) % 4], 1) for i in range(4)] for start in range(40)]
    answers = await asyncio.gather(*(shop.place(*basket) for basket in baskets))

    assert Counter(answer.status_code for answer in answers) == {201: 40}
    assert [60, 60, 60, 60] == [await shop.stock(product_id) for product_id in ids]


async def test_an_order_is_all_or_nothing(shop: Shop) -> None:
    """When one product is short, nothing is taken of the others."""
    plenty, short = await shop.add("A", stock=10), await shop.add("B", stock=1)
    answer = await shop.place((plenty, 5), (short, 2))

    assert answer.status_code == 409
    assert "Only 1 of 'Product B' are left, 2 were asked for." in answer.text
    assert (await shop.stock(plenty), await shop.stock(short)) == (10, 1)
    assert await shop.sold() == (0, 0)


async def test_lines_for_one_product_are_added_up(shop: Shop) -> None:
    """Two lines for one product are one line, and are checked together."""
    product_id = await shop.add("A", stock=3)
    refused = await shop.place((product_id, 2), (product_id, 2))
    placed = await shop.place((product_id, 2), (product_id, 1))

    assert (refused.status_code, placed.status_code) == (409, 201)
    (line,) = placed.json()["lines"]
    assert (line["quantity"], line["unit_price"], placed.json()["total"]) == (3, "9.90", "29.70")


@pytest.mark.parametrize("status", ["draft", "retired"])
async def test_only_active_products_are_sold(shop: Shop, status: str) -> None:
    """Others are in the catalogue, and a 409 says that they are not for sale."""
    product_id = await shop.add("A", stock=3, status=status)
    answer = await shop.place((product_id, 1))

    assert answer.status_code == 409
    assert answer.json()["detail"][0]["msg"] == "'Product A' is not for sale."
    assert await shop.stock(product_id) == 3


async def test_a_deleted_product_is_not_sold(shop: Shop) -> None:
    """Out of sight is out of the shop, for the UPDATE as for every read."""
    product_id = await shop.add("A", stock=3)
    async with shop.db.transaction(scope=EVERYBODY) as session:
        await ProductService(session).delete(product_id)
    answer = await shop.place((product_id, 1))

    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (404, "not_found")


async def test_stock_that_comes_in_meanwhile_is_sold(shop: Shop) -> None:
    """Between the refused UPDATE and the lock there may be new pieces: then they are taken."""
    product_id = await shop.add("A", stock=0)
    async with shop.db.transaction(scope=EVERYBODY) as session:
        await ProductService(session).update(product_id, ProductUpdate(stock=5))
    async with shop.db.transaction(scope=EVERYBODY) as session:
        await ProductService(session)._take_or_explain(product_id, 2)

    assert await shop.stock(product_id) == 3


async def test_prices_of_the_past_stay(shop: Shop) -> None:
    """A new price is for new orders."""
    product_id = await shop.add("A", stock=10)
    before = (await shop.place((product_id, 1))).json()
    answer = await shop.client.patch(f"/products/{product_id}", json={"price": "20.00"})

    assert answer.json()["price"] == "20.00"
    assert before["lines"][0]["unit_price"] == "9.90"
    again = (await shop.client.get(f"/orders/{before['id']}")).json()
    assert (again["total"], again["lines"][0]["unit_price"]) == ("9.90", "9.90")


async def test_statements_do_not_grow_with_lines(shop: Shop) -> None:
    """An order of 20 lines takes as many statements to read as one of a single line."""
    ids = [await shop.add(f"P{number}", stock=5) for number in range(20)]
    small = (await shop.place((ids[0], 1))).json()["id"]
    large = (await shop.place(*((product_id, 1) for product_id in ids))).json()["id"]
    events: list[QueryEvent] = []
    ends = [listen(engine.sync_engine, events.append) for engine in shop.db._engines()]
    counts: list[int] = []
    for order_id, lines in ((small, 1), (large, 20)):
        events.clear()
        answer = await shop.client.get(f"/orders/{order_id}")
        assert len(answer.json()["lines"]) == lines
        counts.append(len(events))
    for end in ends:
        end()

    assert counts[0] == counts[1] == OrderService.plan(OrderPublic).statement_count()


async def test_an_order_that_is_repeated_is_placed_once(shop: Shop) -> None:
    """Thirty times at once and once later: one order, one answer, and two pieces less."""
    product_id = await shop.add("A", stock=50)
    answers = await asyncio.gather(*(shop.place((product_id, 2), key="k") for _ in range(30)))
    answers.append(await shop.place((product_id, 2), key="k"))

    assert {201} == {answer.status_code for answer in answers}
    assert 1 == len({answer.content for answer in answers})
    assert (48, (1, 2)) == (await shop.stock(product_id), await shop.sold())


async def test_an_order_that_was_refused_may_be_sent_again(shop: Shop) -> None:
    """What was not placed is no answer to keep; and a key is for one order."""
    product_id = await shop.add("A", stock=1)
    refused = await shop.place((product_id, 2), key="k")
    async with shop.db.transaction(scope=EVERYBODY) as session:
        await ProductService(session).update(product_id, ProductUpdate(stock=2))
    placed = await shop.place((product_id, 2), key="k")
    other = await shop.place((product_id, 1), key="k")

    assert [409, 201, 422] == [answer.status_code for answer in (refused, placed, other)]
    assert "idempotency_key_reused" == other.json()["detail"][0]["type"]
    assert (0, (1, 2)) == (await shop.stock(product_id), await shop.sold())


async def test_keys_of_two_customers_do_not_meet(shop: Shop) -> None:
    """Each places his own order with the key that the other one has chosen too."""
    product_id = await shop.add("A", stock=9)
    async with shop.db.transaction(scope=EVERYBODY) as session:
        other = await CustomerService(session).create(
            CustomerCreate(email="bob@example.com", name="Bob", password="long-enough")
        )
    placed = []
    for customer_id, email in ((shop.customer_id, "ada"), (other.id, "bob")):
        wish = {"email": f"{email}@example.com", "password": "long-enough"}
        token = (await shop.client.post("/sign-in", json=wish)).json()["token"]
        answer = await shop.client.post(
            "/orders/place",
            json={
                "customer_id": str(customer_id),
                "lines": [{"product_id": str(product_id), "quantity": 1}],
            },
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "k"},
        )
        placed.append((answer.status_code, answer.json()["customer_id"]))

    assert [(201, str(shop.customer_id)), (201, str(other.id))] == placed
    assert (7, (2, 2)) == (await shop.stock(product_id), await shop.sold())
