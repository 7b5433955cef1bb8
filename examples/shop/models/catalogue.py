"""Categories (a tree), products, and the tags that products carry."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Optional
from uuid import UUID

from pydantic import StringConstraints
from sqlalchemy import JSON, CheckConstraint, Index, Text
from sqlmodel import Field, Relationship, SQLModel
from sqlmodelkit import IntKey, SoftDelete, Timestamps, UUIDKey

from examples.shop.models.enums import stored_by_value

if TYPE_CHECKING:
    from examples.shop.models.orders import OrderLine
    from examples.shop.models.reviews import Review

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
MAX_STOCK = 1_000_000


class CategoryBase(SQLModel):
    name: str = Field(min_length=1, max_length=80)
    slug: Slug = Field(max_length=80, unique=True)
    parent_id: int | None = Field(
        default=None, foreign_key="categories.id", ondelete="RESTRICT", index=True
    )


class Category(CategoryBase, IntKey, table=True):
    __tablename__ = "categories"  # pyright: ignore[reportAssignmentType]

    parent: Optional["Category"] = Relationship(
        back_populates="children", sa_relationship_kwargs={"remote_side": "Category.id"}
    )
    children: list["Category"] = Relationship(
        back_populates="parent",
        passive_deletes="all",
        sa_relationship_kwargs={"order_by": "Category.name"},
    )
    products: list["Product"] = Relationship(back_populates="category", passive_deletes="all")


class CategoryCreate(CategoryBase):
    pass


class CategoryUpdate(SQLModel):
    name: str = Field(default=None, min_length=1, max_length=80)
    slug: Slug = Field(default=None, max_length=80)
    parent_id: int | None = None


class CategoryBrief(SQLModel):
    """A category inside a product, or beside another category."""

    id: int
    name: str
    slug: str


class CategoryPublic(CategoryBase):
    id: int
    parent: CategoryBrief | None
    children: list[CategoryBrief]


class TagBase(SQLModel):
    name: str = Field(min_length=1, max_length=40, unique=True)


class ProductTag(SQLModel, table=True):
    """Says that a product carries a tag; the key is the pair."""

    __tablename__ = "product_tags"  # pyright: ignore[reportAssignmentType]

    product_id: UUID = Field(foreign_key="products.id", ondelete="CASCADE", primary_key=True)
    # The primary key finds the tags of a product; the products of a tag need an index of their own.
    tag_id: int = Field(foreign_key="tags.id", ondelete="CASCADE", primary_key=True, index=True)


class Tag(TagBase, IntKey, table=True):
    __tablename__ = "tags"  # pyright: ignore[reportAssignmentType]

    products: list["Product"] = Relationship(
        back_populates="tags", link_model=ProductTag, passive_deletes="all"
    )


class TagCreate(TagBase):
    pass


class TagUpdate(SQLModel):
    name: str = Field(default=None, min_length=1, max_length=40)


class TagPublic(TagBase):
    id: int


class ProductStatus(StrEnum):
    """A draft is not sold yet, a retired product is not sold any more."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class ProductBase(SQLModel):
    sku: str = Field(min_length=1, max_length=32, unique=True)
    name: str = Field(min_length=1, max_length=120, index=True)
    description: str = Field(default="", max_length=5000, sa_type=Text)
    price: Decimal = Field(ge=0, max_digits=10, decimal_places=2)
    status: ProductStatus = Field(
        default=ProductStatus.DRAFT, sa_type=stored_by_value(ProductStatus, name="status")
    )
    stock: int = Field(default=0, ge=0, le=MAX_STOCK)
    attributes: dict[str, str | int | bool] = Field(default_factory=dict, sa_type=JSON)
    category_id: int = Field(foreign_key="categories.id", ondelete="RESTRICT", index=True)


class Product(ProductBase, UUIDKey, Timestamps, SoftDelete, table=True):
    __tablename__ = "products"  # pyright: ignore[reportAssignmentType]
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        Index(None, "status", "price"),
    )

    category: Category = Relationship(back_populates="products")
    tags: list[Tag] = Relationship(
        back_populates="products",
        link_model=ProductTag,
        passive_deletes="all",
        sa_relationship_kwargs={"order_by": "Tag.name"},
    )
    lines: list["OrderLine"] = Relationship(back_populates="product", passive_deletes="all")
    reviews: list["Review"] = Relationship(back_populates="product", passive_deletes="all")


class ProductCreate(ProductBase):
    pass


class ProductUpdate(SQLModel):
    sku: str = Field(default=None, min_length=1, max_length=32)
    name: str = Field(default=None, min_length=1, max_length=120)
    description: str = Field(default=None, max_length=5000)
    price: Decimal = Field(default=None, ge=0, max_digits=10, decimal_places=2)
    status: ProductStatus = Field(default=None)
    stock: int = Field(default=None, ge=0, le=MAX_STOCK)
    attributes: dict[str, str | int | bool] = Field(default=None)
    category_id: int = Field(default=None)


class ProductBrief(SQLModel):
    """A product inside an order line or beside a review."""

    id: UUID
    sku: str
    name: str
    price: Decimal


class ProductPublic(ProductBase):
    id: UUID
    created_at: datetime
    updated_at: datetime
    category: CategoryBrief
    tags: list[TagPublic]
