"""The shop as a process: what it answers to real HTTP requests."""

from collections.abc import Iterator
from typing import Any

import pytest

from .shop_process import Shop, running_shop

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A small shop on SQLite."""
    with running_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


def first(shop: Shop, path: str) -> dict[str, Any]:
    """Return the first item of a list."""
    items: list[dict[str, Any]] = shop.get(path).json()["items"]
    return items[0]


def order_of(shop: Shop, quantity: int) -> dict[str, Any]:
    """Return the body of an order for a product that is in stock."""
    product = first(shop, "/products?status=active&stock__gte=5&limit=1")
    customer = first(shop, "/customers?limit=1")
    return {
        "customer_id": customer["id"],
        "shipping_address_id": customer["addresses"][0]["id"],
        "lines": [{"product_id": product["id"], "quantity": quantity}],
    }


def test_lists_are_filtered_sorted_and_paged(shop: Shop) -> None:
    """The list of the issue: active products for at most 50, the dearest first."""
    answer = shop.get("/products?limit=5&status=active&price__lte=50&sort=-price")

    assert answer.status_code == 200
    page = answer.json()
    prices = [float(product["price"]) for product in page["items"]]
    assert (len(prices), page["limit"], page["offset"]) == (5, 5, 0)
    assert prices == sorted(prices, reverse=True)
    assert all(price <= 50 for price in prices)
    assert {"active"} == {product["status"] for product in page["items"]}
    assert page["total"] > 5


def test_pages_meet_without_overlap(shop: Shop) -> None:
    """Two halves are the whole, in the same order."""
    whole = shop.get("/reviews?sort=-rating&limit=20").json()["items"]
    halves = [
        review
        for offset in (0, 10)
        for review in shop.get(f"/reviews?sort=-rating&limit=10&offset={offset}").json()["items"]
    ]

    assert whole == halves


@pytest.mark.parametrize(
    "name", ["customers", "addresses", "products", "categories", "tags", "orders", "reviews"]
)
def test_every_entity_can_be_listed_and_read(shop: Shop, name: str) -> None:
    """A list shows the same as reading one by its key."""
    item = first(shop, f"/{name}?limit=1")

    assert item == shop.get(f"/{name}/{item['id']}").json()


def test_an_order_nests_customer_lines_and_products(shop: Shop) -> None:
    """One request answers all that belongs to an order."""
    order = shop.get(f"/orders/{first(shop, '/orders?sort=-total&limit=1')['id']}").json()

    assert {"id", "name", "email"} == set(order["customer"])
    assert {"street", "city", "postal_code", "country", "id", "customer_id"} == set(
        order["shipping_address"]
    )
    shown = [line for line in order["lines"] if line["product"]]
    assert {"id", "sku", "name", "price"} == set(shown[0]["product"])
    total = sum(float(line["unit_price"]) * line["quantity"] for line in order["lines"])
    assert float(order["total"]) == pytest.approx(total)


def test_a_category_shows_its_neighbours(shop: Shop) -> None:
    """The tree can be walked in both directions."""
    top = first(shop, "/categories?parent_id__is=null&limit=1")
    child = shop.get(f"/categories/{top['children'][0]['id']}").json()

    assert top["parent"] is None
    assert {"id": top["id"], "name": top["name"], "slug": top["slug"]} == child["parent"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/customers"),
        ("POST", "/customers/batch"),
        ("PATCH", f"/customers/{NOBODY}"),
        ("DELETE", f"/customers/{NOBODY}"),
        ("POST", "/addresses"),
        ("POST", "/products"),
        ("PATCH", f"/products/{NOBODY}"),
        ("DELETE", f"/products/{NOBODY}"),
        ("POST", f"/products/{NOBODY}/restore"),
        ("PUT", f"/products/{NOBODY}/tags/1"),
        ("DELETE", f"/products/{NOBODY}/tags/1"),
        ("POST", "/categories"),
        ("DELETE", "/categories/1"),
        ("POST", "/tags"),
        ("PATCH", "/tags/1"),
        ("PATCH", f"/orders/{NOBODY}"),
        ("POST", "/orders/place"),
        ("POST", "/reviews"),
        ("DELETE", "/reviews/1"),
    ],
)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer é", "Basic YTpi"])
def test_writing_needs_the_token(
    shop: Shop, method: str, path: str, authorization: str | None
) -> None:
    """Without the right token a write is a 401, whatever else is wrong with it."""
    headers = [(b"Authorization", authorization.encode())] if authorization else []
    answer = shop.client.request(method, path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_every_writing_route_is_in_the_list_above(shop: Shop) -> None:
    """No route writes without declaring the token."""
    paths = shop.get("/openapi.json").json()["paths"]
    open_writes = [
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method not in ("get", "head") and not operation.get("security")
    ]

    assert open_writes == []


def test_an_order_takes_pieces_out_of_stock(shop: Shop) -> None:
    """A placed order answers whole, and the stock is less by as many."""
    body = order_of(shop, 2)
    product_id = body["lines"][0]["product_id"]
    before = shop.get(f"/products/{product_id}").json()
    answer = shop.send("POST", "/orders/place", body)

    assert answer.status_code == 201
    order = answer.json()
    assert order == shop.get(f"/orders/{order['id']}").json()
    assert float(order["total"]) == pytest.approx(2 * float(before["price"]))
    assert order["shipping_address"]["id"] == body["shipping_address_id"]
    assert shop.get(f"/products/{product_id}").json()["stock"] == before["stock"] - 2


def test_too_large_an_order_says_how_many_are_left(shop: Shop) -> None:
    """The 409 names the product and the number, and nothing has changed."""
    body = order_of(shop, 1000)
    before = shop.get(f"/products/{body['lines'][0]['product_id']}").json()
    answer = shop.send("POST", "/orders/place", body)

    assert answer.status_code == 409
    (problem,) = answer.json()["detail"]
    assert problem == {
        "loc": ["body", "lines"],
        "msg": f"Only {before['stock']} of {before['name']!r} are left, 1000 were asked for.",
        "type": "conflict",
    }
    assert before == shop.get(f"/products/{before['id']}").json()


def test_a_product_carries_tags(shop: Shop) -> None:
    """Tagging twice is tagging once; a tag can be taken off once."""
    product = first(shop, "/products?limit=1")
    tag = shop.send("POST", "/tags", {"name": "acceptance"}).json()
    path = f"/products/{product['id']}/tags/{tag['id']}"
    tagged = [shop.send("PUT", path) for _ in range(2)]

    assert [200, 200] == [answer.status_code for answer in tagged]
    assert tag in tagged[1].json()["tags"]
    assert [204, 404] == [shop.send("DELETE", path).status_code for _ in range(2)]
    assert product["tags"] == shop.get(f"/products/{product['id']}").json()["tags"]


def test_a_deleted_product_is_out_of_sight_until_restored(shop: Shop) -> None:
    """Deleting keeps what was sold; the product itself is a 404."""
    line = shop.get("/orders?sort=-total&limit=1").json()["items"][0]["lines"][0]
    path = f"/products/{line['product_id']}"
    order = first(shop, "/orders?sort=-total&limit=1")

    assert shop.send("DELETE", path).status_code == 204
    assert shop.get(path).status_code == 404
    hidden = shop.get(f"/orders/{order['id']}").json()["lines"][0]
    assert (hidden["product"], hidden["product_name"]) == (None, line["product_name"])
    assert shop.send("POST", f"{path}/restore").status_code == 200
    assert order == shop.get(f"/orders/{order['id']}").json()


def test_an_update_keeps_unset_null_and_value_apart(shop: Shop) -> None:
    """Only what was sent is written; null empties what may be empty, and nothing else."""
    order = first(shop, "/orders?limit=1")
    path = f"/orders/{order['id']}"

    noted = shop.send("PATCH", path, {"note": "Ring twice."}).json()
    assert (noted["note"], noted["status"]) == ("Ring twice.", order["status"])
    assert shop.send("PATCH", path, {"note": None}).json()["note"] is None
    refused = shop.send("PATCH", path, {"status": None})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "status"])


def test_docs_show_every_parameter(shop: Shop) -> None:
    """OpenAPI lists the filters, the sort and the page of a list, and its errors."""
    assert shop.get("/docs").status_code == 200
    listing = shop.get("/openapi.json").json()["paths"]["/products"]["get"]
    names = {parameter["name"] for parameter in listing["parameters"]}

    assert {"limit", "offset", "sort", "status", "status__in", "price__lte", "sku"} <= names
    assert {"name__icontains", "stock__between", "created_at__gte", "category_id"} <= names
    assert {"200", "422", "503"} <= set(listing["responses"])


def test_the_front_page_leads_to_what_there_is(shop: Shop) -> None:
    """Every link of the page works, and nothing comes from another server."""
    page = shop.get("/")
    links = [part.partition('"')[0].replace("&amp;", "&") for part in page.text.split('href="')[1:]]
    local = [link for link in links if link.startswith("/")]
    expected = {link: 422 if "colour=" in link else None for link in local}

    assert page.headers["content-type"].startswith("text/html")
    assert len(local) > 15
    assert {link for link in links if not link.startswith(("/", "#", "data:"))} == set()
    assert "http" not in page.text.replace(shop.address, "").replace("http://www.w3.org/", "")
    for link in expected:
        status = shop.get(link).status_code
        badge = page.text.partition(f'href="{link.replace("&", "&amp;")}"')[2].partition("</span>")
        wanted = badge[0].rpartition(">")[2]
        assert (link, status) == (link, int(wanted) if wanted.isdigit() else 200)


def test_health_names_the_database(shop: Shop) -> None:
    """Readiness tells what answers."""
    answer = shop.get("/health/ready")

    assert (answer.status_code, answer.json()["database"]["dialect"]) == (200, "sqlite")
    assert shop.get("/health/live").status_code == 200
