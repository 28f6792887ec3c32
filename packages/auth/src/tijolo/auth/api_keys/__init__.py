"""API keys: credentials of a user's programs, with scopes, an end and networks of their own."""

from tijolo.core import MissingExtraError

try:
    import tijolo.auth.users as _users
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "users", exc.name or "tijolo-db") from exc

del _users

from tijolo.auth.api_keys.authenticator import API_KEY_HEADER, ApiKeyAuthenticator
from tijolo.auth.api_keys.dependencies import make_api_key_dependency
from tijolo.auth.api_keys.errors import (
    ApiKeyLimitException,
    ApiKeyNotFoundException,
    ApiKeyNotUsableException,
    ApiKeyRequestException,
)
from tijolo.auth.api_keys.events import ApiKeyEventKind
from tijolo.auth.api_keys.format import ApiKeyFormat
from tijolo.auth.api_keys.models import BaseApiKeyModel, RevokedReason, make_api_key_model
from tijolo.auth.api_keys.router import make_api_keys_router, make_leak_report_router
from tijolo.auth.api_keys.service import ApiKeyService, NewApiKey
from tijolo.auth.api_keys.settings import ApiKeySettings

__all__ = [
    "API_KEY_HEADER",
    "ApiKeyAuthenticator",
    "ApiKeyEventKind",
    "ApiKeyFormat",
    "ApiKeyLimitException",
    "ApiKeyNotFoundException",
    "ApiKeyNotUsableException",
    "ApiKeyRequestException",
    "ApiKeyService",
    "ApiKeySettings",
    "BaseApiKeyModel",
    "NewApiKey",
    "RevokedReason",
    "make_api_key_dependency",
    "make_api_key_model",
    "make_api_keys_router",
    "make_leak_report_router",
]
