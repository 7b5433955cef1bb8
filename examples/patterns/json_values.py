"""A value inside a JSON column is a condition, and is changed.

Problem: documents are read whole to look at one of their values. Way: an index into the column
with the type of the value, which every engine understands. A change writes the whole document, of
a row that is locked: then no other change to it is lost.
"""

from typing import Any
from uuid import UUID

from sqlmodel import col, select

from examples.shop.models import Product
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession


async def in_colour(session: AsyncSession, colour: str) -> list[str]:
    """Return the products of a colour."""
    attributes: Any = col(Product.attributes)
    found = await session.exec(
        select(Product.name)
        .where(attributes["colour"].as_string() == colour)
        .order_by(Product.name)
    )
    return list(found)


async def paint(session: AsyncSession, product_id: UUID, colour: str) -> None:
    """Give a product another colour."""
    product = await ProductService(session).get(product_id, lock=True)
    # A new dictionary: a change inside the old one would go unseen.
    product.attributes = {**product.attributes, "colour": colour}
