import itertools
from random import Random

import pytest

from tijolo.br_validators import (
    BRValueError,
    Strictness,
    format_cnpj,
    generate_cnpj,
    is_valid_cnpj,
    normalize_cnpj,
)

LENIENT = Strictness.LENIENT

NUMERIC = ["11.222.333/0001-81", "00.000.000/0001-91", "39.591.842/0000-10"]
ALPHANUMERIC = [
    "12.ABC.345/01DE-35",  # the worked example of Nota Técnica 2025.001
    "00.000.000/E08G-12",  # the first one issued: letters in the order of a numeric root
    "A8.7HB.ZHB/0001-61",
    "YW.RSC.40Z/0001-03",
    "93.ZB0.VRY/V6KA-67",
    "6A.3ED.MWP/0001-68",
    "D7.YDD.I5H/0001-62",
    "Q2.GRO.WP7/0001-85",
    "IO.UQF.000/0001-14",  # the letters that were only asked to be left out
    "AA.AAA.AAA/AAAA-45",  # no rule on repeated letters
]

REFUSED = {  # value: rule
    "11222333000180": "checksum",
    "11.222.333/0001-80": "checksum",
    "12ABC34501DE34": "checksum",
    "12.ABC.345/01DE-36": "checksum",
    "93.ZB0.VRY/V6KA-66": "checksum",
    "LBNXQOB5000163": "checksum",  # computed with A worth 10
    "00000000000000": "reserved",
    "00.000.000/0000-00": "reserved",
    "12ABC34501DEAB": "characters",  # letters for check digits
    "12abc34501de35": "characters",  # lower case
    "12.abc.345/01de-35": "characters",
    "12ABC34501DE35\n": "characters",
    "12 ABC 345 01DE 35": "characters",
    "ß2ABC34501DE35": "characters",  # grows in upper case
    "12ABC34501DE3ı": "characters",
    "ıOUQF000000114": "characters",  # becomes I in upper case
    "IſUQF000000114": "characters",  # becomes S in upper case
    "À2ABC34501DE35": "characters",
    "12АBC34501DE35": "characters",  # a Cyrillic letter
    "１２ABC34501DE35": "characters",
    "١١٢٢٢٣٣٣٠٠٠١٨١": "characters",
    "\udfff2ABC34501DE35": "characters",
    "1.1.2.2.2333/0001-81": "separators",
    "11/222.333.0001-81": "separators",
    "1122233300018": "length",
    "112223330001811": "length",
    "52998224725": "length",
    "": "length",
    "A" * 1_000_000: "length",
}


def rule_of(value: object, **options: bool) -> str:
    with pytest.raises(BRValueError) as caught:
        normalize_cnpj(value, **options)  # type: ignore[arg-type]
    assert caught.value.kind == "cnpj"
    assert caught.value.__context__ is None
    return caught.value.rule


@pytest.mark.parametrize("masked", NUMERIC + ALPHANUMERIC)
def test_valid_numbers_in_both_spellings(masked: str) -> None:
    bare = "".join(character for character in masked if character not in "./-")
    assert is_valid_cnpj(masked)
    assert is_valid_cnpj(bare)
    assert normalize_cnpj(masked) == normalize_cnpj(bare) == bare
    assert format_cnpj(masked) == format_cnpj(bare) == masked


@pytest.mark.parametrize(("value", "rule"), REFUSED.items(), ids=ascii)
def test_refused_with_the_rule_that_failed(value: str, rule: str) -> None:
    assert not is_valid_cnpj(value)
    assert rule_of(value) == rule


@pytest.mark.parametrize("bare", ["11222333000181", "12ABC34501DE35"])
def test_any_part_of_the_mask_is_accepted_in_its_place(bare: str) -> None:
    for a, b, c, d in itertools.product(("", "."), ("", "."), ("", "/"), ("", "-")):
        value = bare[:2] + a + bare[2:5] + b + bare[5:8] + c + bare[8:12] + d + bare[12:]
        assert is_valid_cnpj(value)
        assert normalize_cnpj(value) == bare


@pytest.mark.parametrize(
    "value",
    ["12abc34501de35", " 12.abc.345/01de-35\n", "1.2.ABC345/01DE-35", "12 ABC 345 01DE 35"],
)
def test_lenient_drops_dressing_and_writes_upper_case(value: str) -> None:
    assert is_valid_cnpj(value, strictness=LENIENT)
    assert normalize_cnpj(value, strictness=LENIENT) == "12ABC34501DE35"


@pytest.mark.parametrize(
    "value", ["ıOUQF000000114", "IſUQF000000114", "ß2ABC34501DE35", "12abc34501deab"]
)
def test_lenient_upper_case_is_ascii_only(value: str) -> None:
    assert not is_valid_cnpj(value, strictness=LENIENT)


@pytest.mark.parametrize("value", [None, 11222333000181, b"11222333000181", list("11222333000181")])
def test_only_a_str_can_be_valid(value: object) -> None:
    assert not is_valid_cnpj(value)
    assert rule_of(value) == "type"


def test_numeric_only_refuses_letters_and_nothing_else() -> None:
    for value in NUMERIC:
        assert is_valid_cnpj(value, numeric_only=True)
        assert normalize_cnpj(value, numeric_only=True) == normalize_cnpj(value)
    for value in ALPHANUMERIC:
        bare = normalize_cnpj(value)
        assert not is_valid_cnpj(value, numeric_only=True)
        assert not is_valid_cnpj(bare, numeric_only=True)
        assert not is_valid_cnpj(bare.lower(), numeric_only=True, strictness=LENIENT)
        assert rule_of(value, numeric_only=True) == "letters"
        with pytest.raises(BRValueError, match="it has letters"):
            format_cnpj(value, numeric_only=True)
    assert format_cnpj("11222333000181", numeric_only=True) == "11.222.333/0001-81"


def test_characters_that_the_check_digits_cannot_tell_apart() -> None:
    groups = ["0FQ", "1GR", "2HS", "3IT", "4JU", "5KV", "6ALW", "7BMX", "8CNY", "9DOZ", "EP"]
    assert sorted("".join(groups)) == sorted("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    bare = generate_cnpj(random=Random(3), alphanumeric=True)
    for position, group in itertools.product(range(12), groups):
        verdicts = {is_valid_cnpj(bare[:position] + c + bare[position + 1 :]) for c in group}
        assert len(verdicts) == 1, (position, group)
    assert is_valid_cnpj("Q2GROWP7000185")
    assert is_valid_cnpj("02GROWP7000185")


def test_letters_are_generated_on_request_and_the_doubtful_five_only_then() -> None:
    random = Random(2229)
    assert all(generate_cnpj(random=random).isdigit() for _ in range(200))
    some = [generate_cnpj(random=random, alphanumeric=True) for _ in range(500)]
    assert not any(number.isdigit() for number in some)
    assert not set("IOUQF") & set("".join(some))
    for options in ({"alphanumeric": True}, {}):  # all_letters alone means letters too
        every = [generate_cnpj(random=random, all_letters=True, **options) for _ in range(500)]
        assert not any(number.isdigit() for number in every)
        assert set("IOUQF") < set("".join(every))
