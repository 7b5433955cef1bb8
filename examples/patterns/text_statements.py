"""A statement written as text.

Problem: values that are put into the text become part of the statement, and with them whatever a
user has typed. Way: `text` with a name for each value, which goes to the database apart from the
statement; `columns` says the types. The rules of the session do not reach into text: what is
deleted, or another's, the statement has to leave out itself.
"""

from decimal import Decimal

from sqlalchemy import Integer, Numeric, String, text

from sqlmodelkit import AsyncSession

_STOCK = text(
    "SELECT sku, stock, price FROM products "
    "WHERE deleted_at IS NULL AND name = :name ORDER BY sku LIMIT :most"
).columns(sku=String, stock=Integer, price=Numeric(10, 2))


async def stock_of(
    session: AsyncSession, name: str, *, most: int = 100
) -> list[tuple[str, int, Decimal]]:
    """Return what is there of products with a name, whatever characters it has."""
    connection = await session.connection()
    found = await connection.execute(_STOCK, {"name": name, "most": most})
    return [(sku, stock, price) for sku, stock, price in found]
