"""Credentials: bound to their origin, renewed once for all, and never shown."""

from __future__ import annotations

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from tijolo.http import (
    APIKeyAuth,
    AuthenticationFailedError,
    BasicAuth,
    BearerAuth,
    HTTPClient,
    OAuth2ClientCredentials,
    RetryPolicy,
    deadline_scope,
)

ONCE = RetryPolicy(1)


def token_endpoint(server, *, lifetime=3600, hold: asyncio.Event | None = None) -> list[dict]:
    asked: list[dict] = []

    @server.on("/token")
    async def token(received, _in, out) -> None:
        asked.append({k: v[0] for k, v in parse_qs(received.body.decode()).items()})
        number = len(asked)
        if hold is not None:
            await hold.wait()
        body = {"access_token": f"t{number}", "token_type": "Bearer", "expires_in": lifetime}
        await out.send(200, json.dumps(body).encode())

    return asked


def oauth(server, **options) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(f"{server.url}/token", "id with:colon", "s3cret&", **options)


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (BearerAuth("abc"), "authorization", "Bearer abc"),
        (
            BasicAuth("bob", "pá:ss"),
            "authorization",
            f"Basic {base64.b64encode('bob:pá:ss'.encode()).decode()}",
        ),
        (APIKeyAuth("k1"), "x-api-key", "k1"),
        (APIKeyAuth("k2", header="X-Partner-Key"), "x-partner-key", "k2"),
    ],
)
async def test_fixed_credentials_go_to_their_origin_alone(
    server, other_server, auth, header, value
) -> None:
    server.answers("/away", (302, b"", {"Location": f"{other_server.url}/x"}))
    async with HTTPClient(base_url=server.url, auth=auth, follow_redirects=True) as client:
        await client.get("/")
        await client.get(f"{other_server.url}/")
        await client.get("/away")

    assert [r.headers.get(header) for r in server.requests] == [value, value]
    assert [r.headers.get(header) for r in other_server.requests] == [None, None]
    assert value not in repr(auth) + repr(client)


async def test_credentials_do_not_come_back_by_a_redirect_from_elsewhere(
    server, other_server
) -> None:
    """The other side would choose what we do with our credentials."""
    other_server.answers("/x", (302, b"", {"Location": f"{server.url}/admin/delete"}))
    server.answers("/there", (302, b"", {"Location": f"{other_server.url}/x"}))
    async with HTTPClient(
        base_url=server.url, auth=BearerAuth("abc"), follow_redirects=True
    ) as client:
        await client.get(f"{other_server.url}/x")
        await client.get("/there")

    admin = [r for r in server.requests if r.path == "/admin/delete"]
    assert [r.headers.get("authorization") for r in admin] == [None, None]


async def test_what_the_caller_gives_for_one_call_wins(server) -> None:
    async with HTTPClient(base_url=server.url, auth=BearerAuth("abc")) as client:
        await client.get("/", headers={"Authorization": "Bearer mine"})
    assert server.requests[0].headers["authorization"] == "Bearer mine"


@pytest.mark.parametrize(
    "make",
    [
        lambda: BearerAuth(""),
        lambda: BearerAuth("a\r\nX-Evil: 1"),
        lambda: BasicAuth("a:b", "c"),
        lambda: APIKeyAuth("a\n"),
        lambda: HTTPClient(auth=BearerAuth("a")),
        lambda: OAuth2ClientCredentials("http://id.example/token", "i", "s"),
        lambda: OAuth2ClientCredentials("https://u:p@id.example/token", "i", "s"),
    ],
)
def test_credentials_that_are_unfit_or_unbound_are_refused(make) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        make()


async def test_a_token_is_asked_for_as_the_rfc_says_and_kept(server, other_server) -> None:
    asked = token_endpoint(other_server)
    auth = oauth(other_server, scope=["read", "write"], extra={"audience": "shop"})
    async with HTTPClient(base_url=server.url, auth=auth) as client:
        for _ in range(3):
            await client.get("/")

    assert asked == [
        {"grant_type": "client_credentials", "scope": "read write", "audience": "shop"}
    ]
    basic = other_server.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"id+with%3Acolon:s3cret%26"
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer t1"] * 3


async def test_fifty_calls_at_once_ask_for_one_token(server, other_server) -> None:
    hold = asyncio.Event()
    asked = token_endpoint(other_server, hold=hold)
    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        calls = [asyncio.create_task(client.get("/")) for _ in range(50)]
        await asyncio.sleep(0.03)
        calls[0].cancel()  # whoever asked first leaves
        hold.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert len(asked) == 1
    assert sum(isinstance(o, asyncio.CancelledError) for o in outcomes) == 1
    assert {r.headers["authorization"] for r in server.requests} == {"Bearer t1"}
    assert len(server.requests) == 49


async def test_the_deadline_of_the_first_caller_is_not_that_of_the_token(
    server, other_server
) -> None:
    hold = asyncio.Event()
    token_endpoint(other_server, hold=hold)
    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        with deadline_scope(0.02):
            hasty = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0)
        patient = asyncio.create_task(client.get("/"))
        await asyncio.wait({hasty})
        hold.set()
        assert (await patient).status_code == 200
        assert hasty.exception() is not None


async def test_a_token_is_renewed_before_it_ends(server, other_server, clock) -> None:
    asked = token_endpoint(other_server, lifetime=100)
    auth = oauth(other_server, leeway_seconds=30, clock=clock)
    async with HTTPClient(base_url=server.url, auth=auth) as client:
        for pause in (0, 69, 2):
            clock.now += pause
            await client.get("/")

    assert len(asked) == 2
    assert [r.headers["authorization"] for r in server.requests] == [
        "Bearer t1",
        "Bearer t1",
        "Bearer t2",
    ]


async def test_fifty_rejected_calls_ask_for_one_new_token(server, other_server) -> None:
    asked = token_endpoint(other_server)

    @server.on("/")
    async def picky(received, _in, out) -> None:
        good = received.headers["authorization"] == "Bearer t2"
        await out.send(200 if good else 401)

    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        answers = await asyncio.gather(*(client.post("/", json={"n": 1}) for _ in range(50)))

    assert {a.status_code for a in answers} == {200}
    assert len(asked) == 2
    assert {r.body for r in server.requests} == {b'{"n":1}'}


async def test_a_late_rejection_of_an_old_token_does_not_cost_the_new_one(
    server, other_server
) -> None:
    asked, hold = token_endpoint(other_server), asyncio.Event()

    async def picky(received, _in, out) -> None:
        good = received.headers["authorization"] == "Bearer t2"
        if received.path == "/late" and not good:
            await hold.wait()
        await out.send(200 if good else 401)

    server.on("/")(picky)
    server.on("/late")(picky)
    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        late = asyncio.create_task(client.get("/late"))
        await asyncio.sleep(0.03)
        assert (await client.get("/")).status_code == 200  # has renewed it
        hold.set()
        assert (await late).status_code == 200
    assert len(asked) == 2


async def test_a_token_that_is_always_rejected_is_renewed_once_a_call(server, other_server) -> None:
    asked = token_endpoint(other_server)
    server.answers("/", 401)
    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        assert (await client.get("/")).status_code == 401

    assert len(server.requests) == 2
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error": "invalid_client", "error_description": "s3cret& is wrong"}'),
        (500, b""),
        (200, b""),
        (200, b"[]"),
        (200, b'{"access_token": 5, "token_type": "bearer"}'),
        (200, b'{"access_token": "", "token_type": "bearer"}'),
        (200, b'{"access_token": "a\\r\\nX-Evil: 1", "token_type": "bearer"}'),
        (200, b'{"access_token": "x", "token_type": "mac"}'),
        (302, b""),
    ],
)
async def test_a_token_endpoint_that_fails_is_one_error_without_a_secret(
    server, other_server, status, body
) -> None:
    other_server.answers("/token", (status, body, {"Location": "http://evil.example/"}))
    async with HTTPClient(retry_policy=ONCE) as tokens:
        auth = oauth(other_server, client=tokens)
        async with HTTPClient(base_url=server.url, auth=auth) as client:
            with pytest.raises(AuthenticationFailedError) as caught:
                await client.get("/")

    assert server.requests == []
    assert caught.value.status_code == 502
    assert "s3cret" not in str(caught.value) + repr(caught.value)


async def test_an_answer_of_the_token_endpoint_that_never_comes_is_one_error(
    server, other_server
) -> None:
    async def closes(_r, _in, out) -> None:
        out.close()

    other_server.on("/token")(closes)
    async with HTTPClient(retry_policy=ONCE) as tokens:
        auth = oauth(other_server, client=tokens)
        async with HTTPClient(base_url=server.url, auth=auth) as client:
            outcomes = await asyncio.gather(
                *(client.get("/") for _ in range(20)), return_exceptions=True
            )
    assert {type(o) for o in outcomes} == {AuthenticationFailedError}
    assert len(other_server.requests) == 1


async def test_a_stream_is_not_sent_again_with_a_new_token(server, other_server) -> None:
    token_endpoint(other_server)
    server.answers("/", 401)

    async def chunks():
        yield b"x"

    async with HTTPClient(base_url=server.url, auth=oauth(other_server)) as client:
        assert (await client.post("/", content=chunks())).status_code == 401
    assert len(server.requests) == 1


async def test_a_lifetime_that_is_nonsense_is_bounded(server, other_server, clock) -> None:
    asked = token_endpoint(other_server, lifetime="forever")
    auth = oauth(other_server, clock=clock)
    async with HTTPClient(base_url=server.url, auth=auth) as client:
        await client.get("/")
        clock.now += 301
        await client.get("/")
    assert len(asked) == 2


async def test_the_strategys_own_client_is_closed_with_the_client(server, other_server) -> None:
    token_endpoint(other_server)
    auth = oauth(other_server)
    client = HTTPClient(base_url=server.url, auth=auth)
    await client.get("/")
    assert auth._own is not None
    await client.disconnect()
    assert auth._own is None
    await client.connect()
    assert (await client.get("/")).status_code == 200
    await client.disconnect()
