"""The check digits of the inscrição estadual, state by state: see ``ie`` for the sources."""

from __future__ import annotations

from ._checks import COMPLEMENT, REMAINDER, by_pairs, cycle, mod10, mod11

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Corrected = Callable[[str], str]

_LESS_TEN = "10987654321"
"""By the remainder: the complement to 11, less 10 where that has two digits."""

_NINE = cycle(range(2, 10), 8)
_BAHIA_BY_10 = "0123458"


def _one(weights: Sequence[int], digits: str = COMPLEMENT) -> Corrected:
    """One check digit behind the weighted digits; what follows it stays."""
    check, at = mod11(weights, digits), len(weights)
    return lambda bare: bare[:at] + check(bare) + bare[at + 1 :]


def _two(first: Sequence[int], second: Sequence[int]) -> Corrected:
    """A check digit, and one more over all before it."""
    once, twice, at = mod11(first), mod11(second), len(first)

    def corrected(bare: str) -> str:
        digit = once(bare)
        if digit != bare[at]:
            bare = bare[:at] + digit + bare[at + 1 :]
        return bare[: at + 1] + twice(bare)

    return corrected


def _range(first: int, count: int) -> tuple[int, ...]:
    """Weights that count down from ``first``."""
    return tuple(range(first, first - count, -1))


_usual = _one(_NINE)
_acre = _two(cycle(range(2, 10), 11), cycle(range(2, 10), 12))


def _amapa(bare: str) -> str:
    number = int(bare[:8])
    add, eleven = 0, "0"
    if 3_000_001 <= number <= 3_017_000:
        add = 5
    elif 3_017_001 <= number <= 3_019_022:
        add, eleven = 9, "1"
    total = add + sum(weight * int(digit) for weight, digit in zip(_NINE, bare, strict=False))
    check = 11 - total % 11
    return bare[:8] + {10: "0", 11: eleven}.get(check, str(check))


def _bahia(bare: str) -> str:
    base = bare[:-2]
    by_10 = bare[len(bare) - 8] in _BAHIA_BY_10

    def check(text: str) -> str:
        total = sum(weight * int(digit) for weight, digit in enumerate(reversed(text), 2))
        return str(-total % 10) if by_10 else COMPLEMENT[total % 11]

    second = check(base)
    return base + check(base + second) + second


_goias_middle = _one(_NINE, "01987654321")


def _goias(bare: str) -> str:
    if bare[:8] == "11094402" and bare[8] in "01":
        return bare  # of this one, both digits are official
    in_range = "10103105" <= bare[:8] <= "10119997"
    return _goias_middle(bare) if in_range else _usual(bare)


_minas_second = mod11((3, 2, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2))


def _minas(bare: str) -> str:
    with_first = bare[:11] + mod10(bare[:3] + "0" + bare[3:11])
    return with_first + _minas_second(with_first)


_rondonia_five = mod11(_range(6, 5), _LESS_TEN)


def _rondonia_old(bare: str) -> str:
    return bare[:8] + _rondonia_five(bare[3:8])


def _roraima(bare: str) -> str:
    total = sum(weight * int(digit) for weight, digit in enumerate(bare[:8], 1))
    return bare[:8] + str(total % 9)


_sao_paulo_first = _one((1, 3, 4, 5, 6, 7, 8, 10), REMAINDER)
_sao_paulo_second = _one((3, 2, 10, 9, 8, 7, 6, 5, 4, 3, 2), REMAINDER)


def _sao_paulo(bare: str) -> str:
    return _sao_paulo_second(_sao_paulo_first(bare))


def _sao_paulo_rural(bare: str) -> str:
    return "P" + _sao_paulo_first(bare[1:])


_tocantins_check = mod11(_NINE)


def _tocantins_old(bare: str) -> str:
    return bare[:10] + _tocantins_check(bare[:2] + bare[4:10])


CORRECTED: dict[str, dict[int, Corrected]] = {
    "AC": {13: _acre},
    "AL": {9: _usual},
    "AM": {9: _usual},
    "AP": {9: _amapa},
    "BA": {8: _bahia, 9: _bahia},
    "CE": {9: _usual},
    "DF": {13: _acre},
    "ES": {9: _usual},
    "GO": {9: _goias},
    "MA": {9: _usual},
    "MG": {13: _minas},
    "MS": {9: _usual},
    "MT": {11: _one((3, 2, 9, 8, 7, 6, 5, 4, 3, 2))},
    "PA": {9: _usual},
    "PB": {9: _usual},
    "PE": {
        9: _two(_range(8, 7), _range(9, 8)),
        14: _one((5, 4, 3, 2, 1, 9, 8, 7, 6, 5, 4, 3, 2), _LESS_TEN),
    },
    "PI": {9: _usual},
    "PR": {10: _two((3, 2, 7, 6, 5, 4, 3, 2), (4, 3, 2, 7, 6, 5, 4, 3, 2))},
    "RJ": {8: _one((2, 7, 6, 5, 4, 3, 2))},
    "RN": {9: _usual, 10: _one(_range(10, 9))},
    "RO": {9: _rondonia_old, 14: _one((6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), _LESS_TEN)},
    "RR": {9: _roraima},
    "RS": {10: _one((2, 9, 8, 7, 6, 5, 4, 3, 2))},
    "SC": {9: _usual},
    "SE": {9: _usual},
    "SP": {12: _sao_paulo, 13: _sao_paulo_rural},
    "TO": {9: _usual, 11: _tocantins_old},
}
"""By state and by length."""

PREFIXES: dict[str, tuple[str, ...]] = {
    "AC": ("01",),
    "AL": ("24",),
    "AP": ("03",),
    "CE": ("06",),
    "GO": ("10", "11", "15", *map(str, range(20, 30))),
    "MA": ("12",),
    "MS": ("28", "50"),
    "PA": ("15", *map(str, range(75, 80))),
    "RN": ("20",),
    "RR": ("24",),
}
"""What a number of the state begins with, where that is known."""

TOCANTINS_TYPES = ("01", "02", "03", "99")
"""Third and fourth digit of the old numbers of Tocantins."""


def fast(state: str) -> dict[int, Callable[[str], bool]]:
    """By length, the verdict by look-up, of states whose check digits are all by weights."""
    sums: dict[str, tuple[int, tuple[tuple[int, Sequence[int], str], ...]]] = {
        "PR": (
            10,
            (
                (8, (3, 2, 7, 6, 5, 4, 3, 2), COMPLEMENT),
                (9, (4, 3, 2, 7, 6, 5, 4, 3, 2), COMPLEMENT),
            ),
        ),
        "RJ": (8, ((7, (2, 7, 6, 5, 4, 3, 2), COMPLEMENT),)),
        "RS": (10, ((9, (2, 9, 8, 7, 6, 5, 4, 3, 2), COMPLEMENT),)),
        "SP": (
            12,
            (
                (8, (1, 3, 4, 5, 6, 7, 8, 10), REMAINDER),
                (11, (3, 2, 10, 9, 8, 7, 6, 5, 4, 3, 2), REMAINDER),
            ),
        ),
    }
    if state in sums:
        length, checks = sums[state]
        return {length: by_pairs(length, *checks)}
    if CORRECTED[state].get(9) is _usual:
        return {9: by_pairs(9, (8, _NINE, COMPLEMENT))}
    return {}
