from __future__ import annotations

import contextlib
import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import tijolo.observability
from tijolo.core import MissingExtraError

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


def test_logs_alone_cost_neither_fastapi_nor_pydantic():
    source = (
        "import sys; from tijolo.observability import configure_logging, get_logger, JSONFormatter;"
        " print(*(n for n in ('pydantic', 'pydantic_settings', 'fastapi') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_every_name_is_there_also_when_every_module_was_imported():
    for module in pkgutil.iter_modules(tijolo.observability.__path__):
        with contextlib.suppress(MissingExtraError):
            importlib.import_module(f"tijolo.observability.{module.name}")
    for name in tijolo.observability.__all__:
        assert not isinstance(getattr(tijolo.observability, name), ModuleType), name
