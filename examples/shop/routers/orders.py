"""Orders over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Response, status
from sqlmodelkit import BadRequest, Conflict, NotFound
from sqlmodelkit.fastapi import (
    Idempotency,
    IdempotencyKeyRequired,
    Once,
    crud_router,
    error_responses,
    idempotent,
    service,
)

from examples.shop.auth import ACCOUNT, WRITER, current_caller
from examples.shop.models import IdempotencyKey, OrderPlace, OrderPublic
from examples.shop.services import OrderService

ONCE = Idempotency(table=IdempotencyKey, caller=current_caller)

router = APIRouter()
# An order is placed, and never deleted: it is on the books.
router.include_router(
    crud_router(OrderService, auth=WRITER, tags=["orders"], operations=["list", "get", "update"]),
    prefix="/orders",
)


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
