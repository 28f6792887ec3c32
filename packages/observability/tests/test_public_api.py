from __future__ import annotations

import tijolo.observability

NAMES = """
FOREIGN_LOGGERS HTTP_500_LOG_FILE LEVEL_LOG_FILES DetailAuthorizer FileLimits
HealthAggregatePolicy HealthCheck HealthCheckResult HealthConfig HealthMonitor HealthReport
HealthStatus JSONFormatter LogBuffer LogEntrySchema LogQueueHandler LogSettings LogSource LogUtils
Readiness Redactor TextFormatter TracingSettings __version__ configure_logging
configure_logging_from_settings get_log_levels get_logger make_health_router
make_log_levels_router make_logs_router redact_query redact_text set_log_level
setup_tracing_from_settings stop_logging unify_loggers
"""


def test_no_public_name_comes_or_goes_unnoticed():
    assert tijolo.observability.__all__ == NAMES.split()
    for name in NAMES.split():
        assert hasattr(tijolo.observability, name)
