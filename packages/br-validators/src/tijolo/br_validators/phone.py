"""Brazilian telephone numbers that belong to an area: mobile and landline.

Two digits of area code and a subscriber number: nine digits beginning with 9 for a mobile, eight
for a landline. Source: Anatel, Resolução 749/2022 (numbering plan) and its list of 67 Códigos
Nacionais. The plan gives landlines the first digits 2 to 6; that only 2 to 5 are in use is
consensus (libphonenumber says the same). Numbers without an area (0800, 4004, 190) are those of
``service_phone``.

The canonical form is area code and subscriber number, 10 or 11 digits, however the number was
dialled: one line has one spelling, with or without ``+55`` in front.
"""

from __future__ import annotations

from . import _lazy
from ._lazy import digits, source
from ._text import DRESSING, LONGEST, exact_str, undress
from .characters import DIGITS
from .errors import BRValueError
from .kind import Kind
from .strictness import STRICT, Strictness, is_lenient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from ._messages import Text

_SECOND_DIGITS = {
    "1": "123456789",
    "2": "12478",
    "3": "1234578",
    "4": "123456789",
    "5": "1345",
    "6": "123456789",
    "7": "134579",
    "8": "123456789",
    "9": "123456789",
}
AREA_CODES = frozenset(first + second for first, all_ in _SECOND_DIGITS.items() for second in all_)
"""The 67 Códigos Nacionais (DDD) that Anatel has assigned."""

DDD = f"(?:{'|'.join([f'{first}[{second}]' for first, second in _SECOND_DIGITS.items()])})"
"""The area codes as a regular expression."""
_SUBSCRIBER = "(?:9[0-9]{4}|[2-5][0-9]{3})"
PATTERN = rf"^(?:\+?55 ?)?(?:{DDD}|\({DDD}\)) ?{_SUBSCRIBER}[ \-]?[0-9]{{4}}$"
CANONICAL_PATTERN = f"^{DDD}{_SUBSCRIBER}[0-9]{{4}}$"
EXAMPLES = ("11988887777", "(11) 98888-7777", "+55 11 98888-7777")

_MOBILE = frozenset(area_code + "9" for area_code in AREA_CODES)
_LANDLINE = frozenset(area_code + first for area_code in AREA_CODES for first in "2345")
_DIALLING = {**DRESSING, ord("("): None, ord(")"): None}
_WRITTEN = frozenset(DIGITS + "+() -")
_EXPECTED = {
    "length": ("area code and 8 or 9 digits", "DDD e 8 ou 9 dígitos"),
    "characters": (
        "digits, written like (11) 98888-7777 or +55 11 98888-7777",
        "dígitos, escritos como (11) 98888-7777 ou +55 11 98888-7777",
    ),
    "separators": (
        "bare digits, or separators as in (11) 98888-7777 or +55 11 98888-7777",
        "só dígitos, ou separadores como em (11) 98888-7777 ou +55 11 98888-7777",
    ),
    "country": ("a number of Brazil, +55", "um número do Brasil, +55"),
    "area_code": ("one of the 67 area codes", "um dos 67 DDDs"),
    "subscriber": (
        "nine digits beginning with 9, or eight beginning with 2 to 5",
        "nove dígitos que comecem por 9, ou oito que comecem por 2 a 5",
    ),
}
_OF_THE_LINE = ("area_code", "subscriber")

_STATES = {
    "1": ("SP",),
    "21": ("RJ",),
    "22": ("RJ",),
    "24": ("RJ",),
    "27": ("ES",),
    "28": ("ES",),
    "3": ("MG",),
    "4": ("PR",),
    "42": ("PR", "SC"),
    "47": ("SC", "PR"),
    "48": ("SC",),
    "49": ("SC", "PR"),
    "5": ("RS",),
    "61": ("DF", "GO"),
    "62": ("GO",),
    "63": ("TO",),
    "64": ("GO",),
    "65": ("MT",),
    "66": ("MT",),
    "67": ("MS",),
    "68": ("AC",),
    "69": ("RO",),
    "7": ("BA",),
    "79": ("SE",),
    "81": ("PE",),
    "82": ("AL",),
    "83": ("PB",),
    "84": ("RN",),
    "85": ("CE",),
    "86": ("PI",),
    "87": ("PE",),
    "88": ("CE",),
    "89": ("PI",),
    "91": ("PA",),
    "92": ("AM",),
    "93": ("PA",),
    "94": ("PA",),
    "95": ("RR",),
    "96": ("AP",),
    "97": ("AM",),
    "98": ("MA",),
    "99": ("MA",),
}
"""By area code, or by its first digit where that says it."""


def is_valid_phone_br(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` is a mobile or landline number with its area code.

    Only a ``str`` can be one, and no value makes this raise.
    """
    if strictness is STRICT and type(value) is str:
        if not 10 <= len(value) <= 19:  # +55 (11) 98888-7777 is the longest spelling
            return False
        if value.isdigit():
            return _is_canonical(value.removeprefix("55") if len(value) > 11 else value)
    national, broken = _reduce(value, strictness)
    return not broken and _is_canonical(national)


def normalize_phone_br(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return area code and subscriber number, 10 or 11 digits without ``55``.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``country``, ``area_code`` or ``subscriber``.
    """
    if strictness is STRICT and type(value) is str and _is_canonical(value):
        return value
    bare, broken = KIND.examine(value, strictness)
    if broken:
        raise BRValueError("phone_br", broken, KIND.expected(broken)[0])
    return bare


def to_e164(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a number as ``+5511988887777`` (ITU-T E.164); raise as ``normalize_phone_br`` does."""
    return "+55" + normalize_phone_br(value, strictness=strictness)


def generate_phone_br(
    *, landline: bool = False, masked: bool = False, random: _lazy.Random | None = None
) -> str:
    """Invent a mobile (or ``landline``) number, for tests.

    An invented number may belong to somebody: never dial it or send to it.
    """
    bare = _invent(source(random), landline=landline)
    return _masked(bare) if masked else bare


def parse_phone_br(value: str, *, strictness: Strictness = STRICT) -> _lazy.PhoneParts:
    """Area code, states and kind of a line; raise as ``normalize_phone_br`` does."""
    bare = normalize_phone_br(value, strictness=strictness)
    area_code = bare[:2]
    return _lazy.PhoneParts(
        number=bare,
        kind="mobile" if len(bare) == 11 else "landline",
        area_code=area_code,
        subscriber=bare[2:],
        states=_STATES.get(area_code) or _STATES[area_code[0]],
        e164="+55" + bare,
    )


def _invent(random: Random, *, landline: bool = False) -> str:
    first = random.choice("2345") if landline else "9" + random.choice(DIGITS)
    return random.choice(sorted(AREA_CODES)) + first + digits(random, 7)


def _masked(bare: str) -> str:
    return f"({bare[:2]}) {bare[2:-4]}-{bare[-4:]}"


def _is_canonical(text: str) -> bool:
    size = len(text)
    if size == 11:
        return text[:3] in _MOBILE and text.isascii() and text.isdigit()
    return size == 10 and text[:3] in _LANDLINE and text.isascii() and text.isdigit()


def _reduce(value: object, strictness: Strictness) -> tuple[str, str]:
    """What is left without prefixes and separators, or ``""`` and a rule that is broken already."""
    lenient = is_lenient(strictness)
    text = exact_str(value)
    if text is None:
        return "", "type"
    if len(text) > LONGEST:
        return "", "length"
    if lenient:
        text = _without_trunk(undress(text, _DIALLING))
    if not _WRITTEN.issuperset(text):
        return "", "characters"
    if text[:1] == "+" and text[:3] != "+55":
        return "", "country"
    return _national(text), ""


def _broken_rule(national: str) -> str:
    """The rule that what is no canonical number breaks."""
    digits_only = [character for character in national if character in DIGITS]
    if len(digits_only) not in (10, 11):
        return "length"
    if len(digits_only) != len(national):
        return "separators"
    if national[:2] not in AREA_CODES:
        return "area_code"
    return "subscriber"


def _national(text: str) -> str:
    """Take off ``+55`` and the separators that stand in their places; others stay."""
    if text[:1] == "+" or (
        text[:2] == "55" and sum(character in DIGITS for character in text) > 11
    ):
        text = text.removeprefix("+")[2:].removeprefix(" ")
    if text[:1] == "(" and text[3:4] == ")":
        text = text[1:3] + text[4:]
    if text[2:3] == " ":
        text = text[:2] + text[3:]
    if text[-5:-4] in ("-", " "):
        text = text[:-5] + text[-4:]
    return text


def _without_trunk(text: str) -> str:
    """Write ``0055`` as ``+55``; take off the trunk ``0`` with or without a two-digit carrier code.

    Nothing else may follow a trunk than area code and number, so a country code stays a fault.
    """
    if text[:4] == "0055":
        return "+" + text[2:]
    if text[:1] == "0" and text[1:2] not in ("0", "+"):
        return text[3:] if len(text) in (13, 14) else text[1:]
    return text


class _Phones:
    """How phones are written, for ``Kind``."""

    pattern = PATTERN[1:-1]
    canonical_pattern = CANONICAL_PATTERN[1:-1]
    lengths = (10, 11)
    longest = LONGEST

    def alphabet(self, at: int, length: int) -> str:
        return DIGITS if length in self.lengths else ""

    def expected(self, rule: str) -> Text:
        return _EXPECTED[rule]

    def apply(self, bare: str) -> str:
        return _masked(bare)

    def read(self, value: object, strictness: Strictness) -> tuple[str, str]:
        national, broken = _reduce(value, strictness)
        if broken or _is_canonical(national):
            return national, broken
        rule = _broken_rule(national)
        return national, "" if rule in _OF_THE_LINE else rule

    def bare(self, value: object, strictness: Strictness) -> str:
        national, broken = _reduce(value, strictness)
        return "" if broken else national

    def first_misfit(self, text: str, strictness: Strictness) -> int:
        lenient = is_lenient(strictness)
        written = _WRITTEN | set(map(chr, _DIALLING)) if lenient else _WRITTEN
        foreign = next((at for at, c in enumerate(text) if c not in written), len(text))
        if lenient or foreign < len(text):
            return foreign
        return max(_agreement(text, spelling) for spelling in _spellings())


def _spellings() -> list[str]:
    """Every accepted way to write a number, ``0`` standing for a digit of it."""
    return [
        f"{country}{area_code}{space}{subscriber}{hyphen}0000"
        for country in ("", "+55", "+55 ", "55", "55 ")
        for area_code in ("00", "(00)")
        for space in ("", " ")
        for subscriber in ("00000", "0000")
        for hyphen in ("", "-", " ")
    ]


def _agreement(text: str, spelling: str) -> int:
    """How many characters of ``text`` are written as in ``spelling``."""
    pairs = zip(text, spelling, strict=False)
    same = [c in DIGITS if place == "0" else c == place for c, place in pairs]
    return next((at for at, one in enumerate(same) if not one), len(same))


def _rule(national: str) -> str:
    return "" if _is_canonical(national) else _broken_rule(national)


KIND = Kind(
    "phone_br",
    _Phones(),
    rule=_rule,
    invent=_invent,
    examples=EXAMPLES,
    expected=_EXPECTED,
    places={"area_code": 0, "subscriber": 2},
    parse=parse_phone_br,
    tuned={
        "is_valid": is_valid_phone_br,
        "normalize": normalize_phone_br,
        "generate": generate_phone_br,
    },
)
format_phone_br = KIND.format
explain_phone_br = KIND.explain
suggest_phone_br = KIND.suggest
