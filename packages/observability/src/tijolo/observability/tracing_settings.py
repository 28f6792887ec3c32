"""The tracing settings of a service, and the call that applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from tijolo.observability.otel import Tracing


class TracingSettings(BaseSettings):
    """Mix it in: `class Settings(TracingSettings, BaseAppSettings)`."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    TRACING_ENABLED: bool = False
    TRACING_SERVICE_NAME: str = "service"
    TRACING_OTLP_ENDPOINT: str = ""
    """The collector's URL, such as `http://collector:4318/v1/traces`; empty exports nothing."""
    TRACING_OTLP_AUTHORIZATION: SecretStr = SecretStr("")
    """The header `Authorization` for the collector; empty sends none."""
    TRACING_SAMPLE_RATIO: float = Field(default=1.0, ge=0, le=1)
    TRACING_TRUST_REMOTE_SAMPLING: bool = True
    """Whether a caller's `traceparent` decides; false where anybody can call."""
    TRACING_QUEUE_SIZE: int = Field(default=2048, ge=1)
    """Spans that may wait to be exported; further ones are dropped."""
    TRACING_EXPORT_TIMEOUT_SECONDS: float = Field(default=5.0, gt=0)
    TRACING_SHUTDOWN_TIMEOUT_SECONDS: float = Field(default=5.0, gt=0)


def setup_tracing_from_settings(settings: TracingSettings) -> Tracing | None:
    """`setup_tracing` with every value of `settings`; None where tracing is off.

    Raises:
        MissingExtraError: tracing is on and the extra `otel`, or `otlp` for an endpoint, is not
            installed.
    """
    if not settings.TRACING_ENABLED:
        return None
    from tijolo.observability.otel import setup_tracing  # the extra, where it is asked for

    exporter = None
    if settings.TRACING_OTLP_ENDPOINT:
        from tijolo.observability.otlp import otlp_exporter

        secret = settings.TRACING_OTLP_AUTHORIZATION
        exporter = otlp_exporter(
            settings.TRACING_OTLP_ENDPOINT,
            headers={"Authorization": secret} if secret.get_secret_value() else {},
            timeout_seconds=settings.TRACING_EXPORT_TIMEOUT_SECONDS,
        )
    return setup_tracing(
        settings.TRACING_SERVICE_NAME,
        exporter=exporter,
        sample_ratio=settings.TRACING_SAMPLE_RATIO,
        trust_remote_sampling=settings.TRACING_TRUST_REMOTE_SAMPLING,
        queue_size=settings.TRACING_QUEUE_SIZE,
        export_timeout_seconds=settings.TRACING_EXPORT_TIMEOUT_SECONDS,
        shutdown_timeout_seconds=settings.TRACING_SHUTDOWN_TIMEOUT_SECONDS,
    )
