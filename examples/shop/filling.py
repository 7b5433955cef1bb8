"""Fills an empty shop, in one transaction: it is either filled or empty, never half full.

Start at `fill`.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TextIO
from uuid import UUID

from anyio import to_thread
from sqlalchemy import insert
from sqlmodel import SQLModel, col, select
from sqlmodelkit import AsyncSession

from examples.shop.auth import EVERYBODY
from examples.shop.generate import Generator, Row
from examples.shop.models import Address, Category, Tag
from examples.shop.services import PASSWORDS, CategoryService

DEMO_PASSWORD = "demo-password"
"""The password of every customer here; everybody may know it."""
CHUNK = 1000
BAR_WIDTH = 30

Report = Callable[[str, int, int], None]
"""Told while rows go in: the table's name, the rows written to it, and its rows in all."""


async def fill(session: AsyncSession, *, scale: float = 1.0, report: Report | None = None) -> int:
    """Fill the shop when it is empty, and return the number of rows written: 0 when it was not.

    Args:
        session: A session of a unit of work; the tables must exist.
        scale: The size of the shop; 1 is 2,000 products, 3,000 customers and 10,000 orders.
        report: Called while rows are written.

    Raises:
        SQLModelKitError: The database refused; nothing was written.
    """
    session.enter(EVERYBODY)
    if await CategoryService(session).exists():
        return 0
    loader = _Loader(session, report or _silent)
    await _fill(loader, Generator(scale=scale))
    return loader.written


async def _fill(loader: "_Loader", generator: Generator) -> None:
    # One hash for all: argon2 is slow on purpose, 3,000 of them would take minutes. Nobody should
    # do that with real passwords, where equal hashes would show who uses the same one.
    password_hash = await to_thread.run_sync(PASSWORDS.hash, DEMO_PASSWORD)
    category_ids = await _fill_categories(loader, generator)
    await loader.add("tags", generator.tags())
    tag_ids = list(await loader.session.exec(select(col(Tag.id)).order_by(col(Tag.id))))
    products = generator.products(category_ids)
    await loader.add("products", products)
    await loader.add("product_tags", generator.product_tags(products, _known(tag_ids)))
    customers = generator.customers(password_hash)
    await loader.add("customers", customers)
    await loader.add("addresses", generator.addresses(customers))
    address_ids = await _address_ids(loader.session)
    orders, lines = generator.orders(customers, address_ids, products)
    await loader.add("orders", orders)
    await loader.add("order_lines", lines)
    await loader.add("reviews", generator.reviews(orders, lines))


async def _fill_categories(loader: "_Loader", generator: Generator) -> dict[str, int]:
    """Write the tree level by level, and return the ids by slug."""
    # Numbers are read back rather than chosen: a number that we chose would not advance the
    # counter of PostgreSQL, and the next category that somebody creates would take it again.
    ids: dict[str, int] = {}
    for level in generator.categories():
        rows = [
            {"name": row["name"], "slug": row["slug"], "parent_id": ids.get(row["parent"])}
            for row in level
        ]
        await loader.add("categories", rows)
        found = await loader.session.exec(select(Category.slug, col(Category.id)))
        ids = {slug: number for slug, number in found if number is not None}
    return ids


async def _address_ids(session: AsyncSession) -> dict[UUID, list[int]]:
    ids: defaultdict[UUID, list[int]] = defaultdict(list)
    found = await session.exec(
        select(Address.customer_id, col(Address.id)).order_by(col(Address.id))
    )
    for customer_id, number in found:
        ids[customer_id] += _known([number])
    return ids


def _known(ids: Iterable[int | None]) -> list[int]:
    """Narrow keys that come from the database, where they are never NULL."""
    return [number for number in ids if number is not None]


class _Loader:
    """Writes rows in chunks, as plain INSERTs of many rows without ORM objects."""

    def __init__(self, session: AsyncSession, report: Report) -> None:
        self.session = session
        self.report = report
        self.written = 0

    async def add(self, table: str, rows: Sequence[Row]) -> None:
        statement = insert(SQLModel.metadata.tables[table])
        iterator = iter(rows)
        done = 0
        while chunk := list(islice(iterator, CHUNK)):
            await self.session.exec(statement, params=chunk)
            done += len(chunk)
            self.report(table, done, len(rows))
        self.written += done


def _silent(table: str, done: int, total: int) -> None:
    pass


@dataclass
class Progress:
    """A `Report` for people: a moving bar on a terminal, a line for each table elsewhere."""

    stream: TextIO = sys.stdout

    def __call__(self, table: str, done: int, total: int) -> None:
        finished = done == total
        if self.stream.isatty():
            filled = round(BAR_WIDTH * done / total)
            bar = "█" * filled + "·" * (BAR_WIDTH - filled)
            end = "\n" if finished else ""
            self.stream.write(f"\r  {table:<12} {bar} {done:>6,} of {total:,}{end}")
        elif finished:
            self.stream.write(f"  {table:<12} {total:>6,} rows\n")
        self.stream.flush()
