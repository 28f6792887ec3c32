"""Routes that an API key may call."""

# No `from __future__ import annotations`: FastAPI 0.121 does not resolve the annotations of an
# object that is called.
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from tijolo.auth.api_keys.authenticator import API_KEY_HEADER, ApiKeyAuthenticator
from tijolo.auth.challenges import InsufficientScopeException
from tijolo.auth.dependencies import AccessDependency, Dependency
from tijolo.auth.principal import Principal


class _ApiKeyHeader(SecurityBase):
    """Says in OpenAPI that the key may be in a header of its own; looks at nothing."""

    def __init__(self) -> None:
        self.model = APIKey.model_validate({"in": APIKeyIn.header, "name": API_KEY_HEADER})
        self.scheme_name = "ApiKey"

    def __call__(self) -> None:
        """What OpenAPI shows; the authenticator reads the header."""


_HEADER = _ApiKeyHeader()


class _ApiKeyDependency(AccessDependency):
    async def __call__(
        self, connection: HTTPConnection, header: Annotated[None, Depends(_HEADER)] = None
    ) -> Any:
        return await super().__call__(connection)


def make_api_key_dependency(
    keys: ApiKeyAuthenticator, *, scopes: Iterable[str] = (), soft: bool = False
) -> Dependency:
    """A dependency that gives the principal of the request's API key, or access token.

    The other factories, ``make_scope_dependency`` and its siblings, take the authenticator too;
    this one also tells OpenAPI of ``X-API-Key``.

    Args:
        keys: What authenticates.
        scopes: All of them are needed; none asks only who it is.
        soft: None instead of a 401 or 403.

    Raises:
        TypeError: for scopes that are one text.
    """
    if isinstance(scopes, str):
        raise TypeError(f"scopes must be a list of names, got the text {scopes!r}")
    needed = frozenset(scopes)

    def check(principal: Principal) -> None:
        if not needed <= principal.scopes:
            raise InsufficientScopeException(needed)

    return _ApiKeyDependency(keys, check=check, soft=soft)
