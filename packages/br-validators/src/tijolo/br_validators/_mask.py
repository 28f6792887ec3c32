"""Masks such as ``000.000.000-00``: putting them on, taking them off, saying what is wrong."""

from __future__ import annotations

from ._text import LONGEST, exact_str, undress
from .characters import DIGITS, LETTERS
from .strictness import Strictness, is_lenient


class Mask:
    """One official mask: ``0`` stands for a digit, ``X`` for a digit or an upper-case letter.

    Every ``X`` comes before the first ``0``.
    """

    __slots__ = ("_alphabet", "_groups", "_letters", "_separators", "length")

    def __init__(self, template: str) -> None:
        self._groups: list[tuple[int, str]] = []
        size = 0
        for character in template:
            if character in "0X":
                size += 1
            else:
                self._groups.append((size, character))
                size = 0
        self._separators = "".join([separator for _, separator in self._groups])
        self._letters = template.count("X")
        self._alphabet = DIGITS + LETTERS if self._letters else DIGITS
        self.length = self._letters + template.count("0")

    def apply(self, bare: str) -> str:
        """Write ``bare`` with every separator."""
        masked, at = "", 0
        for size, separator in self._groups:
            masked += bare[at : at + size] + separator
            at += size
        return masked + bare[at:]

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        """The bare characters and ``""``, or ``""`` and the rule that the shape breaks."""
        bare = self.bare(value, strictness)
        if bare:
            return bare, ""
        text = exact_str(value)
        if text is None:
            return "", "type"
        if len(text) > LONGEST:
            return "", "length"
        return "", self._broken_rule(undress(text) if is_lenient(strictness) else text)

    def bare(self, value: object, strictness: Strictness) -> str:
        """The bare characters, or ``""`` when the shape is another: the answer without a reason."""
        lenient = is_lenient(strictness)
        text = exact_str(value)
        if text is None or not self.length <= len(text) <= LONGEST:
            return ""
        bare = self._remove(undress(text) if lenient else text)
        return bare if self._fits(bare) else ""

    def _remove(self, text: str) -> str:
        """Take off the separators that stand in their places; others stay and will not fit."""
        bare, at = "", 0
        for size, separator in self._groups:
            bare += text[at : at + size]
            at += size
            if text[at : at + 1] == separator:
                at += 1
        return bare + text[at:]

    def _fits(self, bare: str) -> bool:
        head, tail = bare[: self._letters], bare[self._letters :]
        return (
            len(bare) == self.length
            and bare.isascii()
            and tail.isdigit()
            and (not head or (head.isalnum() and head == head.upper()))
        )

    def _broken_rule(self, text: str) -> str:
        kept = [character for character in text if character not in self._separators]
        if any(character not in self._alphabet for character in kept):
            return "characters"
        if len(kept) != self.length:
            return "length"
        if any(character not in DIGITS for character in kept[self._letters :]):
            return "characters"
        return "separators"
