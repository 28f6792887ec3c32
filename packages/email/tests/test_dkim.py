"""DKIM, verified by the library with the public key that DNS would have."""

from __future__ import annotations

import base64
import re

import pytest

dkim = pytest.importorskip("dkim")
pytest.importorskip("cryptography")

from cryptography.hazmat.primitives import serialization as pem  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

from tijolo.email import (  # noqa: E402
    Attachment,
    EmailSettings,
    EmailUtils,
    MemoryBackend,
    OutgoingEmail,
    Unsubscribe,
)
from tijolo.email.dkim import DKIMSigner  # noqa: E402
from tijolo.email.local_backends import parsed  # noqa: E402


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def as_pem(key, form=pem.PrivateFormat.PKCS8):
    return key.private_bytes(pem.Encoding.PEM, form, pem.NoEncryption()).decode()


@pytest.fixture(scope="module")
def record(key):
    public = key.public_key().public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


@pytest.fixture(params=["PKCS8", "TraditionalOpenSSL"])
def signer(request, key):
    form = getattr(pem.PrivateFormat, request.param)
    return DKIMSigner(selector="mail", domain="example.com", private_key=as_pem(key, form))


async def signed(signer, **options):
    email = EmailUtils.with_backend(MemoryBackend(), from_addr="shop@example.com", signer=signer)
    options = {"to": "José <a@b.com>", "subject": "Olá " * 40, "body": "x\n\n\n"} | options
    prepared = await email.prepare(OutgoingEmail(**options))
    content = prepared.to_bytes()
    assert prepared.size_bytes == len(content)
    return content


def verified(content, record):
    asked = []

    def dns(name, timeout=5):
        asked.append(name)
        return record

    good = dkim.verify(content, dnsfunc=dns)
    assert not asked or asked == [b"mail._domainkey.example.com."]
    return good


async def test_a_receiver_verifies_the_signature(signer, record):
    content = await signed(
        signer,
        html="<p>.dots\n.\n",
        attachments=[Attachment(filename="a.bin", content=bytes(range(256)) * 500)],
        unsubscribe=Unsubscribe(url="https://example.com/u"),
    )
    assert verified(content, record)
    field = content.split(b"\r\nFrom:")[0].lower()
    assert b"list-unsubscribe-post" in field, "RFC 8058, section 4"
    assert not verified(content.replace(b"Subject: ", b"Subject: Re: "), record)
    assert not verified(content.replace(b"a.bin", b"b.bin"), record)


async def test_nobody_can_add_a_second_sender(signer, record):
    content = await signed(signer)
    signature = parsed(content)["DKIM-Signature"]
    names = re.search(r"h=([^;]+)", signature)[1].replace(" ", "").split(":")
    assert names.count("from") == 2, "once more than there are (RFC 6376, section 8.15)"
    head, rest = content.split(b"\r\nFrom:", 1)
    assert not verified(head + b"\r\nFrom: evil@example.com\r\nFrom:" + rest, record)


async def test_what_a_server_receives_is_what_was_signed(signer, record, sink, make_email):
    email = make_email(sink.port, signer=signer)
    await email.send("a@b.com", "Dots", ".\n..\nx\n")
    assert verified(sink.received[0].content, record)


@pytest.mark.parametrize("bad", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n"])
def test_a_bad_key_is_told_at_once_without_quoting_it(bad):
    with pytest.raises(ValueError, match="RSA key in PEM") as error:
        DKIMSigner(selector="mail", domain="example.com", private_key=bad)
    assert error.value.__context__ is None
    with pytest.raises(ValueError, match="ASCII"):
        DKIMSigner(selector="", domain="example.com", private_key=bad)


def test_the_settings_sign(key):
    settings = EmailSettings(
        EMAIL_BACKEND="console",
        SMTP_FROM_ADDR="shop@example.com",
        DKIM_SELECTOR="mail",
        DKIM_PRIVATE_KEY=as_pem(key),
    )
    signer = EmailUtils.from_settings(settings)._prepare.signer
    assert repr(signer) == "DKIMSigner(selector='mail', domain='example.com')"


@pytest.mark.parametrize(
    ("selector", "domain"),
    [
        ("mail\n", "example.com"),
        ("mail\r\nX-Evil: 1", "example.com"),
        ("mail", "example.com; i=@evil"),
        ("mail", " example.com"),
        ("", "example.com"),
    ],
)
def test_what_would_break_the_header_is_no_selector_or_domain(selector, domain, key):
    with pytest.raises(ValueError, match="selector and domain"):
        DKIMSigner(selector=selector, domain=domain, private_key=as_pem(key))
