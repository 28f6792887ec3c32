"""Connections by httpx2, the successor of httpx: ``HTTPClient(transport=Httpx2Transport)``.

Callers go on seeing httpx's requests, responses and errors; what is beneath them is httpx2's.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Generator
from typing import cast

import httpx

from tijolo.core import MissingExtraError

try:
    import httpx2
except ImportError as error:
    raise MissingExtraError("tijolo-http", "httpx2", "httpx2") from error

__all__ = ["Httpx2Transport"]


class Httpx2Transport(httpx.AsyncBaseTransport):
    """An httpx transport over one of httpx2's.

    Args:
        transport: An httpx2 transport, which is closed with this one; by default a new
            ``httpx2.AsyncHTTPTransport``, which trusts what the operating system trusts.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._inner = transport or httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; the response's body is not read yet."""
        theirs = httpx2.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            stream=_Up(cast("httpx.AsyncByteStream", request.stream)),
            extensions=dict(request.extensions),
        )
        with _translated():
            answer = await self._inner.handle_async_request(theirs)
        return httpx.Response(
            answer.status_code,
            headers=answer.headers.raw,
            stream=_Down(answer),
            extensions=dict(answer.extensions),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


class _Up(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Down(httpx.AsyncByteStream):
    def __init__(self, answer: httpx2.Response) -> None:
        self._stream = cast("httpx2.AsyncByteStream", answer.stream)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        with _translated():
            await self._stream.aclose()


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """The two libraries name their errors alike."""
    try:
        yield
    except httpx2.HTTPError as error:
        for kind in type(error).__mro__:
            ours = getattr(httpx, kind.__name__, None)
            if isinstance(ours, type) and issubclass(ours, httpx.RequestError):
                raise ours(str(error)) from error
        raise
