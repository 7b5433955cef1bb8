"""A tree is read whole, whatever its depth.

Problem: a statement for each level. Way: a recursive common table expression; `cte` is also the
way to name a subquery that is used twice.
"""

from sqlmodel import col, select

from examples.shop.models import Category
from sqlmodelkit import AsyncSession


async def below(session: AsyncSession, slug: str) -> list[str]:
    """Return a category and all below it, by name."""
    start = select(Category.id, Category.name).where(Category.slug == slug)
    tree = start.cte("tree", recursive=True)
    children = select(Category.id, Category.name).join(tree, col(Category.parent_id) == tree.c.id)
    tree = tree.union_all(children)
    return list(await session.exec(select(tree.c.name).order_by(tree.c.name)))
