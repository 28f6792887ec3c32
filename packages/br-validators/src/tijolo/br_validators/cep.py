"""CEP, the postal code (Código de Endereçamento Postal) of the Correios.

Eight digits, ``00000-000`` when written out (Correios, Guia de Endereçamento), without check
digits. This module judges the shape alone: whether a code is in use is a fact of the Correios'
table, which changes, so ``00000-000`` passes.
"""

from __future__ import annotations

from . import _randomness
from ._mask import Mask
from ._randomness import source
from .errors import BRValueError
from .strictness import STRICT, Strictness

PATTERN = "^[0-9]{5}-?[0-9]{3}$"
CANONICAL_PATTERN = "^[0-9]{8}$"
EXAMPLES = ("01310100", "01310-100")

_MASK = Mask("00000-000")
_EXPECTED = {
    "type": "a str",
    "length": "8 digits",
    "characters": "only the digits 0 to 9 and the mask 00000-000",
    "separators": "8 digits, bare or as 00000-000",
}


def is_valid_cep(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` has the shape of a CEP; only a ``str`` can, and nothing raises."""
    if strictness is STRICT and type(value) is str:
        if len(value) == 8:
            return value.isascii() and value.isdigit()
        if len(value) != 9:
            return False
    return _MASK.bare(value, strictness) != ""


def normalize_cep(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 8 bare digits of a CEP.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters`` or ``separators``.
    """
    if strictness is STRICT and type(value) is str and _is_canonical(value):
        return value
    bare, broken = _MASK.read(value, strictness)
    if broken:
        raise BRValueError("cep", broken, _EXPECTED[broken])
    return bare


def format_cep(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a CEP as ``00000-000``; raise as ``normalize_cep`` does."""
    return _MASK.apply(normalize_cep(value, strictness=strictness))


def generate_cep(*, masked: bool = False, random: _randomness.Random | None = None) -> str:
    """Invent a CEP from 01000-000 up, the lowest that the Correios use, for tests."""
    cep = f"{source(random).randrange(1_000_000, 100_000_000):08d}"
    return _MASK.apply(cep) if masked else cep


def _is_canonical(text: str) -> bool:
    return len(text) == 8 and text.isascii() and text.isdigit()
