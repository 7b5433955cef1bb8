"""Pages by number, with the number of pages.

Problem: limits that nobody checks, and an order that changes between two pages. Way: `page` takes
limit and offset within bounds, sorts by the key last, and counts.
"""

from math import ceil
from typing import Any

from examples.shop.models import ProductBrief
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession


async def product_page(session: AsyncSession, number: int, *, size: int = 20) -> dict[str, Any]:
    """Return the page with this number, from 1."""
    page = await ProductService(session).page(
        into=ProductBrief, sort="-price", limit=size, offset=(number - 1) * size
    )
    return {
        "products": [product.name for product in page.items],
        "page": number,
        "pages": ceil((page.total or 0) / size),
        "total": page.total,
    }
