"""The bytes of one entry: when it was made, until when it is fresh, what invalidates it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = struct.Struct(">2sBddH")
_MAGIC = b"T1"
_COMPRESSED = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored result; times are seconds since the epoch."""

    stored_at: float
    fresh_until: float
    stamp: bytes
    payload: bytes
    compressed: bool

    def data(self, limit: int) -> bytes:
        """The encoded value; ``limit`` bounds what a compressed payload may grow to.

        Raises:
            ValueError: it is damaged or larger than ``limit``.
        """
        if not self.compressed:
            return self.payload
        inflate = zlib.decompressobj()
        try:
            data = inflate.decompress(self.payload, limit + 1)
        except zlib.error as exc:
            raise ValueError("damaged compressed entry") from exc
        if len(data) > limit or not inflate.eof:
            raise ValueError("compressed entry is damaged or larger than the limit")
        return data

    def tags(self) -> list[str]:
        """The keys of the tags in the stamp."""
        return [pair.split(" ")[0] for pair in self.stamp.decode().split("\n") if pair]


def stamp(tags: Sequence[str], versions: Sequence[str | None]) -> bytes | None:
    """What an entry remembers of its tags; None when one has no version: nothing matches that."""
    if len(tags) == 1:
        return None if versions[0] is None else f"{tags[0]} {versions[0]}".encode()
    if None in versions:
        return None
    return "\n".join(f"{t} {v}" for t, v in zip(tags, versions, strict=True)).encode()


def pack(
    data: bytes, stored_at: float, fresh_until: float, stamp: bytes, compress_above: int | None
) -> bytes:
    """The bytes for a backend."""
    flags = 0
    if compress_above is not None and len(data) > compress_above:
        smaller = zlib.compress(data, 1)
        if len(smaller) < len(data):
            data, flags = smaller, _COMPRESSED
    return _HEADER.pack(_MAGIC, flags, stored_at, fresh_until, len(stamp)) + stamp + data


def unpack(raw: bytes) -> Entry | None:
    """The entry in ``raw``; None for what this version did not write."""
    if len(raw) < _HEADER.size or not raw.startswith(_MAGIC):
        return None
    _, flags, stored_at, fresh_until, length = _HEADER.unpack_from(raw)
    start = _HEADER.size + length
    if flags > _COMPRESSED or len(raw) < start:
        return None
    return Entry(
        stored_at, fresh_until, raw[_HEADER.size : start], raw[start:], flags == _COMPRESSED
    )
