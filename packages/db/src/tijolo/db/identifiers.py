"""Time-ordered identifiers (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import secrets
import threading
import time
from uuid import UUID

_COUNTER_BITS = 42
_TAIL_BYTES = 4
_POOL_BYTES = 1024
_lock = threading.Lock()
_last_millisecond = 0
_counter = 0
_pool = b""


def _forget() -> None:
    """A forked child must not continue its parent's counter, nor share its random bytes."""
    global _lock, _last_millisecond, _pool
    _lock, _last_millisecond, _pool = threading.Lock(), 0, b""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _tick() -> tuple[int, int, int]:
    """Millisecond and counter, strictly increasing in this process, and 32 random bits."""
    global _last_millisecond, _counter, _pool
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_millisecond:
            # the top bit stays free, so that a burst within one millisecond has room to count
            _last_millisecond, _counter = now, secrets.randbits(_COUNTER_BITS - 1)
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_millisecond, _counter = _last_millisecond + 1, 0
        if not _pool:  # asking the system once for many identifiers, not once for each
            _pool = os.urandom(_POOL_BYTES)
        tail, _pool = _pool[:_TAIL_BYTES], _pool[_TAIL_BYTES:]
        return _last_millisecond, _counter, int.from_bytes(tail, "big")


def uuid7() -> UUID:
    """A UUID version 7: sorts by creation time, strictly increasing within a process.

    A clock that steps back does not break the order: the last millisecond is kept (RFC 9562,
    section 6.2, method 1). It tells its creation time to whoever sees it.
    """
    millisecond, counter, tail = _tick()
    value = (millisecond & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (counter >> 30) << 64
    value |= 0b10 << 62 | (counter & 0x3FFF_FFFF) << 32 | tail
    return UUID(int=value)
