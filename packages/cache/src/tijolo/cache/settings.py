"""Settings of Redis and of the cache; compose them in the service's own class."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class RedisSettings(BaseSettings):
    """Where Redis is: ``class Settings(RedisSettings, BaseAppSettings)``.

    A URL may hold a password, so it is a secret. Durations are in seconds.
    """

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    REDIS_URL: SecretStr = SecretStr("redis://localhost:6379/0")
    REDIS_DECODE_RESPONSES: bool = True
    """Answers of the client are ``str``; the cache itself works with either."""
    REDIS_CONNECT_TIMEOUT_SECONDS: float = Field(default=1.0, gt=0)
    REDIS_TIMEOUT_SECONDS: float = Field(default=1.0, gt=0)
    """How long one command may take."""
    REDIS_MAX_CONNECTIONS: int = Field(default=50, ge=1)
    """Connections of one process; more commands than that wait for one."""


class CacheSettings(BaseSettings):
    """How results are kept: ``class Settings(CacheSettings, RedisSettings, BaseAppSettings)``."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    CACHE_NAMESPACE: str = "app"
    """First part of every key; one for each service that shares a Redis."""
    CACHE_VERSION: int = Field(default=1, ge=0)
    """Raise it to leave every entry behind."""
    CACHE_ENABLED: bool = True
    """False computes every time."""
    CACHE_TTL_SECONDS: float = Field(default=300.0, gt=0)
    """Time to live where the decorator names none."""
    CACHE_TTL_JITTER: float = Field(default=0.1, ge=0, lt=1)
    """Entries live up to this part shorter, so that they do not all end at once."""
    CACHE_MAX_VALUE_BYTES: int = Field(default=1_048_576, ge=1)
    """A larger result is returned and not kept."""
    CACHE_COMPRESS_ABOVE_BYTES: int = Field(default=0, ge=0)
    """Results above this size are compressed; 0 never."""
    CACHE_TIMEOUT_SECONDS: float = Field(default=0.25, gt=0)
    """How long one operation of the backend may take before it counts as an outage."""
    CACHE_RETRY_SECONDS: float = Field(default=1.0, gt=0)
    """How long a backend that is down is left alone."""
    CACHE_MEMORY_MAX_ENTRIES: int = Field(default=10_000, ge=1)
    """Of the memory backend, which is used where none is given."""
    CACHE_MEMORY_MAX_BYTES: int = Field(default=64 * 1024 * 1024, ge=1)
