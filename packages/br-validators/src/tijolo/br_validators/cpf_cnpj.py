"""A CPF or a CNPJ, told apart by their length without separators: 11 or 14 characters.

Counting digits would not do: a CNPJ may have letters. The sources are those of ``cpf`` and
``cnpj``.
"""

from __future__ import annotations

from . import _lazy, cnpj, cpf
from ._lazy import source
from ._mask import Mask, Masks
from ._text import DRESSING, LONGEST, exact_str
from .cnpj import generate_cnpj, is_valid_cnpj, parse_cnpj
from .cpf import generate_cpf, is_valid_cpf, parse_cpf
from .errors import BRValueError
from .kind import Kind
from .strictness import STRICT, Strictness, is_lenient

PATTERN = f"^(?:{cpf.PATTERN[1:-1]}|{cnpj.PATTERN[1:-1]})$"
CANONICAL_PATTERN = f"^(?:{cpf.CANONICAL_PATTERN[1:-1]}|{cnpj.CANONICAL_PATTERN[1:-1]})$"
EXAMPLES = ("52998224725", "12ABC34501DE35", "12.ABC.345/01DE-35")

_EXPECTED = {
    "length": (
        "the 11 digits of a CPF or the 14 characters of a CNPJ",
        "os 11 dígitos de um CPF ou os 14 caracteres de um CNPJ",
    ),
}


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
        raise BRValueError("cpf_cnpj", "type", KIND.expected("type")[0])
    one = _by_length(text)
    if one is None:
        raise BRValueError("cpf_cnpj", "length", KIND.expected("length")[0])
    return one.normalize(text, strictness=strictness)


def parse_cpf_cnpj(
    value: str, *, strictness: Strictness = STRICT
) -> _lazy.CPFParts | _lazy.CNPJParts:
    """What ``parse_cpf`` or ``parse_cnpj`` returns; raise as ``normalize_cpf_cnpj`` does."""
    bare = normalize_cpf_cnpj(value, strictness=strictness)
    return parse_cpf(bare) if len(bare) == 11 else parse_cnpj(bare)


def generate_cpf_cnpj(
    *,
    alphanumeric: bool = False,
    all_letters: bool = False,
    masked: bool = False,
    random: _lazy.Random | None = None,
) -> str:
    """Invent a CPF or a CNPJ, each half the time, for tests; options as ``generate_cnpj``."""
    randomness = source(random)
    if randomness.random() < 0.5:
        return generate_cpf(masked=masked, random=randomness)
    return generate_cnpj(
        alphanumeric=alphanumeric, all_letters=all_letters, masked=masked, random=randomness
    )


def _by_length(text: str) -> Kind | None:
    """The kind that a text of this length without separators can be."""
    if text.isalnum():  # nothing to take off
        size = len(text)
    else:
        size = len(text.translate(DRESSING)) if len(text) <= LONGEST else 0
    return {11: cpf.KIND, 14: cnpj.KIND}.get(size)


class _Either(Kind):
    """Questions beyond the verdict go to the kind that the length points to."""

    def format(self, value: str, *, strictness: Strictness = STRICT) -> str:
        """Return the number with its own mask; raise as ``normalize_cpf_cnpj`` does."""
        bare = normalize_cpf_cnpj(value, strictness=strictness)
        return cpf.format_cpf(bare) if len(bare) == 11 else cnpj.format_cnpj(bare)

    def explain(
        self, value: object, *, strictness: Strictness = STRICT
    ) -> _lazy.Explanation | None:
        """What ``explain_cpf`` or ``explain_cnpj`` returns; by itself only of type and length."""
        is_lenient(strictness)
        text = exact_str(value)
        if text is None:
            return _lazy.explanation(self.name, "type", None, self.expected("type"))
        one = _by_length(text)
        if one is None:
            return _lazy.explanation(self.name, "length", None, self.expected("length"))
        return one.explain(text, strictness=strictness)

    def suggest(self, value: str, *, limit: int = 5) -> list[str]:
        """What ``suggest_cpf`` or ``suggest_cnpj`` returns."""
        text = exact_str(value)
        one = None if text is None else _by_length(text)
        return [] if text is None or one is None else one.suggest(text, limit=limit)


KIND: Kind = _Either(
    "cpf_cnpj",
    Masks(Mask("000.000.000-00"), Mask("XX.XXX.XXX/XXXX-00")),
    invent=cpf.invent,
    examples=EXAMPLES,
    expected=_EXPECTED,
    parse=parse_cpf_cnpj,
    tuned={
        "is_valid": is_valid_cpf_cnpj,
        "normalize": normalize_cpf_cnpj,
        "generate": generate_cpf_cnpj,
    },
)
format_cpf_cnpj = KIND.format
explain_cpf_cnpj = KIND.explain
suggest_cpf_cnpj = KIND.suggest
