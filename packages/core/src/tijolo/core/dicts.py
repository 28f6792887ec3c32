"""Dictionaries, filtered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def modify_dict(
    data: Mapping[str, Any],
    exclude: Iterable[str] | None = None,
    include: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A copy of ``data`` without the keys of ``exclude`` and with the entries of ``include``."""
    dropped = frozenset(exclude or ())
    kept = {key: value for key, value in data.items() if key not in dropped}
    return kept | dict(include or {})
