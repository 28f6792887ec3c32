"""Log-ins of browsers: a page to enter, and one of the devices where one is logged in."""

# No `from __future__ import annotations` here: FastAPI could not see the factory's local names.
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from loja.accounts import Accounts
from loja.clients import RedisClients
from loja.entrance import OwnPage, PageRoute
from loja.models import User
from loja.settings import Settings
from loja.shop import Shop
from tijolo.core import UnauthorizedException
from tijolo.db import AsyncDatabaseManager
from tijolo.sessions import (
    Attempt,
    CurrentRequestSession,
    CurrentSession,
    CurrentUserId,
    MemorySessionStore,
    RequestSession,
    SessionAuth,
    SessionStore,
    request_session,
)
from tijolo.sessions.redis import RedisSessionStore
from tijolo.sessions.users import UserEpochCheck
from tijolo.web.templates import Templates


class Entering(BaseModel):
    """The form of the page to enter."""

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    remember: bool = False
    next: OwnPage = ""


def make_sessions(
    settings: Settings, db: AsyncDatabaseManager, accounts: Accounts, clients: RedisClients
) -> SessionAuth:
    """Sessions of the accounts: a new password, or logging out everywhere, ends them too."""
    return SessionAuth(
        store=_store(settings, clients),
        settings=settings,
        verifier=accounts.service,
        user_check=UserEpochCheck(db, User),
    )


def make_browser_router(shop: Shop, sessions: SessionAuth, templates: Templates) -> APIRouter:
    """`/enter`, `/leave`, `/devices`."""
    Session = Annotated[AsyncSession, Depends(shop.db.session_dependency)]  # noqa: N806
    Current = Annotated[RequestSession, Depends(request_session)]  # noqa: N806
    router = APIRouter(include_in_schema=False, route_class=PageRoute)

    @router.get("/enter", name="enter")
    async def enter(request: Request, next: OwnPage = "") -> HTMLResponse:  # noqa: A002 - its name
        return await templates.response(request, "enter.html", {"refused": None, "next": next})

    @router.post("/enter")
    async def entered(
        request: Request, form: Annotated[Entering, Form()], current: Current, session: Session
    ) -> Response:
        attempt = Attempt(
            email=form.email,
            password=form.password.get_secret_value(),
            ip=current.ip,
            user_agent=current.user_agent,
        )
        try:
            user, amr = await sessions.authenticate_attempt(session, attempt)
        except UnauthorizedException as error:
            shown = {"refused": error.message, "next": form.next}
            return await templates.response(request, "enter.html", shown, status_code=401)
        await current.login(user, remember=form.remember, amr=amr)
        return RedirectResponse(form.next or "devices", status_code=303)

    @router.post("/leave", name="leave")
    async def leave(current: Current) -> RedirectResponse:
        await current.logout()
        return RedirectResponse("enter", status_code=303)

    @router.get("/devices", name="devices")
    async def devices(
        request: Request, user_id: CurrentUserId, session: CurrentSession
    ) -> HTMLResponse:
        listed = await sessions.list_sessions(user_id, current=session)
        return await templates.response(request, "devices.html", {"devices": listed})

    @router.post("/devices/{public_id}", name="not_me")
    async def not_me(
        public_id: str, user_id: CurrentUserId, current: CurrentRequestSession
    ) -> RedirectResponse:
        here = current.record
        await sessions.revoke_by_public_id(user_id, public_id)
        if here is not None and here.public_id == public_id:
            current.forget()
        return RedirectResponse("../devices", status_code=303)

    return router


def _store(settings: Settings, clients: RedisClients) -> SessionStore:
    if settings.SESSION_REDIS_URL is None:
        return MemorySessionStore()
    return RedisSessionStore(clients.open(settings.SESSION_REDIS_URL))
