"""Logins at oidc-provider, a certified provider that is not ours, through our two routes."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from tijolo.auth.oauth import OAuthError, OAuthFlow, OAuthLogins, OIDCProvider, make_oauth_router
from tijolo.http import HTTPClient

pytestmark = pytest.mark.oidc
SITE = "https://shop.example"
CALLBACK = f"{SITE}/oauth/real/callback"


@pytest.fixture
async def http_client():
    async with HTTPClient() as client:
        yield client


@pytest.fixture
def register(oidc_url, http_client):
    """A client of its own at the provider (RFC 7591)."""

    async def make(**metadata):
        asked = {"redirect_uris": [CALLBACK], **metadata}
        answer = await http_client.post(f"{oidc_url}/reg", json=asked)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return OIDCProvider(
            issuer=oidc_url,
            client_id=made["client_id"],
            client_secret=made["client_secret"],
            redirect_uri=CALLBACK,
            provider_name="real",
            http_client=http_client,
        )

    return make


class Person:
    """A browser, and who sits before it: it fills in the provider's forms."""

    def __init__(self, client):
        logins = OAuthLogins([client], secret="a-secret-that-seals-the-logins-under-way-0001")
        app = FastAPI()
        app.include_router(make_oauth_router(logins, on_login=self._on_login))
        transport = httpx.ASGITransport(app=app)
        self.ours = httpx.AsyncClient(transport=transport, base_url=SITE)
        self.theirs = httpx.AsyncClient()

    @staticmethod
    async def _on_login(request, login):
        user = login.user
        return JSONResponse([user.subject, user.email, user.email_verified, user.name])

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.ours.aclose()
        await self.theirs.aclose()

    async def start(self):
        answer = await self.ours.get("/oauth/real/start")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def log_in(self, page, name):
        """The address of our callback to which the provider sends the browser in the end."""
        for _ in range(12):
            answer = await self.theirs.get(page)
            while answer.status_code in (302, 303):
                page = str(answer.url.join(answer.headers["location"]))
                if page.startswith(SITE):
                    return page
                answer = await self.theirs.get(page)
            assert answer.status_code == 200, answer.text
            page = str(await self._fill_in(answer, name))
            if page.startswith(SITE):
                return page
        raise AssertionError("the provider asks without end")

    async def _fill_in(self, answer, name):
        if name is None:
            return answer.url.join(re.search(r'href="([^"]+/abort)"', answer.text)[1])
        action = answer.url.join(re.search(r'action="([^"]+)"', answer.text)[1])
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
        form = {"prompt": prompt, "login": name, "password": "any"}
        done = await self.theirs.post(action, data=form)
        return done.url.join(done.headers["location"])

    async def whole_login(self, name):
        return await self.ours.get(await self.log_in(await self.start(), name))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_login(register, algorithm):
    async with Person(await register(id_token_signed_response_alg=algorithm)) as person:
        answer = await person.whole_login("ana")
        assert answer.json() == ["ana", "ana@example.com", True, "User ana"]


async def test_the_secret_in_the_form(register):
    """It supports both; a client may be registered for one alone."""
    client = await register(token_endpoint_auth_method="client_secret_basic")
    async with Person(client) as person:
        assert (await person.whole_login("ana")).status_code == 200


async def test_an_address_that_is_not_verified(register):
    async with Person(await register()) as person:
        answer = await person.whole_login("unverified")
        assert answer.json()[1:3] == ["unverified@example.com", False]


async def test_a_user_who_says_no(register):
    async with Person(await register()) as person:
        answer = await person.whole_login(None)
        assert (answer.status_code, answer.json()["detail"]) == (
            403,
            "The login was refused at the other service",
        )


async def test_the_same_return_twice(register):
    async with Person(await register()) as person:
        callback = await person.log_in(await person.start(), "ana")
        cookies = dict(person.ours.cookies)
        assert (await person.ours.get(callback)).status_code == 200
        person.ours.cookies.update(cookies)
        assert (await person.ours.get(callback)).status_code == 400


async def test_a_code_is_taken_once_and_only_with_its_verifier(register):
    client = await register()
    async with Person(client) as person:
        callback = await person.log_in(await person.start(), "ana")
        back = dict(httpx.QueryParams(httpx.URL(callback).query))
        code = await client.read_callback(back)
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.exchange_code(code, flow=OAuthFlow.new())

        flow = OAuthFlow.new()
        url = await client.build_authorize_url(flow)
        back = dict(httpx.QueryParams(httpx.URL(await person.log_in(url, "ana")).query))
        tokens = await client.exchange_code(await client.read_callback(back), flow=flow)
        assert tokens.claims["sub"] == "ana"
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.exchange_code(back["code"], flow=flow)


async def test_a_token_for_another_login_is_not_for_this_one(register):
    """The nonce: everything else is right."""
    client = await register()
    async with Person(client) as person:
        flow = OAuthFlow.new()
        url = await client.build_authorize_url(flow)
        back = dict(httpx.QueryParams(httpx.URL(await person.log_in(url, "ana")).query))
        other = OAuthFlow(
            state=flow.state, code_verifier=flow.code_verifier, nonce=OAuthFlow.new().nonce
        )
        with pytest.raises(OAuthError, match="nonce"):
            await client.exchange_code(await client.read_callback(back), flow=other)


async def test_a_secret_of_hmac_signs_nothing_here(register):
    """A client that is registered for HS256 gets tokens that its own secret signs."""
    async with Person(await register(id_token_signed_response_alg="HS256")) as person:
        answer = await person.whole_login("ana")
        assert answer.status_code == 502


async def test_an_answer_of_another_issuer(register):
    async with Person(await register()) as person:
        callback = await person.log_in(await person.start(), "ana")
        changed = httpx.URL(callback).copy_merge_params({"iss": "https://evil.example"})
        assert (await person.ours.get(changed)).status_code == 502


async def test_an_issuer_that_is_written_otherwise(oidc_url, http_client):
    client = OIDCProvider(
        issuer=f"{oidc_url}/",
        client_id="client",
        client_secret="secret",
        redirect_uri=CALLBACK,
        http_client=http_client,
    )
    with pytest.raises(OAuthError, match="another issuer"):
        await client.build_authorize_url(OAuthFlow.new())
