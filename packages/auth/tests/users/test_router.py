"""The routes of accounts, as a front end uses them (A1, A8, A13, A14, A22, A25, A26)."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from fastapi import FastAPI

from tijolo.auth import (
    CookieTransport,
    HashingBusyException,
    InsecureAuthSettingsError,
    LoginThrottle,
    LoginThrottleSettings,
    MailThrottle,
    TokenVerifier,
)
from tijolo.auth.users import TokenCookies, UserStatus, make_auth_router
from tijolo.web import MemoryRateLimitStore, TrustedProxyMiddleware, register_exception_handlers

EMAIL, PASSWORD, NEW_PASSWORD = "ana@example.com", "cavalo correto bateria", "outra senha bem longa"
LOGIN = {"email": EMAIL, "password": PASSWORD}

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def app_of(service, **options):
    app = FastAPI()
    app.include_router(
        make_auth_router(service, session_factory=service.db.session_dependency, **options)
    )
    register_exception_handlers(app)
    return app


def client_of(app, *, address="203.0.113.9", **options):
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="https://loja.example", **options)


@pytest.fixture
async def client(service):
    async with client_of(app_of(service)) as client:
        yield client


async def mailed(mailbox, kind, to):
    """The token of an e-mail, which is sent some time after the answer."""
    for _ in range(2000):
        if kind in mailbox.kinds(to=to):
            break
        await asyncio.sleep(0.01)
    return mailbox.token(kind, to=to)


@pytest.fixture
def signed_up(mailbox):
    """(client) -> an account that is active."""

    async def sign_up(client, email=EMAIL, password=PASSWORD):
        answer = await client.post("/auth/signup", json={"email": email, "password": password})
        assert answer.status_code == 202, answer.text
        token = await mailed(mailbox, "activation", email)
        answer = await client.post("/auth/activate", json={"token": token})
        assert answer.status_code == 200, answer.text

    return sign_up


def bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def reset_token(client, service, mailbox, email=EMAIL):
    answer = await client.post("/auth/password-reset/request", json={"email": email})
    assert answer.status_code == 202
    await service.outbox.drain()
    return mailbox.token("password_reset", to=email)


# --- the whole way


async def test_from_sign_up_to_log_out(client, service, mailbox):
    account = {**LOGIN, "name": "Ana"}
    answer = await client.post("/auth/signup", json=account)
    assert answer.status_code == 202
    assert answer.json() == {"activation_required": True, "activation_url": None}
    assert (await client.post("/auth/login", json=LOGIN)).status_code == 401
    await service.outbox.drain()
    token = mailbox.token("activation")
    assert (await client.post("/auth/activate", json={"token": token})).status_code == 200
    assert (await client.post("/auth/activate", json={"token": token})).status_code == 400

    first = await client.post("/auth/login", json=LOGIN)
    assert first.status_code == 200
    assert first.json()["token_type"] == "Bearer"
    assert first.json()["expires_in"] == 900
    me = await client.get("/auth/me", headers=bearer(first))
    assert {k: me.json()[k] for k in ("email", "name", "status", "roles")} == {
        "email": EMAIL, "name": "Ana", "status": "active", "roles": ["user"],
    }  # fmt: skip
    assert "password" not in me.text

    shown = {"refresh_token": first.json()["refresh_token"]}
    second = await client.post("/auth/refresh", json=shown)
    assert second.status_code == 200
    assert second.json()["refresh_token"] != shown["refresh_token"]
    shown = {"refresh_token": second.json()["refresh_token"]}
    assert (await client.post("/auth/logout", json=shown)).status_code == 204
    assert (await client.post("/auth/refresh", json=shown)).status_code == 401
    assert (await client.get("/auth/me", headers=bearer(second))).status_code == 401
    assert (await client.post("/auth/logout", json=shown)).status_code == 204


async def test_a_password_is_changed_and_this_login_goes_on(client, signed_up):
    await signed_up(client)
    here = await client.post("/auth/login", json=LOGIN)
    elsewhere = await client.post("/auth/login", json=LOGIN)
    change = {"current_password": "nao e esta aqui", "new_password": NEW_PASSWORD}
    answer = await client.post("/auth/password-change", json=change, headers=bearer(here))
    assert (answer.status_code, answer.json()["code"]) == (422, "WRONG_PASSWORD")
    change["current_password"] = PASSWORD
    answer = await client.post("/auth/password-change", json=change, headers=bearer(here))
    assert answer.status_code == 200
    for old in (here, elsewhere):
        assert (await client.get("/auth/me", headers=bearer(old))).status_code == 401
        shown = {"refresh_token": old.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=shown)).status_code == 401
    assert (await client.get("/auth/me", headers=bearer(answer))).status_code == 200
    shown = {"refresh_token": answer.json()["refresh_token"]}
    assert (await client.post("/auth/refresh", json=shown)).status_code == 200
    assert (await client.post("/auth/login", json=LOGIN)).status_code == 401
    new = {**LOGIN, "password": NEW_PASSWORD}
    assert (await client.post("/auth/login", json=new)).status_code == 200


async def test_a_changed_password_proves_no_more_than_the_password(client, service, signed_up):
    """With an old token of a strong login it made a fresh one, that could disable the factor."""
    await signed_up(client)
    me = await client.get("/auth/me", headers=bearer(await client.post("/auth/login", json=LOGIN)))
    old = service.issuer.issue(me.json()["id"], auth_time=1_000_000, amr=["pwd", "otp", "mfa"])
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    headers = {"Authorization": f"Bearer {old.token}"}
    answer = await client.post("/auth/password-change", json=change, headers=headers)
    assert answer.status_code == 200, answer.text
    tokens = TokenVerifier.from_settings(service.jwt_settings)
    assert tokens.verify(answer.json()["access_token"]).amr == {"pwd"}


async def test_an_address_is_changed_when_the_new_one_is_confirmed(
    client, service, mailbox, signed_up
):
    await signed_up(client)
    login = await client.post("/auth/login", json=LOGIN)
    wanted = {"new_email": "ana@novo.example", "password": PASSWORD}
    answer = await client.post("/auth/email-change/request", json=wanted, headers=bearer(login))
    assert answer.status_code == 202
    await service.outbox.drain()
    assert "email_change_notice" in mailbox.kinds(to=EMAIL)
    assert (await client.get("/auth/me", headers=bearer(login))).json()["email"] == EMAIL
    token = {"token": mailbox.token("email_change", to="ana@novo.example")}
    assert (await client.post("/auth/email-change/confirm", json=token)).status_code == 204
    assert (await client.post("/auth/email-change/confirm", json=token)).status_code == 400
    new = {"email": "ana@novo.example", "password": PASSWORD}
    assert (await client.post("/auth/login", json=new)).status_code == 200
    assert (await client.post("/auth/login", json=LOGIN)).status_code == 401


async def test_logging_out_everywhere_ends_every_login(client, signed_up):
    await signed_up(client)
    logins = [await client.post("/auth/login", json=LOGIN) for _ in range(3)]
    answer = await client.post("/auth/logout-everywhere", headers=bearer(logins[0]))
    assert answer.status_code == 204
    for login in logins:
        assert (await client.get("/auth/me", headers=bearer(login))).status_code == 401
        shown = {"refresh_token": login.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=shown)).status_code == 401


@sqlite_only
async def test_what_has_ended_is_refused_without_a_revocation_store(make_service, signed_up, db):
    service = make_service()
    async with client_of(app_of(service)) as client:
        await signed_up(client)
        first = bearer(await client.post("/auth/login", json=LOGIN))
        assert (await client.post("/auth/logout-everywhere", headers=first)).status_code == 204
        answer = await client.get("/auth/me", headers=first)
        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_REVOKED")
        second = bearer(await client.post("/auth/login", json=LOGIN))
        async with db.transaction() as session:
            user = await service.parts.find(session, EMAIL)
            user.status = UserStatus.SUSPENDED
        assert (await client.get("/auth/me", headers=second)).status_code == 401
        nobody = service.issuer.issue("no id at all").token
        answer = await client.get("/auth/me", headers={"Authorization": f"Bearer {nobody}"})
        assert answer.status_code == 401


async def test_a_link_is_redeemed_once_however_many_try(client, service, mailbox, signed_up):
    await signed_up(client)
    token = await reset_token(client, service, mailbox)
    answers = await asyncio.gather(
        *(
            client.post(
                "/auth/password-reset/confirm",
                json={"token": token, "new_password": f"{NEW_PASSWORD} {n}"},
            )
            for n in range(8)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 7


# --- a reset does not log in (A8)


@sqlite_only
async def test_a_reset_answers_nothing_and_ends_every_login(client, service, mailbox, signed_up):
    await signed_up(client)
    login = await client.post("/auth/login", json=LOGIN)
    token = await reset_token(client, service, mailbox)
    confirm = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post("/auth/password-reset/confirm", json=confirm)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "set-cookie" not in answer.headers
    assert (await client.get("/auth/me", headers=bearer(login))).status_code == 401


@sqlite_only
@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED])
async def test_who_was_shut_out_comes_back_by_no_link(
    client, service, mailbox, signed_up, db, status
):
    await signed_up(client)
    token = await reset_token(client, service, mailbox)
    async with db.transaction() as session:
        user = await service.parts.find(session, EMAIL)
        await service.set_status(session, user, status)
    confirm = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post("/auth/password-reset/confirm", json=confirm)
    assert (answer.status_code, answer.json()["code"]) == (400, "ONE_TIME_TOKEN_INVALID")
    mailbox.mails.clear()
    answer = await client.post("/auth/password-reset/request", json={"email": EMAIL})
    again = await client.post("/auth/activation/resend", json={"email": EMAIL})
    assert (answer.status_code, again.status_code) == (202, 202)
    await service.outbox.drain()
    assert mailbox.mails == []
    for password in (PASSWORD, NEW_PASSWORD):
        login = await client.post("/auth/login", json={"email": EMAIL, "password": password})
        assert login.status_code == 401


# --- nothing tells accounts apart (A1, A25)


@sqlite_only
async def test_a_sign_up_is_answered_alike_for_a_taken_address(client, service, mailbox, signed_up):
    await signed_up(client)
    mailbox.mails.clear()
    taken = await client.post("/auth/signup", json={**LOGIN, "password": "senha de outra pessoa"})
    free = await client.post("/auth/signup", json={**LOGIN, "email": "leo@example.com"})
    assert taken.status_code == free.status_code == 202
    assert taken.content == free.content
    assert dict(taken.headers) == dict(free.headers)
    await service.outbox.drain()
    assert mailbox.kinds(to=EMAIL) == ["account_exists"]
    assert (await client.post("/auth/login", json=LOGIN)).status_code == 200


@sqlite_only
async def test_what_is_asked_for_by_mail_is_answered_alike(client, signed_up):
    await signed_up(client)
    for path in ("/auth/password-reset/request", "/auth/activation/resend"):
        known = await client.post(path, json={"email": EMAIL})
        unknown = await client.post(path, json={"email": "ninguem@example.com"})
        nonsense = await client.post(path, json={"email": "no address at all"})
        assert known.status_code == unknown.status_code == nonsense.status_code == 202
        assert known.content == unknown.content == nonsense.content


@sqlite_only
async def test_a_refused_log_in_is_answered_alike(client, signed_up, service, db):
    await signed_up(client)
    await signed_up(client, email="banida@example.com")
    async with db.transaction() as session:
        banned = await service.parts.find(session, "banida@example.com")
        await service.set_status(session, banned, UserStatus.SUSPENDED)
    tried = [
        {**LOGIN, "password": "uma senha errada"},
        {"email": "ninguem@example.com", "password": PASSWORD},
        {"email": "banida@example.com", "password": PASSWORD},
        {"email": "no address at all", "password": PASSWORD},
    ]
    answers = [await client.post("/auth/login", json=each) for each in tried]
    assert {answer.status_code for answer in answers} == {401}
    assert len({re.sub(r'"request_id":[^,}]*', "", answer.text) for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


@sqlite_only
async def test_without_a_mailer_nothing_starts(make_service):
    with pytest.raises(InsecureAuthSettingsError, match="email"):
        make_service(email=None)


@sqlite_only
@pytest.mark.parametrize(
    ("address", "headers", "shown"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("203.0.113.9", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, False),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, False),
        ("testclient", {}, False),
    ],
)
async def test_a_link_is_shown_on_this_machine_alone(make_service, address, headers, shown):
    service = make_service(email=None, settings={"AUTH_RETURN_TOKEN_IN_RESPONSE": True})
    async with client_of(app_of(service), address=address, headers=headers) as client:
        answer = await client.post("/auth/signup", json=LOGIN)
        url = answer.json()["activation_url"]
        assert (url is not None) == shown
        if shown:
            token = url.partition("#token=")[2]
            assert (await client.post("/auth/activate", json={"token": token})).status_code == 200
        answer = await client.post("/auth/password-reset/request", json={"email": EMAIL})
        assert (answer.json()["reset_url"] is not None) == shown
        assert ("token=" in answer.text) == shown


# --- passwords as they were typed (A13, A14)


@sqlite_only
async def test_a_password_keeps_its_spaces(client, signed_up):
    typed = "  cavalo correto bateria  "
    await signed_up(client, password=typed)
    login = {"email": EMAIL, "password": typed}
    assert (await client.post("/auth/login", json=login)).status_code == 200
    login["password"] = typed.strip()
    assert (await client.post("/auth/login", json=login)).status_code == 401


@sqlite_only
@pytest.mark.parametrize(
    ("least", "password", "status"),
    [
        (8, "k7#mQz1!", 202),
        (8, "k7#mQz1", 422),
        (12, "k7#mQz1!", 422),
        (20, "cavalo correto bater", 202),
        (12, "é" * 40 + "cavalo correto", 202),
        (12, "cavalo correto bateria " * 60, 422),
        (12, "x" * 5000, 422),
        (12, "", 422),
        (12, None, 422),
        (12, 123456789012, 422),
    ],
)
async def test_the_setting_alone_says_how_long_a_password_is(make_service, least, password, status):
    service = make_service(settings={"AUTH_PASSWORD_MIN_LENGTH": least})
    async with client_of(app_of(service)) as client:
        answer = await client.post("/auth/signup", json={"email": EMAIL, "password": password})
        assert answer.status_code == status, answer.text
        if isinstance(password, str) and password:
            assert password not in answer.text


# --- no token in a log (A22)


@sqlite_only
async def test_no_route_has_a_token_in_its_path_or_query(make_service):
    service = make_service(second_factor=Codes())
    paths = app_of(service).openapi()["paths"]
    assert len(paths) >= 14
    for path, operations in paths.items():
        assert "{" not in path
        for operation in operations.values():
            assert operation.get("parameters", []) == []


@sqlite_only
async def test_no_cache_keeps_an_answer(client, signed_up):
    await signed_up(client)
    login = await client.post("/auth/login", json=LOGIN)
    for answer in (
        login,
        await client.post("/auth/login", json={**LOGIN, "password": "uma senha errada"}),
        await client.get("/auth/me", headers=bearer(login)),
        await client.get("/auth/me"),
        await client.post("/auth/refresh", json={"refresh_token": "x"}),
        await client.post("/auth/password-reset/request", json={"email": EMAIL}),
        await client.post("/auth/login", json={**LOGIN, "delivery": [PASSWORD]}),
        await client.post("/auth/login", content="no JSON"),
        await client.post("/auth/password-reset/confirm", json={}),
    ):
        assert answer.headers.get_list("Cache-Control") == ["no-store"], answer.text
        assert answer.headers["Cache-Control"] == "no-store", answer.text


# --- cookies


async def cookie_client(service, **options):
    return client_of(app_of(service, cookies=TokenCookies(), **options))


@sqlite_only
async def test_a_browser_never_sees_its_tokens(service, signed_up):
    async with await cookie_client(service) as browser:
        await signed_up(browser)
        ours = {"Sec-Fetch-Site": "same-origin"}
        login = await browser.post("/auth/login", json=LOGIN, headers=ours)
        assert login.json()["access_token"] is None
        assert login.json()["refresh_token"] is None
        for line in login.headers.get_list("set-cookie"):
            assert re.match(r"__Host-(access|refresh)_token=", line)
            for attribute in ("httponly", "secure", "path=/", "samesite="):
                assert attribute in line.lower()
        assert (await browser.get("/auth/me")).json()["email"] == EMAIL
        before = dict(browser.cookies)
        again = await browser.post("/auth/refresh", headers=ours)
        assert again.status_code == 200
        assert again.json()["access_token"] is None
        assert dict(browser.cookies) != before
        # a script in the page cannot ask for them in the body
        for body in ({"delivery": "body"}, {"refresh_token": None}):
            answer = await browser.post("/auth/refresh", json=body, headers=ours)
            assert answer.status_code == 422
        assert (await browser.post("/auth/logout", headers=ours)).status_code == 204
        assert not browser.cookies
        assert (await browser.get("/auth/me")).status_code == 401
        refused = await browser.post("/auth/refresh", headers=ours)
        assert refused.status_code == 401


@sqlite_only
async def test_a_program_may_have_its_tokens_in_the_body(service, signed_up):
    async with await cookie_client(service) as program:
        await signed_up(program)
        login = await program.post("/auth/login", json={**LOGIN, "delivery": "body"})
        assert login.json()["refresh_token"]
        assert not program.cookies
        shown = {"refresh_token": login.json()["refresh_token"]}
        again = await program.post("/auth/refresh", json=shown)
        assert again.json()["refresh_token"]
        assert not program.cookies


@sqlite_only
async def test_another_site_neither_logs_in_nor_refreshes_nor_logs_out(service, signed_up):
    async with await cookie_client(service) as browser:
        await signed_up(browser)
        theirs = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        answer = await browser.post("/auth/login", json=LOGIN, headers=theirs)
        assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REQUEST")
        await browser.post("/auth/login", json=LOGIN)
        for path in ("refresh", "logout", "logout-everywhere"):
            answer = await browser.post(f"/auth/{path}", headers=theirs)
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REQUEST"), path
        assert (await browser.get("/auth/me")).status_code == 200
        # a strict cookie does not come along with another site's form
        browser.cookies.delete("__Host-refresh_token")
        answer = await browser.post("/auth/logout", headers=theirs)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@sqlite_only
async def test_cookies_that_a_service_does_not_have(client, signed_up):
    await signed_up(client)
    answer = await client.post("/auth/login", json={**LOGIN, "delivery": "cookie"})
    assert (answer.status_code, answer.json()["code"]) == (400, "NO_COOKIE_DELIVERY")
    assert (await client.post("/auth/refresh")).status_code == 401


@sqlite_only
async def test_the_loser_of_a_race_keeps_its_cookies(service, signed_up):
    """A refused refresh clears nothing: the winner's cookies are in the same browser."""
    async with await cookie_client(service) as browser:
        await signed_up(browser)
        await browser.post("/auth/login", json=LOGIN)
        answers = await asyncio.gather(*(browser.post("/auth/refresh") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        browser.cookies.clear()
        browser.cookies.set("__Host-refresh_token", "a.b")
        refused = await browser.post("/auth/refresh")
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers


@sqlite_only
async def test_cookies_of_other_names(service, signed_up):
    cookies = TokenCookies(
        access=CookieTransport(name="a", secure=False),
        refresh=CookieTransport(name="r", secure=False),
    )
    async with client_of(app_of(service, cookies=cookies)) as browser:
        await signed_up(browser)
        await browser.post("/auth/login", json=LOGIN)
        assert set(browser.cookies) == {"a", "r"}
        change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        answer = await browser.post("/auth/password-change", json=change)
        assert (answer.status_code, answer.json()["access_token"]) == (200, None)
        assert (await browser.get("/auth/me")).status_code == 200


# --- attempts


def throttled(**numbers):
    store, settings = MemoryRateLimitStore(), LoginThrottleSettings(**numbers)
    return LoginThrottle(store, settings), MailThrottle(store, settings)


@sqlite_only
async def test_fifty_passwords_at_once_are_five_guesses(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=5)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        answers = await asyncio.gather(
            *(
                client.post("/auth/login", json={"email": f" ANA@Example.com{' ' * (n % 3)}",
                                                  "password": f"uma senha errada {n}"})
                for n in range(50)
            )
        )  # fmt: skip
    assert [a.status_code for a in answers].count(401) == 5
    refused = [a for a in answers if a.status_code == 429]
    assert len(refused) == 45
    assert all(int(a.headers["Retry-After"]) > 0 for a in refused)


@sqlite_only
async def test_an_address_is_counted_behind_the_proxy_that_tells_it(make_service):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ADDRESS=3)
    app = app_of(make_service(throttle=logins), mail_throttle=mails)
    app.add_middleware(TrustedProxyMiddleware, trusted_proxies=["10.0.0.1"])

    async def guess(client, n, forwarded):
        login = {"email": f"u{n}@example.com", "password": "uma senha errada"}
        headers = {"X-Forwarded-For": forwarded}
        return (await client.post("/auth/login", json=login, headers=headers)).status_code

    async with client_of(app, address="10.0.0.1") as proxy:
        seen = [await guess(proxy, n, f"1.2.3.{n}, 203.0.113.9") for n in range(4)]
        assert seen == [401, 401, 401, 429]  # what the client wrote itself is not believed
        assert await guess(proxy, 5, "203.0.113.10") == 401
    async with client_of(app, address="198.51.100.7") as direct:
        seen = [await guess(direct, n, f"1.2.3.{n}") for n in range(4)]
        assert seen == [401, 401, 401, 429]


@sqlite_only
async def test_an_ipv6_network_is_one_client_through_a_proxy_too(make_service):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ADDRESS=3)
    app = app_of(make_service(throttle=logins), mail_throttle=mails)
    app.add_middleware(TrustedProxyMiddleware, trusted_proxies=["10.0.0.1"])
    names = iter(range(99))

    async def guess(client, *forwarded):
        login = {"email": f"u{next(names)}@example.com", "password": "uma senha errada"}
        headers = [("X-Forwarded-For", value) for value in forwarded]
        return (await client.post("/auth/login", json=login, headers=headers)).status_code

    async with client_of(app, address="10.0.0.1") as proxy:
        seen = [await guess(proxy, f"2001:db8:1:2:{n:x}::{n}") for n in range(4)]
        assert seen == [401, 401, 401, 429]
        assert await guess(proxy, "2001:db8:1:3::1") == 401
        # a client's own header before the proxy's: the proxy's counts
        assert await guess(proxy, "2001:db8:9:9::9", "2001:db8:1:2::ffff") == 429
    async with client_of(app, address="2001:db8:5:5::1") as direct:
        seen = [await guess(direct, f"2001:db8:7:{n}::1") for n in range(4)]
        assert seen == [401, 401, 401, 429]


@sqlite_only
async def test_a_success_frees_the_account_and_never_the_address(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=3, AUTH_LOGIN_MAX_PER_ADDRESS=8)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        answers = [await client.post("/auth/login", json=LOGIN) for _ in range(9)]
        assert [a.status_code for a in answers] == [200] * 8 + [429]


@sqlite_only
async def test_a_reset_opens_an_account_that_was_guessed_at(make_service, signed_up, mailbox):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=2)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        wrong = {**LOGIN, "password": "uma senha errada"}
        assert [(await client.post("/auth/login", json=wrong)).status_code for _ in range(3)] == [
            401, 401, 429,
        ]  # fmt: skip
        token = await reset_token(client, service, mailbox)
        confirm = {"token": token, "new_password": NEW_PASSWORD}
        await client.post("/auth/password-reset/confirm", json=confirm)
        right = {**LOGIN, "password": NEW_PASSWORD}
        assert (await client.post("/auth/login", json=right)).status_code == 200


@sqlite_only
async def test_a_stolen_login_guesses_the_password_no_more_often(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=3)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        stolen = bearer(await client.post("/auth/login", json=LOGIN))
        seen = []
        for n in range(4):
            change = {"current_password": f"uma senha errada {n}", "new_password": NEW_PASSWORD}
            answer = await client.post("/auth/password-change", json=change, headers=stolen)
            seen.append(answer.status_code)
        assert seen == [422, 422, 422, 429]
        wanted = {"new_email": "eve@example.com", "password": PASSWORD}
        answer = await client.post("/auth/email-change/request", json=wanted, headers=stolen)
        assert answer.status_code == 429


@sqlite_only
async def test_nobody_fills_anothers_mailbox(make_service, mailbox):
    logins, mails = throttled(AUTH_MAIL_MAX_PER_ACCOUNT=3)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        weak = {"email": EMAIL, "password": "12345678901234"}
        for _ in range(5):  # what is refused sends nothing, and counts nothing
            assert (await client.post("/auth/signup", json=weak)).status_code == 422
        answers = [
            await client.post("/auth/signup", json=LOGIN),
            *[await client.post("/auth/activation/resend", json={"email": EMAIL}) for _ in "12345"],
        ]
        assert [a.status_code for a in answers] == [202] * 3 + [429] * 3
        await service.outbox.drain()
        assert len(mailbox.mails) == 3


@sqlite_only
@pytest.mark.parametrize("path", ["/auth/signup", "/auth/activation/resend"])
async def test_no_stranger_keeps_the_owner_from_a_new_password(
    make_service, signed_up, mailbox, path
):
    logins, mails = throttled(AUTH_MAIL_MAX_PER_ACCOUNT=3)
    service = make_service(throttle=logins)
    app = app_of(service, mail_throttle=mails)
    async with client_of(app) as owner, client_of(app, address="198.51.100.7") as stranger:
        await signed_up(owner)
        spellings = (f" ANA@Example.com{' ' * (n % 3)}" for n in range(9))
        for email in spellings:
            await stranger.post(path, json={"email": email, "password": NEW_PASSWORD})
        flooded = await stranger.post(path, json=LOGIN)
        assert flooded.status_code == 429
        token = await reset_token(owner, service, mailbox)
        confirm = {"token": token, "new_password": NEW_PASSWORD}
        assert (await owner.post("/auth/password-reset/confirm", json=confirm)).status_code == 204


@sqlite_only
async def test_a_flood_of_resets_is_bounded_and_leaves_a_link_that_works(
    make_service, signed_up, mailbox
):
    logins, mails = throttled(AUTH_MAIL_MAX_PER_ACCOUNT=3, AUTH_MAIL_MAX_PER_ADDRESS=6)
    service = make_service(throttle=logins)
    app = app_of(service, mail_throttle=mails)
    async with client_of(app) as owner, client_of(app, address="198.51.100.7") as stranger:
        await signed_up(owner)
        path = "/auth/password-reset/request"
        seen = [(await stranger.post(path, json={"email": EMAIL})).status_code for _ in range(5)]
        assert seen == [202] * 3 + [429] * 2
        # one caller, whomever they ask for: five were counted above
        seen = [
            (await stranger.post(path, json={"email": f"u{n}@example.com"})).status_code
            for n in range(3)
        ]
        assert seen == [202] + [429] * 2
        # a name of an account cannot be that of another budget
        typed = {"email": f"reset {EMAIL}", "password": NEW_PASSWORD}
        assert (await owner.post("/auth/signup", json=typed)).status_code == 422
        await service.outbox.drain()
        assert mailbox.kinds(EMAIL).count("password_reset") == 3
        token = mailbox.token("password_reset", to=EMAIL)
        confirm = {"token": token, "new_password": NEW_PASSWORD}
        assert (await owner.post("/auth/password-reset/confirm", json=confirm)).status_code == 204


@sqlite_only
async def test_who_has_no_password_changes_the_address_soon_after_a_login(
    make_service, call, clock, db, mailbox
):
    """A stolen token of somebody who comes by a provider would be an account."""
    service = make_service(settings={"AUTH_RECENT_AUTH_SECONDS": 60})
    bia = await call("create_user", email="bia@example.com", on=service)
    pair = await call("begin_login", bia, amr=("fed",), on=service)
    wanted = {"new_email": "eve@example.com"}
    path = "/auth/email-change/request"
    async with client_of(app_of(service)) as client:
        clock.pass_seconds(61)
        # a token may be new and its login old
        again = await client.post("/auth/refresh", json={"refresh_token": pair.refresh_token})
        refused = await client.post(path, json=wanted, headers=bearer(again))
        assert refused.status_code == 401
        assert refused.json()["code"] == "INSUFFICIENT_USER_AUTHENTICATION"
        assert 'max_age="60"' in refused.headers["WWW-Authenticate"]
        await service.outbox.drain()
        assert mailbox.mails == []
        clock.pass_seconds(-61)  # the token is as it was, and so is its login
        asked = await client.post(path, json=wanted, headers=bearer(again))
        assert asked.status_code == 202
        await service.outbox.drain()
        assert mailbox.kinds("eve@example.com") == ["email_change"]


@sqlite_only
async def test_a_full_queue_of_passwords_is_a_503_and_no_attempt(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=2)
    service = make_service(throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        verify = service.hashing.verify_and_update

        async def busy(*arguments):
            raise HashingBusyException(retry_after_seconds=1)

        service.hashing.verify_and_update = busy
        try:
            answers = [await client.post("/auth/login", json=LOGIN) for _ in range(5)]
        finally:
            service.hashing.verify_and_update = verify
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].json()["code"] == "PASSWORD_HASHING_BUSY"
        assert answers[0].headers["Retry-After"] == "1"
        assert (await client.post("/auth/login", json=LOGIN)).status_code == 200


# --- the second factor


class Codes:
    """A second factor for everybody: one code, once."""

    def __init__(self):
        self.good = "492817"

    async def is_required(self, session, user):
        return True

    async def verify(self, session, user, code):
        return "otp" if code == self.good else None


@sqlite_only
async def test_a_second_factor_comes_after_the_password(make_service, signed_up):
    service = make_service(second_factor=Codes())
    async with client_of(app_of(service)) as client:
        await signed_up(client)
        login = await client.post("/auth/login", json=LOGIN)
        assert login.status_code == 200
        assert login.json()["mfa_required"] is True
        assert "access_token" not in login.json()
        token = login.json()["mfa_token"]
        wrong = await client.post("/auth/mfa", json={"mfa_token": token, "code": "000000"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "INVALID_CODE")
        right = {"mfa_token": token, "code": "492817"}
        done = await client.post("/auth/mfa", json=right)
        assert done.status_code == 200
        assert (await client.get("/auth/me", headers=bearer(done))).status_code == 200
        assert (await client.post("/auth/mfa", json=right)).status_code == 400


@sqlite_only
async def test_a_stolen_password_does_not_guess_codes_without_end(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=3)
    service = make_service(
        second_factor=Codes(), throttle=logins, settings={"AUTH_MFA_MAX_ATTEMPTS": 4}
    )
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        guesses = 0
        for _ in range(6):
            login = await client.post("/auth/login", json=LOGIN)
            if login.status_code == 429:
                continue
            token = login.json()["mfa_token"]
            for n in range(10):
                guess = {"mfa_token": token, "code": f"{n:06}"}
                answer = await client.post("/auth/mfa", json=guess)
                guesses += answer.status_code == 401
        assert guesses == 3 * 4


@sqlite_only
async def test_who_gives_the_right_code_is_not_counted_against(make_service, signed_up):
    logins, mails = throttled(AUTH_LOGIN_MAX_PER_ACCOUNT=2)
    service = make_service(second_factor=Codes(), throttle=logins)
    async with client_of(app_of(service, mail_throttle=mails)) as client:
        await signed_up(client)
        for _ in range(6):
            login = await client.post("/auth/login", json=LOGIN)
            shown = {"mfa_token": login.json()["mfa_token"], "code": "492817"}
            assert (await client.post("/auth/mfa", json=shown)).status_code == 200


# --- what else may be sent


@sqlite_only
@pytest.mark.parametrize(
    "token", ["", "x", "x" * 513, "é" * 40, "\0", "a.b.c", None, 7, ["x"], {"x": 1}]
)
async def test_a_token_that_is_none_is_refused(client, token):
    for path in ("activate", "email-change/confirm"):
        answer = await client.post(f"/auth/{path}", json={"token": token})
        assert answer.status_code in (400, 422), answer.text
    confirm = {"token": token, "new_password": NEW_PASSWORD}
    answer = await client.post("/auth/password-reset/confirm", json=confirm)
    assert answer.status_code in (400, 422)
    answer = await client.post("/auth/refresh", json={"refresh_token": token})
    assert answer.status_code in (401, 422)
    answer = await client.post("/auth/logout", json={"refresh_token": token})
    assert answer.status_code in (204, 422)


@sqlite_only
async def test_a_challenge_that_is_none_is_refused(make_service):
    async with client_of(app_of(make_service(second_factor=Codes()))) as client:
        for token in ("", "x", "x" * 513, "é" * 40, None, 7):
            answer = await client.post("/auth/mfa", json={"mfa_token": token, "code": "1"})
            assert answer.status_code in (400, 422)


@sqlite_only
async def test_routes_that_the_service_cannot_serve_are_not_there(make_service):
    async with client_of(app_of(make_service(refresh_model=None))) as client:
        for path in ("mfa", "refresh", "logout"):
            assert (await client.post(f"/auth/{path}", json={})).status_code == 404


@sqlite_only
async def test_mails_are_in_the_readers_language(client, mailbox, service):
    for n, (language, locale) in enumerate(
        [("pt-BR,pt;q=0.9,en;q=0.8", "pt"), ("fr, en;q=0.5", "en"), ("fr", "en"), ("", "en")]
    ):
        account = {"email": f"u{n}@example.com", "password": PASSWORD}
        headers = {"Accept-Language": language}
        await client.post("/auth/signup", json=account, headers=headers)
        await service.outbox.drain()
        assert mailbox.mails[-1].locale == locale, language


def test_a_manager_is_no_session_factory(service, db):
    with pytest.raises(TypeError, match=r"db\.session_dependency") as refused:
        make_auth_router(service, session_factory=db)
    assert "session_factory" in str(refused.value)
