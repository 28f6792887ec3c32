"""Weighted sums modulo 11 and modulo 10, for kinds that have one or two check digits."""

from __future__ import annotations

from itertools import product
from operator import getitem, mul
from struct import Struct
from struct import error as struct_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Check = Callable[[str], str]

MISSES = (KeyError, UnicodeEncodeError, struct_error)
"""What look-ups by pairs raise for a foreign character, a lone surrogate and a wrong length."""

COMPLEMENT = "00987654321"
"""By the remainder: 0 and 1 give 0, any other its complement to 11."""

REMAINDER = "01234567890"
"""By the remainder: itself, and 0 for 10."""


def mod11(weights: Sequence[int], digits: str = COMPLEMENT) -> Check:
    """The check digit of the first ``len(weights)`` characters of an ASCII text.

    A character is worth its code less 48. ``digits`` gives the check digit by the remainder.
    """
    of_each = tuple(weights)
    excess = 48 * sum(weights) % 11  # what the codes add to the values
    by_raw_sum = "".join([digits[(raw - excess) % 11] for raw in range(11)])

    def check(text: str) -> str:
        return by_raw_sum[sum(map(mul, of_each, text.encode())) % 11]

    return check


def mod11_of_ten(weights: Sequence[int], digits: str = COMPLEMENT) -> Check:
    """As ``mod11`` of ten digits with one more behind them, read two at a time by look-up.

    Of another length or with another character than ten ASCII digits, it gives ``""``.
    """
    p, q, r, s, t = (_pairs(weights[at], weights[at + 1]) for at in (0, 2, 4, 6, 8))
    by_sum = [digits[total % 11] for total in range(5 * 10 + 1)]
    split: Callable[[bytes], tuple[int, int, int, int, int]] = Struct("<5Hx").unpack

    def check(text: str) -> str:
        try:
            a, b, c, d, e = split(text.encode())
            return by_sum[p[a] + q[b] + r[c] + s[d] + t[e]]
        except MISSES:
            return ""

    return check


def by_pairs(length: int, *checks: tuple[int, Sequence[int], str]) -> Callable[[str], bool]:
    """Judge a text of ``length`` digits by its check digits, read two at a time by look-up.

    Each of the one or two ``checks`` is the place of a check digit, the weights of the digits from
    the first on, and the check digits by the remainder.
    """
    most = 10 * ((length + 1) // 2) + 1  # one more than the sum of all shares
    tables = [_shares(at, length, checks, most) for at in range(0, length, 2)]
    packed = ["".join(row) for row in _rows(checks, most)]
    split = Struct(f"<{length // 2}H{'B' * (length % 2)}").unpack
    places = tuple(place for place, _, _ in checks)

    def accepts_one(text: str) -> bool:
        try:
            return packed[sum(map(getitem, tables, split(text.encode())))] == text[places[0]]
        except MISSES:
            return False

    def accepts_two(text: str) -> bool:
        try:
            right = packed[sum(map(getitem, tables, split(text.encode())))]
        except MISSES:
            return False
        return text[places[0]] == right[0] and text[places[1]] == right[1]

    return accepts_one if len(checks) == 1 else accepts_two


def _pairs(first: int, second: int) -> dict[int, int]:
    return {
        48 + a | (48 + b) << 8: (first * a + second * b) % 11 for a in range(10) for b in range(10)
    }


def _shares(
    at: int, length: int, checks: Sequence[tuple[int, Sequence[int], str]], most: int
) -> dict[int, int]:
    """The shares in all sums, packed, of the digits at ``at`` and behind it."""
    table: dict[int, int] = {}
    last = at + 1 == length
    for a in range(10):
        for b in (0,) if last else range(10):
            share = 0
            for which, (_, weights, _) in enumerate(checks):
                total = sum(
                    digit * weights[place]
                    for place, digit in ((at, a), (at + 1, b))
                    if place < len(weights)
                )
                share += total % 11 * most**which
            table[48 + a | (0 if last else 48 + b) << 8] = share
    return table


def _rows(checks: Sequence[tuple[int, Sequence[int], str]], most: int) -> list[tuple[str, ...]]:
    """The right check digits for every packed sum."""
    by_remainder = [[digits[total % 11] for total in range(most)] for _, _, digits in checks]
    return [row[::-1] for row in product(*by_remainder[::-1])]


def cycle(weights: Sequence[int], count: int) -> tuple[int, ...]:
    """``count`` weights that, from the right, run through ``weights`` again and again."""
    return tuple(weights[i % len(weights)] for i in range(count))[::-1]


def mod10(text: str) -> str:
    """The check digit modulo 10 of ASCII digits: weights 2 and 1 from the right, digits summed."""
    codes = text.encode()
    total = sum(codes[-1::-2].translate(DOUBLED)) + sum(codes[-2::-2].translate(SINGLE))
    return str(-total % 10)


SINGLE = bytes([code - 48 if 48 <= code < 58 else 0 for code in range(256)])
DOUBLED = bytes([value * 2 - 9 * (value > 4) for value in SINGLE])
"""What a digit's code is worth, once and doubled with its digits summed."""
