"""How a consumer reaches its issuer: any asynchronous function, and one that needs no library."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """What is asked. The headers may hold a secret, and are not shown."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout_seconds: float = 5.0
    max_bytes: int = 65_536


@dataclass(frozen=True, kw_only=True)
class FetchResponse:
    """What came back, whole; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = field(default=b"", repr=False)


Fetch = Callable[[FetchRequest], Awaitable[FetchResponse]]
"""Asks another service: no redirects, no more than ``max_bytes``; raises when it fails."""


class FetchError(RuntimeError):
    """The other service did not answer, or not as it should."""


class ThreadedFetch:
    """Fetches with the standard library, in a few threads of its own, a connection for each call.

    Enough for a JWKS every five minutes. Where every request asks (``stateful``), take a client
    that keeps its connections: ``tijolo.auth.remote.ClientFetch``.

    Args:
        workers: Threads.
        queue_limit: How many calls may wait for one; more fail at once.
        context: Authorities and client certificates for https.
    """

    def __init__(
        self, *, workers: int = 4, queue_limit: int = 64, context: ssl.SSLContext | None = None
    ) -> None:
        if workers < 1 or queue_limit < 0:
            raise ValueError(f"needs 1 worker and a limit of 0; got {workers} and {queue_limit}")
        self._workers, self._limit = workers, queue_limit
        self._context = context
        self._pending = 0
        self._executor: ThreadPoolExecutor | None = None

    async def __call__(self, request: FetchRequest) -> FetchResponse:
        """Ask.

        Raises:
            FetchError: too many wait, no connection, no answer in time, or one too large.
        """
        if self._pending >= self._workers + self._limit:
            raise FetchError("too many calls wait for the other service")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="tijolo-fetch")
        loop = asyncio.get_running_loop()
        self._pending += 1
        work = loop.run_in_executor(self._executor, self._call, request)
        # whoever stops waiting frees nothing: the thread is at it until it is done
        work.add_done_callback(self._done)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await asyncio.shield(work)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"no answer ({type(error).__name__})") from error

    async def close(self) -> None:
        """Let go of the threads; calls under way end by their timeout."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, work: asyncio.Future[FetchResponse]) -> None:
        self._pending -= 1
        if not work.cancelled():
            work.exception()  # it may be that nobody waits for it any more

    def _call(self, request: FetchRequest) -> FetchResponse:
        parts = urlsplit(request.url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port, request)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(request.method, path, request.body, dict(request.headers))
            response = connection.getresponse()
            body = response.read(request.max_bytes + 1)
            if len(body) > request.max_bytes:
                raise FetchError(f"the answer is larger than {request.max_bytes} bytes")
            headers = {name.lower(): value for name, value in response.getheaders()}
            return FetchResponse(status=response.status, headers=headers, body=body)
        finally:
            connection.close()

    def _connection(
        self, scheme: str, host: str, port: int | None, request: FetchRequest
    ) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=request.timeout_seconds)
        if self._context is None:
            self._context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, port, timeout=request.timeout_seconds, context=self._context
        )


def check_url(url: str, name: str) -> str:
    """``url`` if it can be fetched.

    Raises:
        ValueError: for one that is not http or https, has no host, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and not parts.username
        _ = parts.port
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} must be http(s)://host[:port]/path, without credentials")
    return url
