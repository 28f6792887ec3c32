"""Telephone numbers without an area code: 0800 and its like, 4004 and its like, 190 and its like.

Source: Anatel, Resolução 749/2022. Non-geographic numbers (art. 18 and 28) are dialled as 0300,
0303, 0500, 0800 or 0900 and seven digits; the ten-digit 0800 is extinct. Public utility numbers
(art. 13) have three digits that begin with 1; which are in use, Anatel's acts say, one by one, so
that is not asked here. That 300x-xxxx and 400x-xxxx reach one company from everywhere is a custom
of the market. None of them has an E.164 form.
"""

from __future__ import annotations

from . import _lazy
from ._lazy import digits
from ._mask import Mask, Masks
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_NON_GEOGRAPHIC = ("0300", "0303", "0500", "0800", "0900")
_SINGLE = ("300", "400")


def _rule(bare: str) -> str:
    known = {
        11: bare[:4] in _NON_GEOGRAPHIC,
        8: bare[:3] in _SINGLE,
        3: bare[0] == "1",
    }
    return "" if known[len(bare)] else "prefix"


def _invent(random: Random) -> str:
    size = random.choice((11, 8, 3))
    if size == 11:
        return random.choice(_NON_GEOGRAPHIC) + digits(random, 7)
    return random.choice(_SINGLE) + digits(random, 5) if size == 8 else "1" + digits(random, 2)


def parse_service_phone(value: str, *, strictness: Strictness = STRICT) -> _lazy.ServicePhoneParts:
    """Which kind of number it is; raise as ``normalize_service_phone`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    if len(bare) == 11:
        return _lazy.ServicePhoneParts(number=bare, kind="non_geographic", prefix=bare[:4])
    if len(bare) == 8:
        return _lazy.ServicePhoneParts(number=bare, kind="single_number", prefix=bare[:4])
    return _lazy.ServicePhoneParts(number=bare, kind="public_utility", prefix=bare)


KIND = Kind(
    "service_phone",
    Masks(Mask("0000 000 0000"), Mask("0000-0000"), Mask("000")),
    rule=_rule,
    invent=_invent,
    examples=("08001234567", "0800 123 4567", "4004-1234", "190"),
    expected={
        "prefix": (
            "0300, 0303, 0500, 0800 or 0900 and seven digits, 300x-xxxx, 400x-xxxx, or 1xx",
            "0300, 0303, 0500, 0800 ou 0900 e sete dígitos, 300x-xxxx, 400x-xxxx ou 1xx",
        )
    },
    places={"prefix": 0},
    parse=parse_service_phone,
)
is_valid_service_phone = KIND.is_valid
normalize_service_phone = KIND.normalize
format_service_phone = KIND.format
generate_service_phone = KIND.generate
explain_service_phone = KIND.explain
suggest_service_phone = KIND.suggest
