from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tijolo.observability import Redactor, redact_query, redact_text
from tijolo.observability.values import scrubbed

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"got {JWT} from client", "got *** from client"),
        (f"eyJ0.{JWT}", "eyJ0.***"),
        ("Authorization: Bearer abcdef123456", "Authorization: ***"),
        ("sent bearer abcdef123456, refused", "sent bearer ***, refused"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("basic understanding of bearer authentication", None),
        ("postgresql+asyncpg://app:hunter2@db:5432/shop", "postgresql+asyncpg://***@db:5432/shop"),
        ("redis://:hunter2@cache", "redis://***@cache"),
        ("mysql://u:p/w@x@host/db", "mysql://***@host/db"),
        ("https://token123@git.example/repo", "https://***@git.example/repo"),
        ("http://localhost:8000/users/@me?page=2", None),
        ("password=hunter2, user=bob", "password=***, user=bob"),
        ("{'password': 'hunter2', 'n': 1}", "{'password': ***, 'n': 1}"),
        ('{"api_key": "a\\"b", "n": 1}', '{"api_key": ***, "n": 1}'),
        ("X-Api-Key: abc123", "X-Api-Key: ***"),
        ("apiKey=abc123", "apiKey=***"),
        ("SMTP_PASSWORD=x y", "SMTP_PASSWORD=*** y"),
        ("max_tokens=100 token_type: bearer", None),
        ("Cookie: a=1; sid=hunter2", "Cookie: ***"),
        ("(b'cookie', b'sid=hunter2')", "(b'cookie', ***)"),
        ("GET /login?code=abc&state=1 HTTP/1.1", "GET /login?code=***&state=1 HTTP/1.1"),
        ("GET /a?pass%77ord=hunter2", "GET /a?pass%77ord=***"),
        ("card 4111 1111 1111 1111 refused", "card *** refused"),
        ("card 4111111111111112 refused", None),
        ("0000000000000000", None),
        ("order 12345678901234567890123", None),
        ("CPF 529.982.247-25", None),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nafter",
            "***\nafter",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEabc", "***"),
        ("an ordinary line: GET /items/5 200 in 3 ms", None),
    ],
)
def test_secrets_are_known_by_their_shape(text, clean):
    assert redact_text(text) == (text if clean is None else clean)


@given(
    st.sampled_from(["password", "apiKey", "X-Auth-Token", "client_secret", "cookie", "senha"]),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=20),
    st.sampled_from(
        ["{k}={v}", "{k}: {v}", "{{'{k}': '{v}'}}", '{{"{k}": "{v}"}}', "?a=1&{k}={v}"]
    ),
    st.text(max_size=20),
)
def test_a_named_value_never_survives(key, value, shape, around):
    text = f"{around} {shape.format(k=key, v='Z' + value)}"
    assert f"Z{value}" not in redact_text(text).removeprefix(around)


@given(st.text(max_size=200))
@example("token=a token:b?token=c")
@example("password='a\\")
def test_redacting_twice_changes_nothing_more(text):
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "://a:",
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        'cookie="',
        "1 ",
        "token",
        "?a=",
        "'\\",
        "password=[",
        "[{",
        'password={"',
        'cookie=a="',
        '\\"password\\":\\"',
    ],
)
def test_hostile_text_is_read_in_linear_time(unit):
    """A quadratic pattern takes minutes for this, and the test run would show it."""
    redact_text(unit * (400_000 // len(unit)))


@pytest.mark.parametrize("length", [10, 5_000, 50_000])
@pytest.mark.parametrize("shape", ["password={}", 'password="{}"', "?token={}&a=1", "Bearer 1{}"])
def test_long_secrets_are_hidden_to_their_end(shape, length):
    assert "AAAA" not in redact_text(shape.format("A" * length))


def test_query_strings_keep_names_and_plain_values():
    assert redact_query(b"page=2&access_token=abc&q=a%20b&X-Amz-Signature=ff&key=k") == (
        "page=2&access_token=***&q=a%20b&X-Amz-Signature=***&key=***"
    )
    assert redact_query("") == ""
    assert redact_query(b"n\xe9=1&next=https%3A%2F%2Fu%3Apw%40h%2F") == "né=1&next=***"


def test_redaction_can_be_extended():
    redactor = Redactor(
        keys=["numero-do-cartao"],
        safe_keys=["password_hint"],
        rules=[(re.compile(r"\bORD-\d+"), "ORD-***")],
        cpf=True,
    )
    assert redactor.text("ORD-123 numero_do_cartao=5 password_hint=dog") == (
        "ORD-*** numero_do_cartao=*** password_hint=dog"
    )
    assert redactor.text("529.982.247-25 52998224725 529.982.247-26") == "*** *** 529.982.247-26"
    fields = {"numeroDoCartao": 5, "password_hint": "dog", "password": "x"}
    assert scrubbed(fields, redactor) == {
        "numeroDoCartao": "***",
        "password_hint": "dog",
        "password": "***",
    }


def test_an_empty_sensitive_key_is_refused():
    with pytest.raises(ValueError, match="would hide every field"):
        Redactor(keys=["--"])


def test_flags_and_absences_of_secrets_are_shown():
    assert scrubbed({"password": None, "has_password": True}) == {
        "password": None,
        "has_password": True,
    }


@pytest.mark.parametrize(
    "name",
    [
        *("access_key", "signing_key", "encryptionKey", "csrf", "jwt", "segredo", "otp", "pin"),
        *("auth", "pass", "DB_PASS", "dbPass", "userOTP", "ｐａｓｓｗｏｒｄ", "pass\u200bword"),
    ],
)
def test_a_field_of_this_name_is_secret(name):
    assert scrubbed({name: "hunter2"}, Redactor()) == dict.fromkeys(
        scrubbed({name: None}, Redactor()), "***"
    )


@pytest.mark.parametrize(
    "name", ["compass", "author", "spinner", "auth_method", "pass_rate", "bypass"]
)
def test_a_field_of_this_name_is_none(name):
    assert scrubbed({name: "shown"}) == {name: "shown"}


@pytest.mark.parametrize(
    "text",
    [
        'Cookie: sid="hunter2"; a=b',
        'Authorization: Digest username="bob", response="hunter2"',
        '{"password": ["hunter2"]}',
        '{"password": {"v": ["x", "hunter2"]}, "n": 1}',
        r'"{\"password\": \"hunter2\", \"n\": 1}"',
        r'"\"{\\\"password\\\": \\\"hunter2\\\"}\""',
        "mysql://u:12345/hunter2@h/db",
    ],
)
def test_a_secret_of_this_shape_is_hidden(text):
    assert "hunter2" not in redact_text(text)
