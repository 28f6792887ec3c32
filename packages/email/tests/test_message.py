"""Addresses, headers and MIME: what a receiver reads is what was meant."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.email import (
    Attachment,
    EmailAddress,
    EmailTooLargeError,
    EmailUtils,
    InvalidAddressError,
    InvalidEmailError,
    InvalidHeaderError,
    MemoryBackend,
    OutgoingEmail,
    Unsubscribe,
    html_to_text,
)
from tijolo.email.local_backends import parsed

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)
NAME = LINE.map(lambda text: " ".join(unicodedata.normalize("NFC", text).split()))


@pytest.fixture(scope="module")
def email():
    return EmailUtils.with_backend(MemoryBackend(), from_addr="shop@example.com", now=lambda: NOW)


def made(email, **options):
    """The bytes on the wire, and the message that they are."""
    options = {"to": "ana@example.com", "subject": "Hi", "body": "Hello\n"} | options
    content = email._prepare(OutgoingEmail(**options)).to_bytes()
    return content, parsed(content)


# -- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "spec", "name"),
    [
        ("ana@example.com", "ana@example.com", ""),
        ("  ana@EXAMPLE.com ", "ana@example.com", ""),
        ("Ana <ana@example.com>", "ana@example.com", "Ana"),
        ('"Silva, Ana \\"A\\"" <ana@example.com>', "ana@example.com", 'Silva, Ana "A"'),
        ("José Çá <jose@exämple.com>", "jose@xn--exmple-cua.com", "José Çá"),
        ("josé@straße.de", "josé@xn--strae-oqa.de", ""),  # IDNA 2003 sent it to strasse.de
        ("a+tag.b_c@x.co", "a+tag.b_c@x.co", ""),
        ('"a b"@example.com', '"a b"@example.com', ""),
        ("root@localhost", "root@localhost", ""),
        ("a@[192.0.2.1]", "a@[192.0.2.1]", ""),
        ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", ""),
        ("<ana@example.com>", "ana@example.com", ""),
    ],
)
def test_an_address_is_read(given, spec, name):
    address = EmailAddress.parse(given)
    assert (address.spec, address.name) == (spec, name)
    assert EmailAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "ana",
        "@example.com",
        "ana@",
        "a@b@c.com",
        "a@b.com, c@d.com",
        "a@b.com;c@d.com",
        "A <a@b.com>, C <c@d.com>",
        "a b@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@example..com",
        "a@-example.com",
        "a@exa mple.com",
        "a@example.com.",
        "a@[1.2.3]",
        "a@[example.com]",
        "a@example.com>",
        "<<a@example.com>>",
        "a@example.com\r\nBcc: evil@example.com",
        "A\nB <a@example.com>",
        "a\x00@example.com",
        "a\u2028b@example.com",
        "a\ud800@example.com",
        "x" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "a@" + ".".join(["b" * 60] * 5),
        "a" * 100_000,
    ],
)
def test_what_is_not_one_address_is_refused(given):
    with pytest.raises(InvalidAddressError, match="500"):
        EmailAddress.of("a@b.com", name="x" * 501)
    with pytest.raises(InvalidAddressError) as error:
        EmailAddress.parse(given)
    assert error.value.status_code == 422
    assert "\n" not in error.value.message


@given(st.text(max_size=60))
def test_no_text_at_all_breaks_the_parser(text):
    try:
        address = EmailAddress.parse(text)
    except InvalidAddressError:
        return
    assert not re.search(r"[\x00-\x1f\x7f\r\n]", address.spec)
    assert EmailAddress.parse(address.spec) == EmailAddress.of(address.spec)


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAME, min_size=1, max_size=6))
def test_every_display_name_arrives_and_no_address_is_added(email, names):
    people = [EmailAddress.of(f"u{n}@example.com", name=name) for n, name in enumerate(names)]
    content, message = made(email, to=people)

    received = message["To"].addresses
    assert [each.addr_spec for each in received] == [each.spec for each in people]
    # the parser of Python 3.11 puts a space between two encoded words, which RFC 2047 does not
    shown = ["".join(each.display_name.split()) for each in received]
    assert shown == ["".join(name.split()) for name in names]
    assert content.split(b"\r\n\r\n")[0].isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998


# -- headers --------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(subject=LINE, value=LINE)
def test_every_subject_and_header_arrives_and_no_header_is_added(email, subject, value):
    content, message = made(email, subject=subject, headers={"X-Note": value})

    assert sorted(name.lower() for name in message) == sorted(
        [
            "from",
            "to",
            "subject",
            "date",
            "message-id",
            "x-note",
            "mime-version",
            "content-type",
            "content-transfer-encoding",
        ]
    )
    assert str(message["Subject"]).split() == subject.split()
    assert str(message["X-Note"]).split() == value.split()
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("bad", ["a\nb", "a\r\nBcc: x@y.com", "a\rb", "a\x00b", "a\u2028b", "\x85"])
@pytest.mark.parametrize("where", ["subject", "headers", "to", "from_addr", "reply_to", "filename"])
def test_header_injection_is_refused_everywhere(email, bad, where):
    options = {
        "headers": lambda: {"headers": {"X-Note": bad}},
        "filename": lambda: {"attachments": [Attachment(filename=bad, content=b"")]},
        "subject": lambda: {"subject": bad},
    }.get(where, lambda: {where: f"{bad} <a@example.com>"})
    with pytest.raises(InvalidEmailError) as error:
        made(email, **options())
    assert error.value.status_code == 422
    assert error.value.code in {"EMAIL_HEADER_INVALID", "EMAIL_ADDRESS_INVALID"}


@pytest.mark.parametrize(
    "parts",
    [
        {"name": "x\r\nBcc: evil@example.com"},
        {"name": "x" * 501},
        {"local": "a>\r\nRCPT TO:<evil"},
        {"local": "a, b"},
        {"local": "a" * 65},
        {"domain": "example.com\r\nBcc: x@y.com"},
        {"domain": "exämple.com"},
        {"domain": "[evil]"},
    ],
)
def test_an_address_built_of_parts_is_checked_too(parts):
    with pytest.raises(InvalidAddressError):
        EmailAddress(**({"local": "ana", "domain": "example.com"} | parts))
    with pytest.raises(InvalidAddressError):
        replace(EmailAddress.of("ana@example.com"), **parts)


def test_an_address_is_checked_in_the_form_in_which_it_is_sent():
    # NFC makes a semicolon of the Greek question mark
    with pytest.raises(InvalidAddressError):
        EmailAddress.of("a\u037eb@example.com")


@pytest.mark.parametrize(
    "headers",
    [
        {"Bcc": "a@b.com"},
        {"from": "a@b.com"},
        {"Content-Type": "text/html"},
        {"DKIM-Signature": "x"},
        {"X Y": "z"},
        {"": "z"},
        {"X:Y": "z"},
        {"X\r\nBcc": "z"},
        {"X-A": "1", "x-a": "2"},
        {"X-Long": "x" * 10_001},
    ],
)
def test_headers_that_are_ours_or_none_are_refused(email, headers):
    with pytest.raises(InvalidHeaderError):
        made(email, headers=headers)


def test_every_message_has_a_date_and_an_id_of_our_domain(email):
    _, first = made(email)
    _, second = made(email)

    assert parsedate_to_datetime(first["Date"]) == NOW
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", first["Message-ID"])
    assert first["Message-ID"] != second["Message-ID"]


def test_unsubscribing_in_one_click(email):
    link = Unsubscribe(url="https://example.com/u?t=abc", mailto="leave@example.com")
    _, message = made(email, unsubscribe=link)

    assert message["List-Unsubscribe"].split() == [
        "<https://example.com/u?t=abc>,",
        "<mailto:leave@example.com>",
    ]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    _, by_mail = made(email, unsubscribe=Unsubscribe(mailto="leave@example.com"))
    assert by_mail["List-Unsubscribe-Post"] is None, "RFC 8058 wants https for one click"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/u",
        "https://",
        "javascript:alert(1)",
        "https://example.com/a b",
        "https://example.com/>,<x",
        "https://example.com/\r\nBcc: a@b.com",
        "https://example.com/é",
        "https://example.com/" + "x" * 1000,
    ],
)
def test_an_unsubscribe_link_is_https_on_one_line(url):
    with pytest.raises(InvalidHeaderError):
        Unsubscribe(url=url)


def test_an_unsubscribe_link_is_a_url_and_a_secret():
    with pytest.raises(InvalidHeaderError):
        Unsubscribe(url="https://[x")
    mail = OutgoingEmail(to="a@b.com", subject="x", unsubscribe=Unsubscribe(url="https://x.y/8Jx"))
    assert "8Jx" not in repr(mail)


def test_blind_copies_alone_have_a_well_formed_header(email):
    _, message = made(email, to=[], bcc=["a@b.com"])
    assert message["To"] == "undisclosed-recipients:;"
    assert message["To"].addresses == ()


def test_recipients_are_bounded_and_not_doubled(email):
    prepared = email._prepare(
        OutgoingEmail(to=["a@b.com", "A <a@B.com>"], cc=["a@b.com"], bcc="c@d.com", subject="x")
    )
    assert prepared.recipients == ("a@b.com", "c@d.com")
    with pytest.raises(InvalidAddressError, match="send_many"):
        made(email, to=[f"u{n}@example.com" for n in range(101)])
    with pytest.raises(InvalidAddressError, match="at least one"):
        made(email, to=[])


# -- bodies ---------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(body=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), html=st.none() | LINE)
def test_every_body_arrives_in_lines_that_any_server_carries(email, body, html):
    content, message = made(email, body=body, html=html)

    normal = body.replace("\r\n", "\n").replace("\r", "\n")
    received = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert received == (normal if normal.endswith("\n") else normal + "\n")
    if html is not None:
        assert message.get_body(("html",)).get_content().rstrip("\r\n") == html.rstrip("\r\n")
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)


@pytest.mark.parametrize("length", [32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 300_000])
def test_long_texts_arrive_too(email, length):
    body = ("é.\n" * length)[:length]
    content, message = made(
        email,
        body=body,
        html=f"<p>{body}",
        attachments=[Attachment(filename="a.bin", content=b"1")],
    )
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == (body if body.endswith("\n") else body + "\n")
    assert message.get_body(("html",)).get_content().replace("\r\n", "\n").startswith(f"<p>{body}")
    assert message.get_body(("html",)).get_content_charset() == "utf-8"
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    with pytest.raises(InvalidEmailError):
        made(email, body=body + "\ud800")


def test_a_lone_surrogate_in_the_text_is_a_clear_error(email):
    for options in ({"body": "a\ud800"}, {"html": "<p>\udfff"}, {"subject": "\ud800"}):
        with pytest.raises(InvalidEmailError):
            made(email, **options)


def test_the_text_is_made_of_the_html(email):
    html = """<html><head><title>No</title><style>p{}</style><body><h1>Ol&aacute;</h1>
    <p>Veja <a href="https://x.y/z">aqui</a>,<br>ou escreva a <a href="mailto:a@b.c">a@b.c</a>.
    <script>alert(1)</script><ul><li>um<li>dois &amp; três</ul><img alt="Logo" src="cid:x">
    <table><tr><td>Total</td><td>R$&nbsp;5</td></tr></table>"""
    _, message = made(email, body="", html=html)

    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n") == (
        "Olá\n\nVeja aqui (https://x.y/z),\nou escreva a a@b.c.\n\n- um\n- dois & três\n\nLogo\n\n"
        "Total R$ 5\n"
    )


@given(st.text())
def test_no_html_breaks_the_reader(html):
    assert html_to_text(html).endswith("\n")


@pytest.mark.parametrize("piece", ["<a ", "<!--", "</x", "<![CDATA[", "<!x"])
@pytest.mark.parametrize("end", ["", ">"])
def test_html_that_never_ends_does_not_take_for_ever(piece, end):
    # quadratic, 100 kB took the parser of Python 3.11.7 over a minute
    program = (
        "import sys; from tijolo.email import html_to_text;"
        "html_to_text(sys.argv[1] * 30_000 + sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", program, piece, end], check=True, timeout=20)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a <![<b> c</p>", "a c\n"),
        ("<![foo]> c", "c\n"),
        ("<p>1 < 2", "1 < 2\n"),
        ("<p>a<!-- no -->b<!-- never ended", "ab<!-- never ended\n"),
        ("a<!--[if mso]>x<![endif]-->b<![if !mso]>c<![endif]>", "abc\n"),
        ("<p>end <a href='x", "end <a href='x\n"),
    ],
)
def test_html_that_is_none_is_text(html, text):
    assert html_to_text(html) == text


def test_given_text_is_kept(email):
    _, message = made(email, body="mine\n", html="<p>other</p>")
    assert message.get_body(("plain",)).get_content() == "mine\r\n"


# -- files ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(files=st.lists(st.binary(max_size=400), min_size=1, max_size=4))
def test_every_attachment_arrives_byte_for_byte(email, files):
    attachments = [Attachment(filename=f"f{n}.bin", content=c) for n, c in enumerate(files)]
    prepared = email._prepare(
        OutgoingEmail(to="a@b.com", subject="x", attachments=attachments, html="<p>x")
    )
    content = prepared.to_bytes()
    received = [part.get_payload(decode=True) for part in parsed(content).iter_attachments()]

    assert received == files
    assert prepared.size_bytes == len(content)


@pytest.mark.parametrize("size", [57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 200_000])
def test_attachments_around_a_block(email, size):
    body = bytes(n % 251 for n in range(size))
    content, message = made(email, attachments=[Attachment(filename="a.bin", content=body)])
    (part,) = message.iter_attachments()
    assert part.get_payload(decode=True) == body
    assert max(map(len, content.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("filename", "wanted"),
    [
        ("a.pdf", "application/pdf"),
        ("a.PNG", "image/png"),
        ("a.txt", "text/plain"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("noextension", "application/octet-stream"),
        ("mail.eml", "application/octet-stream"),  # base64 is not allowed in message/rfc822
    ],
)
def test_attachments_are_typed(email, filename, wanted):
    _, message = made(email, attachments=[Attachment(filename=filename, content=b"x")])
    (part,) = message.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == (wanted, filename)


def test_a_path_may_be_text(email, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1")
    file = Attachment(filename="b.txt", path=str(tmp_path / "a.txt"))
    _, message = made(email, attachments=[file])
    assert [each.get_filename() for each in message.iter_attachments()] == ["b.txt"]


def test_a_path_is_attached_under_its_name(email, tmp_path):
    path = tmp_path / "relatório çã.csv"
    path.write_bytes(b"a;b\n")
    _, message = made(email, attachments=[path, str(path)])
    parts = list(message.iter_attachments())

    assert [part.get_filename() for part in parts] == ["relatório çã.csv"] * 2
    assert parts[0].get_content_type() == "text/csv"
    assert parts[0].get_payload(decode=True) == b"a;b\n"
    with pytest.raises(FileNotFoundError):
        made(email, attachments=[tmp_path / "missing.pdf"])


@pytest.mark.parametrize("filename", ["../a", "a/b", "a\\b", "", ".", "..", "  "])
def test_an_attachments_name_is_a_name(filename):
    with pytest.raises(InvalidHeaderError):
        Attachment(filename=filename, content=b"")


def test_an_attachment_has_one_source_and_a_real_type():
    for options in ({}, {"content": b"", "path": "x"}):
        with pytest.raises(ValueError, match="either content or path"):
            Attachment(filename="a", **options)
    with pytest.raises(InvalidHeaderError):
        Attachment(filename="a", content=b"", content_type="text/html\r\nX: y")


@pytest.mark.parametrize("content", [5, "text", [1, 2]])
def test_the_content_of_an_attachment_is_bytes(content):
    with pytest.raises(TypeError, match="bytes"):
        Attachment(filename="a.bin", content=content)


@pytest.mark.parametrize("bad", [{"subject": None}, {"headers": {"X-Count": 5}}])
def test_what_is_no_text_is_named(email, bad):
    with pytest.raises(TypeError, match=r"header '(Subject|X-Count)' is a str"):
        made(email, **bad)


def test_a_text_over_the_limit_is_not_even_encoded(monkeypatch):
    email = EmailUtils.with_backend(
        MemoryBackend(), from_addr="shop@example.com", max_message_bytes=1000
    )
    monkeypatch.setattr("tijolo.email.prepared.html_to_text", lambda html: pytest.fail("read"))
    with pytest.raises(EmailTooLargeError):
        made(email, body="", html="<p>" * 400)


def test_size_is_bounded_before_everything_is_read(tmp_path):
    email = EmailUtils.with_backend(MemoryBackend(), from_addr="a@b.com", max_message_bytes=10_000)
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: reading it whole would not end well
    for files in ([path], [Attachment(filename="a", content=b"x" * 6000)] * 2):
        with pytest.raises(EmailTooLargeError) as error:
            made(email, attachments=files)
        assert error.value.status_code == 413
    with pytest.raises(EmailTooLargeError):
        made(email, body="x" * 10_001)


def test_inline_images_are_where_the_html_shows_them(email):
    logo = Attachment(filename="logo.png", content=b"\x89PNG")
    _, message = made(
        email,
        html='<img src="cid:logo"><img src="cid:other">',
        inline={"logo": logo},
        attachments=[Attachment(filename="a.pdf", content=b"%PDF")],
    )
    related = next(part for part in message.walk() if part.get_content_subtype() == "related")
    page, image = related.iter_parts()
    shown = re.findall(r'src="cid:([^"]+)"', page.get_content())

    assert image["Content-ID"] == f"<{shown[0]}>"
    assert re.fullmatch(r"[0-9a-f]{20}@example\.com", shown[0]), "unique, as RFC 2045 wants it"
    assert shown[1] == "other"
    assert image.get_content_disposition() == "inline"
    assert [part.get_filename() for part in message.iter_attachments()] == ["a.pdf"]


@pytest.mark.parametrize("options", [{"html": None}, {"html": "<p>", "name": "a b"}])
def test_inline_images_need_html_and_a_name(email, options):
    name = options.pop("name", "logo")
    with pytest.raises(InvalidEmailError):
        made(email, inline={name: Attachment(filename="l.png", content=b"")}, **options)


def test_the_boundary_cannot_be_guessed(email):
    boundaries = set()
    for _ in range(20):
        _, message = made(email, html="<p>x")
        boundaries.add(message.get_boundary())
    assert len(boundaries) == 20
    assert all(re.fullmatch("[0-9a-f]{40}", each) for each in boundaries)


def test_the_senders_name_is_encoded():
    email = EmailUtils.with_backend(MemoryBackend(), from_addr="Loja São João <loja@exämple.com>")
    _, message = made(email)
    assert message["From"].addresses == (Address("Loja São João", "loja", "xn--exmple-cua.com"),)
    assert message["Message-ID"].endswith("@xn--exmple-cua.com>")
