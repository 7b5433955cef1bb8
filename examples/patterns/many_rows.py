"""Many rows are added, changed and removed by a few statements.

Problem: a loop sends a statement for each row, and a mass update forgets versions and time stamps.
Way: `create_many` for rows that are answered, `insert_many` for any number of them, `update_where`
and `delete_where` for what the database can find itself. They keep to the rules of the session:
deleted rows stay untouched, and all rows of a table are written only when that is said by name.
"""

from collections.abc import Iterable
from decimal import Decimal

from sqlmodel import col

from examples.shop.models import Product, Tag, TagCreate
from examples.shop.services import ProductService, ReviewService, TagService
from sqlmodelkit import AsyncSession


async def add_tags(session: AsyncSession, names: Iterable[str]) -> list[Tag]:
    """Add tags, all or none, and return them in the order given."""
    return await TagService(session).create_many(TagCreate(name=name) for name in names)


async def import_tags(session: AsyncSession, names: Iterable[str]) -> list[str]:
    """Add any number of tags; return the names that were refused, whatever the reason."""
    names = list(names)
    rows = [TagCreate(name=name) for name in names]
    results = await TagService(session).insert_many(rows, report=True)
    return [name for name, result in zip(names, results, strict=True) if result.error]


async def raise_prices(session: AsyncSession, category_id: int, factor: Decimal) -> int:
    """Change the prices of a category; return how many there are."""
    price = {"price": col(Product.price) * factor}
    return await ProductService(session).update_where(price, category_id=category_id)


async def remove_bad_reviews(session: AsyncSession, worst: int) -> int:
    """Remove reviews with at most so many stars; return how many there were."""
    return await ReviewService(session).delete_where(rating__lte=worst)
