"""Names of people, as pages and lists show them."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from tijolo.auth.users.models import NAME_CHARACTERS
from tijolo.core import ValidationException

# controls, formats (those that turn the direction of a line are among them), lone surrogates,
# line and paragraph separators
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing: a name of them is no name."""
_JOINERS = frozenset("\u200c\u200d")
"""Persian, the scripts of India and emoji are written with them (RFC 5892, appendix A)."""


def clean_name(name: str | None) -> str | None:
    """A name as it is stored; None where nothing is left of it.

    Raises:
        ValidationException: It is too long, or holds what no name does: what is not seen, or
            makes a page show it, and what follows it, as something else.
    """
    text = unicodedata.normalize("NFC", name).strip() if name else ""
    if len(text) > NAME_CHARACTERS or any(map(_is_unfit, text)) or not _joins_well(text):
        details = {"field": "name"}
        raise ValidationException("Not a valid name", code="INVALID_NAME", details=details)
    return text or None


def _is_unfit(char: str) -> bool:
    return char in _BLANK or (unicodedata.category(char) in _UNFIT and char not in _JOINERS)


def _joins_well(text: str) -> bool:
    """Whether joiners stand between what can be joined: next to ASCII they hide, and no more."""
    return not any(
        (one in _JOINERS and (other.isascii() or other in _JOINERS))
        for pair in pairwise(f" {text} ")
        for one, other in (pair, pair[::-1])
    )
