"""What the kinds beyond CPF, CNPJ, CEP and phone do of their own, and the registry of them all."""

import copy
import pickle
from datetime import date
from decimal import Decimal, localcontext
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tijolo.br_validators as br
from tijolo.br_validators import KINDS, BRValueError, Strictness
from tijolo.br_validators.ie import STATES

LENIENT = Strictness.LENIENT
few = settings(max_examples=40)


def test_the_registry_has_every_kind_by_name() -> None:
    assert len(KINDS) == len(list(KINDS)) == 27
    assert list(KINDS) == list(KINDS.keys()) == [name for name, _ in KINDS.items()]
    assert all(KINDS[name].key == name for name in KINDS)
    assert KINDS["cnpj_numeric"].name == "cnpj"
    assert KINDS["ie_sp"].is_valid("110.042.490.114")
    assert "ie_sp" in KINDS
    assert "rg" not in KINDS
    with pytest.raises(KeyError, match="unknown kind 'rg'; expected one of arrecadacao, "):
        KINDS["rg"]


@pytest.mark.parametrize("name", [*KINDS, "ie_sp"])
def test_a_kind_is_one_object_that_pickles(name: str) -> None:
    kind = KINDS[name]
    assert KINDS[name] is kind
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert copy.deepcopy(kind) is kind
    assert name in repr(kind)
    assert kind.label
    assert kind.label_pt


@pytest.mark.parametrize("name", [name for name in KINDS if name != "cnpj_numeric"])
def test_the_functions_are_the_verbs_of_the_kind(name: str) -> None:
    number = KINDS[name].examples[0]
    for verb in ("is_valid", "normalize", "format", "explain"):
        assert getattr(br, f"{verb}_{name}")(number) == getattr(KINDS[name], verb)(number)
    pattern = getattr(br, f"{name.upper()}_PATTERN")
    assert pattern.pattern == KINDS[name].pattern
    assert all(pattern.fullmatch(example) for example in KINDS[name].examples)


# what the check digits promise


def wrong_digits(number: str) -> list[str]:
    return [
        number[:at] + other + number[at + 1 :]
        for at, other in product(range(len(number)), "0123456789")
        if other != number[at]
    ]


def swaps(number: str) -> list[str]:
    return [
        number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        for at in range(len(number) - 1)
        if number[at] != number[at + 1]
    ]


@few
@given(seed=st.integers())
def test_modulo_97_catches_any_wrong_digit_and_any_swap_of_a_court_case(seed: int) -> None:
    number = br.generate_cnj(random=Random(seed))
    assert not any(map(br.is_valid_cnj, wrong_digits(number)))
    assert not any(map(br.is_valid_cnj, swaps(number)))


@few
@given(seed=st.integers())
def test_modulo_10_catches_any_wrong_digit_of_a_municipality(seed: int) -> None:
    number = br.generate_ibge_municipio(random=Random(seed))
    assert not any(map(br.is_valid_ibge_municipio, wrong_digits(number)))


@few
@given(seed=st.integers())
def test_the_fields_of_a_boleto_catch_any_wrong_digit_of_theirs(seed: int) -> None:
    number = br.generate_boleto(random=Random(seed))
    for changed in wrong_digits(number):
        if changed[:32] != number[:32]:
            assert not br.is_valid_boleto(changed)


@few
@given(seed=st.integers())
def test_the_blocks_of_an_arrecadacao_modulo_10_catch_any_wrong_digit(seed: int) -> None:
    number = br.generate_arrecadacao(random=Random(seed))
    if number[2] in "67":
        kept = [n for n in wrong_digits(number) if n[2] == number[2]]
        assert not any(map(br.is_valid_arrecadacao, kept))


@pytest.mark.parametrize("name", ["pis", "renavam"])
@few
@given(seed=st.integers())
def test_modulo_11_catches_any_wrong_digit_where_the_check_digit_is_not_0(
    name: str, seed: int
) -> None:
    number = KINDS[name].generate(random=Random(seed))
    if number[-1] != "0":
        assert not any(map(KINDS[name].is_valid, wrong_digits(number)))


@few
@given(seed=st.integers())
def test_a_health_card_catches_any_wrong_digit_but_the_fifth(seed: int) -> None:
    number = br.generate_cns(random=Random(seed))
    assert not any(
        br.is_valid_cns(changed)
        for changed in wrong_digits(number)
        if changed[4] == number[4] and changed[0] == number[0]  # the fifth has weight 11
    )


@given(seed=st.integers(), at=st.integers(0, 200))
def test_the_crc_of_a_br_code_catches_any_wrong_character(seed: int, at: int) -> None:
    payload = br.generate_br_code(random=Random(seed))
    at %= len(payload)
    changed = payload[:at] + ("x" if payload[at] != "x" else "y") + payload[at + 1 :]
    assert not br.is_valid_br_code(changed)


# a slow reading of the rules, against the look-ups


def weighted(digits: str, weights: list[int]) -> int:
    return sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11


@given(st.text("0123456789", min_size=9, max_size=9))
def test_cnh_by_a_slow_reading(base: str) -> None:
    first = weighted(base, list(range(9, 0, -1)))
    second = weighted(base, list(range(1, 10)))
    if first == 10:
        first, second = 0, (second - 2) % 11
    expected = f"{base}{first}{0 if second == 10 else second}"
    accepted = [f"{base}{p:02}" for p in range(100) if br.is_valid_cnh(f"{base}{p:02}")]
    assert accepted == ([] if len(set(expected)) == 1 else [expected])


@given(st.text("0123456789", min_size=8, max_size=8), st.integers(1, 28))
def test_titulo_by_a_slow_reading(sequence: str, state: int) -> None:
    code = f"{state:02}"
    zero = "1" if state <= 2 else "0"

    def digit(remainder: int) -> str:
        return {0: zero, 10: "0"}.get(remainder, str(remainder))

    first = digit(weighted(sequence, list(range(2, 10))))
    second = digit(weighted(code + first, [7, 8, 9]))
    base = sequence + code
    accepted = [p for p in range(100) if br.is_valid_titulo_eleitor(f"{base}{p:02}")]
    assert accepted == [int(first + second)]


@given(st.text("0123456789", min_size=10, max_size=10))
def test_pis_and_renavam_by_a_slow_reading(base: str) -> None:
    remainder = weighted(base, [3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
    digit = 0 if remainder < 2 else 11 - remainder
    number = f"{base}{digit}"
    for name in ("pis", "renavam"):
        accepted = [f"{base}{d}" for d in range(10) if KINDS[name].is_valid(f"{base}{d}")]
        assert accepted == ([] if len(set(number)) == 1 else [number])


@given(st.sampled_from("12789"), st.text("0123456789", min_size=14, max_size=14))
def test_cns_by_a_slow_reading(first: str, rest: str) -> None:
    text = first + rest
    base = text[:11]
    total = sum(int(d) * w for d, w in zip(base, range(15, 4, -1), strict=True))
    digit = 11 - total % 11
    if digit == 10:
        right = f"{base}001{11 - (total + 2) % 11}"
    else:
        right = f"{base}000{0 if digit == 11 else digit}"
    if first in "12":
        assert br.is_valid_cns(right)
        assert br.is_valid_cns(text) is (text == right)
    else:
        total = sum(int(d) * w for d, w in zip(text, range(15, 0, -1), strict=True))
        assert br.is_valid_cns(text) is (total % 11 == 0)


@given(st.integers(0, 10**6))
def test_dfe_key_by_a_slow_reading(seed: int) -> None:
    key = br.generate_dfe_key(random=Random(seed))
    total, weight = 0, 2
    for character in reversed(key[:43]):
        total += (ord(character) - 48) * weight
        weight = 2 if weight == 9 else weight + 1
    digit = 11 - total % 11
    assert key[43] == str(0 if digit > 9 else digit)


# parts


def test_cpf_names_its_fiscal_region() -> None:
    parts = br.parse_cpf("529.982.247-25")
    assert (parts.fiscal_region, parts.states) == (7, ("ES", "RJ"))
    assert br.parse_cpf("00000000191").states == ("DF", "GO", "MS", "MT", "TO")
    every = [br.parse_cpf(br.generate_cpf(random=Random(n))).states for n in range(300)]
    assert len({state for states in every for state in states}) == 27


def test_cnpj_has_root_and_order_and_says_whether_there_are_letters() -> None:
    parts = br.parse_cnpj("00.000.000/E08G-12")
    assert (parts.root, parts.order, parts.check_digits) == ("00000000", "E08G", "12")
    assert parts.is_alphanumeric
    assert not br.parse_cnpj("11222333000181").is_alphanumeric
    assert br.parse_cpf_cnpj("11222333000181") == br.parse_cnpj("11222333000181")
    with pytest.raises(BRValueError, match="letters"):
        br.parse_cnpj("00000000E08G12", numeric_only=True)


def test_every_cep_prefix_has_one_state_or_none() -> None:
    states = [br.parse_cep(f"{prefix:03}00000").state for prefix in range(1000)]
    assert [p for p, state in enumerate(states) if state is None] == [*range(10), 789]
    assert len(set(states)) == 28
    assert states.count("SP") == 190


def test_a_phone_has_kind_states_and_e164() -> None:
    mobile = br.parse_phone_br("+55 (61) 98888-7777")
    assert (mobile.kind, mobile.area_code, mobile.states) == ("mobile", "61", ("DF", "GO"))
    assert mobile.e164 == "+5561988887777"
    landline = br.parse_phone_br("1133334444")
    assert (landline.kind, landline.subscriber) == ("landline", "33334444")
    from tijolo.br_validators.phone import AREA_CODES

    served = {s for c in AREA_CODES for s in br.parse_phone_br(f"{c}33334444").states}
    assert len(served) == 27


def test_service_phones_have_three_kinds() -> None:
    kinds = [br.parse_service_phone(n).kind for n in ("0800 123 4567", "4004-1234", "190")]
    assert kinds == ["non_geographic", "single_number", "public_utility"]
    assert not br.is_valid_phone_br("08001234567")


def test_plates_convert_both_ways_where_they_can() -> None:
    assert br.to_mercosul("ABC-1234") == br.to_mercosul("ABC1C34") == "ABC1C34"
    assert br.parse_plate("ABC1C34").old == "ABC1234"
    assert br.parse_plate("ABC1K34").old is None
    assert br.format_plate("ABC1234") == "ABC-1234"
    assert br.format_plate("ABC1C34") == "ABC1C34"
    assert br.normalize_plate("abc 1c34", strictness=LENIENT) == "ABC1C34"
    for digit, letter in zip("0123456789", "ABCDEFGHIJ", strict=True):
        assert br.to_mercosul(f"XYZ1{digit}00") == f"XYZ1{letter}00"


def test_the_hyphen_is_no_part_of_a_mercosul_plate() -> None:
    for plate in ("ABC-1C34", "ABC-1Z34", "AB-C1C34"):
        assert not br.is_valid_plate(plate)
        assert br.explain_plate(plate).rule in ("characters", "separators")  # type: ignore[union-attr]
        assert br.normalize_plate(plate, strictness=LENIENT) == plate.replace("-", "")
    assert br.is_valid_plate("ABC-1234")


def test_an_old_renavam_is_padded_only_when_lenient() -> None:
    assert br.normalize_renavam("639884962", strictness=LENIENT) == "00639884962"
    assert not br.is_valid_renavam("639884962")
    assert not br.is_valid_renavam("39884962", strictness=LENIENT)


def test_a_health_card_is_definitive_or_provisional() -> None:
    assert br.parse_cns("100 0000 0006 0018").kind == "definitive"
    assert br.parse_cns("700000000000005").kind == "provisional"


def test_a_court_case_names_its_court() -> None:
    parts = br.parse_cnj("0002080-25.2012.5.15.0049")
    assert (parts.sequence, parts.check_digits, parts.year) == ("0002080", "25", 2012)
    assert (parts.segment, parts.court_name, parts.origin) == (5, "TRT15", "0049")


def test_a_voter_abroad_has_no_state() -> None:
    number = next(
        n
        for n in (br.generate_titulo_eleitor(random=Random(i)) for i in range(500))
        if n[8:10] == "28"
    )
    assert br.parse_titulo_eleitor(number).state == "ZZ"


def test_caepf_gives_the_cpf_of_its_holder() -> None:
    parts = br.parse_caepf("293.118.610/001-84")
    assert br.is_valid_cpf(parts.cpf)
    assert parts.cpf[:9] == "293118610"
    assert parts.order == "001"


def test_a_certificate_has_its_book_and_year() -> None:
    parts = br.parse_certidao("104539 01 55 2013 1 00012 021 0000123 21")
    assert (parts.registry, parts.collection, parts.year, parts.book_type) == (
        *("104539", "01", 2013),
        1,
    )
    assert (parts.book, parts.page, parts.entry) == ("00012", "021", "0000123")


# boleto


def test_the_fator_de_vencimento_came_round_in_february_2025() -> None:
    assert br.due_factor(date(2000, 7, 3)) == "1000"
    assert br.due_factor(date(2025, 2, 21)) == "9999"
    assert br.due_factor(date(2025, 2, 22)) == "1000"
    assert br.due_factor(date(2026, 12, 1)) == "1647"
    with pytest.raises(ValueError, match="no fator de vencimento before 2000-07-03"):
        br.due_factor(date(2000, 7, 2))


def slip(factor: str) -> str:
    """A boleto with this factor and its check digits worked out."""
    line = br.normalize_boleto("34191091233456789012334567890123816470000123456")
    changed = line[:33] + factor + line[37:]
    return next(
        candidate
        for digit in "123456789"
        if br.is_valid_boleto(candidate := changed[:32] + digit + changed[33:])
    )


@pytest.mark.parametrize(
    ("factor", "today", "due"),
    [
        ("1647", date(2026, 11, 22), date(2026, 12, 1)),
        ("9999", date(2025, 2, 21), date(2025, 2, 21)),
        ("1000", date(2025, 2, 21), date(2025, 2, 22)),
        ("1000", date(2000, 7, 3), date(2000, 7, 3)),
        # FEBRABAN's worked example: on 2014-03-13, from 2005-12-24 to 2029-04-03
        ("3000", date(2014, 3, 13), date(2005, 12, 24)),
        ("2999", date(2014, 3, 13), None),
        ("2501", date(2014, 3, 13), date(2029, 4, 3)),
        ("2502", date(2014, 3, 13), None),
        ("7586", date(2018, 7, 1), date(2018, 7, 15)),
        ("7586", date(2026, 11, 22), None),
        ("0000", date(2026, 11, 22), None),
    ],
)
def test_which_date_a_factor_means_depends_on_today(
    factor: str, today: date, due: date | None
) -> None:
    assert br.parse_boleto(slip(factor), today=today).due_date == due


def test_a_boleto_says_all_dates_that_its_factor_can_mean() -> None:
    parts = br.parse_boleto(slip("7586"), today=date(2026, 11, 22))
    assert parts.due_dates == (date(2018, 7, 15), date(2043, 3, 6))
    assert br.parse_boleto(slip("0000")).due_dates == ()
    late = br.parse_boleto(slip("1000"), today=date(2052, 1, 1))
    assert late.due_date == date(2049, 10, 14)
    assert len(late.due_dates) == 3


@given(st.dates(date(2000, 7, 3), date(2120, 1, 1)))
def test_a_factor_read_on_its_day_is_that_day(day: date) -> None:
    assert br.parse_boleto(slip(br.due_factor(day)), today=day).due_date == day


@given(seed=st.integers())
@pytest.mark.parametrize("name", ["boleto", "arrecadacao"])
def test_line_and_bar_code_are_one_slip(name: str, seed: int) -> None:
    line = KINDS[name].generate(random=Random(seed))
    parse: Any = KINDS[name].parse
    barcode = parse(line).barcode
    assert len(barcode) == 44
    assert KINDS[name].is_valid(barcode)
    assert KINDS[name].normalize(barcode) == line
    assert parse(barcode) == parse(line)


def test_parts_of_a_boleto() -> None:
    parts = br.parse_boleto("00190.00009 01149.718601 68524.522114 6 75860000102656")
    assert (parts.bank, parts.currency, parts.amount) == ("001", "9", Decimal("1026.56"))
    assert parts.barcode == "00196758600001026560000001149718606852452211"
    assert parts.free_field == "0000001149718606852452211"


def test_a_slip_of_the_other_kind_is_refused_by_name() -> None:
    tax = br.parse_arrecadacao("846100000005246100291102005460339004695895061080").barcode
    assert not br.is_valid_boleto(tax)
    bank = br.parse_boleto("00190000090114971860168524522114675860000102656").barcode
    explanation = br.explain_arrecadacao(bank)
    assert explanation is not None
    assert explanation.code == "arrecadacao_product"


def test_parts_of_an_arrecadacao() -> None:
    parts = br.parse_arrecadacao("84610000000-5 24610029110-2 00546033900-4 69589506108-0")
    assert (parts.segment, parts.value_kind) == (4, 6)
    assert (parts.amount, parts.quantity) == (Decimal("24.61"), None)
    assert parts.company == "0029"
    quantity = next(
        p
        for p in (
            br.parse_arrecadacao(br.generate_arrecadacao(random=Random(n))) for n in range(99)
        )
        if p.value_kind in (7, 9)
    )
    assert quantity.amount is None
    assert quantity.quantity is not None


# fiscal documents, PIX


def test_parts_of_a_key_with_letters() -> None:
    parts = br.parse_dfe_key("3526 0812 ABC3 4501 DE35 5500 1000 0000 0111 5219 1428")
    assert (parts.state, parts.year, parts.month) == ("SP", 2026, 8)
    assert (parts.model_name, parts.series, parts.number) == ("NF-e", 1, 1)
    assert (parts.emission_type, parts.site, parts.code) == (1, "", "15219142")


def test_a_person_can_issue_a_document() -> None:
    key = "352608" + "000" + "52998224725" + "55" + "920" + "000000001" + "1" + "12345678"
    found = [f"{key}{digit}" for digit in range(10) if br.is_valid_dfe_key(f"{key}{digit}")]
    assert len(found) == 1
    parts = br.parse_dfe_key(found[0])
    assert (parts.issuer, parts.issuer_kind) == ("52998224725", "cpf")


@pytest.mark.parametrize("model", ["62", "66"])
def test_the_models_with_a_site_have_a_shorter_code(model: str) -> None:
    keys = (br.generate_dfe_key(random=Random(n)) for n in range(500))
    parts = br.parse_dfe_key(next(key for key in keys if key[20:22] == model))
    assert (len(parts.site), len(parts.code)) == (1, 7)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("35260012ABC34501DE35550010000000011152191428", "month"),
        ("35260812ABC34501DE35990010000000011152191428", "model"),
        ("35260812ABC34501DE35550010000000001152191428", "number"),
        ("35260812ABC34501DE36550010000000011152191428", "issuer"),
        ("35260812ABC34501DE3555001000000001115219142A", "characters"),
        ("3526081", "length"),
    ],
)
def test_a_key_is_refused_with_the_rule_that_failed(value: str, rule: str) -> None:
    with pytest.raises(BRValueError) as caught:
        br.normalize_dfe_key(value)
    assert caught.value.code == f"dfe_key_{rule}"


@pytest.mark.parametrize(
    ("value", "canonical", "kind"),
    [
        ("529.982.247-25", "52998224725", "cpf"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35", "cnpj"),
        ("+55 (11) 98888-7777", "+5511988887777", "phone"),
        ("fulano@example.com", "fulano@example.com", "email"),
        ("123e4567-e12b-12d1-a456-426655440000", "123e4567-e12b-12d1-a456-426655440000", "evp"),
    ],
)
def test_five_kinds_of_pix_key(value: str, canonical: str, kind: str) -> None:
    parts = br.parse_pix_key(value)
    assert (parts.key, parts.kind) == (canonical, kind)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        (" Fulano@Example.COM\n", "fulano@example.com"),
        ("123E4567-E12B-12D1-A456-426655440000", "123e4567-e12b-12d1-a456-426655440000"),
        ("(11) 98888-7777", "+5511988887777"),
        ("12.abc.345/01de-35", "12ABC34501DE35"),
        ("529 982 247 25", "52998224725"),
    ],
)
def test_lenient_pix_keys(value: str, canonical: str) -> None:
    assert not br.is_valid_pix_key(value)
    assert br.normalize_pix_key(value, strictness=LENIENT) == canonical


def test_a_pix_address_has_77_characters_at_most() -> None:
    assert br.is_valid_pix_key("a" * 65 + "@example.com")
    assert not br.is_valid_pix_key("a" * 66 + "@example.com")
    for address in ("a@", "@b.c", "a@-b.c", "a@b..c", "a b@c.d", "a@b.c-", "ã@b.c"):
        assert not br.is_valid_pix_key(address)


def test_a_br_code_is_built_and_read_back() -> None:
    payload = br.build_br_code(
        key="12.ABC.345/01DE-35",
        merchant_name="Padaria São João",
        merchant_city="São Paulo",
        amount=Decimal("12.5"),
        txid="PEDIDO42",
        description="pães",
        single_use=True,
    )
    parts = br.parse_br_code(payload)
    assert (parts.key, parts.url) == ("12ABC34501DE35", None)
    assert (parts.merchant_name, parts.merchant_city) == ("Padaria Sao Joao", "Sao Paulo")
    assert (parts.amount, parts.txid) == (Decimal("12.50"), "PEDIDO42")
    assert (parts.description, parts.single_use) == ("paes", True)


def test_building_the_manuals_example_gives_its_payload() -> None:
    built = br.build_br_code(
        key="123e4567-e12b-12d1-a456-426655440000",
        merchant_name="Fulano de Tal",
        merchant_city="BRASILIA",
    )
    assert built == KINDS["br_code"].examples[0]


def test_a_dynamic_br_code_has_an_address() -> None:
    url = "pix.example.com/8b3da2f39a4140d1a91abd93113bd441"
    payload = br.build_br_code(url=url, merchant_name="Fulano", merchant_city="Recife")
    assert br.parse_br_code(payload).url == url


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"key": None}, ValueError, "either key or url"),
        ({"url": "x.example"}, ValueError, "either key or url"),
        ({"key": "123"}, BRValueError, "PIX key"),
        ({"merchant_name": "x" * 26}, ValueError, "merchant_name has 1 to 25"),
        ({"merchant_name": ""}, ValueError, "merchant_name has 1 to 25"),
        ({"merchant_city": "x" * 16}, ValueError, "merchant_city 1 to 15"),
        ({"merchant_name": "фулано"}, ValueError, "all are ASCII"),
        ({"txid": "a-b"}, ValueError, "letters and digits"),
        ({"merchant_category": "1"}, ValueError, "merchant_category 4 digits"),
        ({"description": "x" * 90}, ValueError, "field 26 has"),
        ({"amount": 0}, ValueError, "above 0"),
        ({"amount": Decimal("1.001")}, ValueError, "two decimals"),
        ({"amount": Decimal("NaN")}, ValueError, "above 0"),
        ({"amount": 10**11}, ValueError, "13 characters"),
        ({"amount": 10**40}, ValueError, "13 characters"),
        ({"amount": Decimal("Infinity")}, ValueError, "above 0"),
        ({"amount": Decimal("1E-40")}, ValueError, "two decimals"),
        ({"key": None, "url": "https://x.example/1"}, ValueError, "without https://"),
        ({"key": None, "url": "x.example/1 2"}, ValueError, "without spaces"),
        ({"amount": 1.5}, TypeError, "Decimal or an int, not 'float'"),
        ({"amount": True}, TypeError, "Decimal or an int, not 'bool'"),
    ],
)
def test_a_br_code_that_no_reader_would_take_is_not_built(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    fields: dict[str, Any] = {
        "key": "52998224725",
        "merchant_name": "Fulano",
        "merchant_city": "Recife",
        **change,
    }
    with pytest.raises(error, match=message):
        br.build_br_code(**fields)


def test_an_amount_is_exact_whatever_the_decimal_context() -> None:
    with localcontext(prec=3):
        slip = br.parse_boleto("00190000090114971860168524522114675860000102656")
        bill = br.parse_arrecadacao("836200000005667800481000180975657313001589636081")
        payload = br.build_br_code(
            key="52998224725",
            merchant_name="Fulano",
            merchant_city="Recife",
            amount=Decimal("9999999999.99"),
        )
    assert br.parse_br_code(payload).amount == Decimal("9999999999.99")
    assert (str(slip.amount), str(bill.amount)) == ("1026.56", "66.78")


def test_a_date_of_today_at_the_end_of_the_calendar_leaves_out_what_lies_beyond() -> None:
    slip = br.parse_boleto("00190000090114971860168524522114675860000102656", today=date.max)
    assert slip.due_dates[-1] <= date.max


def with_crc(text: str) -> str:
    from binascii import crc_hqx

    return f"{text}6304{crc_hqx((text + '6304').encode(), 0xFFFF):04X}"


GOOD = "00020126330014br.gov.bcb.pix01115299822472552040000530398"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("000201", "structure"),
        ("", "structure"),
        ("000202" + GOOD[6:] + "65802BR5901A6001B", "structure"),
        (GOOD + "75802BR5901A6001B", "structure"),
        (GOOD + "65802US5901A6001B", "structure"),
        (GOOD + "65802BR5901A6001B5901A", "structure"),
        (GOOD + "65802BR5901A6001B54031.2.3", "structure"),
        (GOOD + "65802BR5901A6099B", "structure"),
        (GOOD + "65802BR5901A6001B62070503a-b", "structure"),
        (GOOD.replace("br.gov.bcb.pix", "br.gov.bcb.pux") + "65802BR5901A6001B", "account"),
        (GOOD.replace("52998224725", "52998224724") + "65802BR5901A6001B", "key"),
        (GOOD + "65802BR5901A6001B", ""),
        (GOOD.replace("br.gov.bcb.pix", "BR.GOV.BCB.PIX") + "65802BR5901A6001B", ""),
    ],
)
def test_a_br_code_is_refused_with_the_rule_that_failed(text: str, rule: str) -> None:
    explanation = br.explain_br_code(with_crc(text))
    assert (explanation.rule if explanation else "") == rule


def test_a_br_code_is_ascii_of_at_most_512_characters() -> None:
    payload = KINDS["br_code"].examples[0]
    assert br.explain_br_code(payload.replace("Fulano", "Fuláno")).rule == "characters"  # type: ignore[union-attr]
    assert br.explain_br_code(payload + "9" * 500).rule == "length"  # type: ignore[union-attr]
    assert br.normalize_br_code(f" {payload[:-4]}1d3d\n", strictness=LENIENT) == payload
    assert not br.is_valid_br_code(f"{payload[:-4]}1d3d")


# state registrations


@pytest.mark.parametrize("state", STATES)
def test_numbers_of_a_state(state: str) -> None:
    for seed in range(100):
        number = br.generate_ie(state, random=Random(seed), masked=seed % 2 == 0)
        assert br.is_valid_ie(number, state)
        assert br.is_valid_ie(number)
        bare = br.normalize_ie(number, state)
        assert br.normalize_ie(br.format_ie(bare, state), state) == bare
        assert state in br.parse_ie(bare).states
        last = 9 if bare[0] == "P" else -1
        wrong = list(bare)
        wrong[last] = str((int(wrong[last]) + 1) % 10)
        if bare[:8] != "11094402":
            assert not br.is_valid_ie("".join(wrong), state)


def test_the_one_number_of_goias_with_two_check_digits() -> None:
    assert br.is_valid_ie("110944020", "GO")
    assert br.is_valid_ie("110944021", "GO")
    assert not br.is_valid_ie("110944022", "GO")


def test_first_digits_beyond_the_official_pages() -> None:
    for state, prefix in (("GO", "20"), ("GO", "29"), ("GO", "15"), ("MS", "50"), ("PA", "75")):
        base = f"{prefix}123456"
        assert [d for d in range(10) if br.is_valid_ie(f"{base}{d}", state)]
    assert not [d for d in range(10) if br.is_valid_ie(f"30123456{d}", "GO")]
    assert [p for p in range(100) if br.is_valid_ie(f"08123456789{p:02}", "DF")]


@pytest.mark.parametrize("state", ["XX", "sp", "", "São Paulo"])
def test_an_unknown_state_is_refused_whatever_the_value(state: str) -> None:
    with pytest.raises(ValueError, match=f"unknown state {state!r}; expected one of AC, "):
        br.is_valid_ie(None, state)


@pytest.mark.parametrize("state", STATES)
def test_the_p_of_a_farmer_is_sao_paulos_alone(state: str) -> None:
    random = Random(state)
    for length in {len(br.generate_ie(state, random=random)) for _ in range(50)}:
        for _ in range(600):
            number = "P" + "".join(random.choices("0123456789", k=length - 1))
            valid = br.is_valid_ie(number, state)
            assert valid is (br.explain_ie(number, state) is None)
            assert not valid or (state, length) == ("SP", 13)
    assert not br.is_valid_ie("P1872446")


def test_isento_is_no_number() -> None:
    assert not br.is_valid_ie("ISENTO")


def test_suggestions_for_a_registration() -> None:
    assert "110042490114" in br.suggest_ie("110042490141", "SP")
    assert br.explain_ie("110042490115", "SP").code == "ie_checksum"  # type: ignore[union-attr]
    assert br.explain_ie("110042490114") is None


# corners that a random number seldom reaches


def test_00_and_01_are_not_97_and_98_of_a_court_case() -> None:
    found: set[str] = set()
    for sequence in range(400):
        number = br.normalize_cnj(
            next(
                f"{sequence:07}{check:02}20125150049"
                for check in range(2, 99)
                if br.is_valid_cnj(f"{sequence:07}{check:02}20125150049")
            )
        )
        check = int(number[7:9])
        if check >= 97:
            found.add(number[7:9])
            assert not br.is_valid_cnj(f"{number[:7]}{check - 97:02}{number[9:]}")
    assert found == {"97", "98"}


@pytest.mark.parametrize("state", range(1, 29))
def test_a_remainder_of_0_gives_1_in_the_states_01_and_02_alone(state: int) -> None:
    random = Random(state)
    seen: set[str] = set()
    for _ in range(300):
        sequence = f"{random.randrange(10**8):08}"
        if weighted(sequence, list(range(2, 10))) == 0:
            number = next(
                n
                for p in range(100)
                if br.is_valid_titulo_eleitor(n := f"{sequence}{state:02}{p:02}")
            )
            seen.add(number[10])
    assert seen == {"1" if state <= 2 else "0"}


@pytest.mark.parametrize("state", ["AC", "AL", "AP", "CE", "GO", "MA", "MS", "PA", "RN", "RR"])
def test_the_first_digits_of_a_state_count_where_the_check_digits_agree(state: str) -> None:
    length = 13 if state == "AC" else 9
    checks = 2 if state == "AC" else 1
    base = "99123456789"[: length - checks]
    rules = {
        explanation.rule
        for check in range(10**checks)
        if (explanation := br.explain_ie(f"{base}{check:0{checks}}", state))
    }
    assert "prefix" in rules
    assert not any(br.is_valid_ie(f"{base}{c:0{checks}}", state) for c in range(10**checks))


@pytest.mark.parametrize(
    ("first", "last", "add", "for_eleven"),
    [(3000001, 3017000, 5, 0), (3017001, 3019022, 9, 1), (3019023, 3099999, 0, 0)],
)
def test_amapa_has_three_ranges(first: int, last: int, add: int, for_eleven: int) -> None:
    for number in [last, *range(first, first + 500)]:
        base = f"{number:08}"
        total = add + sum(int(d) * w for d, w in zip(base, range(9, 1, -1), strict=True))
        check = 11 - total % 11
        expected = {10: 0, 11: for_eleven}.get(check, check)
        accepted = [d for d in range(10) if br.is_valid_ie(f"{base}{d}", "AP")]
        assert accepted == [expected]


def test_the_crc_is_field_63_and_the_last() -> None:
    from binascii import crc_hqx

    text = GOOD + "65802BR5901A6001B8004"
    assert br.explain_br_code(f"{text}{crc_hqx(text.encode(), 0xFFFF):04X}").rule == "structure"  # type: ignore[union-attr]


def test_no_other_ascii_character_has_a_share_in_the_sums() -> None:
    others = [chr(code) for code in range(128) if not chr(code).isdigit()]
    for number in ("52998224725", "12056874107", "00639884962"):
        for at, other in product(range(9), others):
            changed = number[:at] + other + number[at + 1 : 9]
            for check in (br.is_valid_cpf, br.is_valid_pis, br.is_valid_renavam):
                assert not any(check(f"{changed}{pair:02}") for pair in range(0, 100, 3))


@given(seed=st.integers(), at=st.integers(0, 10), other=st.characters(max_codepoint=127))
def test_no_other_ascii_character_is_a_digit_of_a_cpf(seed: int, at: int, other: str) -> None:
    base = br.generate_cpf(random=Random(seed))[:9]
    at %= 9
    changed = base[:at] + other + base[at + 1 :]
    accepted = [pair for pair in range(100) if br.is_valid_cpf(f"{changed}{pair:02}")]
    assert len(accepted) == (other.isdigit() and len(set(changed)) > 1)


def test_the_series_settles_who_issued_a_document_that_both_could_have() -> None:
    random = Random(55)
    numbers = (br.generate_cpf(random=random) for _ in range(20_000))
    cpf = next(n for n in numbers if br.is_valid_cnpj("000" + n))
    kinds = {}
    for series in ("001", "920"):
        key = f"352608000{cpf}55{series}000000001112345678"
        found = next(f"{key}{digit}" for digit in range(10) if br.is_valid_dfe_key(f"{key}{digit}"))
        kinds[series] = br.parse_dfe_key(found).issuer_kind
    assert kinds == {"001": "cnpj", "920": "cpf"}
