"""How a consumer reaches its issuer: any asynchronous function, and one that needs no library."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tijolo.auth._threads import BoundedThreads, ThreadsBusyError

_URL = re.compile(r"[\x21-\x7e]+")


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
        self._threads = BoundedThreads("tijolo-fetch", workers=workers, queue_limit=queue_limit)
        self._context = context

    async def __call__(self, request: FetchRequest) -> FetchResponse:
        """Ask.

        Raises:
            FetchError: too many wait, no connection, no answer in time, or one too large.
        """
        call = _Call(request, self._tls)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._threads.run(call.run)
        except ThreadsBusyError:
            raise FetchError("too many calls wait for the other service") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError(f"no answer ({type(error).__name__})") from error
        finally:
            call.break_off()

    async def close(self) -> None:
        """Let go of the threads; calls under way end by their timeout."""
        await self._threads.close(wait=False)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:  # reads the authorities' file: work for a thread
            self._context = ssl.create_default_context()
        return self._context


class _Call:
    """One call, made by a thread, that the event loop can break off.

    The timeout of a socket is that of one read: who sends a byte a second would hold the thread.
    """

    def __init__(self, request: FetchRequest, tls: Callable[[], ssl.SSLContext]) -> None:
        self._request = request
        self._tls = tls
        self._socket: socket.socket | None = None
        self._broken_off = False

    def run(self) -> FetchResponse:
        request, parts = self._request, urlsplit(self._request.url)
        connection = self._connect_to(parts.scheme, parts.hostname, parts.port)
        try:
            connection.connect()
            self._socket = connection.sock
            if self._broken_off:
                raise FetchError("nobody waits for the answer")
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

    def break_off(self) -> None:
        """End what is left of the call; nothing, where it is done."""
        self._broken_off = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # below TLS, whose state belongs to the thread; it reads an end
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _connect_to(
        self, scheme: str, host: str | None, port: int | None
    ) -> http.client.HTTPConnection:
        timeout = self._request.timeout_seconds
        if scheme == "http":
            return http.client.HTTPConnection(host or "", port, timeout=timeout)
        return http.client.HTTPSConnection(host or "", port, timeout=timeout, context=self._tls())


def check_url(url: str, name: str) -> str:
    """``url`` if it can be fetched.

    Raises:
        ValueError: for one that is not http or https, has no host, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        fits = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits or not _URL.fullmatch(url):
        raise ValueError(f"{name} must be http(s)://host[:port]/path, without credentials")
    return url
