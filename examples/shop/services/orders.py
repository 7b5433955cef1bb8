"""Orders and their lines. Start at `OrderService.place`."""

from collections import Counter
from decimal import Decimal
from uuid import UUID

from sqlmodelkit import NotFound, ServiceBase

from examples.shop.models.orders import (
    Order,
    OrderCreate,
    OrderLine,
    OrderLineCreate,
    OrderLinePublic,
    OrderLineUpdate,
    OrderPlace,
    OrderPublic,
    OrderUpdate,
)
from examples.shop.services.catalogue import ProductService
from examples.shop.services.customers import AddressService, CustomerService


class OrderLineService(ServiceBase[OrderLine, OrderLineCreate, OrderLineUpdate]):
    """Lines of orders, by the key (order, product)."""

    public = OrderLinePublic


class OrderService(ServiceBase[Order, OrderCreate, OrderUpdate]):
    """Orders; a new one comes from `place`."""

    public = OrderPublic

    async def place(self, wish: OrderPlace) -> Order:
        """Sell what a customer asks for: all of it, or nothing.

        Raises:
            NotFound: The customer, the address or a product is unknown.
            Conflict: A product is not for sale, or too few are left.
        """
        await self._check_customer(wish)
        quantities: Counter[UUID] = Counter()
        for line in wish.lines:
            quantities[line.product_id] += line.quantity
        products = ProductService(self.session)
        # Always in the same order: two orders that want the same products wait for each other in
        # turn, instead of each holding what the other one needs.
        for product_id, quantity in sorted(quantities.items()):
            await products.take(product_id, quantity)
        sold = await products.get_many(quantities)
        order = await self.create(
            OrderCreate(
                customer_id=wish.customer_id,
                shipping_address_id=wish.shipping_address_id,
                note=wish.note,
                total=sum((p.price * quantities[p.id] for p in sold), Decimal(0)),
            )
        )
        await OrderLineService(self.session).create_many(
            OrderLineCreate(
                order_id=order.id,
                product_id=product.id,
                product_name=product.name,
                quantity=quantities[product.id],
                unit_price=product.price,
            )
            for product in sold
        )
        return order

    async def _check_customer(self, wish: OrderPlace) -> None:
        if not await CustomerService(self.session).exists(id=wish.customer_id):
            raise NotFound(
                f"There is no customer {wish.customer_id}.",
                fields=["customer_id"],
                key=wish.customer_id,
            )
        address_id = wish.shipping_address_id
        if address_id is not None and not await AddressService(self.session).exists(
            id=address_id, customer_id=wish.customer_id
        ):
            raise NotFound(
                f"The customer has no address {address_id}.",
                fields=["shipping_address_id"],
                key=address_id,
            )
