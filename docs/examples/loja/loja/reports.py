"""What the shop sold, and what it runs out of: endpoints as methods of a class."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from loja.repositories import OrderRepository, ProductRepository
from loja.settings import Settings
from loja.shop import Shop
from tijolo.web import CachePolicy, ConditionalRoute
from tijolo.web.controllers import Controller, get, make_controller_router


class Sales(BaseModel):
    """The orders of one status."""

    status: str
    orders: int
    total_cents: int


class Scarce(BaseModel):
    """A product of which few are left."""

    sku: str
    name: str
    stock: int


def shop_of(request: Request) -> Shop:
    """The shop that the application serves."""
    shop: Shop = request.app.state.shop
    return shop


class Reports(Controller):
    """Read by browsers each time, and sent again only when something changed."""

    prefix = "/reports"
    tags = ("reports",)

    def __init__(self, shop: Annotated[Shop, Depends(shop_of)]) -> None:
        self.db = shop.db

    @get("/sales")
    async def sales(self) -> list[Sales]:
        """Orders and what they came to, by status."""
        async with self.db.read_only() as session:
            found = await OrderRepository(session).totals()
        return [Sales(status=status, orders=n, total_cents=total) for status, n, total in found]

    @get("/scarce")
    @CachePolicy(max_age_seconds=30)
    async def scarce(self, below: Annotated[int, Query(ge=1, le=10**6)] = 5) -> list[Scarce]:
        """Products of which fewer than `below` are left, the scarcest hundred."""
        async with self.db.read_only() as session:
            found = await ProductRepository(session).scarce(below)
        return [Scarce(sku=one.sku, name=one.name, stock=one.stock) for one in found]


def make_reports_router(settings: Settings) -> APIRouter:
    """The routes of `Reports`."""
    return make_controller_router(Reports, environment=settings, route_class=ConditionalRoute)
