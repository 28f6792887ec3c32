"""Settings of logins elsewhere: ``class Settings(OAuthSettings, BaseAppSettings)``."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import SigningSecret

__all__ = ["OAuthSettings"]


class OAuthSettings(BaseSettings):
    """What seals logins under way; ids and secrets of clients are the service's own settings."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    OAUTH_STATE_SECRET: SigningSecret = SecretStr("")
    """32 bytes or more, the same for all replicas. Empty: there are no logins elsewhere."""
    OAUTH_STATE_TTL_SECONDS: int = Field(default=600, ge=30, le=3600)
    """How long a user may take at the provider."""
    OAUTH_COOKIE_SECURE: bool = True
    """False sets the cookies over http too: for development alone."""
