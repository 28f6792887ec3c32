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

    def recording(self: BaseModel, name: str) -> Any:
        found = {(cls, name) for cls in settings_classes if cls in type(self).__mro__} & unread
        if found and _reader_is(by):
            unread.difference_update(found)
        return object.__getattribute__(self, name)

    BaseModel.__getattribute__ = recording  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del BaseModel.__getattribute__
    if unread:
        names = sorted(f"{cls.__name__}.{name}" for cls, name in unread)
        raise AssertionError(
            f"no code of {by} read {', '.join(names)}: use the setting or remove it"
        )


def _reader_is(package: str) -> bool:
    """Whether the code that gets the attribute, two frames up, belongs to ``package``."""
    module: str = sys._getframe(2).f_globals.get("__name__", "")
    return f"{module}.".startswith(f"{package}.")
