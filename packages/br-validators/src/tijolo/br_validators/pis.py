"""PIS, PASEP, NIS and NIT: four names of one number of a worker or of a social programme's client.

Ten digits and a check digit. The eleven digits are those of the eSocial (Manual de Orientação);
the weights 3 2 9 8 7 6 5 4 3 2, modulo 11, a remainder below 2 giving 0, are consensus, and so is
that no repeated digit is issued: no official text publishes either.
"""

from __future__ import annotations

from ._checks import mod11_of_ten
from ._lazy import digits
from ._mask import Mask
from .kind import Kind, repeated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_check = mod11_of_ten((3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


def _accepts(text: str) -> bool:
    return _check(text) == text[10] and text != text[0] * 11


def _corrected(bare: str) -> str:
    return bare[:10] + _check(bare[:10] + "0")


def _invent(random: Random) -> str:
    base = digits(random, 10)
    while base == "0" * 10:  # the one repetition that has the right check digit
        base = digits(random, 10)
    return _corrected(base)


KIND = Kind(
    "pis",
    Mask("000.00000.00-0"),
    rule=repeated,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("12056874107", "120.56874.10-7"),
)
is_valid_pis = KIND.is_valid
normalize_pis = KIND.normalize
format_pis = KIND.format
generate_pis = KIND.generate
explain_pis = KIND.explain
suggest_pis = KIND.suggest
