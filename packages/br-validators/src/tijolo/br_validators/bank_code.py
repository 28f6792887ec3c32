"""The codes of a bank: COMPE, three digits, and ISPB, eight characters.

Shapes alone (Banco Central, ParticipantesSTR.csv): neither has a check digit, and which are in
use changes every month. The ISPB is the root of the institution's CNPJ, and so may have letters
since July 2026 (IN RFB 2.229/2024).
"""

from __future__ import annotations

from ._lazy import digits
from ._mask import Mask
from .kind import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random


def _is_compe(text: str) -> bool:
    return text.isdigit() and text.isascii()


def _is_ispb(text: str) -> bool:
    return text.isascii() and text.isalnum() and text == text.upper()


def _invent_compe(random: Random) -> str:
    return digits(random, 3)


def _invent_ispb(random: Random) -> str:
    return digits(random, 8)


KIND = Kind("compe", Mask("000"), accepts=_is_compe, invent=_invent_compe, examples=("001", "341"))
is_valid_compe = KIND.is_valid
normalize_compe = KIND.normalize
format_compe = KIND.format
generate_compe = KIND.generate
explain_compe = KIND.explain
suggest_compe = KIND.suggest

ISPB = Kind(
    "ispb",
    Mask("XXXXXXXX"),
    accepts=_is_ispb,
    invent=_invent_ispb,
    examples=("00000000", "60701190"),
)
is_valid_ispb = ISPB.is_valid
normalize_ispb = ISPB.normalize
format_ispb = ISPB.format
generate_ispb = ISPB.generate
explain_ispb = ISPB.explain
suggest_ispb = ISPB.suggest
