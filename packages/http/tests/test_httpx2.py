"""The same client over httpx2's connections."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest

from tijolo.http import HTTPClient, PoolLimits, ResponseTooLargeError, RetryPolicy, Timeouts

httpx2 = pytest.importorskip("httpx2")

from tijolo.http.httpx2 import Httpx2Transport  # noqa: E402

QUICK = RetryPolicy(backoff_initial_seconds=0.001)


def client_of(server, **options) -> HTTPClient:
    options = {"retry_policy": QUICK, **options}
    return HTTPClient(base_url=server.url, transport=Httpx2Transport, **options)


async def test_calls_retries_streams_and_bounds_work_over_it(server) -> None:
    server.answers("/", 503, (200, gzip.compress(b"done"), {"Content_Encoding": "gzip"}))
    server.answers("/bomb", (200, gzip.compress(b"0" * 10**7), {"Content_Encoding": "gzip"}))

    async def up():
        yield b"one"
        yield b"two"

    async with client_of(server, max_response_bytes=10**6) as client:
        assert (await client.get("/", params={"a": "b"})).text == "done"
        assert (await client.put("/up", content=up)).text == "ok"
        with pytest.raises(ResponseTooLargeError):
            await client.get("/bomb")
        async with client.stream("GET", "/stream") as response:
            assert [piece async for piece in response.aiter_bytes()] == [b"ok"]

    assert server.requests[0].target == "/?a=b"
    assert server.requests[2].body == b"onetwo"
    assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


async def test_its_errors_are_httpxs(server) -> None:
    async def never(_r, _in, _out) -> None:
        await asyncio.sleep(60)

    async def closes(_r, _in, out) -> None:
        out.close()

    async def half(_r, _in, out) -> None:
        await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        out.close()

    server.on("/never")(never)
    server.on("/closes")(closes)
    server.on("/half")(half)
    async with client_of(server, retry_policy=RetryPolicy(1)) as client:
        for path, error, timeout in (
            ("/never", httpx.ReadTimeout, 0.05),
            ("/closes", httpx.RemoteProtocolError, 20),
            ("/half", httpx.RemoteProtocolError, 20),
        ):
            with pytest.raises(error):
                await client.get(path, timeout=timeout)
        await server.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get("/", timeout=1)


def test_every_error_of_httpx2_has_its_namesake() -> None:
    pending, kinds = [httpx2.RequestError], []
    while pending:
        kind = pending.pop()
        kinds.append(kind.__name__)
        pending.extend(kind.__subclasses__())
    missing = {name for name in kinds if not hasattr(httpx, name)}
    assert missing <= {"SSEError"}  # of server-sent events, which are not read through here


async def test_any_transport_of_httpx2_will_do() -> None:
    inner = httpx2.MockTransport(
        lambda request: httpx2.Response(201, json={"url": str(request.url)})
    )
    async with HTTPClient(transport=Httpx2Transport(inner)) as client:
        response = await client.get("http://a.example/x?y=1")
    assert response.status_code == 201
    assert response.json() == {"url": "http://a.example/x?y=1"}


async def test_the_pool_is_bounded_over_it_too(server) -> None:
    assert PoolLimits().max_connections == 100
    transport = Httpx2Transport(httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=1)))

    async def never(_r, _in, _out) -> None:
        await asyncio.sleep(60)

    server.on("/never")(never)
    options = {"timeouts": Timeouts(pool=0.03), "retry_policy": RetryPolicy(1)}
    async with HTTPClient(base_url=server.url, transport=transport, **options) as client:
        hanging = asyncio.create_task(client.get("/never"))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/")
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
    await transport.aclose()
