from random import Random

import pytest

from tijolo.br_validators import (
    BRValueError,
    Strictness,
    format_cpf_cnpj,
    generate_cpf_cnpj,
    is_valid_cpf_cnpj,
    normalize_cpf_cnpj,
)

LENIENT = Strictness.LENIENT

ACCEPTED = {  # value: (canonical, masked)
    "52998224725": ("52998224725", "529.982.247-25"),
    "529.982.247-25": ("52998224725", "529.982.247-25"),
    "529982247-25": ("52998224725", "529.982.247-25"),
    "11222333000181": ("11222333000181", "11.222.333/0001-81"),
    "11.222.333/0001-81": ("11222333000181", "11.222.333/0001-81"),
    "11222333/0001-81": ("11222333000181", "11.222.333/0001-81"),
    "12ABC34501DE35": ("12ABC34501DE35", "12.ABC.345/01DE-35"),
    "12.ABC345/01DE35": ("12ABC34501DE35", "12.ABC.345/01DE-35"),
}

REFUSED = {  # value: code
    "52998224724": "cpf_checksum",
    "111.111.111-11": "cpf_reserved",
    "A1B2C3D4E50": "cpf_characters",
    "5.2.9.98224725": "cpf_separators",
    "52998224725\n": "cpf_characters",
    "529 982 247 25": "cpf_characters",
    "529-982-247-25": "cpf_separators",
    "529.982.247-2\uff15": "cpf_characters",
    "529.982.247": "cpf_cnpj_length",
    "12A.BC34501D35": "cpf_cnpj_length",
    "12ABC34501DE36": "cnpj_checksum",
    "00.000.000/0000-00": "cnpj_reserved",
    "12abc34501de35": "cnpj_characters",
    "1.1222333/0001-81": "cnpj_separators",
    "": "cpf_cnpj_length",
    "123456789012": "cpf_cnpj_length",
    "ABC12345678901234": "cpf_cnpj_length",
    "1" * 1_000_000: "cpf_cnpj_length",
}


@pytest.mark.parametrize(("value", "spellings"), ACCEPTED.items())
def test_length_tells_the_two_apart(value: str, spellings: tuple[str, str]) -> None:
    assert is_valid_cpf_cnpj(value)
    assert (normalize_cpf_cnpj(value), format_cpf_cnpj(value)) == spellings


@pytest.mark.parametrize(("value", "code"), REFUSED.items(), ids=ascii)
def test_refused_with_the_code_of_the_number_it_would_have_been(value: str, code: str) -> None:
    assert not is_valid_cpf_cnpj(value)
    with pytest.raises(BRValueError) as caught:
        normalize_cpf_cnpj(value)
    assert caught.value.code == code
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [None, 52998224725, b"52998224725", ["52998224725"]])
def test_only_a_str_can_be_valid(value: object) -> None:
    assert not is_valid_cpf_cnpj(value)
    with pytest.raises(BRValueError) as caught:
        normalize_cpf_cnpj(value)  # type: ignore[arg-type]
    assert caught.value.code == "cpf_cnpj_type"


def test_lenient_reaches_both() -> None:
    assert normalize_cpf_cnpj(" 529 982 247 25\n", strictness=LENIENT) == "52998224725"
    assert normalize_cpf_cnpj("12.abc.345/01de-35 ", strictness=LENIENT) == "12ABC34501DE35"
    assert is_valid_cpf_cnpj(" 529 982 247 25\n", strictness=LENIENT)
    assert is_valid_cpf_cnpj("12.abc.345/01de-35 ", strictness=LENIENT)


def test_both_kinds_are_generated() -> None:
    random = Random(11)
    numbers = [generate_cpf_cnpj(random=random, alphanumeric=True) for _ in range(200)]
    assert {len(number) for number in numbers} == {11, 14}
    assert any(not number.isdigit() for number in numbers)
    assert all(map(is_valid_cpf_cnpj, numbers))


def test_every_letter_is_generated_on_request() -> None:
    random = Random(11)
    numbers = [generate_cpf_cnpj(random=random, all_letters=True) for _ in range(500)]
    assert set("IOUQF") < set("".join(numbers))
    assert all(map(is_valid_cpf_cnpj, numbers))
