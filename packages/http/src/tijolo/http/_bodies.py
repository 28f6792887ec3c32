"""Response bodies, counted and decompressed piece by piece, so that nothing inflates unseen.

httpx decompresses each piece from the network whole: 64 KiB of gzip become 64 MiB in one call, and
only then can anybody count. Here a piece is inflated at most 64 KiB at a time.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import httpx

from tijolo.http.errors import ResponseTooLargeError

ACCEPT_ENCODING = "gzip, deflate"
"""What this module can decompress; sent by default."""

_PIECE = 65_536
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f"
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class BoundedBody(httpx.AsyncByteStream):
    """The body of a response, decompressed; over ``limit`` it is an error.

    Args:
        stream: The body as it comes from the transport.
        host: Origin, for the error.
        limit: Bytes, on the wire and decompressed, each; None for no limit.
        decode: What decompresses; None for a body that is not compressed.
        on_end: Called once with None or the error that ended it, when it is read or closed.
    """

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        *,
        host: str,
        limit: int | None,
        decode: Inflater | None,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._stream = stream
        self._host = host
        self._limit = limit
        self._decode = decode
        self._on_end: Callable[[BaseException | None], None] | None = on_end
        self._wire = 0
        self._out = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._wire += len(chunk)
                self._check(self._wire)
                if self._decode is None:
                    yield chunk
                    continue
                for piece in self._decode.feed(chunk):
                    self._out += len(piece)
                    self._check(self._out)
                    yield piece
            if self._decode is not None:
                self._decode.finish()
        except GeneratorExit:
            raise  # the reader stopped early, which is no verdict on the other side
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _check(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise ResponseTooLargeError(self._host, self._limit)

    def _end(self, error: BaseException | None) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(error)

    async def aclose(self) -> None:
        """Give the connection back."""
        closing = asyncio.ensure_future(self._stream.aclose())
        try:
            # httpcore keeps the connection of a close that is cancelled in the middle for ever
            await asyncio.shield(closing)
        finally:
            self._end(None)


class Inflater:
    """gzip (RFC 1952, several members too) or deflate (RFC 1950, or bare RFC 1951)."""

    def __init__(self, coding: str) -> None:
        self._bits = _CODINGS[coding]
        self._inflate = zlib.decompressobj(self._bits)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` decompresses to, in pieces of a bounded size.

        Raises:
            httpx.DecodingError: when it is not what it claims to be.
        """
        while data or self._begun:
            if self._inflate.eof:
                if self._bits != _GZIP or data[:1] != _GZIP_MAGIC:
                    return  # the end; servers pad it
                self._inflate = zlib.decompressobj(self._bits)
            piece = self._step(data)
            self._begun = True
            if piece:
                yield piece
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            if not data and len(piece) < _PIECE:
                return

    def _step(self, data: bytes) -> bytes:
        try:
            return self._inflate.decompress(data, _PIECE)
        except zlib.error as error:
            if self._begun or self._bits != zlib.MAX_WBITS:
                raise httpx.DecodingError(f"the body cannot be decompressed: {error}") from error
        self._bits = -zlib.MAX_WBITS  # some servers send deflate without the zlib header
        self._inflate = zlib.decompressobj(self._bits)
        return self._step(data)

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            httpx.RemoteProtocolError: when the data stops in the middle.
        """
        if self._begun and not self._inflate.eof:
            raise httpx.RemoteProtocolError("the compressed body ends in the middle")


def bound(
    response: httpx.Response,
    *,
    host: str,
    limit: int | None,
    has_body: bool,
    on_end: Callable[[BaseException | None], None],
) -> httpx.Response:
    """``response`` with a bounded, decompressed body; it is not read yet.

    ``Content-Encoding`` and ``Content-Length`` describe what is not there any more and are taken
    off where the body is decompressed; ``extensions["content_encoding"]`` keeps the first.

    Raises:
        httpx.DecodingError: for a coding that was not asked for, which could not be bounded.
        ResponseTooLargeError: when ``Content-Length`` says so already.
    """
    headers = response.headers
    length = headers.get("content-length", "")
    announced = int(length[:20]) if length.isascii() and length.isdigit() else 0
    if has_body and limit is not None and announced > limit:
        raise ResponseTooLargeError(host, limit)
    if response.is_closed:  # a transport that had the whole body: nothing will read it again
        if limit is not None and len(response.content) > limit:
            raise ResponseTooLargeError(host, limit)
        on_end(None)
        return response
    coding = headers.get("content-encoding", "").strip().lower()
    inflater: Inflater | None = None
    if has_body and coding not in ("", "identity"):
        if coding not in _CODINGS:
            raise httpx.DecodingError(
                f"Content-Encoding {coding[:40]!r} is not among {ACCEPT_ENCODING!r}"
            )
        inflater = Inflater(coding)
        del headers["content-encoding"]
        if length:
            del headers["content-length"]
        response.extensions["content_encoding"] = coding
    stream = cast("httpx.AsyncByteStream", response.stream)
    response.stream = BoundedBody(stream, host=host, limit=limit, decode=inflater, on_end=on_end)
    return response
