"""Proof that a setting does something: that the package which declares it reads it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel


@contextmanager
def assert_settings_read(*settings_classes: type[BaseModel], by: str) -> Iterator[None]:
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
    originals = {cls: cls.__dict__.get("__getattribute__") for cls in settings_classes}
    for cls in settings_classes:
        _record_reads(cls, by, unread)
    try:
        yield
    finally:
        for cls, original in originals.items():
            if original is None:
                del cls.__getattribute__
            else:
                cls.__getattribute__ = original  # type: ignore[method-assign]
    if unread:
        names = sorted(f"{cls.__name__}.{name}" for cls, name in unread)
        raise AssertionError(
            f"no code of {by} read {', '.join(names)}: use the setting or remove it"
        )


def _record_reads(cls: type[BaseModel], by: str, unread: set[tuple[type[BaseModel], str]]) -> None:
    inherited = cls.__getattribute__

    def recording(self: BaseModel, name: str) -> Any:
        if (cls, name) in unread and _reader_is(by):
            unread.discard((cls, name))
        return inherited(self, name)

    cls.__getattribute__ = recording  # type: ignore[method-assign, assignment]


def _reader_is(package: str) -> bool:
    """Whether the code that gets the attribute belongs to ``package``.

    Frames of other recorders lie in between where a class mixes several settings classes.
    """
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") == __name__ and frame.f_back is not None:
        frame = frame.f_back
    module: str = frame.f_globals.get("__name__", "")
    return f"{module}.".startswith(f"{package}.")
