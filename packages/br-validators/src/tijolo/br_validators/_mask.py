"""Masks such as ``000.000.000-00``: putting them on, taking them off, saying what is wrong."""

from __future__ import annotations

from operator import itemgetter

from ._text import DRESSING, LONGEST, exact_str, undress
from .characters import DIGITS, LETTERS
from .strictness import Strictness, is_lenient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._messages import Text

_ALPHABETS = {"0": DIGITS, "A": LETTERS, "X": DIGITS + LETTERS}
_CLASSES = {"0": "[0-9]", "A": "[A-Z]", "X": "[0-9A-Z]"}


class Mask:
    """One official mask: ``0`` stands for a digit, ``A`` for an upper-case letter, ``X`` for both.

    All else in the template is a separator, which a text may leave out.
    """

    __slots__ = (
        *("_classes", "_groups", "_runs", "_separators"),
        *("length", "template", "whole"),
    )

    def __init__(self, template: str) -> None:
        self.template = template
        self._groups: list[tuple[int, str]] = []
        size = 0
        for character in template:
            if character in _CLASSES:
                size += 1
            else:
                self._groups.append((size, character))
                size = 0
        self._separators = "".join([separator for _, separator in self._groups])
        self._classes = "".join([c for c in template if c in _CLASSES])
        self._runs = _runs(self._classes)
        self.whole = {len(template): _without_mask(template)} if self._groups else {}
        """By the length of a text with the whole mask, what takes that off in the least time."""
        self.length = len(self._classes)

    @property
    def pattern(self) -> str:
        """The accepted spellings as a regular expression without anchors."""
        text, at = "", 0
        for size, separator in self._groups:
            text += _expression(self._classes[at : at + size])
            text += ("\\." if separator == "." else separator) + "?"
            at += size
        return text + _expression(self._classes[at:])

    @property
    def canonical_pattern(self) -> str:
        """The bare form as a regular expression without anchors."""
        return _expression(self._classes)

    @property
    def longest(self) -> int:
        """How many characters of a text are read at most."""
        return LONGEST

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many characters the bare form may have."""
        return (self.length,)

    def alphabet(self, at: int, length: int) -> str:
        """What may stand at the place ``at`` of a bare text of this length."""
        return _ALPHABETS[self._classes[at]] if length == self.length else ""

    def expected(self, rule: str) -> Text:
        """What the shape wants, for the rules ``length``, ``characters`` and ``separators``."""
        count, mask = self.length, self.template
        things, coisas = ("digits", "dígitos")
        alphabet, alfabeto = ("the digits 0 to 9", "os dígitos de 0 a 9")
        if self._classes.strip("0"):
            things, coisas = ("characters", "caracteres")
            alphabet, alfabeto = ("0-9 and A-Z in their places", "0-9 e A-Z no seu lugar")
        if rule == "length":
            return f"{count} {things}", f"{count} {coisas}"
        if not self._separators:
            return f"only {alphabet}", f"só {alfabeto}"
        if rule == "characters":
            return f"only {alphabet} and the mask {mask}", f"só {alfabeto} e a máscara {mask}"
        return (
            f"{count} {things}, bare or as {mask}",
            f"{count} {coisas}, sem máscara ou como {mask}",
        )

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
        return self.bare_of(undress(text) if lenient else text)

    def bare_of(self, text: str) -> str:
        """``bare`` of a text that is read already."""
        bare = self._remove(text)
        return bare if self.fits(bare) else ""

    def fits(self, bare: str) -> bool:
        """Whether ``bare`` has the length and, at every place, the characters of the mask."""
        if len(bare) != self.length or not bare.isascii():
            return False
        for start, end, kind in self._runs:
            run = bare[start:end]
            if kind == "0":
                if not run.isdigit():
                    return False
            elif run != run.upper() or not (run.isalnum() if kind == "X" else run.isalpha()):
                return False
        return True

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        """Where reading ``text`` fails; its length where something is missing at the end."""
        dressing = DRESSING if is_lenient(strictness) else {}
        at, taken = 0, False
        for index, character in enumerate(text):
            if ord(character) in dressing:
                continue
            if self._stands(character, at) and not taken:
                taken = True
                continue
            letter = character.upper() if dressing and character.isascii() else character
            if at == self.length or letter not in _ALPHABETS[self._classes[at]]:
                return index
            at, taken = at + 1, False
        return len(text)

    def _stands(self, character: str, at: int) -> bool:
        """Whether ``character`` is the separator in front of the place ``at``."""
        place = 0
        for size, separator in self._groups:
            place += size
            if place == at:
                return separator == character
        return False

    def _remove(self, text: str) -> str:
        """Take off the separators that stand in their places; others stay and will not fit."""
        bare, at = "", 0
        for size, separator in self._groups:
            bare += text[at : at + size]
            at += size
            if text[at : at + 1] == separator:
                at += 1
        return bare + text[at:]

    def _broken_rule(self, text: str) -> str:
        """The rule that a text of another shape breaks."""
        kept = [character for character in text if character not in self._separators]
        anywhere = "".join([_ALPHABETS[kind] for kind in set(self._classes)])
        if any(character not in anywhere for character in kept):
            return "characters"
        if len(kept) != self.length:
            return "length"
        places = zip(kept, self._classes, strict=True)
        if any(character not in _ALPHABETS[kind] for character, kind in places):
            return "characters"
        return "separators"


class Masks:
    """Several masks, any of which a text may have; the first that fits is the one."""

    __slots__ = ("_masks",)

    def __init__(self, *masks: Mask) -> None:
        self._masks = masks

    @property
    def pattern(self) -> str:
        """The accepted spellings as a regular expression without anchors."""
        return f"(?:{'|'.join([mask.pattern for mask in self._masks])})"

    @property
    def canonical_pattern(self) -> str:
        """The bare forms as a regular expression without anchors."""
        forms = dict.fromkeys([mask.canonical_pattern for mask in self._masks])
        return f"(?:{'|'.join(forms)})" if len(forms) > 1 else "".join(forms)

    @property
    def longest(self) -> int:
        """How many characters of a text are read at most."""
        return LONGEST

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many characters the bare form may have."""
        return tuple(sorted({mask.length for mask in self._masks}))

    def alphabet(self, at: int, length: int) -> str:
        """What may stand at the place ``at`` of a bare text of this length."""
        together = "".join(
            [mask.alphabet(at, length) for mask in self._masks if mask.length == length]
        )
        return "".join(dict.fromkeys(together))

    def expected(self, rule: str) -> Text:
        """What the masks want, one by one."""
        texts = dict.fromkeys([mask.expected(rule) for mask in self._masks])
        return " or ".join([t[0] for t in texts]), " ou ".join([t[1] for t in texts])

    def apply(self, bare: str) -> str:
        """Write ``bare`` with every separator of the first mask that it fits."""
        for mask in self._masks:
            if mask.fits(bare):
                return mask.apply(bare)
        return bare

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        """The bare characters and ``""``, or ``""`` and the rule that the shape breaks."""
        bare = self.bare(value, strictness)
        if bare:
            return bare, ""
        rules = [mask.read(value, strictness)[1] for mask in self._masks]
        return "", next((r for r in ("type", "separators", "length") if r in rules), "characters")

    def bare(self, value: object, strictness: Strictness) -> str:
        """The bare characters, or ``""`` when the shape is none of these."""
        for mask in self._masks:
            bare = mask.bare(value, strictness)
            if bare:
                return bare
        return ""

    @property
    def whole(self) -> dict[int, Callable[[str], str]]:
        """As ``Mask.whole``, of all masks whose length no other has.

        Where another mask has as many characters, what comes off is checked against its own:
        the separators of one are no part of the other.
        """
        lengths = [len(mask.template) for mask in self._masks]
        whole: dict[int, Callable[[str], str]] = {}
        for mask in self._masks:
            if lengths.count(len(mask.template)) == 1:
                alone = [m.length for m in self._masks].count(mask.length) == 1
                whole.update(mask.whole if alone else _fitting(mask))
        return whole

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        """Where reading ``text`` fails by the mask that comes furthest."""
        return max(mask.first_misfit(text, strictness) for mask in self._masks)


def _runs(classes: str) -> list[tuple[int, int, str]]:
    runs: list[tuple[int, int, str]] = []
    start = 0
    for at in range(1, len(classes) + 1):
        if at == len(classes) or classes[at] != classes[start]:
            runs.append((start, at, classes[start]))
            start = at
    return runs


def _without_mask(template: str) -> Callable[[str], str]:
    """Take the whole mask off a text of its length: the rest unchecked, or nothing."""
    at = [index for index, character in enumerate(template) if character not in _CLASSES]
    groups = [slice(a + 1, b) for a, b in zip([-1, *at], [*at, len(template)], strict=True)]
    separators, take = itemgetter(*at), itemgetter(*groups)
    expected, join = separators(template), "".join

    def without_mask(text: str) -> str:
        return join(take(text)) if separators(text) == expected else ""

    return without_mask


def _fitting(mask: Mask) -> dict[int, Callable[[str], str]]:
    """``mask.whole``, giving nothing for what does not fit the mask."""

    def fitting(without_mask: Callable[[str], str]) -> Callable[[str], str]:
        return lambda text: bare if mask.fits(bare := without_mask(text)) else ""

    return {size: fitting(without_mask) for size, without_mask in mask.whole.items()}


def _expression(classes: str) -> str:
    return "".join(
        [
            _CLASSES[kind] + (f"{{{end - start}}}" if end - start > 1 else "")
            for start, end, kind in _runs(classes)
        ]
    )
