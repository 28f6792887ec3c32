"""What the shop receives and answers."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from tijolo.auth.users import UserStatus
from tijolo.br_validators.pydantic import CEP, CPFOrCNPJ, PhoneBR
from tijolo.core import (
    BaseDTO,
    BasePaginationFilterSchema,
    BaseResponseSchema,
    CursorPaginationFilterSchema,
)

Name = Annotated[str, Field(min_length=1, max_length=120)]
Cents = Annotated[int, Field(ge=0, le=10**12, description="Money in whole cents")]
Quantity = Annotated[int, Field(ge=1, le=10_000)]


class CustomerCreate(BaseDTO):
    """A new customer; the document may be a CPF or a CNPJ, masked or not."""

    name: Name
    document: CPFOrCNPJ
    phone: PhoneBR | None = None
    cep: CEP | None = None


class CustomerUpdate(BaseDTO):
    """What may change of a customer; the document may not."""

    name: Name | None = None
    phone: PhoneBR | None = None
    cep: CEP | None = None


class CustomerResponse(BaseResponseSchema):
    """A customer, with the document in canonical form."""

    name: str
    document: str
    phone: str | None
    cep: str | None


class CustomerFilter(BasePaginationFilterSchema):
    """Query parameters of the list of customers."""

    document: CPFOrCNPJ | None = None
    search: str | None = Field(default=None, max_length=120, description="Part of the name")

    def get_conditions(self) -> dict[str, Any]:
        """The filters of the repository: `search` looks into the name."""
        conditions = super().get_conditions()
        if "search" in conditions:
            conditions["name__icontains"] = conditions.pop("search")
        return conditions


class ProductCreate(BaseDTO):
    """A new product."""

    sku: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{0,39}$")]
    name: Name
    price_cents: Cents
    stock: Annotated[int, Field(ge=0, le=10**6)] = 0


class ProductUpdate(BaseDTO):
    """A change to a product, made on the `version` that was read."""

    version: int
    name: Name | None = None
    price_cents: Cents | None = None
    stock: Annotated[int, Field(ge=0, le=10**6)] | None = None


class ProductFilter(BasePaginationFilterSchema):
    """Query parameters of the list of products."""

    sku: str | None = Field(default=None, max_length=40)
    price_cents__gte: Annotated[int | None, Field(ge=0)] = None
    price_cents__lte: Annotated[int | None, Field(ge=0)] = None


class ProductResponse(BaseResponseSchema):
    """A product; send its `version` back when changing it."""

    sku: str
    name: str
    price_cents: int
    stock: int
    version: int


class OrderLineCreate(BaseDTO):
    """How many of what."""

    product_id: UUID
    quantity: Quantity


class OrderCreate(BaseDTO):
    """A new order."""

    customer_id: UUID
    lines: Annotated[list[OrderLineCreate], Field(min_length=1, max_length=100)]


class OwnOrderCreate(BaseDTO):
    """A new order of whoever is logged in."""

    lines: Annotated[list[OrderLineCreate], Field(min_length=1, max_length=100)]

    def by(self, customer_id: UUID) -> OrderCreate:
        """The order, in the name of that customer."""
        return OrderCreate(customer_id=customer_id, lines=self.lines)


class OwnOrderFilter(CursorPaginationFilterSchema):
    """Query parameters of the list of one's own orders."""


class OrderLineResponse(BaseResponseSchema):
    """A line of an order, at the price of the day it was placed."""

    product_id: UUID
    quantity: int
    unit_price_cents: int


class OrderResponse(BaseResponseSchema):
    """An order with its lines."""

    customer_id: UUID
    status: str
    total_cents: int
    lines: list[OrderLineResponse]


class OrderFilter(CursorPaginationFilterSchema):
    """Query parameters of the list of orders."""

    customer_id: UUID | None = None
    status: str | None = Field(default=None, max_length=20)


class AccountResponse(BaseResponseSchema):
    """An account, as administrators see it."""

    email: str
    name: str | None
    status: UserStatus
    is_admin: bool
    roles: Annotated[list[str], BeforeValidator(sorted)] = Field(validation_alias="role_names")
