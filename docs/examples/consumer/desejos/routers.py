"""Who may do what with which list."""

# No `from __future__ import annotations`: the routes' annotations are local names.

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from desejos.wishes import Wishes
from tijolo.auth import AuthDeps
from tijolo.core import BaseSchema

ProductName = Annotated[str, Field(min_length=1, max_length=80)]


class WishIn(BaseSchema):
    """Something to wish for."""

    product: ProductName


def make_wishes_router(auth: AuthDeps, wishes: Wishes) -> APIRouter:
    """Everybody's own list, and the broom of those who keep order."""
    router = APIRouter(prefix="/wishes", tags=["wishes"])

    @router.get("")
    async def read(user: auth.CurrentUser) -> list[str]:
        return wishes.of(user.subject)

    @router.post("", status_code=201)
    async def add(user: auth.CurrentUser, wish: WishIn) -> list[str]:
        return wishes.add(user.subject, wish.product)

    @router.delete("/{customer}", status_code=204)
    async def forget(
        customer: str, admin: Annotated[object, Depends(auth.get_current_active_admin)]
    ) -> None:
        wishes.forget(customer)

    return router


def make_me_router(auth: AuthDeps) -> APIRouter:
    """What the token says about its bearer; nothing for strangers."""
    router = APIRouter(tags=["me"])

    @router.get("/me")
    async def me(user: auth.OptionalUser) -> dict[str, object]:
        if user is None:
            return {"subject": None}
        return {"subject": user.subject, "email": user.email, "roles": sorted(user.roles)}

    return router
