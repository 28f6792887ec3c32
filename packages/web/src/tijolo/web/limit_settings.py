"""Settings mixins of rate limits and idempotency keys; both are off until they are set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.web.idempotency import MAX_SECONDS
from tijolo.web.rate_limits import Algorithm, rate_limits
from tijolo.web.settings import StringList


class RateLimitSettings(BaseSettings):
    """How often each client's address may ask.

    Raises:
        ValueError: for a text that is no rate limit, and limits that contradict each other.
    """

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    RATE_LIMITS: StringList = []
    """Such as ``10/second, 1000/hour``; none limits nothing."""
    RATE_LIMIT_ALGORITHM: Algorithm = "gcra"
    RATE_LIMIT_EXEMPT_PATHS: StringList = []
    """Paths, exactly as written, that are not limited; health and docs never are."""
    RATE_LIMIT_IPV6_PREFIX: int = Field(default=64, ge=16, le=128)
    """Bits of an IPv6 address that name a client."""
    RATE_LIMIT_TRUSTED_IP_HEADER: str = ""
    """Header in which a trusted proxy tells the client's address, such as ``CF-Connecting-IP``."""
    RATE_LIMIT_MAX_KEYS: int = Field(default=100_000, ge=1)
    """Clients that the memory of one process holds, about 350 bytes each."""
    RATE_LIMIT_REDIS_URL: SecretStr | None = None
    """One count for all processes; extra ``redis``."""
    RATE_LIMIT_REDIS_PREFIX: str = Field(default="ratelimit:", min_length=1)
    """In front of every key: another one for each service that shares a Redis."""
    RATE_LIMIT_ON_STORE_FAILURE: Literal["local", "open", "closed"] = "local"
    """Without Redis: each process counts, everything passes, or 503."""

    @field_validator("RATE_LIMITS")
    @classmethod
    def _are_limits(cls, texts: list[str]) -> list[str]:
        if texts:
            rate_limits(texts)
        return texts


class IdempotencySettings(BaseSettings):
    """What a request with ``Idempotency-Key`` gets."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    IDEMPOTENCY_ENABLED: bool = False
    IDEMPOTENCY_TTL_SECONDS: float = Field(default=86_400, gt=0, le=MAX_SECONDS)
    """How long answers are kept."""
    IDEMPOTENCY_LEASE_SECONDS: float = Field(default=30, gt=0, le=MAX_SECONDS)
    """How long the key of a process that was killed stays reserved."""
    IDEMPOTENCY_WAIT_SECONDS: float = Field(default=10, ge=0)
    """How long a repetition waits for the first request's answer."""
    IDEMPOTENCY_MAX_REQUEST_BYTES: int = Field(default=1_048_576, ge=0)
    IDEMPOTENCY_MAX_RESPONSE_BYTES: int = Field(default=1_048_576, ge=0)
    IDEMPOTENCY_COOKIE_NAMES: StringList = []
    """Cookies that say who calls; none means all of them together."""
    IDEMPOTENCY_REDIS_URL: SecretStr | None = None
    """One store for all processes; extra ``redis``."""
    IDEMPOTENCY_REDIS_PREFIX: str = Field(default="idem:", min_length=1)
    """In front of every key: another one for each service that shares a Redis."""
    IDEMPOTENCY_ON_STORE_FAILURE: Literal["closed", "open"] = "closed"
    """Without Redis: 503, or carry requests out unprotected."""
