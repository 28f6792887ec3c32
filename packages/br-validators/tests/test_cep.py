from random import Random

import pytest

from tijolo.br_validators import (
    BRValueError,
    Strictness,
    format_cep,
    generate_cep,
    is_valid_cep,
    normalize_cep,
)

LENIENT = Strictness.LENIENT

REFUSED = {  # value: rule
    "0131010": "length",
    "013101000": "length",
    "": "length",
    "0131-0100": "separators",
    "013101-00": "separators",
    "01310--100": "separators",
    "01310-100\n": "characters",
    "01310 100": "characters",
    "01.310-100": "characters",
    "０１３１０１００": "characters",
    "٠١٣١٠١٠٠": "characters",
    "²²²²²²²²": "characters",
    "abcdefgh": "characters",
    "0131010O": "characters",
    "0" * 1_000_000: "length",
}


@pytest.mark.parametrize("bare", ["01310100", "70040010", "69301000", "78900000", "00000000"])
def test_eight_digits_with_or_without_the_hyphen(bare: str) -> None:
    masked = f"{bare[:5]}-{bare[5:]}"
    assert is_valid_cep(bare)
    assert is_valid_cep(masked)
    assert normalize_cep(bare) == normalize_cep(masked) == bare
    assert format_cep(bare) == format_cep(masked) == masked


@pytest.mark.parametrize(("value", "rule"), REFUSED.items(), ids=ascii)
def test_refused_with_the_rule_that_failed(value: str, rule: str) -> None:
    assert not is_valid_cep(value)
    with pytest.raises(BRValueError) as caught:
        normalize_cep(value)
    assert caught.value.code == f"cep_{rule}"


@pytest.mark.parametrize("value", [" 01.310-100\n", "01310 100", "0131-0100"])
def test_lenient_drops_separators_and_white_space_anywhere(value: str) -> None:
    assert is_valid_cep(value, strictness=LENIENT)
    assert normalize_cep(value, strictness=LENIENT) == "01310100"


@pytest.mark.parametrize("value", [None, 1310100, b"01310100", ["01310100"]])
def test_only_a_str_can_be_valid(value: object) -> None:
    assert not is_valid_cep(value)


def test_generated_codes_start_where_the_correios_start() -> None:
    random = Random(5)
    codes = [generate_cep(random=random) for _ in range(2000)]
    assert all(is_valid_cep(code) and code >= "01000000" for code in codes)
    assert any(code.startswith("0") for code in codes)
