"""Two modulo-11 check digits by table look-up, for the CNPJ.

A character is worth its ASCII code less 48, and the sums only matter modulo 11. So the text is
encoded, ``bytes.translate`` turns each character into its residue (and every foreign one into
``FOREIGN``), ``struct`` reads the residues two at a time as one integer, a list maps that integer
to the pair's share of both weighted sums, and one last list gives the two check digits that belong
to the total. A foreign character makes an index that is out of range: the alphabet, the length and
the check digits are tested by the same few look-ups.
"""

from __future__ import annotations

from struct import error as struct_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MISSES = (IndexError, UnicodeEncodeError, struct_error)
"""What the look-ups raise for a foreign character, a lone surrogate and a wrong length."""

FOREIGN = 0xFF

_BITS = 6
"""The second residue sits this many bits higher; six residues of at most 10 stay below 64."""

MOST = 1 << _BITS

_OUT_OF_RANGE = 1 << 20


DOT, HYPHEN, SLASH = b".-/"


def residues(alphabet: str) -> bytes:
    """The table for ``bytes.translate``; separators stay what they are, which is no residue."""
    table = bytearray([FOREIGN]) * 256
    for separator in (DOT, HYPHEN, SLASH):
        table[separator] = separator
    for character in alphabet:
        table[ord(character)] = (ord(character) - 48) % 11
    return bytes(table)


def share_table(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Map two residues ``a | b << 8`` (or one, for one weight) to both their shares, packed.

    ``first`` and ``second`` are the weights that the characters have in the sums of the first and
    of the second check digit.
    """
    pairs = len(first) == 2
    table = [_OUT_OF_RANGE] * (10 * 257 + 1 if pairs else 11)
    for a in range(11):
        for b in range(11) if pairs else (0,):
            share_1 = first[0] * a + first[-1] * b
            share_2 = second[0] * a + second[-1] * b
            table[a | b << 8] = share_1 % 11 | share_2 % 11 << _BITS
    return table


def check_digit_pairs(most: int) -> list[str]:
    """The two check digits for each total of shares packed as first + second * ``most``.

    The first digit enters the second sum with weight 2, in the CPF as in the CNPJ.
    """
    by_second: list[list[str]] = []
    for second in range(11):
        row = [f"{_digit(r)}{_digit(second + 2 * _digit(r))}" for r in range(11)]
        by_second.append((row * (most // 11 + 1))[:most])
    pairs: list[str] = []
    for second in range(most):
        pairs += by_second[second % 11]
    return pairs


def _digit(weighted_sum: int) -> int:
    """The complement to 11 of the remainder; remainders 0 and 1 give 0."""
    remainder = weighted_sum % 11
    return 0 if remainder < 2 else 11 - remainder
