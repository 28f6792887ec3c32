"""Routes to sign in and out, and to see and end one's sessions."""

# No `from __future__ import annotations`: the handlers' annotations name arguments of the factory.
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from tijolo.sessions.current import RequestSession, request_session
from tijolo.sessions.dependencies import CurrentRequestSession, CurrentSession, CurrentUserId
from tijolo.sessions.schemas import (
    RevokedSessionsSchema,
    SessionLoginSchema,
    SessionResponseSchema,
    SessionSummarySchema,
)
from tijolo.sessions.service import SessionAuth
from tijolo.sessions.session import Session
from tijolo.sessions.sign_in import Attempt

OfRequest = Annotated[RequestSession, Depends(request_session)]


def make_session_router(
    service: SessionAuth,
    *,
    session_factory: Callable[..., Any] | None = None,
    prefix: str = "/auth/session",
    tags: list[str] | None = None,
) -> APIRouter:
    """The routes; ``SessionMiddleware`` with the same ``service`` must be around them.

    ``POST /login``, ``POST /logout``, ``POST /logout/all``, ``POST /logout/others``,
    ``GET /me``, ``GET /list``, ``DELETE /{public_id}``.

    They refuse what another site's page sends, the login included, with or without
    ``CSRFMiddleware``, and where its ``exclude_paths`` have them.

    Args:
        service: Signs in and out.
        session_factory: A dependency with what the service's verifier works with, such as
            ``db.session_dependency``. Default: None.
        prefix: In front of them.
        tags: Default ``["sessions"]``.
    """
    router = APIRouter(
        prefix=prefix,
        tags=[*(tags or ["sessions"])],
        dependencies=[Depends(_refuse_cross_site)],
    )

    @router.post("/login")
    async def login(
        payload: SessionLoginSchema,
        current: OfRequest,
        database: Annotated[Any, Depends(session_factory or _no_database)],
    ) -> SessionResponseSchema:
        """Sign in; the answer sets the cookie."""
        return await _login(service, current, payload, database)

    routes = _SessionRoutes(service)
    router.post("/logout", status_code=204)(routes.logout)
    router.post("/logout/all")(routes.logout_all)
    router.post("/logout/others")(routes.logout_others)
    router.get("/me")(routes.me)
    router.get("/list")(routes.list_sessions)
    router.delete("/{public_id}", status_code=204)(routes.revoke)
    return router


async def _login(
    service: SessionAuth, current: RequestSession, payload: SessionLoginSchema, database: Any
) -> SessionResponseSchema:
    if current.auth is not service:
        raise RuntimeError("the SessionMiddleware around this router has another SessionAuth")
    attempt = Attempt(
        email=payload.email,
        password=payload.password.get_secret_value(),
        code=None if payload.code is None else payload.code.get_secret_value(),
        ip=current.ip,
        user_agent=current.user_agent,
    )
    user, amr = await service.authenticate_attempt(database, attempt)
    return _shown(await current.login(user, remember=payload.remember, amr=amr))


class _SessionRoutes:
    def __init__(self, service: SessionAuth) -> None:
        self._service = service

    async def logout(self, current: OfRequest) -> None:
        """Sign out here; nobody being signed in is fine too."""
        await current.logout()

    async def logout_all(self, current: CurrentRequestSession) -> RevokedSessionsSchema:
        """Sign out on every device."""
        return RevokedSessionsSchema(revoked=await current.logout_everywhere())

    async def logout_others(self, current: CurrentRequestSession) -> RevokedSessionsSchema:
        """Sign out on every device but this one."""
        return RevokedSessionsSchema(revoked=await current.logout_everywhere(keep_this=True))

    async def me(self, session: CurrentSession) -> SessionResponseSchema:
        """Who is signed in, and until when."""
        return _shown(session)

    async def list_sessions(
        self, user_id: CurrentUserId, session: CurrentSession
    ) -> list[SessionSummarySchema]:
        """One's devices, the last used first."""
        return await self._service.list_sessions(user_id, current=session)

    async def revoke(self, public_id: str, user_id: CurrentUserId, current: OfRequest) -> None:
        """End the session of one device."""
        here = current.record
        await self._service.revoke_by_public_id(user_id, public_id)
        if here is not None and here.public_id == public_id:
            current.forget()


def _shown(session: Session) -> SessionResponseSchema:
    return SessionResponseSchema.model_validate(session)


async def _refuse_cross_site(current: OfRequest) -> None:
    """No path of these is excluded on purpose: another site's page has no use for them."""
    current.refuse_cross_site(excluded_too=True)


async def _no_database() -> None:
    """What a verifier gets that needs no database."""
