"""What customers say about products: at most one review each."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, Relationship, SQLModel
from sqlmodelkit import IntKey, Scoped, Timestamps

from examples.shop.models.catalogue import Product, ProductBrief
from examples.shop.models.customers import Customer, CustomerName


class ReviewBase(SQLModel):
    rating: int = Field(ge=1, le=5)
    title: str = Field(min_length=1, max_length=100)
    body: str = Field(default="", max_length=5000, sa_type=Text)


class Review(ReviewBase, IntKey, Timestamps, Scoped, table=True):
    __tablename__ = "reviews"  # pyright: ignore[reportAssignmentType]
    __scopes__ = {"customer": "customer_id"}
    __table_args__ = (
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating_in_range"),
        UniqueConstraint("product_id", "customer_id"),
    )

    # The unique pair is also the index that finds the reviews of a product.
    product_id: UUID = Field(foreign_key="products.id", ondelete="CASCADE")
    customer_id: UUID = Field(foreign_key="customers.id", ondelete="RESTRICT", index=True)

    # The key is never NULL, but a soft-deleted product is out of sight.
    product: Product | None = Relationship(back_populates="reviews")
    customer: Customer = Relationship(back_populates="reviews")


class ReviewCreate(ReviewBase):
    product_id: UUID
    customer_id: UUID


class ReviewUpdate(SQLModel):
    rating: int = Field(default=None, ge=1, le=5)
    title: str = Field(default=None, min_length=1, max_length=100)
    body: str = Field(default=None, max_length=5000)


class ReviewPublic(ReviewBase):
    id: int
    created_at: datetime
    updated_at: datetime
    product_id: UUID
    customer_id: UUID
    product: ProductBrief | None
    customer: CustomerName
