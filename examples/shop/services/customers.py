"""Customers, who they are, and where they live."""

from typing import Any
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from sqlmodelkit import ServiceBase

from examples.shop.models.customers import (
    Address,
    AddressCreate,
    AddressPublic,
    AddressUpdate,
    Customer,
    CustomerCreate,
    CustomerPublic,
    CustomerUpdate,
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
