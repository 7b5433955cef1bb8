"""Numbers about groups of rows.

Problem: counting in Python reads every row. Way: GROUP BY in SQLAlchemy, in the same session; an
outer join keeps groups of nothing, HAVING leaves groups out, and a grouped subquery can be joined.
Deleted rows are left out here as everywhere.
"""

from sqlalchemy import func
from sqlmodel import col, select

from examples.shop.models import Category, Product, Review
from sqlmodelkit import AsyncSession


async def products_per_category(session: AsyncSession, *, least: int = 0) -> list[tuple[str, int]]:
    """Return the categories with the number of their products, the fullest first."""
    number = func.count(col(Product.id))
    rows = await session.exec(
        select(Category.name, number)
        .outerjoin(Product, col(Product.category_id) == col(Category.id))
        .group_by(Category.name)
        .having(number >= least)
        .order_by(number.desc(), Category.name)
    )
    return [(name, count) for name, count in rows]


async def best_rated(session: AsyncSession, most: int) -> list[tuple[str, float]]:
    """Return the products with the best average of stars."""
    rated = (
        select(Review.product_id, func.avg(Review.rating).label("stars"))
        .group_by(col(Review.product_id))
        .subquery()
    )
    rows = await session.exec(
        select(Product.name, rated.c.stars)
        .join(rated, rated.c.product_id == col(Product.id))
        .order_by(rated.c.stars.desc(), Product.name)
        .limit(most)
    )
    return [(name, float(stars)) for name, stars in rows]
