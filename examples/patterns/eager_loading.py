"""Rows are read with their relations, by a number of statements that does not grow.

Problem: in async code a relation cannot be loaded when it is touched. Way: rows that shall be
changed name their relations in `load`, a dot for the next level; what is only shown is read by a
response model, which names them by its fields.
"""

from decimal import Decimal
from uuid import UUID

from examples.shop.models import OrderPublic
from examples.shop.services import OrderService
from sqlmodelkit import AsyncSession


async def recount(session: AsyncSession, order_id: UUID) -> Decimal:
    """Bring the total of an order in line with its lines, and return it."""
    order = await OrderService(session).get(order_id, load=["lines"])
    order.total = sum((line.quantity * line.unit_price for line in order.lines), Decimal(0))
    return order.total


async def product_names(session: AsyncSession, order_id: UUID) -> list[str]:
    """Return what an order is about: a collection, and a row behind each of its rows."""
    order = await OrderService(session).get(order_id, load=["lines.product", "customer"])
    return [line.product.name for line in order.lines if line.product is not None]


async def show(session: AsyncSession, order_id: UUID) -> OrderPublic:
    """Return an order as clients see it: customer, lines, products and address."""
    return await OrderService(session).get(order_id, into=OrderPublic)
