"""What customers say about products."""

from sqlmodelkit import ServiceBase

from examples.shop.models.reviews import Review, ReviewCreate, ReviewPublic, ReviewUpdate


class ReviewService(ServiceBase[Review, ReviewCreate, ReviewUpdate]):
    """Reviews; the database allows each customer one for each product."""

    public = ReviewPublic
