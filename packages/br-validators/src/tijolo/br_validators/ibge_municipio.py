"""The code that IBGE gives a municipality (Divisão Territorial Brasileira).

Two digits of state, four of municipality, a check digit: weights 1 2 1 2 1 2, digits of each
product summed, 10 less the last digit of the sum. Nine municipalities have another check digit;
with them the rule holds for all 5,571 of IBGE's table. Whether a code is in use is a fact of that
table, which changes, and not asked here.
"""

from __future__ import annotations

from struct import Struct

from . import _lazy
from ._checks import MISSES, mod10
from ._lazy import digits
from ._mask import Mask
from ._states import BY_IBGE, STATE_CODE
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_CODES = (
    *("2201919", "2201988", "2202251", "2611533", "3117836"),
    *("3152131", "4305871", "5203939", "5203962"),
)
_REAL = frozenset(_CODES)
_EXCEPTIONS = {code[:6]: code for code in _CODES}
_INSTEAD = frozenset(prefix + mod10(prefix) for prefix in _EXCEPTIONS)
"""What the nine would be by the rule; nobody has these."""

# by the integer that two ASCII digits make, their share of the sum; of a state, if there is one
_SHARES = {48 + a | (48 + b) << 8: a + b * 2 - 9 * (b > 4) for a in range(10) for b in range(10)}
_STATE_SHARES = {
    ord(code[0]) | ord(code[1]) << 8: _SHARES[ord(code[0]) | ord(code[1]) << 8] for code in BY_IBGE
}
_DIGITS = [str(-total % 10) for total in range(6 * 9 + 1)]
_split: Callable[[bytes], tuple[int, int, int]] = Struct("<3Hx").unpack


def _corrected(bare: str) -> str:
    prefix = bare[:6]
    return _EXCEPTIONS.get(prefix) or prefix + mod10(prefix)


def _rule(bare: str) -> str:
    return "" if bare[:2] in BY_IBGE else "state"


def _accepts(text: str) -> bool:
    try:
        a, b, c = _split(text.encode())
        if _DIGITS[_STATE_SHARES[a] + _SHARES[b] + _SHARES[c]] == text[6]:
            return text not in _INSTEAD
    except MISSES:
        return False
    return text in _REAL


def _invent(random: Random) -> str:
    return _corrected(random.choice(sorted(BY_IBGE)) + digits(random, 4))


def parse_ibge_municipio(value: str, *, strictness: Strictness = STRICT) -> _lazy.MunicipioParts:
    """The state of a municipality; raise as ``normalize_ibge_municipio`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    return _lazy.MunicipioParts(code=bare, state=BY_IBGE[bare[:2]], prefix=bare[:6])


KIND = Kind(
    "ibge_municipio",
    Mask("0000000"),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("3550308",),
    expected={"state": STATE_CODE},
    places={"state": 0},
    parse=parse_ibge_municipio,
)
is_valid_ibge_municipio = KIND.is_valid
normalize_ibge_municipio = KIND.normalize
format_ibge_municipio = KIND.format
generate_ibge_municipio = KIND.generate
explain_ibge_municipio = KIND.explain
suggest_ibge_municipio = KIND.suggest
