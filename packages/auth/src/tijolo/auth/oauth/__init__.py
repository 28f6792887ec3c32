"""Logins at other services: Google, GitHub, and any issuer of OpenID Connect (extra ``oauth``)."""

from __future__ import annotations

from tijolo.core import MissingExtraError

try:
    import tijolo.http as _http
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "oauth", "tijolo-http") from exc

from tijolo.auth.oauth.clients import Endpoints, OAuthClient
from tijolo.auth.oauth.discovery import ProviderMetadata
from tijolo.auth.oauth.errors import (
    IDTokenError,
    OAuthDeniedError,
    OAuthError,
    OAuthStateError,
    OAuthUnavailableError,
)
from tijolo.auth.oauth.github import GitHubOAuthClient
from tijolo.auth.oauth.id_tokens import IDTokenVerifier
from tijolo.auth.oauth.logins import OAuthLogin, OAuthLogins, UnsafeReturnException
from tijolo.auth.oauth.models import OAuthFlow, OAuthTokens, OAuthUser, generate_oauth_state
from tijolo.auth.oauth.oidc import GoogleOAuthClient, OIDCProvider
from tijolo.auth.oauth.router import ErrorHandler, LoginHandler, make_oauth_router
from tijolo.auth.oauth.settings import OAuthSettings
from tijolo.auth.oauth.used_states import MemoryUsedStates, UsedStates, UsedStatesFullException

del _http

__all__ = [
    "Endpoints",
    "ErrorHandler",
    "GitHubOAuthClient",
    "GoogleOAuthClient",
    "IDTokenError",
    "IDTokenVerifier",
    "LoginHandler",
    "MemoryUsedStates",
    "OAuthClient",
    "OAuthDeniedError",
    "OAuthError",
    "OAuthFlow",
    "OAuthLogin",
    "OAuthLogins",
    "OAuthSettings",
    "OAuthStateError",
    "OAuthTokens",
    "OAuthUnavailableError",
    "OAuthUser",
    "OIDCProvider",
    "ProviderMetadata",
    "UnsafeReturnException",
    "UsedStates",
    "UsedStatesFullException",
    "generate_oauth_state",
    "make_oauth_router",
]
