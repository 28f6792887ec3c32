"""What a request has set in its session and nobody has written yet."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from tijolo.sessions.keys import SessionKey
from tijolo.sessions.session import Session

T = TypeVar("T")


class DataChanges:
    """Values and removals by name, on top of what the session was loaded with.

    Args:
        is_fresh: Whether the session is as the store had it; else what seems to change nothing
            is written all the same.
    """

    def __init__(self, *, is_fresh: bool = True) -> None:
        self._is_fresh = is_fresh
        self._changed: dict[str, Any] = {}
        self._removed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._changed or self._removed)

    def get(self, record: Session | None, key: SessionKey[T]) -> T | None:
        """What a reader sees."""
        if key.name in self._removed:
            return None
        stored = self._changed.get(key.name, _stored(record, key))
        # a copy: what is changed in place and set again must differ from what is stored
        return None if stored is None else key.load(deepcopy(stored))

    def put(self, record: Session | None, key: SessionKey[T], dumped: Any) -> None:
        """Note a value, unless it is the stored one."""
        self._removed.discard(key.name)
        # True == 1 == 1.0, and all three are JSON
        is_same = _has(record, key) and repr(_stored(record, key)) == repr(dumped)
        if is_same and self._is_fresh:
            self._changed.pop(key.name, None)
        else:
            self._changed[key.name] = dumped

    def remove(self, record: Session | None, key: SessionKey[Any]) -> None:
        """Note a removal, if there is something to remove."""
        self._changed.pop(key.name, None)
        if _has(record, key) or (record is not None and not self._is_fresh):
            self._removed.add(key.name)

    def take(self) -> tuple[dict[str, Any], set[str]]:
        """All of it; nothing is left."""
        taken = self._changed, self._removed
        self._changed, self._removed = {}, set()
        return taken


def _has(record: Session | None, key: SessionKey[Any]) -> bool:
    return record is not None and key.name in record.data


def _stored(record: Session | None, key: SessionKey[Any]) -> Any:
    return None if record is None else record.data.get(key.name)
