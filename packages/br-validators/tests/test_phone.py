from random import Random

import pytest

from tijolo.br_validators import (
    PHONE_BR_PATTERN,
    BRValueError,
    Strictness,
    format_phone_br,
    generate_phone_br,
    is_valid_phone_br,
    normalize_phone_br,
    to_e164,
)

LENIENT = Strictness.LENIENT

AREA_CODES = """
    11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49
    51 53 54 55 61 62 63 64 65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89
    91 92 93 94 95 96 97 98 99
"""

ACCEPTED = {  # value: canonical
    "11988887777": "11988887777",
    "(11) 98888-7777": "11988887777",
    "(11)98888-7777": "11988887777",
    "11 98888 7777": "11988887777",
    "(11)98888 7777": "11988887777",
    "+5511988887777": "11988887777",
    "+55 11 98888-7777": "11988887777",
    "+55(11)98888-7777": "11988887777",
    "5511988887777": "11988887777",
    "55 11 98888-7777": "11988887777",
    "1133334444": "1133334444",
    "(11) 3333-4444": "1133334444",
    "551133334444": "1133334444",
    "5533334444": "5533334444",  # 55 is an area code too
    "55991234567": "55991234567",
    "5555991234567": "55991234567",
    "+55 55 99123-4567": "55991234567",
}

REFUSED = {  # value: rule
    "23988887777": "area_code",
    "20988887777": "area_code",
    "(00) 98888-7777": "area_code",
    "11688887777": "subscriber",
    "11888887777": "subscriber",
    "1193334444": "subscriber",
    "1163334444": "subscriber",
    "1113334444": "subscriber",
    "11333344445": "subscriber",
    "+5533334444": "length",  # a country code, and no area code left
    "988887777": "length",
    "33334444": "length",
    "119888877778": "length",
    "190": "length",
    "08007771234": "area_code",
    "40041234": "length",
    "": "length",
    "+": "country",
    "+1 212 555 0123": "country",
    "+351 912 345 678": "country",
    "11988887777\n": "characters",
    "11.98888.7777": "characters",
    "11 9888a-7777": "characters",
    "１１９８８８８７７７７": "characters",
    "1198888777７": "characters",
    "١١٩٨٨٨٨٧٧٧٧": "characters",
    "11  988887777": "separators",
    "(11 98888-7777": "separators",
    "11) 98888-7777": "separators",
    "(11) 9 8888-7777": "separators",
    "119-88887777": "separators",
    "98888-777711": "separators",
    "11+988887777": "separators",
    "1" * 1_000_000: "length",
}

DIALLED = {  # accepted by the lenient only: canonical
    "(11) 9 8888-7777": "11988887777",
    "11.98888.7777": "11988887777",
    "0055 11 98888-7777": "11988887777",
    "00551133334444": "1133334444",
    "011 98888-7777": "11988887777",
    "(011) 3333-4444": "1133334444",
    "0 15 11 98888-7777": "11988887777",
    "0 21 11 3333-4444": "1133334444",
    "+55 (11) 98888-7777\n": "11988887777",
    "55-11-98888-7777": "11988887777",
}


def test_every_assigned_area_code_and_no_other_has_numbers() -> None:
    assigned = set(AREA_CODES.split())
    assert len(assigned) == 67
    for code in (f"{number:02}" for number in range(100)):
        assert is_valid_phone_br(code + "988887777") is (code in assigned)
        assert is_valid_phone_br(code + "33334444") is (code in assigned)


@pytest.mark.parametrize(("value", "canonical"), ACCEPTED.items())
def test_one_line_has_one_spelling_however_it_was_written(value: str, canonical: str) -> None:
    assert is_valid_phone_br(value)
    assert PHONE_BR_PATTERN.fullmatch(value)
    assert normalize_phone_br(value) == canonical
    assert to_e164(value) == f"+55{canonical}"
    assert normalize_phone_br(format_phone_br(value)) == canonical


@pytest.mark.parametrize(("value", "rule"), REFUSED.items(), ids=ascii)
def test_refused_with_the_rule_that_failed(value: str, rule: str) -> None:
    assert not is_valid_phone_br(value)
    assert not PHONE_BR_PATTERN.fullmatch(value)
    with pytest.raises(BRValueError) as caught:
        normalize_phone_br(value)
    assert caught.value.code == f"phone_br_{rule}"


@pytest.mark.parametrize(("value", "canonical"), DIALLED.items())
def test_lenient_takes_off_dialling_prefixes(value: str, canonical: str) -> None:
    assert not is_valid_phone_br(value)
    assert is_valid_phone_br(value, strictness=LENIENT)
    assert normalize_phone_br(value, strictness=LENIENT) == canonical


@pytest.mark.parametrize(
    "value",
    [
        "005555 11 98888-7777",
        "0055 0055 11 98888-7777",
        "0055 +55 11 98888-7777",
        "+55 55 11 98888-7777",
        "+0055 11 98888-7777",
        "0+55 11 98888-7777",
        "0 55 55 11 98888-7777",
    ],
)
def test_lenient_takes_off_one_country_code_at_most(value: str) -> None:
    with pytest.raises(BRValueError):
        normalize_phone_br(value, strictness=LENIENT)
    assert not is_valid_phone_br(value, strictness=LENIENT)


@pytest.mark.parametrize("value", ["08007771234", "4004-1234", "+1 212 555 0123", "11688887777"])
def test_lenient_changes_no_rule_of_the_number(value: str) -> None:
    assert not is_valid_phone_br(value, strictness=LENIENT)


@pytest.mark.parametrize("value", [None, 11988887777, b"11988887777", ["11988887777"]])
def test_only_a_str_can_be_valid(value: object) -> None:
    assert not is_valid_phone_br(value)


def test_mobile_and_landline_have_their_masks() -> None:
    assert format_phone_br("11988887777") == "(11) 98888-7777"
    assert format_phone_br("+55 11 3333 4444") == "(11) 3333-4444"


def test_generated_numbers_are_mobile_unless_asked() -> None:
    random = Random(749)
    assert all(len(generate_phone_br(random=random)) == 11 for _ in range(100))
    assert all(len(generate_phone_br(random=random, landline=True)) == 10 for _ in range(100))
