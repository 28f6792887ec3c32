"""What ``explain_*`` and ``suggest_*`` say, for the person in front of a form."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tijolo.br_validators as br
from tijolo.br_validators import KINDS, BRValueError, Strictness
from tijolo.br_validators._messages import BROKEN

LENIENT = Strictness.LENIENT
few = settings(max_examples=20)
NAMES = [*KINDS, "ie_sp", "ie_mt"]


@pytest.mark.parametrize(
    ("name", "value", "rule", "position"),
    [
        ("cpf", "529.982.247-25", None, None),
        ("cpf", "529.982.247-24", "checksum", 13),
        ("cpf", "529.982.247-35", "checksum", 12),
        ("cpf", "52998224724", "checksum", 10),
        ("cpf", "529.982.24A-25", "characters", 10),
        ("cpf", "529.982-247.25", "separators", 7),
        ("cpf", "529.982.247-2", "length", 13),
        ("cpf", "529.982.247-255", "length", 14),
        ("cpf", "111.111.111-11", "reserved", None),
        ("cpf", "5" * 1000, "length", None),
        ("cpf", "", "length", 0),
        ("cpf", None, "type", None),
        ("cpf_cnpj", "529.982.247-24", "checksum", 13),
        ("cpf_cnpj", "123", "length", None),
        ("cpf_cnpj", 5, "type", None),
        ("cnpj", "12.ABC.345/01DE-3A", "characters", 17),
        ("cnpj", "12.abc.345/01DE-35", "characters", 3),
        ("cnpj_numeric", "12.ABC.345/01DE-35", "letters", None),
        ("phone_br", "+55 (23) 98888-7777", "area_code", 5),
        ("phone_br", "(11) 18888-7777", "subscriber", 5),
        ("phone_br", "(11) 98888_7777", "characters", 10),
        ("titulo_eleitor", "1627 4907 2941", "state", 10),
        ("cnj", "0000100-23.2008.8.28.0000", "court", 18),
        ("dfe_key", "35261312ABC34501DE35550010000000011152191428", "month", 4),
        ("boleto", "00190.00008 01149.718601 68524.522114 6 75860000102656", "checksum", 10),
        ("boleto", "8" * 47, "product", 0),
        ("plate", "ABC12D3", "characters", 5),
        ("certidao", "104539 01 55 2013 0 00012 021 0000123 21", "book", 18),
        ("ibge_municipio", "9950308", "state", 0),
        ("service_phone", "0700 123 4567", "prefix", 0),
    ],
)
def test_which_rule_at_which_character(
    name: str, value: Any, rule: str | None, position: int | None
) -> None:
    explanation = KINDS[name].explain(value)
    if rule is None:
        assert explanation is None
        return
    assert explanation is not None
    assert (explanation.rule, explanation.position) == (rule, position)
    with pytest.raises(BRValueError) as caught:
        KINDS[name].normalize(value)
    assert caught.value.code == explanation.code
    assert str(caught.value) == explanation.message
    assert caught.value.expected == explanation.expected


def test_lenient_positions_are_those_of_the_text_as_typed() -> None:
    explanation = br.explain_cpf(" 529 982 247 24\n", strictness=LENIENT)
    assert explanation is not None
    assert (explanation.rule, explanation.position) == ("checksum", 14)
    explanation = br.explain_cnpj(" 12abc34501de3x ", strictness=LENIENT)
    assert explanation is not None
    assert explanation.position == 14


def test_both_languages() -> None:
    explanation = br.explain_cpf("529.982.247-24")
    assert explanation is not None
    assert explanation.message == (
        "Not a valid CPF: its check digits do not match; "
        "expected the last two digits to follow from the first nine."
    )
    assert explanation.message_pt == (
        "Não vale como CPF: os dígitos verificadores não conferem; "
        "esperado: que os dois últimos dígitos resultem dos nove primeiros."
    )
    plate = br.explain_plate("ABC-12345")
    assert plate is not None
    assert plate.expected_pt == "7 caracteres"


near = st.text("0123456789ABPZabz.-/()+ @\n５", max_size=24)


@pytest.mark.parametrize("name", NAMES)
@few
@given(value=near | st.none() | st.integers(0, 10**6))
def test_an_explanation_agrees_with_the_verdict_and_repeats_no_value(name: str, value: Any) -> None:
    kind = KINDS[name]
    for strictness in (Strictness.STRICT, LENIENT):
        explanation = kind.explain(value, strictness=strictness)
        assert (explanation is None) is kind.is_valid(value, strictness=strictness)
        if explanation is None:
            continue
        assert explanation.rule in BROKEN
        assert explanation.expected
        assert explanation.expected_pt
        if explanation.position is not None:
            assert 0 <= explanation.position <= len(value)
        if isinstance(value, str) and len(value) > 12:
            assert value not in f"{explanation.message} {explanation.message_pt}"


@pytest.mark.parametrize("name", [name for name in NAMES if KINDS[name].pattern and name != "ie"])
@few
@given(seed=st.integers(), at=st.integers(0, 60))
def test_where_a_foreign_character_stands(name: str, seed: int, at: int) -> None:
    kind = KINDS[name]
    number = kind.generate(random=Random(seed))
    at %= len(number)
    explanation = kind.explain(f"{number[:at]}é{number[at + 1 :]}")
    assert explanation is not None
    assert explanation.rule in ("characters", "length", "form")
    if explanation.rule == "characters":
        assert explanation.position == at


# suggestions


def test_the_look_alikes_that_the_check_digits_are_blind_to() -> None:
    assert "02GROWP7000185" in br.suggest_cnpj("Q2GROWP7000185")  # 0 and Q
    assert "Q2GRDWP7000185" in br.suggest_cnpj("Q2GROWP7000185")  # O and D
    assert "Q2GROWP7000185" in br.suggest_cnpj("02GROWP7000185")
    assert br.suggest_cpf("52998224725") == []


@pytest.mark.parametrize(
    ("name", "typed", "meant"),
    [
        ("cpf", "529982247Z5", "52998224725"),  # misread
        ("cpf", "S299B2247ZS", "52998224725"),  # several misread
        ("cpf", "52998224752", "52998224725"),  # swapped
        ("cpf", "529.982.248-25", "52998224725"),  # one wrong
        ("cnpj", "12ABC345O1DE35", None),
        ("cnpj_numeric", "1122233300O181", "11222333000181"),
        ("plate", "ABCIC34", "ABC1C34"),
        ("cnj", "0002080-52.2012.5.15.0049", "00020802520125150049"),
        ("pis", "120.56874.01-7", "12056874107"),
        ("cep", "O1310-100", "01310100"),
    ],
)
def test_what_was_meant_is_suggested(name: str, typed: str, meant: str | None) -> None:
    suggested = KINDS[name].suggest(typed, limit=100)
    if meant is not None:
        assert meant in suggested
    assert all(map(KINDS[name].is_valid, suggested))


@pytest.mark.parametrize("name", ["cpf", "cnpj", "pis", "cnj", "boleto", "certidao", "dfe_key"])
@few
@given(seed=st.integers(), at=st.integers(0, 60))
def test_two_neighbours_in_the_wrong_order_are_put_right(name: str, seed: int, at: int) -> None:
    kind = KINDS[name]
    number = kind.generate(random=Random(seed))
    at %= len(number) - 1
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    if not kind.is_valid(swapped):
        assert number in kind.suggest(swapped, limit=100)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["", "garbage", "5" * 100_000, "５２９９８２２４７２５", None, 5])
def test_nothing_is_suggested_for_what_is_too_far_off(name: str, value: Any) -> None:
    assert KINDS[name].suggest(value) == []


def test_there_are_as_many_as_asked_for_at_most() -> None:
    assert len(br.suggest_cnpj("37087659560001")) == 5
    assert len(br.suggest_cnpj("37087659560001", limit=2)) == 2
    for limit in (0, -1, 101):
        with pytest.raises(ValueError, match=f"limit must be between 1 and 100, not {limit}"):
            br.suggest_cpf("52998224724", limit=limit)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("+55-11-98888-7777", 3),
        (" (11) 98888-7777", 0),
        ("(11 98888-7777", 3),
        ("11)98888-7777", 2),
        ("11 9 8888-7777", 4),
        ("119888877779", 11),
        ("119888877", 9),
        ("11 98888-777", 12),
        ("11x98888-7777", 2),
    ],
)
def test_the_place_where_a_phone_is_misspelt(text: str, position: int) -> None:
    explanation = br.explain_phone_br(text)
    assert explanation is not None
    assert explanation.position == position
