"""Password hashing away from the event loop, by a few threads with a short queue."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr

from tijolo.auth._threads import BoundedThreads, ThreadsBusyError
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
        chosen = workers if workers is not None else max(1, (os.cpu_count() or 1) // 2)
        self._threads = BoundedThreads("tijolo-hash", workers=chosen, queue_limit=queue_limit)
        self.workers, self.queue_limit = chosen, queue_limit
        self.passwords = passwords
        self._dummy = passwords.dummy()

    async def connect(self) -> None:
        """Nothing to do: the first password starts the threads."""

    async def disconnect(self) -> None:
        """Let what runs come to its end, refuse what waits, stop the threads."""
        await self._threads.close(wait=True)

    async def health_check(self) -> bool:
        """False while the queue is full."""
        return not self._threads.is_full

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
        """As ``PasswordUtils.verify_and_update``; with None for an unknown user, as slow and False.

        Raises:
            HashingBusyException: The queue is full.
        """
        if hashed is None:
            return await self.verify(plain, None), None
        return await self._run(lambda: self._verify_and_update(plain, hashed))

    def _verify_and_update(self, plain: SecretStr | str, hashed: str) -> tuple[bool, str | None]:
        right, better = self.passwords.verify_and_update(plain, hashed)
        if not right and self.passwords.is_cheaper(hashed):
            # a refusal that came sooner than that of an unknown user would say that there is one
            self.passwords.verify(plain, self._dummy)
        return right, better

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        try:
            return await self._threads.run(work)
        except ThreadsBusyError:
            raise HashingBusyException(retry_after_seconds=1) from None
