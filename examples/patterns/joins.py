"""Columns of several tables in one row.

Problem: a report is no row of one table. Way: joins of SQLAlchemy in the same session; what is out
of scope is left out of joined tables too. A response model does joins for what has the shape of a
row with its relations.
"""

from decimal import Decimal

from sqlmodel import col, select

from examples.shop.models import Customer, Order, OrderLine, OrderStatus, Product
from sqlmodelkit import AsyncSession


async def sold(session: AsyncSession) -> list[tuple[str, str, int]]:
    """Return customer, product and quantity of each line: an inner join of three."""
    rows = await session.exec(
        select(Customer.name, OrderLine.product_name, OrderLine.quantity)
        .join(Order, col(Order.customer_id) == col(Customer.id))
        .join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        .order_by(Customer.name, OrderLine.product_name)
    )
    return [(customer, product, quantity) for customer, product, quantity in rows]


async def customers_with_paid_orders(session: AsyncSession) -> list[tuple[str, Decimal | None]]:
    """Return every customer with the totals of paid orders: an outer join with a condition.

    The condition belongs to ON; in WHERE it would leave out customers without such an order.
    """
    paid = (col(Order.customer_id) == col(Customer.id)) & (col(Order.status) == OrderStatus.PAID)
    rows = await session.exec(
        select(Customer.name, col(Order.total)).outerjoin(Order, paid).order_by(Customer.name)
    )
    return [(name, total) for name, total in rows]


async def lines_with_products(session: AsyncSession) -> list[tuple[OrderLine, Product]]:
    """Return two rows in one, both of them tracked by the session."""
    rows = await session.exec(
        select(OrderLine, Product)
        .join(Product, col(Product.id) == col(OrderLine.product_id))
        .order_by(Product.sku)
    )
    return [(line, product) for line, product in rows]
