"""Two routes for each provider: the way there, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from tijolo.auth.oauth.errors import OAuthError
from tijolo.auth.oauth.logins import OAuthLogin, OAuthLogins

__all__ = ["ErrorHandler", "LoginHandler", "make_oauth_router"]

LoginHandler = Callable[[Request, OAuthLogin], Awaitable[Response]]
"""Lets the user in: finds or makes the account, and answers with a session or a redirect."""

ErrorHandler = Callable[[Request, OAuthError], Awaitable[Response]]
"""Answers a login that failed, such as with a redirect to the login page."""

Provider = Annotated[str, Path(max_length=32)]
ReturnTo = Annotated[str, Query(max_length=1024)]


def make_oauth_router(
    logins: OAuthLogins,
    *,
    on_login: LoginHandler,
    on_error: ErrorHandler | None = None,
    prefix: str = "/oauth",
    tags: list[str] | None = None,
) -> APIRouter:
    """A router with ``GET {prefix}/{provider}/start`` and ``GET {prefix}/{provider}/callback``.

    The redirect URI of each client must be the address of its callback.

    Args:
        logins: The providers.
        on_login: Lets in who came back. Where it raises, the login counts as used.
        on_error: Answers an ``OAuthError``, of ``on_login`` too; by default it is raised.
        prefix: Before both routes.
        tags: For OpenAPI.
    """
    router = APIRouter(prefix=prefix, tags=list(tags or ["auth"]))

    @router.get(
        "/{provider}/start",
        name="oauth_start",
        status_code=303,
        response_class=Response,
        summary="Go to the provider and log in there",
    )
    async def start(request: Request, provider: Provider, return_to: ReturnTo = "/") -> Response:
        response = Response(status_code=303)
        try:
            url = await logins.begin(request, response, provider, return_to=return_to)
        except OAuthError as error:
            return await _failed(request, error, on_error)
        response.headers["Location"] = url
        return response

    @router.get(
        "/{provider}/callback",
        name="oauth_callback",
        response_class=Response,
        include_in_schema=False,
    )
    async def callback(request: Request, provider: Provider) -> Response:
        try:
            login = await logins.finish(request, provider)
            response = await on_login(request, login)
        except OAuthError as error:
            response = await _failed(request, error, on_error)
        logins.forget(request, response)
        return response

    return router


async def _failed(request: Request, error: OAuthError, on_error: ErrorHandler | None) -> Response:
    if on_error is None:
        raise error
    return await on_error(request, error)
