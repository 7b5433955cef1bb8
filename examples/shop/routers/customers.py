"""Customers and their addresses over HTTP, and signing in."""

from typing import Annotated

from fastapi import APIRouter, Request
from sqlmodelkit import BadRequest
from sqlmodelkit.fastapi import crud_router, error_responses, service

from examples.shop.auth import ACCOUNT, WRITER, customer_token, refusal
from examples.shop.models import SignedIn, SignIn
from examples.shop.services import AddressService, CustomerService

router = APIRouter()
router.include_router(
    crud_router(CustomerService, auth=WRITER, tags=["customers"]), prefix="/customers"
)
router.include_router(
    crud_router(AddressService, auth=ACCOUNT, tags=["addresses"]), prefix="/addresses"
)


@router.post("/sign-in", tags=["customers"], responses=error_responses(BadRequest))
async def sign_in(
    wish: SignIn, request: Request, customers: Annotated[CustomerService, service(CustomerService)]
) -> SignedIn:
    """Answer the token by which a customer sees his own orders, addresses and reviews."""
    customer_id = await customers.known_by(wish.email, wish.password)
    if customer_id is None:
        raise refusal("No customer has this e-mail and password.", "body")
    return SignedIn(token=customer_token(request.app, customer_id))
