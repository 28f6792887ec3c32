"""How much dressing around a number is accepted."""

from __future__ import annotations

from enum import Enum


class Strictness(Enum):
    """What may surround the characters of a number; the rules of the number itself never change.

    ``STRICT`` accepts the bare number, the official mask, or any part of that mask with each
    separator in its place; letters in upper case; nothing else, not even a final newline.

    ``LENIENT`` also accepts, anywhere in the text, ASCII white space, ``.``, ``-`` and ``/`` (and
    for phones ``(`` and ``)``), lower-case ASCII letters where letters are allowed, and for phones
    the dialling prefixes ``0055``, ``0`` and ``0`` with a carrier code.

    Neither accepts a character outside ASCII, supplies missing zeros, or reads more than
    64 characters.
    """

    STRICT = "strict"
    LENIENT = "lenient"


STRICT = Strictness.STRICT


def is_lenient(strictness: Strictness) -> bool:
    """Tell the two apart; raise ``TypeError`` for anything that is not a ``Strictness``."""
    if strictness is Strictness.LENIENT:
        return True
    if strictness is STRICT:
        return False
    message = f"strictness must be a Strictness, not {type(strictness).__name__!r}"
    raise TypeError(f"{message}; use Strictness.STRICT or Strictness.LENIENT")
