"""The look-ups against a slow reading of the rules, and what the check digits promise."""

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.br_validators import is_valid_cnpj, is_valid_cpf

ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CPF_WEIGHTS = ((10, 9, 8, 7, 6, 5, 4, 3, 2), (11, 10, 9, 8, 7, 6, 5, 4, 3))
CNPJ_WEIGHTS = ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3))


def digit(remainder: int) -> int:
    return 0 if remainder in (0, 1) else 11 - remainder


def slow_check_digits(base: str) -> str:
    """Weights counted from the right: up to 11 for a CPF, back to 2 after 9 for a CNPJ."""
    highest = 11 if len(base) == 9 else 9
    for _ in range(2):
        total = 0
        weight = 2
        for character in reversed(base):
            total += (ord(character) - ord("0")) * weight
            weight = weight + 1 if weight < highest else 2
        base += str(digit(total % 11))
    return base[-2:]


def test_the_slow_rules_give_the_official_examples() -> None:
    assert slow_check_digits("280012389") == "38"
    assert slow_check_digits("12ABC34501DE") == "35"


digits_9 = st.text("0123456789", min_size=9, max_size=9)
digits_12 = st.text("0123456789", min_size=12, max_size=12)
alnum_12 = st.text(ALNUM, min_size=12, max_size=12)


@given(digits_9)
def test_of_all_check_digits_only_the_computed_ones_make_a_cpf(base: str) -> None:
    accepted = [f"{pair:02}" for pair in range(100) if is_valid_cpf(f"{base}{pair:02}")]
    repeated = len(set(base)) == 1
    assert accepted == ([] if repeated else [slow_check_digits(base)])


@given(digits_12 | alnum_12)
def test_of_all_check_digits_only_the_computed_ones_make_a_cnpj(base: str) -> None:
    accepted = [f"{pair:02}" for pair in range(100) if is_valid_cnpj(f"{base}{pair:02}")]
    assert accepted == ([] if base == "0" * 12 else [slow_check_digits(base)])


@given(digits_9)
def test_masked_and_bare_cpf_have_one_verdict(base: str) -> None:
    for pair in (slow_check_digits(base), "00", "11"):
        masked = f"{base[:3]}.{base[3:6]}.{base[6:9]}-{pair}"
        assert is_valid_cpf(masked) is is_valid_cpf(base + pair)


@given(digits_12 | alnum_12)
def test_masked_and_bare_cnpj_have_one_verdict(base: str) -> None:
    for pair in (slow_check_digits(base), "00", "11"):
        masked = f"{base[:2]}.{base[2:5]}.{base[5:8]}/{base[8:12]}-{pair}"
        assert is_valid_cnpj(masked) is is_valid_cnpj(base + pair)


def test_every_two_character_chunk_of_an_alphanumeric_cnpj_is_read_right() -> None:
    for position, (a, b) in product(range(0, 12, 2), product(ALNUM, repeat=2)):
        base = "1A2B3C4D5E6F"[:position] + a + b + "1A2B3C4D5E6F"[position + 2 :]
        bare = base + slow_check_digits(base)
        assert is_valid_cnpj(bare)
        assert is_valid_cnpj(f"{bare[:2]}.{bare[2:5]}.{bare[5:8]}/{bare[8:12]}-{bare[12:]}")


def blind_changes(weights: tuple[tuple[int, ...], tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    """Positions and differences of one base digit that can leave both check digits as they are.

    The check digits depend on two remainders alone, so this covers every number there is.
    """
    remainders = list(product(range(11), repeat=2))
    for position, (first, second) in enumerate(zip(*weights, strict=True)):
        for change in (c for c in range(-9, 10) if c):
            after = [((r + first * change) % 11, (s + second * change) % 11) for r, s in remainders]
            if any(
                digit(r) == digit(r2) and digit(s) == digit(s2)
                for (r, s), (r2, s2) in zip(remainders, after, strict=True)
            ):
                yield position, change


# position: differences
CPF_BLIND = {0: (1,), 5: (2, 9)}
CNPJ_BLIND = {0: (2, 9), 4: (5, 6), 8: (2, 9)}


def test_one_wrong_digit_is_caught_but_for_these_changes() -> None:
    for weights, blind in ((CPF_WEIGHTS, CPF_BLIND), (CNPJ_WEIGHTS, CNPJ_BLIND)):
        changes = {(at, abs(change)) for at, change in blind_changes(weights)}
        assert changes == {(at, change) for at, some in blind.items() for change in some}


def wrong_digits(number: str, blind: dict[int, tuple[int, ...]]) -> Iterator[str]:
    """Every change of one digit that the algorithm promises to catch.

    It promises all where the first check digit is not 0: a remainder of 0 and one of 1 both
    give 0, and only that can hide a change.
    """
    for at, other in product(range(len(number)), "0123456789"):
        difference = abs(int(number[at]) - int(other))
        hidden = number[-2] == "0" and difference in blind.get(at, ())
        if difference and not hidden:
            yield number[:at] + other + number[at + 1 :]


@settings(max_examples=300)
@given(digits_9.filter(lambda base: len(set(base)) > 1))
def test_any_other_wrong_digit_of_a_cpf_is_caught(base: str) -> None:
    for changed in wrong_digits(base + slow_check_digits(base), CPF_BLIND):
        assert not is_valid_cpf(changed)


@settings(max_examples=300)
@given(digits_12.filter(lambda base: base != "0" * 12))
def test_any_other_wrong_digit_of_a_numeric_cnpj_is_caught(base: str) -> None:
    for changed in wrong_digits(base + slow_check_digits(base), CNPJ_BLIND):
        assert not is_valid_cnpj(changed)


def test_the_blind_changes_exist() -> None:
    for twins in (("02002272204", "12002272204"), ("13922195124900", "13928195124900")):
        check = is_valid_cpf if len(twins[0]) == 11 else is_valid_cnpj
        assert all(map(check, twins))
