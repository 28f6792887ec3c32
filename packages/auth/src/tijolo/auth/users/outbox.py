"""Work that is done after the answer, so that its time tells nobody anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tijolo.core import ServiceUnavailableException

Job = Callable[[], Awaitable[object]]
_log = logging.getLogger("tijolo.auth.users")


class Outbox:
    """Does jobs in the background, a few at a time, and holds no more than it may.

    A job that fails is logged. Jobs are lost with the process: what they do can be asked for
    again, such as an e-mail with a link.

    Args:
        limit: Jobs that may wait or run at once before new work is refused.
        workers: How many run at once.
        timeout_seconds: After which a job is given up, and how long ``disconnect`` waits.
    """

    def __init__(
        self, *, limit: int = 1000, workers: int = 4, timeout_seconds: float = 60.0
    ) -> None:
        self.limit = limit
        self.failures = 0
        """Jobs that failed or were dropped."""
        self._timeout_seconds = timeout_seconds
        self._free = asyncio.Semaphore(workers)
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def check_room(self) -> None:
        """Ask before the work that ends in a job, whether or not it will.

        Raises:
            ServiceUnavailableException: There is no room.
        """
        if len(self._tasks) >= self.limit:
            raise ServiceUnavailableException(
                "Too many e-mails are waiting; try again",
                code="MAIL_QUEUE_FULL",
                retry_after_seconds=5,
            )

    def put(self, job: Job) -> None:
        """Do ``job`` soon, and let nobody wait for it: as :meth:`begin`."""
        self.begin(job)

    def begin(self, job: Job) -> asyncio.Task[None] | None:
        """Do ``job`` soon; with twice as many as there should be, it is dropped and logged: None.

        The rest of the room is for those that were let in before it was full, and for jobs of
        jobs: work that was begun must not lose its e-mail.
        """
        if len(self._tasks) >= 2 * self.limit:
            self.failures += 1
            _log.error("a job after a commit was dropped: %d are waiting", len(self._tasks))
            return None
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, job: Job) -> None:
        """Do ``job`` now, and to its end although whoever waits is cancelled."""
        task = self.begin(job)
        if task is not None:
            await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until nothing is left to do, the jobs that jobs put there included."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def disconnect(self) -> None:
        """Let what waits be done, for a while; then drop it."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self.drain()
        except TimeoutError:
            _log.error("%d jobs were dropped at the shutdown", len(self._tasks))
            for task in list(self._tasks):
                task.cancel()

    async def _run(self, job: Job) -> None:
        async with self._free:
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await job()
            except Exception:
                self.failures += 1
                _log.exception("a job after a commit failed")
