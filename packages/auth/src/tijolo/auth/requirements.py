"""Who may call a route: those with a role, a permission, a scope, or a recent login."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi.security import HTTPBearer

from tijolo.auth.authenticator import Authenticator
from tijolo.auth.challenges import (
    InsufficientAuthenticationException,
    InsufficientPermissionException,
    InsufficientRoleException,
    InsufficientScopeException,
)
from tijolo.auth.cookie_tokens import CookieTransport
from tijolo.auth.dependencies import UNAUTHORIZED_MESSAGE, AccessDependency, claimed
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.principal import Principal
from tijolo.auth.roles import RoleHierarchy
from tijolo.core import ForbiddenException


def make_role_dependency(
    tokens: Authenticator | JWTUtils,
    required_roles: Iterable[str],
    *,
    roles_claim: str = "roles",
    require_all: bool = False,
    hierarchy: RoleHierarchy | None = None,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    unauthorized_message: str = UNAUTHORIZED_MESSAGE,
    forbidden_message: str = InsufficientRoleException.message,
) -> Callable[..., Awaitable[Principal]]:
    """A dependency that lets those pass who hold one of the roles, or all of them.

    Args:
        tokens: What verifies.
        required_roles: At least one.
        roles_claim: The claim that lists the roles.
        require_all: All of them instead of one.
        hierarchy: Higher roles then stand for the lower ones, such as ``ROLE_HIERARCHY``.
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        unauthorized_message: Of the 401.
        forbidden_message: Of the 403.

    Raises:
        ValueError: for no role, or one that is not in the hierarchy.
    """
    return _holding(
        tokens,
        _required("required_roles", required_roles),
        hierarchy=hierarchy,
        held=lambda principal: _claim(principal, roles_claim),
        require_all=require_all,
        refusal=lambda: InsufficientRoleException(forbidden_message),
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=unauthorized_message,
    )


def make_permission_dependency(
    tokens: Authenticator | JWTUtils,
    required_permissions: Iterable[str],
    *,
    permissions_claim: str = "permissions",
    require_all: bool = True,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    unauthorized_message: str = UNAUTHORIZED_MESSAGE,
    forbidden_message: str = InsufficientPermissionException.message,
) -> Callable[..., Awaitable[Principal]]:
    """A dependency that lets those pass who have all of the permissions, or one of them.

    Args:
        tokens: What verifies.
        required_permissions: At least one.
        permissions_claim: The claim that lists the permissions.
        require_all: False: one is enough.
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        unauthorized_message: Of the 401.
        forbidden_message: Of the 403.

    Raises:
        ValueError: for no permission.
    """
    return _holding(
        tokens,
        _required("required_permissions", required_permissions),
        held=lambda principal: _claim(principal, permissions_claim),
        require_all=require_all,
        refusal=lambda: InsufficientPermissionException(forbidden_message),
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=unauthorized_message,
    )


def make_scope_dependency(
    tokens: Authenticator | JWTUtils,
    required_scopes: Iterable[str],
    *,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    unauthorized_message: str = UNAUTHORIZED_MESSAGE,
) -> Callable[..., Awaitable[Principal]]:
    """A dependency that lets a client pass whose token has all of the scopes.

    Args:
        tokens: What verifies.
        required_scopes: At least one; the 403 names them (RFC 6750, section 3.1).
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        unauthorized_message: Of the 401.

    Raises:
        ValueError: for no scope.
    """
    names = _required("required_scopes", required_scopes)
    return _holding(
        tokens,
        names,
        held=lambda principal: principal.scopes,
        require_all=True,
        refusal=lambda: InsufficientScopeException(names),
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=unauthorized_message,
    )


def make_recent_auth_dependency(
    tokens: Authenticator | JWTUtils,
    *,
    max_age_seconds: int | None = None,
    acr_values: Iterable[str] = (),
    amr: Iterable[str] = (),
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    unauthorized_message: str = UNAUTHORIZED_MESSAGE,
    clock: Callable[[], float] = time.time,
) -> Callable[..., Awaitable[Principal]]:
    """A dependency that asks for a recent or strong login before something delicate.

    The 401 says what would do (RFC 9470): the client sends the user to log in again.

    Args:
        tokens: What verifies.
        max_age_seconds: How long ago the login may be.
        acr_values: Levels, one of which is enough.
        amr: Methods, one of which is enough, such as ``{"otp", "hwk"}``.
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        unauthorized_message: Of the 401 without a good token.
        clock: Seconds since the epoch.

    Raises:
        ValueError: when nothing is asked for, or the age is negative.
    """
    levels, methods = _listed("acr_values", acr_values), frozenset(_listed("amr", amr))
    if max_age_seconds is None and not levels and not methods:
        raise ValueError("ask for a max_age_seconds, acr_values or amr; nothing would be checked")
    if max_age_seconds is not None and max_age_seconds < 0:
        raise ValueError(f"max_age_seconds must be 0 or more, got {max_age_seconds}")

    def check(principal: Principal) -> None:
        since = principal.auth_time
        fresh = max_age_seconds is None or (
            since is not None and clock() - since <= max_age_seconds
        )
        strong = not levels or principal.acr in levels
        if not fresh or not strong or (methods and methods.isdisjoint(principal.amr)):
            raise InsufficientAuthenticationException(
                max_age_seconds=max_age_seconds, acr_values=levels, amr_values=methods
            )

    return AccessDependency(
        tokens,
        check=check,
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=unauthorized_message,
    )


def _holding(
    tokens: Authenticator | JWTUtils,
    names: list[str],
    *,
    held: Callable[[Principal], frozenset[str]],
    require_all: bool,
    refusal: Callable[[], ForbiddenException],
    hierarchy: RoleHierarchy | None = None,
    **access: Any,
) -> AccessDependency:
    """A dependency for those who hold all of ``names``, or one; higher roles stand for lower."""
    alternatives = [
        hierarchy.satisfying(name) if hierarchy else frozenset([name]) for name in names
    ]
    combine = all if require_all else any

    def check(principal: Principal) -> None:
        names = held(principal)
        if not combine(not good.isdisjoint(names) for good in alternatives):
            raise refusal()

    return AccessDependency(tokens, check=check, **access)


def _claim(principal: Principal, name: str) -> frozenset[str]:
    if name == "roles":
        return principal.roles
    return principal.permissions if name == "permissions" else claimed(principal.claims.get(name))


def _required(argument: str, names: Iterable[str]) -> list[str]:
    listed = _listed(argument, names)
    if not listed:
        raise ValueError(f"{argument} is empty: everybody with a token would pass")
    return listed


def _listed(argument: str, names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"{argument} must be a list of names, got the text {names!r}")
    listed = [str(name) for name in names]
    if not all(listed):
        raise ValueError(f"{argument} holds an empty name")
    return listed
