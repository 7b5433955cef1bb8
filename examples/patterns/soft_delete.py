"""A row is removed from sight, and can come back.

Problem: each query has to leave deleted rows out, and one that forgets shows them. Way: the mixin
`SoftDelete`; the session leaves them out everywhere, and who wants to see them says so.
"""

from uuid import UUID

from examples.shop.models import ProductBrief
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession, NotFound


async def take_off(session: AsyncSession, product_id: UUID) -> bool:
    """Remove a product from sight; tell whether it was in sight."""
    try:
        await ProductService(session).delete(product_id)
    except NotFound:
        return False
    return True


async def bring_back(session: AsyncSession, product_id: UUID) -> ProductBrief:
    """Bring a product back."""
    return await ProductService(session).restore(product_id, into=ProductBrief)


async def names(session: AsyncSession, *, include_deleted: bool = False) -> list[str]:
    """Return the names of the products, the removed ones on request."""
    products = ProductService(session)
    rows = await products.all(include_deleted=include_deleted, sort="name")
    return [row.name for row in rows]
