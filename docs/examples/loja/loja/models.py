"""Tables. Money is whole cents: neither floats nor a database's idea of decimals."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tijolo.auth.users import BaseUserModel, make_refresh_token_model, make_user_token_model
from tijolo.core import BaseStrEnum
from tijolo.db import BaseModel, VersionMixin


class OrderStatus(BaseStrEnum):
    """Where an order stands."""

    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


class User(BaseUserModel):
    """Somebody with an account."""

    __tablename__ = "users"


UserToken = make_user_token_model(User)
RefreshToken = make_refresh_token_model(User)


class Customer(BaseModel):
    """A person (CPF) or a company (CNPJ), stored in canonical form."""

    __tablename__ = "customers"

    name: Mapped[str] = mapped_column(String(120))
    document: Mapped[str] = mapped_column(String(14), unique=True)
    phone: Mapped[str | None] = mapped_column(String(11))
    cep: Mapped[str | None] = mapped_column(String(8))
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", ondelete="SET NULL"), unique=True
    )
    """Who orders as this customer; None for one that the shop keeps itself."""


class Product(VersionMixin, BaseModel):
    """Something on the shelf; two people who edit it at once do not overwrite each other."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )

    sku: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    price_cents: Mapped[int] = mapped_column(BigInteger)
    stock: Mapped[int]


class Order(BaseModel):
    """What a customer bought, at the prices of that moment."""

    __tablename__ = "orders"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.id"), index=True)
    status: Mapped[str] = mapped_column(String(20), default=OrderStatus.OPEN.value)
    total_cents: Mapped[int] = mapped_column(BigInteger)

    lines: Mapped[list[OrderLine]] = relationship(
        cascade="all, delete-orphan", lazy="raise", order_by="OrderLine.id"
    )


class OrderLine(BaseModel):
    """One product of an order."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "product_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), index=True)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id"), index=True)
    quantity: Mapped[int]
    unit_price_cents: Mapped[int] = mapped_column(BigInteger)
