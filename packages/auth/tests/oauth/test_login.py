"""The whole way through the two routes, and every way in which a login comes back wrong."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from http.cookies import SimpleCookie

import httpx
import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tijolo.auth import TokenKey
from tijolo.auth.oauth import MemoryUsedStates, OAuthLogins, UnsafeReturnException

SITE = "https://shop.example"
STATE_SECRET = "a-secret-that-seals-the-logins-under-way-0001"


def code_of(answer):
    return answer.status_code, answer.json().get("code") or answer.json().get("detail")


async def test_a_login_goes_there_and_back(browser, provider, query_of):
    page = await browser.start(return_to="/orders?page=2")
    query = query_of(page)
    assert page.copy_with(query=None) == f"{provider.issuer}/authorize"
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert query["scope"] == "openid email profile"
    assert len(query["nonce"]) == len(query["state"]) == 43

    answer = await browser.come_back(await browser.log_in(page))
    assert answer.json() == {
        "provider": "oidc",
        "subject": "248289761001",
        "email": "ana@example.com",
        "email_verified": True,
        "name": "Ana",
        "return_to": "/orders?page=2",
        "begun_by": None,
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    # A28: the verifier went to the token endpoint, the challenge before it
    verifier = provider.forms[0]["code_verifier"]
    digest = hashlib.sha256(verifier.encode()).digest()
    assert urlsafe_b64encode(digest).rstrip(b"=").decode() == query["code_challenge"]


async def test_the_cookie_is_for_this_host_alone_and_gone_afterwards(browser):
    answer = await browser.site.get("/oauth/oidc/start")
    ((name, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name.startswith("__Host-oauth-")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("lax", "/", "600")
    assert answer.headers["cache-control"] == "no-store"
    callback = await browser.log_in(httpx.URL(answer.headers["location"]))
    await browser.come_back(callback)
    assert name not in browser.site.cookies


async def test_secrets_of_a_login_are_neither_in_the_cookie_nor_in_the_address(browser, provider):
    answer = await browser.site.get("/oauth/oidc/start")
    await browser.come_back(await browser.log_in(httpx.URL(answer.headers["location"])))
    verifier = provider.forms[0]["code_verifier"]
    assert verifier not in answer.headers["set-cookie"]
    assert verifier not in answer.headers["location"]


async def test_two_tabs_do_not_disturb_each_other(browser):
    first, second = await browser.start(return_to="/one"), await browser.start(return_to="/two")
    later = await browser.come_back(await browser.log_in(second))
    sooner = await browser.come_back(await browser.log_in(first))
    assert (sooner.json()["return_to"], later.json()["return_to"]) == ("/one", "/two")


async def test_a_browser_has_five_logins_under_way_and_the_oldest_gives_way(browser):
    pages = [await browser.start(return_to=f"/{number}") for number in range(7)]
    assert len(browser.site.cookies) == 5
    assert (await browser.come_back(await browser.log_in(pages[6]))).status_code == 200
    assert (await browser.come_back(await browser.log_in(pages[0]))).status_code == 400


async def test_the_state_of_another_browser_is_refused(browser, site, make_browser, provider):
    callback = await browser.log_in(await browser.start())
    victim = make_browser(site)
    await victim.start()  # it has a login of its own under way
    answer = await victim.come_back(callback)
    assert answer.status_code == 400
    assert provider.times("/token") == 0


async def test_a_state_that_was_never_given_is_refused(browser, provider):
    await browser.start()
    for state in ("x" * 43, "", "é" * 43, "a" * 5000, "../../etc", "0\x00" * 20):
        answer = await browser.site.get(
            "/oauth/oidc/callback", params={"state": state, "code": "c", "iss": provider.issuer}
        )
        assert answer.status_code == 400
    assert (await browser.site.get("/oauth/oidc/callback?code=c")).status_code == 400
    assert provider.times("/token") == 0


async def test_a_state_is_good_for_one_return(browser, provider):
    callback = await browser.log_in(await browser.start())
    cookies = dict(browser.site.cookies)
    assert (await browser.come_back(callback)).status_code == 200
    browser.site.cookies.update(cookies)  # a copy was kept
    assert (await browser.come_back(callback)).status_code == 400
    assert provider.times("/token") == 1


async def test_of_twenty_returns_at_once_one_is_taken(browser, provider):
    callback = await browser.log_in(await browser.start())
    answers = await asyncio.gather(*(browser.come_back(callback) for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [400] * 19
    assert provider.times("/token") == 1


async def test_a_login_that_takes_too_long_is_over(make_client, make_site, make_browser, provider):
    now = [1_800_000_000.0]
    browser = make_browser(make_site(make_client(), ttl_seconds=60, clock=lambda: now[0]))
    callback = await browser.log_in(await browser.start())
    now[0] += 62
    assert (await browser.come_back(callback)).status_code == 400
    assert provider.times("/token") == 0


@pytest.mark.parametrize("name", ["state", "code", "iss", "error"])
async def test_a_parameter_that_is_there_twice_is_refused(browser, provider, name):
    callback = await browser.log_in(await browser.start())
    answer = await browser.come_back(f"{callback}&{name}=a&{name}=b")
    assert answer.status_code == 400
    assert provider.times("/token") == 0


async def test_a_cookie_that_was_changed_is_no_cookie(browser):
    callback = await browser.log_in(await browser.start())
    ((name, sealed),) = browser.site.cookies.items()
    flipped = sealed[:60] + ("A" if sealed[60] != "A" else "B") + sealed[61:]
    for forged in (flipped, sealed[:40], "x", "é", "A" * 3500):
        browser.site.cookies.clear()
        header = f"{name}={forged}".encode()
        answer = await browser.site.get(callback, headers={b"cookie": header})
        assert answer.status_code == 400


async def test_the_cookie_of_one_login_is_not_that_of_another(browser, provider):
    await browser.start()
    ((_, sealed),) = browser.site.cookies.items()
    callback = await browser.log_in(await browser.start())
    (other,) = (name for name, value in browser.site.cookies.items() if value != sealed)
    browser.site.cookies.clear()
    answer = await browser.site.get(callback, headers={"cookie": f"{other}={sealed}"})
    assert answer.status_code == 400
    assert provider.times("/token") == 0


async def test_secrets_are_changed_without_losing_logins(make_client, make_site, make_browser):
    client, old, new = make_client(), "o" * 40, "n" * 40
    browser = make_browser(make_site(client, secret=old))
    callback = await browser.log_in(await browser.start())
    for secret, status in ((new, 400), ([new, old], 200)):
        other = make_browser(make_site(client, secret=secret))
        other.site.cookies = browser.site.cookies
        assert (await other.come_back(callback)).status_code == status


# A provider's answer that is not the one to this question


async def test_a_login_at_one_provider_does_not_end_at_another(
    make_client, make_site, make_browser, provider
):
    site = make_site(make_client("honest"), make_client("other"))
    browser = make_browser(site)
    callback = await browser.log_in(await browser.start("honest"))
    swapped = callback.replace("/honest/", "/other/")
    assert (await browser.come_back(swapped)).status_code == 400
    assert provider.times("/token") == 0


@pytest.mark.parametrize("issuer", ["https://attacker.example", "", None])
async def test_an_answer_of_another_issuer_is_refused(browser, provider, issuer):
    """RFC 9207: in a mix-up the code of one issuer is sent to the token endpoint of another."""

    def change(parameters):
        changed = {**parameters, "iss": issuer}
        return {name: value for name, value in changed.items() if value is not None}

    provider.change_redirect = change
    answer = await browser.whole_login()
    assert code_of(answer)[0] == 502
    assert provider.times("/token") == 0


async def test_an_issuer_that_promises_no_iss_may_leave_it_out(browser, provider):
    provider.metadata = {"authorization_response_iss_parameter_supported": False}
    provider.change_redirect = lambda parameters: {**parameters, "iss": "https://evil.example"}
    assert (await browser.whole_login()).status_code == 502
    provider.change_redirect = lambda p: {name: p[name] for name in ("code", "state")}
    assert (await browser.whole_login()).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("access_denied", 403),
        ("temporarily_unavailable", 503),
        ("server_error", 503),
        ("invalid_scope", 502),
        ("<script>alert(1)</script>", 502),
    ],
)
async def test_an_error_comes_back_as_one_of_ours(browser, provider, error, status):
    provider.change_redirect = lambda p: {
        "error": error,
        "error_description": "<b>call 0800 to verify your card</b>",
        "state": p["state"],
        "iss": provider.issuer,
    }
    answer = await browser.whole_login()
    assert answer.status_code == status
    assert "0800" not in answer.text
    assert "script" not in answer.text
    assert provider.times("/token") == 0


async def test_an_error_can_be_answered_for_people(make_client, make_site, make_browser, provider):
    async def on_error(request, error):
        return RedirectResponse(f"/login?problem={error.code}", 303)

    browser = make_browser(make_site(make_client(), on_error=on_error))
    provider.change_redirect = lambda p: {**p, "error": "access_denied"}
    answer = await browser.whole_login()
    assert answer.headers["location"] == "/login?problem=OAUTH_DENIED"
    assert (await browser.come_back("/oauth/oidc/callback?state=")).status_code == 303


@pytest.mark.parametrize("code", ["", "a b", "é", "\x00", "c" * 9000])
async def test_a_code_that_is_none_is_not_sent_anywhere(browser, provider, code):
    provider.change_redirect = lambda parameters: {**parameters, "code": code}
    assert (await browser.whole_login()).status_code == 502
    assert provider.times("/token") == 0


async def test_a_code_that_was_used_gives_nothing(browser, provider):
    """The provider says so; the second login has a state and a verifier of its own."""
    first = await browser.log_in(await browser.start())
    assert (await browser.come_back(first)).status_code == 200
    used = dict(httpx.QueryParams(httpx.URL(first).query))["code"]
    provider.change_redirect = lambda parameters: {**parameters, "code": used}
    assert (await browser.whole_login()).status_code == 502


async def test_a_stolen_code_is_worth_nothing_in_the_thiefs_own_login(browser, provider):
    """PKCE: the code of the victim's login goes with the verifier of the thief's."""
    stolen = dict(httpx.QueryParams(httpx.URL(await browser.log_in(await browser.start())).query))
    provider.change_redirect = lambda parameters: {**parameters, "code": stolen["code"]}
    assert (await browser.whole_login()).status_code == 502


# Where the user goes afterwards


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "localhost:80@attacker.example",
        "@attacker.example",
        "",
        " /orders",
        "/é",
        "/" + "a" * 600,
    ],
)
async def test_nobody_is_sent_to_another_site(browser, path):
    answer = await browser.site.get("/oauth/oidc/start", params={"return_to": path})
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert UnsafeReturnException.status_code == 400


# A provider, or a store, that is down


async def test_a_provider_may_change_its_keys_between_two_logins(browser, provider):
    """OpenID Connect Core, 10.1.1. The second was a 502 for ten seconds."""
    for kid in ("k1", "k2"):
        provider.key = TokenKey.generate("ES256", kid=kid)
        assert (await browser.whole_login()).status_code == 200
    assert provider.times("/jwks") == 2


async def test_a_provider_that_is_down_before_the_login(browser, provider):
    provider.answers["/.well-known/openid-configuration"] = lambda: JSONResponse({}, 503)
    answer = await browser.site.get("/oauth/oidc/start")
    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
    provider.answers.clear()
    assert (await browser.whole_login()).status_code == 200


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_provider_that_goes_down_half_way(browser, provider, path, status):
    provider.claims_in_id_token = False
    provider.answers[path] = lambda: JSONResponse({"secret": "of the provider"}, status)
    callback = await browser.log_in(await browser.start())
    answer = await browser.come_back(callback)
    assert answer.status_code == 503
    assert "of the provider" not in answer.text
    # the code may be spent: the same return is not tried again
    provider.answers.clear()
    assert (await browser.come_back(callback)).status_code == 400


async def test_a_provider_that_refuses_connections(make_site, make_browser, make_client, provider):
    from tijolo.auth.oauth import ProviderMetadata

    nowhere = "http://127.0.0.1:9"
    metadata = ProviderMetadata(
        issuer=provider.issuer,
        authorize_url=f"{provider.issuer}/authorize",
        token_url=f"{nowhere}/token",
        jwks_url=f"{nowhere}/jwks",
    )
    browser = make_browser(make_site(make_client(metadata=metadata)))
    assert (await browser.whole_login()).status_code == 503


async def test_while_used_states_cannot_be_remembered_nobody_comes_in(
    make_client, make_site, make_browser, provider, caplog
):
    class Down:
        async def claim(self, state_id, *, ttl_seconds):
            raise ConnectionError("redis://user:password@host")

    browser = make_browser(make_site(make_client(), used=Down()))
    answer = await browser.whole_login()
    assert answer.status_code == 503
    assert provider.times("/token") == 0
    assert "password" not in caplog.text


async def test_a_full_memory_of_used_states_refuses_and_forgets_nothing(
    make_client, make_site, make_browser
):
    now = [0.0]
    used = MemoryUsedStates(max_entries=2, clock=lambda: now[0])
    browser = make_browser(make_site(make_client(), used=used))
    answers = [(await browser.whole_login()).status_code for _ in range(3)]
    assert answers == [200, 200, 503]
    now[0] += 700
    assert (await browser.whole_login()).status_code == 200


# Wrong use


async def test_an_unknown_provider_is_a_404(browser):
    assert (await browser.site.get("/oauth/nobody/start")).status_code == 404
    assert (await browser.site.get("/oauth/nobody/callback")).status_code == 404


def test_clients_need_names_and_addresses_of_their_own(make_client):
    for clients in (
        [make_client(), make_client()],
        [make_client("a"), make_client("b", redirect_uri=f"{SITE}/oauth/a/callback")],
    ):
        with pytest.raises(ValueError, match="of its own"):
            OAuthLogins(clients, secret=STATE_SECRET)


@pytest.mark.parametrize("secret", ["", "short", [], ["s" * 40, "short"]])
def test_a_short_secret_is_refused(make_client, secret):
    with pytest.raises(ValueError, match="secret") as refused:
        OAuthLogins([make_client()], secret=secret)
    assert "short" not in str(refused.value).replace("shorter", "")


async def test_settings_say_it(make_client, make_site, make_browser, monkeypatch):
    from tijolo.auth.oauth import OAuthSettings

    monkeypatch.setenv("OAUTH_STATE_SECRET", STATE_SECRET)
    monkeypatch.setenv("OAUTH_STATE_TTL_SECONDS", "120")
    monkeypatch.setenv("OAUTH_COOKIE_SECURE", "false")
    logins = OAuthLogins.from_settings(OAuthSettings(), [make_client()])
    request, response = Request({"type": "http", "headers": []}), Response()
    await logins.begin(request, response, "oidc")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("oauth-")
    assert "Max-Age=120" in cookie
    assert "Secure" not in cookie
    monkeypatch.delenv("OAUTH_STATE_SECRET")
    with pytest.raises(ValueError, match="32 bytes"):
        OAuthLogins.from_settings(OAuthSettings(), [make_client()])


async def test_it_is_a_resource(make_client):
    from tijolo.core import Resource

    logins = OAuthLogins([make_client()], secret=STATE_SECRET)
    assert isinstance(logins, Resource)
    await logins.connect()
    assert await logins.health_check()
    await logins.disconnect()
