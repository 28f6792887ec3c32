"""Structured, redacted, non-blocking logs and health endpoints for FastAPI services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.observability._compat import COMPAT as _COMPAT
from tijolo.observability._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.observability.health import (
    DetailAuthorizer,
    HealthAggregatePolicy,
    HealthCheck,
    HealthCheckResult,
    HealthConfig,
    HealthReport,
    HealthStatus,
    Readiness,
)
from tijolo.observability.health_monitor import HealthMonitor
from tijolo.observability.health_router import make_health_router
from tijolo.observability.redaction import Redactor, redact_query, redact_text

__all__ = [
    "DetailAuthorizer",
    "HealthAggregatePolicy",
    "HealthCheck",
    "HealthCheckResult",
    "HealthConfig",
    "HealthMonitor",
    "HealthReport",
    "HealthStatus",
    "Readiness",
    "Redactor",
    "__version__",
    "make_health_router",
    "redact_query",
    "redact_text",
]
