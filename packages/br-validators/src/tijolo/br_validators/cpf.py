"""CPF, the number of a natural person in the Cadastro de Pessoas Físicas.

Nine digits and two check digits, modulo 11: the first over the nine with weights 10 to 2, the
second over the ten with weights 11 to 2; a remainder below 2 gives 0, any other its complement
to 11. Source: Receita Federal do Brasil, Manual de Preenchimento da e-Financeira, rule
REGRA_VALIDA_CPF. Numbers of one repeated digit satisfy the sums, but that they are never issued
is consensus, not published text. CPFs have no letters.
"""

from __future__ import annotations

from ._mask import Mask
from ._mod11 import Table, check_digit_pairs, chunk_table, with_separator
from ._randomness import digits, source
from .characters import DIGITS
from .errors import BRValueError
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

PATTERN = r"^[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}$"
CANONICAL_PATTERN = "^[0-9]{11}$"
EXAMPLES = ("52998224725", "529.982.247-25")

_MASK = Mask("000.000.000-00")
_EXPECTED = {
    "type": "a str",
    "length": "11 digits",
    "characters": "only the digits 0 to 9 and the mask 000.000.000-00",
    "separators": "11 digits, bare or as 000.000.000-00",
    "reserved": "digits that are not all the same",
    "checksum": "the last two digits to follow from the first nine",
}
_REPEATED = frozenset(text for d in DIGITS for text in (d * 11, _MASK.apply(d * 11)))

_Tables = tuple[Table, Table, Table, list[str]]
_bare: _Tables = ({}, {}, {}, [])
_masked: _Tables = ({}, {}, {}, [])


def is_valid_cpf(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` is a CPF; only a ``str`` can be, and no value makes this raise."""
    if strictness is STRICT and type(value) is str:
        try:
            if len(value) == 11:
                a, b, c, pairs = _bare
                pair = pairs[a[value[:3]] + b[value[3:6]] + c[value[6:9]]]
                return pair == value[9:] and value not in _REPEATED
            if len(value) == 14:
                a, b, c, pairs = _masked
                pair = pairs[a[value[:4]] + b[value[4:8]] + c[value[8:12]]]
                return pair == value[12:] and value not in _REPEATED
        except KeyError:  # another spelling, another alphabet, or tables not built yet
            pass
    return not _examine(value, strictness)[1]


def normalize_cpf(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 11 bare digits of a CPF.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``reserved`` or ``checksum``.
    """
    if strictness is STRICT and type(value) is str and len(value) == 11:
        try:
            a, b, c, pairs = _bare
            pair = pairs[a[value[:3]] + b[value[3:6]] + c[value[6:9]]]
            if pair == value[9:] and value not in _REPEATED:
                return value
        except KeyError:
            pass
    bare, broken = _examine(value, strictness)
    if broken:
        raise BRValueError("cpf", broken, _EXPECTED[broken])
    return bare


def format_cpf(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a CPF as ``000.000.000-00``; raise as ``normalize_cpf`` does."""
    return _MASK.apply(normalize_cpf(value, strictness=strictness))


def generate_cpf(*, masked: bool = False, random: Random | None = None) -> str:
    """Invent a valid CPF, for tests; the same ``random`` state gives the same number.

    An invented number may belong to somebody: never send it to a third party.
    """
    randomness = source(random)
    base = digits(randomness, 9)
    while base == base[0] * 9:
        base = digits(randomness, 9)
    cpf = base + _pair(base)
    return _MASK.apply(cpf) if masked else cpf


def _examine(value: object, strictness: Strictness) -> tuple[str, str]:
    """The bare digits and ``""``, or ``""`` and the broken rule."""
    bare, broken = _MASK.read(value, strictness)
    if broken:
        return "", broken
    if bare in _REPEATED:
        return "", "reserved"
    return (bare, "") if _pair(bare) == bare[9:] else ("", "checksum")


def _pair(base: str) -> str:
    """The two check digits of nine (or more) ASCII digits."""
    if not _bare[0]:
        _build_tables()
    a, b, c, pairs = _bare
    return pairs[a[base[:3]] + b[base[3:6]] + c[base[6:9]]]


def _build_tables() -> None:
    """Publish the tables; each tuple appears whole, so racing threads only repeat the work."""
    global _bare, _masked
    first, second = range(10, 1, -1), range(11, 2, -1)
    a, b, c = (chunk_table(DIGITS, first[i : i + 3], second[i : i + 3]) for i in (0, 3, 6))
    pairs = check_digit_pairs()
    _masked = (
        with_separator(a, 3, "."),
        with_separator(b, 3, "."),
        with_separator(c, 3, "-"),
        pairs,
    )
    _bare = (a, b, c, pairs)
