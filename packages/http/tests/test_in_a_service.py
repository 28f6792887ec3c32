"""The client inside of a FastAPI service under uvicorn, calling another one."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request

from tijolo.http import (
    AddressNotAllowedError,
    AuthenticationFailedError,
    CircuitOpenError,
    DeadlineExceededError,
    HTTPClient,
    IntegrationError,
    RedirectNotAllowedError,
    ResponseTooLargeError,
    RetryAfterTooLongError,
    RetryPolicy,
    UpstreamError,
    UpstreamUnreachableError,
)


async def test_one_client_for_the_life_of_a_service(serve) -> None:
    upstream, connections = FastAPI(), set()

    @upstream.get("/price")
    async def price(request: Request) -> dict[str, str]:
        connections.add(request.client)
        return {"price": "9.90", "agent": request.headers["user-agent"]}

    async with serve(upstream) as url:
        client = HTTPClient(base_url=url)

        @asynccontextmanager
        async def lifespan(_app):
            async with client:
                yield

        shop = FastAPI(lifespan=lifespan)

        @shop.get("/quote")
        async def quote() -> dict[str, str]:
            return (await client.get("/price")).json()

        async with serve(shop) as shop_url, httpx.AsyncClient() as browser:
            answers = [await browser.get(f"{shop_url}/quote") for _ in range(5)]
            at_once = await asyncio.gather(*(browser.get(f"{shop_url}/quote") for _ in range(30)))

        assert {a.json()["price"] for a in (*answers, *at_once)} == {"9.90"}
        assert len(connections) <= 30
        assert not await client.health_check()  # it was closed with the service


async def test_an_error_answers_with_its_status_and_names_nobody(serve) -> None:
    shop = FastAPI()
    client = HTTPClient(
        base_url="http://127.0.0.1:9", retry_policy=RetryPolicy(1), failure_threshold=1
    )

    @shop.get("/quote")
    async def quote() -> str:
        try:
            return (await client.get("/price")).text
        except httpx.ConnectError:
            return "down"

    async with serve(shop) as url, httpx.AsyncClient() as browser:
        assert (await browser.get(f"{url}/quote")).json() == "down"
        refused = await browser.get(f"{url}/quote")
    await client.aclose()

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "30"
    assert "127.0.0.1" not in refused.text


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (httpx.ConnectError, 502),
        (httpx.ReadError, 502),
        (httpx.RemoteProtocolError, 502),
        (httpx.ConnectTimeout, 504),
        (httpx.PoolTimeout, 504),
        (httpx.TransportError, 502),
    ],
)
def test_a_failure_on_the_wire_is_what_httpx_calls_it_and_an_answer(
    kind: type[httpx.TransportError], status: int
) -> None:
    request = httpx.Request("GET", "https://x.example/?token=hunter2")
    error = UpstreamUnreachableError.of(kind("no route", request=request), "https://x.example")
    assert isinstance(error, kind)
    assert (error.status_code, error.code) == (status, "UPSTREAM_UNREACHABLE")
    assert error.request is request
    assert "x.example" in str(error)
    assert "x.example" not in error.message
    assert "hunter2" not in str(error) + repr(error)
    assert isinstance(pickle.loads(pickle.dumps(error)), kind)


async def test_a_service_that_is_gone_is_a_502_where_nobody_catches_it(serve) -> None:
    shop = FastAPI()
    client = HTTPClient(base_url="http://127.0.0.1:9", retry_policy=RetryPolicy(1))

    @shop.get("/quote")
    async def quote() -> str:
        return (await client.get("/price")).text

    async with serve(shop) as url, httpx.AsyncClient() as browser:
        refused = await browser.get(f"{url}/quote")
    await client.aclose()
    assert refused.status_code == 502
    assert "127.0.0.1" not in refused.text


def test_every_error_has_a_status_a_code_and_survives_pickling() -> None:
    request = httpx.Request("GET", "https://x.example/?token=hunter2")
    errors = [
        UpstreamError(),
        CircuitOpenError("https://x.example", 3.2),
        DeadlineExceededError("https://x.example", 2.0),
        RetryAfterTooLongError(
            "https://x.example", 99.0, httpx.Response(503, request=request, content=b"")
        ),
        ResponseTooLargeError("https://x.example", 10),
        RedirectNotAllowedError("https://x.example", "loop"),
        AddressNotAllowedError("x.example", "10.0.0.1 is private"),
        AuthenticationFailedError("https://x.example", "401"),
        IntegrationError("i", "e", "r"),
        UpstreamUnreachableError.of(httpx.ConnectError("refused"), "https://x.example"),
    ]
    for error in errors:
        assert 400 <= error.status_code < 600
        assert "x.example" not in error.message
        assert "hunter2" not in str(error) + repr(error)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.code, str(again)) == (type(error), error.code, str(error))
    assert len({error.code for error in errors}) == len(errors)
    for kind in (DeadlineExceededError, RetryAfterTooLongError, ResponseTooLargeError):
        assert issubclass(kind, httpx.HTTPError)
