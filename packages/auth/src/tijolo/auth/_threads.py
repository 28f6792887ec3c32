"""Blocking work in a few threads of its own: a short queue, and a refusal when it is full."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class ThreadsBusyError(RuntimeError):
    """The queue is full, or it was closed before the work had its turn."""


class BoundedThreads:
    """Threads that begin with the first work, and after :meth:`close` with the next.

    Args:
        name: Of the threads.
        workers: How many.
        queue_limit: How much work may wait for one.

    Raises:
        ValueError: for fewer than one worker, or a negative limit.
    """

    def __init__(self, name: str, *, workers: int, queue_limit: int) -> None:
        if workers < 1 or queue_limit < 0:
            raise ValueError(f"needs 1 worker and a limit of 0; got {workers} and {queue_limit}")
        self.workers, self.queue_limit = workers, queue_limit
        self._name = name
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._pending = 0
        self._executor: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    @property
    def is_full(self) -> bool:
        """Whether more work would be refused."""
        return self._pending >= self.workers + self.queue_limit

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """What ``work`` gives.

        A caller that leaves takes back work that has not begun; what has begun keeps its place
        until it is done.

        Raises:
            ThreadsBusyError: The queue is full, or was closed.
        """
        if self._process != os.getpid():  # a fork copies the pool and none of its threads
            self._forget()
        if self.is_full:
            raise ThreadsBusyError("too much work waits")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.workers, thread_name_prefix=self._name)
        future = self._executor.submit(work)
        with self._lock:
            self._pending += 1
        # in the thread, not in the loop: that may be gone by then
        future.add_done_callback(self._done)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling() or not future.cancelled():
                raise
            raise ThreadsBusyError("the threads were closed") from None

    async def close(self, *, wait: bool) -> None:
        """Drop what waits and stop the threads; ``wait`` for what runs."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=wait, cancel_futures=True)

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1
