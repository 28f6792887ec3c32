"""What users do for themselves: their customer record and their orders; and who they are."""

# No `from __future__ import annotations` here: FastAPI could not see the factories' local names.
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from loja.accounts import Accounts
from loja.models import Customer, User
from loja.repositories import CustomerRepository, OrderRepository
from loja.schemas import (
    AccountResponse,
    CustomerCreate,
    CustomerResponse,
    OrderResponse,
    OwnOrderCreate,
    OwnOrderFilter,
)
from loja.services import OrderService
from loja.shop import Shop
from tijolo.auth import Principal
from tijolo.core import CursorPaginationSchema
from tijolo.db import BaseRepository

MOST_ACCOUNTS = 100


def make_own_router(shop: Shop, accounts: Accounts) -> APIRouter:
    """`/own/customer` and `/own/orders`, for who is logged in; nobody sees those of others."""
    CurrentUser = accounts.auth.CurrentUser  # noqa: N806
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/own", tags=["own"])

    @router.put("/customer", response_model=CustomerResponse)
    async def keep_customer(data: CustomerCreate, user: CurrentUser, session: Session) -> Customer:
        return await CustomerRepository(session).keep_for(_id(user), data.model_dump())

    @router.get("/customer", response_model=CustomerResponse)
    async def read_customer(user: CurrentUser, session: Reading) -> Customer:
        return await CustomerRepository(session).of_user(_id(user))

    @router.post("/orders", status_code=201, response_model=OrderResponse)
    async def place_order(data: OwnOrderCreate, user: CurrentUser, session: Session) -> object:
        customer = await CustomerRepository(session).of_user(_id(user))
        return await OrderService(shop, session).place(data.by(customer.id))

    @router.get("/orders", response_model=CursorPaginationSchema[OrderResponse])
    async def list_orders(
        wanted: Annotated[OwnOrderFilter, Query()], user: CurrentUser, session: Reading
    ) -> object:
        customer = await CustomerRepository(session).of_user(_id(user))
        return await OrderRepository(session).cursor_paginate(
            {"customer_id": customer.id}, cursor=wanted.cursor, limit=wanted.limit, load=["lines"]
        )

    return router


def make_people_router(shop: Shop, accounts: Accounts) -> APIRouter:
    """`GET /people`: the newest accounts, for administrators."""
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(tags=["people"])
    admin = Depends(accounts.auth.get_current_active_admin)

    @router.get("/people", response_model=list[AccountResponse], dependencies=[admin])
    async def people(session: Reading) -> Any:
        return await BaseRepository(session, model=User).list(
            order_by="created_at", limit=MOST_ACCOUNTS, ascending=False
        )

    return router


def _id(user: Principal) -> UUID:
    return UUID(user.subject)
