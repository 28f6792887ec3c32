"""Routes where owners manage their API keys, and where anybody reports one that leaked."""

# No `from __future__ import annotations`: the routes' annotations are local names.
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response

# house: allow library, the extra is called users: keys belong to them
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.api_keys.schemas import (
    ApiKeyCreateSchema,
    ApiKeyRotateSchema,
    ApiKeySchema,
    LeakedTokenSchema,
    NewApiKeySchema,
)
from tijolo.auth.api_keys.service import MAX_REPORTED, ApiKeyService, NewApiKey
from tijolo.auth.auth_deps import AuthDeps
from tijolo.auth.dependencies import make_bearer_token_dependency
from tijolo.auth.users._caller import (
    Caller,
    CallerDependency,
    check_session_factory,
    make_caller_dependency,
)
from tijolo.auth.users.no_store import NoStoreRoute


def make_api_keys_router(
    service: ApiKeyService,
    *,
    auth: AuthDeps,
    session_factory: Callable[..., Any],
    prefix: str = "/api-keys",
    tags: list[str] | None = None,
    recent_auth_seconds: int = 300,
) -> APIRouter:
    """The routes of a user's own API keys: list, create, rotate, revoke.

    What makes a key asks for a recent login (RFC 9470); nothing here takes an API key, so that one
    that leaked makes no others.

    Args:
        service: Does it.
        auth: Who is logged in, by access token.
        session_factory: The dependency that gives the unit of work: ``db.session_dependency``.
        prefix: Of every path.
        tags: For OpenAPI; default ``["api keys"]``.
        recent_auth_seconds: How long ago the login may be that makes a key.
    """
    dependency = partial(
        make_caller_dependency, session_factory=session_factory, user_model=service.user_model
    )
    anybody = dependency(make_bearer_token_dependency(auth.authenticator, cookie=auth.cookie))
    fresh = dependency(auth.require_recent_auth(max_age_seconds=recent_auth_seconds))
    router = APIRouter(prefix=prefix, tags=list(tags or ["api keys"]), route_class=NoStoreRoute)

    _add_own_keys(router, service, anybody)
    _add_making(router, service, fresh)
    return router


def _add_own_keys(router: APIRouter, service: ApiKeyService, anybody: CallerDependency) -> None:
    @router.get("")
    async def list_api_keys(me: Annotated[Caller, Depends(anybody)]) -> list[ApiKeySchema]:
        keys = await service.list(me.session, me.user)
        return [ApiKeySchema.model_validate(key) for key in keys]

    @router.delete("/{key_id}", status_code=204)
    async def revoke_api_key(key_id: UUID, me: Annotated[Caller, Depends(anybody)]) -> None:
        await service.revoke(me.session, me.user, key_id)


def _add_making(router: APIRouter, service: ApiKeyService, fresh: CallerDependency) -> None:
    @router.post("", status_code=201)
    async def create_api_key(
        body: ApiKeyCreateSchema, me: Annotated[Caller, Depends(fresh)]
    ) -> NewApiKeySchema:
        days = body.expires_in_days
        made = await service.create(
            me.session,
            me.user,
            name=body.name,
            scopes=body.scopes,
            lifetime=None if days is None else timedelta(days=days),
            networks=body.networks,
        )
        return _shown_once(made)

    @router.post("/{key_id}/rotate", status_code=201)
    async def rotate_api_key(
        key_id: UUID, body: ApiKeyRotateSchema, me: Annotated[Caller, Depends(fresh)]
    ) -> NewApiKeySchema:
        overlap = body.overlap_seconds
        made = await service.rotate(me.session, me.user, key_id, overlap_seconds=overlap)
        return _shown_once(made)


def make_leak_report_router(
    service: ApiKeyService,
    *,
    session_factory: Callable[..., Any],
    path: str = "/api-keys/report-leak",
    tags: list[str] | None = None,
) -> APIRouter:
    """The route where anybody who found a key ends it: who has a key may do that.

    It takes what secret scanners send, a list of ``{"token": ...}``, 100 at most, and always
    answers 202 with an empty body, so that it tells nobody which keys are good. Put a rate limit
    in front of it.

    Args:
        service: Revokes.
        session_factory: The dependency that gives the unit of work: ``db.session_dependency``.
        path: Of the route.
        tags: For OpenAPI; default ``["api keys"]``.
    """
    check_session_factory(session_factory)
    router = APIRouter(tags=list(tags or ["api keys"]))

    @router.post(path, status_code=202, response_class=Response)
    async def report_leaked_api_keys(
        found: Annotated[list[LeakedTokenSchema], Body(min_length=1, max_length=MAX_REPORTED)],
        session: Annotated[AsyncSession, Depends(session_factory)],
    ) -> Response:
        await service.report_leak(session, [each.token.get_secret_value() for each in found])
        return Response(status_code=202)

    return router


def _shown_once(made: NewApiKey) -> NewApiKeySchema:
    record = ApiKeySchema.model_validate(made.record)
    return NewApiKeySchema(**record.model_dump(), key=made.key)
