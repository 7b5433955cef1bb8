"""Goods are moved from one row to another, and none is lost or doubled.

Problem: two moves read the same numbers, or each waits for a row that the other one holds. Way:
both rows are locked before they are read, always in the order of their keys.
"""

from uuid import UUID

from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession, Conflict


async def move_stock(session: AsyncSession, source: UUID, target: UUID, pieces: int) -> None:
    """Move pieces from one product to another.

    Raises:
        Conflict: There are not so many.
    """
    products = ProductService(session)
    rows = {key: await products.get(key, lock=True) for key in sorted({source, target})}
    if rows[source].stock < pieces:
        raise Conflict(f"Only {rows[source].stock} pieces are left, {pieces} were asked for.")
    rows[source].stock -= pieces
    rows[target].stock += pieces
