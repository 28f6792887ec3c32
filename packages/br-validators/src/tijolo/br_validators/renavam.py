"""RENAVAM, the number of a vehicle in the Registro Nacional de Veículos Automotores.

Ten digits and a check digit, weights 3 2 9 8 7 6 5 4 3 2 modulo 11, a remainder below 2 giving 0.
Eleven digits since 2013 (Denatran); the nine digits that older papers show are the same number
without its first two zeros, and ``Strictness.LENIENT`` supplies these. Weights and the refusal of
repeated digits are consensus. There is no mask.
"""

from __future__ import annotations

from ._checks import mod11_of_ten
from ._lazy import digits
from ._mask import Mask
from ._text import LONGEST, exact_str, undress
from .kind import Kind, repeated
from .strictness import Strictness, is_lenient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_check = mod11_of_ten((3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


class _ElevenOrNine(Mask):
    __slots__ = ()

    def bare(self, value: object, strictness: Strictness) -> str:
        bare = super().bare(value, strictness)
        if bare or not is_lenient(strictness):
            return bare
        text = exact_str(value)
        if text is None or len(text) > LONGEST:
            return ""
        old = undress(text)
        return self.bare_of("00" + old) if len(old) == 9 else ""


def _corrected(bare: str) -> str:
    return bare[:10] + _check(bare[:10] + "0")


def _accepts(text: str) -> bool:
    return _check(text) == text[10] and text != text[0] * 11


def _invent(random: Random) -> str:
    base = digits(random, 10)
    while base == "0" * 10:  # the one repetition that has the right check digit
        base = digits(random, 10)
    return _corrected(base)


KIND = Kind(
    "renavam",
    _ElevenOrNine("00000000000"),
    rule=repeated,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("00639884962",),
)
is_valid_renavam = KIND.is_valid
normalize_renavam = KIND.normalize
format_renavam = KIND.format
generate_renavam = KIND.generate
explain_renavam = KIND.explain
suggest_renavam = KIND.suggest
