"""Row 7.1: what one log record costs, formatted as JSON, against the text formatter of stdlib."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable

import orjson
import structlog
from pythonjsonlogger.json import JsonFormatter as PythonJsonFormatter

from tests.benchmarks.harness import Contender, Group
from tijolo.observability import JSONFormatter, LogQueueHandler, Redactor, TextFormatter

STDLIB = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _Discard(io.StringIO):
    """A stream that costs one method call."""

    def write(self, text: str) -> int:
        return len(text)


def _stdlib_logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger(name, logging.INFO)
    logger.addHandler(handler)
    return logger


def _formatted(name: str, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.StreamHandler(_Discard())
    handler.setFormatter(formatter)
    return _stdlib_logger(name, handler)


def _plain(logger: logging.Logger) -> Callable[[int], None]:
    def run(count: int) -> None:
        for number in range(count):
            logger.info("order %d created", number)

    return run


def _with_fields(logger: logging.Logger) -> Callable[[int], None]:
    def run(count: int) -> None:
        for number in range(count):
            logger.info("order created", extra={"order": number, "total": 9.5, "customer": "bob"})

    return run


def _structlog(count_fields: bool) -> Callable[[int], None]:
    class Sink:
        def msg(self, _line: bytes) -> None:
            return None

        info = msg

    logger = structlog.wrap_logger(
        Sink(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()

    def run(count: int) -> None:
        for number in range(count):
            if count_fields:
                logger.info("order created", order=number, total=9.5, customer="bob")
            else:
                logger.info("order created", order=number)

    return run


class _Nowhere(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        return None


def _queued() -> logging.Logger:
    """What the caller pays for the queue, while the writing thread competes for the interpreter."""
    handler = LogQueueHandler([_Nowhere()], capacity=1_000_000, redactor=Redactor())
    return _stdlib_logger("queued", handler)


def groups() -> list[Group]:
    """One record without fields, and one with three."""
    baseline = _formatted("app.orders", logging.Formatter(STDLIB))
    ours = _formatted("app.orders", JSONFormatter())
    text = _formatted("app.orders", TextFormatter())
    peer = _formatted("app.orders", PythonJsonFormatter(STDLIB))
    queued = _queued()
    return [
        Group(
            row="7.1",
            title="JSON log record, redaction included",
            clock=time.thread_time,
            contenders=[
                Contender(name="stdlib text formatter", run=_plain(baseline), role="baseline"),
                Contender(name="tijolo JSONFormatter", run=_plain(ours), goal=1.0),
                Contender(name="tijolo TextFormatter", run=_plain(text)),
                Contender(name="tijolo queue, the caller's part", run=_plain(queued)),
                Contender(name="python-json-logger", run=_plain(peer), role="peer"),
                Contender(name="structlog + orjson, bare sink", run=_structlog(False), role="peer"),
            ],
        ),
        Group(
            row="7.1b",
            title="the same with three fields",
            clock=time.thread_time,
            contenders=[
                Contender(
                    name="stdlib text, fields lost", run=_with_fields(baseline), role="baseline"
                ),
                Contender(name="tijolo JSONFormatter", run=_with_fields(ours)),
                Contender(name="python-json-logger", run=_with_fields(peer), role="peer"),
                Contender(name="structlog + orjson, bare sink", run=_structlog(True), role="peer"),
            ],
        ),
    ]
