"""The request's id on this package's log records, whatever logging the service configured."""

from __future__ import annotations

import logging

from tijolo.core import get_request_id


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        # not through extra=: that raises where a record factory has set the attribute already
        if not hasattr(record, "request_id"):
            record.request_id = get_request_id()
        return True


def with_request_id(logger: logging.Logger) -> logging.Logger:
    """Let every record that is logged on ``logger`` carry ``request_id``."""
    logger.addFilter(_RequestIdFilter())
    return logger
