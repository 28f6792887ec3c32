"""CPF, the number of a natural person in the Cadastro de Pessoas Físicas.

Nine digits and two check digits, modulo 11: the first over the nine with weights 10 to 2, the
second over the ten with weights 11 to 2; a remainder below 2 gives 0, any other its complement
to 11. Source: Receita Federal do Brasil, Manual de Preenchimento da e-Financeira, rule
REGRA_VALIDA_CPF. Numbers of one repeated digit satisfy the sums, but that they are never issued
is consensus, not published text. CPFs have no letters. The ninth digit is the fiscal region
of first issue (Receita Federal), 0 standing for the tenth.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from . import _lazy
from ._lazy import digits, source
from ._mask import Mask
from ._mod11 import check_digit_pairs
from .characters import DIGITS
from .errors import BRValueError
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PATTERN = r"^[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}$"
CANONICAL_PATTERN = "^[0-9]{11}$"
EXAMPLES = ("52998224725", "529.982.247-25")

_MASK = Mask("000.000.000-00")
_EXPECTED = {
    "checksum": (
        "the last two digits to follow from the first nine",
        "que os dois últimos dígitos resultem dos nove primeiros",
    ),
}
_REPEATED = frozenset(text for d in DIGITS for text in (d * 11, _MASK.apply(d * 11)))

_REGIONS: dict[str, tuple[str, ...]] = {
    "1": ("DF", "GO", "MS", "MT", "TO"),
    "2": ("AC", "AM", "AP", "PA", "RO", "RR"),
    "3": ("CE", "MA", "PI"),
    "4": ("AL", "PB", "PE", "RN"),
    "5": ("BA", "SE"),
    "6": ("MG",),
    "7": ("ES", "RJ"),
    "8": ("SP",),
    "9": ("PR", "SC"),
    "0": ("RS",),
}

# The text is read two characters at a time as one integer, and a table by that integer gives the
# pair's share of both weighted sums, packed. The keys are pairs of ASCII digits alone, in the
# masked form also of a digit and its separator: alphabet, length and separators are tested by the
# same look-ups that add up the sums.
_FIRST, _SECOND = (10, 9, 8, 7, 6, 5, 4, 3, 2), (11, 10, 9, 8, 7, 6, 5, 4, 3)
_MISSES = (KeyError, IndexError, UnicodeEncodeError, struct_error)
"""What the look-ups raise for a foreign character, a lone surrogate and a wrong length."""
_split: Callable[[bytes], tuple[int, int, int, int, int]] = Struct("<4HB2x").unpack
_split_masked: Callable[[bytes], tuple[int, int, int, int, int, int]] = Struct("<6H2x").unpack
_Table = dict[int, int]
_List = list[int]
_Bare = tuple[list[str], _List, _List, _List, _List, _List]
_Masked = tuple[list[str], _Table, _Table, _Table, _Table, _Table, _Table]
_bare_tables: _Bare | tuple[()] = ()
_masked_tables: _Masked | tuple[()] = ()
_MOST = 6 * 10 + 1
"""One more than the sum of six shares of at most 10."""
_OUT_OF_RANGE = _MOST**2


def is_valid_cpf(value: object, *, strictness: Strictness = STRICT) -> bool:
    """Tell whether ``value`` is a CPF; only a ``str`` can be, and no value makes this raise."""
    if strictness is not STRICT or type(value) is not str:
        return _is_dressed(value, strictness)
    size = len(value)
    try:
        if size == 11:
            a, b, c, d, e = _split(value.encode())
            pairs, p, q, r, s, t = _bare_tables or _build_tables()[0]
            pair = pairs[p[a] + q[b] + r[c] + s[d] + t[e]]
        elif size == 14:
            a, b, c, d, e, f = _split_masked(value.encode())
            pairs, u, v, w, x, y, z = _masked_tables or _build_tables()[1]
            pair = pairs[u[a] + v[b] + w[c] + x[d] + y[e] + z[f]]
        else:
            return 11 < size < 14 and not value.isdigit() and _is_partly_masked(value)
        return pair == value[-2:] and value not in _REPEATED
    except _MISSES:
        return False


def normalize_cpf(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return the 11 bare digits of a CPF.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``reserved`` or ``checksum``.
    """
    if strictness is STRICT and type(value) is str and is_valid_cpf(value):
        return value if len(value) == 11 else _without_separators(value)
    bare, broken = KIND.examine(value, strictness)
    if broken:
        raise BRValueError("cpf", broken, KIND.expected(broken)[0])
    return bare


def generate_cpf(*, masked: bool = False, random: _lazy.Random | None = None) -> str:
    """Invent a valid CPF, for tests; the same ``random`` state gives the same number.

    An invented number may belong to somebody: never send it to a third party.
    """
    randomness = source(random)
    cpf = invent(randomness)
    return _MASK.apply(cpf) if masked else cpf


def parse_cpf(value: str, *, strictness: Strictness = STRICT) -> _lazy.CPFParts:
    """The fiscal region of a CPF; raise as ``normalize_cpf`` does."""
    bare = normalize_cpf(value, strictness=strictness)
    region = bare[8]
    return _lazy.CPFParts(number=bare, fiscal_region=int(region), states=_REGIONS[region])


def corrected(bare: str) -> str:
    """Nine digits, or eleven, with the check digits that follow from the first nine."""
    pairs, p, q, r, s, t = _bare_tables or _build_tables()[0]
    a, b, c, d, e = _split(bare[:9].encode() + b"  ")
    return bare[:9] + pairs[p[a] + q[b] + r[c] + s[d] + t[e]]


def invent(random: Random) -> str:
    """Nine random digits, not all the same, with their check digits."""
    base = digits(random, 9)
    while base == base[0] * 9:
        base = digits(random, 9)
    return corrected(base)


def _is_partly_masked(value: str) -> bool:
    # the length first: most that come here only miss a digit
    return len(_without_separators(value)) == 11 and _is_dressed(value, STRICT)


def _without_separators(value: str) -> str:
    return value.replace(".", "").replace("-", "")


def _is_dressed(value: object, strictness: Strictness) -> bool:
    """The verdict on any accepted spelling, by way of the bare digits."""
    bare = _MASK.bare(value, strictness)
    return bare != "" and is_valid_cpf(bare)


def _rule(bare: str) -> str:
    return "reserved" if bare in _REPEATED else ""


def _build_tables() -> tuple[_Bare, _Masked]:
    """Publish the tables, each in one assignment: racing threads only repeat the work."""
    global _bare_tables, _masked_tables
    pairs, head, tail = check_digit_pairs(_MOST), _table(0, 1), _table(6, 7)
    a, b, c, d, e = map(_listed, (head, _table(2, 3), _table(4, 5), tail, _table(8)))
    bare = pairs, a, b, c, d, e
    dotted, dashed = [_table(at, separator=".") for at in (2, 5)], _table(8, separator="-")
    masked = pairs, head, dotted[0], _table(3, 4), dotted[1], tail, dashed
    _bare_tables, _masked_tables = bare, masked
    return bare, masked


def _listed(table: _Table) -> _List:
    """As a list, which is read faster and has a hundred times the size: for the bare form alone."""
    shares = [_OUT_OF_RANGE] * (max(table) + 1)
    for code, share in table.items():
        shares[code] = share
    return shares


def _table(at: int, behind: int | None = None, separator: str = "") -> _Table:
    """The packed shares of the digit at ``at`` and of the one ``behind`` it, or a separator."""
    first, second = _FIRST[at], _SECOND[at]
    table: _Table = {}
    for a in range(10):
        if behind is None:
            code = 48 + a | ord(separator or "\0") << 8
            table[code] = first * a % 11 + second * a % 11 * _MOST
            continue
        for b in range(10):
            sum_1, sum_2 = first * a + _FIRST[behind] * b, second * a + _SECOND[behind] * b
            table[48 + a | (48 + b) << 8] = sum_1 % 11 + sum_2 % 11 * _MOST
    return table


KIND = Kind(
    "cpf",
    _MASK,
    rule=_rule,
    corrected=corrected,
    invent=invent,
    examples=EXAMPLES,
    expected=_EXPECTED,
    parse=parse_cpf,
    tuned={"is_valid": is_valid_cpf, "normalize": normalize_cpf, "generate": generate_cpf},
)
format_cpf = KIND.format
explain_cpf = KIND.explain
suggest_cpf = KIND.suggest
