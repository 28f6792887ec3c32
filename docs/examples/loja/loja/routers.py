"""The shop over HTTP: parse, call the service, answer."""

# No `from __future__ import annotations` here: FastAPI could not see the factories' local names.
from collections.abc import Sequence
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
from loja.shop import CATALOG, Shop
from tijolo.cache.fastapi import cached_response
from tijolo.core import BasePaginationSchema, CursorPaginationSchema
from tijolo.db.viewsets import ViewSet
from tijolo.web import cors, no_cors
from tijolo.web.tool_spec import LLM_TOOL


class CustomerViews(ViewSet[Customer]):
    """Customers: create, read, list by page, change, remove."""

    model = Customer
    response_schema = CustomerResponse
    create_schema = CustomerCreate
    update_schema = CustomerUpdate
    filter_schema = CustomerFilter
    repository_class = CustomerRepository


def make_products_router(shop: Shop, origins: Sequence[str]) -> APIRouter:
    """Products: create, read, list by page, change on the version that was read.

    The lists are the same for everybody and are kept; a change makes them be read again. Pages of
    ``origins`` may show them, and write nothing.
    """
    shown = cors(allow_origins=origins) if origins else no_cors
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/products", tags=["products"])

    @router.post("", status_code=201, response_model=ProductResponse)
    async def create_product(data: ProductCreate, session: Session) -> Product:
        return await ProductService(shop, session).create(data)

    @router.get(
        "", response_model=BasePaginationSchema[ProductResponse], openapi_extra=dict(LLM_TOOL)
    )
    @shown
    @cached_response(shop.cache, ttl=60, public=True, tags=[CATALOG], ignore=["session"])
    async def list_products(wanted: Annotated[ProductFilter, Query()], session: Reading) -> object:
        """What the shop sells, page by page."""
        return await ProductRepository(session).paginate(
            wanted.get_conditions(),
            order_by=wanted.order_by,
            page=wanted.page,
            page_size=wanted.page_size,
            ascending=wanted.ascending,
        )

    @router.get("/{product_id}", response_model=ProductResponse, openapi_extra=dict(LLM_TOOL))
    @shown
    @cached_response(shop.cache, ttl=60, public=True, tags=[CATALOG], ignore=["session"])
    async def get_product(product_id: UUID, session: Reading) -> Product:
        """One product, its price in cents and how many are left."""
        return await ProductRepository(session).get_by_id(product_id)

    @router.patch("/{product_id}", response_model=ProductResponse)
    async def change_product(product_id: UUID, data: ProductUpdate, session: Session) -> Product:
        return await ProductService(shop, session).change(product_id, data)

    return router


def make_orders_router(shop: Shop) -> APIRouter:
    """Orders: place, read, walk by cursor, cancel."""
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.post("", status_code=201, response_model=OrderResponse)
    async def place_order(data: OrderCreate, session: Session) -> object:
        return await OrderService(shop, session).place(data)

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
        return await OrderService(shop, session).cancel(order_id)

    return router
