"""Numbers about groups of rows.

Problem: counting in Python reads every row, and a join with a collection counts some twice. Way:
`aggregate` groups in the database; a measure goes along a collection by a subquery, so that groups
of nothing are there too, and conditions on results leave groups out. Deleted rows are left out here
as everywhere.
"""

from examples.shop.services import AddressService, CategoryService, ReviewService
from sqlmodelkit import AsyncSession


async def products_per_category(session: AsyncSession, *, least: int = 0) -> list[tuple[str, int]]:
    """Return the categories with the number of their products, the fullest first."""
    groups = await CategoryService(session).aggregate(
        {"number": "products__id__count"},
        by=("name",),
        having={"number__gte": least},
        sort=("-number", "name"),
    )
    return [(group["name"], group["number"]) for group in groups]


async def best_rated(session: AsyncSession, most: int) -> list[tuple[str, float]]:
    """Return the products with the best average of stars."""
    groups = await ReviewService(session).aggregate(
        {"stars": "rating__avg"},
        by=("product__name",),
        sort=("-stars", "product__name"),
        limit=most,
        product__name__is_not=None,  # reviews of deleted products
    )
    return [(group["product__name"], group["stars"]) for group in groups]


async def cities(session: AsyncSession) -> dict[str, int]:
    """Return where customers live, with the number of addresses, the most frequent first."""
    return await AddressService(session).distinct("city")
