"""Weighted sums modulo 11 and modulo 10, for kinds that have one or two check digits."""

from __future__ import annotations

from operator import mul
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


def _pairs(first: int, second: int) -> dict[int, int]:
    return {
        48 + a | (48 + b) << 8: (first * a + second * b) % 11 for a in range(10) for b in range(10)
    }


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
