"""Settings of API keys: ``class Settings(ApiKeySettings, ..., BaseAppSettings)``."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.auth.api_keys.format import ApiKeyFormat


class ApiKeySettings(BaseSettings):
    """What keys look like, how long they live, and how many a user has."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    AUTH_API_KEY_PREFIX: str = "tj_live"
    """Begin of every key: the service's name, and another one for each environment."""
    AUTH_API_KEY_DEFAULT_DAYS: int = Field(default=90, ge=1)
    AUTH_API_KEY_MAX_DAYS: int = Field(default=365, ge=1, le=3650)
    """Longest life of a key; there is none without an end."""
    AUTH_API_KEY_MAX_PER_USER: int = Field(default=20, ge=1, le=1000)
    """Keys of one user that are good at the same time."""
    AUTH_API_KEY_OVERLAP_SECONDS: int = Field(default=86_400, ge=0, le=30 * 86_400)
    """How long a key that was rotated stays good beside its successor."""
    AUTH_API_KEY_LAST_USED_SECONDS: int = Field(default=300, ge=1, le=86_400)
    """How exactly ``last_used_at`` is kept: one write in that time."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        ApiKeyFormat(self.AUTH_API_KEY_PREFIX)
        if self.AUTH_API_KEY_DEFAULT_DAYS > self.AUTH_API_KEY_MAX_DAYS:
            raise ValueError(
                f"AUTH_API_KEY_DEFAULT_DAYS ({self.AUTH_API_KEY_DEFAULT_DAYS}) is over"
                f" AUTH_API_KEY_MAX_DAYS ({self.AUTH_API_KEY_MAX_DAYS})"
            )
        return self
