"""Orders and their lines."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, Relationship, SQLModel
from sqlmodelkit import Scoped, StoredAnswer, Timestamps, UUIDKey

from examples.shop.models.catalogue import Product, ProductBrief
from examples.shop.models.customers import Address, AddressPublic, Customer, CustomerBrief
from examples.shop.models.enums import stored_by_value

MAX_INT32 = 2**31 - 1


class OrderStatus(StrEnum):
    """How far an order is.

    Cancelling does not put goods back into stock: that happens when they are there again, by a
    new `stock` of the product.
    """

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class OrderBase(SQLModel):
    status: OrderStatus = Field(
        default=OrderStatus.PLACED, sa_type=stored_by_value(OrderStatus, name="status")
    )
    note: str | None = Field(default=None, max_length=200, description="A word to the carrier.")


class Order(OrderBase, UUIDKey, Timestamps, Scoped, table=True):
    __tablename__ = "orders"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"customer": "customer_id"}
    __table_args__ = (
        CheckConstraint("total >= 0", name="total_not_negative"),
        Index(None, "created_at"),
    )

    # What was sold stays on the books: a customer or an address with orders cannot be removed.
    customer_id: UUID = Field(foreign_key="customers.id", ondelete="RESTRICT", index=True)
    shipping_address_id: int | None = Field(
        default=None, foreign_key="addresses.id", ondelete="RESTRICT", index=True
    )
    total: Decimal = Field(max_digits=15, decimal_places=2)

    customer: Customer = Relationship(back_populates="orders")
    shipping_address: Address | None = Relationship(back_populates="orders")
    lines: list["OrderLine"] = Relationship(
        back_populates="order",
        passive_deletes="all",
        sa_relationship_kwargs={"order_by": "OrderLine.product_name"},
    )


class OrderCreate(OrderBase):
    """What `OrderService.place` writes; clients send `OrderPlace`."""

    customer_id: UUID
    shipping_address_id: int | None = None
    total: Decimal


class OrderUpdate(SQLModel):
    status: OrderStatus = Field(default=None)
    note: str | None = Field(default=None, max_length=200)


class OrderLineBase(SQLModel):
    quantity: int
    unit_price: Decimal = Field(max_digits=10, decimal_places=2)
    # As it was called when it was sold: an old order can still be read after the product is gone.
    product_name: str = Field(max_length=120)


class OrderLine(OrderLineBase, table=True):
    """A product in an order: a link with columns of its own; the key is the pair."""

    __tablename__ = "order_lines"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("unit_price >= 0", name="unit_price_not_negative"),
    )

    order_id: UUID = Field(foreign_key="orders.id", ondelete="CASCADE", primary_key=True)
    product_id: UUID = Field(
        foreign_key="products.id", ondelete="RESTRICT", primary_key=True, index=True
    )

    order: Order = Relationship(back_populates="lines")
    # The key is never NULL, but a soft-deleted product is out of sight.
    product: Product | None = Relationship(back_populates="lines")


class OrderLineCreate(OrderLineBase):
    order_id: UUID
    product_id: UUID


class OrderLineUpdate(SQLModel):
    quantity: int = Field(default=None)
    unit_price: Decimal = Field(default=None, max_digits=10, decimal_places=2)


class OrderLinePublic(OrderLineBase):
    product_id: UUID
    product: ProductBrief | None


class OrderPublic(OrderBase):
    id: UUID
    created_at: datetime
    updated_at: datetime
    total: Decimal
    customer_id: UUID
    customer: CustomerBrief
    lines: list[OrderLinePublic]
    shipping_address: AddressPublic | None


class OrderPlaceLine(SQLModel):
    """A wish for some pieces of a product."""

    model_config = {"extra": "forbid"}

    product_id: UUID
    quantity: int = Field(ge=1, le=1000)


class OrderPlace(SQLModel):
    """What a client sends to buy something; prices are the shop's matter."""

    model_config = {"extra": "forbid"}

    customer_id: UUID
    shipping_address_id: int | None = Field(default=None, ge=1, le=MAX_INT32)
    note: str | None = Field(default=None, max_length=200)
    lines: list[OrderPlaceLine] = Field(min_length=1, max_length=50)


class IdempotencyKey(StoredAnswer, table=True):
    """The answers to orders that were placed with an Idempotency-Key."""

    __tablename__ = "idempotency_keys"  # pyright: ignore[reportAssignmentType]
