"""What the shop stores and shows, a file for each domain.

Each entity has five models: `...Base` holds the fields that the others share, the table adds keys
and relations, `...Create` and `...Update` are what clients send, `...Public` is what they get.
A `...Brief` is how an entity is shown inside another one; briefs hold no relations, so that no
response leads back to where it started.

In an `...Update` every field may be left out: `default=None` stands for "not sent" and is never
written. Only fields whose column may be NULL are also annotated `| None`, and take a null.

What belongs to a customer says so in `__scopes__`: one who has signed in sees his own.

Relations are never loaded by accident (the library refuses that), and nothing is deleted by
Python: each foreign key says what the database does with its rows.
"""

from examples.shop.models.catalogue import (
    Category,
    CategoryBrief,
    CategoryCreate,
    CategoryPublic,
    CategoryUpdate,
    Product,
    ProductBrief,
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
from examples.shop.models.customers import (
    Address,
    AddressCreate,
    AddressPublic,
    AddressUpdate,
    Customer,
    CustomerBrief,
    CustomerCreate,
    CustomerName,
    CustomerPublic,
    CustomerUpdate,
    SignedIn,
    SignIn,
)
from examples.shop.models.orders import (
    IdempotencyKey,
    Order,
    OrderCreate,
    OrderLine,
    OrderLineCreate,
    OrderLinePublic,
    OrderLineUpdate,
    OrderPlace,
    OrderPlaceLine,
    OrderPublic,
    OrderStatus,
    OrderUpdate,
)
from examples.shop.models.reviews import Review, ReviewCreate, ReviewPublic, ReviewUpdate

__all__ = [
    "Address",
    "AddressCreate",
    "AddressPublic",
    "AddressUpdate",
    "Category",
    "CategoryBrief",
    "CategoryCreate",
    "CategoryPublic",
    "CategoryUpdate",
    "Customer",
    "CustomerBrief",
    "CustomerCreate",
    "CustomerName",
    "CustomerPublic",
    "CustomerUpdate",
    "IdempotencyKey",
    "Order",
    "OrderCreate",
    "OrderLine",
    "OrderLineCreate",
    "OrderLinePublic",
    "OrderLineUpdate",
    "OrderPlace",
    "OrderPlaceLine",
    "OrderPublic",
    "OrderStatus",
    "OrderUpdate",
    "Product",
    "ProductBrief",
    "ProductCreate",
    "ProductPublic",
    "ProductStatus",
    "ProductTag",
    "ProductUpdate",
    "Review",
    "ReviewCreate",
    "ReviewPublic",
    "ReviewUpdate",
    "SignIn",
    "SignedIn",
    "Tag",
    "TagCreate",
    "TagPublic",
    "TagUpdate",
]
