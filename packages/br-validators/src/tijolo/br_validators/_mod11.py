"""Two modulo-11 check digits by table look-up, for CPF and CNPJ.

The base is cut into chunks of two or three characters. A table maps each possible chunk, as a
string, to its share of both weighted sums; the shares are added, and one list gives the two check
digits that belong to the total. The keys are the whole alphabet, so a foreign character is a
missing key: the alphabet and the check digits are tested by the same look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence

Table = dict[str, int]

_SECOND = 6
"""The second residue sits this many bits higher; six residues of at most 10 stay below 64."""


def chunk_table(alphabet: str, first: Sequence[int], second: Sequence[int]) -> Table:
    """Map every chunk over ``alphabet`` to both its residues, packed.

    ``first`` and ``second`` are the weights that the chunk's characters have in the sums of the
    first and of the second check digit. A character's value is its ASCII code less 48.
    """
    sums = {"": 0}
    for weight_1, weight_2 in zip(first, second, strict=True):
        packed = weight_1 | weight_2 << 12
        steps = [(character, (ord(character) - 48) * packed) for character in alphabet]
        sums = {key + c: total + step for key, total in sums.items() for c, step in steps}
    return {key: (s & 0xFFF) % 11 | (s >> 12) % 11 << _SECOND for key, s in sums.items()}


def with_separator(table: Table, at: int, separator: str) -> Table:
    """The same table for chunks that carry a mask's separator before character ``at``."""
    return {key[:at] + separator + key[at:]: shares for key, shares in table.items()}


def check_digit_pairs() -> list[str]:
    """The two check digits for each total of packed shares.

    The first digit enters the second sum with weight 2, in the CPF as in the CNPJ.
    """
    pairs: list[str] = []
    for total in range(61 << _SECOND):
        first = _digit(total & 0x3F)
        pairs.append(f"{first}{_digit((total >> _SECOND) + 2 * first)}")
    return pairs


def _digit(weighted_sum: int) -> int:
    """The complement to 11 of the remainder; remainders 0 and 1 give 0."""
    remainder = weighted_sum % 11
    return 0 if remainder < 2 else 11 - remainder
