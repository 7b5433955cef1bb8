"""The page at `/`: what there is to try, with keys from the database.

The page is `index.html`; nothing in it comes from another server.
"""

from html import escape
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlmodelkit import AsyncSession
from sqlmodelkit.fastapi import SessionDep

from examples.shop.models import ProductStatus
from examples.shop.services import (
    CategoryService,
    CustomerService,
    OrderService,
    ProductService,
    ReviewService,
    TagService,
)

TEMPLATE = Template(Path(__file__).with_name("index.html").read_text(encoding="utf-8"))
NOBODY = "00000000-0000-7000-8000-000000000000"
"""A key that no row has; it also stands in for samples while the shop is empty."""

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
async def home(request: Request, session: SessionDep) -> str:
    """Answer the page, with links to rows that exist."""
    values = {
        "base": str(request.base_url).rstrip("/"),
        "nobody": NOBODY,
        **await samples(session),
        **await counts(session),
    }
    return TEMPLATE.substitute({name: escape(value) for name, value in values.items()})


async def samples(session: AsyncSession) -> dict[str, str]:
    """Return keys worth looking at: a large order, its customer, and products one can buy."""
    orders = await OrderService(session).all(sort="-total", limit=1)
    products = await ProductService(session).all(
        status=ProductStatus.ACTIVE, stock__gte=5, sort="-price", limit=2
    )
    categories = await CategoryService(session).all(sort="id", limit=1)
    order_id, customer_id = (
        (str(orders[0].id), str(orders[0].customer_id)) if orders else (NOBODY, NOBODY)
    )
    product_ids = [str(product.id) for product in products]
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "product_id": product_ids[0] if product_ids else NOBODY,
        "other_product_id": product_ids[-1] if product_ids else NOBODY,
        "category_id": str(categories[0].id) if categories else "1",
    }


async def counts(session: AsyncSession) -> dict[str, str]:
    """Return how many rows there are, written for people."""
    numbers = {
        "products": await ProductService(session).count(),
        "categories": await CategoryService(session).count(),
        "tags": await TagService(session).count(),
        "customers": await CustomerService(session).count(),
        "orders": await OrderService(session).count(),
        "reviews": await ReviewService(session).count(),
    }
    return {name: f"{number:,}" for name, number in numbers.items()}
