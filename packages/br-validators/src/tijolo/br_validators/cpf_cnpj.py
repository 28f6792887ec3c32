"""A CPF or a CNPJ, told apart by their length without separators: 11 or 14 characters.

Counting digits would not do: a CNPJ may have letters. The sources are those of ``cpf`` and
``cnpj``.
"""

from __future__ import annotations

from . import _randomness, cnpj, cpf
from ._randomness import source
from ._text import DRESSING, LONGEST, exact_str
from .cnpj import format_cnpj, generate_cnpj, is_valid_cnpj, normalize_cnpj
from .cpf import format_cpf, generate_cpf, is_valid_cpf, normalize_cpf
from .errors import BRValueError
from .strictness import STRICT, Strictness, is_lenient

PATTERN = f"^(?:{cpf.PATTERN[1:-1]}|{cnpj.PATTERN[1:-1]})$"
CANONICAL_PATTERN = f"^(?:{cpf.CANONICAL_PATTERN[1:-1]}|{cnpj.CANONICAL_PATTERN[1:-1]})$"
EXAMPLES = ("52998224725", "12ABC34501DE35", "12.ABC.345/01DE-35")

_EXPECTED = {"type": "a str", "length": "the 11 digits of a CPF or the 14 characters of a CNPJ"}


def is_valid_cpf_cnpj(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` is a CPF or a CNPJ; only a ``str`` can be, and nothing raises."""
    if strictness is STRICT and type(value) is str:
        size = len(value)
        if size < 14 or (size == 14 and value[3] == "."):
            return is_valid_cpf(value)
        return is_valid_cnpj(value)
    return is_valid_cpf(value, strictness=strictness) or is_valid_cnpj(value, strictness=strictness)


def normalize_cpf_cnpj(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 11 bare digits of a CPF or the 14 bare characters of a CNPJ.

    Raises:
        BRValueError: that of ``normalize_cpf`` or ``normalize_cnpj``, by the length of ``value``;
            of kind ``cpf_cnpj``, with the rule ``type`` or ``length``, where it is neither's.
            The length is that without separators and white space, accepted or not.
    """
    is_lenient(strictness)  # another type is a TypeError, whatever the value
    text = exact_str(value)
    if text is None:
        raise BRValueError("cpf_cnpj", "type", _EXPECTED["type"])
    size = _bare_length(text)
    if size == 11:
        return normalize_cpf(text, strictness=strictness)
    if size == 14:
        return normalize_cnpj(text, strictness=strictness)
    raise BRValueError("cpf_cnpj", "length", _EXPECTED["length"])


def format_cpf_cnpj(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the number with its own mask; raise as ``normalize_cpf_cnpj`` does."""
    bare = normalize_cpf_cnpj(value, strictness=strictness)
    return format_cpf(bare) if len(bare) == 11 else format_cnpj(bare)


def generate_cpf_cnpj(
    *,
    alphanumeric: bool = False,
    all_letters: bool = False,
    masked: bool = False,
    random: _randomness.Random | None = None,
) -> str:
    """Invent a CPF or a CNPJ, each half the time, for tests; options as ``generate_cnpj``."""
    randomness = source(random)
    if randomness.random() < 0.5:
        return generate_cpf(masked=masked, random=randomness)
    return generate_cnpj(
        alphanumeric=alphanumeric, all_letters=all_letters, masked=masked, random=randomness
    )


def _bare_length(text: str) -> int:
    if text.isalnum():  # nothing to take off
        return len(text)
    return len(text.translate(DRESSING)) if len(text) <= LONGEST else 0
