"""Work off the event loop in a thread of its own, one call at a time, that can hold up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

R = TypeVar("R")
_IDLE_SECONDS = 60.0
_Work = tuple[Future[Any], Callable[[], Any]]


class BusyError(RuntimeError):
    """As many are waiting as may."""


class OneThread:
    """Runs one call after the other; `waiting` of them at most, the one that runs included.

    The thread is a daemon, for what it does can hang (a disk, a driver): the process ends all the
    same. It ends when it has nothing to do for a minute.
    """

    def __init__(self, name: str, *, waiting: int) -> None:
        self._name = name
        self._limit = waiting
        self._lock = Lock()
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        self._thread: Thread | None = None
        self._waiting = 0

    async def run(self, work: Callable[[], R]) -> R:
        """What `work` returns or raises.

        Raises:
            BusyError: too many are waiting.
        """
        future: Future[R] = Future()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a fork has no threads
                self._queue, self._waiting = SimpleQueue(), 0
                self._thread = Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            if self._waiting >= self._limit:
                raise BusyError(f"{self._limit} calls wait for the thread {self._name}")
            self._waiting += 1
            self._queue.put((future, work))
        return await asyncio.wrap_future(future)

    def _serve(self) -> None:
        while True:
            try:
                future, work = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            self._serve_one(future, work)
            del future, work  # what they hold need not wait for the next one

    def _serve_one(self, future: Future[Any], work: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            self._ended()
            return
        try:
            result = work()
        except BaseException as exc:
            self._ended()
            future.set_exception(exc)
        else:
            self._ended()
            future.set_result(result)

    def _ended(self) -> None:
        with self._lock:
            self._waiting -= 1
