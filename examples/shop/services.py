"""What the shop does: a service for each table, and more where a row is not the whole story.

Start at `OrderService.place`. A service works in the unit of work that its session belongs to;
it never commits, so several services can take part in one.
"""

from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from sqlalchemy import delete, update
from sqlmodel import col

from sqlmodelkit import Conflict, NotFound, ServiceBase, UniqueViolation

from .models import (
    Address,
    AddressCreate,
    AddressPublic,
    AddressUpdate,
    Category,
    CategoryCreate,
    CategoryPublic,
    CategoryUpdate,
    Customer,
    CustomerCreate,
    CustomerPublic,
    CustomerUpdate,
    Order,
    OrderCreate,
    OrderLine,
    OrderLineCreate,
    OrderLinePublic,
    OrderLineUpdate,
    OrderPlace,
    OrderPublic,
    OrderUpdate,
    Product,
    ProductCreate,
    ProductPublic,
    ProductStatus,
    ProductTag,
    ProductUpdate,
    Review,
    ReviewCreate,
    ReviewPublic,
    ReviewUpdate,
    Tag,
    TagCreate,
    TagPublic,
    TagUpdate,
)

PASSWORDS = PasswordHash.recommended()
# Each hash takes tens of milliseconds and 64 MiB on purpose; a few at a time are enough.
_HASHING = CapacityLimiter(4)


class CustomerService(ServiceBase[Customer, CustomerCreate, CustomerUpdate]):
    """Customers; a password goes in as text and is stored as an argon2 hash."""

    public = CustomerPublic

    async def create_values(self, data: CustomerCreate) -> dict[str, Any]:
        return await _customer_values(await super().create_values(data))

    async def update_values(self, data: CustomerUpdate) -> dict[str, Any]:
        return await _customer_values(await super().update_values(data))

    async def known_by(self, email: str, password: str) -> UUID | None:
        """Return the key of the customer with this e-mail and password, if there is one."""
        customer = await self.find(email=email.lower())
        if customer is None:
            # As much work as for one who is known: the time must not tell who is.
            await to_thread.run_sync(PASSWORDS.hash, password, limiter=_HASHING)
            return None
        fits = await to_thread.run_sync(
            PASSWORDS.verify, password, customer.password_hash, limiter=_HASHING
        )
        return customer.id if fits else None


async def _customer_values(values: dict[str, Any]) -> dict[str, Any]:
    if "email" in values:
        # One mailbox is one customer, however it is written.
        values["email"] = values["email"].lower()
    if "password" in values:
        # In a thread: hashing would hold up every other request of this process.
        values["password_hash"] = await to_thread.run_sync(
            PASSWORDS.hash, values.pop("password"), limiter=_HASHING
        )
    return values


class AddressService(ServiceBase[Address, AddressCreate, AddressUpdate]):
    """Where customers live, and have their orders sent."""

    public = AddressPublic


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


class OrderLineService(ServiceBase[OrderLine, OrderLineCreate, OrderLineUpdate]):
    """Lines of orders, by the key (order, product)."""

    public = OrderLinePublic


class OrderService(ServiceBase[Order, OrderCreate, OrderUpdate]):
    """Orders; a new one comes from `place`."""

    public = OrderPublic

    async def place(self, wish: OrderPlace) -> Order:
        """Sell what a customer asks for: all of it, or nothing.

        Raises:
            NotFound: The customer, the address or a product is unknown.
            Conflict: A product is not for sale, or too few are left.
        """
        await self._check_customer(wish)
        quantities: Counter[UUID] = Counter()
        for line in wish.lines:
            quantities[line.product_id] += line.quantity
        products = ProductService(self.session)
        # Always in the same order: two orders that want the same products wait for each other in
        # turn, instead of each holding what the other one needs.
        for product_id, quantity in sorted(quantities.items()):
            await products.take(product_id, quantity)
        sold = await products.get_many(quantities)
        order = await self.create(
            OrderCreate(
                customer_id=wish.customer_id,
                shipping_address_id=wish.shipping_address_id,
                note=wish.note,
                total=sum((p.price * quantities[p.id] for p in sold), Decimal(0)),
            )
        )
        await OrderLineService(self.session).create_many(
            OrderLineCreate(
                order_id=order.id,
                product_id=product.id,
                product_name=product.name,
                quantity=quantities[product.id],
                unit_price=product.price,
            )
            for product in sold
        )
        return order

    async def _check_customer(self, wish: OrderPlace) -> None:
        if not await CustomerService(self.session).exists(id=wish.customer_id):
            raise NotFound(
                f"There is no customer {wish.customer_id}.",
                fields=["customer_id"],
                key=wish.customer_id,
            )
        address_id = wish.shipping_address_id
        if address_id is not None and not await AddressService(self.session).exists(
            id=address_id, customer_id=wish.customer_id
        ):
            raise NotFound(
                f"The customer has no address {address_id}.",
                fields=["shipping_address_id"],
                key=address_id,
            )


class ReviewService(ServiceBase[Review, ReviewCreate, ReviewUpdate]):
    """Reviews; the database allows each customer one for each product."""

    public = ReviewPublic
