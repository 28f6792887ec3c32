"""Structured, redacted, non-blocking logs and health endpoints for FastAPI services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.observability._compat import COMPAT as _COMPAT
from tijolo.observability._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.core.lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
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

# A name brings its module, and what that imports, when it is first asked for.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "configuration": "FOREIGN_LOGGERS configure_logging get_logger stop_logging unify_loggers",
        "formatters": "JSONFormatter TextFormatter",
        "health": (
            "DetailAuthorizer HealthAggregatePolicy HealthCheck HealthCheckResult "
            "HealthConfig HealthReport HealthStatus Readiness"
        ),
        "health_monitor": "HealthMonitor",
        "health_router": "make_health_router",
        "log_buffer": "LogBuffer",
        "log_files": "HTTP_500_LOG_FILE LEVEL_LOG_FILES FileLimits",
        "log_levels": "get_log_levels make_log_levels_router set_log_level",
        "log_queue": "LogQueueHandler",
        "log_utils": "LogUtils",
        "logs_router": "LogEntrySchema LogSource make_logs_router",
        "redaction": "Redactor redact_query redact_text",
        "settings": "LogSettings configure_logging_from_settings",
        "tracing_settings": "TracingSettings setup_tracing_from_settings",
    },
)

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
