"""The clients by themselves: discovery, endpoints, tokens, and what of the user is believed."""

from __future__ import annotations

import asyncio
import base64
import json
import logging

import httpx
import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from tijolo.auth.oauth import (
    GitHubOAuthClient,
    GoogleOAuthClient,
    OAuthClient,
    OAuthError,
    OAuthFlow,
    OAuthTokens,
    OAuthUnavailableError,
    OIDCProvider,
    ProviderMetadata,
    generate_oauth_state,
)
from tijolo.http import HTTPClient

SITE = "https://shop.example"
CLIENT = {"client_id": "the-client", "client_secret": "s3cret-that-nobody-sees"}


@pytest.fixture
def flow():
    return OAuthFlow.new()


async def exchanged(client, provider, flow):
    """The tokens of a login, without the routes."""
    async with httpx.AsyncClient() as outside:
        answer = await outside.get(await client.build_authorize_url(flow))
    back = dict(httpx.QueryParams(httpx.URL(answer.headers["location"]).query))
    return await client.exchange_code(await client.read_callback(back), flow=flow)


# Secrets and addresses


def test_states_are_fresh_and_long(flow):
    states = {generate_oauth_state() for _ in range(100)}
    assert {len(state) for state in states} == {43}
    assert len(states) == 100
    assert len(generate_oauth_state(16)) == 22
    with pytest.raises(ValueError, match="16"):
        generate_oauth_state(8)
    assert len({flow.state, flow.nonce, flow.code_verifier}) == 3


def test_the_example_of_the_standard():
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    flow = OAuthFlow(state="s" * 43, code_verifier=verifier, nonce="n" * 43)
    assert flow.code_challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_nothing_secret_is_shown(make_client, provider, flow):
    client = make_client(client_secret="s3cret-that-nobody-sees")
    tokens = await exchanged(client, provider, flow)
    user = await client.fetch_user(tokens)
    shown = repr((client, flow, tokens, user))
    for secret in (
        "s3cret-that-nobody-sees",
        flow.code_verifier,
        flow.nonce,
        flow.state,
        tokens.access_token,
        tokens.id_token,
        "ana@example.com",
    ):
        assert secret not in shown


@pytest.mark.parametrize(
    "name",
    [
        "client_id", "redirect_uri", "state", "nonce", "scope", "response_type", "response_mode",
        "code_challenge", "code_challenge_method", "request", "request_uri", "max_age",
    ],
)  # fmt: skip
async def test_reserved_parameters_are_the_clients_own(make_client, flow, name):
    with pytest.raises(ValueError, match=name):
        await make_client().build_authorize_url(flow, **{name: "https://evil.example"})


async def test_other_parameters_go_along(make_client, provider, flow, query_of):
    url = await make_client().build_authorize_url(flow, prompt="login", login_hint="a&b=c é")
    assert query_of(url)["prompt"] == "login"
    assert query_of(url)["login_hint"] == "a&b=c é"
    provider.metadata = {"authorization_endpoint": f"{provider.issuer}/authorize?realm=shop"}
    url = await make_client().build_authorize_url(flow)
    assert query_of(url)["realm"] == "shop"
    assert query_of(url)["state"] == flow.state


UNSAFE = [
    "http://issuer.example",
    "http://localhost:80@attacker.example",
    "https://localhost:80@attacker.example",
    "http://localhost.attacker.example",
    "http://127.0.0.1.attacker.example/",
    "https://user:password@issuer.example",
    "https://issuer.example\\@attacker.example",
    "https://issuer.example/#fragment",
    "https://",
    "https://issuer.example:99999",
    "https://issuer.example/ a",
    "https://issuer.example/\n",
    "https://isśuer.example",
    "javascript:alert(1)",
    "//issuer.example",
    "file:///etc/passwd",
    "https://issuer.example/" + "a" * 3000,
    "",
    None,
    7,
    [],
]


@pytest.mark.parametrize("url", UNSAFE, ids=repr)
def test_addresses_that_are_not_safe(url):
    with pytest.raises(ValueError, match=r"https|issuer"):
        OIDCProvider(issuer=url, **CLIENT, redirect_uri=f"{SITE}/callback")
    with pytest.raises(ValueError, match="redirect_uri"):
        GitHubOAuthClient(**CLIENT, redirect_uri=url)
    with pytest.raises(ValueError, match="api_url"):
        GitHubOAuthClient(**CLIENT, redirect_uri=f"{SITE}/callback", api_url=url)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"client_id": ""}, ValueError),
        ({"client_secret": ""}, ValueError),
        ({"scopes": ["email"]}, ValueError),
        ({"scopes": "openid email"}, TypeError),
        ({"provider_name": "../x"}, ValueError),
        ({"provider_name": ""}, ValueError),
        ({"issuer": "https://issuer.example?tenant=1"}, ValueError),
        ({"leeway_seconds": 10_000}, ValueError),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, error):
    given = {**CLIENT, "issuer": "https://issuer.example", "redirect_uri": f"{SITE}/cb", **options}
    with pytest.raises(error):
        OIDCProvider(**given)


async def test_by_default_the_own_network_is_not_asked(provider, flow, caplog):
    """A document, or whoever names an issuer, may not make us call ourselves."""
    client = OIDCProvider(issuer=provider.issuer, **CLIENT, redirect_uri=f"{SITE}/callback")
    with pytest.raises(OAuthError) as refused:
        await client.build_authorize_url(flow)
    assert not isinstance(refused.value, OAuthUnavailableError)
    assert "127.0.0.1" not in refused.value.message
    assert provider.asked == []
    await client.aclose()


# Discovery


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://issuer.example/token"},
        {"token_endpoint": "https://localhost:80@attacker.example/token"},
        {"authorization_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"userinfo_endpoint": ["https://issuer.example"]},
    ],
    ids=str,
)
async def test_a_document_that_is_wrong(make_client, provider, flow, change):
    provider.metadata = change
    with pytest.raises(OAuthError) as refused:
        await make_client().build_authorize_url(flow)
    assert "discovery" in str(refused.value)
    assert refused.value.status_code == 502


async def test_an_issuer_is_the_same_to_the_letter(make_client, provider, flow):
    """Discovery, 4.3: a slash at the end makes it another."""
    with pytest.raises(OAuthError, match="another issuer"):
        await make_client(issuer=f"{provider.issuer}/").build_authorize_url(flow)


async def test_an_issuer_with_a_path(make_client, provider, flow):
    provider.issuer += "/realms/shop"
    assert await make_client().build_authorize_url(flow)
    assert provider.times("/realms/shop/.well-known/openid-configuration") == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Response("<html>"),
        lambda: JSONResponse([]),
        lambda: JSONResponse({}, 404),
        lambda: Response("[" * 100_000),
        lambda: Response("x" * 1_000_000),
        lambda: Response(status_code=302, headers={"Location": "http://169.254.169.254/"}),
        lambda: Response(b"\xff\xfe"),
    ],
)
async def test_a_document_that_is_none(make_client, provider, flow, answer):
    provider.answers["/.well-known/openid-configuration"] = answer
    with pytest.raises(OAuthError):
        await make_client().build_authorize_url(flow)


async def test_the_document_is_fetched_once_for_all_who_wait(make_client, provider, flow):
    client = make_client()
    await asyncio.gather(*(client.build_authorize_url(flow) for _ in range(20)))
    assert provider.times("/.well-known/openid-configuration") == 1


async def test_a_document_that_cannot_be_read_again_goes_on(provider, http_client, caplog):
    from tijolo.auth.oauth.discovery import Discovery

    now = [0.0]
    discovery = Discovery(provider.issuer, http_client, clock=lambda: now[0])
    known = await discovery.get()
    provider.answers["/.well-known/openid-configuration"] = lambda: JSONResponse({}, 500)
    now[0] += 90_000
    with caplog.at_level(logging.WARNING, "tijolo.auth.oauth"):
        assert await discovery.get() == known
        assert await discovery.get() == known
    assert provider.times("/.well-known/openid-configuration") == 2
    (warning,) = [r.message for r in caplog.records if r.name == "tijolo.auth.oauth"]
    assert "(discovery: status 500); what it said before is used" in warning
    provider.answers.clear()
    provider.metadata = {"token_endpoint": f"{provider.issuer}/newer"}
    now[0] += 31
    assert (await discovery.get()).token_url.endswith("/newer")


async def test_metadata_instead_of_discovery(make_client, provider, flow):
    metadata = ProviderMetadata.from_document(provider.discovery(), issuer=provider.issuer)
    client = make_client(metadata=metadata)
    tokens = await exchanged(client, provider, flow)
    assert (await client.fetch_user(tokens)).subject == "248289761001"
    assert provider.times("/.well-known/openid-configuration") == 0
    with pytest.raises(ValueError, match="metadata"):
        make_client(issuer="https://issuer.example", metadata=metadata)


# Tokens


async def test_the_secret_goes_where_the_provider_takes_it(make_client, provider, flow):
    await exchanged(make_client(), provider, flow)
    scheme, pair = provider.forms[0]["authorization"].split()
    assert scheme == "Basic"
    # RFC 6749, 2.3.1
    assert base64.b64decode(pair) == b"the-client:s3cret%3Aof%2Fthe%2Bclient"
    assert "client_secret" not in provider.forms[0]

    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await exchanged(make_client(), provider, flow)
    assert provider.forms[1]["client_secret"] == "s3cret:of/the+client"
    assert provider.forms[1]["authorization"] == ""


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": "é"},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a" * 10_000},
        {"access_token": {"a": 1}},
        {"token_type": "mac"},
        {"token_type": None},
        {"error": "invalid_grant"},
        {"error": {"a": "database password"}},
        {"id_token": ["a"]},
    ],
    ids=lambda change: str(change)[:40],
)
async def test_tokens_that_are_none(make_client, provider, flow, change):
    provider.change_tokens = lambda tokens: {**tokens, **change}
    with pytest.raises(OAuthError) as refused:
        await exchanged(make_client(), provider, flow)
    assert "password" not in str(refused.value) + str(refused.value.details)


@pytest.mark.parametrize("answer", [[], "text", 7, None])
async def test_an_answer_that_is_no_object(make_client, provider, flow, answer):
    provider.change_tokens = lambda _: answer
    with pytest.raises(OAuthError):
        await exchanged(make_client(), provider, flow)


async def test_a_lifetime_that_is_none_is_left_out(make_client, provider, flow):
    for given, taken in ((60, 60), ("60", None), (-1, None), (True, None), (10**30, None)):
        provider.change_tokens = lambda tokens, given=given: {**tokens, "expires_in": given}
        assert (await exchanged(make_client(), provider, flow)).expires_in == taken


async def test_the_words_of_the_provider_reach_nobody(browser, provider, caplog):
    caplog.set_level(logging.DEBUG)
    body = {"error": "invalid_grant", "error_description": "code 4711 of client secret 0815"}
    provider.answers["/token"] = lambda: JSONResponse(body, 400)
    answer = await browser.whole_login()
    assert answer.status_code == 502
    assert "4711" not in answer.text + caplog.text


# What is believed of the user


@pytest.mark.parametrize(
    ("verified", "believed"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, False), (1, False),
     ("True", False), ([True], False)],
)  # fmt: skip
@pytest.mark.parametrize("in_id_token", [True, False])
async def test_an_address_is_verified_only_where_that_is_said(
    make_client, provider, flow, verified, believed, in_id_token
):
    provider.users["email_verified"] = verified
    provider.claims_in_id_token = in_id_token
    client = make_client()
    user = await client.fetch_user(await exchanged(client, provider, flow))
    assert (user.email, user.email_verified) == ("ana@example.com", believed)


async def test_an_address_and_its_verification_come_from_one_place(make_client, provider, flow):
    provider.claims_in_id_token = False
    provider.users["email_verified"] = False
    provider.change_claims = lambda claims: {**claims, "email_verified": True}
    client = make_client()
    user = await client.fetch_user(await exchanged(client, provider, flow))
    assert not user.email_verified


async def test_userinfo_of_another_user_is_refused(make_client, provider, flow):
    """OpenID Connect Core, 5.3.2."""
    provider.claims_in_id_token = False
    client = make_client()
    tokens = await exchanged(client, provider, flow)
    for body in ({**provider.users, "sub": "8"}, {"email": "boss@example.com"}, []):
        provider.answers["/userinfo"] = lambda body=body: JSONResponse(body)
        with pytest.raises(OAuthError):
            await client.fetch_user(tokens)


async def test_userinfo_is_not_asked_for_what_is_known(make_client, provider, flow):
    client = make_client()
    await client.fetch_user(await exchanged(client, provider, flow))
    assert provider.times("/userinfo") == 0


async def test_tokens_of_elsewhere_say_nothing_about_a_user(make_client):
    tokens = OAuthTokens(access_token="a", token_type="Bearer", id_token="a.b.c")
    with pytest.raises(ValueError, match="exchange_code"):
        await make_client().fetch_user(tokens)


async def test_what_is_no_text_is_left_out(make_client, provider, flow):
    provider.users |= {"name": {"a": 1}, "picture": 7, "email": "a" * 400}
    client = make_client()
    user = await client.fetch_user(await exchanged(client, provider, flow))
    assert (user.name, user.picture, user.email) == (None, None, None)


@pytest.mark.parametrize("text", ["a\0@example.com", "\ud800@example.com"])
async def test_text_that_no_answer_can_hold_is_left_out(make_client, provider, flow, text):
    """JSON can spell it; UTF-8 and databases cannot: each would be a 500 of ours."""
    provider.change_claims = lambda claims: {**claims, "email": text, "name": text, "picture": text}
    client = make_client()
    user = await client.fetch_user(await exchanged(client, provider, flow))
    assert (user.name, user.picture, user.email) == (None, None, None)


# Google: the same, at addresses that are fixed


class _Rerouted(httpx.AsyncBaseTransport):
    """What is meant for Google goes to the provider of the test, over a real connection."""

    def __init__(self, place):
        self.place = httpx.URL(place)
        self.inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request):
        request.url = request.url.copy_with(
            scheme="http", host=self.place.host, port=self.place.port
        )
        return await self.inner.handle_async_request(request)

    async def aclose(self):
        await self.inner.aclose()


@pytest.fixture
async def make_google(provider):
    place, google = provider.issuer, "https://accounts.google.com"
    provider.issuer = google
    async with HTTPClient(transport=lambda: _Rerouted(place)) as http_client:

        def make(**options):
            return GoogleOAuthClient(
                client_id="the-client",
                client_secret="s3cret",
                redirect_uri=f"{SITE}/oauth/google/callback",
                http_client=http_client,
                **options,
            )

        yield make, place


async def google_login(client, place, provider, flow):
    url = (await client.build_authorize_url(flow)).replace("https://accounts.google.com", place)
    async with httpx.AsyncClient() as outside:
        answer = await outside.get(url)
    back = dict(httpx.QueryParams(httpx.URL(answer.headers["location"]).query))
    return await client.exchange_code(await client.read_callback(back), flow=flow)


async def test_google(make_google, provider, flow):
    make, place = make_google
    client = make()
    tokens = await google_login(client, place, provider, flow)
    user = await client.fetch_user(tokens)
    assert (user.provider, user.subject, user.email_verified) == ("google", "248289761001", True)


async def test_googles_hosted_domain_is_checked_not_only_asked_for(
    make_google, provider, flow, query_of
):
    make, place = make_google
    client = make(hosted_domain="shop.example")
    assert query_of(await client.build_authorize_url(flow))["hd"] == "shop.example"
    with pytest.raises(OAuthError, match="hosted domain"):
        await google_login(client, place, provider, flow)
    provider.change_claims = lambda claims: {**claims, "hd": "shop.example"}
    assert await google_login(client, place, provider, flow)


@pytest.mark.parametrize(
    ("hd", "domains"),
    [(None, set()), ("Shop.example", {"shop.example"}), (7, set()), (["shop.example"], set()),
     ("", set())],
)  # fmt: skip
async def test_google_speaks_for_the_addresses_that_it_hands_out(
    make_google, provider, flow, hd, domains
):
    """Gmail's and those of the Workspace, not every address that somebody once had."""
    make, place = make_google
    client = make()
    provider.change_claims = lambda claims: {**claims, "hd": hd}
    user = await client.fetch_user(await google_login(client, place, provider, flow))
    assert user.email_verified
    assert user.email_domains == {"gmail.com", *domains}


async def test_an_issuer_speaks_for_the_domains_that_it_is_given(make_client, provider, flow):
    provider.change_claims = lambda claims: {**claims, "hd": "example.com"}  # Google's own claim
    for given, taken in ((), set()), (["Loja.example"], {"loja.example"}):
        client = make_client(email_domains=given)
        user = await client.fetch_user(await exchanged(client, provider, flow))
        assert user.email_domains == taken


@pytest.mark.parametrize(
    "domains", ["loja.example", ["*"], ["@loja.example"], [""], ["l\u00f6ja.de"]]
)
async def test_domains_that_are_none(make_client, domains):
    with pytest.raises((TypeError, ValueError), match="email_domains"):
        make_client(email_domains=domains)


# GitHub: OAuth 2.0 and an API


class GitHub:
    def __init__(self):
        self.user = {"id": 583231, "login": "ana", "name": None, "email": "public@example.com"}
        self.emails = (
            200,
            [
                {"email": "old@example.com", "primary": False, "verified": True},
                {"email": "ana@example.com", "primary": True, "verified": True},
            ],
        )
        self.token = (200, {"access_token": "gho_1", "token_type": "bearer", "scope": "a,b"})
        self.forms, self.headers = [], []

    def application(self):
        app = FastAPI()

        @app.post("/login/oauth/access_token")
        async def token(request: Request) -> Response:
            self.forms.append(dict(httpx.QueryParams((await request.body()).decode())))
            status, body = self.token
            return JSONResponse(body, status)

        @app.get("/api/v3/user")
        async def user(request: Request) -> Response:
            self.headers.append(request.headers)
            return JSONResponse(self.user)

        @app.get("/api/v3/user/emails")
        async def emails() -> Response:
            status, body = self.emails
            return JSONResponse(body, status)

        return app


@pytest.fixture
def github():
    return GitHub()


@pytest.fixture
def github_client(github, serve, http_client):
    url = serve(github.application())
    return GitHubOAuthClient(
        **CLIENT,
        redirect_uri=f"{SITE}/oauth/github/callback",
        http_client=http_client,
        web_url=url,
        api_url=f"{url}/api/v3",
    )


async def test_github(github, github_client, flow, query_of):
    url = await github_client.build_authorize_url(flow)
    assert query_of(url)["code_challenge"] == flow.code_challenge
    assert query_of(url)["scope"] == "read:user user:email"
    assert "nonce" not in query_of(url)
    # it says nothing of itself in the answer, and needs not
    code = await github_client.read_callback({"code": "c0de", "iss": "https://github.com"})
    tokens = await github_client.exchange_code(code, flow=flow)
    user = await github_client.fetch_user(tokens)
    assert (user.provider, user.subject) == ("github", "583231")
    assert (user.email, user.email_verified, user.name) == ("ana@example.com", True, "ana")
    assert github.forms[0] == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "redirect_uri": f"{SITE}/oauth/github/callback",
        "code_verifier": flow.code_verifier,
        "client_id": "the-client",
        "client_secret": "s3cret-that-nobody-sees",
    }
    assert github.headers[0]["authorization"] == "Bearer gho_1"


async def test_githubs_errors_come_with_200(github, github_client, flow):
    """A29."""
    github.token = (
        200,
        {"error": "bad_verification_code", "error_description": "The code passed is incorrect"},
    )
    with pytest.raises(OAuthError) as refused:
        await github_client.exchange_code("c0de", flow=flow)
    assert refused.value.status_code == 502
    assert "incorrect" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, [{"email": "a@example.com", "primary": True, "verified": False}]), False),
        ((200, [{"email": "a@example.com", "primary": False, "verified": True}]), False),
        ((200, [{"email": "a@example.com", "primary": "yes", "verified": "yes"}]), False),
        ((200, [None, 7, [], {}]), False),
        ((200, []), False),
        ((403, {"message": "Resource not accessible"}), False),
        ((404, {"message": "Not Found"}), False),
    ],
    ids=str,
)
async def test_an_address_that_github_did_not_verify(github, github_client, flow, answer, expected):
    github.emails = answer
    tokens = await github_client.exchange_code("c0de", flow=flow)
    user = await github_client.fetch_user(tokens)
    assert (user.email, user.email_verified) == ("public@example.com", expected)


@pytest.mark.parametrize("number", [None, "583231", True, 1.5, [1]])
async def test_an_account_without_a_number(github, github_client, flow, number):
    github.user["id"] = number
    tokens = await github_client.exchange_code("c0de", flow=flow)
    with pytest.raises(OAuthError):
        await github_client.fetch_user(tokens)


@pytest.mark.parametrize("status", [401, 500])
async def test_github_fails(github, github_client, flow, status):
    tokens = await github_client.exchange_code("c0de", flow=flow)
    github.emails = (status, {"message": "the provider's words"})
    with pytest.raises(OAuthError) as refused:
        await github_client.fetch_user(tokens)
    assert "words" not in json.dumps([str(refused.value), refused.value.details])


def test_a_provider_of_ones_own():
    """The base class has two methods to write."""
    assert OAuthClient.__abstractmethods__ == {"endpoints", "fetch_user"}
