"""Prometheus metrics: the extra `prometheus` of tijolo-observability."""

from tijolo.observability.prometheus._exemplars import trace_exemplar
from tijolo.observability.prometheus.exposition import Exposition
from tijolo.observability.prometheus.families import OVERFLOW, Counter, Gauge, Histogram
from tijolo.observability.prometheus.http import (
    DEFAULT_SIZE_BUCKETS,
    MEASURED_KEY,
    HTTPMetrics,
)
from tijolo.observability.prometheus.hub import (
    DEFAULT_LATENCY_BUCKETS,
    Metrics,
    make_prometheus_registry,
)
from tijolo.observability.prometheus.jobs import DEFAULT_JOB_BUCKETS, JobMetrics
from tijolo.observability.prometheus.middleware import PrometheusMiddleware
from tijolo.observability.prometheus.observers import (
    QUERY_BUCKETS,
    CacheMetrics,
    DatabaseMetrics,
    HTTPClientMetrics,
    PoolStats,
    SessionMetrics,
)
from tijolo.observability.prometheus.router import make_metrics_router, make_prometheus_router
from tijolo.observability.prometheus.runtime import RuntimeMonitor
from tijolo.observability.prometheus.settings import MetricsSettings, install_metrics

__all__ = [
    "DEFAULT_JOB_BUCKETS",
    "DEFAULT_LATENCY_BUCKETS",
    "DEFAULT_SIZE_BUCKETS",
    "MEASURED_KEY",
    "OVERFLOW",
    "QUERY_BUCKETS",
    "CacheMetrics",
    "Counter",
    "DatabaseMetrics",
    "Exposition",
    "Gauge",
    "HTTPClientMetrics",
    "HTTPMetrics",
    "Histogram",
    "JobMetrics",
    "Metrics",
    "MetricsSettings",
    "PoolStats",
    "PrometheusMiddleware",
    "RuntimeMonitor",
    "SessionMetrics",
    "install_metrics",
    "make_metrics_router",
    "make_prometheus_registry",
    "make_prometheus_router",
    "trace_exemplar",
]
