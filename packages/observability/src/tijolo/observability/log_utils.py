"""A logger whose methods take fields as keywords."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tijolo.core import get_request_id
from tijolo.observability.configuration import configure_logging
from tijolo.observability.records import FIELDS_ATTRIBUTE


class LogUtils:
    """Logs a message with fields of any name: `log.info("stored", filename="a.pdf", size=3)`.

    The keyword `exc_info` keeps its meaning of the standard library; every other one is a field.

    Args:
        name: of the logger.
        level, json_output, log_dir, stdout, file_output: given any of them, this logger gets an
            output of its own by `configure_logging`. Given none it uses what is configured
            above it; where there is nothing, the root is configured with the defaults.
    """

    configure = staticmethod(configure_logging)

    def __init__(
        self,
        name: str,
        *,
        level: str | int | None = None,
        json_output: bool | None = None,
        log_dir: str | Path | None = None,
        stdout: bool | None = None,
        file_output: bool | None = None,
    ) -> None:
        self.name = name
        self.logger = logging.getLogger(name)
        options = {
            "level": level,
            "json_output": json_output,
            "log_dir": log_dir,
            "stdout": stdout,
            "file_output": file_output,
        }
        given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
        if given:
            configure_logging(logger_name=name, **given)
        elif not self.logger.hasHandlers():
            configure_logging()

    @staticmethod
    def get_logger(name: str) -> logging.Logger:
        """The standard logger `name`."""
        return logging.getLogger(name)

    @staticmethod
    def current_request_id() -> str | None:
        """Id of the current request; None outside one."""
        return get_request_id()

    def debug(self, message: str, /, **fields: Any) -> None:
        """Log at DEBUG."""
        self._log(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        """Log at INFO."""
        self._log(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: Any) -> None:
        """Log at WARNING."""
        self._log(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        """Log at ERROR."""
        self._log(logging.ERROR, message, fields)

    def critical(self, message: str, /, **fields: Any) -> None:
        """Log at CRITICAL."""
        self._log(logging.CRITICAL, message, fields)

    def exception(self, message: str, /, **fields: Any) -> None:
        """Log at ERROR with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, message, {"exc_info": True, **fields})

    def _log(self, level: int, message: str, fields: dict[str, Any]) -> None:
        if not self.logger.isEnabledFor(level):
            return
        exc_info = fields.pop("exc_info", None)
        extra = {FIELDS_ATTRIBUTE: fields} if fields else None
        self.logger.log(level, message, exc_info=exc_info, extra=extra, stacklevel=3)
