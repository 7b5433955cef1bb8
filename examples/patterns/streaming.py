"""More rows than fit into memory are read one after the other.

Problem: a list of all rows fills the memory, and pages by offset lose rows that move. Way:
`stream` follows the key in batches; in a reading unit of work it holds no connection between two
of them. Where all rows have to be of one moment, a cursor of SQLAlchemy reads them in partitions.
"""

from collections.abc import AsyncIterator
from decimal import Decimal

from sqlmodel import col, select

from examples.shop.models import OrderLine, ProductBrief
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession, Database


async def price_list(db: Database) -> AsyncIterator[str]:
    """Give a line for each product."""
    async with db.unit(reading=True) as unit:
        async for product in ProductService(unit).stream(into=ProductBrief, batch=100):
            yield f"{product.sku} {product.price}"


async def json_lines(db: Database) -> AsyncIterator[bytes]:
    """Give the products as JSON Lines, for a file or a `StreamingResponse`."""
    async with db.unit(reading=True) as unit:
        async for lines in ProductService(unit).stream_json(into=ProductBrief):
            yield lines


async def turnover(session: AsyncSession) -> Decimal:
    """Add up every line ever sold, a hundred at a time."""
    total = Decimal(0)
    statement = select(OrderLine).order_by(col(OrderLine.order_id))
    rows = await session.stream(statement.execution_options(yield_per=100))
    async for part in rows.partitions():
        total += sum((line.quantity * line.unit_price for (line,) in part), Decimal(0))
        session.expunge_all()
    return total
