"""Who calls a route: the bearer of a token, and the user behind it.

Each factory returns a FastAPI dependency that is also an OpenAPI security scheme. Tokens come
from the ``Authorization`` header, or from a cookie that is named; never from the query, which
ends in logs (RFC 6750, section 5.3).
"""

# No `from __future__ import annotations`: FastAPI 0.121 does not resolve the annotations of an
# object that is called.
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast, overload

from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from tijolo.auth._claims import is_epoch, text_list
from tijolo.auth.authenticator import Authenticator, RequestAuthenticator
from tijolo.auth.challenges import InvalidRequestException
from tijolo.auth.cookie_tokens import CookieTransport
from tijolo.auth.jwt_utils import JWTUtils
from tijolo.auth.principal import Principal, freeze
from tijolo.core import (
    ForbiddenException,
    InvalidTokenException,
    UnauthorizedException,
    set_user_id,
)

UNAUTHORIZED_MESSAGE = "Authorization token is missing or invalid"
_STATE = "tijolo.auth.principal"


class _Utils:
    """``JWTUtils`` as an authenticator: the claims that it decodes, read as a principal's."""

    def __init__(self, tokens: JWTUtils) -> None:
        self._tokens = tokens

    async def authenticate(self, token: str) -> Principal:
        claims = self._tokens.decode(token)
        subject, scope = claims.get("sub"), claims.get("scope")
        since, epoch = claims.get("auth_time"), claims.get("epoch")
        return Principal(
            subject=subject if isinstance(subject, str) else "",
            token_id=str(claims.get("jti") or ""),
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            auth_time=since if type(since) in (int, float) else None,
            epoch=epoch if is_epoch(epoch) else 0,
            roles=claimed(claims.get("roles")),
            permissions=claimed(claims.get("permissions")),
            scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
            claims=freeze(claims),
        )


def claimed(value: object) -> frozenset[str]:
    """The names that a claim lists; none where it lists anything else."""
    try:
        return frozenset(text_list(list(cast("Any", value)) if isinstance(value, tuple) else value))
    except InvalidTokenException:
        return frozenset()


class AccessDependency(SecurityBase):
    """What the dependencies of this module are; made by their factories.

    A request's token is verified once, however many of them guard the route.
    """

    def __init__(
        self,
        tokens: Authenticator | JWTUtils,
        *,
        check: Callable[[Principal], None] | None = None,
        load: Callable[[Principal], Awaitable[Any]] | None = None,
        soft: bool = False,
        bearer_scheme: HTTPBearer | None = None,
        cookie: CookieTransport | None = None,
        error_message: str = UNAUTHORIZED_MESSAGE,
    ) -> None:
        self.model = bearer_scheme.model if bearer_scheme else HTTPBearerModel(bearerFormat="JWT")
        self.scheme_name = bearer_scheme.scheme_name if bearer_scheme else "HTTPBearer"
        self._tokens = tokens
        self._authenticated = (
            _Utils(tokens) if isinstance(tokens, JWTUtils) else tokens
        ).authenticate
        self._by_request = (
            tokens.authenticate_request if isinstance(tokens, RequestAuthenticator) else None
        )
        self._check, self._load, self._soft = check, load, soft
        self._cookie = cookie
        self._message = error_message

    async def __call__(self, connection: HTTPConnection) -> Any:
        """The dependency: the principal, what was loaded for it, or None where it is soft.

        Raises:
            UnauthorizedException: No token, one that is not good, or nobody behind it.
            ForbiddenException: The principal may not do this.
            BadRequestException: Several tokens.
            ServiceUnavailableException: Whether the token is good cannot be told now.
        """
        try:
            known = connection.scope.get(_STATE)
            if known is not None and known[0] is self._tokens and known[1] is self._cookie:
                principal: Principal = known[2]
            else:
                principal = await self._principal(connection)
                connection.scope[_STATE] = (self._tokens, self._cookie, principal)
                set_user_id(principal.subject)
            if self._check is not None:
                self._check(principal)
            if self._load is None:
                return principal
            loaded = await self._load(principal)
            if loaded is None:
                raise InvalidTokenException(self._message)
        except (UnauthorizedException, ForbiddenException) as error:
            if self._soft:
                return None
            if isinstance(error, InvalidTokenException):
                # the verifier has no words for people; the caller of the factory has
                raise InvalidTokenException(self._message, code=error.code) from None
            raise
        return loaded

    async def _principal(self, connection: HTTPConnection) -> Principal:
        token = bearer_token(connection)
        if token is None and self._cookie is not None:
            token = self._cookie.read(connection)
        if self._by_request is not None:
            return await self._by_request(connection, token)
        if token is None:
            raise UnauthorizedException(self._message)
        return await self._authenticated(token)


def bearer_token(connection: HTTPConnection) -> str | None:
    """The token of the ``Authorization`` header (RFC 6750, section 2.1); None without one.

    Raises:
        InvalidRequestException: There are several ``Authorization`` headers.
    """
    found: bytes | None = None
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            if found is not None:
                raise InvalidRequestException
            found = value
    if found is None or found[:7].lower() != b"bearer ":
        return None
    return found[7:].strip().decode("latin-1") or None


class _ClaimsDependency(AccessDependency):
    """The contract's bearer dependency of ``JWTUtils``: its claims as a dictionary."""

    async def __call__(self, connection: HTTPConnection) -> dict[str, Any] | None:
        principal = await super().__call__(connection)
        return None if principal is None else _thawed(principal.claims)


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_thawed(item) for item in cast("tuple[object, ...]", value)]
    if hasattr(value, "items"):
        return {name: _thawed(item) for name, item in value.items()}
    return value


Dependency = Callable[..., Awaitable[Any]]


@overload
def make_bearer_token_dependency(
    tokens: JWTUtils,
    *,
    soft: Literal[False] = False,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The claims of the request's token; a 401 without a good one."""


@overload
def make_bearer_token_dependency(
    tokens: JWTUtils,
    *,
    soft: bool,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Callable[..., Awaitable[dict[str, Any] | None]]:
    """The claims of the request's token; where ``soft``, None without a good one."""


@overload
def make_bearer_token_dependency(
    tokens: Authenticator,
    *,
    soft: Literal[False] = False,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Callable[..., Awaitable[Principal]]:
    """The principal of the request's token; a 401 without a good one."""


@overload
def make_bearer_token_dependency(
    tokens: Authenticator,
    *,
    soft: bool,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Callable[..., Awaitable[Principal | None]]:
    """The principal of the request's token; where ``soft``, None without a good one."""


def make_bearer_token_dependency(
    tokens: Authenticator | JWTUtils,
    *,
    soft: bool = False,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Dependency:
    """A dependency that gives the principal of the request's token; the claims of ``JWTUtils``.

    Args:
        tokens: What verifies.
        soft: None instead of a 401, for a page that also shows itself to strangers.
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        error_message: Shown to who is refused.
    """
    kind = _ClaimsDependency if isinstance(tokens, JWTUtils) else AccessDependency
    return kind(
        tokens,
        soft=soft,
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=error_message,
    )


def make_jwt_user_dependency(
    tokens: Authenticator | JWTUtils,
    user_loader: Callable[[Any], Awaitable[Any]],
    *,
    soft: bool = False,
    bearer_scheme: HTTPBearer | None = None,
    cookie: CookieTransport | None = None,
    subject_claim: str = "sub",
    error_message: str = UNAUTHORIZED_MESSAGE,
) -> Dependency:
    """A dependency that gives the user behind the token; nobody there is a 401.

    Args:
        tokens: What verifies.
        user_loader: Gets the :class:`Principal`; with ``JWTUtils`` the value of
            ``subject_claim``. None means that there is no such user, or none who may be here.
        soft: None instead of a 401.
        bearer_scheme: How OpenAPI describes it.
        cookie: Where else a token may be.
        subject_claim: Which claim of ``JWTUtils`` names the user.
        error_message: Shown to who is refused.
    """

    async def load_by_claim(principal: Principal) -> Any:
        subject = principal.claims.get(subject_claim)
        return None if subject is None or subject == "" else await user_loader(subject)

    return AccessDependency(
        tokens,
        load=load_by_claim if isinstance(tokens, JWTUtils) else user_loader,
        soft=soft,
        bearer_scheme=bearer_scheme,
        cookie=cookie,
        error_message=error_message,
    )
