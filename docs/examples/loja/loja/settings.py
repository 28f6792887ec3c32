"""What the shop reads from its environment; the mixins bring their own variables."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import Field, SecretStr

from tijolo.auth import (
    AuthSettings,
    JWTSettings,
    LoginThrottleSettings,
    TokenMode,
    make_auth_validator,
)
from tijolo.cache import CacheSettings
from tijolo.core import BaseAppSettings, SigningSecret
from tijolo.db import DatabaseSettings
from tijolo.email import EmailSettings
from tijolo.http import HTTPClientSettings
from tijolo.observability import LogSettings, TracingSettings
from tijolo.observability.prometheus import MetricsSettings
from tijolo.sessions import SessionSettings
from tijolo.web import (
    CORSSettings,
    CSRFSettings,
    IdempotencySettings,
    RateLimitSettings,
    ServerSettings,
    WebSettings,
)
from tijolo.web.settings import StringList

DEFAULT_BASE = "http://127.0.0.1:8000"
PAGES = f"{DEFAULT_BASE}/auth/pages"
_HOW = "the comment above its line in .env.example says how to make one"


def _key_of_this_process() -> SecretStr:
    """Signs tokens in development: they end with the process."""
    key = ec.generate_private_key(ec.SECP256R1())
    return SecretStr(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    )


class Settings(
    AuthSettings,
    LoginThrottleSettings,
    JWTSettings,
    SessionSettings,
    DatabaseSettings,
    CacheSettings,
    EmailSettings,
    HTTPClientSettings,
    LogSettings,
    MetricsSettings,
    RateLimitSettings,
    IdempotencySettings,
    TracingSettings,
    CORSSettings,
    CSRFSettings,
    ServerSettings,
    WebSettings,
    BaseAppSettings,
):
    """Settings of the shop; `.env.example` shows the ones worth changing."""

    # other defaults than the mixins'
    CACHE_NAMESPACE: str = "loja"
    EMAIL_TEMPLATE_DIR: str = str(Path(__file__).parent / "templates")
    IDEMPOTENCY_ENABLED: bool = True
    TRACING_SERVICE_NAME: str = "loja"
    CSRF_SECRET: SigningSecret = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(48)))
    """Signs the forms of the pages; in development each process makes its own."""
    CSRF_EXCLUDE_PATHS: StringList = Field(
        default_factory=lambda: [
            path
            for api in (
                "/customers",
                "/products",
                "/orders",
                "/webhooks",
                "/auth",
                "/own",
                "/introspect",
            )
            for path in (api, f"{api}/{{rest:path}}")
        ]
    )
    """The API is called by programs, and acts on no cookie; what does has to go from here."""

    JWT_ALGORITHM: str = "ES256"
    """What others verify our tokens with is public: `/.well-known/jwks.json`."""
    JWT_PRIVATE_KEY: SecretStr | None = Field(default_factory=_key_of_this_process)
    JWT_ISSUER: str = DEFAULT_BASE
    TOKEN_MODE: TokenMode = TokenMode.STATEFUL
    """A login that was ended is over at the next request."""
    AUTH_EPOCH_CACHE_SECONDS: float = 0
    AUTH_MAIL_LOCALE: str = "pt-BR"
    AUTH_BACKEND_LINKS: bool = True
    AUTH_ACTIVATION_URL_TEMPLATE: str = f"{PAGES}/activate#token={{token}}"
    AUTH_PASSWORD_RESET_URL_TEMPLATE: str = f"{PAGES}/reset-password#token={{token}}"
    AUTH_EMAIL_CHANGE_URL_TEMPLATE: str = f"{PAGES}/confirm-email#token={{token}}"

    SESSION_USER_CHECK_SECONDS: float = 0
    SESSION_REDIS_URL: SecretStr | None = None
    """Keeps log-ins of browsers for all replicas; without it each has its own."""

    CATALOG_ORIGINS: StringList = Field(default_factory=lambda: ["*"])
    """Whose pages may read the products; empty for the shop's own."""
    CACHE_REDIS_URL: SecretStr | None = None
    """Keeps cached products for all replicas; without it each has its own."""
    CEP_SERVICE_URL: str = "https://viacep.com.br"
    """Who knows the street of a CEP."""
    OPS_TOKEN: SecretStr | None = None
    """Opens the log and the page of integrations, as `X-Ops-Token`; in development this machine
    needs none."""
    ORDER_MAIL_TO: str = ""
    """Who is told of each order; nobody without it."""
    PAYMENT_WEBHOOK_SECRET: SigningSecret = SecretStr("")
    """Shared with who takes the payments; without it nobody can report one."""

    async def secrets_are_set(self) -> None:
        """Refuse to start where replicas, or tomorrow's process, would not know today's secrets.

        Raises:
            RuntimeError: one is missing outside development.
        """
        if self.ENVIRONMENT.is_development:
            return
        if not self.DATABASE_CURSOR_SECRET.get_secret_value():
            raise RuntimeError(f"orders are paged by cursor: set DATABASE_CURSOR_SECRET; {_HOW}")
        if "CSRF_SECRET" not in self.model_fields_set:
            raise RuntimeError(f"the pages have forms: set CSRF_SECRET; {_HOW}")
        if "JWT_PRIVATE_KEY" not in self.model_fields_set:
            raise RuntimeError(f"accounts need a key that signs: set JWT_PRIVATE_KEY; {_HOW}")
        await make_auth_validator(self)()
