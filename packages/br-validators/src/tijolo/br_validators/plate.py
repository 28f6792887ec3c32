"""Licence plates: ``ABC-1234`` of 1990 and ``ABC1C34`` of Mercosul.

Three letters and four digits; in the Mercosul plate the second of these is a letter (Contran,
Resolução 969/2022, Anexo I, item 1.2, for cars and motorcycles alike). When a plate is renewed its
second digit becomes a letter, 0 to 9 to A to J. There are no check digits.
"""

from __future__ import annotations

from . import _lazy
from ._lazy import digits
from ._mask import Mask, Masks
from .characters import DIGITS, LETTERS
from .kind import Kind
from .strictness import STRICT, Strictness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random


def _accepts(text: str) -> bool:
    # str.isalpha and isdigit are true of other alphabets too, hence isascii
    fifth = text[4]
    return (
        text.isascii()
        and text[:3].isalpha()
        and text == text.upper()
        and text[3].isdigit()
        and (fifth.isdigit() or fifth.isalpha())
        and text[5:].isdigit()
    )


def _invent(random: Random) -> str:
    head = "".join(random.choices(LETTERS, k=3)) + random.choice(DIGITS)
    fifth = random.choice(DIGITS + LETTERS)
    return head + fifth + digits(random, 2)


def parse_plate(value: str, *, strictness: Strictness = STRICT) -> _lazy.PlateParts:
    """Which format a plate has, and what it is in the other; raise as ``normalize_plate`` does."""
    bare = KIND.normalize(value, strictness=strictness)
    fifth = bare[4]
    if fifth in DIGITS:
        mercosul = bare[:4] + LETTERS[int(fifth)] + bare[5:]
        return _lazy.PlateParts(number=bare, format="old", old=bare, mercosul=mercosul)
    once = LETTERS.index(fifth)
    old = f"{bare[:4]}{once}{bare[5:]}" if once < 10 else None
    return _lazy.PlateParts(number=bare, format="mercosul", old=old, mercosul=bare)


def to_mercosul(value: str, *, strictness: Strictness = STRICT) -> str:
    """The Mercosul plate of a plate, a Mercosul plate itself; raise as ``normalize_plate`` does."""
    return parse_plate(value, strictness=strictness).mercosul


KIND = Kind(
    "plate",
    Masks(Mask("AAA-0000"), Mask("AAA0A00")),
    accepts=_accepts,
    invent=_invent,
    examples=("ABC1C34", "ABC-1234"),
    parse=parse_plate,
)
is_valid_plate = KIND.is_valid
normalize_plate = KIND.normalize
format_plate = KIND.format
generate_plate = KIND.generate
explain_plate = KIND.explain
suggest_plate = KIND.suggest
