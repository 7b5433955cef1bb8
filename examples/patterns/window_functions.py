"""The first rows of each group, ranks and running totals.

Problem: all rows are read, and cut in Python. Way: `top` for the first rows of each group, which
numbers them in a subquery; as a collection of a response model `Limit` does the same. Window
functions of SQLAlchemy do the rest.
"""

from decimal import Decimal

from sqlalchemy import func
from sqlmodel import col, select

from examples.shop.models import Order, Product
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession


async def dearest_per_category(session: AsyncSession, most: int) -> list[tuple[int, str]]:
    """Return the dearest products of each category."""
    products = ProductService(session)
    first = await products.top(most, by=("category_id",), sort=("-price", "name"))
    return [(product.category_id, product.name) for product in first]


async def ranks(session: AsyncSession) -> list[tuple[str, int]]:
    """Return the products with their rank by price; equal prices share one."""
    rank = func.rank().over(order_by=col(Product.price).desc())
    rows = await session.exec(select(Product.name, rank).order_by(rank, Product.name))
    return [(name, number) for name, number in rows]


async def running_total(session: AsyncSession) -> list[tuple[Decimal, Decimal]]:
    """Return the total of each order, and of all orders up to it."""
    total = func.sum(Order.total).over(order_by=(col(Order.created_at), col(Order.id)))
    rows = await session.exec(
        select(col(Order.total), total).order_by(col(Order.created_at), col(Order.id))
    )
    return [(one, Decimal(so_far)) for one, so_far in rows]
