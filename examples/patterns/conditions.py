"""Which rows: comparisons, ranges, lists, texts, NULL, and their combination.

Problem: `==` with None is never true in SQL, `%` in a user's text matches everything, and an OR
beside an AND takes in more than was meant. Way: field and operator by keyword, with AND between
them; `any_of` and `not_` for the rest. An expression of SQLAlchemy stands wherever a filter does.
"""

from collections.abc import Collection
from decimal import Decimal

from sqlmodel import col

from examples.shop.models import Product
from examples.shop.services import CategoryService, ProductService
from sqlmodelkit import AsyncSession, any_of, not_, where
from sqlmodelkit.filters import Filter


async def cheaper_than(session: AsyncSession, price: Decimal) -> list[str]:
    """Compare."""
    return await _names(session, where(price__lt=price))


async def between(session: AsyncSession, low: Decimal, high: Decimal) -> list[str]:
    """Both ends are in the range."""
    return await _names(session, where(price__between=(low, high)))


async def one_of(session: AsyncSession, skus: Collection[str]) -> list[str]:
    """A list of values, which may be empty: then there is none."""
    return await _names(session, where(sku__in=list(skus)))


async def like(session: AsyncSession, pattern: str) -> list[str]:
    """The pattern is the developer's; `contains` takes what a user has typed."""
    return await _names(session, where(name__like=pattern))


async def containing(session: AsyncSession, text: str) -> list[str]:
    """Without regard to case, and with `%` as a percent sign."""
    return await _names(session, where(name__icontains=text))


async def top_categories(session: AsyncSession) -> list[str]:
    """NULL is asked for by None."""
    found = await CategoryService(session).all(parent_id=None, sort="name")
    return [category.name for category in found]


async def cheap_or_m(session: AsyncSession, price: Decimal) -> list[str]:
    """OR of two ANDs, and beside it a NOT."""
    cheap = where(price__lt=price, stock__gt=0)
    dear = where(price__gte=price, name__startswith="M")
    return await _names(session, any_of(cheap, dear), not_(where(sku="saw")))


async def dearer_than_stock(session: AsyncSession) -> list[str]:
    """Compare two columns: an expression says what no keyword can."""
    return await _names(session, col(Product.price) > col(Product.stock))


async def _names(session: AsyncSession, *filters: Filter) -> list[str]:
    found = await ProductService(session).all(*filters, sort="name", limit=100)
    return [product.name for product in found]
