"""Two customers of the shop: every route, asked by one for the rows of the other.

The routes come from the application itself, so that a new one is asked too. Whatever is asked
about the other customer is answered like the same question about rows that do not exist: the
status, the body, the totals and the headers tell nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import SQLModel

from examples.shop.application import create_app
from examples.shop.auth import EVERYBODY, customer_token
from examples.shop.models import (
    AddressCreate,
    CategoryCreate,
    CustomerCreate,
    OrderPlace,
    OrderPlaceLine,
    ProductCreate,
    ProductStatus,
    ReviewCreate,
    TagCreate,
)
from examples.shop.services import (
    AddressService,
    CategoryService,
    CustomerService,
    OrderService,
    ProductService,
    ReviewService,
    TagService,
)
from sqlmodelkit import AsyncSession, Database

TOKEN = "test-token"
ACCOUNT = ("customers", "addresses", "orders", "reviews")
NOBODY = "00000000-0000-7000-8000-0000000000ff"
NUMBER = 2_000_000_000
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@dataclass
class Account:
    """A customer with one row of each kind; `word` stands in all of their texts."""

    word: str
    keys: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        """What only rows of this customer hold."""
        return [self.word, *(str(key) for key in self.keys.values() if isinstance(key, UUID))]


NOT_THERE = Account(
    "nobody",
    dict.fromkeys(("customers", "orders"), NOBODY)
    | dict.fromkeys(("addresses", "reviews"), NUMBER),
)


@dataclass
class Shop:
    """The shop with two customers, and what belongs to none of them."""

    db: Database
    app: FastAPI
    ours: Account
    theirs: Account
    shared: dict[str, Any]

    def client(self, token: str) -> httpx2.AsyncClient:
        """Return a client that sends a token."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app),
            base_url="http://shop",
            headers={"Authorization": f"Bearer {token}"},
        )

    async def rows(self) -> dict[str, list[Any]]:
        """Return all rows of the account's tables, as they are."""
        tables = [SQLModel.metadata.tables[name] for name in (*ACCOUNT, "order_lines")]
        async with self.db.engine.connect() as connection:
            return {
                table.name: [tuple(row) for row in await connection.execute(table.select())]
                for table in tables
            }


async def add_account(session: AsyncSession, word: str, shared: dict[str, Any]) -> Account:
    """Store a customer with an address, an order and a review."""
    customer = await CustomerService(session).create(
        CustomerCreate(email=f"{word}@example.com", name=word, password=f"{word}-password")
    )
    address = await AddressService(session).create(
        AddressCreate(
            street=word, city=word, postal_code="1", country="NL", customer_id=customer.id
        )
    )
    order = await OrderService(session).place(
        OrderPlace(
            customer_id=customer.id,
            shipping_address_id=address.id,
            note=word,
            lines=[OrderPlaceLine(product_id=shared["products"], quantity=1)],
        )
    )
    review = await ReviewService(session).create(
        ReviewCreate(rating=5, title=word, product_id=shared["products"], customer_id=customer.id)
    )
    keys = {"customers": customer.id, "addresses": address.id}
    return Account(word, {**keys, "orders": order.id, "reviews": review.id})


@pytest.fixture
async def shop(database: Database) -> Shop:
    """A shop where two customers have bought and said the same things."""
    await database.create_all()
    async with database.transaction(scope=EVERYBODY) as session:
        category = await CategoryService(session).create(CategoryCreate(name="All", slug="all"))
        tag = await TagService(session).create(TagCreate(name="new"))
        product = await ProductService(session).create(
            ProductCreate(
                sku="A",
                name="Pan",
                price=Decimal(5),
                status=ProductStatus.ACTIVE,
                stock=1000,
                category_id=category.id or 0,
            )
        )
        shared = {"categories": category.id, "tags": tag.id, "products": product.id}
        theirs = await add_account(session, "theirs", shared)
        ours = await add_account(session, "ours", shared)
    return Shop(database, create_app(database, TOKEN), ours, theirs, shared)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return every method and path of the application, those that its schema hides included."""
    found = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if method.upper() in METHODS
    }
    plain = {
        (method, route.path)
        for route in _hidden(app.routes)
        for method in getattr(route, "methods", None) or ()
        if method in METHODS
    }
    return sorted(found | plain)


def _hidden(parts: Iterable[Any]) -> Iterator[Any]:
    """Find the routes that the schema does not show, in routers within routers too."""
    for part in parts:
        router = getattr(part, "original_router", None)
        if router is not None:
            yield from _hidden(router.routes)
        elif hasattr(part, "path") and not getattr(part, "include_in_schema", False):
            yield part


def test_the_routes_are_found(shop_routes: list[tuple[str, str]]) -> None:
    """All that the shop has is asked: the generated routes, its own, its page, its health."""
    for expected in (
        ("GET", "/"),
        ("GET", "/health/ready"),
        ("POST", "/sign-in"),
        ("POST", "/orders/place"),
        ("PUT", "/products/{product_id}/tags/{tag_id}"),
        ("PATCH", "/orders/{id}"),
        ("DELETE", "/addresses/{id}"),
        ("POST", "/reviews/batch"),
        ("POST", "/products/{id}/restore"),
    ):
        assert expected in shop_routes
    assert 35 < len(shop_routes)


@pytest.fixture
def shop_routes() -> list[tuple[str, str]]:
    """The routes of a shop that has no database yet."""
    return routes(create_app(Database("sqlite://"), TOKEN))


def paths(path: str, account: Account, shared: dict[str, Any]) -> str:
    """Return a path with keys of an account, or of what all share."""
    kind = path.split("/")[1]
    key = {**shared, **account.keys}.get(kind, "")
    named = {"product_id": shared["products"], "tag_id": shared["tags"]}
    return re.sub(r"\{(\w+)\}", lambda found: str(named.get(found[1], key)), path)


def queries(kind: str, account: Account) -> Iterator[str]:
    """Yield what a list can be asked about an account."""
    yield ""
    for text in (
        "sort=-id",
        "limit=1",
        "limit=1&offset=1",
        f"id={account.keys.get(kind, account.keys['customers'])}",
        f"id__in={account.keys.get(kind, account.keys['customers'])}",
        f"id__ne={account.keys.get(kind, account.keys['customers'])}",
        f"customer_id={account.keys['customers']}",
        f"customer_id__ne={account.keys['customers']}",
        f"shipping_address_id={account.keys['addresses']}",
        f"name={account.word}",
        f"title={account.word}",
        f"note__startswith={account.word}",
        f"email={account.word}@example.com",
        f"customer__name={account.word}",
    ):
        yield f"?{text}"


def bodies(path: str, account: Account, ours: Account, shared: dict[str, Any]) -> Iterator[Any]:
    """Yield what can be sent to a path that names rows of an account."""
    customer, own = str(account.keys["customers"]), str(ours.keys["customers"])
    address = {"street": "x", "city": "x", "postal_code": "1", "country": "NL"}
    review = {"rating": 1, "title": "x", "product_id": str(shared["products"])}
    line = {"product_id": str(shared["products"]), "quantity": 1}
    person = {"email": f"{account.word}@example.com", "name": "x", "password": "long-enough"}
    yield from (
        {},
        {"note": "changed"},
        {"status": "cancelled"},
        {"street": "changed"},
        {"title": "changed"},
        {"name": "changed"},
        {"customer_id": customer},
        {**address, "customer_id": customer},
        [{**address, "customer_id": customer}],
        {**review, "customer_id": customer},
        [{**review, "customer_id": customer}],
        {"customer_id": customer, "lines": [line]},
        {
            "customer_id": own,
            "lines": [line],
            "shipping_address_id": account.keys["addresses"],
        },
        {
            "customer_id": customer,
            "lines": [line],
            "shipping_address_id": account.keys["addresses"],
        },
        person,
        [person],
        {"email": f"{account.word}@example.com", "password": "wrong-password"},
    )


def told(answer: httpx2.Response, account: Account) -> tuple[Any, ...]:
    """Return what an answer tells, without what was asked."""
    text = answer.text
    for asked in (account.word, *(str(key) for key in account.keys.values() if key != NUMBER)):
        if not asked.isdigit():
            text = text.replace(asked, "ASKED")
    if answer.is_error:
        # Refusals repeat the number that was asked for.
        text = re.sub(r"\d+", "NUMBER", text)
    return answer.status_code, text, sorted(answer.headers.keys())


async def ask(shop: Shop, method: str, path: str, account: Account) -> list[tuple[Any, ...]]:
    """Ask a route whatever can be asked about an account, as our customer."""
    asked = paths(path, account, shop.shared)
    found = []
    async with shop.client(customer_token(shop.app, shop.ours.keys["customers"])) as client:
        if method in ("GET", "DELETE"):
            several = method == "GET" and "{" not in path
            for query in queries(path.split("/")[1], account) if several else [""]:
                answer = await client.request(method, f"{asked}{query}")
                _check(answer, shop, asked + query)
                found.append((query.partition("=")[0], *told(answer, account)))
        else:
            for body in bodies(path, account, shop.ours, shop.shared):
                answer = await client.request(method, asked, json=body)
                _check(answer, shop, f"{asked} {body}")
                found.append(told(answer, account))
    return found


def _check(answer: httpx2.Response, shop: Shop, asked: str) -> None:
    assert answer.status_code < 500
    said = answer.text + str(answer.headers)
    assert [] == [text for text in shop.theirs.texts if text in said and text not in asked]


@pytest.mark.slow
async def test_a_row_of_another_customer_is_like_none_at_all(
    shop: Shop, shop_routes: list[tuple[str, str]]
) -> None:
    """Every route, key, filter and body: their rows answer as rows that do not exist."""
    before = await shop.rows()
    for method, path in shop_routes:
        theirs = await ask(shop, method, path, shop.theirs)
        nobodys = await ask(shop, method, path, NOT_THERE)
        assert nobodys == theirs, (method, path)
    after = await shop.rows()
    kept = {name: [row for row in rows if row in after[name]] for name, rows in before.items()}
    assert before == kept
    # Nothing was added either: all that was sent named another customer's rows.
    assert before == after


async def test_lists_hold_and_count_what_is_ours(shop: Shop) -> None:
    """One row of each kind, in the body and in the total; the shop itself sees both."""
    for token, number in ((customer_token(shop.app, shop.ours.keys["customers"]), 1), (TOKEN, 2)):
        async with shop.client(token) as client:
            for kind in ACCOUNT:
                page = (await client.get(f"/{kind}")).json()
                assert (number, number) == (page["total"], len(page["items"]))
                if number == 1:
                    assert str(shop.ours.keys[kind]) == str(page["items"][0]["id"])
                    one = await client.get(f"/{kind}/{shop.ours.keys[kind]}")
                    assert (200, page["items"][0]) == (one.status_code, one.json())


async def test_what_another_customer_does_changes_no_tag(shop: Shop) -> None:
    """The ETag of a list is the same before and after."""
    async with shop.client(customer_token(shop.app, shop.ours.keys["customers"])) as client:
        before = [(await client.get(f"/{kind}")).headers["etag"] for kind in ACCOUNT]
        async with shop.db.transaction(scope=EVERYBODY) as session:
            await add_account(session, f"more-{uuid4().hex[:8]}", shop.shared)
        assert before == [(await client.get(f"/{kind}")).headers["etag"] for kind in ACCOUNT]


async def test_a_customer_signs_in_and_buys(shop: Shop) -> None:
    """The token is good for the account that it was given for, and for nothing of the shop."""
    async with shop.client(TOKEN) as client:
        wrong = {"email": "ours@example.com", "password": "theirs-password"}
        assert 401 == (await client.post("/sign-in", json=wrong)).status_code
        right = {"email": "Ours@example.com", "password": "ours-password"}
        token = (await client.post("/sign-in", json=right)).json()["token"]
    async with shop.client(token) as client:
        line = {"product_id": str(shop.shared["products"]), "quantity": 2}
        body = {"customer_id": str(shop.ours.keys["customers"]), "lines": [line]}
        assert 201 == (await client.post("/orders/place", json=body)).status_code
        assert 2 == (await client.get("/orders")).json()["total"]
        assert 401 == (await client.post("/tags", json={"name": "x"})).status_code
    for forged in (f"{shop.theirs.keys['customers']}.{token.partition('.')[2]}", "x", f"{NOBODY}."):
        async with shop.client(forged) as client:
            assert 401 == (await client.get("/orders")).status_code
