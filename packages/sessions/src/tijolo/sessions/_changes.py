"""What a request has set in its session and nobody has written yet."""

from __future__ import annotations

from typing import Any, TypeVar

from tijolo.sessions.keys import SessionKey
from tijolo.sessions.session import Session

T = TypeVar("T")


class DataChanges:
    """Values and removals by name, on top of what the session was loaded with."""

    def __init__(self) -> None:
        self._changed: dict[str, Any] = {}
        self._removed: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._changed or self._removed)

    def get(self, record: Session | None, key: SessionKey[T]) -> T | None:
        """What a reader sees."""
        if key.name in self._removed:
            return None
        stored = self._changed.get(key.name, _stored(record, key))
        return None if stored is None else key.load(stored)

    def put(self, record: Session | None, key: SessionKey[T], dumped: Any) -> None:
        """Note a value, unless it is the stored one."""
        self._removed.discard(key.name)
        stored = _stored(record, key)
        # True == 1 == 1.0, and all three are JSON
        if repr(stored) == repr(dumped) and record is not None and key.name in record.data:
            self._changed.pop(key.name, None)
        else:
            self._changed[key.name] = dumped

    def remove(self, record: Session | None, key: SessionKey[Any]) -> None:
        """Note a removal, if there is something to remove."""
        self._changed.pop(key.name, None)
        if record is not None and key.name in record.data:
            self._removed.add(key.name)

    def take(self) -> tuple[dict[str, Any], set[str]]:
        """All of it; nothing is left."""
        taken = self._changed, self._removed
        self._changed, self._removed = {}, set()
        return taken


def _stored(record: Session | None, key: SessionKey[Any]) -> Any:
    return None if record is None else record.data.get(key.name)
