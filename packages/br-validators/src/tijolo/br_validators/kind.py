"""A kind of number: its names, its shape, its rule, and the verbs that follow from these."""

from __future__ import annotations

from . import _lazy, _messages
from ._text import exact_str
from .characters import only_alnum
from .errors import BRValueError
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random
    from typing import Protocol

    from ._messages import Text

    class Shape(Protocol):
        """How a kind is written; ``Mask`` and ``Masks`` are two."""

        @property
        def pattern(self) -> str:
            """The accepted spellings as a regular expression without anchors."""
            ...

        @property
        def canonical_pattern(self) -> str:
            """The canonical form as a regular expression without anchors."""
            ...

        @property
        def lengths(self) -> tuple[int, ...]:
            """How many characters the canonical form may have."""
            ...

        @property
        def longest(self) -> int:
            """How many characters of a text are read at most."""
            ...

        def alphabet(self, at: int, length: int) -> str:
            """What may stand at a place of a bare text of this length."""
            ...

        def expected(self, rule: str) -> Text:
            """What the shape wants, for a rule of its own."""
            ...

        def apply(self, bare: str) -> str:
            """Write the canonical form with its mask."""
            ...

        def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
            """The canonical form and no rule, or no form and the broken rule."""
            ...

        def bare(self, value: object, strictness: Strictness) -> str:
            """The canonical form, or nothing."""
            ...

        def first_misfit(self, text: str, strictness: Strictness) -> int:
            """Where reading the text fails."""
            ...


OF_THE_SHAPE = ("length", "characters", "separators")

LOOK_ALIKES = {
    "0": "OQD",
    "1": "IL",
    "2": "Z",
    "5": "S",
    "6": "G",
    "8": "B",
    "B": "8",
    "D": "0OQ",
    "G": "6",
    "I": "1L",
    "L": "1I",
    "O": "0QD",
    "Q": "0OD",
    "S": "5",
    "U": "V",
    "V": "U",
    "Z": "2",
}
"""What a reader or a scanner takes one character for."""

_MOST = 100


class Kind:
    """One kind of number, with the same verbs as every other.

    ``name`` is what errors carry, ``key`` the name in ``KINDS``: ``cnpj_numeric`` is a ``cnpj``.

    ``KINDS["cpf"]`` is one. The functions ``is_valid_cpf``, ``normalize_cpf`` and so on are its
    methods, or functions tuned for speed that answer the same.

    ``rule`` gives the name of the rule that a text of the right shape breaks, or ``""``;
    ``corrected`` gives such a text with the check digits it ought to have; ``accepts`` is the
    verdict on any text of a canonical length, where that can be had faster. ``places`` says at
    which character of the canonical form a rule looks, ``expected`` what it wants; ``patterns``,
    accepted and canonical, stand for those of the shape. ``tuned`` replaces verbs by functions
    of the same signature.
    """

    def __init__(
        self,
        name: str,
        shape: Shape,
        *,
        invent: Callable[[Random], str],
        examples: tuple[str, ...],
        rule: Callable[[str], str] | None = None,
        corrected: Callable[[str], str] | None = None,
        accepts: Callable[[str], bool] | None = None,
        expected: Mapping[str, Text] | None = None,
        places: Mapping[str, int] | None = None,
        parse: Callable[..., object] | None = None,
        patterns: tuple[str, str] | None = None,
        tuned: Mapping[str, Callable[..., object]] | None = None,
        key: str | None = None,
    ) -> None:
        self.name = name
        self.key = key or name
        self.examples = examples
        self.parse = parse
        self._shape = shape
        self._invent = invent
        self._rule = rule
        self._corrected = corrected
        self._accepts = accepts
        self._lengths = shape.lengths if accepts else ()
        self._whole = getattr(shape, "whole", {}) if accepts else {}
        self._expected = expected or {}
        self._places = places or {}
        self._patterns = patterns
        # a function in the instance's own dictionary goes before the method of the same name
        self.__dict__.update(tuned or {})

    @property
    def label(self) -> str:
        """What the kind is called in an English sentence."""
        return _messages.label(self.name)[0]

    @property
    def label_pt(self) -> str:
        """What the kind is called in a Portuguese sentence."""
        return _messages.label(self.name)[1]

    @property
    def pattern(self) -> str:
        """What may be written, as an anchored ASCII regular expression; blind to check digits."""
        return self._patterns[0] if self._patterns else f"^{self._shape.pattern}$"

    @property
    def canonical_pattern(self) -> str:
        """The canonical form as an anchored ASCII regular expression."""
        return self._patterns[1] if self._patterns else f"^{self._shape.canonical_pattern}$"

    @property
    def longest(self) -> int | None:
        """The most characters that are accepted, where the pattern does not say it; else None."""
        return None if self._shape.lengths else self._shape.longest

    def is_valid(self, value: object, *, strictness: Strictness = STRICT) -> bool:
        """Tell whether ``value`` is one; only a ``str`` can be, and no value makes this raise."""
        if strictness is STRICT and type(value) is str and self._accepts is not None:
            size = len(value)
            if size in self._lengths:
                if self._accepts(value):
                    return True
                # with several lengths, a masked short one may be as long as a bare long one
                if len(self._lengths) == 1 or value.isalnum():
                    return False
            elif size in self._whole and (bare := self._whole[size](value)):
                return self._accepts(bare)
        bare = self._shape.bare(value, strictness)
        return bare != "" and not self.broken_rule(bare)

    def normalize(self, value: str, *, strictness: Strictness = STRICT) -> str:
        """Return the canonical form, the one to store, or raise ``BRValueError``."""
        bare, rule = self.examine(value, strictness)
        if rule:
            raise BRValueError(self.name, rule, self.expected(rule)[0])
        return bare

    def format(self, value: str, *, strictness: Strictness = STRICT) -> str:
        """Return the form to show, or raise ``BRValueError``: nothing invalid is ever masked."""
        return self._shape.apply(self.normalize(value, strictness=strictness))

    def generate(self, *, masked: bool = False, random: _lazy.Random | None = None) -> str:
        """Invent a valid one, for tests; the same ``random`` state gives the same.

        It may belong to somebody: never send it to a third party.
        """
        bare = self._invent(_lazy.source(random))
        return self._shape.apply(bare) if masked else bare

    def explain(
        self, value: object, *, strictness: Strictness = STRICT
    ) -> _lazy.Explanation | None:
        """Say which rule ``value`` breaks, at which character, and what was expected.

        None when it is valid. For the message of a form: in English and in Portuguese.
        """
        bare, rule = self.examine(value, strictness)
        if not rule:
            return None
        text = exact_str(value, self._shape.longest)
        place = None if text is None else self._place(text, bare, rule, strictness)
        return _lazy.explanation(self.name, rule, place, self.expected(rule))

    def suggest(self, value: str, *, limit: int = 5) -> list[str]:
        """Up to ``limit`` canonical forms that ``value`` may have been meant to be.

        Of an invalid value: one character that was misread (``O`` for ``0``), two neighbours in
        the wrong order, one wrong character, in this order. Of a valid one: the numbers that
        differ in one look-alike and are valid too, for where check digits are blind to that.
        """
        if not 0 < limit <= _MOST:
            raise ValueError(f"limit must be between 1 and {_MOST}, not {limit!r}")
        found: dict[str, None] = {}
        text = exact_str(value, self._shape.longest)
        if text is None or len(text) > self._shape.longest:
            return []
        bare = only_alnum(text).upper() if text.isascii() else ""
        for candidate in self._candidates(bare):
            if candidate != bare and self.is_valid(candidate):
                found[self.normalize(candidate)] = None
                if len(found) == limit:
                    break
        return list(found)

    def expected(self, rule: str) -> Text:
        """What was expected where ``rule`` is broken, in English and in Portuguese."""
        if rule in self._expected:
            return self._expected[rule]
        if rule in OF_THE_SHAPE:
            return self._shape.expected(rule)
        known = {"type": _messages.TYPE, "reserved": _messages.NOT_REPEATED}
        return known.get(rule, _messages.CHECKSUM)

    def examine(self, value: object, strictness: Strictness) -> tuple[str, str]:
        """What was read and ``""``, or what could be read and the broken rule."""
        bare, rule = self._shape.read(value, strictness)
        return bare, rule or self.broken_rule(bare)

    def alphabet(self, at: int, length: int) -> str:
        """What may stand at a place of a bare text of this length; empty for another length."""
        return self._shape.alphabet(at, length)

    def broken_rule(self, bare: str) -> str:
        """The rule that a text of the right shape breaks, or ``""``."""
        if self._rule is not None:
            rule = self._rule(bare)
            if rule:
                return rule
        if self._corrected is not None and self._corrected(bare) != bare:
            return "checksum"
        return ""

    def __repr__(self) -> str:
        return f"Kind({self.key!r})"

    def __reduce__(self) -> tuple[object, ...]:  # copies and pickles are the same object
        return _of_key, (self.key,)

    def _place(self, text: str, bare: str, rule: str, strictness: Strictness) -> int | None:
        """The index in ``text`` at which ``rule`` is broken."""
        if rule in OF_THE_SHAPE:
            if len(text) > self._shape.longest:
                return None
            return self._shape.first_misfit(text, strictness)
        if sum(character.isalnum() for character in text) < len(bare):
            return None  # a shorter spelling, such as the bar code of a slip
        at = self._places.get(rule)
        if rule == "checksum" and self._corrected is not None and bare:
            right = self._corrected(bare)
            at = next(i for i, character in enumerate(bare) if character != right[i])
        if at is None:
            return None
        # counted from the right: what a spelling adds, such as +55, stands in front
        behind = len(bare) - at
        for index in range(len(text) - 1, -1, -1):
            behind -= text[index].isalnum()
            if not behind:
                return index
        return None

    def _candidates(self, bare: str) -> Iterator[str]:
        valid = self.is_valid(bare)
        if valid and self._corrected is None:
            return  # nothing could have caught a wrong character: no reason to doubt this one
        size = len(bare)
        alphabets = [self._shape.alphabet(at, size) for at in range(size)]
        if not all(alphabets):
            return
        misfits = [at for at in range(size) if bare[at] not in alphabets[at]]
        yield "".join([_nearest(c, alphabets[at]) for at, c in enumerate(bare)])
        if len(misfits) > 1:
            return  # more than one character is wrong
        for at in misfits or range(size):
            for other in LOOK_ALIKES.get(bare[at], ""):
                if other in alphabets[at]:
                    yield bare[:at] + other + bare[at + 1 :]
        if valid:
            return
        for at in range(size - 1):
            yield bare[:at] + bare[at + 1] + bare[at] + bare[at + 2 :]
        for at in misfits or range(size):
            for other in alphabets[at]:
                yield bare[:at] + other + bare[at + 1 :]


def _of_key(key: str) -> Kind:
    from .registry import KINDS

    return KINDS[key]


def _nearest(character: str, alphabet: str) -> str:
    if character in alphabet:
        return character
    return next((c for c in LOOK_ALIKES.get(character, "") if c in alphabet), character)


def repeated(bare: str) -> str:
    """The rule ``reserved`` where one digit is repeated throughout.

    No registry is known to issue such a number; that is consensus, not published text.
    """
    return "reserved" if bare == bare[0] * len(bare) else ""
