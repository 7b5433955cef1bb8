"""Units of work that meet others are done again, by themselves.

Problem: the database rolls one of two back that stand in each other's way, and a request fails that
would succeed a moment later. Way: `db.run` does the whole of it again, after a serialization failure
or a deadlock only; never when nobody knows whether the commit was made.
"""

from collections.abc import Callable
from uuid import UUID

from examples.shop.services import ProductService
from sqlmodelkit import AsyncSession, Conflict, Database, Retry, Scope

PATIENT = Retry(attempts=100, seconds=60)


async def move_stock(
    db: Database, source: UUID, target: UUID, pieces: int, *, scope: Scope | None = None
) -> int:
    """Move pieces from one product to another, and return how many are left; no locks are asked for.

    Raises:
        Conflict: There are not so many.
    """

    async def move(session: AsyncSession) -> int:
        products = ProductService(session)
        giver, taker = await products.get(source), await products.get(target)
        if giver.stock < pieces:
            raise Conflict(f"Only {giver.stock} pieces are left, {pieces} were asked for.")
        giver.stock -= pieces
        taker.stock += pieces
        return giver.stock

    return await db.run(move, isolation="SERIALIZABLE", retry=PATIENT, scope=scope)


async def sell_all(
    db: Database, keys: list[UUID], tell: Callable[[], None], *, scope: Scope | None = None
) -> None:
    """Take a piece of each product, in whatever order, and tell somebody when it is stored.

    Two that lock the same rows in different orders wait for each other; one of them is done again.
    What happens outside of the database belongs after the commit: an attempt may be undone.
    """

    async def sell(session: AsyncSession) -> None:
        products = ProductService(session)
        for key in keys:
            product = await products.get(key, lock=True)
            product.stock -= 1
            await session.flush()
        session.after_commit(tell)

    await db.run(sell, retry=PATIENT, scope=scope)
