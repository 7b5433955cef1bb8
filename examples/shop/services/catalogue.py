"""Categories, tags and products. Start at `ProductService.take`."""

from contextlib import suppress
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodelkit import Conflict, NotFound, ServiceBase, UniqueViolation

from examples.shop.models.catalogue import (
    Category,
    CategoryCreate,
    CategoryPublic,
    CategoryUpdate,
    Product,
    ProductCreate,
    ProductPublic,
    ProductStatus,
    ProductTag,
    ProductUpdate,
    Tag,
    TagCreate,
    TagPublic,
    TagUpdate,
)


class CategoryService(ServiceBase[Category, CategoryCreate, CategoryUpdate]):
    """The tree of categories."""

    public = CategoryPublic


class TagService(ServiceBase[Tag, TagCreate, TagUpdate]):
    """Words that products are tagged with."""

    public = TagPublic


class ProductService(ServiceBase[Product, ProductCreate, ProductUpdate]):
    """What the shop sells; deleted products stay in the database, out of sight."""

    public = ProductPublic

    async def take(self, product_id: UUID, quantity: int) -> None:
        """Take pieces out of stock, for an order of the same unit of work.

        The condition is part of the UPDATE, and the database runs UPDATEs of one row one after
        the other: however many ask at once, no piece is sold twice.

        Raises:
            NotFound: There is no such product.
            Conflict: It is not for sale, or too few are left; the message says how many.
        """
        taken = await self.session.exec(
            update(Product)
            .where(
                col(Product.id) == product_id,
                col(Product.status) == ProductStatus.ACTIVE,
                col(Product.stock) >= quantity,
            )
            .values(stock=col(Product.stock) - quantity)
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount == 0:
            await self._take_or_explain(product_id, quantity)

    async def _take_or_explain(self, product_id: UUID, quantity: int) -> None:
        try:
            # Locked, so that what the message says stays true until it is sent.
            product = await self.get(product_id, lock=True)
        except NotFound as error:
            raise NotFound(error.message, fields=["lines"], key=product_id) from error
        if product.status is not ProductStatus.ACTIVE:
            raise Conflict(f"{product.name!r} is not for sale.", fields=["lines"])
        if product.stock < quantity:
            raise Conflict(
                f"Only {product.stock} of {product.name!r} are left, {quantity} were asked for.",
                fields=["lines"],
            )
        # New stock has come in between the UPDATE and the lock.
        product.stock -= quantity

    async def add_tag(self, product_id: UUID, tag_id: int) -> None:
        """Make a product carry a tag; it is no error when it does already.

        Raises:
            NotFound: There is no such product, or no such tag.
        """
        await self.get(product_id)
        await TagService(self.session).get(tag_id)
        with suppress(UniqueViolation):
            # A savepoint, because a refused INSERT would end the whole unit of work.
            async with self.session.savepoint():
                self.session.add(ProductTag(product_id=product_id, tag_id=tag_id))

    async def remove_tag(self, product_id: UUID, tag_id: int) -> None:
        """Take a tag off a product.

        Raises:
            NotFound: There is no such product, or it does not carry the tag.
        """
        await self.get(product_id)
        removed = await self.session.exec(
            delete(ProductTag).where(
                col(ProductTag.product_id) == product_id, col(ProductTag.tag_id) == tag_id
            )
        )
        if removed.rowcount == 0:
            raise NotFound(f"The product does not carry the tag {tag_id}.", key=tag_id)
