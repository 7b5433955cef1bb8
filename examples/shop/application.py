"""The shop as an application: its routes, its database, its life.

Start at `create_app`.
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response, status

from sqlmodelkit import BadRequest, Conflict, Database, NotFound
from sqlmodelkit.fastapi import (
    ErrorBody,
    Idempotency,
    IdempotencyKeyRequired,
    Once,
    crud_router,
    error_responses,
    idempotent,
    install,
    scoped_by,
    service,
)

from .auth import (
    choose_token,
    current_caller,
    current_scope,
    customer_token,
    refusal,
    require_account,
    require_token,
    set_token,
)
from .models import IdempotencyKey, OrderPlace, OrderPublic, ProductPublic, SignedIn, SignIn
from .models.orders import MAX_INT32
from .page import router as page_router
from .services import (
    AddressService,
    CategoryService,
    CustomerService,
    OrderService,
    ProductService,
    ReviewService,
    TagService,
)

WRITER = [Depends(require_token)]
ACCOUNT = [Depends(require_account)]
ONCE = Idempotency(table=IdempotencyKey, caller=current_caller)

logger = logging.getLogger(__name__)


router = APIRouter()


@router.post("/sign-in", tags=["customers"], responses=error_responses(BadRequest))
async def sign_in(
    wish: SignIn, request: Request, customers: Annotated[CustomerService, service(CustomerService)]
) -> SignedIn:
    """Answer the token by which a customer sees his own orders, addresses and reviews."""
    customer_id = await customers.known_by(wish.email, wish.password)
    if customer_id is None:
        raise refusal("No customer has this e-mail and password.", "body")
    return SignedIn(token=customer_token(request.app, customer_id))


@router.post(
    "/orders/place",
    status_code=status.HTTP_201_CREATED,
    dependencies=ACCOUNT,
    tags=["orders"],
    response_model=OrderPublic,
    responses=error_responses(BadRequest, NotFound, Conflict, IdempotencyKeyRequired),
)
async def place_order(
    wish: OrderPlace,
    orders: Annotated[OrderService, service(OrderService)],
    once: Annotated[Once, idempotent(ONCE)],
) -> Response:
    """Buy: takes the pieces out of stock and writes the order, or does neither.

    With an Idempotency-Key it can be sent again when no answer has come: that buys nothing more.
    """

    async def place() -> OrderPublic:
        order = await orders.place(wish)
        return await orders.get(order.id, into=OrderPublic)

    return await once.answer(place, status_code=status.HTTP_201_CREATED)


TagId = Annotated[int, Path(ge=1, le=MAX_INT32)]


@router.put(
    "/products/{product_id}/tags/{tag_id}",
    dependencies=WRITER,
    tags=["products"],
    responses=error_responses(BadRequest, NotFound),
)
async def tag_product(
    product_id: UUID,
    tag_id: TagId,
    products: Annotated[ProductService, service(ProductService)],
) -> ProductPublic:
    """Make a product carry a tag."""
    await products.add_tag(product_id, tag_id)
    return await products.get(product_id, into=ProductPublic)


@router.delete(
    "/products/{product_id}/tags/{tag_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=WRITER,
    tags=["products"],
    responses=error_responses(BadRequest, NotFound),
)
async def untag_product(
    product_id: UUID,
    tag_id: TagId,
    products: Annotated[ProductService, service(ProductService)],
) -> None:
    """Take a tag off a product."""
    await products.remove_tag(product_id, tag_id)


def open_database() -> Database:
    """Return the database that DATABASE_URL names, or SQLite in ./shop.db.

    Raises:
        ConfigError: DATABASE_URL cannot be used.
    """
    return Database(os.environ.get("DATABASE_URL") or "sqlite:///./shop.db")


def create_app(db: Database, token: str | None = None) -> FastAPI:
    """Return the shop over a database.

    Args:
        db: Where its tables are; they are created at start when they are missing.
        token: What writers must send; left out, SHOP_TOKEN, or a random token that is logged.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with db.lifespan(app):
            await db.create_all()
            if token is None and not os.environ.get("SHOP_TOKEN"):
                logger.warning("SHOP_TOKEN is not set; writers send: %s", app.state.shop_token)
            yield

    app = FastAPI(
        title="The shop",
        description="An example application of sqlmodelkit. Reading is open, writing needs a token; "
        "a customer who has signed in sees the catalogue and his own account.",
        lifespan=lifespan,
        # One place says whose rows a request may see; the tables that have an owner do the rest.
        dependencies=[scoped_by(current_scope)],
        # Whoever sends a token that nobody knows is told so, wherever that is.
        responses={401: {"model": ErrorBody, "description": "This token is not known."}},
    )
    set_token(app, token or choose_token())
    install(app, db)
    app.include_router(page_router)
    app.include_router(router)
    _include_crud(app)
    return app


def _include_crud(app: FastAPI) -> None:
    customers = crud_router(CustomerService, auth=WRITER, tags=["customers"])
    addresses = crud_router(AddressService, auth=ACCOUNT, tags=["addresses"])
    products = crud_router(
        ProductService,
        auth=WRITER,
        tags=["products"],
        operations=["list", "get", "create", "create_many", "update", "delete", "restore"],
    )
    categories = crud_router(CategoryService, auth=WRITER, tags=["categories"])
    tags = crud_router(TagService, auth=WRITER, tags=["tags"])
    # An order is placed, and never deleted: it is on the books.
    orders = crud_router(
        OrderService, auth=WRITER, tags=["orders"], operations=["list", "get", "update"]
    )
    reviews = crud_router(ReviewService, auth=ACCOUNT, tags=["reviews"])
    app.include_router(customers, prefix="/customers")
    app.include_router(addresses, prefix="/addresses")
    app.include_router(products, prefix="/products")
    app.include_router(categories, prefix="/categories")
    app.include_router(tags, prefix="/tags")
    app.include_router(orders, prefix="/orders")
    app.include_router(reviews, prefix="/reviews")
