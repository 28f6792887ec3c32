"""A page for who fills the shelf: HTML from templates, and a form that only this page can send."""

# No `from __future__ import annotations` here: FastAPI could not see the factory's local names.
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from loja.repositories import ProductRepository
from loja.schemas import Quantity
from loja.services import ProductService
from loja.shop import Shop, reais
from tijolo.web.templates import Templates

PAGES = Path(__file__).parent / "pages"
MOST_PRODUCTS = 200


class Received(BaseModel):
    """The form of one product."""

    quantity: Quantity


def make_templates() -> Templates:
    """The shop's pages, and the one that shows an error."""
    return Templates(PAGES, filters={"reais": reais})


def make_shelf_router(shop: Shop, templates: Templates) -> APIRouter:
    """`GET /shelf` shows what there is, `POST /shelf/{product_id}` adds what was received.

    The form carries a CSRF token; a browser that says where a request comes from does without.
    """
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    Reading = Annotated[AsyncSession, Depends(shop.db.read_session_dependency)]  # noqa: N806
    router = APIRouter(prefix="/shelf", include_in_schema=False)

    @router.get("", name="shelf")
    async def show(request: Request, session: Reading) -> HTMLResponse:
        products = await ProductRepository(session).list(order_by="name", limit=MOST_PRODUCTS)
        return await templates.response(request, "shelf.html", {"products": products})

    @router.post("/{product_id}", name="receive")
    async def receive(
        product_id: UUID, received: Annotated[Received, Form()], session: Session
    ) -> RedirectResponse:
        await ProductService(shop, session).receive(product_id, received.quantity)
        # relative, so that it is right below a proxy's prefix as well
        return RedirectResponse("../shelf", status_code=303)

    return router
