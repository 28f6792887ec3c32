"""Time-ordered identifiers (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import secrets
import threading
import time
from uuid import UUID

_COUNTER_BITS = 42
_lock = threading.Lock()
_last_millisecond = 0
_counter = 0


def _forget() -> None:
    """A forked child must not continue its parent's counter."""
    global _lock, _last_millisecond
    _lock, _last_millisecond = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _tick() -> tuple[int, int]:
    """The millisecond and counter of the next identifier: strictly increasing in this process."""
    global _last_millisecond, _counter
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_millisecond:
            # the top bit stays free, so that a burst within one millisecond has room to count
            _last_millisecond, _counter = now, secrets.randbits(_COUNTER_BITS - 1)
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_millisecond, _counter = _last_millisecond + 1, 0
        return _last_millisecond, _counter


def uuid7() -> UUID:
    """A UUID version 7: sorts by creation time, strictly increasing within a process.

    A clock that steps back does not break the order: the last millisecond is kept (RFC 9562,
    section 6.2, method 1). It tells its creation time to whoever sees it.
    """
    millisecond, counter = _tick()
    value = (millisecond & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (counter >> 30) << 64
    value |= 0b10 << 62 | (counter & 0x3FFF_FFFF) << 32 | secrets.randbits(32)
    return UUID(int=value)
