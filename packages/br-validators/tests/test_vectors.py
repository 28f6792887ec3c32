"""The conformance file that ships with the package, and that every kind is in it."""

import json
from contextlib import suppress
from importlib.resources import files
from typing import Any

import pytest

from tijolo.br_validators import KINDS, BRValueError, is_valid_ie

FILE = json.loads((files("tijolo.br_validators") / "vectors.json").read_text("utf-8"))
VECTORS: list[dict[str, Any]] = FILE["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: ascii(f"{v['kind']}-{v['value']}"[:60]))
def test_every_vector_has_the_verdict_of_its_source(vector: dict[str, Any]) -> None:
    kind, value = KINDS[vector["kind"]], vector["value"]
    assert kind.is_valid(value) is vector["valid"]
    if not vector["valid"]:
        with pytest.raises(BRValueError) as caught:
            kind.normalize(value)
        assert caught.value.rule == vector["rule"]
        explanation = kind.explain(value)
        assert explanation is not None
        assert explanation.code == caught.value.code
        return
    canonical = kind.normalize(value)
    assert canonical == vector.get("canonical", value)
    assert kind.normalize(kind.format(value)) == canonical
    if "parts" in vector:
        assert kind.parse is not None
        parts = kind.parse(value)
        for name, expected in vector["parts"].items():
            found = getattr(parts, name)
            assert (str(found) if name == "amount" and found is not None else found) == expected


@pytest.mark.parametrize("name", KINDS)
def test_what_a_kind_refuses_it_does_not_parse(name: str) -> None:
    kind = KINDS[name]
    parsed = []
    for value in [vector["value"] for vector in VECTORS if not kind.is_valid(vector["value"])]:
        if kind.parse is not None:
            with suppress(BRValueError):
                kind.parse(value)
                parsed.append(value)
    assert parsed == []


def test_every_kind_has_a_valid_and_an_invalid_vector() -> None:
    for verdict in (True, False):
        have = {vector["kind"].split("_")[0] for vector in VECTORS if vector["valid"] is verdict}
        assert {name.split("_")[0] for name in KINDS} <= have


def test_every_vector_names_its_source_once() -> None:
    assert all(vector["source"] for vector in VECTORS)
    pairs = [(vector["kind"], vector["value"]) for vector in VECTORS]
    assert len(pairs) == len(set(pairs))


def test_all_27_states_have_a_sourced_registration() -> None:
    from tijolo.br_validators.ie import STATES

    have = {vector["kind"][3:].upper() for vector in VECTORS if vector["kind"].startswith("ie_")}
    assert set(STATES) - have == {"AM", "ES", "MS"}  # their pages give none: the usual rule
    assert all(is_valid_ie("240000048", state) for state in ("AL", "AM", "ES"))
