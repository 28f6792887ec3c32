import itertools

import pytest

from tijolo.br_validators import (
    BRValueError,
    Strictness,
    format_cpf,
    is_valid_cpf,
    normalize_cpf,
)

LENIENT = Strictness.LENIENT

VALID = [
    "529.982.247-25",
    "390.533.447-05",
    "000.000.001-91",
    "280.012.389-38",  # the example of REGRA_VALIDA_CPF
    "123.456.789-09",  # on the blacklist of one library, on no norm's
]

REFUSED = {  # value: rule
    "52998224724": "checksum",
    "529.982.247-24": "checksum",
    "52998224752": "checksum",
    "28001238983": "checksum",
    "191": "length",  # missing zeros are not supplied
    "": "length",
    "5299822472": "length",
    "529982247255": "length",
    "5.2.9.98224725": "separators",
    "529.98.2247-25": "separators",
    "529-982-247.25": "separators",
    "529..982247-25": "separators",
    "529.982.247-25.": "separators",
    ".52998224725": "separators",
    "52998224725\n": "characters",
    " 52998224725": "characters",
    "529 982 247 25": "characters",
    "529.982.247/25": "characters",
    "abc529.982.247-25xyz": "characters",
    "529\x00982.247-25": "characters",
    "A1B2C3D4E50": "characters",
    "5299822472O": "characters",
    "+5299822472": "characters",
    "5_299822472": "characters",
    "５２９９８２２４７２５": "characters",  # full-width
    "５２９９８２２４７25": "characters",
    "٥٢٩٩٨٢٢٤٧٢٥": "characters",  # Arabic-Indic
    "५२९९८२२४७२५": "characters",  # Devanagari
    "𝟓𝟐𝟗𝟗𝟖𝟐𝟐𝟒𝟕𝟐𝟓": "characters",  # mathematical
    "²²²²²²²²²²²": "characters",
    "①②③④⑤⑥⑦⑧⑨⑩⑪": "characters",
    "529.982.247‐25": "characters",  # a hyphen that is not ASCII
    "\ud800" * 11: "characters",
    "5" * 1_000_000: "length",
}


def rule_of(value: object, strictness: Strictness = Strictness.STRICT) -> str:
    with pytest.raises(BRValueError) as caught:
        normalize_cpf(value, strictness=strictness)  # type: ignore[arg-type]
    assert caught.value.kind == "cpf"
    assert caught.value.__context__ is None  # a chained KeyError would show digits
    return caught.value.rule


@pytest.mark.parametrize("masked", VALID)
def test_valid_numbers_in_both_spellings(masked: str) -> None:
    bare = masked.replace(".", "").replace("-", "")
    assert is_valid_cpf(masked)
    assert is_valid_cpf(bare)
    assert normalize_cpf(masked) == normalize_cpf(bare) == bare
    assert format_cpf(masked) == format_cpf(bare) == masked


@pytest.mark.parametrize(("value", "rule"), REFUSED.items(), ids=ascii)
def test_refused_with_the_rule_that_failed(value: str, rule: str) -> None:
    assert not is_valid_cpf(value)
    assert rule_of(value) == rule


@pytest.mark.parametrize("digit", "0123456789")
def test_repeated_digits_are_reserved_though_the_sums_agree(digit: str) -> None:
    bare = digit * 11
    masked = f"{digit * 3}.{digit * 3}.{digit * 3}-{digit * 2}"
    for value in (bare, masked, masked.replace("-", "")):
        for strictness in (Strictness.STRICT, LENIENT):
            assert not is_valid_cpf(value, strictness=strictness)
            assert rule_of(value, strictness) == "reserved"


def test_any_part_of_the_mask_is_accepted_in_its_place() -> None:
    for first, second, third in itertools.product(("", "."), ("", "."), ("", "-")):
        value = f"529{first}982{second}247{third}25"
        assert is_valid_cpf(value)
        assert normalize_cpf(value) == "52998224725"


@pytest.mark.parametrize(
    "value",
    ["52998224725\n", "\t529 982 247 25 ", "5.2.9.98224725", "529-982-247/25", "529982247-25"],
)
def test_lenient_drops_separators_and_white_space_anywhere(value: str) -> None:
    assert is_valid_cpf(value, strictness=LENIENT)
    assert normalize_cpf(value, strictness=LENIENT) == "52998224725"
    assert format_cpf(value, strictness=LENIENT) == "529.982.247-25"


@pytest.mark.parametrize(
    "value",
    [
        "５２９９８２２４７２５",
        "²²²²²²²²²²²",
        "529\xa0982\xa0247-25",  # a space that is not ASCII
        "191",
        "(529)98224725",
        "529\x00982.247-25",
        "A1B2C3D4E50",
        "52998224725" + " " * 64,
        "52998224724",
    ],
)
def test_lenient_changes_no_rule_of_the_number(value: str) -> None:
    assert not is_valid_cpf(value, strictness=LENIENT)


@pytest.mark.parametrize("value", [None, 52998224725, 5.2, b"52998224725", list("52998224725"), ()])
def test_only_a_str_can_be_valid(value: object) -> None:
    assert not is_valid_cpf(value)
    assert not is_valid_cpf(value, strictness=LENIENT)
    assert rule_of(value) == "type"


def test_an_invalid_number_is_not_formatted() -> None:
    with pytest.raises(BRValueError):
        format_cpf("191")
    with pytest.raises(BRValueError):
        format_cpf("52998224724")


def test_no_error_repeats_the_number() -> None:
    for value in ("52998224724", "529.982.247-24", "111.111.111-11", "5299822472", "529982247X5"):
        with pytest.raises(BRValueError) as caught:
            normalize_cpf(value)
        shown = f"{caught.value} {caught.value!r} {caught.value.args}"
        assert not any(value[i : i + 3] in shown for i in range(len(value) - 2) if "." not in value)
        assert value not in shown
