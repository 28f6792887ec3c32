"""A consumer's question to its issuer: is this token still good?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from pydantic import SecretStr

from tijolo.auth.fetching import Fetch, FetchError, FetchRequest, ThreadedFetch, check_url
from tijolo.auth.principal import Principal
from tijolo.auth.revocation import FailureMode, GuardedChecker

INTERNAL_TOKEN_HEADER = "X-Internal-Token"  # noqa: S105 - a header's name
_MAX_BYTES = 16_384


class RemoteRevocationClient:
    """Asks the issuer's introspection endpoint (RFC 7662); a ``RevocationChecker``.

    An answer is believed for ``cache_seconds``, and requests with the same token share one
    question; that long, and while an answer is on its way, a revoked token may still pass. With 0
    every request asks for itself. An issuer that is down is left alone but for one request in
    ``retry_seconds``, as ``GuardedChecker`` does it: nobody else waits for its timeout.

    Args:
        introspection_url: Of the issuer.
        private_api_secret: What shows the issuer that we may ask.
        fetch: How it is asked; default a thread and a connection for each question, which a
            client with a pool spares (``tijolo.auth.remote.ClientFetch``).
        timeout_seconds: Longest wait.
        failure_mode: Closed: a 503 while the issuer is silent. Open: the token is believed.
        cache_seconds: How long an answer is believed; 0 asks at every request.
        cache_size: Answers that are remembered; the oldest gives way.
        header_name: The header of the secret.
        retry_seconds: How long an issuer that is down is left alone.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a URL that is none, or an empty secret.
    """

    def __init__(
        self,
        *,
        introspection_url: str,
        private_api_secret: SecretStr | str,
        fetch: Fetch | None = None,
        timeout_seconds: float = 3.0,
        failure_mode: FailureMode = FailureMode.CLOSED,
        cache_seconds: float = 2.0,
        cache_size: int = 10_000,
        header_name: str = INTERNAL_TOKEN_HEADER,
        retry_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = ThreadedFetch() if fetch is None else None
        self._question = _Question(
            check_url(introspection_url, "introspection_url"),
            _secret(private_api_secret),
            fetch or cast("Fetch", self._own),
            timeout_seconds,
            header_name,
            # an answer that was on its way before the token was revoked is as old as a cached one
            share=cache_seconds > 0,
        )
        self._guard = GuardedChecker(
            self._question,
            failure_mode=failure_mode,
            timeout_seconds=timeout_seconds,
            cache_seconds=cache_seconds,
            cache_size=cache_size,
            retry_seconds=retry_seconds,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"RemoteRevocationClient({self._question.url!r}, {self._guard.failure_mode.value})"

    @property
    def failures(self) -> int:
        """How often the issuer gave no answer."""
        return self._guard.failures

    async def is_revoked(self, principal: Principal, token: str) -> bool:
        """Whether the issuer says that the token is not good any more.

        Raises:
            RevocationUnavailableException: It says nothing, and the mode is fail_closed.
        """
        return await self._guard.is_revoked(principal, token)

    async def close(self) -> None:
        """Stop what is under way; a ``fetch`` that was given stays open."""
        await self._question.close()
        if self._own is not None:
            await self._own.close()


class _Question:
    """The call itself, once for all who ask the same at the same time."""

    def __init__(
        self,
        url: str,
        secret: str,
        fetch: Fetch,
        timeout_seconds: float,
        header_name: str,
        *,
        share: bool,
    ) -> None:
        self.url = url
        self._headers = {
            header_name: secret,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        self._fetch, self._timeout = fetch, timeout_seconds
        self._share = share
        self._asking: dict[str, asyncio.Task[bool]] = {}

    async def is_revoked(self, principal: Principal, token: str) -> bool:
        if not self._share:
            return await self._ask(token)
        task = self._asking.get(token)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(token))
            self._asking[token] = task
            task.add_done_callback(lambda done: self._answered(token, done))
        # whoever gives up does not take the others' answer away, nor does close() end them
        await asyncio.wait([task])
        if task.cancelled():
            raise FetchError("the client was closed")
        return task.result()

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answered(self, token: str, task: asyncio.Task[bool]) -> None:
        self._asking.pop(token, None)
        if not task.cancelled():
            task.exception()

    async def _ask(self, token: str) -> bool:
        request = FetchRequest(
            url=self.url,
            method="POST",
            headers=self._headers,
            body=urlencode({"token": token}).encode("ascii"),
            timeout_seconds=self._timeout,
            max_bytes=_MAX_BYTES,
        )
        async with asyncio.timeout(self._timeout):
            response = await self._fetch(request)
        if response.status != 200 or len(response.body) > _MAX_BYTES:
            raise FetchError(f"introspection answered with status {response.status}")
        answer: object = json.loads(response.body)
        active = cast("dict[str, Any]", answer).get("active") if isinstance(answer, dict) else None
        if not isinstance(active, bool):
            raise FetchError("introspection answered without 'active'")
        return not active


def _secret(value: SecretStr | str) -> str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("private_api_secret must be printable ASCII, and not empty")
    return text
