# ruff: noqa: N805, the first argument of an endpoint is not its integration alone
"""Careless callers, hostile answers, and calls that end at the wrong moment."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from pydantic import BaseModel, ConfigDict

from tijolo.http import (
    AddressNotAllowedError,
    CircuitPolicy,
    CircuitState,
    HTTPClient,
    IntegrationError,
    OAuth2ClientCredentials,
    PoolLimits,
    ResponseTooLargeError,
    RetryPolicy,
    Timeouts,
)
from tijolo.http import stability as sp
from tijolo.http.guard import AddressGuard
from tijolo.http.integration import (
    ApiHTTP,
    EndpointsDeclaration,
    HTTPMethod,
    IntegrationHTTP,
    IntegrationRegistry,
)

ONCE = RetryPolicy(1)
HOME = "http://api.example.com"


class Numbers(EndpointsDeclaration):
    integration = IntegrationHTTP("Numbers")

    @integration.endpoint(HTTPMethod.get, "/list")
    async def listed(api: ApiHTTP) -> list[int]:
        return await api.call()

    @integration.endpoint(HTTPMethod.get, "/named")
    async def named(api: ApiHTTP) -> dict[str, int]:
        return await api.call()


def numbers(body: bytes) -> Numbers:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    return Numbers(HOME, transport=transport)


class Piece(httpx.AsyncByteStream):
    """A body that knows how often it was closed, and takes its time for it."""

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x"

    async def aclose(self) -> None:
        await asyncio.sleep(0.01)
        self.closed += 1


class Renewing:
    """A strategy whose token is replaced as often as it is asked, or that fails to."""

    scheme = "test"

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self._number = 0

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"t{self._number}"}

    async def refresh(self, rejected: Mapping[str, str]) -> bool:
        if self._error is not None:
            raise self._error
        self._number += 1
        return True


# --- answers -------------------------------------------------------------------------------------


async def test_an_answer_with_a_million_mistakes_costs_no_more_than_its_body() -> None:
    body = b"[" + b",".join([b'""'] * 50_000) + b"]"
    integration = numbers(body)
    tracemalloc.start()
    try:
        with pytest.raises(IntegrationError) as caught:
            await integration.listed()
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "the answer does not fit at 50000 places"


async def test_keys_of_an_answer_are_data_and_do_not_end_in_logs() -> None:
    body = b'{"ann@example.com\\nWARNING forged": "x", "%s": "y", "ok": "z"}' % (b"k" * 100_000)
    with pytest.raises(IntegrationError) as caught:
        await numbers(body).named()
    assert caught.value.reason == "the answer does not fit at *, *, ok"


async def test_a_response_that_its_transport_has_read_is_counted_and_bounded(clock) -> None:
    answers = [500, 500, 200, 200]

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(answers.pop(0), text="hello")

    policy = CircuitPolicy(failure_threshold=2, minimum_calls=2, open_seconds=30)
    async with HTTPClient(
        base_url=HOME,
        transport=httpx.MockTransport(handler),
        circuit_policy=policy,
        retry_policy=ONCE,
        limits=PoolLimits(max_calls_per_origin=1),
        timeouts=Timeouts(pool=0.05),
        clock=clock,
    ) as client:
        for _ in range(2):
            await client.get("/")
        clock.now += 31
        assert (await client.get("/")).text == "hello"
        assert client.circuits()[0].state is CircuitState.CLOSED
        assert client.circuits()[0].calls == 0
        answers[:] = [200, 200]
        await client.get("/")
        assert client.circuits()[0].calls == 1
        with pytest.raises(ResponseTooLargeError):
            await client.get("/", max_response_bytes=4)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_empty_body_is_not_a_broken_one(coding) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"")
        return httpx.Response(200, headers={"Content-Encoding": coding}, stream=stream)

    transport = httpx.MockTransport(handler)
    async with HTTPClient(base_url=HOME, transport=transport, retry_policy=ONCE) as client:
        assert (await client.get("/")).content == b""


async def test_half_a_compressed_body_is_still_a_broken_one() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(gzip.compress(b"x" * 100)[:-5])
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)

    transport = httpx.MockTransport(handler)
    async with HTTPClient(base_url=HOME, transport=transport, retry_policy=ONCE) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_a_content_length_of_another_alphabet_is_no_crash() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        headers = [(b"Content-Length", "²".encode("latin-1"))]
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"ok"))

    transport = httpx.MockTransport(handler)
    async with HTTPClient(base_url=HOME, transport=transport, retry_policy=ONCE) as client:
        assert (await client.get("/")).content == b"ok"


class Odd:
    """What pydantic knows nothing about."""


class Strange(EndpointsDeclaration):
    integration = IntegrationHTTP("Strange")

    class Schema:
        class Thing(BaseModel):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            odd: Odd

    class SchemaError:
        class http404(BaseModel):  # noqa: N801
            model_config = ConfigDict(arbitrary_types_allowed=True)
            odd: Odd

    @integration.endpoint(HTTPMethod.get, "/thing")
    async def thing(api: ApiHTTP) -> Schema.Thing:
        return await api.call()


def test_a_model_without_a_json_schema_does_not_cost_the_page() -> None:
    registry = IntegrationRegistry([Strange(HOME), numbers(b"[]")])
    described = registry.docs()[0]["endpoints"][0]
    assert described["response"] == {"description": "This model has no JSON schema."}
    assert described["errors"]["404"] == described["response"]


async def test_an_integration_that_does_not_close_does_not_keep_the_others_open() -> None:
    class Stuck(Numbers):
        async def disconnect(self) -> None:
            raise OSError("stuck")

    first, last = Numbers(HOME), Numbers(HOME)
    registry = IntegrationRegistry([first, Stuck(HOME), last])
    await registry.connect()
    with pytest.raises(OSError, match="stuck"):
        await registry.disconnect()
    for integration in (first, last):
        with pytest.raises(RuntimeError, match="closed"):
            await integration.client.get("/")


# --- places and connections ----------------------------------------------------------------------


async def test_the_places_of_an_origin_are_not_given_out_twice_when_others_come_and_go() -> None:
    running = most = 0
    leave = asyncio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        if request.url.host == "slow.example":
            running += 1
            most = max(most, running)
            await leave.wait()
            running -= 1
        return httpx.Response(200)

    async with HTTPClient(
        transport=httpx.MockTransport(handler),
        limits=PoolLimits(max_calls_per_origin=2),
        max_origins=4,
    ) as client:
        calls = []
        for round_ in range(3):
            calls += [asyncio.create_task(client.get("http://slow.example/")) for _ in range(20)]
            await asyncio.sleep(0)
            for number in range(10):
                await client.get(f"http://h{round_}{number}.example/")
        assert len(client.circuits()) == 4
        leave.set()
        await asyncio.gather(*calls)
    assert most == 2


async def test_more_origins_than_the_table_holds_may_be_called_at_once() -> None:
    leave = asyncio.Event()

    async def handler(_: httpx.Request) -> httpx.Response:
        await leave.wait()
        return httpx.Response(200)

    async with HTTPClient(transport=httpx.MockTransport(handler), max_origins=4) as client:
        calls = [asyncio.create_task(client.get(f"http://h{n}.example/")) for n in range(50)]
        await asyncio.sleep(0.01)
        assert len(client.circuits()) == 50
        leave.set()
        await asyncio.gather(*calls)
        await client.get("http://last.example/")
        assert len(client.circuits()) == 4


@pytest.mark.parametrize("error", [RuntimeError("no token"), asyncio.CancelledError()])
async def test_a_strategy_that_cannot_renew_gives_the_place_back(error) -> None:
    bodies: list[Piece] = []

    def handler(_: httpx.Request) -> httpx.Response:
        bodies.append(Piece())
        return httpx.Response(401, stream=bodies[-1])

    async with HTTPClient(
        base_url=HOME,
        auth=Renewing(error),
        transport=httpx.MockTransport(handler),
        limits=PoolLimits(max_calls_per_origin=1),
        timeouts=Timeouts(pool=0.05),
        retry_policy=ONCE,
    ) as client:
        for _ in range(3):
            with pytest.raises(type(error)):
                await client.get("/")
    assert [body.closed for body in bodies] == [1, 1, 1]


async def test_a_close_that_is_cancelled_in_the_middle_is_finished() -> None:
    body = Piece()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    async with HTTPClient(base_url=HOME, transport=transport) as client:
        call = asyncio.create_task(client.get("/"))
        await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.02)
    assert body.closed == 1


@pytest.mark.parametrize("guarded", [False, True])
async def test_connections_that_cancelled_calls_lost_do_not_silence_the_client(
    server, guarded, caplog
) -> None:
    """A storm of cancellations costs httpcore connections; they are replaced."""

    @server.on("/")
    async def close(_r, _in, out) -> None:
        await asyncio.sleep(0.001)
        await out.send(200, b"x", Connection="close")

    guard = AddressGuard(schemes=("http",), ports=None, allow_networks=["127.0.0.0/8"])
    options = {"guard": guard} if guarded else {}
    async with HTTPClient(
        base_url=server.url,
        limits=PoolLimits(max_connections=3),
        circuit_policy=CircuitPolicy(failure_threshold=100_000),
        timeouts=Timeouts(pool=0.1),
        retry_policy=RetryPolicy(2, 0.001, 0.001),
        **options,
    ) as client:
        chance = random.Random(7)
        for _ in range(60):
            calls = [asyncio.create_task(client.get("/")) for _ in range(20)]
            for call in calls:
                asyncio.get_running_loop().call_later(chance.random() * 0.02, call.cancel)
            await asyncio.gather(*calls, return_exceptions=True)
            if "lost" in caplog.text:
                break
        answers = await asyncio.gather(*[client.get("/") for _ in range(3)])
        assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_pool_that_is_merely_full_is_not_replaced(server, caplog) -> None:
    leave = asyncio.Event()

    @server.on("/")
    async def hang(_r, _in, out) -> None:
        await leave.wait()
        await out.send(200)

    async with HTTPClient(
        base_url=server.url,
        limits=PoolLimits(max_connections=2),
        timeouts=Timeouts(pool=0.05),
        retry_policy=ONCE,
    ) as client:
        held = [asyncio.create_task(client.get("/")) for _ in range(2)]
        await server.arrived(2)
        late = [client.get("/") for _ in range(20)]
        for error in await asyncio.gather(*late, return_exceptions=True):
            assert isinstance(error, httpx.PoolTimeout)
        leave.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200, 200]
    assert "lost" not in caplog.text


def test_a_bulkhead_outlives_an_event_loop() -> None:
    @sp.Bulkhead(1, max_waiting=5)
    async def call() -> str:
        await asyncio.sleep(0)
        return "done"

    async def several() -> list[str]:
        return await asyncio.gather(*[call() for _ in range(3)])

    for _ in range(3):
        assert asyncio.run(several()) == ["done"] * 3


# --- credentials and logs ------------------------------------------------------------------------


async def test_a_header_that_is_none_is_refused_without_quoting_its_value(server) -> None:
    bad = "s3cret\n"
    cases = [
        ({"default_headers": {"X-Api-Key": bad}}, {}),
        ({}, {"headers": {"Authorization": bad}}),
        ({}, {"headers": {"X-Key": " s3cret"}}),
        ({}, {"headers": {"X-Key": "s3cret\0"}}),
        ({}, {"idempotency_key": bad}),
    ]
    for options, call in cases:
        async with HTTPClient(base_url=server.url, **options) as client:
            with pytest.raises(httpx.LocalProtocolError) as caught:
                await client.get("/", **call)
        assert "s3cret" not in str(caught.value)
        assert "header" in str(caught.value)
    assert server.requests == []


async def test_any_value_that_is_a_header_passes(server) -> None:
    server.answers("/", 200)
    async with HTTPClient(base_url=server.url) as client:
        await client.get("/", headers={"X-A": "", "X-B": 'a \t b;c="d"'})
    assert server.requests[0].headers["x-b"] == 'a \t b;c="d"'


@pytest.mark.parametrize(
    "proxy",
    [
        "user:s3cret@proxy.example:3128",
        "http://user:s3cret/x@proxy.example:3128",
        "socks4://user:s3cret@proxy.example",
        "http://user:s3cret@[::1",
    ],
)
def test_a_proxy_that_is_none_is_refused_at_once_and_not_quoted(proxy) -> None:
    with pytest.raises(ValueError, match="proxy") as caught:
        HTTPClient(proxy=proxy)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["bob:s3cret@api.example.com", f"{HOME}/?key=s3cret"])
def test_a_base_url_that_is_none_is_not_quoted(url) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        HTTPClient(base_url=url)
    assert "s3cret" not in str(caught.value)


async def test_an_integration_over_a_given_client_takes_no_credentials_in_its_url() -> None:
    async with HTTPClient(base_url=HOME) as client:
        with pytest.raises(ValueError, match="credentials") as caught:
            Numbers("http://bob:s3cret@api.example.com", client=client)
    assert "s3cret" not in str(caught.value)


async def test_a_path_cannot_write_a_line_into_the_log(caplog) -> None:
    caplog.set_level("INFO", logger="tijolo.http")
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with HTTPClient(transport=transport) as client:
        await client.get(f"{HOME}/a%0d%0aWARNING%20forged%1b[31m?token=s3cret")
    assert caplog.messages == [f"GET {HOME}/a%0d%0aWARNING%20forged%1b[31m 200"]


# --- calls ---------------------------------------------------------------------------------------


async def test_an_option_that_there_is_not_is_refused() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with HTTPClient(base_url=HOME, transport=transport) as client:
        with pytest.raises(TypeError, match="idempotent_key, jsonn"):
            await client.post("/", jsonn={}, idempotent_key=True)  # type: ignore[call-arg]


def test_a_table_without_places_is_refused() -> None:
    with pytest.raises(ValueError, match="max_origins"):
        HTTPClient(max_origins=0)


async def test_a_function_of_streams_is_called_again_for_a_new_token() -> None:
    seen: list[tuple[str, bytes]] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["authorization"], await request.aread()))
        return httpx.Response(401 if len(seen) == 1 else 200)

    async def rows() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with HTTPClient(
        base_url=HOME, auth=Renewing(), transport=httpx.MockTransport(handler)
    ) as client:
        assert (await client.put("/", content=rows)).status_code == 200
    assert seen == [("t0", b"onetwo"), ("t1", b"onetwo")]


@pytest.mark.parametrize("lifetime", ["NaN", '"nan"', "null", "[]"])
async def test_a_token_that_lives_for_no_number_of_seconds_is_renewed(lifetime, clock) -> None:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = '{"access_token": "t", "token_type": "bearer", "expires_in": ' + lifetime + "}"
        return httpx.Response(200, text=body)

    async with HTTPClient(transport=httpx.MockTransport(handler)) as client:
        auth = OAuth2ClientCredentials(
            "https://id.example.com/", "shop", "s3cret", client=client, clock=clock
        )
        await auth.headers()
        clock.now += 301
        await auth.headers()
    assert len(asked) == 2


# --- the guard -----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://h/\ud800", "https://\ud800@h/", "https://h/?\udfff"])
def test_what_is_no_text_is_refused_like_any_other_url(url) -> None:
    with pytest.raises(AddressNotAllowedError):
        AddressGuard().check_url(url)


@pytest.mark.parametrize("host", ["168.63.129.16", "[::ffff:168.63.129.16]"])
async def test_the_address_that_a_cloud_answers_at_is_refused_though_it_looks_public(host) -> None:
    with pytest.raises(AddressNotAllowedError):
        AddressGuard(schemes=("http",)).check_url(f"http://{host}/?comp=versions")
