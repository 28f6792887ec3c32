from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tijolo.auth import PasswordPolicy, WeakPasswordException


@pytest.mark.parametrize(
    "password",
    [
        "cavalo bateria grampo correto",
        "só letras minúsculas servem",
        "pneumoultramicroscopico",
        "7hT!9qLm2@xZ",
        "密码是一个很长的句子很难猜",
        "🐎🔋📎✅🐎🔋🧷🪢🎺🥁🎻🪗",
        "            um segredo",
    ],
)
def test_what_is_long_and_not_common_is_accepted_whatever_its_characters(password):
    policy = PasswordPolicy()
    assert policy.weakness(password) is None
    assert policy.weakness(SecretStr(password)) is None
    policy.check(password)  # and says so by raising nothing


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "too_short"),
        ("onze letras", "too_short"),
        ("e\u0301" * 11, "too_short"),
        ("x" * 1025, "too_long"),
        ("é" * 513, "too_long"),
        ("x" * 10**7, "too_long"),
        ("aaaaaaaaaaaaaaaa", "repetitive"),
        ("abcabcabcabcabc", "repetitive"),
        ("abababababababa", "repetitive"),
        ("abcdefghijklmn", "sequential"),
        ("nmlkjihgfedcba", "sequential"),
        ("123456789012", "sequential"),
        ("qwertyuiopasd", "sequential"),
        ("1qaz2wsx3edc", "sequential"),
        ("leavemealone", "common"),
        ("LeaveMeAlone", "common"),
        ("password2026", "common"),
        ("P@ssw0rd2026", "common"),
        ("!!senha12345", "common"),
        ("flamengo1981", "common"),
        ("leavemealone１２３", "common"),
        ("Ana.Silva.2026", "personal"),
        ("anasilva99!!!", "personal"),
        ("avlisana-9999", "personal"),
        ("ana.silva@loja.example", "personal"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_guessed_first_is_refused_with_the_reason(password, reason):
    policy = PasswordPolicy()
    with pytest.raises(WeakPasswordException) as refused:
        policy.check(password, personal=["ana.silva@loja.example", "anasilva", None, ""])
    error = refused.value
    assert (error.status_code, error.code) == (422, "WEAK_PASSWORD")
    assert error.details["reason"] == reason
    assert not password or password not in f"{error!r} {error} {error.message} {error.details}"


def test_the_length_is_that_of_the_policy():
    assert PasswordPolicy(min_length=8).weakness("vinho tinto") is None
    assert PasswordPolicy(min_length=15).weakness("vinho tinto doce") is None
    assert PasswordPolicy(min_length=15).weakness("vinho tinto do") == "too_short"
    with pytest.raises(ValueError, match="8 or more"):
        PasswordPolicy(min_length=7)


def test_own_words_are_blocked_and_the_list_can_be_left_out():
    policy = PasswordPolicy(blocked=["Minha Padaria"])
    assert policy.weakness("minha padaria 1") == "common"
    assert policy.weakness("minha padaria fica na esquina da rua") is None
    assert PasswordPolicy(common=False).weakness("leavemealone") is None


def test_a_word_of_the_user_inside_a_long_password_is_no_harm():
    personal = ["ana.silva@loja.example"]
    assert PasswordPolicy().weakness("silva cavalo bateria grampo", personal=personal) is None


@given(st.text(max_size=2000))
def test_any_text_is_judged(password):
    assert PasswordPolicy().weakness(password) in {
        None,
        "too_short",
        "too_long",
        "common",
        "repetitive",
        "sequential",
        "personal",
    }


@pytest.mark.parametrize(
    "password",
    ["ab" + "\u2057" * 339 + "c", "a1" * 511 + "b!", "a" + "!" * 1021 + "b", "\ufdfa" * 341],
    ids=["signs that grow", "pairs", "one word at each end", "words that grow"],
)
def test_a_password_made_to_be_looked_at_for_long_is_not(password):
    """By the process's own time; trying every pair of ends took a hundred times as much."""
    policy = PasswordPolicy()
    policy.weakness(password)  # reads the list
    begun = time.thread_time()
    for _ in range(50):
        policy.weakness(password, personal=["x" * 10**6, "a b " * 10**5])
    assert time.thread_time() - begun < 5
