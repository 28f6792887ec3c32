import re
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

import tijolo.br_validators as br
from tijolo.br_validators import BRValueError

KINDS: dict[str, re.Pattern[str]] = {
    name: getattr(br, f"{name.upper()}_PATTERN")
    for name in br.KINDS
    if name not in ("cnpj_numeric", "br_code", "ie", "pix_key")
}
"""All but those that have no one shape."""
OF_THE_SHAPE = {"type", "length", "characters", "separators", "country"}
"""Rules that a pattern can say; it knows the area codes and the first digits of phones as well."""
OF_PHONES = {"area_code", "subscriber"}


def is_of_the_number(kind: str, rule: str) -> bool:
    return rule not in OF_THE_SHAPE and not (kind == "phone_br" and rule in OF_PHONES)


each_pattern = pytest.mark.parametrize("kind", [*br.KINDS, "ie_sp"])
each_kind = pytest.mark.parametrize("kind", KINDS)
near = st.text("0123456789.-/()+ AZaz\n５", max_size=20)
few = settings(max_examples=25)


def rule_of(kind: str, value: str) -> str:
    try:
        getattr(br, f"normalize_{kind}")(value)
    except BRValueError as exc:
        return exc.rule
    return ""


def rust(pattern: re.Pattern[str]) -> TypeAdapter[str]:
    """The same pattern in Pydantic's Rust engine, as text."""
    return TypeAdapter(Annotated[str, Field(pattern=pattern.pattern)])


@each_kind
@few
@given(data=st.data())
def test_whatever_the_pattern_matches_has_the_shape(kind: str, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(KINDS[kind], fullmatch=True))
    assert value.isascii()
    assert is_of_the_number(kind, rule_of(kind, value))
    assert rust(KINDS[kind]).validate_python(value) == value


@each_kind
@few
@given(value=near)
def test_whatever_has_the_shape_is_matched_by_the_pattern(kind: str, value: str) -> None:
    has_shape = is_of_the_number(kind, rule_of(kind, value))
    assert bool(KINDS[kind].fullmatch(value)) is has_shape


@each_kind
@few
@given(seed=st.integers(0, 10**6), edit=st.sampled_from(".-/() +50A"), at=st.integers(0, 18))
def test_pattern_and_shape_agree_next_to_valid_numbers(
    kind: str, seed: int, edit: str, at: int
) -> None:
    from random import Random

    number = getattr(br, f"generate_{kind}")(random=Random(seed), masked=seed % 2 == 0)
    for value in (number[:at] + edit + number[at:], number[:at] + edit + number[at + 1 :]):
        has_shape = is_of_the_number(kind, rule_of(kind, value))
        assert bool(KINDS[kind].fullmatch(value)) is has_shape


@each_pattern
def test_patterns_are_anchored_ascii_and_free_of_dialect(kind: str) -> None:
    source = br.KINDS[kind].pattern
    assert source.isascii()
    assert source.startswith("^")
    assert source.endswith("$")
    assert not re.search(r"\\[a-zA-Z]|\(\?[^:]", source)  # no classes, no look-around, no flags


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("cpf", "52998224725"),
        ("cnpj", "12ABC34501DE35"),
        ("cpf_cnpj", "52998224725"),
        ("cpf_cnpj", "12ABC34501DE35"),
        ("cep", "01310100"),
        ("phone_br", "11988887777"),
    ],
)
def test_nothing_may_stand_before_or_behind(kind: str, number: str) -> None:
    engine = rust(KINDS[kind])
    assert KINDS[kind].fullmatch(number)
    for value in (number + "x", "x" + number, number + "\n", number[:-1] + "１"):
        assert not KINDS[kind].fullmatch(value)
        with pytest.raises(ValidationError):
            engine.validate_python(value)
    assert not KINDS[kind].match(number + "garbage")


def test_canonical_patterns_match_what_is_stored_only() -> None:
    from tijolo.br_validators import cep, cnpj, cpf, cpf_cnpj, phone

    modules: tuple[Any, ...] = (cpf, cnpj, cpf_cnpj, cep, phone)
    for module in modules:
        canonical, *others = module.EXAMPLES
        assert re.fullmatch(module.CANONICAL_PATTERN, canonical)
        assert all(re.fullmatch(module.PATTERN, example) for example in module.EXAMPLES)
        assert any(not re.fullmatch(module.CANONICAL_PATTERN, example) for example in others)


@each_pattern
def test_character_classes_are_valid_in_the_v_mode_of_html(kind: str) -> None:
    for inside in re.findall(r"\[((?:\\.|[^\]])*)\]", br.KINDS[kind].pattern):
        rest = re.sub(r"\\.|[0-9A-Za-z]-[0-9A-Za-z]| -~", "", inside)
        assert not set(rest) & set("()[]{}/-|"), inside  # ClassSetSyntaxCharacter of ECMA-262
