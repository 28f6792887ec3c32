"""Structured, redacted, non-blocking logs and health endpoints for FastAPI services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.observability._compat import COMPAT as _COMPAT
from tijolo.observability._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.observability.configuration import (
    FOREIGN_LOGGERS,
    configure_logging,
    get_logger,
    stop_logging,
    unify_loggers,
)
from tijolo.observability.formatters import JSONFormatter, TextFormatter
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
from tijolo.observability.log_buffer import LogBuffer
from tijolo.observability.log_files import HTTP_500_LOG_FILE, LEVEL_LOG_FILES, FileLimits
from tijolo.observability.log_levels import (
    get_log_levels,
    make_log_levels_router,
    set_log_level,
)
from tijolo.observability.log_queue import LogQueueHandler
from tijolo.observability.log_utils import LogUtils
from tijolo.observability.logs_router import LogEntrySchema, LogSource, make_logs_router
from tijolo.observability.redaction import Redactor, redact_query, redact_text
from tijolo.observability.settings import LogSettings, configure_logging_from_settings
from tijolo.observability.tracing_settings import TracingSettings, setup_tracing_from_settings

__all__ = [
    "FOREIGN_LOGGERS",
    "HTTP_500_LOG_FILE",
    "LEVEL_LOG_FILES",
    "DetailAuthorizer",
    "FileLimits",
    "HealthAggregatePolicy",
    "HealthCheck",
    "HealthCheckResult",
    "HealthConfig",
    "HealthMonitor",
    "HealthReport",
    "HealthStatus",
    "JSONFormatter",
    "LogBuffer",
    "LogEntrySchema",
    "LogQueueHandler",
    "LogSettings",
    "LogSource",
    "LogUtils",
    "Readiness",
    "Redactor",
    "TextFormatter",
    "TracingSettings",
    "__version__",
    "configure_logging",
    "configure_logging_from_settings",
    "get_log_levels",
    "get_logger",
    "make_health_router",
    "make_log_levels_router",
    "make_logs_router",
    "redact_query",
    "redact_text",
    "set_log_level",
    "setup_tracing_from_settings",
    "stop_logging",
    "unify_loggers",
]
