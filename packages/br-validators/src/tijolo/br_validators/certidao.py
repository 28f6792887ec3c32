"""Matrícula, the number of a birth, marriage or death certificate.

Thirty-two digits: registry office (6), collection (2), service (2), year (4), type of book (1),
book (5), page (3), entry (7), check digits (2). Source: CNJ, Código Nacional de Normas (Provimento
149/2023), art. 473, whose item III fixes the service as 55; types 8 and 9 are those of the revoked
Provimento 3/2009. The check digits are consensus: modulo 11, weights that count up, 2 3 ... 10 0 1
..., from the left for the first and one lower for the second; the digit is the remainder, 1 where
that is 10.
"""

from __future__ import annotations

from . import _lazy
from ._checks import mod11
from ._lazy import digits
from ._mask import Mask, Masks
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

_TEN_IS_ONE = "01234567891"
_first = mod11([(2 + at) % 11 for at in range(30)], _TEN_IS_ONE)
_second = mod11([(1 + at) % 11 for at in range(31)], _TEN_IS_ONE)


def _corrected(bare: str) -> str:
    with_first = bare[:30] + _first(bare)
    return with_first + _second(with_first)


def _rule(bare: str) -> str:
    if bare[8:10] != "55":
        return "service"
    return "book" if bare[14] == "0" else ""


def _accepts(text: str) -> bool:
    return text.isdigit() and text.isascii() and not _rule(text) and _corrected(text) == text


def _invent(random: Random) -> str:
    year = str(random.randrange(1900, 2027))
    book = random.choice("1234567")
    head = digits(random, 6) + "0155" + year + book
    return _corrected(head + digits(random, 15))


def parse_certidao(value: str, *, strictness: Strictness = STRICT) -> _lazy.CertidaoParts:
    """The parts of a certificate's number; raise as ``normalize_certidao`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    return _lazy.CertidaoParts(
        number=bare,
        registry=bare[:6],
        collection=bare[6:8],
        year=int(bare[10:14]),
        book_type=int(bare[14]),
        book=bare[15:20],
        page=bare[20:23],
        entry=bare[23:30],
    )


KIND = Kind(
    "certidao",
    Masks(
        Mask("000000 00 00 0000 0 00000 000 0000000 00"),
        Mask("000000.00.00.0000.0.00000.000.0000000-00"),
    ),
    rule=_rule,
    corrected=_corrected,
    accepts=_accepts,
    invent=_invent,
    examples=("10453901552013100012021000012321", "104539 01 55 2013 1 00012 021 0000123 21"),
    expected={
        "service": ("55 as ninth and tenth digit", "55 como nono e décimo dígitos"),
        "book": ("a type of book from 1 to 9", "um tipo de livro de 1 a 9"),
    },
    places={"service": 8, "book": 14},
    parse=parse_certidao,
)
is_valid_certidao = KIND.is_valid
normalize_certidao = KIND.normalize
format_certidao = KIND.format
generate_certidao = KIND.generate
explain_certidao = KIND.explain
suggest_certidao = KIND.suggest
