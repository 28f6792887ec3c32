"""Weighted sums modulo 11 and modulo 10, for kinds that have one or two check digits."""

from __future__ import annotations

from operator import mul

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLEMENT = "00987654321"
"""By the remainder: 0 and 1 give 0, any other its complement to 11."""

REMAINDER = "01234567890"
"""By the remainder: itself, and 0 for 10."""


class Mod11:
    """The check digit of the first ``len(weights)`` characters of an ASCII text.

    A character is worth its code less 48. ``digits`` gives the check digit by the remainder.
    """

    __slots__ = ("_by_raw_sum", "_weights")

    def __init__(self, weights: Sequence[int], digits: str = COMPLEMENT) -> None:
        self._weights = tuple(weights)
        excess = 48 * sum(weights) % 11  # what the codes add to the values
        self._by_raw_sum = "".join([digits[(raw - excess) % 11] for raw in range(11)])

    def __call__(self, text: str) -> str:
        return self._by_raw_sum[sum(map(mul, self._weights, text.encode())) % 11]


def cycle(weights: Sequence[int], count: int) -> tuple[int, ...]:
    """``count`` weights that, from the right, run through ``weights`` again and again."""
    return tuple(weights[i % len(weights)] for i in range(count))[::-1]


def mod10(text: str) -> str:
    """The check digit modulo 10 of ASCII digits: weights 2 and 1 from the right, digits summed."""
    total = 0
    for at, character in enumerate(reversed(text)):
        product = int(character) * (2 - at % 2)
        total += product - 9 if product > 9 else product
    return str(-total % 10)
