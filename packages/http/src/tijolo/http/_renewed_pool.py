"""A pool of connections that is replaced when it has lost some.

httpcore loses a connection when a call is cancelled between getting it and using it, or a second
time while it cleans up: nobody uses the connection, and it counts against the limit for ever. With
enough of them every call waits in vain. That is the sign: a call was given none in time, although
fewer were in use than there may be.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

_log = logging.getLogger("tijolo.http")


@dataclass(eq=False, slots=True)
class _Pool:
    transport: httpx.AsyncBaseTransport
    calls: set[_Call] = field(default_factory=lambda: set[_Call]())

    @property
    def in_use(self) -> int:
        return sum(call.connected for call in self.calls)


@dataclass(eq=False, slots=True)
class _Call:
    pool: _Pool
    connected: bool = False

    async def trace(self, _event: str, _info: Any) -> None:
        """httpcore's extension ``trace``: its first event is that of a connection in use."""
        self.connected = True


class RenewedPool(httpx.AsyncBaseTransport):
    """A transport that carries requests out over the last of those that ``make`` made.

    Args:
        make: Makes a transport of httpcore's.
        size: Connections that each may have.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], size: int) -> None:
        self._make = make
        self._size = size
        self._pool = _Pool(make())
        self._old: set[_Pool] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; the response's body is not read yet."""
        pool = self._pool
        call = _Call(pool)
        pool.calls.add(call)
        request.extensions = {**request.extensions, "trace": call.trace}
        try:
            response = await pool.transport.handle_async_request(request)
        except httpx.PoolTimeout:
            if pool is self._pool and pool.in_use < self._size:
                self._renew()
            await self._over(call)
            raise
        except BaseException:
            await self._over(call)
            raise
        stream = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _Body(stream, self, call)
        return response

    def _renew(self) -> None:
        _log.warning("connections of cancelled calls were lost; calls go over new ones")
        self._old.add(self._pool)
        self._pool = _Pool(self._make())

    async def _over(self, call: _Call) -> None:
        pool = call.pool
        pool.calls.discard(call)
        if pool in self._old and not pool.calls:
            self._old.discard(pool)
            await pool.transport.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        old, self._old = self._old, set()
        for pool in (self._pool, *old):
            await pool.transport.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, owner: RenewedPool, call: _Call) -> None:
        self._stream = stream
        self._owner = owner
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._owner._over(self._call)  # pyright: ignore[reportPrivateUsage]
