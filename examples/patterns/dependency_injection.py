"""A request reads a row with what belongs to it.

Problem: the endpoint needs a session, a service and the relations of the answer, and nobody may
forget one of them. Way: the service is a dependency, and the response model names the relations.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from examples.shop.models import CustomerPublic
from examples.shop.services import CustomerService
from sqlmodelkit.fastapi import service

router = APIRouter()

Customers = Annotated[CustomerService, service(CustomerService)]


@router.get("/customers/{customer_id}")
async def read_customer(customer_id: UUID, customers: Customers) -> CustomerPublic:
    """Answer a customer with the addresses, or 404."""
    return await customers.get(customer_id, into=CustomerPublic)
