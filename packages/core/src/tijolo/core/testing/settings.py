"""Proof that a setting does something: that the package which declares it reads it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import BaseModel


@contextmanager
def assert_settings_read(*settings_classes: type[BaseModel], by: str) -> Generator[None]:
    """Fail at the end of the block for a field of ``settings_classes`` that nobody has read.

    A read counts when the code of package ``by`` (``"tijolo.db"``, its submodules included)
    gets the attribute inside the block; reads by tests or by Pydantic do not. Subclasses'
    instances count for the fields they inherit::

        with assert_settings_read(DatabaseSettings, by="tijolo.db"):
            AsyncDatabaseManager.from_settings(settings)

    Raises:
        AssertionError: naming every field that was not read.
    """
    unread = {(cls, name) for cls in settings_classes for name in cls.model_fields}
    recorder = _Recorder(by, settings_classes, unread)
    with recorder.active():
        yield
    if unread:
        names = sorted(f"{cls.__name__}.{name}" for cls, name in unread)
        raise AssertionError(
            f"no code of {by} read {', '.join(names)}: use the setting or remove it"
        )


class _Recorder:
    """Crosses off what one package reads; all active recorders share one hook."""

    _active: ClassVar[list[_Recorder]] = []
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, by: str, classes: tuple[type[BaseModel], ...], unread: set[tuple[type, str]]
    ) -> None:
        self._by = by
        self._classes = classes
        self._unread = unread

    @contextmanager
    def active(self) -> Generator[None]:
        with self._lock:
            self._active.append(self)
            BaseModel.__getattribute__ = _recording  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            with self._lock:
                self._active.remove(self)
                if not self._active:
                    del BaseModel.__getattribute__

    @classmethod
    def note(cls, model: type, name: str, reader: str) -> None:
        for recorder in tuple(cls._active):
            if f"{reader}.".startswith(f"{recorder._by}."):
                read = {(c, name) for c in recorder._classes if c in model.__mro__}
                recorder._unread.difference_update(read)


def _recording(self: BaseModel, name: str) -> Any:
    frame = inspect.currentframe()
    caller = frame and frame.f_back
    _Recorder.note(type(self), name, caller.f_globals.get("__name__", "") if caller else "")
    return object.__getattribute__(self, name)
