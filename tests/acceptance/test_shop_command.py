"""`python -m examples.shop`: it fills the shop once, wholly or not at all, and says what it does."""

import re
import socket
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from examples.shop.__main__ import main
from examples.shop.auth import EVERYBODY
from examples.shop.generate import Generator
from examples.shop.models import CategoryCreate
from examples.shop.seed import DEMO_PASSWORD, seed
from examples.shop.services import (
    PASSWORDS,
    CategoryService,
    CustomerService,
    OrderLineService,
    ProductService,
    ReviewService,
)
from sqlmodelkit import Database

from .shop_process import OPENS_WITHIN_S, TOKEN, running_shop, start_shop, stop

TABLES = ("categories", "tags", "products", "customers", "addresses", "orders", "order_lines")


def row_counts(directory: Path) -> list[int]:
    """Count the rows of the shop in a directory."""
    with closing(sqlite3.connect(directory / "shop.db")) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES
        ]


@pytest.mark.slow
def test_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    """What was written by clients is there again, and nothing is filled twice."""
    with running_shop(tmp_path) as shop:
        made = shop.send("POST", "/tags", {"name": "kept"}).json()
    filled = row_counts(tmp_path)
    with running_shop(tmp_path) as shop:
        assert made == shop.get(f"/tags/{made['id']}").json()
        assert "It has its data already." in shop.output.read_text()

    assert filled == row_counts(tmp_path)


@pytest.mark.slow
def test_it_says_where_the_shop_is_and_how_to_write(tmp_path: Path) -> None:
    """Without SHOP_TOKEN a random token is printed; it works, on 127.0.0.1 and nowhere else."""
    with running_shop(tmp_path, token=None) as shop:
        output = shop.output.read_text()
        (token,) = re.findall(r"Writing needs a token: (\S+)$", output, re.MULTILINE)
        samples = re.findall(rf"^  {shop.address}(/\S*)", output, re.MULTILINE)
        body = re.search(r"-d '(.+)'$", output, re.MULTILINE)
        assert body is not None
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        placed = shop.client.post("/orders/place", content=body[1], headers=headers)

        assert (len(token) > 20, TOKEN in output, placed.status_code) == (True, False, 201)
        assert len(samples) == 4
        assert [200] * 4 == [shop.get(path).status_code for path in samples]
        # All of 127.0.0.0/8 is this machine; only one address of it leads to the shop.
        with pytest.raises(OSError, match=r"refused|assign|timed out"):
            socket.create_connection(("127.0.0.2", shop.port), timeout=2)
        assert stop(shop.process) == 0
        assert "The shop is closed." in shop.output.read_text()


def test_a_port_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    """No traceback, no data, and what to do instead."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start_shop(tmp_path, arguments=("--port", str(port)))
        status = process.wait(OPENS_WITHIN_S)
    output = (tmp_path / "shop.log").read_text()

    assert (status, "Traceback" in output) == (1, False)
    assert f"Port {port} cannot be used: Address already in use." in output
    assert "make demo PORT=" in output
    assert not (tmp_path / "shop.db").exists()


@pytest.mark.parametrize(
    ("arguments", "url", "said"),
    [
        (["--port", "65536"], "", "Port 65536 cannot be used: it must be between 0 and 65535."),
        (["--port", "0"], "oracle://db", "The shop cannot open: DATABASE_URL asks for the driver"),
        (["--port", "0"], "postgresql://127.0.0.1:1/x", "The shop cannot open: The database"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    arguments: list[str],
    url: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command answers for what a person can mend with a sentence and status 1."""
    monkeypatch.setattr(sys, "argv", ["examples.shop", *arguments])
    monkeypatch.setenv("DATABASE_URL", url)

    assert main() == 1
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_shop_killed_while_it_is_filled_is_empty(tmp_path: Path) -> None:
    """It is filled in one transaction: killed in the middle, nothing is there; next time, all is."""
    process = start_shop(tmp_path, arguments=("--port", "0", "--scale", "0.3"))
    log = tmp_path / "shop.log"
    give_up_at = time.monotonic() + OPENS_WITHIN_S
    while "customers" not in log.read_text() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    process.kill()
    process.wait()

    assert "customers" in log.read_text()
    assert "The shop is filled" not in log.read_text()
    assert [0] * len(TABLES) == row_counts(tmp_path)
    with running_shop(tmp_path):
        assert all(row_counts(tmp_path))


async def test_the_shop_is_filled_on_every_engine(database: Database) -> None:
    """The same rows everywhere, keys that go on counting, a hash that the password opens."""
    await database.create_all()
    reports: list[tuple[str, int, int]] = []
    rows = await seed(database, scale=0.01, report=lambda *report: reports.append(report))
    again = await seed(database, scale=0.01)

    assert (again, rows) == (0, sum(done for _, done, total in reports if done == total))
    async with database.transaction(scope=EVERYBODY) as session:
        customers = await CustomerService(session).all(limit=2, sort="email")
        assert customers[0].password_hash == customers[1].password_hash
        assert PASSWORDS.verify(DEMO_PASSWORD, customers[0].password_hash)
        assert await ProductService(session).count(include_deleted=True) == 20
        assert await OrderLineService(session).exists(quantity__gt=1)
        assert await ReviewService(session).count() == 60
        categories = CategoryService(session)
        new = await categories.create(CategoryCreate(name="New", slug="new"))
        assert new.id is not None
        assert await categories.count() == 41


def test_the_same_seed_makes_the_same_shop() -> None:
    """The generator is deterministic; another seed makes another shop."""

    def people(seed: int) -> list[object]:
        generator = Generator(scale=0.01, seed=seed)
        return [*generator.customers("hash"), *generator.categories()]

    assert people(1) == people(1)
    assert people(1) != people(2)


def test_a_whole_shop_is_big_enough_and_consistent() -> None:
    """The numbers of the issue; totals are those of the lines; reviewers have bought."""
    generator = Generator()
    slugs = [row["slug"] for level in generator.categories() for row in level]
    products = generator.products({slug: number for number, slug in enumerate(slugs)})
    customers = generator.customers("hash")
    addresses = generator.addresses(customers)
    places: dict[UUID, list[int]] = {}
    for number, address in enumerate(addresses):
        places.setdefault(address["customer_id"], []).append(number)
    orders, lines = generator.orders(customers, places, products)
    reviews = generator.reviews(orders, lines)

    assert (len(slugs), len(products), len(customers)) == (40, 2000, 3000)
    assert (len(orders), len(reviews)) == (10_000, 6000)
    assert 25_000 < len(lines) < 31_000
    totals = {order["id"]: order["total"] for order in orders}
    for line in lines:
        totals[line["order_id"]] -= line["unit_price"] * line["quantity"]
    assert set(totals.values()) == {0}
    buyers = {order["id"]: order["customer_id"] for order in orders}
    bought = {(line["product_id"], buyers[line["order_id"]]) for line in lines}
    assert all((review["product_id"], review["customer_id"]) in bought for review in reviews)
    assert len({row["email"] for row in customers}) == len(customers)
    assert len({row["id"] for row in [*products, *customers, *orders]}) == 15_000
