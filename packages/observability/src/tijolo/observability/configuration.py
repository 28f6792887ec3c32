"""Setting logging up and taking it down, for a whole process or for one branch of its loggers."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tijolo.observability.formatters import JSONFormatter, TextFormatter
from tijolo.observability.log_files import FileLimits, level_file_handlers
from tijolo.observability.log_queue import LogQueueHandler, last_step
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor

DEFAULT_LOG_DIR = "logs"
DEFAULT_QUEUE_SIZE = 10_000

FOREIGN_LOGGERS: tuple[str, ...] = (
    "fastapi",
    "gunicorn.access",
    "gunicorn.error",
    "hypercorn.access",
    "hypercorn.error",
    "sqlalchemy",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.asgi",
    "uvicorn.error",
)
"""Loggers whose libraries give them handlers of their own."""

LogFilter = logging.Filter | Callable[[logging.LogRecord], bool]


@dataclass(frozen=True)
class _Installed:
    handler: LogQueueHandler
    owned_sinks: tuple[logging.Handler, ...]


_installed: dict[str | None, _Installed] = {}
_lock = threading.RLock()


def configure_logging(
    level: str | int = "INFO",
    *,
    json_output: bool = True,
    logger_name: str | None = None,
    log_dir: str | Path | None = None,
    stdout: bool = True,
    file_output: bool | None = None,
    limits: FileLimits | None = None,
    queue_size: int = DEFAULT_QUEUE_SIZE,
    redactor: Redactor = DEFAULT_REDACTOR,
    sinks: Sequence[logging.Handler] = (),
    filters: Iterable[LogFilter] = (),
) -> logging.Logger:
    """Send a logger and all below it, by default all loggers, to stdout and files.

    A second call for the same logger replaces the first. Nobody waits for the output: a thread
    writes it, see `LogQueueHandler`. Servers' and libraries' own handlers are removed
    (`FOREIGN_LOGGERS`), so that their records come out in the same shape.

    Args:
        level: name or number of the lowest level.
        json_output: JSON lines, or text for people, coloured when stdout is a terminal.
        logger_name: None for the root.
        log_dir: where the files go; naming one turns `file_output` on.
        stdout: write to stdout.
        file_output: write `LEVEL_LOG_FILES` and `HTTP_500_LOG_FILE`; None follows `log_dir`.
        limits: size, number and age of the files.
        queue_size: records that may wait to be written; when it is full, new ones are dropped
            and counted. 0 writes in the caller.
        redactor: what is hidden.
        sinks: handlers of your own. They get redacted records, and are flushed but not closed.
        filters: called where the record is logged, before it is queued.

    Raises:
        ValueError: the level or the queue size makes no sense.
        OSError: the directory cannot be made.
    """
    number = level_number(level)
    wants_files = log_dir is not None if file_output is None else file_output
    owned: list[logging.Handler] = []
    if stdout:
        owned.append(_stdout_handler(redactor, json_output=json_output))
    if wants_files:
        directory = Path(log_dir or DEFAULT_LOG_DIR)
        owned += _file_handlers(directory, limits or FileLimits(), redactor, json_output)
    handler = LogQueueHandler([*owned, *sinks], capacity=queue_size, redactor=redactor)
    for one in filters:
        handler.addFilter(one)
    return _install(logger_name, number, _Installed(handler, tuple(owned)))


def stop_logging(timeout: float = 5.0) -> None:
    """Write what is waiting, for `timeout` seconds at most, and undo every `configure_logging`.

    Call it last in the shutdown of the service; the end of the process does it too.
    """
    with _lock:
        for name, installed in list(_installed.items()):
            logger = logging.getLogger(name)
            logger.removeHandler(installed.handler)
            logger.propagate = True
            _retire(installed, timeout)
            del _installed[name]


def get_logger(name: str) -> logging.Logger:
    """The logger `name`; name it after its place: `app.auth.service`."""
    return logging.getLogger(name)


def unify_loggers(names: Iterable[str] = FOREIGN_LOGGERS) -> None:
    """Remove the handlers of these loggers and let their records rise to those above.

    `configure_logging` does it for `FOREIGN_LOGGERS`; a server that configures its loggers
    afterwards needs it once more, for instance during start-up. One that was switched off (no
    handler and no propagation) stays off.
    """
    for name in names:
        logger = logging.getLogger(name)
        if not logger.handlers and not logger.propagate:
            continue  # switched off, as uvicorn does with its access log when it is told to
        for handler in logger.handlers[:]:
            if not isinstance(handler, LogQueueHandler):
                logger.removeHandler(handler)
        logger.propagate = name not in _installed


def _install(name: str | None, level: int, installed: _Installed) -> logging.Logger:
    logger = logging.getLogger(name)
    if _is_worker():
        _stop_with_worker()
    with _lock:
        previous = _installed.get(name)
        _installed[name] = installed
        logger.addHandler(installed.handler)
        logger.setLevel(level)
        if name is None:
            unify_loggers()
        else:
            logger.propagate = False
        if previous is not None:
            logger.removeHandler(previous.handler)
            _retire(previous, 5.0)
    return logger


def _retire(installed: _Installed, timeout: float) -> None:
    installed.handler.stop(timeout)
    installed.handler.close()
    for sink in installed.owned_sinks:
        if sink not in installed.handler.hung:
            last_step(sink.close, sink)


def level_number(level: str | int) -> int:
    """`level` as a number; ValueError for a name that is none."""
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    number = known.get(level.strip().upper())
    if number is None:
        raise ValueError(f"Unknown log level {level!r}; there are: {', '.join(known)}")
    return number


def _stdout_handler(redactor: Redactor, *, json_output: bool) -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    encoding: str = getattr(sys.stdout, "encoding", None) or "utf-8"
    if json_output:
        handler.setFormatter(
            JSONFormatter(redactor=redactor, ascii_only=encoding.lower().replace("-", "") != "utf8")
        )
    else:
        handler.setFormatter(
            TextFormatter(redactor=redactor, color=sys.stdout.isatty(), encoding=encoding)
        )
    return handler


def _file_handlers(
    directory: Path, limits: FileLimits, redactor: Redactor, json_output: bool
) -> list[logging.Handler]:
    handlers = level_file_handlers(directory, limits)
    for handler in handlers:
        handler.setFormatter(
            JSONFormatter(redactor=redactor) if json_output else TextFormatter(redactor=redactor)
        )
    return handlers


def _stop_with_worker(_: object = None) -> None:
    """Processes of `multiprocessing` end by `os._exit`, which calls its finalizers only."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, stop_logging, exitpriority=-100)


def _is_worker() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _before_fork() -> None:
    global _fork_watched
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _fork_watched:
        # A worker forgets the finalizers of its parent and then calls what is registered here.
        util.register_after_fork(stop_logging, _stop_with_worker)
        _fork_watched = True


_fork_watched = False
atexit.register(stop_logging)
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork)
