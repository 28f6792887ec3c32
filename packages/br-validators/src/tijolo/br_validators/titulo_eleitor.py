"""Título de eleitor, the voter registration number.

Eight digits of sequence, two of the state that issued it (01 to 28), two check digits modulo 11:
the first over the sequence with weights 2 to 9, the second over state and first with weights 7, 8
and 9; a remainder of 10 gives 0. Source: TSE, Resolução 23.659/2021, art. 36. That in São Paulo
(01) and Minas Gerais (02) a remainder of 0 gives 1 is not in its text; it is consensus, and real
numbers of these states need it. The 13 digits of some old ones of these two are not accepted:
nothing official says how to read them.
"""

from __future__ import annotations

from . import _lazy
from ._checks import REMAINDER, mod11
from ._lazy import digits
from ._mask import Mask
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_STATES = (
    *("SP", "MG", "RJ", "RS", "BA", "PR", "CE", "PE", "SC", "GO", "MA", "PB", "PA", "ES"),
    *("PI", "RN", "AL", "MT", "MS", "DF", "SE", "AM", "RO", "AC", "AP", "RR", "TO", "ZZ"),
)
_BY_CODE = {f"{code:02}": state for code, state in enumerate(_STATES, 1)}

_ZERO_IS_ONE = "11234567890"
_first = mod11(range(2, 10), REMAINDER)
_second = mod11((7, 8, 9), REMAINDER)
_first_sp_mg = mod11(range(2, 10), _ZERO_IS_ONE)
_second_sp_mg = mod11((7, 8, 9), _ZERO_IS_ONE)


def _corrected(bare: str) -> str:
    state = bare[8:10]
    if state in ("01", "02"):
        first = _first_sp_mg(bare)
        return bare[:10] + first + _second_sp_mg(state + first)
    first = _first(bare)
    return bare[:10] + first + _second(state + first)


def _rule(bare: str) -> str:
    return "" if bare[8:10] in _BY_CODE else "state"


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and text[8:10] in _BY_CODE and _corrected(text) == text


def _invent(random: Random) -> str:
    return _corrected(digits(random, 8) + random.choice(sorted(_BY_CODE)))


def parse_titulo_eleitor(
    value: str, *, strictness: Strictness = STRICT
) -> _lazy.TituloEleitorParts:
    """The sequence and the state of a título; raise as ``normalize_titulo_eleitor`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    return _lazy.TituloEleitorParts(number=bare, sequence=bare[:8], state=_BY_CODE[bare[8:10]])


KIND = Kind(
    "titulo_eleitor",
    Mask("0000 0000 0000"),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("162749070141", "1627 4907 0141"),
    expected={"state": ("a state code, 01 to 28", "um código de UF, de 01 a 28")},
    places={"state": 8},
    parse=parse_titulo_eleitor,
)
is_valid_titulo_eleitor = KIND.is_valid
normalize_titulo_eleitor = KIND.normalize
format_titulo_eleitor = KIND.format
generate_titulo_eleitor = KIND.generate
explain_titulo_eleitor = KIND.explain
suggest_titulo_eleitor = KIND.suggest
