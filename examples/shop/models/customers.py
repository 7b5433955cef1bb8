"""Customers and their addresses."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from pydantic import StringConstraints
from sqlmodel import Field, Relationship, SQLModel
from sqlmodelkit import IntKey, Scoped, Timestamps, UUIDKey

if TYPE_CHECKING:
    from examples.shop.models.orders import Order
    from examples.shop.models.reviews import Review

# Patterns are types of their own: SQLModel's Field has no `pattern`, and ignores `regex`.
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class CustomerBase(SQLModel):
    email: Email = Field(max_length=254, unique=True)
    name: str = Field(min_length=1, max_length=100)


class Customer(CustomerBase, UUIDKey, Timestamps, Scoped, table=True):
    __tablename__ = "customers"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"customer": "id"}

    # Only here: what no other model has cannot be shown, filtered, sorted or sent by anybody.
    password_hash: str = Field(max_length=255)

    addresses: list["Address"] = Relationship(
        back_populates="customer",
        passive_deletes="all",
        sa_relationship_kwargs={"order_by": "Address.id"},
    )
    orders: list["Order"] = Relationship(back_populates="customer", passive_deletes="all")
    reviews: list["Review"] = Relationship(back_populates="customer", passive_deletes="all")


class CustomerCreate(CustomerBase):
    password: str = Field(min_length=8, max_length=128)


class CustomerUpdate(SQLModel):
    email: Email = Field(default=None, max_length=254)
    name: str = Field(default=None, min_length=1, max_length=100)
    password: str = Field(default=None, min_length=8, max_length=128)


class CustomerName(SQLModel):
    """A customer as everybody may see them, beside a review."""

    id: UUID
    name: str


class CustomerBrief(CustomerName):
    """A customer inside an order."""

    email: str


class SignIn(SQLModel):
    """What a customer sends to be known from then on."""

    model_config = {"extra": "forbid"}

    email: Email = Field(max_length=254)
    password: str = Field(max_length=128)


class SignedIn(SQLModel):
    """What a customer sends along in the header Authorization: Bearer."""

    token: str


class AddressBase(SQLModel):
    street: str = Field(min_length=1, max_length=120)
    city: str = Field(min_length=1, max_length=80)
    postal_code: str = Field(min_length=1, max_length=16)
    country: Country = Field(max_length=2, description="ISO 3166-1 code.")


class Address(AddressBase, IntKey, Scoped, table=True):
    __tablename__ = "addresses"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"customer": "customer_id"}

    customer_id: UUID = Field(foreign_key="customers.id", ondelete="CASCADE", index=True)

    customer: Customer = Relationship(back_populates="addresses")
    orders: list["Order"] = Relationship(back_populates="shipping_address", passive_deletes="all")


class AddressCreate(AddressBase):
    customer_id: UUID


class AddressUpdate(SQLModel):
    street: str = Field(default=None, min_length=1, max_length=120)
    city: str = Field(default=None, min_length=1, max_length=80)
    postal_code: str = Field(default=None, min_length=1, max_length=16)
    country: Country = Field(default=None, max_length=2)


class AddressPublic(AddressBase):
    id: int
    customer_id: UUID


class CustomerPublic(CustomerBase):
    id: UUID
    created_at: datetime
    updated_at: datetime
    addresses: list[AddressPublic]
