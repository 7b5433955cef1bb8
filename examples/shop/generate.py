"""Believable rows for the shop, the same every time: words from `vocabulary`, dice from a seed.

Start at `Generator`. Nothing here touches a database: rows are plain mappings by column.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from unicodedata import normalize
from uuid import UUID

from examples.shop.models import OrderStatus, ProductStatus
from examples.shop.vocabulary import (
    CARE,
    CITIES,
    COLOURS,
    FIRST_NAMES,
    LAST_NAMES,
    NOTES,
    PRAISE,
    REVIEWS,
    SERIES,
    SHELVES,
    STREETS,
    TAGS,
    Shelf,
)

Row = dict[str, Any]

TODAY = datetime(2026, 6, 30, 12, tzinfo=UTC)
"""The day on which the data was "taken". It is fixed, so that every start makes the same rows."""
OPENED = TODAY - timedelta(days=730)
STOCKED = OPENED + timedelta(days=30)

PRODUCTS, CUSTOMERS, ORDERS, REVIEWS_WRITTEN = 2000, 3000, 10_000, 6000
CENT = Decimal("0.01")


class Generator:
    """Makes the rows of one shop, table after table: each method takes the rows made before."""

    def __init__(self, *, scale: float = 1.0, seed: int = 20_260_630) -> None:
        """Start with a seed.

        Args:
            scale: The size of the shop: 1 is about 59,000 rows, 0.01 is for tests.
            seed: The same seed makes the same shop.
        """
        self.random = Random(seed)
        self.scale = scale

    def categories(self) -> list[list[Row]]:
        """Return the categories level by level; `parent` is the slug of the one above."""
        paths = {shelf.path[:end] for shelf in SHELVES for end in range(1, len(shelf.path) + 1)}
        levels: list[list[Row]] = [[] for _ in range(max(map(len, paths)))]
        for path in sorted(paths):
            parent = slug_of(" ".join(path[:-1])) or None
            row = {"name": path[-1], "slug": slug_of(" ".join(path)), "parent": parent}
            levels[len(path) - 1].append(row)
        return levels

    def tags(self) -> list[Row]:
        """Return the tags."""
        return [{"name": name} for name in TAGS]

    def products(self, category_ids: Mapping[str, int]) -> list[Row]:
        """Return products for the categories with these ids by slug."""
        rows: list[Row] = []
        names: set[str] = set()
        while len(rows) < self._number(PRODUCTS):
            shelf = SHELVES[len(rows) % len(SHELVES)]
            material, noun = self.random.choice(shelf.materials), self.random.choice(shelf.nouns)
            series = self.random.choice(SERIES)
            name = f"{series} {material} {noun}"
            if name in names:
                continue
            names.add(name)
            about = f"{material} {noun.lower()} from our {series} series."
            words = {"name": name, "material": material.lower(), "about": about}
            rows.append(self._product(len(rows), shelf, category_ids, words))
        return rows

    def _product(
        self,
        number: int,
        shelf: Shelf,
        category_ids: Mapping[str, int],
        words: Mapping[str, str],
    ) -> Row:
        dice = self.random
        # Most of the catalogue was there when the shop opened, the rest came in bit by bit.
        late = dice.random() < 0.25
        created = self._moment(STOCKED, TODAY) if late else self._moment(OPENED, STOCKED)
        status = dice.choices(list(ProductStatus), weights=(7, 86, 7))[0]
        empty = status is ProductStatus.RETIRED or dice.random() < 0.04
        deleted = dice.random() < 0.015
        return {
            "id": self.uuid7(created),
            "sku": f"{shelf.path[-1][:3].upper()}-{number + 1:05}",
            "name": words["name"],
            "description": f"{words['about']} {dice.choice(PRAISE)} {dice.choice(CARE)}",
            "price": self._price(shelf),
            "status": status,
            "stock": 0 if empty else int(dice.lognormvariate(3.2, 1.1)) % 400,
            "attributes": {
                "material": words["material"],
                "colour": dice.choice(COLOURS),
                "weight_grams": dice.randrange(20, 9000, 10),
                "warranty_years": dice.choice((2, 2, 3, 5, 10)),
                "recycled": dice.random() < 0.2,
            },
            "category_id": category_ids[slug_of(" ".join(shelf.path))],
            "created_at": created,
            "updated_at": created,
            "deleted_at": TODAY if deleted else None,
        }

    def product_tags(self, products: Sequence[Row], tag_ids: Sequence[int]) -> list[Row]:
        """Return which products carry which tags, none to five each."""
        return [
            {"product_id": product["id"], "tag_id": tag_id}
            for product in products
            for tag_id in self.random.sample(tag_ids, k=self.random.randint(0, 5))
        ]

    def customers(self, password_hash: str) -> list[Row]:
        """Return customers who came after the shop was stocked, all with the same password."""
        rows: list[Row] = []
        for number in range(self._number(CUSTOMERS)):
            first, last = self.random.choice(FIRST_NAMES), self.random.choice(LAST_NAMES)
            created = self._moment(STOCKED, TODAY - timedelta(days=1))
            mailbox = slug_of(f"{first} {last}").replace("-", ".")
            domain = self.random.choice(("example.com", "example.org", "example.net"))
            rows.append(
                {
                    "id": self.uuid7(created),
                    "email": f"{mailbox}.{number + 1}@{domain}",
                    "name": f"{first} {last}",
                    "password_hash": password_hash,
                    "created_at": created,
                    "updated_at": created,
                }
            )
        return rows

    def addresses(self, customers: Sequence[Row]) -> list[Row]:
        """Return one or two addresses for each customer."""
        rows: list[Row] = []
        for customer in customers:
            for _ in range(1 if self.random.random() < 0.6 else 2):
                city, country, pattern = self.random.choice(CITIES)
                digits = (str(self.random.randint(0, 9)) if c == "#" else c for c in pattern)
                rows.append(
                    {
                        "street": f"{self.random.choice(STREETS)} {self.random.randint(1, 140)}",
                        "city": city,
                        "postal_code": "".join(digits),
                        "country": country,
                        "customer_id": customer["id"],
                    }
                )
        return rows

    def orders(
        self,
        customers: Sequence[Row],
        address_ids: Mapping[UUID, Sequence[int]],
        products: Sequence[Row],
    ) -> tuple[list[Row], list[Row]]:
        """Return orders and their lines.

        Args:
            customers: Who buys; some much more than others.
            address_ids: Their addresses by customer; a few orders are picked up instead.
            products: What is sold; drafts never were.
        """
        sellable = [row for row in products if row["status"] is not ProductStatus.DRAFT]
        # Popular is not what happens to be listed first.
        self.random.shuffle(sellable)
        orders: list[Row] = []
        lines: list[Row] = []
        for _ in range(self._number(ORDERS)):
            customer = self._favourite(customers)
            created = self._moment(customer["created_at"], TODAY)
            order_id = self.uuid7(created)
            bought = list(self._lines(order_id, created, sellable))
            pickup = self.random.random() < 0.05
            address = None if pickup else self.random.choice(address_ids[customer["id"]])
            status = self._order_status(TODAY - created)
            orders.append(
                {
                    "id": order_id,
                    "status": status,
                    "note": self.random.choice(NOTES) if self.random.random() < 0.08 else None,
                    "customer_id": customer["id"],
                    "shipping_address_id": address,
                    "total": sum((x["unit_price"] * x["quantity"] for x in bought), Decimal(0)),
                    "created_at": created,
                    "updated_at": min(created + timedelta(days=4), TODAY),
                }
            )
            lines += bought
        return orders, lines

    def _lines(self, order_id: UUID, created: datetime, products: Sequence[Row]) -> Iterator[Row]:
        chosen: dict[UUID, Row] = {}
        wanted = self.random.choices((1, 2, 3, 4, 5), weights=(20, 25, 25, 18, 12))[0]
        while len(chosen) < wanted:
            product = self._favourite(products)
            if product["created_at"] < created:
                chosen[product["id"]] = product
        for product in chosen.values():
            reduced = self.random.random() < 0.1
            price: Decimal = product["price"]
            yield {
                "order_id": order_id,
                "product_id": product["id"],
                "product_name": product["name"],
                "quantity": self.random.choices((1, 2, 3, 4), weights=(70, 18, 8, 4))[0],
                "unit_price": (price * Decimal("0.9")).quantize(CENT) if reduced else price,
            }

    def _order_status(self, age: timedelta) -> OrderStatus:
        if self.random.random() < 0.04:
            return OrderStatus.CANCELLED
        if age < timedelta(days=1):
            return OrderStatus.PLACED
        if age < timedelta(days=3):
            return OrderStatus.PAID
        return OrderStatus.SHIPPED if age < timedelta(days=8) else OrderStatus.DELIVERED

    def reviews(self, orders: Sequence[Row], lines: Sequence[Row]) -> list[Row]:
        """Return reviews by customers of what they have bought and received."""
        delivered = {row["id"]: row for row in orders if row["status"] is OrderStatus.DELIVERED}
        candidates = [line for line in lines if line["order_id"] in delivered]
        self.random.shuffle(candidates)
        written: dict[tuple[UUID, UUID], Row] = {}
        for line in candidates:
            if len(written) == self._number(REVIEWS_WRITTEN):
                break
            order = delivered[line["order_id"]]
            pair = (line["product_id"], order["customer_id"])
            if pair not in written:
                written[pair] = self._review(pair, order["created_at"])
        return sorted(written.values(), key=lambda row: row["created_at"])

    def _review(self, pair: tuple[UUID, UUID], ordered: datetime) -> Row:
        rating = self.random.choices((1, 2, 3, 4, 5), weights=(4, 6, 14, 32, 44))[0]
        titles, bodies = REVIEWS[rating]
        created = min(ordered + timedelta(days=self.random.uniform(6, 40)), TODAY)
        return {
            "rating": rating,
            "title": self.random.choice(titles),
            "body": self.random.choice(bodies),
            "product_id": pair[0],
            "customer_id": pair[1],
            "created_at": created,
            "updated_at": created,
        }

    def uuid7(self, moment: datetime) -> UUID:
        """Return a UUID version 7 for a moment of the past, by RFC 9562 section 5.7."""
        milliseconds = int(moment.timestamp() * 1000)
        return UUID(
            int=(milliseconds << 80)
            | (0x7 << 76)
            | (self.random.getrandbits(12) << 64)
            | (0b10 << 62)
            | self.random.getrandbits(62)
        )

    def _number(self, full: int) -> int:
        return max(10, round(full * self.scale))

    def _moment(self, start: datetime, end: datetime) -> datetime:
        return start + (end - start) * self.random.random()

    def _favourite(self, rows: Sequence[Row]) -> Row:
        """Choose a row, the first ones more often: a few bestsellers and a long tail."""
        return rows[int(len(rows) * self.random.random() ** 2)]

    def _price(self, shelf: Shelf) -> Decimal:
        price = shelf.cheapest * (shelf.dearest / shelf.cheapest) ** self.random.random()
        return Decimal(f"{int(price)}.{self.random.choice(('00', '50', '90'))}")


def slug_of(name: str) -> str:
    """Return a name in lowercase ASCII letters and digits, words joined by hyphens."""
    plain = normalize("NFKD", name.replace("ø", "o")).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in plain.replace("'", ""))
    return "-".join(words.split())
