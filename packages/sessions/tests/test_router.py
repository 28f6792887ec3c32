"""S8, S15-S17, S21: the routes to sign in and out, and the list of devices."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tijolo.core import TooManyRequestsException
from tijolo.sessions import (
    Attempt,
    InvalidCredentialsException,
    SessionAuth,
    SessionSettings,
    make_session_router,
)

PREFIX = "/auth/session"


# --- signing in


async def test_signing_in_answers_who_and_until_when(shop: Any) -> None:
    browser = shop.browser()
    answer = await shop.login(browser)
    assert answer.status_code == 200
    assert answer.json().keys() == {"user_id", "expires_at"}
    assert answer.json()["user_id"] == str(shop.ana.id)
    cookie = shop.cookie_of(answer)
    assert cookie["max-age"] == "86400"
    assert len(cookie["="]) == 43


@pytest.mark.parametrize(
    "body",
    [
        {"email": "ana@shop.example", "password": "wrong"},
        {"email": "nobody@shop.example", "password": "right"},
        {"email": "no address", "password": "right"},
        {"email": "ana@shop.example", "password": " right"},
        {"email": "\u0000", "password": "\u0000"},
    ],
)
async def test_every_wrong_sign_in_has_the_same_answer(shop: Any, body: Any) -> None:
    answer = await shop.browser().post(f"{PREFIX}/login", json=body)
    assert answer.status_code == 401
    assert answer.json()["code"] == "INVALID_CREDENTIALS"
    assert answer.json()["detail"] == "The credentials are not valid"
    assert answer.headers["www-authenticate"] == "Session"
    assert shop.cookie_of(answer) == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ana@shop.example"},
        {"email": "ana@shop.example", "password": ""},
        {"email": "", "password": "right"},
        {"email": "a" * 321, "password": "right"},
        {"email": "ana@shop.example", "password": "x" * 4097},
        {"email": ["ana@shop.example"], "password": "right"},
        {"email": "ana@shop.example", "password": "right", "user_id": "7"},
        {"email": "ana@shop.example", "password": "right", "remember": "perhaps"},
    ],
)
async def test_what_is_no_sign_in_is_422_and_shows_nothing(shop: Any, body: Any) -> None:
    answer = await shop.browser().post(f"{PREFIX}/login", json=body)
    assert answer.status_code == 422
    assert "right" not in answer.text


async def test_no_password_reaches_a_log_an_event_or_a_repr(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await shop.login(shop.browser(), password="hunter2-secret")
    attempt = Attempt(email="a", password="hunter2-secret", code="123456")
    assert "hunter2" not in caplog.text + repr(shop.events) + repr(attempt)


async def test_the_verifier_may_raise_its_own_refusal(make_shop: Any) -> None:
    class Refusing:
        async def authenticate(self, session: Any, *, email: str, password: str) -> Any:
            raise InvalidCredentialsException("Not today")

    shop = make_shop(options={"verifier": Refusing()})
    answer = await shop.login(shop.browser())
    assert (answer.status_code, answer.json()["detail"]) == (401, "Not today")
    assert [event.kind for event in shop.events] == ["login_failed"]


async def test_the_verifier_gets_what_the_session_factory_gives(make_shop: Any) -> None:
    seen: list[Any] = []

    class Seeing:
        async def authenticate(self, session: Any, *, email: str, password: str) -> Any:
            seen.append(session)

    async def database() -> Any:
        yield "a database session"

    shop = make_shop(options={"verifier": Seeing()})
    shop.app.include_router(
        make_session_router(shop.auth, session_factory=database, prefix="/other", tags=["x"])
    )
    body = {"email": "a@b.example", "password": "x"}
    await shop.browser().post("/other/login", json=body)
    await shop.browser().post(f"{PREFIX}/login", json=body)
    assert seen == ["a database session", None]


async def test_a_service_without_a_verifier_says_so(make_shop: Any) -> None:
    shop = make_shop(options={"verifier": None})
    with pytest.raises(RuntimeError, match="verifier="):
        await shop.login(shop.browser())


async def test_a_router_of_another_service_says_so(make_shop: Any, memory: Any) -> None:
    shop = make_shop()
    other = SessionAuth(store=memory, settings=SessionSettings(), verifier=shop.verifier)
    shop.app.include_router(make_session_router(other, prefix="/other"))
    body = {"email": "ana@shop.example", "password": "right"}
    with pytest.raises(RuntimeError, match="another SessionAuth"):
        await shop.browser().post("/other/login", json=body)


# --- S8: throttle, second factor


class Throttle:
    """Three attempts for each account; keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str | None]] = []

    async def reserve(self, account: str, *, address: str | None = None) -> None:
        self.told.append(("attempt", account, address))
        if sum(told[0] == "attempt" and told[1] == account for told in self.told) > 3:
            raise TooManyRequestsException(retry_after_seconds=60)

    async def succeeded(self, account: str) -> bool:
        self.told.append(("succeeded", account, None))
        return True


@pytest.mark.parametrize("where", ["argument", "verifier"])
async def test_an_attempt_is_counted_before_it_is_made(make_shop: Any, where: str) -> None:
    throttle = Throttle()
    shop = make_shop(options={"throttle": throttle})
    if where == "verifier":
        shop.verifier.throttle = throttle
        shop = make_shop(options={"verifier": shop.verifier})
    browser = shop.browser()
    spellings = ["Ana@Shop.example", " ana@shop.example", "ＡNA@shop.example"]
    for email in spellings:
        await shop.login(browser, email=email, password="wrong")
    answer = await shop.login(browser)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert shop.id_of(browser) is None
    assert {told[1] for told in throttle.told} == {"ana@shop.example"}
    assert {told[2] for told in throttle.told} == {"203.0.113.9"}
    assert "succeeded" not in {told[0] for told in throttle.told}

    await shop.login(browser, "bia")
    assert throttle.told[-1] == ("succeeded", "bia@shop.example", None)


class Codes:
    """Ana has a second factor whose code is 123456, once."""

    def __init__(self, ana: Any) -> None:
        self.ana, self.left = ana, ["123456"]

    async def is_required(self, session: Any, user: Any) -> bool:
        return user is self.ana()

    async def verify(self, session: Any, user: Any, code: str) -> str | None:
        if code not in self.left:
            return None
        self.left.remove(code)
        return "otp"


@pytest.mark.parametrize("where", ["argument", "verifier"])
async def test_whoever_has_a_second_factor_needs_its_code(make_shop: Any, where: str) -> None:
    shop = make_shop()
    codes = Codes(lambda: shop.ana)
    if where == "argument":
        shop = make_shop(options={"second_factor": codes})
    else:
        shop.verifier.second_factor = codes
        verifier = shop.verifier
        shop = make_shop(options={"verifier": verifier})
        shop.ana, shop.bia = verifier.users.values()

    wrong = await shop.login(shop.browser(), password="wrong", code="123456")
    assert wrong.json()["code"] == "INVALID_CREDENTIALS"
    missing = await shop.login(shop.browser())
    assert (missing.status_code, missing.json()["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    guessed = await shop.login(shop.browser(), code="000000")
    assert (guessed.status_code, guessed.json()["code"]) == (401, "INVALID_CREDENTIALS")
    assert (await shop.login(shop.browser(), "bia")).status_code == 200

    browser = shop.browser()
    assert (await shop.login(browser, code="123456")).status_code == 200
    assert (await browser.get("/orders")).json()["amr"] == ["pwd", "otp", "mfa"]
    replayed = await shop.login(shop.browser(), code="123456")
    assert replayed.json()["code"] == "INVALID_CREDENTIALS"


# --- S15: the routes protect themselves


CROSS_SITE = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://blog.shop.example"},
    {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "", "Origin": "null"},
    {"Sec-Fetch-Site": "", "Referer": "https://evil.example/form"},
    {"Sec-Fetch-Site": "", "Referer": "http://shop.example/form"},
    {"Sec-Fetch-Site": "", "Referer": "https://shop.example@evil.example/"},
    {"Sec-Fetch-Site": "", "Referer": "https://shop.example.evil.example/shop.example"},
    {"Sec-Fetch-Site": "", "Referer": "https://evil+shop.example/"},
    {"Sec-Fetch-Site": "", "Referer": "https://shop.example/", "Origin": "https://evil.example"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_another_sites_page_can_neither_sign_in_nor_out(shop: Any, headers: Any) -> None:
    browser = await shop.signed_in()
    before = shop.id_of(browser)
    sent = {k: v for k, v in headers.items() if v}
    if not headers["Sec-Fetch-Site"]:
        del browser.headers["Sec-Fetch-Site"]
    body = {"email": "bia@shop.example", "password": "right"}
    calls = [
        browser.post(f"{PREFIX}/login", json=body, headers=sent),
        browser.post(f"{PREFIX}/logout", headers=sent),
        browser.post(f"{PREFIX}/logout/all", headers=sent),
        browser.post(f"{PREFIX}/logout/others", headers=sent),
        browser.delete(f"{PREFIX}/anything", headers=sent),
        browser.post("/cart/1", headers=sent),
    ]
    for call in calls:
        answer = await call
        assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE_REQUEST")
        assert shop.cookie_of(answer) == {}
    assert shop.id_of(browser) == before
    assert (await browser.get("/orders")).status_code == 200


async def test_a_forged_page_of_the_plain_address_can_not_sign_in(shop: Any) -> None:
    """An old browser's, which says nothing but ``Origin``; who is on the way makes such a page."""
    body = {"email": "bia@shop.example", "password": "right"}
    for scheme, expected in (("https", 403), ("http", 200)):
        browser = shop.browser(scheme=scheme)
        del browser.headers["Sec-Fetch-Site"]
        sent = {"Origin": "http://shop.example"}
        answer = await browser.post(f"{PREFIX}/login", json=body, headers=sent)
        assert answer.status_code == expected


async def test_no_origin_is_not_the_own_one_where_no_host_is_named(shop: Any) -> None:
    browser = shop.browser()
    del browser.headers["Sec-Fetch-Site"]
    body = {"email": "bia@shop.example", "password": "right"}
    sent = {"Origin": "null", "Host": ""}
    assert (await browser.post(f"{PREFIX}/login", json=body, headers=sent)).status_code == 403


async def test_an_origin_that_is_trusted_may_write(make_shop: Any) -> None:
    shop = make_shop(SESSION_TRUSTED_ORIGINS=["https://app.shop.example"])
    browser = shop.browser(**{"Sec-Fetch-Site": "same-site", "Origin": "https://app.shop.example"})
    assert (await shop.login(browser)).status_code == 200


async def test_an_old_browser_that_says_only_where_it_was_may_write(make_shop: Any) -> None:
    shop = make_shop(SESSION_TRUSTED_ORIGINS=["https://app.shop.example"])
    for page in ("https://shop.example/sign-in?next=/", "https://app.shop.example/"):
        browser = shop.browser()
        del browser.headers["Sec-Fetch-Site"]
        browser.headers["Referer"] = page
        assert (await shop.login(browser)).status_code == 200
        assert (await browser.post("/cart/1")).status_code == 200


async def test_the_own_port_may_be_named_or_not(shop: Any) -> None:
    browser = shop.browser(Origin="https://shop.example", Host="shop.example:443")
    del browser.headers["Sec-Fetch-Site"]
    assert (await shop.login(browser)).status_code == 200


async def test_a_program_without_a_page_may_write(shop: Any) -> None:
    browser = shop.browser()
    del browser.headers["Sec-Fetch-Site"]
    assert (await shop.login(browser)).status_code == 200


# --- signing out


async def test_signing_out_ends_this_session_alone(shop: Any) -> None:
    here, there = await shop.signed_in(), await shop.signed_in()
    value = shop.id_of(here)
    answer = await here.post(f"{PREFIX}/logout")
    assert answer.status_code == 204
    assert await shop.auth.resolve(value) is None
    assert (await there.get(f"{PREFIX}/me")).status_code == 200
    assert (await here.post(f"{PREFIX}/logout")).status_code == 204


async def test_signing_out_everywhere_and_everywhere_else(shop: Any) -> None:
    first, second, third = [await shop.signed_in() for _ in range(3)]
    stranger = await shop.signed_in("bia")
    answer = await second.post(f"{PREFIX}/logout/others")
    assert answer.json() == {"revoked": 2}
    states = [(await b.get(f"{PREFIX}/me")).status_code for b in (first, second, third, stranger)]
    assert states == [401, 200, 401, 200]

    fourth = await shop.signed_in()
    assert (await fourth.post(f"{PREFIX}/logout/all")).json() == {"revoked": 2}
    states = [(await b.get(f"{PREFIX}/me")).status_code for b in (second, fourth, stranger)]
    assert states == [401, 401, 200]
    assert shop.id_of(fourth) is None
    assert (await fourth.post(f"{PREFIX}/logout/all")).status_code == 401


async def test_signing_out_while_the_store_is_down_is_not_believed(shop: Any) -> None:
    browser = await shop.signed_in()
    shop.store.down = True
    answer = await browser.post(f"{PREFIX}/logout")
    assert answer.status_code == 503
    assert shop.id_of(browser) is not None


# --- S17, S21, S16: who, where, and ending one


async def test_me_says_no_more_than_it_must(shop: Any) -> None:
    answer = await (await shop.signed_in()).get(f"{PREFIX}/me")
    assert answer.json().keys() == {"user_id", "expires_at"}
    assert (await shop.browser().get(f"{PREFIX}/me")).status_code == 401


async def test_the_list_of_devices(shop: Any) -> None:
    iphone = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
        " (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
    )
    phone = await shop.signed_in(headers={"User-Agent": iphone}, remember=True)
    shop.clock.advance(100)
    desktop = await shop.signed_in()
    await shop.signed_in("bia")
    answer = await desktop.get(f"{PREFIX}/list")
    here, there = answer.json()

    assert (here["device_type"], here["os"], here["browser"]) == ("desktop", "Linux", "Chrome")
    assert (there["device_type"], there["os"], there["browser"]) == ("mobile", "iOS", "Safari")
    assert [line["is_current"] for line in (here, there)] == [True, False]
    assert [line["remember"] for line in (here, there)] == [False, True]
    assert {line["ip"] for line in (here, there)} == {"203.0.113.9"}
    for secret in (shop.id_of(phone), shop.id_of(desktop)):
        session = await shop.auth.resolve(secret)
        assert secret not in answer.text
        assert session.session_id not in answer.text
        assert session.session_id[:8] not in answer.text


@pytest.mark.parametrize(
    ("agent", "kept"),
    [("x" * 60_000, "x" * 256), ("", None), ("Mozilla/5.0 \xe9\xff", "Mozilla/5.0 \xe9\xff")],
)
async def test_a_user_agent_is_cut(shop: Any, agent: str, kept: str | None) -> None:
    browser = shop.browser()
    body = {"email": "ana@shop.example", "password": "right"}
    headers = {"User-Agent": agent.encode("latin-1")}
    await browser.post(f"{PREFIX}/login", json=body, headers=headers)
    (line,) = (await browser.get(f"{PREFIX}/list")).json()
    assert line["user_agent"] == kept


@pytest.mark.parametrize(
    ("proxies", "expected"), [(["203.0.113.9"], "198.51.100.7"), (None, "203.0.113.9")]
)
async def test_the_address_is_the_clients_past_trusted_proxies_only(
    make_shop: Any, proxies: Any, expected: str
) -> None:
    shop = make_shop(proxies=proxies)
    headers = {"X-Forwarded-For": "10.9.8.7, 198.51.100.7", "X-Forwarded-Proto": "https"}
    browser = await shop.signed_in(headers=headers)
    (line,) = (await browser.get(f"{PREFIX}/list")).json()
    assert line["ip"] == expected


async def test_one_device_is_ended_by_its_exact_public_id(shop: Any) -> None:
    here, there = await shop.signed_in(), await shop.signed_in()
    lines = (await here.get(f"{PREFIX}/list")).json()
    other = next(line["id"] for line in lines if not line["is_current"])
    for wrong in (other[:1], other[:-1], other + "a", other.swapcase(), "a", "%00", "é" * 20):
        answer = await here.delete(f"{PREFIX}/{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")
    assert len((await here.get(f"{PREFIX}/list")).json()) == 2

    answer = await here.delete(f"{PREFIX}/{other}")
    assert answer.status_code == 204
    assert shop.cookie_of(answer) == {}
    assert (await there.get(f"{PREFIX}/me")).status_code == 401
    assert (await here.get(f"{PREFIX}/me")).status_code == 200


async def test_ones_own_device_is_signed_out_with_its_cookie(shop: Any) -> None:
    browser = await shop.signed_in()
    (line,) = (await browser.get(f"{PREFIX}/list")).json()
    answer = await browser.delete(f"{PREFIX}/{line['id']}")
    assert (answer.status_code, shop.cookie_of(answer)["max-age"]) == (204, "0")


async def test_nobody_ends_another_users_device(shop: Any) -> None:
    victim, attacker = await shop.signed_in("ana"), await shop.signed_in("bia")
    (line,) = (await victim.get(f"{PREFIX}/list")).json()
    assert (await attacker.delete(f"{PREFIX}/{line['id']}")).status_code == 404
    assert (await victim.get(f"{PREFIX}/me")).status_code == 200


async def test_two_who_end_one_device_at_once(shop: Any) -> None:
    first, second, third = [await shop.signed_in() for _ in range(3)]
    lines = (await first.get(f"{PREFIX}/list")).json()
    session = await shop.auth.resolve(shop.id_of(third))
    assert session.public_id in {line["id"] for line in lines}
    path = f"{PREFIX}/{session.public_id}"
    answers = await asyncio.gather(first.delete(path), second.delete(path))
    assert sorted(answer.status_code for answer in answers) == [204, 404]


# --- must 38: events


async def test_events_tell_a_sessions_life_and_nothing_worth_stealing(shop: Any) -> None:
    await shop.login(shop.browser(), password="wrong")
    browser, other = await shop.signed_in(), await shop.signed_in()
    await browser.post("/step-up")
    await browser.post("/become-seller")
    lines = (await browser.get(f"{PREFIX}/list")).json()
    await browser.delete(f"{PREFIX}/{next(x['id'] for x in lines if not x['is_current'])}")
    await browser.post(f"{PREFIX}/logout")
    last = await shop.signed_in()
    await last.post(f"{PREFIX}/logout/all")

    assert [event.kind for event in shop.events] == [
        *("login_failed", "login", "login", "stepped_up", "rotated", "revoked", "logout"),
        *("login", "revoked_all"),
    ]
    failed, made = shop.events[:2]
    assert (failed.user_id, failed.details) == (None, {"code": "INVALID_CREDENTIALS"})
    assert (made.user_id, made.ip) == (shop.ana.id, "203.0.113.9")
    assert made.user_agent.startswith("Mozilla/5.0")
    told = repr(shop.events)
    for name in (browser, other, last):
        assert (shop.id_of(name) or "nothing") not in told


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_listener_that_fails_signs_nobody_out(
    make_shop: Any, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    async def later(event: Any) -> None:
        raise ConnectionError("the broker is down")

    def now(event: Any) -> None:
        raise ConnectionError("the broker is down")

    shop = make_shop(options={"on_event": later if asynchronous else now})
    assert (await shop.login(shop.browser())).status_code == 200
    assert "a listener of session events failed at login" in caplog.text
