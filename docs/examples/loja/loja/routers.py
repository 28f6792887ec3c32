"""The shop over HTTP: parse, call the service, answer."""

# No `from __future__ import annotations` here: FastAPI could not see the factories' local names.
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from loja.models import Customer, Product
from loja.repositories import CustomerRepository, OrderRepository, ProductRepository
from loja.schemas import (
    CustomerCreate,
    CustomerFilter,
    CustomerResponse,
    CustomerUpdate,
    OrderCreate,
    OrderFilter,
    OrderResponse,
    ProductCreate,
    ProductFilter,
    ProductResponse,
    ProductUpdate,
)
from loja.services import OrderService, ProductService
from tijolo.core import BasePaginationSchema, CursorPaginationSchema
from tijolo.db import AsyncDatabaseManager


def make_customers_router(db: AsyncDatabaseManager) -> APIRouter:
    """Customers: create, read, list by page, change, remove."""
    Session = Annotated[AsyncSession, Depends(db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/customers", tags=["customers"])

    @router.post("", status_code=201, response_model=CustomerResponse)
    async def create_customer(data: CustomerCreate, session: Session) -> Customer:
        return await CustomerRepository(session).add(Customer(**data.model_dump()))

    @router.get("", response_model=BasePaginationSchema[CustomerResponse])
    async def list_customers(
        wanted: Annotated[CustomerFilter, Query()], session: Reading
    ) -> object:
        return await CustomerRepository(session).paginate(
            wanted.get_conditions(),
            order_by=wanted.order_by,
            page=wanted.page,
            page_size=wanted.page_size,
            ascending=wanted.ascending,
        )

    @router.get("/{customer_id}", response_model=CustomerResponse)
    async def get_customer(customer_id: UUID, session: Reading) -> Customer:
        return await CustomerRepository(session).get_by_id(customer_id)

    @router.patch("/{customer_id}", response_model=CustomerResponse)
    async def change_customer(
        customer_id: UUID, data: CustomerUpdate, session: Session
    ) -> Customer:
        customers = CustomerRepository(session)
        customer = await customers.get_by_id(customer_id)
        customer.update_from_dict(data.model_dump(exclude_unset=True))
        return await customers.update(customer)

    @router.delete("/{customer_id}", status_code=204)
    async def remove_customer(customer_id: UUID, session: Session) -> None:
        await CustomerRepository(session).delete(customer_id)

    return router


def make_products_router(db: AsyncDatabaseManager) -> APIRouter:
    """Products: create, read, list by page, change on the version that was read."""
    Session = Annotated[AsyncSession, Depends(db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/products", tags=["products"])

    @router.post("", status_code=201, response_model=ProductResponse)
    async def create_product(data: ProductCreate, session: Session) -> Product:
        return await ProductRepository(session).add(Product(**data.model_dump()))

    @router.get("", response_model=BasePaginationSchema[ProductResponse])
    async def list_products(wanted: Annotated[ProductFilter, Query()], session: Reading) -> object:
        return await ProductRepository(session).paginate(
            wanted.get_conditions(),
            order_by=wanted.order_by,
            page=wanted.page,
            page_size=wanted.page_size,
            ascending=wanted.ascending,
        )

    @router.get("/{product_id}", response_model=ProductResponse)
    async def get_product(product_id: UUID, session: Reading) -> Product:
        return await ProductRepository(session).get_by_id(product_id)

    @router.patch("/{product_id}", response_model=ProductResponse)
    async def change_product(product_id: UUID, data: ProductUpdate, session: Session) -> Product:
        return await ProductService(session).change(product_id, data)

    return router


def make_orders_router(db: AsyncDatabaseManager) -> APIRouter:
    """Orders: place, read, walk by cursor, cancel."""
    Session = Annotated[AsyncSession, Depends(db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.post("", status_code=201, response_model=OrderResponse)
    async def place_order(data: OrderCreate, session: Session) -> object:
        return await OrderService(session).place(data)

    @router.get("", response_model=CursorPaginationSchema[OrderResponse])
    async def list_orders(wanted: Annotated[OrderFilter, Query()], session: Reading) -> object:
        return await OrderRepository(session).cursor_paginate(
            wanted.get_conditions(),
            cursor=wanted.cursor,
            limit=wanted.limit,
            order_by=wanted.order_by,
            ascending=wanted.ascending,
            load=["lines"],
        )

    @router.get("/{order_id}", response_model=OrderResponse)
    async def get_order(order_id: UUID, session: Reading) -> object:
        return await OrderRepository(session).get_by_id(order_id, load=["lines"])

    @router.post("/{order_id}/cancel", response_model=OrderResponse)
    async def cancel_order(order_id: UUID, session: Session) -> object:
        return await OrderService(session).cancel(order_id)

    return router
