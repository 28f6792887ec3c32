"""CNH, the registration number of a driving licence.

Nine digits and two check digits modulo 11: the first with weights 9 to 1; where its remainder is
10 it is 0 and 2 is taken from the second sum, which has weights 1 to 9; a remainder of 10 gives 0
there too. Contran's Resolução 886/2021 says modulo 11 and no more: weights, the deduction of 2 and
the refusal of repeated digits are consensus. Licences that break the rule have been reported: warn
of it, rather than turn a driver away. There is no mask.
"""

from __future__ import annotations

from ._checks import REMAINDER, mod11
from ._lazy import digits
from ._mask import Mask
from .kind import Kind, repeated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_first = mod11(range(9, 0, -1), "0123456789-")
_second = mod11(range(1, 10), REMAINDER)
_second_less_2 = mod11(range(1, 10), "90012345678")  # (remainder - 2) mod 11, 10 gives 0


def _corrected(bare: str) -> str:
    first = _first(bare)
    if first == "-":
        return bare[:9] + "0" + _second_less_2(bare)
    return bare[:9] + first + _second(bare)


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and _corrected(text) == text and text != text[0] * 11


def _invent(random: Random) -> str:
    bare = _corrected(digits(random, 9))
    while repeated(bare):
        bare = _corrected(digits(random, 9))
    return bare


KIND = Kind(
    "cnh",
    Mask("00000000000"),
    rule=repeated,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("65821310502",),
)
is_valid_cnh = KIND.is_valid
normalize_cnh = KIND.normalize
format_cnh = KIND.format
generate_cnh = KIND.generate
explain_cnh = KIND.explain
suggest_cnh = KIND.suggest
