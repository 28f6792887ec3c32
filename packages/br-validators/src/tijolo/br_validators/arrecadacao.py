"""Guia de arrecadação: taxes, utility bills, fines. 48 typed digits, or the 44 of the bar code.

The line is the bar code in four blocks of eleven, each with a check digit of its own. The bar code:
8, segment, kind of value, check digit of the other 43, eleven digits of value, the company (its
FEBRABAN number, or in segment 6 the root of its CNPJ), the rest the company's own. Kinds of value 6
and 7 have check digits modulo 10, 8 and 9 modulo 11 with weights 2 to 9 from the right, remainders
0 and 1 giving 0. Source: FEBRABAN, Layout Padrão de Arrecadação/Recebimento com Código de Barras.
"""

from __future__ import annotations

from . import _lazy
from ._checks import cycle, mod10, mod11
from ._lazy import digits
from ._mask import Mask
from ._slips import LineOrBarcode
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_BLOCK = 11
_SEGMENTS = "12345679"
_VALUE_KINDS = "6789"
_IN_BRL = "68"
_BY_MOD10 = "67"

_general = mod11(cycle((2, 3, 4, 5, 6, 7, 8, 9), 43))
_of_block = mod11(cycle((2, 3, 4, 5, 6, 7, 8, 9), _BLOCK))


def _barcode_of(line: str) -> str:
    return line[:11] + line[12:23] + line[24:35] + line[36:47]


def _line_of(barcode: str) -> str:
    check = mod10 if barcode[2] in _BY_MOD10 else _of_block
    blocks = [barcode[at : at + _BLOCK] for at in range(0, 44, _BLOCK)]
    return "".join([block + check(block) for block in blocks])


def _corrected(line: str) -> str:
    barcode = _barcode_of(line)
    rest = barcode[:3] + barcode[4:]
    check = mod10(rest) if barcode[2] in _BY_MOD10 else _general(rest)
    return _line_of(barcode[:3] + check + barcode[4:])


def _rule(line: str) -> str:
    if line[0] != "8":
        return "product"
    if line[1] not in _SEGMENTS:
        return "segment"
    return "" if line[2] in _VALUE_KINDS else "value_kind"


def _invent(random: Random) -> str:
    segment, value_kind = random.choice(_SEGMENTS), random.choice(_VALUE_KINDS)
    amount = f"{random.randrange(100, 1_000_000):011}"
    return _corrected(_line_of(f"8{segment}{value_kind}0{amount}{digits(random, 29)}"))


def parse_arrecadacao(value: str, *, strictness: Strictness = STRICT) -> _lazy.ArrecadacaoParts:
    """Segment, value and company of a slip; raise as ``normalize_arrecadacao`` does."""
    line = KIND.normalize(value, strictness=strictness)
    barcode = _barcode_of(line)
    number = int(barcode[4:15])
    in_brl = barcode[2] in _IN_BRL
    company = 8 if barcode[1] == "6" else 4
    return _lazy.ArrecadacaoParts(
        line=line,
        barcode=barcode,
        segment=int(barcode[1]),
        value_kind=int(barcode[2]),
        amount=_lazy.Decimal(f"{number}E-2") if in_brl else None,  # exact in any decimal context
        quantity=None if in_brl else number,
        company=barcode[15 : 15 + company],
        free_field=barcode[15 + company :],
    )


KIND = Kind(
    "arrecadacao",
    LineOrBarcode(
        Mask("00000000000-0 00000000000-0 00000000000-0 00000000000-0"),
        _line_of,
    ),
    rule=_rule,
    corrected=_corrected,
    invent=_invent,
    examples=(
        "846100000005246100291102005460339004695895061080",
        "84610000000-5 24610029110-2 00546033900-4 69589506108-0",
    ),
    expected={
        "product": ("8 as first digit", "8 como primeiro dígito"),
        "segment": ("a segment from 1 to 7, or 9", "um segmento de 1 a 7, ou 9"),
        "value_kind": ("a kind of value from 6 to 9", "um identificador de valor de 6 a 9"),
    },
    places={"product": 0, "segment": 1, "value_kind": 2},
    parse=parse_arrecadacao,
)
is_valid_arrecadacao = KIND.is_valid
normalize_arrecadacao = KIND.normalize
format_arrecadacao = KIND.format
generate_arrecadacao = KIND.generate
explain_arrecadacao = KIND.explain
suggest_arrecadacao = KIND.suggest
