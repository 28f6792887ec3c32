from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from pydantic import BaseModel, Field

from tijolo.observability.values import MAX_CHARACTERS, scrubbed


@pytest.mark.parametrize(
    "hostile",
    [
        {f"k{n}": None for n in range(50_000)},
        {f"password{n}": "x" for n in range(50_000)},
        {f"bearer A{n:05}": None for n in range(50_000)},
        {n: {f"flag{n}": True} for n in range(50_000)},
        [{"": False}] * 50_000,
    ],
    ids=["nulls", "hidden values", "keys that redact alike", "nested", "empty names"],
)
def test_every_pair_is_paid_for_whatever_its_value(hostile):
    seen = json.dumps(scrubbed(hostile), separators=(",", ":"))
    assert "[truncated]" in seen
    assert len(seen) < 2 * MAX_CHARACTERS


def test_names_that_become_alike_are_numbered_and_none_is_lost():
    seen = scrubbed(
        {"a b_2": 0, "bearer A001": 1, "bearer A002": 2, "bearer ***_3": 3, "bearer A004": 4}
    )
    assert seen == {
        "a b_2": 0,
        "bearer ***": 1,
        "bearer ***_2": 2,
        "bearer ***_3": 3,
        "bearer ***_4": 4,
    }


class Credentials(NamedTuple):
    user: str
    password: str


class Card(BaseModel):
    holder: str
    digits: str = Field(repr=False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([("x-api-key", "hunter2"), ("a", "b")], [["x-api-key", "***"], ["a", "b"]]),
        ([[b"Cookie", b"sid=hunter2"], [b"a", b"b"]], [["Cookie", "***"], ["a", "b"]]),
        (("authorization", "hunter2"), ["authorization", "***"]),
        ([("has_token", True), ("token", None)], [["has_token", True], ["token", None]]),
        (Credentials("bob", "hunter2"), {"user": "bob", "password": "***"}),
        (Card(holder="bob", digits="hunter2"), {"holder": "bob"}),
    ],
)
def test_values_are_hidden_by_the_name_that_stands_beside_them(value, expected):
    assert scrubbed(value) == expected
