"""Inscrição estadual, a company's number with the revenue service of one of the 27 states.

Source: the page of each state on sintegra.gov.br ("Roteiro de crítica da inscrição estadual"),
whose examples are among the vectors. Accepted beyond these pages, for real numbers were seen that
implementations differ on: Mato Grosso's in nine digits (the eleven without their zeros), any
beginning in the Distrito Federal, 15 and 20 to 29 in Goiás, 50 in Mato Grosso do Sul, 75 to 79 in
Pará. Where a state publishes no first digits, none is asked. Masks are custom; each state has its
own here, which a text may also leave out. The word ISENTO is no number and not accepted.
"""

from __future__ import annotations

from . import _lazy
from ._ie_rules import CORRECTED, PREFIXES, TOCANTINS_TYPES, fast
from ._lazy import source
from ._mask import Mask, Masks
from ._text import LONGEST
from .characters import DIGITS
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from ._messages import Text

_NINE = "00.000.000-0"
_MASKS: dict[str, tuple[str, ...]] = {
    "AC": ("00.000.000/000-00",),
    "AL": (_NINE,),
    "AM": (_NINE,),
    "AP": (_NINE,),
    "BA": ("000000-00", "0000000-00"),
    "CE": ("00.000000-0",),
    "DF": ("00.000000.000-00",),
    "ES": ("000.000.00-0",),
    "GO": (_NINE,),
    "MA": (_NINE,),
    "MG": ("000.000.000/0000",),
    "MS": (_NINE,),
    "MT": ("0000000000-0", "00000000-0"),
    "PA": ("00-000000-0",),
    "PB": (_NINE,),
    "PE": ("0000000-00", "00.0.000.0000000-0"),
    "PI": (_NINE,),
    "PR": ("000.00000-00",),
    "RJ": ("00.000.00-0",),
    "RN": (_NINE, "00.0.000.000-0"),
    "RO": ("0000000000000-0", "000.00000-0"),
    "RR": ("00000000-0",),
    "RS": ("000/0000000",),
    "SC": ("000.000.000",),
    "SE": (_NINE,),
    "SP": ("000.000.000.000", "A-00000000.0/000"),
    "TO": (_NINE, "00.00.000000-0"),
}
STATES = tuple(_MASKS)
"""The 27 states, by their letters."""

_EXPECTED: dict[str, Text] = {
    "prefix": ("the first digits of that state", "os primeiros dígitos desse estado"),
}
_kinds: dict[str, Kind] = {}


class _ZeroFilled(Masks):
    """Mato Grosso: nine digits are eleven without the zeros in front."""

    __slots__ = ()

    def bare(self, value: object, strictness: Strictness) -> str:
        bare = super().bare(value, strictness)
        return bare.zfill(11) if bare else ""


def ie_kind(state: str) -> Kind:
    """The kind of one state's numbers, for generic code and Pydantic types.

    Raises:
        ValueError: ``state`` is none of the 27, in two capital letters.
    """
    if state not in CORRECTED:
        raise ValueError(f"unknown state {state!r}; expected one of {', '.join(STATES)}")
    return _kinds.get(state) or _kinds.setdefault(state, _kind_of(state))


def _kind_of(state: str) -> Kind:
    corrected = CORRECTED[state]
    rule = _rule_of(state)
    masks = _ZeroFilled if state == "MT" else Masks
    return Kind(
        "ie",
        masks(*map(Mask, _MASKS[state])),
        rule=rule,
        accepts=_accepts_of(state, rule),
        corrected=lambda bare: corrected[len(bare)](bare),
        invent=lambda random: _invent(random, state),
        examples=(),
        expected=_EXPECTED,
        places={"prefix": 0},
        key=f"ie_{state.lower()}",
    )


def _accepts_of(state: str, rule: Callable[[str], str] | None) -> Callable[[str], bool]:
    """The verdict on a text of any length that the state's numbers have."""
    corrected, prefixes = CORRECTED[state], PREFIXES.get(state, "")

    def slowly(text: str) -> bool:
        # the P in front of a farmer's number is São Paulo's, and its rule asks for it
        digits = text[1:] if state == "SP" else text
        if not (digits.isdigit() and text.isascii()) or (rule and rule(text)):
            return False
        return corrected[len(text)](text) == text

    def with_prefix(verdict: Callable[[str], bool]) -> Callable[[str], bool]:
        return lambda text: verdict(text) and text.startswith(prefixes)

    verdicts: dict[int, Callable[[str], bool]] = dict.fromkeys(corrected, slowly)
    for size, verdict in fast(state).items():
        verdicts[size] = with_prefix(verdict) if prefixes else verdict
    if state == "MT":
        verdicts[9] = lambda text: slowly("00" + text)
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    return lambda text: verdicts[len(text)](text)


def _rule_of(state: str) -> Callable[[str], str] | None:
    prefixes = PREFIXES.get(state, ())

    def by_prefix(bare: str) -> str:
        return "" if bare.startswith(prefixes) else "prefix"

    if state == "SP":
        return lambda bare: "prefix" if len(bare) == 13 and bare[0] != "P" else ""
    if state == "TO":
        return lambda bare: "prefix" if len(bare) == 11 and bare[2:4] not in TOCANTINS_TYPES else ""
    return by_prefix if prefixes else None


def _invent(random: Random, state: str) -> str:
    length = random.choice(sorted(CORRECTED[state]))
    bare = "".join(random.choices(DIGITS, k=length))
    prefix = random.choice(PREFIXES.get(state, ("",)))
    if state == "SP" and length == 13:
        prefix = "P"
    if state == "TO" and length == 11:
        prefix = bare[:2] + random.choice(TOCANTINS_TYPES)
    return CORRECTED[state][length](prefix + bare[len(prefix) :])


def _of(state: str | None) -> Kind:
    return KIND if state is None else ie_kind(state)


def is_valid_ie(
    value: object, state: str | None = None, *, strictness: Strictness = STRICT
) -> bool:
    """Tell whether ``value`` is a number of ``state``, or of any where that is None.

    No value makes this raise; a ``state`` that does not exist is a ``ValueError``.
    """
    return _of(state).is_valid(value, strictness=strictness)


def normalize_ie(value: str, state: str | None = None, *, strictness: Strictness = STRICT) -> str:
    """Return the bare number, or raise ``BRValueError``."""
    return _of(state).normalize(value, strictness=strictness)


def format_ie(value: str, state: str | None = None, *, strictness: Strictness = STRICT) -> str:
    """Return the number with the mask of ``state``, without it bare; raise as the above."""
    return _of(state).format(value, strictness=strictness)


def generate_ie(
    state: str | None = None, *, masked: bool = False, random: _lazy.Random | None = None
) -> str:
    """Invent a number of ``state``, or of some state, for tests."""
    randomness = source(random)
    return ie_kind(state or randomness.choice(STATES)).generate(masked=masked, random=randomness)


def explain_ie(
    value: object, state: str | None = None, *, strictness: Strictness = STRICT
) -> _lazy.Explanation | None:
    """Say which rule ``value`` breaks, or None; see ``Kind.explain``."""
    return _of(state).explain(value, strictness=strictness)


def suggest_ie(value: str, state: str, *, limit: int = 5) -> list[str]:
    """Numbers of ``state`` that ``value`` may have been meant to be; see ``Kind.suggest``."""
    return ie_kind(state).suggest(value, limit=limit)


def parse_ie(value: str, *, strictness: Strictness = STRICT) -> _lazy.IEParts:
    """The states whose rules a number keeps: often several; raise as ``normalize_ie`` does."""
    bare = normalize_ie(value, strictness=strictness)
    states = [s for s in STATES if ie_kind(s).is_valid(value, strictness=strictness)]
    return _lazy.IEParts(number=bare, states=tuple(states))


class _AnyState:
    """How numbers are written where nobody says of which state, for ``Kind``."""

    longest = LONGEST
    lengths = ()

    @property
    def pattern(self) -> str:
        masks = dict.fromkeys([mask for some in _MASKS.values() for mask in some])
        return Masks(*map(Mask, masks)).pattern

    @property
    def canonical_pattern(self) -> str:
        return "(?:[0-9]{8,14}|P[0-9]{12})"

    def alphabet(self, at: int, length: int) -> str:
        return ""  # without the state, nearly anything could have been meant

    def expected(self, rule: str) -> Text:
        return (
            "a number as one of the 27 states writes it",
            "um número como o escreve uma das 27 UFs",
        )

    def apply(self, bare: str) -> str:
        return bare

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        rules: list[str] = []
        for state in STATES:
            bare, rule = ie_kind(state).examine(value, strictness)
            if not rule:
                return bare, ""
            rules.append(rule)
        order = ("type", "checksum", "prefix", "separators", "length")
        return "", next((rule for rule in order if rule in rules), "characters")

    def bare(self, value: object, strictness: Strictness) -> str:
        for state in STATES:
            kind = ie_kind(state)
            if kind.is_valid(value, strictness=strictness):
                return kind.examine(value, strictness)[0]
        return ""

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        return next((at for at, c in enumerate(text) if not c.isascii()), len(text))


KIND = Kind(
    "ie",
    _AnyState(),
    invent=lambda random: generate_ie(random=random),
    examples=("110042490114", "110.042.490.114", "P011004243002"),
    expected=_EXPECTED,
    parse=parse_ie,
)
