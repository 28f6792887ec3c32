"""CPF, the number of a natural person in the Cadastro de Pessoas Físicas.

Nine digits and two check digits, modulo 11: the first over the nine with weights 10 to 2, the
second over the ten with weights 11 to 2; a remainder below 2 gives 0, any other its complement
to 11. Source: Receita Federal do Brasil, Manual de Preenchimento da e-Financeira, rule
REGRA_VALIDA_CPF. Numbers of one repeated digit satisfy the sums, but that they are never issued
is consensus, not published text. CPFs have no letters.
"""

from __future__ import annotations

from struct import Struct

from . import _randomness
from ._mask import Mask
from ._mod11 import DOT, HYPHEN, MISSES, check_digit_pairs, residues, share_table
from ._randomness import digits, source
from .characters import DIGITS
from .errors import BRValueError
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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

_RESIDUES = residues(DIGITS)
_split: Callable[[bytes], tuple[int, int, int, int, int]] = Struct("<4HB2x").unpack
_split_masked: Callable[[bytes], tuple[int, ...]] = Struct("<HBBBHBHBB2x").unpack
_Tables = tuple[list[int], list[int], list[int], list[int], list[int], list[str]]
_tables: _Tables = ([], [], [], [], [], [])


def is_valid_cpf(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` is a CPF; only a ``str`` can be, and no value makes this raise."""
    if strictness is not STRICT or type(value) is not str:
        return _is_dressed(value, strictness)
    size = len(value)
    tables = _tables  # for the whole call: another thread may publish them in between
    try:
        if size == 11:
            if not value.isdigit():
                return False
            a, b, c, d, e = _split(value.encode().translate(_RESIDUES))
        elif size == 14:
            a, b, u, high, c, v, d, e, w = _split_masked(value.encode().translate(_RESIDUES))
            if not (u == v == DOT and w == HYPHEN):
                return False
            b |= high << 8
        else:
            return 11 < size < 14 and not value.isdigit() and _is_partly_masked(value)
        p, q, r, s, t, pairs = tables
        pair = pairs[p[a] + q[b] + r[c] + s[d] + t[e]]
        return pair == value[-2:] and value not in _REPEATED
    except MISSES:  # another alphabet, or tables not built yet
        if tables[0]:
            return False
    _build_tables()
    return is_valid_cpf(value)


def normalize_cpf(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 11 bare digits of a CPF.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``reserved`` or ``checksum``.
    """
    if strictness is STRICT and type(value) is str and is_valid_cpf(value):
        return value if len(value) == 11 else _without_separators(value)
    bare, broken = _examine(value, strictness)
    if broken:
        raise BRValueError("cpf", broken, _EXPECTED[broken])
    return bare


def format_cpf(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a CPF as ``000.000.000-00``; raise as ``normalize_cpf`` does."""
    return _MASK.apply(normalize_cpf(value, strictness=strictness))


def generate_cpf(*, masked: bool = False, random: _randomness.Random | None = None) -> str:
    """Invent a valid CPF, for tests; the same ``random`` state gives the same number.

    An invented number may belong to somebody: never send it to a third party.
    """
    randomness = source(random)
    base = digits(randomness, 9)
    while base == base[0] * 9:
        base = digits(randomness, 9)
    cpf = base + _pair(base)
    return _MASK.apply(cpf) if masked else cpf


def _is_partly_masked(value: str) -> bool:
    # the length first: most that come here only miss a digit
    return len(_without_separators(value)) == 11 and _is_dressed(value, STRICT)


def _without_separators(value: str) -> str:
    return value.replace(".", "").replace("-", "")


def _is_dressed(value: object, strictness: Strictness) -> bool:
    """The verdict on any accepted spelling, by way of the bare digits."""
    bare = _MASK.bare(value, strictness)
    return bare != "" and is_valid_cpf(bare)


def _examine(value: object, strictness: Strictness) -> tuple[str, str]:
    """The bare digits and ``""``, or ``""`` and the broken rule."""
    bare, broken = _MASK.read(value, strictness)
    if broken:
        return "", broken
    if bare in _REPEATED:
        return "", "reserved"
    return (bare, "") if _pair(bare) == bare[9:] else ("", "checksum")


def _pair(base: str) -> str:
    """The two check digits of nine (or eleven) ASCII digits."""
    if not _tables[0]:
        _build_tables()
    a, b, c, d, e = _split(base[:9].encode().translate(_RESIDUES) + b"  ")
    p, q, r, s, t, pairs = _tables
    return pairs[p[a] + q[b] + r[c] + s[d] + t[e]]


def _build_tables() -> None:
    """Publish the tables, all in one assignment: racing threads only repeat the work."""
    global _tables
    first, second = range(10, 1, -1), range(11, 2, -1)
    a, b, c, d, e = (share_table(first[i : i + 2], second[i : i + 2]) for i in (0, 2, 4, 6, 8))
    _tables = (a, b, c, d, e, check_digit_pairs())
