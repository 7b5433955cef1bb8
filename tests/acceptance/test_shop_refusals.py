"""The shop as a process: bad requests are named, and no answer gives away what is not shown."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.own_servers import PostgreSQL

from .shop_process import Shop, running_shop

NOBODY = "00000000-0000-7000-8000-000000000000"
SECRETS = ("argon2", "password_hash")
SQL = ("SELECT", "INSERT", "UPDATE ", "sqlite3", "sqlalchemy", "Traceback")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A small shop on SQLite."""
    with running_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


def customer(email: str) -> dict[str, str]:
    """Return the body of a new customer."""
    return {"email": email, "name": "Ada", "password": "long-enough"}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/products?colour=red", "colour"),
        ("/products?price__roughly=5", "price__roughly"),
        ("/products?category__name=Pans", "category__name"),
        ("/products?deleted_at__is=null", "deleted_at__is"),
        ("/products?sort=colour", "sort"),
        ("/products?sort=-attributes", "sort"),
        ("/products?price__lte=cheap", "price__lte"),
        ("/products?price__lte=NaN", "price__lte"),
        ("/products?status=sold", "status"),
        ("/products?stock__between=1", "stock__between"),
        ("/products?limit=-1", "limit"),
        ("/products?limit=0", "limit"),
        ("/products?limit=101", "limit"),
        ("/products?limit=many", "limit"),
        ("/products?offset=-1", "offset"),
        ("/products?offset=99999999999999999999", "offset"),
        ("/products?category_id=9223372036854775808", "category_id"),
        ("/products?name__contains=%00", "name__contains"),
        ("/products?limit=1&limit=2", "limit"),
        ("/orders?created_at__gte=2026-01-31T12:00:00", "created_at__gte"),
        ("/orders?created_at__gte=yesterday", "created_at__gte"),
        ("/tags/9223372036854775808", "id"),
        ("/tags/one", "id"),
        ("/orders/1", "id"),
    ],
)
def test_a_bad_read_is_refused_by_name(shop: Shop, path: str, named: str) -> None:
    """A 422 names the parameter."""
    answer = shop.get(path)

    assert answer.status_code == 422
    assert named in answer.json()["detail"][0]["loc"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("{", 1),
        ("[]", "body"),
        ({"email": "a@example.com", "name": "Ada"}, "password"),
        ({**customer("a@example.com"), "password": "short"}, "password"),
        ({**customer("a@example.com"), "password_hash": "x"}, "password_hash"),
        ({**customer("a@example.com"), "id": NOBODY}, "id"),
        ({**customer("a@example.com"), "name": "Ada\0"}, "name"),
        ({**customer("a@example.com"), "name": "A" * 101}, "name"),
        ({**customer("a@example.com"), "name": None}, "name"),
        (customer("not an address"), "email"),
    ],
)
def test_a_bad_write_is_refused_by_name(shop: Shop, body: object, named: object) -> None:
    """A 422 names the field."""
    answer = shop.send("POST", "/customers", body)

    assert answer.status_code == 422
    assert named in answer.json()["detail"][0]["loc"]


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"lines": []}, 422, "lines"),
        ({"lines": [{"product_id": NOBODY, "quantity": 0}]}, 422, "quantity"),
        ({"lines": [{"product_id": NOBODY, "quantity": 1, "price": 0}]}, 422, "price"),
        ({"lines": [{"product_id": NOBODY, "quantity": 1}]}, 404, "lines"),
        ({"customer_id": NOBODY}, 404, "customer_id"),
        ({"shipping_address_id": 2147483647}, 404, "shipping_address_id"),
        ({"shipping_address_id": 2147483648}, 422, "shipping_address_id"),
        ({"total": 1}, 422, "total"),
    ],
)
def test_a_bad_order_is_refused_by_name(
    shop: Shop, change: dict[str, Any], status: int, named: str
) -> None:
    """What is wrong with an order is named, and it is never placed."""
    product = shop.get("/products?status=active&stock__gte=1&limit=1").json()["items"][0]
    buyer = shop.get("/customers?limit=1").json()["items"][0]
    body = {
        "customer_id": buyer["id"],
        "lines": [{"product_id": product["id"], "quantity": 1}],
        **change,
    }
    before = shop.get("/orders?limit=1").json()["total"]
    answer = shop.send("POST", "/orders/place", body)

    assert answer.status_code == status
    assert named in answer.json()["detail"][0]["loc"]
    assert before == shop.get("/orders?limit=1").json()["total"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/orders/{NOBODY}"),
        ("GET", "/tags/2147483647"),
        ("PATCH", f"/products/{NOBODY}"),
        ("DELETE", f"/customers/{NOBODY}"),
        ("PUT", f"/products/{NOBODY}/tags/1"),
    ],
)
def test_an_unknown_key_is_a_404(shop: Shop, method: str, path: str) -> None:
    """Nothing is made up for a key that no row has."""
    body: dict[str, str] | None = {} if method == "PATCH" else None
    answer = shop.send(method, path, body)

    assert answer.status_code == 404
    assert answer.json()["detail"][0]["type"] == "not_found"


def test_a_duplicate_email_is_named(shop: Shop) -> None:
    """A 409 names the field, however the address is written; the batch adds nobody."""
    taken = shop.send("POST", "/customers", customer("Ada@Example.com")).json()
    twice: list[tuple[str, object]] = [
        ("/customers", customer("ada@example.COM")),
        ("/customers/batch", [customer("new@example.com"), customer("ada@example.com")]),
    ]
    for path, body in twice:
        answer = shop.send("POST", path, body)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (409, ["body", "email"])

    assert taken["email"] == "ada@example.com"
    assert shop.get("/customers?email=new@example.com").json()["total"] == 0


def test_what_is_referred_to_cannot_be_removed(shop: Shop) -> None:
    """Customers with orders and categories with products stay, as a 409."""
    order = shop.get("/orders?limit=1").json()["items"][0]

    assert shop.send("DELETE", f"/customers/{order['customer_id']}").status_code == 409
    assert shop.send("DELETE", "/categories/1").status_code == 409
    assert shop.get(f"/orders/{order['id']}").json() == order


def test_a_review_refers_to_what_exists_once(shop: Shop) -> None:
    """A missing product is a 409 that names it, and so is a second review."""
    review = shop.get("/reviews?limit=1").json()["items"][0]
    body = {name: review[name] for name in ("rating", "title", "product_id", "customer_id")}
    missing = shop.send("POST", "/reviews", {**body, "product_id": NOBODY})
    second = shop.send("POST", "/reviews", body)

    assert (missing.status_code, second.status_code) == (409, 409)
    assert missing.json()["detail"][0]["loc"] == ["body", "product_id"]
    assert ["product_id", "customer_id"] == [item["loc"][1] for item in second.json()["detail"]]


def test_a_password_hash_cannot_be_had(shop: Shop) -> None:
    """Neither answers, nor filters, sorts, errors or the description know of it."""
    made = shop.send("POST", "/customers", customer("secret@example.com"))
    answers = [
        made,
        shop.send("PATCH", f"/customers/{made.json()['id']}", {"password": "another-one"}),
        shop.send("POST", "/customers", customer("secret@example.com")),
        shop.get(f"/customers/{made.json()['id']}"),
        shop.get("/customers?limit=100"),
        shop.get("/orders?limit=100"),
        shop.get("/reviews?limit=100"),
        shop.get("/openapi.json"),
    ]
    assert [201, 200, 409, *[200] * 5] == [answer.status_code for answer in answers]
    for answer in answers:
        assert [] == [secret for secret in SECRETS if secret in answer.text]

    for path in (
        "/customers?password_hash=x",
        "/customers?password_hash__startswith=%24argon2",
        "/customers?sort=password_hash",
        "/orders?customer__password_hash__startswith=%24argon2",
        "/orders?sort=customer__password_hash",
    ):
        refused = shop.get(path)
        assert (refused.status_code, "argon2id" in refused.text) == (422, False)


def test_no_refusal_shows_sql(shop: Shop) -> None:
    """Answers and the log of all the requests above are free of statements and tracebacks."""
    texts = [
        shop.send("POST", "/customers", customer("mila@example.com")).text,
        shop.send("POST", "/customers", customer("mila@example.com")).text,
        shop.send("DELETE", "/categories/1").text,
        shop.get(f"/orders/{NOBODY}").text,
        shop.get("/products?colour=red").text,
        shop.output.read_text(),
    ]
    for text in texts:
        assert [] == [word for word in SQL if word in text]


@pytest.mark.db
@pytest.mark.slow
def test_a_stopped_database_is_a_503_until_it_is_back(
    own_postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While the database is away clients are told to try later, and later they succeed."""
    directory = tmp_path_factory.mktemp("shop")
    with running_shop(directory, url=own_postgresql.url) as shop:
        assert shop.get("/products?limit=1").status_code == 200
        own_postgresql.stop()
        answers = [
            shop.get("/products?limit=1"),
            shop.send("POST", "/tags", {"name": "away"}),
            shop.get("/health/ready"),
        ]
        assert [503, 503, 503] == [answer.status_code for answer in answers]
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers[:2])
        assert shop.get("/health/live").status_code == 200
        own_postgresql.start()
        assert shop.get("/products?limit=1").status_code == 200
        assert shop.send("POST", "/tags", {"name": "away"}).status_code == 201
