"""Products, categories and tags over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, status
from sqlmodelkit import BadRequest, NotFound
from sqlmodelkit.fastapi import crud_router, error_responses, service

from examples.shop.auth import WRITER
from examples.shop.models import ProductPublic
from examples.shop.models.orders import MAX_INT32
from examples.shop.services import CategoryService, ProductService, TagService

router = APIRouter()
router.include_router(
    crud_router(
        ProductService,
        auth=WRITER,
        tags=["products"],
        operations=["list", "get", "create", "create_many", "update", "delete", "restore"],
    ),
    prefix="/products",
)
router.include_router(
    crud_router(CategoryService, auth=WRITER, tags=["categories"]), prefix="/categories"
)
router.include_router(crud_router(TagService, auth=WRITER, tags=["tags"]), prefix="/tags")

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
