"""What an issuer answers about its tokens: introspection (RFC 7662) and revocation (RFC 7009)."""

# No `from __future__ import annotations`: the routes' annotations are local names.
import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from tijolo.auth.authenticator import Authenticator
from tijolo.auth.forms import InvalidFormException, read_form
from tijolo.auth.principal import Principal
from tijolo.auth.revocation import RevocationStore, RevocationUnavailableException
from tijolo.auth.token_verifier import TokenVerifier
from tijolo.core import (
    AppException,
    BadRequestException,
    UnauthorizedException,
)

_NO_STORE = {"Cache-Control": "no-store"}
_SHOWN = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "sid")
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "properties": {
                        "token": {"type": "string"},
                        "token_type_hint": {"type": "string"},
                    },
                }
            }
        },
    }
}

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "No form with one token."},
    401: {"description": "Who asks has not shown who they are."},
    413: {"description": "The form is larger than any token."},
    503: {"description": "Whether the token is good cannot be told now."},
}
_INTROSPECTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`active`, and where it is true what the token says.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["active"],
                    "properties": {"active": {"type": "boolean"}},
                }
            }
        },
    },
    **_REFUSED,
}
_REVOKED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The token is not good any more, or never was."},
    **_REFUSED,
}


def make_introspection_router(
    tokens: Authenticator,
    *,
    access: Callable[..., Any],
    path: str = "/introspect",
    tags: list[str] | None = None,
) -> APIRouter:
    """A router where services ask whether a token is good now.

    A token that is not, for whatever reason, is answered ``{"active": false}`` and nothing more.

    Args:
        tokens: What verifies, and knows what was revoked.
        access: The dependency that the asking service must pass (RFC 7662, section 2.1), such
            as ``make_token_dependency`` with ``PRIVATE_API_SECRET`` and ``X-Internal-Token``.
        path: Where.
        tags: For OpenAPI.
    """
    router = APIRouter(tags=list(tags or ["auth"]), dependencies=[Depends(access)])

    @router.post(
        path,
        name="introspect",
        summary="Whether a token is good",
        responses=_INTROSPECTED,
        openapi_extra=_FORM,
    )
    async def introspect(request: Request) -> Response:
        token = await _token_of(request)
        try:
            answer = _description(await tokens.authenticate(token))
        except UnauthorizedException:
            answer = {"active": False}
        # in ASCII: a claim may hold what UTF-8 cannot, half a pair of surrogates
        return Response(json.dumps(answer), media_type="application/json", headers=_NO_STORE)

    return router


def make_revocation_router(
    verifier: TokenVerifier,
    store: RevocationStore,
    *,
    access: Callable[..., Any],
    revoke_other: Callable[[str], Awaitable[None]] | None = None,
    path: str = "/revoke",
    tags: list[str] | None = None,
) -> APIRouter:
    """A router where a token is ended; one that is unknown is a 200 as well (RFC 7009).

    Args:
        verifier: Says whose token it is: nobody revokes what they cannot show.
        store: Keeps the revocation until the token would have expired.
        access: The dependency that the asking client must pass (RFC 7009, section 2.1).
        revoke_other: Gets what is no access token, such as a refresh token.
        path: Where.
        tags: For OpenAPI.
    """
    router = APIRouter(tags=list(tags or ["auth"]), dependencies=[Depends(access)])

    @router.post(
        path,
        name="revoke",
        summary="End a token",
        response_class=Response,
        responses=_REVOKED,
        openapi_extra=_FORM,
    )
    async def revoke(request: Request) -> Response:
        token = await _token_of(request)
        try:
            principal = await verifier.verify_with_refresh(token)
        except UnauthorizedException:
            if revoke_other is not None:
                await revoke_other(token)
        else:
            await _end(store, principal, verifier.leeway_seconds)
        return Response(headers=_NO_STORE)

    return router


async def _end(store: RevocationStore, principal: Principal, leeway_seconds: float) -> None:
    """Revoke the token of ``principal``.

    Raises:
        BadRequestException: It has no id by which it could be (RFC 7009, section 2.2.1).
        ServiceUnavailableException: The store does not answer.
    """
    if not principal.token_id:
        code = "UNSUPPORTED_TOKEN_TYPE"
        raise BadRequestException("A token without jti cannot be revoked", code=code)
    try:
        until = principal.expires_at + leeway_seconds
        await store.revoke_token(principal.token_id, expires_at=until)
    except AppException:
        raise
    except Exception as error:
        message = "The token cannot be revoked now; try again"
        raise RevocationUnavailableException(message, retry_after_seconds=1) from error


def _description(principal: Principal) -> dict[str, Any]:
    claims = principal.claims
    shown = {name: claims[name] for name in _SHOWN if name in claims}
    return {"active": True, "token_type": "Bearer", **shown}


async def _token_of(request: Request) -> str:
    """The ``token`` of the form (RFC 6749, section 5.2).

    Raises:
        InvalidFormException: There is none, or several.
        FileTooLargeException: The form is larger than any token.
    """
    found = (await read_form(request)).get("token", [])
    if len(found) != 1 or not found[0]:
        raise InvalidFormException("Send a form with one token")
    return found[0]
