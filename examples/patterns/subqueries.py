"""Rows that have, or lack, rows elsewhere.

Problem: a join repeats a row for each match. Way: a path along a relation asks whether there is
one, without repeating anything; SQLAlchemy has IN, EXISTS, DISTINCT and UNION for the rest.
"""

from decimal import Decimal

from sqlmodel import col, select

from examples.shop.models import Address, Customer, Order, Product, Review
from examples.shop.services import CustomerService, ProductService
from sqlmodelkit import AsyncSession, not_, where


async def exists(session: AsyncSession, sku: str) -> bool:
    """Tell whether there is such a product, without reading or counting it."""
    return await ProductService(session).exists(sku=sku)


async def buyers(session: AsyncSession, *, at_least: Decimal) -> list[str]:
    """Return who has an order that large: EXISTS, by a path."""
    found = await CustomerService(session).all(orders__total__gte=at_least, sort="name")
    return [customer.name for customer in found]


async def never_bought(session: AsyncSession) -> list[str]:
    """Return who has no order at all: NOT EXISTS, by the negation of a path."""
    some = where(orders__total__gte=0)
    return [customer.name for customer in await CustomerService(session).all(not_(some))]


async def reviewed(session: AsyncSession) -> list[str]:
    """Return the products that have a review: IN with a subquery."""
    with_review = select(Review.product_id)
    found = await session.exec(
        select(Product.name).where(col(Product.id).in_(with_review)).order_by(Product.name)
    )
    return list(found)


async def cities(session: AsyncSession) -> list[str]:
    """Return where customers live, each once."""
    return list(await session.exec(select(Address.city).distinct().order_by(Address.city)))


async def active_customers(session: AsyncSession) -> list[str]:
    """Return who ordered or reviewed: a UNION of keys, from which rows are read."""
    either = select(Order.customer_id).union(select(Review.customer_id)).subquery()
    found = await session.exec(
        select(Customer.name)
        .join(either, either.c.customer_id == Customer.id)
        .order_by(Customer.name)
    )
    return list(found)
