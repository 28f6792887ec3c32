"""Prometheus metrics of an application, where its settings ask for them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tijolo.core import BaseAppSettings

if TYPE_CHECKING:
    from tijolo.observability.prometheus import HTTPMetrics, Metrics


class SocketMetricsMiddleware:
    """Measure WebSockets; requests are measured by the envelope, and pass."""

    def __init__(self, app: ASGIApp, *, http: HTTPMetrics) -> None:
        from tijolo.observability.prometheus import PrometheusMiddleware

        self.app = app
        self._measured = PrometheusMiddleware(app, http=http)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, measured or not."""
        await self.dispatch(scope, receive, send)

    def dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The same, without a coroutine of its own."""
        if scope["type"] == "websocket":
            return self._measured(scope, receive, send)
        return self.app(scope, receive, send)


class Measured:
    """What ``create_app`` needs to measure its requests, or nothing of it.

    Args:
        settings: Measured with ``MetricsSettings`` mixed in, and ``METRICS_ENABLED``. Whoever has
            that mixin has the extra, so it is imported only then.
        metrics: The service's own, or None for new ones.

    Raises:
        TypeError: for metrics without the settings that publish them.
        ValueError: where nothing says who may see them.
    """

    def __init__(self, app: FastAPI, settings: BaseAppSettings, metrics: Metrics | None) -> None:
        self.http: HTTPMetrics | None = None
        self.unmeasured_paths: tuple[str, ...] = ()
        self.layers: list[Middleware] = []
        if not hasattr(settings, "METRICS_ENABLED"):
            if metrics is not None:
                raise TypeError("metrics need MetricsSettings among the settings' mixins")
            return
        from tijolo.observability.prometheus import HTTPMetrics, MetricsSettings, install_metrics

        if not isinstance(settings, MetricsSettings):
            raise TypeError("METRICS_ENABLED must be a field of MetricsSettings")
        app.state.metrics = install_metrics(app, settings, metrics=metrics, measure=False)
        if settings.METRICS_ENABLED:
            self.http = HTTPMetrics(app.state.metrics, groups=settings.metrics_groups)
            self.unmeasured_paths = (settings.METRICS_PATH,)
            self.layers = [Middleware(SocketMetricsMiddleware, http=self.http)]
