"""CNS, the number of the Cartão Nacional de Saúde.

Fifteen digits. Definitive ones begin with 1 or 2 and have eleven digits of base, ``000`` (``001``
where the check digit would be 10) and a check digit; provisional ones begin with 7, 8 or 9. In
both the sum with weights 15 to 1 is a multiple of 11. Source: the routine that the Ministério da
Saúde (e-SUS) and ANVISA (RNI) publish. The e-SUS also names a first digit 5, ANVISA does not: it is
refused.
"""

from __future__ import annotations

from . import _lazy
from ._checks import mod11
from ._lazy import digits
from ._mask import Mask
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_DEFINITIVE = "12"
_FIRST = "12789"
_NEEDED = "0X987654321"
"""The last digit by the remainder of all before it; no digit would do for a remainder of 1."""

_base = mod11(range(15, 4, -1), _NEEDED)
_all_but_last = mod11(range(15, 1, -1), _NEEDED)


def _corrected(bare: str) -> str:
    if bare[0] not in _DEFINITIVE:
        return bare[:14] + _all_but_last(bare)
    last = _base(bare)
    return bare[:11] + ("0018" if last == "X" else "000" + last)


def _rule(bare: str) -> str:
    return "" if bare[0] in _FIRST else "prefix"


def _accepts(text: str) -> bool:
    if not (text.isdigit() and text.isascii() and text[0] in _FIRST):
        return False
    if _all_but_last(text) != text[14]:
        return False
    return text[0] not in _DEFINITIVE or text[11:14] == "000" or text[11:] == "0018"


def _invent(random: Random) -> str:
    while True:
        first = random.choice(_FIRST)
        bare = _corrected(first + digits(random, 14))
        if bare[-1] != "X":
            return bare


def parse_cns(value: str, *, strictness: Strictness = STRICT) -> _lazy.CNSParts:
    """Whether a card is definitive or provisional; raise as ``normalize_cns`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    definitive = bare[0] in _DEFINITIVE
    return _lazy.CNSParts(number=bare, kind="definitive" if definitive else "provisional")


KIND = Kind(
    "cns",
    Mask("000 0000 0000 0000"),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("100000000060018", "100 0000 0006 0018"),
    expected={"prefix": ("1, 2, 7, 8 or 9 as first digit", "1, 2, 7, 8 ou 9 no início")},
    places={"prefix": 0},
    parse=parse_cns,
)
is_valid_cns = KIND.is_valid
normalize_cns = KIND.normalize
format_cns = KIND.format
generate_cns = KIND.generate
explain_cns = KIND.explain
suggest_cns = KIND.suggest
