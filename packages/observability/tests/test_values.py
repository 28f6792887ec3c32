from __future__ import annotations

import json

import pytest

from tijolo.observability.values import MAX_CHARACTERS, scrubbed


@pytest.mark.parametrize(
    "hostile",
    [
        {f"k{n}": None for n in range(300_000)},
        {f"password{n}": "x" for n in range(300_000)},
        {f"bearer A{n:05}": None for n in range(60_000)},
        {n: {f"flag{n}": True} for n in range(300_000)},
        [{"": False}] * 300_000,
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
