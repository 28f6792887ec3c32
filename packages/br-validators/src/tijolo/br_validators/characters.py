"""Keeping only some characters of a text."""

from __future__ import annotations

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALNUM = frozenset(DIGITS + LETTERS + LETTERS.lower())
_DIGITS = frozenset(DIGITS)


def only_digits(value: str) -> str:
    """Keep the ASCII digits of ``value``.

    Digits of other alphabets are dropped, not translated. Never use it on a CNPJ, which may have
    letters: use ``only_alnum`` or, better, ``normalize_cnpj``.
    """
    return _kept(value, _DIGITS)


def only_alnum(value: str) -> str:
    """Keep the ASCII letters and digits of ``value``, with the case they have."""
    return _kept(value, _ALNUM)


def _kept(value: str, wanted: frozenset[str]) -> str:
    # bytes and lists can be iterated too, and would silently lose everything
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"value must be a str, not {type(value).__name__!r}")
    return "".join([character for character in value if character in wanted])
