"""A search with conditions that may be left out.

Problem: conditions put together by `if`, where a forgotten one widens the answer, and `%` in the
user's text matches everything. Way: conditions are a dictionary of field and operator; what is not
understood is an error, and text is text.
"""

from decimal import Decimal
from typing import Any

from examples.shop.models import ProductStatus
from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession, any_of, where


async def search(
    session: AsyncSession,
    *,
    text: str | None = None,
    category: str | None = None,
    cheaper_than: Decimal | None = None,
    status: ProductStatus | None = None,
) -> list[str]:
    """Return the names of products for which everything that was given holds."""
    asked: dict[str, Any] = {
        "category__slug": category,
        "price__lt": cheaper_than,
        "status": status,
    }
    conditions = {name: value for name, value in asked.items() if value is not None}
    filters = []
    if text is not None:
        filters.append(any_of(where(name__icontains=text), where(tags__name__icontains=text)))
    found = await ProductService(session).all(*filters, sort="name", limit=100, **conditions)
    return [product.name for product in found]
