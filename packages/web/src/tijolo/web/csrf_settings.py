"""Settings mixin of the CSRF protection."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import SigningSecret
from tijolo.web._origins import checked_origin
from tijolo.web.settings import StringList


class CSRFSettings(BaseSettings):
    """Settings of the CSRF protection; ``create_app`` then puts it on the service."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    CSRF_SECRET: SigningSecret
    """Signs the tokens: 32 random bytes or more, the same on every replica."""
    CSRF_TRUSTED_ORIGINS: StringList = []
    """Other origins whose pages may write here, such as ``https://app.example.com``."""
    CSRF_EXCLUDE_PATHS: StringList = []
    """Paths, exact or as templates, that are not protected."""
    CSRF_COOKIE_SECURE: bool = True
    """Off only where the service is reached without TLS; the cookie then loses ``__Host-``."""

    @field_validator("CSRF_TRUSTED_ORIGINS")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        return [checked_origin(origin) for origin in origins]


def csrf_options(settings: CSRFSettings) -> dict[str, Any]:
    """The arguments of :class:`CSRFMiddleware` that ``settings`` say."""
    secret: SecretStr = settings.CSRF_SECRET
    return {
        "secret": secret,
        "trusted_origins": settings.CSRF_TRUSTED_ORIGINS,
        "exclude_paths": settings.CSRF_EXCLUDE_PATHS,
        "secure": settings.CSRF_COOKIE_SECURE,
    }
