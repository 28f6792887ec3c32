"""A32: one spelling for each mailbox, and no look-alikes."""

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from hypothesis import given
from hypothesis import strategies as st

from tijolo.auth.users import InvalidCredentialsException, InvalidEmailException, normalize_email

PASSWORD = "cavalo correto bateria"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ana@exemplo.com.br", "ana@exemplo.com.br"),
        ("  Ana.Silva+X@EXEMPLO.Com.BR\n", "ana.silva+x@exemplo.com.br"),
        ("JOSÉ@exemplo.com.br", "josé@exemplo.com.br"),
        ("jose\u0301@exemplo.com.br", "josé@exemplo.com.br"),  # as some keyboards compose it
        ("ana@São.com.br", "ana@xn--so-sia.com.br"),
        ("ana@xn--so-sia.com.br", "ana@xn--so-sia.com.br"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
    ],
)
def test_a32_spellings_of_one_mailbox_are_one(typed, stored):
    assert normalize_email(typed) == stored
    assert normalize_email(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "m\u0131ke\u212a@exemplo.com.br",  # KELVIN SIGN, which folds to k
        "mi\u212ae@exemplo.com.br",
        "ﬁscal@exemplo.com.br",  # a ligature
        "ａｎａ@exemplo.com.br",  # full width
        "ana@ｅxemplo.com.br",
        "straße@exemplo.com.br",  # folds to ss
        "\u017fara@exemplo.com.br",  # LONG S
        "ana\u00aa@exemplo.com.br",  # FEMININE ORDINAL
        "ana\u200d@exemplo.com.br",  # ZERO WIDTH JOINER
        "\u202eana@exemplo.com.br",  # RIGHT-TO-LEFT OVERRIDE
    ],
)
def test_a32_what_could_be_taken_for_another_is_refused(typed):
    with pytest.raises(InvalidEmailException) as refused:
        normalize_email(typed)
    assert refused.value.details == {"field": "email"}
    assert typed not in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    ["", " ", "ana", "@", "ana@", "@x.com", "a@b@c.com", "a b@x.com", "ana@x..com", "ana@[1.2.3.4]",
     "a\nb@x.com", "a\0@x.com", "a@x.com\r\nBcc: b@x.com", "\ud800@x.com", "x" * 65 + "@x.com",
     "a@" + "x" * 250 + ".com", "x" * 1_000_000, "Ana <ana@x.com>", '"a b"@x.com',
     "a@x.com,b@x.com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(InvalidEmailException):
        normalize_email(typed)


@pytest.mark.parametrize("hidden", "\u202e\u2066\u200b\u200c\u200d\u200f\u00ad\ufeff\x1b\x85")
def test_an_address_shows_what_it_is(hidden):
    for typed in (f"an{hidden}a@exemplo.com.br", f"ana@exem{hidden}plo.com.br"):
        with pytest.raises(InvalidEmailException):
            normalize_email(typed)


def test_an_address_is_text():
    with pytest.raises(TypeError, match="bytes"):
        normalize_email(b"ana@exemplo.com.br")


@given(st.text(min_size=1, max_size=8), st.sampled_from(["exemplo.com.br", "são.br"]))
def test_normal_forms_are_stable_and_nothing_else_is_raised(local, domain):
    try:
        found = normalize_email(f"{local}@{domain}")
    except InvalidEmailException:
        return
    assert normalize_email(found) == found
    assert found == found.lower()


async def test_a32_accents_tell_people_apart_on_every_database(call):
    """Also where the database's own collation finds them equal."""
    await call("create_user", email="jose@exemplo.com.br", password=PASSWORD)
    jose = await call("create_user", email="josé@exemplo.com.br", password="outra " + PASSWORD)
    found = await call("authenticate", email="JOSÉ@exemplo.com.br", password="outra " + PASSWORD)
    assert found.id == jose.id
    with pytest.raises(InvalidCredentialsException):
        await call("authenticate", email="josé@exemplo.com.br", password=PASSWORD)


async def test_a32_mail_goes_to_the_stored_address(call, mailbox):
    await call("create_user", email="ana@exemplo.com.br", password=PASSWORD)
    await call("request_password_reset", email="ANA@EXEMPLO.COM.BR")
    await call("request_password_reset", email="anᴀ@exemplo.com.br")
    await call("request_password_reset", email="\uff41na@exemplo.com.br")
    assert [mail.to for mail in mailbox.mails] == ["ana@exemplo.com.br"]
