"""CNO and CEI: a building site, and the older register (of the INSS) that it replaced.

Twelve digits, ``00.000.00000/00``, one numbering for both. The Receita Federal publishes neither
mask nor check digit (its page on the CNO only describes the register): the weights
7 4 1 8 5 2 1 6 3 7 4, tens and units of the sum added, and 10 less the last digit of that, are
consensus, and so is that no repeated digit is issued.
"""

from __future__ import annotations

from operator import mul

from ._lazy import digits
from ._mask import Mask
from .kind import Kind, repeated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_WEIGHTS = (7, 4, 1, 8, 5, 2, 1, 6, 3, 7, 4)


def _corrected(bare: str) -> str:
    total = sum(map(mul, _WEIGHTS, map(int, bare)))
    return bare[:11] + str(-(total // 10 + total) % 10)


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and not repeated(text) and _corrected(text) == text


def _invent(random: Random) -> str:
    bare = _corrected(digits(random, 11))
    while repeated(bare):
        bare = _corrected(digits(random, 11))
    return bare


def _kind(name: str, *examples: str) -> Kind:
    return Kind(
        name,
        Mask("00.000.00000/00"),
        rule=repeated,
        corrected=_corrected,
        accepts=_accepts,
        invent=_invent,
        examples=examples,
    )


KIND = _kind("cno", "115830024985", "11.583.00249/85")
is_valid_cno = KIND.is_valid
normalize_cno = KIND.normalize
format_cno = KIND.format
generate_cno = KIND.generate
explain_cno = KIND.explain
suggest_cno = KIND.suggest

CEI = _kind("cei", "277297118187", "27.729.71181/87")
is_valid_cei = CEI.is_valid
normalize_cei = CEI.normalize
format_cei = CEI.format
generate_cei = CEI.generate
explain_cei = CEI.explain
suggest_cei = CEI.suggest
