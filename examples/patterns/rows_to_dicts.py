"""Rows become plain dictionaries, for a queue, a template or a report.

Problem: a dictionary of all columns shows secrets, and keys and times are no JSON. Way: a response
model says which fields, so only those are read; Pydantic makes text of keys and times.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from examples.shop.services import CustomerService
from sqlmodelkit import AsyncSession


class CustomerRecord(SQLModel):
    """What the report needs."""

    id: UUID
    name: str
    created_at: datetime


async def records(session: AsyncSession) -> list[dict[str, Any]]:
    """Return customers by name, ready for `json.dumps`."""
    found = await CustomerService(session).all(into=CustomerRecord, sort="name")
    return [customer.model_dump(mode="json") for customer in found]
