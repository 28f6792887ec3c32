"""Which passwords are accepted: by length and by what attackers try, not by composition.

NIST SP 800-63B: every character is welcome, no class of characters is asked for, nothing expires,
and what is common, repeated, sequential or made of the user's own name is refused.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import SecretStr

from tijolo.auth.passwords import MAX_PASSWORD_BYTES
from tijolo.core import ValidationException

WeakReason = Literal["too_short", "too_long", "common", "repetitive", "sequential", "personal"]

_SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789012345678901234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)
_MOST_AROUND = 8
_MOST_OF_A_NAME = 320  # an e-mail address has no more
_LETTER = re.compile(r"[^\W\d_]")
_LEET = str.maketrans("013457@$!", "oleastasi")
_MESSAGES: dict[WeakReason, str] = {
    "too_short": "The password needs at least {least} characters",
    "too_long": "The password has more than {most} bytes",
    "common": "The password is one of those that are tried first",
    "repetitive": "The password repeats the same characters",
    "sequential": "The password is a row of the alphabet or of the keyboard",
    "personal": "The password is made of your name, your e-mail or the service's name",
}


class WeakPasswordException(ValidationException):
    """The password is not accepted; ``details["reason"]`` is a :data:`WeakReason`."""

    code = "WEAK_PASSWORD"
    message = "The password is too weak"


class PasswordPolicy:
    """One place that decides whether a password is accepted: sign-up, change, reset, commands.

    Args:
        min_length: Least number of characters, 8 or more. NIST asks for 15 where the password is
            the only factor, 8 beside another one.
        blocked: More passwords to refuse, such as the name of the service.
        common: Whether to refuse the 12,000 most common ones too.

    Raises:
        ValueError: for a length below 8.
    """

    def __init__(
        self, *, min_length: int = 12, blocked: Iterable[str] = (), common: bool = True
    ) -> None:
        if min_length < 8:
            raise ValueError(f"min_length must be 8 or more (NIST SP 800-63B), got {min_length}")
        self.min_length = min_length
        self.common = common
        self._blocked = frozenset(_folded(word) for word in blocked)

    def check(self, password: SecretStr | str, *, personal: Iterable[str | None] = ()) -> None:
        """Accept ``password`` or say why not.

        Args:
            personal: What others know about the user: e-mail, name.

        Raises:
            WeakPasswordException: It is too weak.
        """
        reason = self.weakness(password, personal=personal)
        if reason is not None:
            message = _MESSAGES[reason].format(least=self.min_length, most=MAX_PASSWORD_BYTES)
            details = {"field": "password", "reason": reason, "min_length": self.min_length}
            raise WeakPasswordException(message, details=details)

    def weakness(
        self, password: SecretStr | str, *, personal: Iterable[str | None] = ()
    ) -> WeakReason | None:
        """Why ``password`` would be refused; None when it would not be."""
        text = password.get_secret_value() if isinstance(password, SecretStr) else password
        if len(text) > MAX_PASSWORD_BYTES:  # before anything that takes longer for longer texts
            return "too_long"
        composed = unicodedata.normalize("NFC", text)
        if len(composed.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
            return "too_long"
        if len(composed) < self.min_length:
            return "too_short"
        folded = _folded(text)
        if len(set(folded)) < 4 or _is_repeated(folded):
            return "repetitive"
        if any(folded in row or folded[::-1] in row for row in _SEQUENCES):
            return "sequential"
        if self._is_common(folded):
            return "common"
        if _is_personal(folded, {*personal}):
            return "personal"
        return None

    def _is_common(self, folded: str) -> bool:
        """As it is, with digits and signs around it, or with digits for letters within it."""
        for text in (folded, folded.translate(_LEET)):
            for word in (text, _without_ends(text)):
                # with more around it than is tried beside a word, it is not the word any more
                if len(folded) - len(word) > _MOST_AROUND:
                    continue
                if word in self._blocked or (self.common and word in _common_passwords()):
                    return True
        return False


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _without_ends(text: str) -> str:
    """``text`` from its first letter to its last, in one pass each."""
    first, last = _LETTER.search(text), _LETTER.search(text[::-1])
    return text[first.start() : len(text) - last.start()] if first and last else ""


def _is_repeated(text: str) -> bool:
    """``abcabcabc``: the text occurs in its double before its own end."""
    unit = (text + text).find(text, 1)
    return unit * 2 <= len(text)


def _is_personal(folded: str, personal: set[str | None]) -> bool:
    """Little is left of the password without the user's own words."""
    known = {_folded(text[:_MOST_OF_A_NAME]) for text in personal if text}
    words = {
        word for text in known for word in (text, *re.split(r"[\W_]+", text)) if len(word) >= 4
    }
    rest = folded
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "").replace(word[::-1], "")
    return rest != folded and len(re.sub(r"[\W\d_]", "", rest)) < 4


@cache
def _common_passwords() -> frozenset[str]:
    """The list that ships with the package (zxcvbn's, MIT, and Brazilian ones), read once."""
    packed = resources.files("tijolo.auth").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode("utf-8").split("\n"))
