"""Password hashing away from the event loop, by a few threads with a short queue."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import SecretStr

from tijolo.auth.passwords import PasswordUtils
from tijolo.core import ServiceUnavailableException

ResultT = TypeVar("ResultT")


class HashingBusyException(ServiceUnavailableException):
    """More passwords wait to be hashed than will be done in time; everything else goes on."""

    code = "PASSWORD_HASHING_BUSY"
    message = "Too many logins at once; try again"


class HashService:
    """Hashes and verifies in its own threads, so that a flood of logins slows logins only.

    bcrypt releases the interpreter's lock, so each thread takes a whole core: with as many as
    there are cores, nothing else would be served. What finds the queue full is a 503 with
    ``Retry-After``. It satisfies ``tijolo.core.Resource``.

    Args:
        passwords: What makes and checks the hashes.
        workers: Threads; default half of the cores, at least one.
        queue_limit: How many may wait for a thread.

    Raises:
        ValueError: for fewer than one worker, or a negative limit.
    """

    def __init__(
        self, passwords: PasswordUtils, *, workers: int | None = None, queue_limit: int = 64
    ) -> None:
        self.workers = workers if workers is not None else max(1, (os.cpu_count() or 1) // 2)
        if self.workers < 1 or queue_limit < 0:
            raise ValueError(f"needs 1 worker and a limit of 0; got {workers} and {queue_limit}")
        self.passwords = passwords
        self.queue_limit = queue_limit
        self._dummy = passwords.dummy()
        self._pending = 0
        self._executor: ThreadPoolExecutor | None = None

    async def connect(self) -> None:
        """Start the threads; also done by the first password."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.workers, thread_name_prefix="tijolo-hash")

    async def disconnect(self) -> None:
        """Let what runs come to its end, drop what waits, stop the threads."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True, cancel_futures=True)

    async def health_check(self) -> bool:
        """False while the queue is full."""
        return self._pending < self.workers + self.queue_limit

    async def hash(self, plain: SecretStr | str) -> str:
        """As ``PasswordUtils.hash``.

        Raises:
            HashingBusyException: The queue is full.
            ValueError: The password is empty or too long.
        """
        return await self._run(lambda: self.passwords.hash(plain))

    async def verify(self, plain: SecretStr | str, hashed: str | None) -> bool:
        """As ``PasswordUtils.verify``; with None for an unknown user, as slow and False.

        Raises:
            HashingBusyException: The queue is full.
        """
        known = self._dummy if hashed is None else hashed
        verified = await self._run(lambda: self.passwords.verify(plain, known))
        return verified and hashed is not None

    async def verify_and_update(
        self, plain: SecretStr | str, hashed: str | None
    ) -> tuple[bool, str | None]:
        """Verify, and make a new hash where the stored one is not what :meth:`hash` makes today.

        Returns:
            Whether the password is right, and the hash to store instead, None to keep it.
        """

        def work() -> tuple[bool, str | None]:
            known = self._dummy if hashed is None else hashed
            if not self.passwords.verify(plain, known) or hashed is None:
                return False, None
            stale = self.passwords.needs_rehash(hashed)
            return True, self.passwords.hash(plain) if stale else None

        return await self._run(work)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._pending >= self.workers + self.queue_limit:
            raise HashingBusyException(retry_after_seconds=1)
        await self.connect()
        assert self._executor is not None  # noqa: S101 - connect() made it
        future = self._executor.submit(work)
        self._pending += 1
        loop = asyncio.get_running_loop()
        # a caller that leaves frees nothing: the thread is at work until it is done
        future.add_done_callback(lambda _: _call_soon(loop, self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._pending -= 1


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if loop.is_closed():
        callback()
    else:
        loop.call_soon_threadsafe(callback)
