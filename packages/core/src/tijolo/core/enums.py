"""Enumerations with the three questions that forms and schemas ask of them."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import Any


class _Listing(Enum):
    """Values, names and both, in the order of definition."""

    @classmethod
    def values(cls) -> list[Any]:
        """The members' values."""
        return [member.value for member in cls]

    @classmethod
    def keys(cls) -> list[str]:
        """The members' names."""
        return [member.name for member in cls]

    @classmethod
    def to_dict(cls) -> dict[str, Any]:
        """Names to values."""
        return {member.name: member.value for member in cls}


class BaseStrEnum(_Listing, StrEnum):
    """A string enumeration: ``str(member)`` is the value."""


class BaseIntEnum(_Listing, IntEnum):
    """An integer enumeration."""
