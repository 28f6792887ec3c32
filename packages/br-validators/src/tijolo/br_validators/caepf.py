"""CAEPF, the register of a natural person's economic activity (Receita Federal, IN 1.828/2018).

The first nine digits of the person's CPF, three of order, two check digits,
``000.000.000/000-00`` (Serpro, bCadastros, ``nroAepfCompleto``). The check digits are published
nowhere: those of a numeric CNPJ over the first twelve digits, plus 12, modulo 100, are consensus,
and agree with Serpro's one example. A CPF of one repeated digit is never issued (consensus), and
so neither is the CAEPF that would begin with it.
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

_first = mod11((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
_second = mod11((6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


def _corrected(bare: str) -> str:
    base = bare[:12]
    first = _first(base)
    return f"{base}{(int(first + _second(base + first)) + 12) % 100:02}"


def _rule(bare: str) -> str:
    return "reserved" if bare[:9] == bare[0] * 9 else ""


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and not _rule(text) and _corrected(text) == text


def _invent(random: Random) -> str:
    base = digits(random, 9)
    while _rule(base):
        base = digits(random, 9)
    return _corrected(f"{base}{random.randrange(1, 1000):03}")


def parse_caepf(value: str, *, strictness: Strictness = STRICT) -> _lazy.CAEPFParts:
    """The person's CPF and the order; raise as ``normalize_caepf`` does."""
    from .cpf import corrected as with_check_digits

    bare = KIND.normalize(value, strictness=strictness)
    cpf = with_check_digits(bare[:9])
    return _lazy.CAEPFParts(number=bare, cpf=cpf, order=bare[9:12])


KIND = Kind(
    "caepf",
    Mask("000.000.000/000-00"),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("29311861000184", "293.118.610/001-84"),
    parse=parse_caepf,
)
is_valid_caepf = KIND.is_valid
normalize_caepf = KIND.normalize
format_caepf = KIND.format
generate_caepf = KIND.generate
explain_caepf = KIND.explain
suggest_caepf = KIND.suggest
