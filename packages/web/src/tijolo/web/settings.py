"""Settings mixins of the web layer, composed by the service.

``class Settings(WebSettings, CORSSettings, ServerSettings, BaseAppSettings)``
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tijolo.core import REQUEST_ID_HEADER
from tijolo.web._shown import without_credentials
from tijolo.web.security_headers import DEFAULT_SECURITY_HEADERS

_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _split(value: object) -> object:
    """``a, b`` and ``["a", "b"]`` alike, for a list in an environment variable."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [item.strip() for item in text.split(",") if item.strip()]


StringList = Annotated[list[str], NoDecode, BeforeValidator(_split)]
"""A list that an environment variable gives as JSON or separated by commas."""


ServerEngine = Literal["uvicorn", "granian"]


class CORSSettings(BaseSettings):
    """Which origins' pages may call the service; none until they are named.

    Raises:
        ValueError: for ``*`` with credentials (any page could then act as the user), and for what
            is not an origin.
    """

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    CORS_ORIGINS: StringList = []
    CORS_ALLOW_CREDENTIALS: bool = False
    CORS_ALLOW_METHODS: StringList = ["*"]
    CORS_ALLOW_HEADERS: StringList = ["*"]
    CORS_EXPOSE_HEADERS: StringList = [REQUEST_ID_HEADER]
    CORS_MAX_AGE: int = Field(default=600, ge=0)
    """Seconds for which a browser may keep a preflight's answer."""

    @field_validator("CORS_ORIGINS")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{without_credentials(origin)!r} is not an origin; write"
                    " scheme://host[:port] without a path or a slash at the end"
                )
        return origins

    @field_validator("CORS_ALLOW_METHODS", "CORS_ALLOW_HEADERS", "CORS_EXPOSE_HEADERS")
    @classmethod
    def _are_tokens(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a method or header")
        return names

    @model_validator(mode="after")
    def _credentials_need_names(self) -> Self:
        if self.CORS_ALLOW_CREDENTIALS and "*" in self.CORS_ORIGINS:
            raise ValueError(
                "CORS_ORIGINS='*' with CORS_ALLOW_CREDENTIALS lets any page act as the signed-in"
                " user; name the origins"
            )
        return self


class ServerSettings(BaseSettings):
    """Where and how the server listens."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    SERVER_HOST: str = "127.0.0.1"
    SERVER_PORT: int = Field(default=8000, ge=1, le=65535)
    SERVER_RELOAD: bool = False
    SERVER_ENGINE: ServerEngine = "uvicorn"
    """Which server ``run_server`` starts: ``uvicorn`` or ``granian``."""
    SERVER_WORKERS: int = Field(default=1, ge=1)
    """Processes; each has its own memory stores."""
    SERVER_GRACEFUL_TIMEOUT_SECONDS: int = Field(default=30, ge=1)
    """Longest time that requests get to end after the signal to stop."""
    SERVER_DEBUG: bool = False
    """Show tracebacks in ``details.traceback`` of a 500; refused outside development."""


class WebSettings(BaseSettings):
    """What ``create_app`` builds around the service's routes."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    API_PREFIX: str = ""
    """Path in front of the service's own routers, such as ``/api/v1``."""
    HEALTH_PREFIX: str = "/health"
    """Path of the health endpoints; empty for none."""

    OPENAPI_ENABLED: bool | None = None
    """Serve ``/openapi.json``. Unset: everywhere but in production."""
    DOCS_ENABLED: bool | None = None
    """Serve Swagger UI at ``/docs``. Unset: like ``OPENAPI_ENABLED``."""
    REDOC_ENABLED: bool | None = None
    """Serve ReDoc at ``/redoc``. Unset: like ``OPENAPI_ENABLED``."""

    REQUEST_BODY_MAX_BYTES: int = Field(default=1_048_576, ge=0)
    REQUEST_BODY_UNLIMITED_PATHS: StringList = []
    """Paths, each with everything below it, that limit their bodies themselves."""

    REQUEST_TIMEOUT_SECONDS: float | None = Field(default=None, gt=0)
    """How long a request may take until its response starts; unset for no limit."""

    TRUSTED_HOSTS: StringList = ["*"]
    TRUSTED_PROXIES: StringList = []
    """Addresses and CIDR networks whose forwarding header is believed."""
    FORWARDED_HEADER: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    """The one header that the proxies set."""

    ACCESS_LOG_ENABLED: bool = True
    TIMING_HEADER: Literal["Server-Timing", "X-Process-Time", "both", "none"] = "Server-Timing"

    CONTENT_SECURITY_POLICY: str = DEFAULT_SECURITY_HEADERS["Content-Security-Policy"]
    PERMISSIONS_POLICY: str = DEFAULT_SECURITY_HEADERS["Permissions-Policy"]
    REFERRER_POLICY: str = DEFAULT_SECURITY_HEADERS["Referrer-Policy"]
    FRAME_OPTIONS: Literal["DENY", "SAMEORIGIN", ""] = "DENY"
    """``X-Frame-Options``; empty for none, where CSP ``frame-ancestors`` says it all."""
    HSTS_MAX_AGE_SECONDS: int = Field(default=31_536_000, ge=0)
    HSTS_INCLUDE_SUBDOMAINS: bool = False

    @field_validator("API_PREFIX", "HEALTH_PREFIX")
    @classmethod
    def _is_prefix(cls, prefix: str) -> str:
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(
                f"{prefix!r} must start with a slash and not end with one, or be empty"
            )
        return prefix


def section(settings: object, kind: type[Any]) -> Any:
    """``settings`` if they are of ``kind``, else the defaults of ``kind``, unread environment."""
    return settings if isinstance(settings, kind) else kind.model_construct()
