"""Everything that protects a service's routes, built from its settings in one call."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends

from tijolo.auth.authenticator import TokenAuthenticator
from tijolo.auth.challenges import InsufficientRoleException
from tijolo.auth.cookie_tokens import CookieTransport
from tijolo.auth.dependencies import AccessDependency, Dependency
from tijolo.auth.fetching import Fetch, ThreadedFetch
from tijolo.auth.jwks import JWKSClient
from tijolo.auth.key_ring import KeySource
from tijolo.auth.principal import Principal
from tijolo.auth.remote_revocation import RemoteRevocationClient
from tijolo.auth.requirements import (
    make_permission_dependency,
    make_recent_auth_dependency,
    make_role_dependency,
    make_scope_dependency,
)
from tijolo.auth.revocation import GuardedChecker, RevocationChecker, TokenMode
from tijolo.auth.roles import ROLE_HIERARCHY, RoleHierarchy, RoleType
from tijolo.auth.settings import JWTSettings
from tijolo.auth.token_verifier import TokenVerifier

_log = logging.getLogger("tijolo.auth")
UserLoader = Callable[[Principal], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class AuthDeps:
    """Dependencies for routes, made by :func:`build_auth_deps`. A ``Resource``.

    ``CurrentUser`` annotates a parameter: ``async def read(user: auth.CurrentUser)``. It is the
    :class:`Principal`, or what the ``user_loader`` gave for it.
    """

    authenticator: TokenAuthenticator
    get_current_user: Dependency
    get_current_user_or_none: Dependency
    """None instead of a 401."""
    get_current_active_admin: Dependency
    """ADMIN or SUPERADMIN, else 403."""
    get_current_active_superuser: Dependency
    """SUPERADMIN, else 403."""
    CurrentUser: Any
    OptionalUser: Any
    revocation_client: RemoteRevocationClient | None
    """Where the issuer is asked about revocations."""
    hierarchy: RoleHierarchy
    cookie: CookieTransport | None = None
    _jwks: JWKSClient | None = field(default=None, repr=False)
    _fetch: ThreadedFetch | None = field(default=None, repr=False)

    def require_role(self, *roles: str, require_all: bool = False) -> Dependency:
        """A dependency for those who hold one of ``roles``, by the hierarchy."""
        return make_role_dependency(
            self.authenticator,
            roles,
            require_all=require_all,
            hierarchy=self.hierarchy,
            cookie=self.cookie,
        )

    def require_permission(self, *permissions: str, require_all: bool = True) -> Dependency:
        """A dependency for those who have all of ``permissions``."""
        return make_permission_dependency(
            self.authenticator, permissions, require_all=require_all, cookie=self.cookie
        )

    def require_scope(self, *scopes: str) -> Dependency:
        """A dependency for clients whose token has all of ``scopes``."""
        return make_scope_dependency(self.authenticator, scopes, cookie=self.cookie)

    def require_recent_auth(self, **asked: Any) -> Dependency:
        """A dependency for who has just logged in; see :func:`make_recent_auth_dependency`."""
        return make_recent_auth_dependency(self.authenticator, cookie=self.cookie, **asked)

    async def connect(self) -> None:
        """Fetch the issuer's keys, where they are fetched."""
        if self._jwks is not None:
            await self._jwks.connect()

    async def disconnect(self) -> None:
        """Stop asking the issuer; what was given to ``build_auth_deps`` stays open."""
        if self._jwks is not None:
            await self._jwks.disconnect()
        if self.revocation_client is not None:
            await self.revocation_client.close()
        if self._fetch is not None:
            await self._fetch.close()

    async def close(self) -> None:
        """The same as ``disconnect``."""
        await self.disconnect()

    async def health_check(self) -> bool:
        """Whether there are keys to verify with."""
        return self._jwks is None or await self._jwks.health_check()


def build_auth_deps(
    settings: JWTSettings,
    *,
    user_loader: UserLoader | None = None,
    keys: KeySource | None = None,
    revocation: RevocationChecker | None = None,
    fetch: Fetch | None = None,
    hierarchy: RoleHierarchy = ROLE_HIERARCHY,
    cookie: CookieTransport | None = None,
) -> AuthDeps:
    """The dependencies that ``settings`` ask for; ``TOKEN_MODE`` alone decides who is asked.

    Args:
        settings: Keys or ``JWT_JWKS_URL``, issuer and audience, mode.
        user_loader: Makes the user of a principal; None where there is none.
        keys: Instead of those of the settings.
        revocation: Who is asked in ``hybrid`` and ``stateful`` mode: a store of this service.
            Without it the issuer is, at ``INTROSPECTION_URL``.
        fetch: How the issuer is reached; by default with the standard library.
        hierarchy: Which roles include which; it must know ADMIN and SUPERADMIN, or those two
            dependencies refuse everybody.
        cookie: Where else a token may be.

    Raises:
        ValueError: when a mode other than ``stateless`` has nobody to ask.
        InvalidKeyError: for a key that cannot be used.
    """
    own = ThreadedFetch() if fetch is None else None
    source, jwks = _keys(settings, keys, fetch or own)
    checker, remote = _checker(settings, revocation, fetch)
    authenticator = TokenAuthenticator(
        TokenVerifier.from_settings(settings, keys=source), revocation=checker
    )

    def dependency(role: str | None = None, *, soft: bool = False) -> Dependency:
        check = None if role is None else _role_check(hierarchy, role)
        return AccessDependency(
            authenticator, check=check, load=user_loader, soft=soft, cookie=cookie
        )

    current, optional = dependency(), dependency(soft=True)
    return AuthDeps(
        authenticator=authenticator,
        get_current_user=current,
        get_current_user_or_none=optional,
        get_current_active_admin=dependency(RoleType.ADMIN),
        get_current_active_superuser=dependency(RoleType.SUPERADMIN),
        CurrentUser=Annotated[Any, Depends(current)],
        OptionalUser=Annotated[Any, Depends(optional)],
        revocation_client=remote,
        hierarchy=hierarchy,
        cookie=cookie,
        _jwks=jwks,
        _fetch=own,
    )


def _role_check(hierarchy: RoleHierarchy, role: str) -> Callable[[Principal], None]:
    good = hierarchy.satisfying(role) if role in hierarchy.roles else frozenset[str]()

    def check(principal: Principal) -> None:
        if good.isdisjoint(principal.roles):
            raise InsufficientRoleException

    return check


def _keys(
    settings: JWTSettings, given: KeySource | None, fetch: Fetch | None
) -> tuple[KeySource, JWKSClient | None]:
    if given is not None:
        return given, given if isinstance(given, JWKSClient) else None
    if settings.JWT_JWKS_URL is None or fetch is None:
        return settings.key_ring(), None
    client = JWKSClient(
        settings.JWT_JWKS_URL,
        fetch,
        fresh_seconds=settings.JWT_JWKS_CACHE_SECONDS,
        max_stale_seconds=max(86_400, settings.JWT_JWKS_CACHE_SECONDS),
        cooldown_seconds=min(10, settings.JWT_JWKS_CACHE_SECONDS),
    )
    return client, client


def _checker(
    settings: JWTSettings, given: RevocationChecker | None, fetch: Fetch | None
) -> tuple[RevocationChecker | None, RemoteRevocationClient | None]:
    mode, failure_mode = settings.TOKEN_MODE, settings.ACCESS_REVOCATION_FAILURE_MODE
    if mode is TokenMode.STATELESS:
        if given is not None:
            _log.warning("TOKEN_MODE=stateless: what was given as revocation= is never asked")
        return None, None
    seconds = settings.REVOCATION_CACHE_SECONDS if mode is TokenMode.HYBRID else 0.0
    if given is not None:
        return GuardedChecker(given, failure_mode=failure_mode, cache_seconds=seconds), None
    if settings.INTROSPECTION_URL is None or settings.PRIVATE_API_SECRET is None:
        raise ValueError(
            f"TOKEN_MODE={mode.value} has nobody to ask: pass revocation=, a store that the"
            " issuer shares, or set INTROSPECTION_URL and PRIVATE_API_SECRET"
        )
    client = RemoteRevocationClient(
        introspection_url=settings.INTROSPECTION_URL,
        private_api_secret=settings.PRIVATE_API_SECRET,
        fetch=fetch,
        failure_mode=failure_mode,
        cache_seconds=seconds,
    )
    return client, client
