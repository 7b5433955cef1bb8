"""The first rows of each group, ranks and running totals.

Problem: all rows are read, and cut in Python. Way: a window function in a subquery, whose number is
a condition outside of it; as a collection of a response model `Limit` does the same.
"""

from decimal import Decimal

from sqlalchemy import func
from sqlmodel import col, select

from examples.shop.models import Order, Product
from sqlmodelkit import AsyncSession


async def dearest_per_category(session: AsyncSession, most: int) -> list[tuple[int, str]]:
    """Return the dearest products of each category."""
    place = func.row_number().over(
        partition_by=col(Product.category_id), order_by=(col(Product.price).desc(), Product.name)
    )
    numbered = select(Product.category_id, Product.name, place.label("place")).subquery()
    rows = await session.exec(
        select(numbered.c.category_id, numbered.c.name)
        .where(numbered.c.place <= most)
        .order_by(numbered.c.category_id, numbered.c.place)
    )
    return [(category, name) for category, name in rows]


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
