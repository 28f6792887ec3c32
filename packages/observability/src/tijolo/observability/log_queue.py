"""Logging that never waits for a disk or a pipe: a bounded queue and one thread that writes."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from tijolo.observability.records import detached
from tijolo.observability.redaction import Redactor

_FORK_WAIT_SECONDS = 1.0


class LogQueueHandler(logging.Handler):
    """Takes what a record says in the thread that logs, and lets another thread write it.

    When `capacity` records are waiting, new ones are dropped and counted; the count is logged as
    a warning as soon as there is room. With a capacity of 0 the caller writes, and waits.

    Args:
        sinks: the handlers that write; their levels and filters are honoured.
        capacity: records that may wait.
        redactor: what is hidden.
    """

    def __init__(
        self, sinks: Sequence[logging.Handler], *, capacity: int, redactor: Redactor
    ) -> None:
        if capacity < 0:
            raise ValueError(f"The capacity of the log queue must be 0 or more, got {capacity!r}")
        super().__init__()
        self.sinks = tuple(sinks)
        self.capacity = capacity
        self.dropped = 0
        """Records lost since the start because the queue was full."""
        self._reported = 0
        self._redactor = redactor
        self._stopped = False
        self.hung: tuple[logging.Handler, ...] = ()
        """Sinks that were still busy when `stop` had waited long enough."""
        self._fork_waited = False
        self._reset()
        _handlers.add(self)

    def _reset(self) -> None:
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._writing = threading.RLock()
        self._writer: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a copy of `record`; handlers are locked, so there is one producer at a time."""
        if self._writer == threading.get_ident():
            return  # what a sink logs while it writes would come back to it for ever
        try:
            copy = detached(record, self._redactor)
            if self.hung:
                self.dropped += 1
            elif self.capacity == 0 or self._stopped:
                self._write(copy)
            elif self._queue.qsize() >= self.capacity:
                self.dropped += 1
            else:
                self._queue.put(copy)
                if self._thread is None or not self._thread.is_alive():
                    self._start()
        except Exception:
            _report(self, _stand_in(record))

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="tijolo-log-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: there are no more threads
            self._stopped = True
            self._queue.put(None)
            self._run()
        else:
            self._thread = thread

    def _run(self) -> None:
        queue = self._queue
        while (record := queue.get()) is not None:
            with suppress(BaseException):  # whatever a sink raises, the thread outlives it
                self._write(record)
                self._report_dropped()

    def _write(self, record: logging.LogRecord) -> None:
        with self._writing:
            self._writer = threading.get_ident()
            try:
                for sink in self.sinks:
                    _hand_over(record, sink)
            finally:
                self._writer = None

    def _report_dropped(self) -> None:
        lost = self.dropped - self._reported
        if lost == 0:
            return
        self._reported += lost
        message = "%d log records were dropped: the queue of %d was full"
        arguments = (lost, self.capacity)
        report = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, arguments, None)
        self._write(detached(report, self._redactor))

    def stop(self, timeout: float) -> None:
        """Write what is waiting, for `timeout` seconds at most; from then on callers write.

        A sink that hangs cannot hold the process: what it has not taken by then is lost.
        """
        with self.lock or self._writing:
            thread, self._stopped = self._thread, True
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout)
            if thread.is_alive():
                self._discard()
                self._abandon()
        if thread is None or not thread.is_alive():
            self._report_dropped()
        for sink in self.sinks:
            if sink not in self.hung:
                last_step(sink.flush, sink)

    def _discard(self) -> None:
        try:
            while True:
                self.dropped += self._queue.get_nowait() is not None
        except Empty:
            self._queue.put(None)  # for the thread, should it come back

    def _abandon(self) -> None:
        """Let nobody wait for the locks of the sinks that hang, `logging.shutdown` included."""
        self.hung = tuple(sink for sink in self.sinks if _is_held(sink))
        known: list[weakref.ref[logging.Handler]] = getattr(logging, "_handlerList", [])
        for reference in [one for one in known if one() in self.hung]:
            with suppress(ValueError):
                known.remove(reference)

    def before_fork(self) -> None:
        """Let the record that is being written end, so that the child holds no half of it."""
        self._fork_waited = self._writing.acquire(timeout=_FORK_WAIT_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        if self._fork_waited:
            self._writing.release()

    def after_fork_in_child(self) -> None:
        """A queue and a thread of its own; what waits in the old queue is the parent's to write."""
        self._reset()


def _hand_over(record: logging.LogRecord, sink: logging.Handler) -> None:
    if record.levelno < sink.level:
        return
    try:
        sink.handle(record)
    except Exception:
        _report(sink, record)


def _is_held(sink: logging.Handler) -> bool:
    if sink.lock is None:
        return False
    free = sink.lock.acquire(timeout=0.05)
    if free:
        sink.lock.release()
    return not free


def _stand_in(record: logging.LogRecord) -> logging.LogRecord:
    """What `handleError` may print of `record`: where it came from and nothing that it holds."""
    text = "<a log record that could not be queued>"
    return logging.LogRecord(
        record.name, record.levelno, record.pathname, record.lineno, text, None, None
    )


def _report(sink: logging.Handler, record: logging.LogRecord) -> None:
    """`handleError`, which writes to stderr, where nobody may be listening any more."""
    with suppress(Exception):
        sink.handleError(record)


def last_step(step: Callable[[], None], sink: logging.Handler) -> None:
    """Flush or close `sink`; a failure is reported, for the other sinks come after it."""
    try:
        step()
    except Exception:
        text = f"a log output could not {step.__name__}"
        _report(sink, logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, None, None))


_handlers: weakref.WeakSet[LogQueueHandler] = weakref.WeakSet()


def _each(step: str) -> None:
    for handler in list(_handlers):
        getattr(handler, step)()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(
        before=lambda: _each("before_fork"),
        after_in_parent=lambda: _each("after_fork_in_parent"),
        after_in_child=lambda: _each("after_fork_in_child"),
    )
