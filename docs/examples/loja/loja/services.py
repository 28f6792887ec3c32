"""What the shop does. No HTTP here, and no commit: both belong to the boundary."""

from __future__ import annotations

import logging
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loja.models import Order, OrderLine, OrderStatus, Product
from loja.repositories import CustomerRepository, OrderRepository, ProductRepository
from loja.schemas import OrderCreate, ProductCreate, ProductUpdate
from loja.shop import CATALOG, Shop
from tijolo.core import ConflictException, ValidationException
from tijolo.db import on_commit

logger = logging.getLogger("loja.orders")


class ProductService:
    """Changes to products, guarded by the version that was read."""

    def __init__(self, shop: Shop, session: AsyncSession) -> None:
        self.shop = shop
        self.session = session
        self.products = ProductRepository(session)

    async def create(self, data: ProductCreate) -> Product:
        """Put a new product on the shelf."""
        product = await self.products.add(Product(**data.model_dump()))
        forget_catalog(self.shop, self.session)
        return product

    async def change(self, product_id: UUID, data: ProductUpdate) -> Product:
        """Apply what ``data`` names, if nobody changed the product since it was read."""
        product = await self.products.get_by_id(product_id)
        changes = data.model_dump(exclude_unset=True, exclude={"version"})
        refused = sorted(name for name, value in changes.items() if value is None)
        if refused:
            raise ValidationException(f"{refused[0]} cannot be null", details={"field": refused[0]})
        product.update_from_dict(changes)
        await self.products.update(product, expected_version=data.version)
        forget_catalog(self.shop, self.session)
        return product

    async def receive(self, product_id: UUID, quantity: int) -> Product:
        """Put what was delivered on the shelf; two deliveries at once both count."""
        product = await self.products.get_by_id(product_id, for_update=True)
        product.stock += quantity
        await self.products.update(product)
        forget_catalog(self.shop, self.session)
        return product


class OrderService:
    """Orders: the stock and the order change together or not at all."""

    def __init__(self, shop: Shop, session: AsyncSession) -> None:
        self.shop = shop
        self.session = session
        self.customers = CustomerRepository(session)
        self.products = ProductRepository(session)
        self.orders = OrderRepository(session)

    async def place(self, data: OrderCreate) -> Order:
        """Take every line off the shelf and write the order, at today's prices."""
        wanted = {line.product_id: line.quantity for line in data.lines}
        if len(wanted) < len(data.lines):
            raise ValidationException("A product appears twice", details={"field": "lines"})
        customer = await self.customers.get_by_id(data.customer_id)
        order = Order(customer_id=customer.id, status=OrderStatus.OPEN.value, total_cents=0)
        # in one order for everybody, so that two orders never wait for each other in a circle
        for product_id in sorted(wanted):
            product = await self.products.get_by_id(product_id, for_update=True)
            quantity = wanted[product_id]
            await self.products.take(product, quantity)
            order.lines.append(
                OrderLine(
                    product_id=product.id, quantity=quantity, unit_price_cents=product.price_cents
                )
            )
            order.total_cents += quantity * product.price_cents
        await self.orders.add(order)
        if self.shop.mail is not None:
            on_commit(self.session, await self.shop.mail.placed(order, customer))
        self._announce("placed", order)
        return order

    async def pay(self, order_id: UUID) -> Order:
        """Note that an order was paid; a second report changes nothing.

        Raises:
            ConflictException: It was cancelled: somebody has to give the money back.
        """
        order = await self.orders.get_by_id(order_id, for_update=True)
        if order.status == OrderStatus.CANCELLED:
            raise ConflictException("The order was cancelled", code="ORDER_NOT_OPEN")
        if order.status == OrderStatus.OPEN:
            order.status = OrderStatus.PAID.value
            await self.orders.update(order)
            self._announce("paid", order)
        return order

    async def cancel(self, order_id: UUID) -> Order:
        """Put everything back on the shelf.

        Raises:
            ConflictException: It is paid, or cancelled already.
        """
        order = await self.orders.get_by_id(order_id, for_update=True, load=["lines"])
        if order.status != OrderStatus.OPEN:
            raise ConflictException(f"The order is {order.status} already", code="ORDER_NOT_OPEN")
        for line in sorted(order.lines, key=lambda line: line.product_id):
            product = await self.products.get_by_id(line.product_id, for_update=True)
            product.stock += line.quantity
            await self.products.update(product)
        order.status = OrderStatus.CANCELLED.value
        await self.orders.update(order)
        self._announce("cancelled", order)
        return order

    def _announce(self, what: str, order: Order) -> None:
        """Tell the world after the commit: an order that was rolled back is no news."""
        fields = {"order": str(order.id), "total_cents": order.total_cents}
        on_commit(self.session, lambda: logger.info("order %s", what, extra=fields))
        on_commit(self.session, lambda: self.shop.orders.labels(what).inc())
        if what != "paid":  # the stock has moved
            forget_catalog(self.shop, self.session)


def forget_catalog(shop: Shop, session: AsyncSession) -> None:
    """Let nobody read what was kept of the products, once this change is committed."""
    on_commit(session, shop.cache.invalidation(CATALOG))
