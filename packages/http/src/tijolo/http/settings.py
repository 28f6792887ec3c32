"""Settings of the HTTP client: ``class Settings(HTTPClientSettings, BaseAppSettings)``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.http.circuit import CircuitPolicy
from tijolo.http.deadlines import Timeouts
from tijolo.http.pool import PoolLimits
from tijolo.http.retry import RetryPolicy


class HTTPClientSettings(BaseSettings):
    """How the service calls others; applied by ``HTTPClient.from_settings(settings)``."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    HTTP_CLIENT_CONNECT_TIMEOUT_SECONDS: float = Field(default=5.0, gt=0)
    HTTP_CLIENT_READ_TIMEOUT_SECONDS: float = Field(default=10.0, gt=0)
    HTTP_CLIENT_WRITE_TIMEOUT_SECONDS: float = Field(default=10.0, gt=0)
    HTTP_CLIENT_POOL_TIMEOUT_SECONDS: float = Field(default=10.0, gt=0)
    HTTP_CLIENT_DEADLINE_SECONDS: float = Field(default=30.0, ge=0)
    """For all attempts of a call together; 0 for no limit."""

    HTTP_CLIENT_MAX_ATTEMPTS: int = Field(default=3, ge=1)
    """The first included."""
    HTTP_CLIENT_BACKOFF_INITIAL_SECONDS: float = Field(default=0.5, ge=0)
    HTTP_CLIENT_BACKOFF_MAX_SECONDS: float = Field(default=8.0, ge=0)
    HTTP_CLIENT_RETRY_AFTER_MAX_SECONDS: float = Field(default=60.0, ge=0)
    """A server that asks for a longer wait gets no second attempt, and the caller an error."""
    HTTP_CLIENT_RETRY_BUDGET_RATIO: float = Field(default=0.2, ge=0)
    """Retries for each call to an origin, on average."""
    HTTP_CLIENT_RETRY_BUDGET_BURST: int = Field(default=10, ge=0)

    HTTP_CLIENT_CIRCUIT_FAILURE_THRESHOLD: int = Field(default=5, ge=1)
    HTTP_CLIENT_CIRCUIT_FAILURE_RATE: float = Field(default=0.5, gt=0, le=1)
    HTTP_CLIENT_CIRCUIT_MINIMUM_CALLS: int = Field(default=5, ge=1)
    HTTP_CLIENT_CIRCUIT_WINDOW_SECONDS: float = Field(default=30.0, gt=0)
    HTTP_CLIENT_CIRCUIT_OPEN_SECONDS: float = Field(default=30.0, gt=0)
    HTTP_CLIENT_CIRCUIT_HALF_OPEN_PROBES: int = Field(default=1, ge=1)

    HTTP_CLIENT_MAX_CONNECTIONS: int = Field(default=100, ge=1)
    HTTP_CLIENT_MAX_CALLS_PER_ORIGIN: int = Field(default=0, ge=0)
    """Calls to one origin at once; 0 for no limit but that of connections."""
    HTTP_CLIENT_MAX_KEEPALIVE_CONNECTIONS: int = Field(default=20, ge=0)
    HTTP_CLIENT_KEEPALIVE_EXPIRY_SECONDS: float = Field(default=5.0, ge=0)
    HTTP_CLIENT_MAX_RESPONSE_BYTES: int = Field(default=10_485_760, ge=0)
    """On the wire and decompressed, each; 0 for no limit."""
    HTTP_CLIENT_PROXY_URL: SecretStr | None = None
    """The only proxy that is used; ``HTTP_PROXY`` and its like are not read."""

    def http_client_options(self) -> dict[str, Any]:
        """These settings as arguments of ``HTTPClient``."""
        proxy = self.HTTP_CLIENT_PROXY_URL
        return {
            "timeouts": Timeouts(
                connect=self.HTTP_CLIENT_CONNECT_TIMEOUT_SECONDS,
                read=self.HTTP_CLIENT_READ_TIMEOUT_SECONDS,
                write=self.HTTP_CLIENT_WRITE_TIMEOUT_SECONDS,
                pool=self.HTTP_CLIENT_POOL_TIMEOUT_SECONDS,
                deadline=self.HTTP_CLIENT_DEADLINE_SECONDS or None,
            ),
            "retry_policy": RetryPolicy(
                max_attempts=self.HTTP_CLIENT_MAX_ATTEMPTS,
                backoff_initial_seconds=self.HTTP_CLIENT_BACKOFF_INITIAL_SECONDS,
                backoff_max_seconds=self.HTTP_CLIENT_BACKOFF_MAX_SECONDS,
                max_retry_after_seconds=self.HTTP_CLIENT_RETRY_AFTER_MAX_SECONDS,
                budget_ratio=self.HTTP_CLIENT_RETRY_BUDGET_RATIO,
                budget_burst=self.HTTP_CLIENT_RETRY_BUDGET_BURST,
            ),
            "circuit_policy": CircuitPolicy(
                failure_threshold=self.HTTP_CLIENT_CIRCUIT_FAILURE_THRESHOLD,
                failure_rate=self.HTTP_CLIENT_CIRCUIT_FAILURE_RATE,
                minimum_calls=self.HTTP_CLIENT_CIRCUIT_MINIMUM_CALLS,
                window_seconds=self.HTTP_CLIENT_CIRCUIT_WINDOW_SECONDS,
                open_seconds=self.HTTP_CLIENT_CIRCUIT_OPEN_SECONDS,
                half_open_probes=self.HTTP_CLIENT_CIRCUIT_HALF_OPEN_PROBES,
            ),
            "limits": PoolLimits(
                max_connections=self.HTTP_CLIENT_MAX_CONNECTIONS,
                max_calls_per_origin=self.HTTP_CLIENT_MAX_CALLS_PER_ORIGIN or None,
                max_keepalive_connections=self.HTTP_CLIENT_MAX_KEEPALIVE_CONNECTIONS,
                keepalive_expiry_seconds=self.HTTP_CLIENT_KEEPALIVE_EXPIRY_SECONDS,
            ),
            "max_response_bytes": self.HTTP_CLIENT_MAX_RESPONSE_BYTES or None,
            "proxy": None if proxy is None else proxy.get_secret_value(),
        }
