"""Queries of the shop. Repositories flush; whoever holds the session commits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loja.models import Customer, Order, Product
from tijolo.core import ConflictException, NotFoundException
from tijolo.db import BaseRepository


class CustomerNotFoundError(NotFoundException):
    """There is no such customer."""

    code = "CUSTOMER_NOT_FOUND"
    message = "There is no such customer"


class ProductNotFoundError(NotFoundException):
    """There is no such product."""

    code = "PRODUCT_NOT_FOUND"
    message = "There is no such product"


class OrderNotFoundError(NotFoundException):
    """There is no such order."""

    code = "ORDER_NOT_FOUND"
    message = "There is no such order"


class OutOfStockError(ConflictException):
    """Fewer are left than were ordered."""

    code = "OUT_OF_STOCK"
    message = "There are not that many left"


class CustomerRepository(BaseRepository[Customer]):
    """Customers, in any order of name or age."""

    orderable = ("name", "created_at")

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(
            session,
            model=Customer,
            not_found_exception=CustomerNotFoundError,
            not_found_message=CustomerNotFoundError.message,
            create_conflict_message="There is a customer with this document already",
        )

    async def of_user(self, user_id: UUID) -> Customer:
        """The customer that a user orders as.

        Raises:
            CustomerNotFoundError: They have not said who that is.
        """
        return await self.get({"user_id": user_id})

    async def keep_for(self, user_id: UUID, fields: dict[str, Any]) -> Customer:
        """Make or change the customer that a user orders as; the document stays the first one."""
        customer = await self.first({"user_id": user_id})
        if customer is None:
            return await self.add(Customer(user_id=user_id, **fields))
        if customer.document != fields["document"]:
            raise ConflictException("The document of a customer does not change")
        customer.update_from_dict(fields)
        return await self.update(customer)


class ProductRepository(BaseRepository[Product]):
    """Products and their stock."""

    orderable = ("name", "price_cents", "stock", "created_at")

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(
            session,
            model=Product,
            not_found_exception=ProductNotFoundError,
            not_found_message=ProductNotFoundError.message,
            create_conflict_message="There is a product with this SKU already",
        )

    async def take(self, product: Product, quantity: int) -> None:
        """Take ``quantity`` off the shelf; ``product`` was read for update.

        Raises:
            OutOfStockError: Fewer are left.
        """
        if product.stock < quantity:
            raise OutOfStockError(details={"sku": product.sku, "left": product.stock})
        product.stock -= quantity
        await self.update(product)

    async def scarce(self, below: int) -> list[Product]:
        """The hundred products of which the fewest are left, fewer than ``below``."""
        return await self.list({"stock__lt": below}, order_by="stock", limit=100)


class OrderRepository(BaseRepository[Order]):
    """Orders, newest first."""

    orderable = ("created_at",)

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(
            session,
            model=Order,
            not_found_exception=OrderNotFoundError,
            not_found_message=OrderNotFoundError.message,
        )

    async def totals(self) -> list[tuple[str, int, int]]:
        """Status, orders, cents."""
        statement = (
            select(Order.status, func.count(), func.sum(Order.total_cents))
            .group_by(Order.status)
            .order_by(Order.status)
        )
        rows = await self.session.execute(statement)
        return [(status, count, int(total)) for status, count, total in rows]
