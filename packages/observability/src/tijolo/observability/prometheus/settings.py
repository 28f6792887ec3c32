"""The metrics settings of a service, and the call that applies them."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import OpsAccess
from tijolo.observability.prometheus.http import GROUPS
from tijolo.observability.prometheus.hub import DEFAULT_MAX_SERIES, Metrics
from tijolo.observability.prometheus.middleware import PrometheusMiddleware
from tijolo.observability.prometheus.router import make_metrics_router


class MetricsSettings(BaseSettings):
    """Mix it in: `class Settings(MetricsSettings, BaseAppSettings)`."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    METRICS_ENABLED: bool = False
    """Measure requests and answer scrapes."""
    METRICS_PATH: str = "/metrics"
    METRICS_TOKEN: SecretStr | None = None
    """What a scrape must carry, as `Authorization: Bearer` or `X-Ops-Token`."""
    METRICS_NETWORKS: tuple[str, ...] = ()
    """Addresses and CIDR blocks that may scrape without the token, as a JSON list."""
    METRICS_GROUPS: str = "all"
    """`all`, or of `traffic`, `performance`, `reliability`, with commas."""
    METRICS_MAX_SERIES: int = Field(default=DEFAULT_MAX_SERIES, ge=1)
    """Series of one metric; what comes later is counted in its overflow series."""
    METRICS_GZIP: bool = True
    """Compress scrapes for who accepts it."""

    @field_validator("METRICS_GROUPS")
    @classmethod
    def _known_groups(cls, value: str) -> str:
        unknown = sorted(_groups(value) - GROUPS)
        if unknown:
            known = ", ".join(sorted(GROUPS))
            raise ValueError(f"unknown group {unknown[0]!r}; use all, or of {known}")
        return value

    @property
    def metrics_groups(self) -> frozenset[str]:
        """`METRICS_GROUPS` as `HTTPMetrics` takes them."""
        return _groups(self.METRICS_GROUPS)


_INSTALLED = "tijolo_metrics_installed"


def install_metrics(
    app: FastAPI,
    settings: MetricsSettings,
    *,
    metrics: Metrics | None = None,
    measure: bool = True,
) -> Metrics:
    """Put `PrometheusMiddleware` and the scrape endpoints on `app`, as the settings say.

    Call it before the application starts. `tijolo.web.create_app` does, for settings with
    this mixin.
    With `METRICS_ENABLED` false it only makes the `Metrics`, so that the service's own code can
    count in any case.

    Args:
        metrics: default, a new one limited by `METRICS_MAX_SERIES`.
        measure: False where another layer tells an `HTTPMetrics` of the requests.

    Raises:
        ValueError: metrics are enabled, and neither `METRICS_TOKEN` nor `METRICS_NETWORKS` says
            who may see them.
        RuntimeError: the application has metrics already; `create_app`'s are `app.state.metrics`.
    """
    if metrics is None:
        metrics = Metrics(max_series=settings.METRICS_MAX_SERIES)
    if not settings.METRICS_ENABLED:
        return metrics
    token, networks = settings.METRICS_TOKEN, settings.METRICS_NETWORKS
    if not (token and token.get_secret_value()) and not networks:
        raise ValueError(
            "METRICS_ENABLED needs METRICS_TOKEN, METRICS_NETWORKS or both, or everybody could"
            " see the metrics"
        )
    if getattr(app.state, _INSTALLED, False):
        raise RuntimeError(
            "the application has metrics already, as create_app's have with MetricsSettings: count"
            " with app.state.metrics"
        )
    setattr(app.state, _INSTALLED, True)
    access = OpsAccess(token=token, networks=networks)
    path = settings.METRICS_PATH
    if measure:
        app.add_middleware(
            PrometheusMiddleware,
            metrics=metrics,
            groups=settings.metrics_groups,
            exclude_paths=[path],
        )
    app.include_router(
        make_metrics_router(metrics, access=access, path=path, compress=settings.METRICS_GZIP)
    )
    return metrics


def _groups(text: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    return names if names - {"all"} else frozenset(GROUPS)
