"""What the shop does: a service for each table, and more where a row is not the whole story.

Start at `OrderService.place`. A service works in the unit of work that its session belongs to;
it never commits, so several services can take part in one.
"""

from examples.shop.services.catalogue import CategoryService, ProductService, TagService
from examples.shop.services.customers import PASSWORDS, AddressService, CustomerService
from examples.shop.services.orders import OrderLineService, OrderService
from examples.shop.services.reviews import ReviewService

__all__ = [
    "PASSWORDS",
    "AddressService",
    "CategoryService",
    "CustomerService",
    "OrderLineService",
    "OrderService",
    "ProductService",
    "ReviewService",
    "TagService",
]
