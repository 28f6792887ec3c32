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

from ._mask import Mask
from ._mod11 import Table, check_digit_pairs, chunk_table, with_separator
from ._randomness import digits, source
from .characters import DIGITS, LETTERS
from .errors import BRValueError
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

PATTERN = r"^[0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?[0-9]{2}$"
CANONICAL_PATTERN = "^[0-9A-Z]{12}[0-9]{2}$"
EXAMPLES = ("12ABC34501DE35", "12.ABC.345/01DE-35", "11222333000181")
NUMERIC_PATTERN = r"^[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}$"
NUMERIC_CANONICAL_PATTERN = "^[0-9]{14}$"
NUMERIC_EXAMPLES = ("11222333000181", "11.222.333/0001-81")

_MASK = Mask("XX.XXX.XXX/XXXX-00")
_ALNUM = DIGITS + LETTERS
_UNAMBIGUOUS = "".join([letter for letter in LETTERS if letter not in "IOUQF"])
_EXPECTED = {
    "type": "a str",
    "length": "14 characters",
    "characters": "0-9 and A-Z, two digits at the end, and the mask XX.XXX.XXX/XXXX-00",
    "separators": "14 characters, bare or as XX.XXX.XXX/XXXX-00",
    "letters": "digits only",
    "reserved": "digits that are not all zero",
    "checksum": "the last two digits to follow from the first twelve characters",
}
_ZEROS = frozenset(("0" * 14, _MASK.apply("0" * 14)))
_FIRST = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
_SECOND = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3)

_Numeric = tuple[Table, Table, Table, Table, list[str]]
_Alnum = tuple[Table, Table, Table, Table, Table, Table, list[str]]
_bare: _Numeric = ({}, {}, {}, {}, [])
_masked: _Numeric = ({}, {}, {}, {}, [])
_bare_alnum: _Alnum = ({}, {}, {}, {}, {}, {}, [])
_masked_alnum: _Alnum = ({}, {}, {}, {}, {}, {}, [])


def is_valid_cnpj(
    value: object, *, strictness: Strictness = STRICT, numeric_only: bool = False
) -> bool:
    """Tell whether ``value`` is a CNPJ; only a ``str`` can be, and no value makes this raise.

    ``numeric_only`` refuses letters, for a column or a partner that cannot hold them yet.
    """
    if strictness is STRICT and type(value) is str:
        try:
            if len(value) == 14:
                if not value.isupper():
                    a, b, c, d, pairs = _bare
                    pair = pairs[a[value[:3]] + b[value[3:6]] + c[value[6:9]] + d[value[9:12]]]
                    return pair == value[12:] and value not in _ZEROS
                return not numeric_only and _alnum_pair(value) == value[12:]
            if len(value) == 18:
                if not value.isupper():
                    a, b, c, d, pairs = _masked
                    pair = pairs[a[value[:4]] + b[value[4:8]] + c[value[8:12]] + d[value[12:16]]]
                    return pair == value[16:] and value not in _ZEROS
                return not numeric_only and _masked_alnum_pair(value) == value[16:]
        except KeyError:  # another spelling, another alphabet, or tables not built yet
            pass
    return not _examine(value, strictness, numeric_only)[1]


def normalize_cnpj(
    value: str, *, strictness: Strictness = STRICT, numeric_only: bool = False
) -> str:
    """Return the 14 bare characters of a CNPJ, letters in upper case.

    ``numeric_only`` refuses letters, for a column or a partner that cannot hold them yet.

    Raises:
        BRValueError: with the rule ``type``, ``length``, ``characters``, ``separators``,
            ``letters`` (only with ``numeric_only``), ``reserved`` or ``checksum``.
    """
    if strictness is STRICT and type(value) is str and len(value) == 14:
        try:
            if not value.isupper():
                a, b, c, d, pairs = _bare
                pair = pairs[a[value[:3]] + b[value[3:6]] + c[value[6:9]] + d[value[9:12]]]
                if pair == value[12:] and value not in _ZEROS:
                    return value
            elif not numeric_only and _alnum_pair(value) == value[12:]:
                return value
        except KeyError:
            pass
    bare, broken = _examine(value, strictness, numeric_only)
    if broken:
        raise BRValueError("cnpj", broken, _EXPECTED[broken])
    return bare


def format_cnpj(value: str, *, strictness: Strictness = STRICT) -> str:
    """Return a CNPJ as ``XX.XXX.XXX/XXXX-00``; raise as ``normalize_cnpj`` does."""
    return _MASK.apply(normalize_cnpj(value, strictness=strictness))


def generate_cnpj(
    *,
    alphanumeric: bool = False,
    all_letters: bool = False,
    masked: bool = False,
    random: Random | None = None,
) -> str:
    """Invent a valid CNPJ, for tests; the same ``random`` state gives the same number.

    ``alphanumeric`` puts at least one letter in it; none of I, O, U, Q and F unless
    ``all_letters``. An invented number may belong to somebody: never send it to a third party.
    """
    randomness = source(random)
    alphabet = DIGITS + (LETTERS if all_letters else _UNAMBIGUOUS)
    base = digits(randomness, 12)
    while base == "0" * 12 or (alphanumeric and base.isdigit()):
        base = "".join(randomness.choices(alphabet if alphanumeric else DIGITS, k=12))
    cnpj = base + _pair(base)
    return _MASK.apply(cnpj) if masked else cnpj


def _examine(value: object, strictness: Strictness, numeric_only: bool) -> tuple[str, str]:
    """The bare characters and ``""``, or ``""`` and the broken rule."""
    bare, broken = _MASK.read(value, strictness)
    if broken:
        return "", broken
    if numeric_only and not bare.isdigit():
        return "", "letters"
    if bare in _ZEROS:
        return "", "reserved"
    return (bare, "") if _pair(bare) == bare[12:] else ("", "checksum")


def _pair(base: str) -> str:
    """The two check digits of twelve (or more) ASCII characters."""
    if base[:12].isdigit():
        if not _bare[0]:
            _build_numeric_tables()
        a, b, c, d, pairs = _bare
        return pairs[a[base[:3]] + b[base[3:6]] + c[base[6:9]] + d[base[9:12]]]
    if not _bare_alnum[0]:
        _build_alnum_tables()
    return _alnum_pair(base)


def _alnum_pair(bare: str) -> str:
    a, b, c, d, e, f, pairs = _bare_alnum
    return pairs[
        a[bare[:2]] + b[bare[2:4]] + c[bare[4:6]] + d[bare[6:8]] + e[bare[8:10]] + f[bare[10:12]]
    ]


def _masked_alnum_pair(masked: str) -> str:
    a, b, c, d, e, f, pairs = _masked_alnum
    return pairs[
        a[masked[:3]]
        + b[masked[3:5]]
        + c[masked[5:8]]
        + d[masked[8:11]]
        + e[masked[11:13]]
        + f[masked[13:16]]
    ]


def _build_numeric_tables() -> None:
    """Publish the tables; each tuple appears whole, so racing threads only repeat the work."""
    global _bare, _masked
    a, b, c, d = (
        chunk_table(DIGITS, _FIRST[i : i + 3], _SECOND[i : i + 3]) for i in range(0, 12, 3)
    )
    pairs = check_digit_pairs()
    _masked = (
        with_separator(a, 2, "."),
        with_separator(b, 2, "."),
        with_separator(c, 2, "/"),
        with_separator(d, 3, "-"),
        pairs,
    )
    _bare = (a, b, c, d, pairs)


def _build_alnum_tables() -> None:
    """As for digits, in chunks of two; the weights repeat after eight, and so do the tables."""
    global _bare_alnum, _masked_alnum
    a, b, c, d = (
        chunk_table(_ALNUM, _FIRST[i : i + 2], _SECOND[i : i + 2]) for i in range(0, 8, 2)
    )
    pairs = check_digit_pairs()
    _masked_alnum = (
        with_separator(a, 2, "."),
        b,
        with_separator(c, 1, "."),
        with_separator(d, 2, "/"),
        a,
        with_separator(b, 2, "-"),
        pairs,
    )
    _bare_alnum = (a, b, c, d, a, b, pairs)
