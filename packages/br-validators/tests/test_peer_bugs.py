"""What other libraries get wrong, one by one: each of these was seen in at least one of them."""

import threading
from random import Random
from typing import Any

import pytest

import tijolo.br_validators as br
from tijolo.br_validators import KINDS, Strictness

ALPHABETS = {
    "full-width": "０１２３４５６７８９",
    "Arabic-Indic": "٠١٢٣٤٥٦٧٨٩",
    "Devanagari": "०१२३४५६७८९",
    "mathematical": "𝟘𝟙𝟚𝟛𝟜𝟝𝟞𝟟𝟠𝟡",
}


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("name", [*KINDS, "ie_sp"])
def test_digits_of_another_alphabet_are_neither_valid_nor_stored(name: str, alphabet: str) -> None:
    kind = KINDS[name]
    number = kind.generate(random=Random(3))
    table = str.maketrans("0123456789", ALPHABETS[alphabet])
    for value in (number.translate(table), number[:-2].translate(table) + number[-2:]):
        if value == number:  # the last two digits are all that it has
            continue
        for strictness in (Strictness.STRICT, Strictness.LENIENT):
            assert not kind.is_valid(value, strictness=strictness)


@pytest.mark.parametrize("value", ["²²²²²²²²²²²", "①②③④⑤⑥⑦⑧⑨①①", "ß2ABC34501DE35"])
@pytest.mark.parametrize("name", [*KINDS, "ie_sp"])
def test_odd_digits_and_growing_letters_do_not_raise(name: str, value: str) -> None:
    for strictness in (Strictness.STRICT, Strictness.LENIENT):
        assert not KINDS[name].is_valid(value, strictness=strictness)


@pytest.mark.parametrize("letter", ["ı", "ſ", "À", "Ω", "\u0410", "Ａ"])
def test_letters_beyond_ascii_are_no_letters_of_a_cnpj(letter: str) -> None:
    for strictness in (Strictness.STRICT, Strictness.LENIENT):
        for rest in range(100):
            assert not br.is_valid_cnpj(f"{letter}2ABC34501DE{rest:02}", strictness=strictness)


def test_a_cpf_has_no_letters() -> None:
    assert not br.is_valid_cpf("A1B2C3D4E50")
    assert not any(br.is_valid_cpf(f"A1B2C3D4E{rest:02}") for rest in range(100))


@pytest.mark.parametrize("digit", "0123456789")
def test_one_repeated_digit_is_no_cpf(digit: str) -> None:
    assert not br.is_valid_cpf(digit * 11)
    assert not br.is_valid_pis(digit * 11)
    assert not br.is_valid_renavam(digit * 11)
    assert not br.is_valid_cnh(digit * 11)


def test_fourteen_zeros_are_no_cnpj() -> None:
    assert not br.is_valid_cnpj("0" * 14)
    assert not br.is_valid_cnpj("00.000.000/0000-00")


@pytest.mark.parametrize("name", [*KINDS, "ie_sp"])
@pytest.mark.parametrize("extra", ["\n", "\r\n", " ", "\0", "\u200b", "xyz"])
def test_nothing_follows_or_precedes_a_number(name: str, extra: str) -> None:
    kind = KINDS[name]
    number = kind.normalize(kind.generate(random=Random(5)))
    assert not kind.is_valid(number + extra)
    assert not kind.is_valid(extra + number) or name == "pix_key"  # xyz and an address is one


def test_separators_stand_in_their_places_unless_lenient() -> None:
    for name, value in (("cpf", "5.2.9.98224725"), ("cnpj", "1.1.2.2.2333/0001-81")):
        assert not KINDS[name].is_valid(value)
        assert KINDS[name].is_valid(value, strictness=Strictness.LENIENT)


def test_missing_zeros_are_not_supplied() -> None:
    for strictness in (Strictness.STRICT, Strictness.LENIENT):
        assert not br.is_valid_cpf("191", strictness=strictness)
    with pytest.raises(br.BRValueError):
        br.format_cpf("191")
    with pytest.raises(br.BRValueError):
        br.format_cnpj("11.22")


@pytest.mark.parametrize("name", [n for n in KINDS if n != "ie"])
def test_the_mask_is_accepted(name: str) -> None:
    assert KINDS[name].is_valid(KINDS[name].generate(masked=True, random=Random(7)))


def test_letters_in_a_cnpj_are_accepted_in_upper_case_and_stored_so() -> None:
    assert br.is_valid_cnpj("12ABC34501DE35")
    assert not br.is_valid_cnpj("12abc34501de35")
    lenient = br.normalize_cnpj("12abc34501de35", strictness=Strictness.LENIENT)
    assert lenient == "12ABC34501DE35"


@pytest.mark.parametrize("name", [*KINDS, "ie_sp"])
@pytest.mark.parametrize(
    "value", [None, 52998224725, 1.5, b"52998224725", list("52998224725"), object(), True]
)
def test_what_is_no_str_is_false_and_raises_nothing(name: str, value: Any) -> None:
    assert KINDS[name].is_valid(value) is False


def test_no_blacklist_of_numbers_that_look_like_a_joke() -> None:
    assert br.is_valid_cpf("123.456.789-09")


def test_every_pattern_is_anchored() -> None:
    for name in KINDS:
        pattern = getattr(br, f"{name.upper()}_PATTERN")
        assert pattern.match(KINDS[name].examples[0] + "garbage") is None


@pytest.mark.parametrize("letter", "IOUQF")
def test_the_five_letters_that_were_only_asked_to_be_left_out(letter: str) -> None:
    base = f"{letter}2ABC34501DE"
    assert sum(br.is_valid_cnpj(f"{base}{rest:02}") for rest in range(100)) == 1


def test_a_letter_is_worth_its_code_less_48() -> None:
    assert not br.is_valid_cnpj("LBNXQOB5000163")  # of A = 10
    assert br.is_valid_cnpj("12ABC34501DE35")


def test_a_court_case_counts_from_98() -> None:
    assert br.is_valid_cnj("5046512-94.2016.4.04.7000")
    assert br.is_valid_cnj("0002080-25.2012.5.15.0049")
    assert not br.is_valid_cnj("0002080-24.2012.5.15.0049")


def test_a_driving_licence_takes_2_off_after_a_remainder_of_10() -> None:
    assert br.is_valid_cnh("98765432109")
    assert not br.is_valid_cnh("98765432100")
    results: list[bool] = []

    def judge() -> None:  # one library keeps the 2 on an object that threads share
        results.extend(map(br.is_valid_cnh, ("98765432109", "65821310502") * 200))

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1600
    assert all(results)


def test_sao_paulo_and_minas_give_1_for_0_and_other_states_do_not() -> None:
    assert br.is_valid_titulo_eleitor("162749070141")
    assert not br.is_valid_titulo_eleitor("100000010108")
    assert not any(br.is_valid_titulo_eleitor(f"1023850199{n:02}") for n in range(100))
    assert not br.is_valid_titulo_eleitor("1234567801901")  # 13 digits: nothing says how


def test_a_pis_may_end_in_0() -> None:
    numbers = [br.generate_pis(random=Random(n)) for n in range(400)]
    ending = [n for n in numbers if n[-1] == "0"]
    assert ending
    assert all(map(br.is_valid_pis, ending))
    assert not br.is_valid_pis("00000000000")


def test_an_access_key_may_have_letters() -> None:
    assert br.is_valid_dfe_key("35260812ABC34501DE35550010000000011152191428")


def test_registrations_that_others_refuse() -> None:
    assert br.is_valid_ie("130000019", "MT")  # nine digits
    assert br.is_valid_ie("11094402" + "0", "GO")
    for state, prefix in (("DF", "08"), ("GO", "20"), ("MS", "50"), ("PA", "79")):
        length = 13 if state == "DF" else 9
        base = (prefix + "1234567890")[: length - (2 if state == "DF" else 1)].ljust(
            length - (2 if state == "DF" else 1), "1"
        )
        ends = [f"{n:02}" for n in range(100)] if state == "DF" else list("0123456789")
        assert sum(br.is_valid_ie(base + end, state) for end in ends) == 1


def test_phones_have_an_area_code_that_exists_and_a_first_digit_that_is_used() -> None:
    for area_code in (0, 10, 23, 25, 26, 29, 36, 39, 52, 56, 57, 58, 59, 72, 76, 78):
        assert not br.is_valid_phone_br(f"{area_code:02}988887777")
    for first in "0178":
        assert not br.is_valid_phone_br(f"11{first}3334444")
    for first in "012345678":
        assert not br.is_valid_phone_br(f"11{first}88887777")
    assert all(br.is_valid_phone_br(f"11{first}3334444") for first in "2345")


def test_one_line_is_stored_in_one_way() -> None:
    spellings = ("+5511988887777", "5511988887777", "(11) 98888-7777", "11988887777")
    assert {br.normalize_phone_br(value) for value in spellings} == {"11988887777"}


def test_converting_a_plate_replaces_the_right_character() -> None:
    with pytest.raises(br.BRValueError):
        br.to_mercosul(" ABC1234")
    assert br.to_mercosul(" ABC1234", strictness=Strictness.LENIENT) == "ABC1C34"
    assert not br.is_valid_plate("ABC1C３4")


def test_the_nine_municipalities_with_another_check_digit() -> None:
    for code in ("2201919", "2201988", "2202251", "2611533", "3117836", "3152131"):
        assert br.is_valid_ibge_municipio(code)
    assert [d for d in range(10) if br.is_valid_ibge_municipio(f"220191{d}")] == [9]


def test_nothing_that_is_generated_depends_on_the_day_of_import() -> None:
    for name in KINDS:
        first = KINDS[name].generate(random=Random(9))
        assert first == KINDS[name].generate(random=Random(9))
        assert len({KINDS[name].generate(random=Random(n)) for n in range(8)}) > 1
