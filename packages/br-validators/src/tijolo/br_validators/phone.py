"""Brazilian telephone numbers that belong to an area: mobile and landline.

Two digits of area code and a subscriber number: nine digits beginning with 9 for a mobile, eight
for a landline. Source: Anatel, Resolução 749/2022 (numbering plan) and its list of 67 Códigos
Nacionais. The plan gives landlines the first digits 2 to 6; that only 2 to 5 are in use is
consensus (libphonenumber says the same). Numbers without an area (0800, 4004, 190) are not for
these functions.

The canonical form is area code and subscriber number, 10 or 11 digits, however the number was
dialled: one line has one spelling, with or without ``+55`` in front.
"""

from __future__ import annotations

from . import _randomness
from ._randomness import digits, source
from ._text import DRESSING, LONGEST, exact_str, undress
from .characters import DIGITS
from .errors import BRValueError
from .strictness import STRICT, Strictness, is_lenient

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

_DDD = f"(?:{'|'.join([f'{first}[{second}]' for first, second in _SECOND_DIGITS.items()])})"
_SUBSCRIBER = "(?:9[0-9]{4}|[2-5][0-9]{3})"
PATTERN = rf"^(?:\+?55 ?)?(?:{_DDD}|\({_DDD}\)) ?{_SUBSCRIBER}[ \-]?[0-9]{{4}}$"
CANONICAL_PATTERN = f"^{_DDD}{_SUBSCRIBER}[0-9]{{4}}$"
EXAMPLES = ("11988887777", "(11) 98888-7777", "+55 11 98888-7777")

_MOBILE = frozenset(area_code + "9" for area_code in AREA_CODES)
_LANDLINE = frozenset(area_code + first for area_code in AREA_CODES for first in "2345")
_DIALLING = {**DRESSING, ord("("): None, ord(")"): None}
_WRITTEN = frozenset(DIGITS + "+() -")
_EXPECTED = {
    "type": "a str",
    "length": "area code and 8 or 9 digits",
    "characters": "digits, written like (11) 98888-7777 or +55 11 98888-7777",
    "separators": "bare digits, or separators as in (11) 98888-7777 or +55 11 98888-7777",
    "country": "a number of Brazil, +55",
    "area_code": "one of the 67 area codes",
    "subscriber": "nine digits beginning with 9, or eight beginning with 2 to 5",
}


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
    bare, broken = _examine(value, strictness)
    if broken:
        raise BRValueError("phone_br", broken, _EXPECTED[broken])
    return bare


def format_phone_br(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a number as ``(11) 98888-7777``; raise as ``normalize_phone_br`` does."""
    bare = normalize_phone_br(value, strictness=strictness)
    return f"({bare[:2]}) {bare[2:-4]}-{bare[-4:]}"


def to_e164(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a number as ``+5511988887777`` (ITU-T E.164); raise as ``normalize_phone_br`` does."""
    return "+55" + normalize_phone_br(value, strictness=strictness)


def generate_phone_br(
    *, landline: bool = False, masked: bool = False, random: _randomness.Random | None = None
) -> str:
    """Invent a mobile (or ``landline``) number, for tests.

    An invented number may belong to somebody: never dial it or send to it.
    """
    randomness = source(random)
    first = randomness.choice("2345") if landline else "9" + randomness.choice(DIGITS)
    bare = randomness.choice(sorted(AREA_CODES)) + first + digits(randomness, 7)
    return format_phone_br(bare) if masked else bare


def _is_canonical(text: str) -> bool:
    size = len(text)
    if size == 11:
        return text[:3] in _MOBILE and text.isascii() and text.isdigit()
    return size == 10 and text[:3] in _LANDLINE and text.isascii() and text.isdigit()


def _examine(value: object, strictness: Strictness) -> tuple[str, str]:
    """The canonical digits and ``""``, or ``""`` and the broken rule."""
    national, broken = _reduce(value, strictness)
    if broken or _is_canonical(national):
        return national, broken
    return "", _broken_rule(national)


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
