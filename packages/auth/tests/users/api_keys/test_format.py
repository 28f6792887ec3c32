"""The form of API keys: what scanners find and what is refused before any query."""

from __future__ import annotations

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tijolo.db")

from tijolo.auth.api_keys import ApiKeyFormat
from tijolo.auth.api_keys.format import api_key_hash

LIVE = ApiKeyFormat("tj_live")
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEYS = st.builds(LIVE.generate)


def test_a_new_key_is_well_formed_and_found_in_a_text() -> None:
    key = LIVE.generate()
    assert LIVE.is_well_formed(key)
    assert re.findall(LIVE.pattern, f"export KEY='{key}'\n") == [key]
    assert LIVE.hint(key) == key[:12]
    assert len(key) == len("tj_live_") + 43 + 6


def test_the_body_holds_256_bits() -> None:
    keys = {LIVE.generate() for _ in range(300)}
    assert 62**43 > 2**256
    assert len(keys) == 300
    bodies = [key.removeprefix("tj_live_")[:43] for key in keys]
    assert all(len(set(column)) > 40 for column in zip(*bodies, strict=True))


def test_the_checksum_is_crc_32_in_base62_of_six_digits() -> None:
    key = LIVE.generate()
    number = 0
    for digit in key[-6:]:
        number = number * 62 + BASE62.index(digit)
    assert number == zlib.crc32(key[:-6].encode())


@given(KEYS, st.data())
def test_every_changed_character_is_noticed(key: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.sampled_from(BASE62 + "_-é\n ").filter(lambda c: c != key[at]))
    assert not LIVE.is_well_formed(key[:at] + other + key[at + 1 :])


@given(KEYS, st.data())
def test_every_swap_of_neighbours_is_noticed(key: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key) - 2))
    swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    assert LIVE.is_well_formed(swapped) is (swapped == key)


@given(KEYS, st.integers(0, 56), st.text(BASE62, max_size=4))
def test_what_is_cut_or_added_is_noticed(key: str, cut: int, added: str) -> None:
    assert not LIVE.is_well_formed(key[:cut])
    if added:
        assert not LIVE.is_well_formed(key + added)
        assert not LIVE.is_well_formed(added + key)


@given(st.text(max_size=200))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert not LIVE.is_well_formed(text)
    assert len(api_key_hash(text)) == 64


def test_a_key_of_another_environment_is_refused() -> None:
    test = ApiKeyFormat("tj_test").generate()
    assert not LIVE.is_well_formed(test)
    assert not LIVE.is_well_formed(test.replace("tj_test", "tj_live"))
    assert not LIVE.looks_like_one(test)
    assert LIVE.looks_like_one("tj_live_cut")


@pytest.mark.parametrize(
    "prefix",
    ["", "TJ", "tj-live", "tj__live", "_tj", "tj_", "1tj", "té", "a_b_c_d", "a" * 17, "t j"],
)
def test_a_prefix_that_scanners_would_not_find_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        ApiKeyFormat(prefix)
