"""A script or a worker does its work without a request.

Problem: there is no dependency that opens and commits. Way: `db.transaction()` is the unit of
work; it commits at the end of the block, and rolls back when the block raises.
"""

from decimal import Decimal

from examples.shop.models import ProductStatus, ProductUpdate
from examples.shop.services import ProductService
from sqlmodelkit import Database


async def retire_cheaper_than(db: Database, price: Decimal) -> list[str]:
    """Retire products below a price, all of them or none; return their names."""
    async with db.transaction() as session:
        products = ProductService(session)
        found = await products.all(price__lt=price, sort="name")
        for product in found:
            await products.update(product.id, ProductUpdate(status=ProductStatus.RETIRED))
    return [product.name for product in found]
