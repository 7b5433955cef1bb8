"""What several tables have."""

import datetime as dt
from decimal import Decimal
from typing import Annotated

from annotated_types import Ge
from sqlmodel import Field, SQLModel

from sqlmodelkit import Scoped

Money = Annotated[Decimal, Ge(0)]


class Priced(SQLModel):
    """Gives a price, and since when."""

    price: Money = Field(max_digits=10, decimal_places=2)
    priced_on: dt.date | None = None


class OfTenant(Scoped):
    """Gives a tenant."""

    __scopes__ = {"tenant": "tenant_id"}

    tenant_id: int = Field(index=True)
