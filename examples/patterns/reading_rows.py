"""One row, some of them, all of them, or a few columns.

Problem: `first()` of several rows is a guess, `one()` raises an error of the database layer, and
whole rows are read for one of their fields. Way: `get` by key and `find` by a condition say what is
missing or not alone; a list is sorted and has a limit; columns are selected by themselves.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlmodel import col, select

from examples.shop.models import Product, ProductBrief
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession


async def by_key(session: AsyncSession, product_id: UUID) -> Product:
    """Return the product with this key; a missing one is `NotFound`, which is answered 404."""
    return await ProductService(session).get(product_id)


async def by_keys(session: AsyncSession, keys: Iterable[UUID]) -> list[ProductBrief]:
    """Return the products with these keys, in this order."""
    return await ProductService(session).get_many(keys, into=ProductBrief)


async def by_sku(session: AsyncSession, sku: str) -> Product | None:
    """Return the only product that matches, or None; two of them are an error."""
    return await ProductService(session).find(sku=sku)


async def dearest(session: AsyncSession) -> ProductBrief | None:
    """Return the first one of an order: dearest first, then by name."""
    found = await ProductService(session).page(into=ProductBrief, sort="-price,name", limit=1)
    return found.items[0] if found.items else None


async def everything(session: AsyncSession) -> list[ProductBrief]:
    """Return all there is, by two fields, one of them descending."""
    return await ProductService(session).all(into=ProductBrief, sort=["-price", "name"])


async def prices(session: AsyncSession) -> list[tuple[str, str]]:
    """Return two columns, without rows around them."""
    chosen = select(Product.sku, col(Product.price)).order_by(col(Product.sku))
    return [(sku, str(price)) for sku, price in await session.exec(chosen)]
