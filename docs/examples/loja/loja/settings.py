"""What the shop reads from its environment; the mixins bring their own variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from tijolo.cache import CacheSettings
from tijolo.core import BaseAppSettings, SigningSecret
from tijolo.db import DatabaseSettings
from tijolo.email import EmailSettings
from tijolo.http import HTTPClientSettings
from tijolo.observability import LogSettings
from tijolo.observability.prometheus import MetricsSettings
from tijolo.web import (
    CORSSettings,
    IdempotencySettings,
    RateLimitSettings,
    ServerSettings,
    WebSettings,
)


class Settings(
    DatabaseSettings,
    CacheSettings,
    EmailSettings,
    HTTPClientSettings,
    LogSettings,
    MetricsSettings,
    RateLimitSettings,
    IdempotencySettings,
    CORSSettings,
    ServerSettings,
    WebSettings,
    BaseAppSettings,
):
    """Settings of the shop; `.env.example` shows the ones worth changing."""

    # other defaults than the mixins'
    CACHE_NAMESPACE: str = "loja"
    EMAIL_TEMPLATE_DIR: str = str(Path(__file__).parent / "templates")
    IDEMPOTENCY_ENABLED: bool = True

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
