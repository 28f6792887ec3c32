"""The code that IBGE gives a municipality (Divisão Territorial Brasileira).

Two digits of state, four of municipality, a check digit: weights 1 2 1 2 1 2, digits of each
product summed, 10 less the last digit of the sum. Nine municipalities have another check digit;
with them the rule holds for all 5,571 of IBGE's table. Whether a code is in use is a fact of that
table, which changes, and not asked here.
"""

from __future__ import annotations

from . import _lazy
from ._checks import mod10
from ._lazy import digits
from ._mask import Mask
from ._states import BY_IBGE, STATE_CODE
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_EXCEPTIONS = {
    code[:6]: code
    for code in (
        *("2201919", "2201988", "2202251", "2611533", "3117836"),
        *("3152131", "4305871", "5203939", "5203962"),
    )
}


def _corrected(bare: str) -> str:
    prefix = bare[:6]
    return _EXCEPTIONS.get(prefix) or prefix + mod10(prefix)


def _rule(bare: str) -> str:
    return "" if bare[:2] in BY_IBGE else "state"


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and not _rule(text) and _corrected(text) == text


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
