"""The pages that the links of e-mails lead to (A22, A23)."""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")
pytest.importorskip("jinja2")

from fastapi import FastAPI

from tijolo.auth.users import make_auth_router
from tijolo.web import CSRFMiddleware, register_exception_handlers

EMAIL, PASSWORD, NEW_PASSWORD = "ana@example.com", "cavalo correto bateria", "outra senha bem longa"
LINKS = {
    "AUTH_BACKEND_LINKS": True,
    "AUTH_LOGIN_URL": "https://loja.example/entrar",
    "AUTH_ACTIVATION_URL_TEMPLATE": "https://loja.example/auth/pages/activate#token={token}",
    "AUTH_PASSWORD_RESET_URL_TEMPLATE": (
        "https://loja.example/auth/pages/reset-password#token={token}"
    ),
    "AUTH_EMAIL_CHANGE_URL_TEMPLATE": "https://loja.example/auth/pages/confirm-email#token={token}",
}
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def service(make_service):
    return make_service(settings=LINKS)


def app_of(service, *, below="", **options):
    app = FastAPI()
    router = make_auth_router(service, session_factory=service.db.session_dependency, **options)
    app.include_router(router, prefix=below)
    register_exception_handlers(app)
    return app


def client_of(app, *, root_path="", **options):
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1), root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="https://loja.example", **options)


@pytest.fixture
async def client(service):
    async with client_of(app_of(service)) as client:
        yield client


@pytest.fixture
def signed_up(service, mailbox):
    async def sign_up(client):
        account = {"email": EMAIL, "password": PASSWORD}
        await client.post("/auth/signup", json=account)
        await service.outbox.drain()
        return mailbox.token("activation")

    return sign_up


async def can_log_in(client, password=PASSWORD, email=EMAIL):
    answer = await client.post("/auth/login", json={"email": email, "password": password})
    return answer.status_code == 200


async def test_a_link_that_a_scanner_opens_is_still_good(client, signed_up, mailbox):
    token = await signed_up(client)
    link = urlsplit(mailbox.mails[-1].context["url"])
    assert link.query == ""
    assert link.fragment == f"token={token}"
    for _ in range(3):  # scanners and previews
        shown = await client.get(link.path)
        assert shown.status_code == 200
        assert token not in shown.text
    assert not await can_log_in(client)
    done = await client.post(link.path, data={"token": token})
    assert done.status_code == 200
    assert "Your account is open" in done.text
    assert await can_log_in(client)
    again = await client.post(link.path, data={"token": token})
    assert again.status_code == 400
    assert "not valid any more" in again.text


async def test_a_whole_link_can_be_pasted_where_scripts_do_not_run(client, signed_up, mailbox):
    await signed_up(client)
    pasted = {"token": f"  {mailbox.mails[-1].context['url']}\r\n"}
    assert (await client.post("/auth/pages/activate", data=pasted)).status_code == 200
    assert await can_log_in(client)


@pytest.mark.parametrize("path", ["activate", "reset-password", "confirm-email"])
async def test_a_page_is_strict_and_kept_by_nobody(client, path):
    shown = await client.get(f"/auth/pages/{path}")
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in shown.headers["Content-Security-Policy"].split(";")
    )
    nonce = re.search(r'<script nonce="([\w-]{20,})">', shown.text)[1]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == f"'nonce-{nonce}'"
    assert policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert nonce not in (await client.get(f"/auth/pages/{path}")).text
    assert not re.search(r'(src|href)="(?!https://loja)', shown.text)
    refused = await client.post(f"/auth/pages/{path}", data={"token": "x", "new_password": "y"})
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("below", "root_path", "options", "path"),
    [
        ("", "", {}, "/auth/pages/activate"),
        ("/api/v1", "", {}, "/api/v1/auth/pages/activate"),
        ("", "/behind", {}, "/auth/pages/activate"),
        ("/api", "/behind", {"prefix": "/contas"}, "/api/contas/pages/activate"),
    ],
)
async def test_a_form_goes_back_to_its_own_page(service, below, root_path, options, path):
    """A23: by the path part alone; a host that the request names is nobody's word."""
    async with client_of(app_of(service, below=below, **options), root_path=root_path) as client:
        shown = await client.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in shown.text
        action = html.unescape(re.search(r'<form method="post" action="([^"]*)"', shown.text)[1])
        assert action == f"{root_path}{path}"
        answer = await client.post(action, data={"token": "x"})
        assert answer.status_code == 400
        assert "not valid any more" in answer.text


@pytest.mark.parametrize("root_path", ["//evil.example", "/\\\\evil.example", "///evil.example/"])
async def test_no_root_path_sends_a_form_to_another_host(service, root_path):
    """A browser takes what begins with two slashes, of either kind, for a host."""
    async with client_of(app_of(service), root_path=root_path) as client:
        shown = await client.get("/auth/pages/activate")
        action = html.unescape(re.search(r'<form method="post" action="([^"]*)"', shown.text)[1])
        assert action == "/evil.example/auth/pages/activate"


async def test_two_routers_of_one_service_have_pages_of_their_own(service):
    app = app_of(service)
    other = make_auth_router(
        service, session_factory=service.db.session_dependency, prefix="/staff/auth"
    )
    app.include_router(other)
    async with client_of(app) as client:
        for path in ("/auth/pages/activate", "/staff/auth/pages/activate"):
            assert f'action="{path}"' in (await client.get(path)).text


async def test_a_sub_application_knows_where_it_is_mounted(service):
    outer = FastAPI()
    outer.mount("/mounted", app_of(service))
    async with client_of(outer) as client:
        shown = await client.get("/mounted/auth/pages/activate")
        assert 'action="/mounted/auth/pages/activate"' in shown.text


async def test_a_new_password_is_chosen_on_a_page(client, signed_up, service, mailbox):
    activation = await signed_up(client)
    await client.post("/auth/activate", json={"token": activation})
    await client.post("/auth/password-reset/request", json={"email": EMAIL})
    await service.outbox.drain()
    token, page = mailbox.token("password_reset"), "/auth/pages/reset-password"
    weak = await client.post(page, data={"token": token, "new_password": "123456789012345"})
    assert weak.status_code == 422
    assert "row of the alphabet" in weak.text
    assert f'value="{token}"' in weak.text
    assert "123456789012345" not in weak.text
    empty = await client.post(page, data={"token": token, "new_password": ""})
    assert empty.status_code == 422
    done = await client.post(page, data={"token": token, "new_password": f" {NEW_PASSWORD} "})
    assert (done.status_code, "set-cookie" in done.headers) == (200, False)
    # exactly as it was typed, in JSON as in the form (A13)
    assert await can_log_in(client, f" {NEW_PASSWORD} ")
    assert not await can_log_in(client, NEW_PASSWORD)
    assert not await can_log_in(client)


async def test_a_reset_on_a_page_opens_an_account_that_was_guessed_at(
    client, signed_up, service, mailbox
):
    activation = await signed_up(client)
    await client.post("/auth/activate", json={"token": activation})
    while await can_log_in(client, "uma senha errada") or not await is_refused(client):
        pass
    await client.post("/auth/password-reset/request", json={"email": EMAIL})
    await service.outbox.drain()
    sent = {"token": mailbox.token("password_reset"), "new_password": NEW_PASSWORD}
    assert (await client.post("/auth/pages/reset-password", data=sent)).status_code == 200
    assert await can_log_in(client, NEW_PASSWORD)


async def is_refused(client):
    answer = await client.post("/auth/login", json={"email": EMAIL, "password": "errada mesmo"})
    return answer.status_code == 429


async def test_a_new_address_is_confirmed_on_a_page(client, signed_up, service, mailbox):
    activation = await signed_up(client)
    await client.post("/auth/activate", json={"token": activation})
    login = await client.post("/auth/login", json={"email": EMAIL, "password": PASSWORD})
    bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
    wanted = {"new_email": "ana@novo.example", "password": PASSWORD}
    await client.post("/auth/email-change/request", json=wanted, headers=bearer)
    await service.outbox.drain()
    token = {"token": mailbox.token("email_change")}
    done = await client.post("/auth/pages/confirm-email", data=token)
    assert done.status_code == 200
    assert await can_log_in(client, email="ana@novo.example")


async def test_what_is_refused_is_rolled_back(client, signed_up, service, db, mailbox):
    """A link of somebody who was shut out is as it was."""
    token = await signed_up(client)
    from tijolo.auth.users import UserStatus

    async with db.transaction() as session:
        user = await service.parts.find(session, EMAIL)
        user.status = UserStatus.SUSPENDED
    answer = await client.post("/auth/pages/activate", data={"token": token})
    assert answer.status_code == 400
    async with db.transaction() as session:
        row, _ = await service.peek_token(session, token=token, purpose="activation")
        assert row.used_at is None


@pytest.mark.parametrize(
    ("accept", "lang", "word"),
    [
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt", "Confirme seu e-mail"),
        ("pt", "pt", "Confirme seu e-mail"),
        ("en-GB,en;q=0.9,pt;q=0.5", "en", "Confirm your e-mail address"),
        ("fr;q=1, pt;q=0.3", "pt", "Confirme seu e-mail"),
        ("fr", "en", "Confirm your e-mail address"),
        ("", "en", "Confirm your e-mail address"),
        ("../../etc/passwd", "en", "Confirm your e-mail address"),
        (",".join(["xx"] * 5000), "en", "Confirm your e-mail address"),
        ("pt;q=0", "en", "Confirm your e-mail address"),
        ("pt;q=nan, en;q=-1, *", "en", "Confirm your e-mail address"),
    ],
)
async def test_a_page_is_in_the_readers_language(client, accept, lang, word):
    shown = await client.get("/auth/pages/activate", headers={"Accept-Language": accept})
    assert f'<html lang="{lang}">' in shown.text
    assert shown.headers["Content-Language"] == lang
    assert word in shown.text


async def test_every_page_is_there_in_both_languages(client):
    for path in ("activate", "reset-password", "confirm-email"):
        seen = set()
        for language in ("en", "pt"):
            headers = {"Accept-Language": language}
            data = {"token": "x", "new_password": NEW_PASSWORD}
            shown = await client.get(f"/auth/pages/{path}", headers=headers)
            refused = await client.post(f"/auth/pages/{path}", data=data, headers=headers)
            assert (shown.status_code, refused.status_code) == (200, 400)
            for page in (shown, refused):
                assert f'<html lang="{language}">' in page.text
                seen.add(re.search("<title>(.+)</title>", page.text)[1])
        assert len(seen) == 4


async def test_the_setting_decides_where_the_reader_says_nothing(make_service):
    service = make_service(settings={**LINKS, "AUTH_MAIL_LOCALE": "pt-BR"})
    async with client_of(app_of(service)) as client:
        shown = await client.get("/auth/pages/activate", headers={"Accept-Language": "fr"})
        assert '<html lang="pt">' in shown.text


async def test_a_services_own_template_goes_first(service, tmp_path):
    (tmp_path / "activation_form.html").write_text(
        '{% extends "form.html" %}{% block title %}Bem-vinda à <Loja>{% endblock %}'
    )
    async with client_of(app_of(service, template_dir=str(tmp_path))) as client:
        shown = await client.get("/auth/pages/activate")
        assert "Bem-vinda à <Loja>" in shown.text
        assert 'name="token"' in shown.text
        other = await client.get("/auth/pages/reset-password")
        assert "Choose a new password" in other.text


async def test_what_is_typed_is_escaped(client, service, signed_up, mailbox):
    token = await signed_up(client)
    await client.post("/auth/activate", json={"token": token})
    await client.post("/auth/password-reset/request", json={"email": EMAIL})
    await service.outbox.drain()
    token = mailbox.token("password_reset")
    page = "/auth/pages/reset-password"
    weak = {"token": f'"><script>alert(1)</script>token={token}', "new_password": "x"}
    assert "<script>alert" not in (await client.post(page, data=weak)).text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"token=", "application/x-www-form-urlencoded"),
        (b"token=a&token=b", "application/x-www-form-urlencoded"),
        (b"token=%ff%fe", "application/x-www-form-urlencoded"),
        (b"token=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join([b"a=b"] * 500), "application/x-www-form-urlencoded"),
        (b'{"token": "x"}', "application/json"),
        (b"token=x", "text/plain"),
        (b"token=" + b"x" * 20_000, "application/x-www-form-urlencoded"),
        (b"token=%00", "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(client, body, kind):
    for path in ("activate", "reset-password", "confirm-email"):
        answer = await client.post(
            f"/auth/pages/{path}", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code in (400, 413)


async def test_a_page_passes_the_csrf_middleware_of_its_service(service, signed_up):
    """Also in a browser that sends no Sec-Fetch-Site, whose Origin is null by our own policy."""
    app = app_of(service)
    app.add_middleware(CSRFMiddleware, secret="s" * 40, exclude_paths=["/auth/signup"])
    async with client_of(app) as client:
        token = await signed_up(client)
        shown = await client.get("/auth/pages/activate")
        field = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)[1]
        page, old = "/auth/pages/activate", {"Origin": "null"}
        bare = await client.post(page, data={"token": token}, headers=old)
        assert bare.status_code == 403
        sent = {"csrf_token": field, "token": token}
        assert (await client.post(page, data=sent, headers=old)).status_code == 200


@pytest.mark.parametrize(
    "link",
    [
        "https://loja.example/auth/pages/activate?token={token}",
        "https://loja.example/auth/pages/activate/{token}",
        "https://loja.example/{token}#x",
    ],
)
async def test_a_link_whose_token_would_be_logged_is_refused(make_service, link):
    service = make_service(settings={**LINKS, "AUTH_ACTIVATION_URL_TEMPLATE": link})
    with pytest.raises(ValueError, match="fragment"):
        app_of(service)


async def test_there_are_no_pages_unless_they_are_asked_for(make_service):
    async with client_of(app_of(make_service())) as client:
        assert (await client.get("/auth/pages/activate")).status_code == 404


@pytest.mark.parametrize(
    "host",
    ["evil.example/attack", "evil.example?x=", "evil.example#", "a@evil.example", "[", "é.example"],
)
async def test_a_forged_host_leads_the_form_nowhere(client, host):
    shown = await client.get("/auth/pages/activate", headers={"Host": host.encode()})
    assert shown.status_code == 200
    assert 'action="/auth/pages/activate"' in shown.text
    assert "evil" not in shown.text


HOSTILE = [
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "</script><!--",
    "\u202egpj.exe\u2066",
    "\u0001\u007f\u0085",
    "javascript:alert(1)",
    "ключ 鍵 مفتاح 🗝",
    "x" * 3000,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:12]))
async def test_nothing_that_a_stranger_sends_comes_back(
    client, signed_up, service, mailbox, hostile
):
    """Of what is sent, only a token that is good is shown again, as the value of its field."""
    activation = await signed_up(client)
    await client.post("/auth/activate", json={"token": activation})
    await client.post("/auth/password-reset/request", json={"email": EMAIL})
    await service.outbox.drain()
    token, page = mailbox.token("password_reset"), "/auth/pages/reset-password"
    query = {"token": hostile, "next": hostile, "email": hostile, "name": hostile}
    weak = {"new_password": "123456789012", "name": hostile, "next": hostile}
    opened = await client.get(page, params=query)
    wrong = await client.post(page, data={**weak, "token": hostile}, params=query)
    again = await client.post(page, data={**weak, "token": f"{hostile}token={token}"}, params=query)

    assert [answer.status_code for answer in (opened, wrong, again)] == [200, 400, 422]
    assert again.text.count(token) == 1
    assert f'name="token" value="{token}"' in again.text
    for answer in (opened, wrong, again):
        assert hostile not in html.unescape(answer.text)
        assert hostile not in str(answer.headers)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"token=" + b"x" * 20_000, 413), (b"nothing", 400), (b"token=x", 400)]
)
async def test_no_answer_of_a_page_is_kept(client, body, status):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("activate", "confirm-email"):
        answer = await client.post(f"/auth/pages/{path}", content=body, headers=kind)
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_a_page_whose_path_is_not_protected_shows_no_token_that_nobody_checks(service):
    app = app_of(service)
    app.add_middleware(CSRFMiddleware, secret="s" * 40, exclude_paths=["/auth/{rest:path}"])
    async with client_of(app) as client:
        shown = await client.get("/auth/pages/activate")
        assert "csrf" not in shown.text
        assert "set-cookie" not in shown.headers
        sent = await client.post("/auth/pages/activate", data={"token": "x"})
        assert "not valid any more" in sent.text
