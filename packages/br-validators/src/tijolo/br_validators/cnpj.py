"""CNPJ, the number of a legal entity in the Cadastro Nacional da Pessoa Jurídica.

Eight characters of root, four of order, two check digits. Root and order were digits until June
2026 and may be ``0-9A-Z`` since July 2026 (Instrução Normativa RFB 2.229/2024, rectified in the DOU
of 2024-10-25; Nota Técnica Conjunta COCAD/SUARA/RFB 49/2024); numeric ones stay valid, and letters
also come in the order of numeric roots. Check digits, modulo 11, are those of Nota Técnica Conjunta
ENCAT 2025.001 v1.00, Anexo I: a character is worth its ASCII code less 48, weights run 2 to 9 from
the right and start again; a remainder below 2 gives 0, any other its complement to 11. All 26
letters are valid (RFB, Perguntas e Respostas, question 1); leaving out I, O, U, Q and F was a
request of ENCAT's. Fourteen zeros are refused (Anexo I); there is no rule on other repetitions.

The sums only see a value modulo 11. Characters of one of these groups can be exchanged without a
trace, and so can neither the function nor anybody else find it: 0FQ 1GR 2HS 3IT 4JU 5KV 6ALW 7BMX
8CNY 9DOZ EP.
"""

from __future__ import annotations

from struct import Struct

from . import _lazy
from ._lazy import digits, source
from ._mask import Mask
from ._mod11 import DOT, HYPHEN, MISSES, MOST, SLASH, check_digit_pairs, residues, share_table
from .characters import DIGITS, LETTERS
from .errors import BRValueError
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PATTERN = r"^[0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?[0-9]{2}$"
CANONICAL_PATTERN = "^[0-9A-Z]{12}[0-9]{2}$"
EXAMPLES = ("12ABC34501DE35", "12.ABC.345/01DE-35", "11222333000181")
NUMERIC_PATTERN = r"^[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}$"
NUMERIC_CANONICAL_PATTERN = "^[0-9]{14}$"
NUMERIC_EXAMPLES = ("11222333000181", "11.222.333/0001-81")

_MASK = Mask("XX.XXX.XXX/XXXX-00")
_UNAMBIGUOUS = "".join([letter for letter in LETTERS if letter not in "IOUQF"])
_EXPECTED = {
    "characters": (
        "0-9 and A-Z, two digits at the end, and the mask XX.XXX.XXX/XXXX-00",
        "0-9 e A-Z, dois dígitos no fim e a máscara XX.XXX.XXX/XXXX-00",
    ),
    "letters": ("digits only", "só dígitos"),
    "reserved": ("digits that are not all zero", "dígitos que não sejam todos zero"),
    "checksum": (
        "the last two digits to follow from the first twelve characters",
        "que os dois últimos dígitos resultem dos doze primeiros caracteres",
    ),
}
_ZEROS = frozenset(("0" * 14, _MASK.apply("0" * 14)))
_FIRST = (5, 4, 3, 2, 9, 8, 7, 6)
_SECOND = (6, 5, 4, 3, 2, 9, 8, 7)

_RESIDUES = residues(DIGITS + LETTERS)
_split: Callable[[bytes], tuple[int, int, int, int, int, int]] = Struct("<6H2x").unpack
_split_masked: Callable[[bytes], tuple[int, ...]] = Struct("<HBHBBBHBHHB2x").unpack
_Tables = tuple[list[int], list[int], list[int], list[int], list[str]]
_tables: _Tables = ([], [], [], [], [])


def is_valid_cnpj(
    value: object, *, strictness: Strictness = STRICT, numeric_only: bool = False
) -> bool:
    """Tell whether ``value`` is a CNPJ; only a ``str`` can be, and no value makes this raise.

    ``numeric_only`` refuses letters, for a column or a partner that cannot hold them yet.
    """
    if strictness is not STRICT or type(value) is not str:
        return _is_dressed(value, strictness, numeric_only)
    size = len(value)
    tables = _tables  # for the whole call: another thread may publish them in between
    try:
        if size == 14:
            a, b, c, d, e, f = _split(value.encode().translate(_RESIDUES))
        elif size == 18:
            codes = value.encode().translate(_RESIDUES)
            a, t, b, c, u, high, d, v, e, f, w = _split_masked(codes)
            if not (t == u == DOT and v == SLASH and w == HYPHEN):
                return False
            c |= high << 8
        else:
            between = 14 < size < 18 and not value.isalnum()
            return between and _is_partly_masked(value, numeric_only)
        p, q, r, s, pairs = tables
        if pairs[p[a] + q[b] + r[c] + s[d] + p[e] + q[f]] != value[-2:]:
            return False
        return value not in _ZEROS and not (numeric_only and value.isupper())
    except MISSES:  # another alphabet, or tables not built yet
        if tables[0]:
            return False
    _build_tables()
    return is_valid_cnpj(value, numeric_only=numeric_only)


def normalize_cnpj(
    value: str, *, strictness: Strictness = STRICT, numeric_only: bool = False
) -> str:
    """Return the 14 bare characters of a CNPJ, letters in upper case.

    ``numeric_only`` refuses letters, for a column or a partner that cannot hold them yet.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``letters`` (only with ``numeric_only``), ``reserved`` or ``checksum``.
    """
    strict = strictness is STRICT and type(value) is str
    if strict and is_valid_cnpj(value, numeric_only=numeric_only):
        if len(value) == 14:
            return value
        return _without_separators(value)
    kind = NUMERIC if numeric_only else KIND
    bare, broken = kind.examine(value, strictness)
    if broken:
        raise BRValueError("cnpj", broken, kind.expected(broken)[0])
    return bare


def format_cnpj(value: str, *, strictness: Strictness = STRICT, numeric_only: bool = False) -> str:
    """Return a CNPJ as ``XX.XXX.XXX/XXXX-00``; raise as ``normalize_cnpj`` does."""
    return _MASK.apply(normalize_cnpj(value, strictness=strictness, numeric_only=numeric_only))


def generate_cnpj(
    *,
    alphanumeric: bool = False,
    all_letters: bool = False,
    masked: bool = False,
    random: _lazy.Random | None = None,
) -> str:
    """Invent a valid CNPJ, for tests; the same ``random`` state gives the same number.

    ``alphanumeric`` puts at least one letter in it, but none of I, O, U, Q and F;
    ``all_letters``, which implies it, allows these too. An invented number may
    belong to somebody: never send it to a third party.
    """
    alphabet = DIGITS
    if alphanumeric or all_letters:
        alphabet += LETTERS if all_letters else _UNAMBIGUOUS
    cnpj = _invent(source(random), alphabet)
    return _MASK.apply(cnpj) if masked else cnpj


def parse_cnpj(
    value: str, *, strictness: Strictness = STRICT, numeric_only: bool = False
) -> _lazy.CNPJParts:
    """Root, order and check digits of a CNPJ; raise as ``normalize_cnpj`` does."""
    bare = normalize_cnpj(value, strictness=strictness, numeric_only=numeric_only)
    return _lazy.CNPJParts(
        number=bare,
        root=bare[:8],
        order=bare[8:12],
        check_digits=bare[12:],
        is_alphanumeric=not bare.isdigit(),
    )


def _invent(random: Random, alphabet: str = DIGITS) -> str:
    with_letters = alphabet != DIGITS
    base = digits(random, 12)
    while base == "0" * 12 or (with_letters and base.isdigit()):
        base = "".join(random.choices(alphabet, k=12))
    return corrected(base)


def _is_partly_masked(value: str, numeric_only: bool) -> bool:
    # the length first: most that come here only miss a character
    return len(_without_separators(value)) == 14 and _is_dressed(value, STRICT, numeric_only)


def _without_separators(value: str) -> str:
    return value.replace(".", "").replace("/", "").replace("-", "")


def _is_dressed(value: object, strictness: Strictness, numeric_only: bool) -> bool:
    """The verdict on any accepted spelling, by way of the bare characters."""
    bare = _MASK.bare(value, strictness)
    return bare != "" and is_valid_cnpj(bare, numeric_only=numeric_only)


def _rule(bare: str) -> str:
    return "reserved" if bare in _ZEROS else ""


def _numeric_rule(bare: str) -> str:
    return _rule(bare) if bare.isdigit() else "letters"


def corrected(bare: str) -> str:
    """Twelve characters, or fourteen, with the check digits that follow from the first twelve."""
    if not _tables[0]:
        _build_tables()
    a, b, c, d, e, f = _split(bare[:12].encode().translate(_RESIDUES) + b"  ")
    p, q, r, s, pairs = _tables
    return bare[:12] + pairs[p[a] + q[b] + r[c] + s[d] + p[e] + q[f]]


def _build_tables() -> None:
    """Publish the tables, all in one assignment: racing threads only repeat the work.

    The weights repeat after eight characters, and so do the tables.
    """
    global _tables
    a, b, c, d = (share_table(_FIRST[i : i + 2], _SECOND[i : i + 2]) for i in (0, 2, 4, 6))
    _tables = (a, b, c, d, check_digit_pairs(MOST))


def _is_valid_numeric(value: object, *, strictness: Strictness = STRICT) -> bool:
    return is_valid_cnpj(value, strictness=strictness, numeric_only=True)


def _normalize_numeric(value: str, *, strictness: Strictness = STRICT) -> str:
    return normalize_cnpj(value, strictness=strictness, numeric_only=True)


def _parse_numeric(value: str, *, strictness: Strictness = STRICT) -> _lazy.CNPJParts:
    return parse_cnpj(value, strictness=strictness, numeric_only=True)


KIND = Kind(
    "cnpj",
    _MASK,
    rule=_rule,
    corrected=corrected,
    invent=_invent,
    examples=EXAMPLES,
    expected=_EXPECTED,
    parse=parse_cnpj,
    tuned={"is_valid": is_valid_cnpj, "normalize": normalize_cnpj, "generate": generate_cnpj},
)
NUMERIC = Kind(
    "cnpj",
    _MASK,
    rule=_numeric_rule,
    corrected=corrected,
    invent=_invent,
    examples=NUMERIC_EXAMPLES,
    expected=_EXPECTED,
    parse=_parse_numeric,
    patterns=(NUMERIC_PATTERN, NUMERIC_CANONICAL_PATTERN),
    tuned={"is_valid": _is_valid_numeric, "normalize": _normalize_numeric},
    key="cnpj_numeric",
)
explain_cnpj = KIND.explain
suggest_cnpj = KIND.suggest
