"""Every route of the shop."""

from fastapi import APIRouter

from examples.shop.routers.catalogue import router as catalogue
from examples.shop.routers.customers import router as customers
from examples.shop.routers.orders import router as orders
from examples.shop.routers.reviews import router as reviews

router = APIRouter()
router.include_router(customers)
router.include_router(catalogue)
router.include_router(orders)
router.include_router(reviews)
