"""Fills the example's database, in one transaction. Start at `seed`."""

from sqlmodelkit import Database

from .filling import DEMO_PASSWORD, Progress, Report, fill

__all__ = ["DEMO_PASSWORD", "Progress", "seed"]


async def seed(db: Database, *, scale: float = 1.0, report: Report | None = None) -> int:
    """Fill the shop when it is empty, and return the number of rows written: 0 when it was not.

    Args:
        db: The database; its tables must exist.
        scale: The size of the shop; 1 is 2,000 products, 3,000 customers and 10,000 orders.
        report: Called while rows are written.

    Raises:
        SQLModelKitError: The database refused; nothing was written.
    """
    async with db.transaction() as session:
        return await fill(session, scale=scale, report=report)
