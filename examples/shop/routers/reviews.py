"""Reviews over HTTP."""

from fastapi import APIRouter
from sqlmodelkit.fastapi import crud_router

from examples.shop.auth import ACCOUNT
from examples.shop.services import ReviewService

router = APIRouter()
router.include_router(crud_router(ReviewService, auth=ACCOUNT, tags=["reviews"]), prefix="/reviews")
