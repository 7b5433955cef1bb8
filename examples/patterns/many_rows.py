"""Many rows are added, changed and removed by a few statements.

Problem: a loop sends a statement for each row. Way: `create_many` for rows that are validated and
answered; an UPDATE or DELETE of SQLAlchemy for what the database can find itself. The rules of the
session hold for those too: deleted rows stay untouched, and time stamps move.
"""

from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import delete, update
from sqlmodel import col

from examples.shop.models import Product, Review, Tag, TagCreate
from examples.shop.services import TagService
from sqlmodelkit import AsyncSession


async def add_tags(session: AsyncSession, names: Iterable[str]) -> list[Tag]:
    """Add tags, all or none, and return them in the order given."""
    return await TagService(session).create_many(TagCreate(name=name) for name in names)


async def raise_prices(session: AsyncSession, category_id: int, factor: Decimal) -> int:
    """Change the prices of a category; return how many there are."""
    raised = await session.exec(
        update(Product)
        .where(col(Product.category_id) == category_id)
        .values(price=col(Product.price) * factor)
    )
    return raised.rowcount


async def remove_bad_reviews(session: AsyncSession, worst: int) -> int:
    """Remove reviews with at most so many stars; return how many there were."""
    removed = await session.exec(delete(Review).where(col(Review.rating) <= worst))
    return removed.rowcount
