"""HTTPClient against a real server: what is tried again, what is not, and what is bounded."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import socket
import time
import zlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tijolo.core import Resource, clear_request_id, set_request_id
from tijolo.core.testing import assert_settings_read
from tijolo.http import (
    CircuitOpenError,
    CircuitPolicy,
    CircuitState,
    DeadlineExceededError,
    HTTPClient,
    HTTPClientSettings,
    HTTPObserver,
    PoolLimits,
    RedirectNotAllowedError,
    ResponseTooLargeError,
    RetryAfterTooLongError,
    RetryPolicy,
    Timeouts,
    deadline_scope,
)

QUICK = RetryPolicy(backoff_initial_seconds=0.001, backoff_max_seconds=0.002)
NEVER_OPEN = CircuitPolicy(failure_threshold=10_000)


def client_of(server, **options) -> HTTPClient:
    options.setdefault("retry_policy", QUICK)
    return HTTPClient(base_url=server.url, **options)


# --- retries -------------------------------------------------------------------------------------


async def test_an_idempotent_call_is_tried_until_it_succeeds(server) -> None:
    server.answers("/", 503, 502, (200, b"done", {}))
    async with client_of(server) as client:
        response = await client.get("/")

    assert (response.status_code, response.text) == (200, "done")
    assert len(server.requests) == 3


async def test_the_last_answer_is_returned_when_attempts_run_out(server) -> None:
    server.answers("/", 500)
    async with client_of(server) as client:
        response = await client.get("/")

    assert response.status_code == 500
    assert len(server.requests) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH", "post"])
async def test_a_method_that_is_not_idempotent_is_sent_once(server, method) -> None:
    server.answers("/", 503)
    async with client_of(server) as client:
        response = await client.request(method, "/", json={"a": 1})

    assert response.status_code == 503
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "delete"])
async def test_idempotent_methods_are_tried_again(server, method) -> None:
    server.answers("/", 503, 200)
    async with client_of(server) as client:
        response = await client.request(method, "/")

    assert response.status_code == 200
    assert len(server.requests) == 2


async def test_a_caller_may_say_that_a_post_is_idempotent_and_a_get_is_not(server) -> None:
    server.answers("/post", 503, 200)
    server.answers("/get", 503)
    async with client_of(server) as client:
        assert (await client.post("/post", idempotent=True)).status_code == 200
        assert (await client.get("/get", idempotent=False)).status_code == 503

    assert [r.path for r in server.requests] == ["/post", "/post", "/get"]


async def test_one_idempotency_key_is_kept_over_the_attempts_of_one_call(server) -> None:
    server.answers("/", 503, 503, 200, 200)
    async with client_of(server) as client:
        await client.post("/", json={"amount": 5}, idempotency_key=True)
        await client.post("/", json={"amount": 5}, idempotency_key=True)
        await client.post("/", idempotency_key="order-7")

    keys = [r.headers["idempotency-key"] for r in server.requests]
    assert keys[0] == keys[1] == keys[2]
    assert len(keys[0]) == 36
    assert keys[3] not in keys[:3]
    assert keys[4] == "order-7"
    assert [r.body for r in server.requests[:3]] == [b'{"amount":5}'] * 3


async def test_a_key_in_the_headers_makes_a_post_idempotent(server) -> None:
    server.answers("/", 503, 200)
    async with client_of(server) as client:
        await client.post("/", headers={"idempotency-key": "k"})

    assert len(server.requests) == 2


async def _reset_before_headers(_r, _in, out) -> None:
    out.reset()


async def _close_before_headers(_r, _in, out) -> None:
    out.close()


async def _truncated_body(_r, _in, out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    out.close()


async def _reset_after_headers(_r, _in, out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    await asyncio.sleep(0.01)
    out.reset()


async def _truncated_chunks(_r, _in, out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    out.close()


async def _never(_r, _in, _out) -> None:
    await asyncio.sleep(60)


async def _slow_body(_r, _in, out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.sleep(60)


async def _huge_headers(_r, _in, out) -> None:
    await out.raw(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 300_000 + b"\r\n\r\n")
    out.close()


async def _not_http(_r, _in, out) -> None:
    await out.raw(b"220 smtp.example.com ESMTP\r\n")
    out.close()


async def _truncated_gzip(_r, _in, out) -> None:
    await out.send(200, gzip.compress(b"hello" * 100)[:15], Content_Encoding="gzip")


FAILURES = {
    _reset_before_headers: httpx.ReadError,
    _close_before_headers: httpx.RemoteProtocolError,
    _truncated_body: httpx.RemoteProtocolError,
    _reset_after_headers: httpx.ReadError,
    _truncated_chunks: httpx.RemoteProtocolError,
    _never: httpx.ReadTimeout,
    _slow_body: httpx.ReadTimeout,
    _huge_headers: httpx.RemoteProtocolError,
    _not_http: httpx.RemoteProtocolError,
    _truncated_gzip: httpx.RemoteProtocolError,
}


@pytest.mark.parametrize("failing", FAILURES, ids=lambda f: f.__name__.strip("_"))
async def test_every_way_to_fail_on_the_wire_is_tried_again_counted_and_told(
    server, failing
) -> None:
    server.on("/")(failing)
    read = 0.05 if FAILURES[failing] is httpx.ReadTimeout else 20.0
    async with client_of(server, timeouts=Timeouts(read=read)) as client:
        with pytest.raises(FAILURES[failing]):
            await client.get("/")
        assert len(server.requests) == 3
        assert client.circuits()[0].failures == 3

        with pytest.raises(FAILURES[failing]) as caught:
            await client.post("/")
        assert len(server.requests) == 4
        assert caught.value.request.url == f"{server.url}/"


async def test_a_failure_in_the_middle_is_healed_by_the_next_attempt(server) -> None:
    served = []

    @server.on("/")
    async def flaky(received, reader, out) -> None:
        served.append(1)
        await (_truncated_body if len(served) == 1 else _reset_before_headers)(
            received, reader, out
        ) if len(served) < 3 else await out.send(200, b"whole")

    async with client_of(server) as client:
        assert (await client.get("/")).text == "whole"


async def test_a_refused_connection_is_tried_again_and_counted(server) -> None:
    await server.stop()
    attempts = []

    class Count(HTTPObserver):
        def on_attempt(self, event) -> None:
            attempts.append(event)

    async with client_of(server, observers=[Count()]) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")

    assert [event.error for event in attempts] == ["ConnectError"] * 3
    assert client.circuits()[0].failures == 3


async def test_a_host_that_swallows_connections_opens_its_circuit_at_the_connect_timeout() -> None:
    """A full backlog: the third handshake never ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    filling = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(address)
        filling.append(filler)
    client = HTTPClient(
        base_url=f"http://127.0.0.1:{address[1]}",
        timeouts=Timeouts(connect=0.05, read=30.0),
        retry_policy=RetryPolicy(max_attempts=1),
        failure_threshold=2,
    )
    started = time.monotonic()
    try:
        for _ in range(2):
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/")
        with pytest.raises(CircuitOpenError):
            await client.get("/")
    finally:
        await client.aclose()
        for each in (*filling, listener):
            each.close()
    assert time.monotonic() - started < 5  # and not the 30 seconds of reading


async def test_a_server_that_does_not_read_is_a_write_timeout(server) -> None:
    stop = asyncio.Event()

    async def deaf(_reader, writer) -> None:
        writer.transport.pause_reading()
        await stop.wait()
        writer.close()

    listener = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    timeouts = Timeouts(write=0.05, read=30.0)
    async with HTTPClient(base_url=f"http://127.0.0.1:{port}", timeouts=timeouts) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("/", content=b"x" * 20_000_000)
        assert client.circuits()[0].failures == 1
    stop.set()
    listener.close()


async def test_a_full_pool_is_our_own_fault_and_not_the_circuits(server) -> None:
    server.on("/slow")(_never)
    timeouts = Timeouts(pool=0.03, read=5.0)
    limits = PoolLimits(max_connections=1)
    async with client_of(server, timeouts=timeouts, limits=limits) as client:
        hanging = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/")
        assert client.circuits()[0].failures == 0
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging


async def test_an_origin_that_hangs_does_not_take_every_connection(server, other_server) -> None:
    server.on("/")(_never)
    limits = PoolLimits(max_connections=4, max_calls_per_origin=2)
    timeouts = Timeouts(pool=0.05, read=5.0)
    async with HTTPClient(limits=limits, timeouts=timeouts, retry_policy=QUICK) as client:
        hanging = [asyncio.create_task(client.get(f"{server.url}/")) for _ in range(10)]
        await asyncio.sleep(0)
        assert (await client.get(f"{other_server.url}/")).status_code == 200
        refused = await asyncio.gather(*hanging[2:], return_exceptions=True)
        assert all(isinstance(error, httpx.PoolTimeout) for error in refused)
        assert len(server.requests) == 2
        assert not any(circuit.failures for circuit in client.circuits())
        for task in hanging[:2]:
            task.cancel()
        await asyncio.wait(hanging[:2])


async def test_places_are_given_back_however_a_call_ends(server) -> None:
    server.on("/reset")(_reset_before_headers)
    server.on("/half")(_truncated_body)
    server.on("/slow")(_slow_body)
    server.answers("/moved", (302, b"", {"Location": "/"}))
    server.answers("/large", (200, b"x" * 100, {}))
    limits = PoolLimits(max_calls_per_origin=1)
    options = {"retry_policy": RetryPolicy(2, 0.0), "circuit_policy": NEVER_OPEN}
    async with client_of(server, limits=limits, timeouts=Timeouts(pool=1.0), **options) as client:
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/slow", timeout=0.05)
            for path in ("/reset", "/half"):
                with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                    await client.get(path)
            with pytest.raises(ResponseTooLargeError):
                await client.get("/large", max_response_bytes=9)
            with pytest.raises(DeadlineExceededError):
                await client.get("/slow", deadline=0.01)
            assert (await client.get("/moved", follow_redirects=True)).text == "ok"
            async with client.stream("GET", "/slow") as response:
                async for _piece in response.aiter_bytes():
                    break
        assert (await client.get("/")).text == "ok"
    policy = CircuitPolicy(failure_threshold=1, minimum_calls=1)
    async with client_of(server, limits=limits, circuit_policy=policy) as client:
        for error in (httpx.ReadError, CircuitOpenError, CircuitOpenError):
            with pytest.raises(error):
                await client.get("/reset")


async def test_a_keep_alive_connection_that_went_stale_is_replaced(server) -> None:
    """The server closes it at the moment when the next request is on its way."""
    seen = []

    @server.on("/")
    async def closes_after_the_first(received, _in, out) -> None:
        seen.append(received.connection)
        if len(seen) == 2:
            out.close()  # without a word
        else:
            await out.send(200)

    async with client_of(server) as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/")).status_code == 200

    assert seen == [1, 1, 2]


async def test_connections_are_kept_and_shared(server) -> None:
    async with client_of(server) as client:
        for _ in range(5):
            await client.get("/")

    assert server.connections == 1


async def test_every_transport_error_of_httpx_has_a_verdict() -> None:
    """A new class in httpx fails here, not in production."""
    from tijolo.http._verdicts import _VERDICTS

    known = tuple(kind for kind, _ in _VERDICTS)
    pending, leaves = [httpx.TransportError], []
    while pending:
        kind = pending.pop()
        mine = [k for k in kind.__subclasses__() if k.__module__ == "httpx"]
        pending.extend(mine)
        if not mine:
            leaves.append(kind)

    assert len(leaves) >= 11
    assert [kind.__name__ for kind in leaves if not issubclass(kind, known)] == []


async def test_a_stream_going_up_is_sent_once_and_a_function_of_streams_again(server) -> None:
    server.answers("/once", 503)
    server.answers("/again", 503, 200)

    async def chunks():
        yield b"one "
        yield b"two"

    async with client_of(server) as client:
        assert (await client.put("/once", content=chunks())).status_code == 503
        assert (await client.put("/again", content=chunks)).status_code == 200

    assert [r.body for r in server.requests] == [b"one two"] * 3
    assert [r.path for r in server.requests] == ["/once", "/again", "/again"]


# --- waits ---------------------------------------------------------------------------------------


async def test_retry_after_in_seconds_is_obeyed(server, clock) -> None:
    server.answers("/", (429, b"", {"Retry_After": "7"}), (503, b"", {"Retry_After": "2"}), 200)
    async with client_of(server, clock=clock, sleep=clock.sleep) as client:
        assert (await client.get("/")).status_code == 200

    assert clock.slept == [7.0, 2.0]


async def test_retry_after_as_a_date_is_obeyed(server, clock) -> None:
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.answers("/", (429, b"", {"Retry_After": date}), 200)
    async with client_of(server, clock=clock, sleep=clock.sleep) as client:
        assert (await client.get("/")).status_code == 200

    assert 17 <= clock.slept[0] <= 20


async def test_a_retry_after_beyond_the_cap_raises_at_once_and_passes_it_on(server, clock) -> None:
    server.answers("/", (503, b"later", {"Retry_After": "3600"}))
    async with client_of(server, clock=clock, sleep=clock.sleep) as client:
        with pytest.raises(RetryAfterTooLongError) as caught:
            await client.get("/")

    assert len(server.requests) == 1
    assert clock.slept == []
    assert caught.value.retry_after_seconds == 3600
    assert caught.value.headers == {"Retry-After": "3600"}
    assert (caught.value.response.status_code, caught.value.response.text) == (503, "later")
    assert isinstance(caught.value, httpx.HTTPStatusError)


async def test_a_retry_after_beyond_the_deadline_raises_at_once(server, clock) -> None:
    server.answers("/", (429, b"", {"Retry_After": "20"}))
    async with client_of(server, clock=clock, sleep=clock.sleep) as client:
        with pytest.raises(RetryAfterTooLongError):
            await client.get("/", deadline=10)
        with deadline_scope(5, clock=clock), pytest.raises(RetryAfterTooLongError):
            await client.get("/")

    assert len(server.requests) == 2


async def test_a_stream_that_is_told_to_come_back_later_gives_its_connection_back(server) -> None:
    server.answers("/", (503, b"later", {"Retry_After": "3600"}))
    limits = PoolLimits(max_connections=1)
    async with client_of(server, limits=limits, timeouts=Timeouts(pool=0.1)) as client:
        with pytest.raises(RetryAfterTooLongError) as caught:
            async with client.stream("GET", "/"):
                pass
        assert caught.value.response.text == "later"
        assert (await client.get("/other")).status_code == 200


async def test_a_long_retry_after_of_a_post_is_the_callers_to_read(server) -> None:
    server.answers("/", (503, b"", {"Retry_After": "3600"}))
    async with client_of(server) as client:
        assert (await client.post("/")).status_code == 503


async def test_waits_are_spread_over_the_whole_bound(server, clock) -> None:
    policy = RetryPolicy(max_attempts=2, backoff_initial_seconds=1.0, budget_ratio=1.0)
    server.answers("/", 503)
    async with HTTPClient(
        base_url=server.url,
        retry_policy=policy,
        circuit_policy=NEVER_OPEN,
        clock=clock,
        sleep=clock.sleep,
    ) as client:
        for _ in range(60):
            await client.get("/")

    assert len(clock.slept) == 60
    assert max(clock.slept) <= 1.0
    assert min(clock.slept) < 0.3 < 0.7 < max(clock.slept)


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}])
async def test_retries_stop_when_the_origins_budget_is_spent(server, headers) -> None:
    policy = RetryPolicy(3, 0.0, 0.0, budget_ratio=0.1, budget_burst=5)
    server.answers("/", (503, b"", headers))
    client = HTTPClient(base_url=server.url, retry_policy=policy, circuit_policy=NEVER_OPEN)
    async with client:
        for _ in range(40):
            await client.get("/")

    retries = len(server.requests) - 40
    assert 5 <= retries <= 5 + 40 * 0.1


async def test_budgets_are_kept_by_origin(server, other_server) -> None:
    policy = RetryPolicy(2, 0.0, 0.0, budget_ratio=0.0, budget_burst=1)
    for each in (server, other_server):
        each.answers("/", 503)
    async with HTTPClient(retry_policy=policy, circuit_policy=NEVER_OPEN) as client:
        for each in (server, server, other_server, other_server):
            await client.get(f"{each.url}/")

    assert (len(server.requests), len(other_server.requests)) == (3, 3)


# --- deadlines -----------------------------------------------------------------------------------


async def test_the_deadline_ends_all_attempts_together(server) -> None:
    server.on("/")(_never)
    async with client_of(server, timeouts=Timeouts(read=0.06, deadline=0.1)) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineExceededError) as caught:
            await client.get("/")

    assert time.monotonic() - started < 2
    assert isinstance(caught.value, httpx.TimeoutException)
    assert (caught.value.status_code, caught.value.code) == (504, "UPSTREAM_TIMEOUT")
    assert caught.value.request.method == "GET"
    assert str(server.port) in str(caught.value)
    assert str(server.port) not in caught.value.message


async def test_a_body_that_drips_for_ever_ends_at_the_deadline(server) -> None:
    @server.on("/")
    async def drip(_r, _in, out) -> None:
        await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await out.raw(b"x")
            await asyncio.sleep(0.01)

    async with client_of(server) as client:
        with pytest.raises(DeadlineExceededError):
            await client.get("/", deadline=0.1)


async def test_nothing_is_tried_again_after_the_callers_time_is_over(server) -> None:
    server.answers("/", 503)
    policy = RetryPolicy(backoff_initial_seconds=30, backoff_max_seconds=30)
    async with client_of(server, retry_policy=policy) as client:
        with deadline_scope(0.01):
            await asyncio.sleep(0.02)
            with pytest.raises(DeadlineExceededError):
                await client.get("/")
        assert server.requests == []

        async with asyncio.timeout(5):
            response = await client.get("/", deadline=1e-3 + 0.5)
    assert response.status_code == 503
    assert len(server.requests) <= 2


async def test_a_cancelled_call_is_not_tried_again_and_not_counted(server) -> None:
    server.on("/")(_never)
    async with client_of(server) as client:
        call = asyncio.create_task(client.get("/"))
        await server.arrived(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.05)
        assert len(server.requests) == 1
        assert client.circuits()[0].failures == 0


async def test_a_deadline_that_cuts_the_first_attempt_counts_against_the_host(server) -> None:
    server.on("/")(_never)
    async with client_of(server, failure_threshold=2) as client:
        for _ in range(2):
            with pytest.raises(DeadlineExceededError):
                await client.get("/", deadline=0.03)
        with pytest.raises(CircuitOpenError):
            await client.get("/")


async def test_the_rest_of_a_callers_time_counts_against_nobody(server) -> None:
    server.on("/")(_never)
    async with client_of(server, failure_threshold=2) as client:
        for _ in range(4):
            with deadline_scope(0.02), pytest.raises(DeadlineExceededError):
                await client.get("/")
        assert client.circuits()[0].failures == 0


async def test_a_host_that_is_silent_for_long_within_scopes_is_left_alone(server) -> None:
    server.on("/")(_never)
    policy = CircuitPolicy(failure_threshold=2, minimum_calls=2, patience_seconds=0.05)
    async with client_of(server, circuit_policy=policy) as client:
        for _ in range(2):
            with deadline_scope(0.3), pytest.raises(DeadlineExceededError):
                await client.get("/")
        with deadline_scope(0.3), pytest.raises(CircuitOpenError):
            await client.get("/")


async def test_scopes_nest_and_the_earliest_end_counts(server) -> None:
    server.on("/")(_never)
    started = time.monotonic()
    async with client_of(server) as client:
        with deadline_scope(0.05), deadline_scope(60), pytest.raises(DeadlineExceededError):
            await client.get("/", deadline=30)
    assert time.monotonic() - started < 3


async def test_a_calls_timeout_bounds_connecting_reading_writing_and_waiting() -> None:
    seen = []

    class Keep(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            seen.append(request.extensions["timeout"])
            return httpx.Response(200, stream=httpx.ByteStream(b""))

    async with HTTPClient(transport=Keep()) as client:
        await client.get("http://a.example/")
        await client.get("http://a.example/", timeout=2.0)
        await client.get("http://a.example/", timeout=50.0)
    async with HTTPClient(transport=Keep(), timeout=3.0) as client:
        await client.get("http://a.example/")

    assert [t["connect"] for t in seen] == [5.0, 2.0, 5.0, 3.0]
    for part in ("read", "write", "pool"):
        assert [t[part] for t in seen] == [10.0, 2.0, 50.0, 3.0]


# --- circuits ------------------------------------------------------------------------------------


async def test_a_circuit_opens_refuses_and_recovers(server, clock) -> None:
    server.answers("/", 500, 500, 500, 200)
    options = {"failure_threshold": 3, "recovery_seconds": 30.0, "clock": clock}
    async with client_of(server, retry_policy=RetryPolicy(1), **options) as client:
        for _ in range(3):
            assert (await client.get("/")).status_code == 500
        with pytest.raises(CircuitOpenError) as caught:
            await client.get("/")
        assert len(server.requests) == 3
        assert caught.value.host == server.url
        assert caught.value.status_code == 503
        assert caught.value.headers == {"Retry-After": "30"}
        assert not await client.health_check()

        clock.now += 30
        assert (await client.get("/")).status_code == 200
        assert client.circuits()[0].state is CircuitState.CLOSED
        assert await client.health_check()


@pytest.mark.parametrize("probes", [1, 2, 3])
async def test_fifty_at_once_meet_a_half_open_circuit_and_only_the_probes_pass(
    server, clock, probes
) -> None:
    gate = asyncio.Event()
    policy = CircuitPolicy(
        failure_threshold=1, minimum_calls=1, half_open_probes=probes, open_seconds=10
    )
    server.answers("/", 500)
    options = {"retry_policy": RetryPolicy(1), "circuit_policy": policy, "clock": clock}
    async with client_of(server, **options) as client:
        await client.get("/")
        clock.now += 10

        @server.on("/")
        async def held(_r, _in, out) -> None:
            await gate.wait()
            await out.send(200)

        calls = [asyncio.create_task(client.get("/")) for _ in range(50)]
        await server.arrived(1 + probes)
        await asyncio.sleep(0.05)  # time for more, if there were more
        assert len(server.requests) == 1 + probes
        gate.set()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert sum(isinstance(o, httpx.Response) for o in outcomes) == probes
        assert sum(isinstance(o, CircuitOpenError) for o in outcomes) == 50 - probes
        assert client.circuits()[0].state is CircuitState.CLOSED


async def test_throttling_is_no_failure(server) -> None:
    server.answers("/", 429)
    async with client_of(server, retry_policy=RetryPolicy(1), failure_threshold=2) as client:
        for _ in range(10):
            assert (await client.get("/")).status_code == 429
        assert client.circuits()[0].state is CircuitState.CLOSED


async def test_paths_of_one_origin_share_a_circuit_and_origins_do_not(server) -> None:
    async with client_of(server) as client:
        for path in ("users/1", "/users/2", f"{server.url}/users/3"):
            await client.get(path)
        upper = server.url.replace("http://", "HTTP://")
        await client.get(f"{upper}/users/4")

    assert [c.name for c in client.circuits()] == [server.url]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.Example.COM:443/a", "https://api.example.com"),
        ("https://api.example.com./a?b", "https://api.example.com"),
        ("http://api.example.com:80/", "http://api.example.com"),
        ("http://api.example.com:443/", "http://api.example.com:443"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080"),
        ("http://[2001:db8::1]/x", "http://[2001:db8::1]"),
    ],
)
async def test_an_origin_has_one_spelling(url, origin) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    async with HTTPClient(transport=transport) as client:
        await client.get(url)
    assert [c.name for c in client.circuits()] == [origin]


async def test_no_retry_against_a_circuit_that_the_attempt_opened(server) -> None:
    server.answers("/", 500)
    policy = CircuitPolicy(failure_threshold=1, minimum_calls=1)
    async with client_of(server, circuit_policy=policy) as client:
        assert (await client.get("/")).status_code == 500

    assert len(server.requests) == 1


async def test_the_table_of_origins_is_bounded_and_keeps_what_fails() -> None:
    class Fails(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            status = 500 if request.url.host.startswith("bad") else 200
            return httpx.Response(status, stream=httpx.ByteStream(b""))

    policy = CircuitPolicy(failure_threshold=1, minimum_calls=1)
    options = {"retry_policy": RetryPolicy(1), "circuit_policy": policy, "max_origins": 10}
    async with HTTPClient(transport=Fails(), **options) as client:
        await client.get("http://bad.example/")
        for number in range(500):
            await client.get(f"http://h{number}.example/")
        assert len(client.circuits()) == 10
        with pytest.raises(CircuitOpenError):
            await client.get("http://bad.example/")


# --- origins, credentials, redirects -------------------------------------------------------------


async def test_default_headers_stay_at_the_origin_of_the_base_url(server, other_server) -> None:
    headers = {"Authorization": "Bearer s3cret", "X-Partner": "acme"}
    async with client_of(server, default_headers=headers) as client:
        await client.get("/")
        await client.get(f"{server.url}/absolute")
        await client.get(f"{other_server.url}/elsewhere")

    assert [r.headers.get("authorization") for r in server.requests] == ["Bearer s3cret"] * 2
    assert "authorization" not in other_server.requests[0].headers
    assert "x-partner" not in other_server.requests[0].headers


def test_harmless_headers_need_no_origin() -> None:
    HTTPClient(default_headers={"X-Author": "bob", "X-Monkey": "1", "Accept-Language": "pt"})


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "cookie", "X-Session-Id"])
def test_a_credential_without_an_origin_is_refused(name) -> None:
    with pytest.raises(ValueError, match="base_url"):
        HTTPClient(default_headers={name: "s3cret"})


async def test_redirects_are_returned_unless_asked_for(server) -> None:
    server.answers("/a", (302, b"", {"Location": "/b"}))
    async with client_of(server) as client:
        assert (await client.get("/a")).status_code == 302
        followed = await client.get("/a", follow_redirects=True)

    assert (followed.status_code, followed.url.path) == (200, "/b")
    assert [r.status_code for r in followed.history] == [302]


async def test_nothing_but_harmless_headers_follows_a_redirect_to_another_origin(
    server, other_server
) -> None:
    server.answers("/a", (307, b"", {"Location": f"{other_server.url}/trap"}))
    given = {"X-Api-Key": "k", "X-Anything": "v", "Cookie": "c=1", "Accept": "text/plain"}
    default = {"Authorization": "Bearer s3cret"}
    async with client_of(server, default_headers=default, follow_redirects=True) as client:
        await client.get("/a", headers=given)

    assert server.requests[0].headers["x-api-key"] == "k"
    followed = other_server.requests[0].headers
    assert followed["accept"] == "text/plain"
    assert set(followed) <= {"host", "accept", "accept-encoding", "user-agent", "x-request-id"}


async def test_a_redirect_loop_ends(server) -> None:
    server.answers("/a", (302, b"", {"Location": "/a"}))
    async with client_of(server, follow_redirects=True, max_redirects=4) as client:
        with pytest.raises(RedirectNotAllowedError):
            await client.get("/a")

    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (301, "DELETE", "DELETE"),
    ],
)
async def test_what_a_redirect_makes_of_a_method(server, status, method, expected) -> None:
    server.answers("/a", (status, b"", {"Location": "/b"}))
    async with client_of(server, follow_redirects=True) as client:
        await client.request(method, "/a", json={"n": 1})

    last = server.requests[-1]
    assert (last.method, last.path) == (expected, "/b")
    assert last.body == (b'{"n":1}' if method == expected != "HEAD" else last.body)
    if expected == "GET":
        assert "content-type" not in last.headers


@pytest.mark.parametrize(
    "location",
    [
        "ftp://example.com/",
        "http://u:p@example.com/",
        "http://example.com:port/",
        "javascript:alert(1)",
    ],
)
async def test_a_location_that_is_no_place_to_go_is_refused(server, location) -> None:
    server.answers("/a", (302, b"", {"Location": location}))
    async with client_of(server, follow_redirects=True) as client:
        with pytest.raises(RedirectNotAllowedError):
            await client.get("/a")


async def test_a_stream_does_not_follow_a_redirect_that_keeps_the_body(server) -> None:
    server.answers("/a", (307, b"", {"Location": "/b"}), 303)

    async def chunks():
        yield b"x"

    async with client_of(server, follow_redirects=True) as client:
        with pytest.raises(RedirectNotAllowedError):
            await client.post("/a", content=chunks())
    assert [r.path for r in server.requests] == ["/a"]


async def test_a_body_does_not_follow_to_another_origin(server, other_server) -> None:
    server.answers("/a", (307, b"", {"Location": f"{other_server.url}/trap"}))
    async with client_of(server, follow_redirects=True) as client:
        with pytest.raises(RedirectNotAllowedError):
            await client.post("/a", json={"password": "x"})

    assert other_server.requests == []


async def test_cookies_of_one_call_do_not_go_with_the_next(server) -> None:
    server.answers("/login", (200, b"", {"Set_Cookie": "session=of-alice; Path=/"}))
    async with client_of(server) as client:
        await client.get("/login")
        await client.get("/")

    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("url", ["http://user:pw@example.com/", "//example.com/", "/x"])
async def test_urls_with_credentials_or_without_an_origin_are_refused(url) -> None:
    async with HTTPClient() as client:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            await client.get(url)
    assert "pw" not in str(caught.value)


def test_a_base_url_with_credentials_is_refused_without_quoting_them() -> None:
    with pytest.raises(ValueError, match="auth=") as caught:
        HTTPClient(base_url="https://user:hunter2@api.example.com")
    assert "hunter2" not in str(caught.value)


async def test_the_request_id_goes_along(server) -> None:
    token = set_request_id("req-42")
    try:
        async with (
            client_of(server) as client,
            client_of(server, propagate_request_id=False) as quiet,
        ):
            await client.get("/")
            await client.get("/", headers={"x-request-id": "mine"})
            await quiet.get("/")
    finally:
        clear_request_id(token)

    assert [r.headers.get("x-request-id") for r in server.requests] == ["req-42", "mine", None]


async def test_a_request_id_that_is_no_header_stays_here(server) -> None:
    token = set_request_id("a\r\nX-Evil: 1")
    try:
        async with client_of(server) as client:
            assert (await client.get("/")).status_code == 200
    finally:
        clear_request_id(token)
    assert "x-evil" not in server.requests[0].headers


async def test_a_header_is_sent_once_however_it_is_spelled(server) -> None:
    sent = []

    def keep(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers)
        return httpx.Response(200)

    async with HTTPClient(
        base_url=server.url,
        default_headers={"accept": "text/plain", "USER-AGENT": "shop/1"},
        transport=httpx.MockTransport(keep),
    ) as client:
        await client.get("/", headers={"aCCept": "text/csv"})
    assert sent[0].get_list("accept") == ["text/csv"]
    assert sent[0].get_list("user-agent") == ["shop/1"]


async def test_a_proxy_is_used_when_it_is_named_and_never_otherwise(server, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    proxy = server.url.replace("http://", "http://bob:hunter2@")
    async with HTTPClient(proxy=proxy) as client, HTTPClient() as direct:
        assert (await client.get("http://unreachable.example/x?y=1")).text == "ok"
        assert (await direct.get(f"{server.url}/direct")).text == "ok"

    assert [r.target for r in server.requests] == ["http://unreachable.example/x?y=1", "/direct"]
    assert server.requests[0].headers["proxy-authorization"].startswith("Basic ")
    assert "hunter2" not in repr(client)


async def test_query_parameters_are_added_to_those_of_the_url(server) -> None:
    async with client_of(server) as client:
        await client.get("/search?page=2", params={"q": "a b&c"})

    assert server.requests[0].target == "/search?page=2&q=a+b%26c"


async def test_relative_urls_start_below_the_base_url(server) -> None:
    async with HTTPClient(base_url=f"{server.url}/v1") as client:
        for url in ("users", "/users", "//evil.example/users"):
            await client.get(url)

    assert [r.path for r in server.requests] == ["/v1/users"] * 3


# --- bodies --------------------------------------------------------------------------------------


async def test_compressed_bodies_are_decompressed(server) -> None:
    text = b"hello world " * 10_000
    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "/gzip": ("gzip", gzip.compress(text)),
        "/members": ("gzip", gzip.compress(text[:50]) + gzip.compress(text[50:])),
        "/padded": ("gzip", gzip.compress(text) + b"\0" * 10),
        "/zlib": ("deflate", zlib.compress(text)),
        "/bare": ("deflate", raw.compress(text) + raw.flush()),
        "/plain": ("identity", text),
    }
    for path, (coding, body) in bodies.items():
        server.answers(path, (200, body, {"Content_Encoding": coding}))
    async with client_of(server) as client:
        for path in bodies:
            assert (await client.get(path)).content == text, path


async def test_a_bomb_is_stopped_before_it_inflates(server) -> None:
    bomb = gzip.compress(b"\0" * 60_000_000, compresslevel=9)
    assert len(bomb) < 80_000
    server.answers("/", (200, bomb, {"Content_Encoding": "gzip"}))
    async with client_of(server) as client:
        with pytest.raises(ResponseTooLargeError):
            await client.get("/")
        async with client.stream("GET", "/") as response:
            largest = 0
            try:
                async for piece in response.aiter_bytes():
                    largest = max(largest, len(piece))
            except ResponseTooLargeError:
                assert 0 < largest <= 65_536
            else:
                pytest.fail("the bomb inflated")
        assert client.circuits()[0].failures == 0


async def test_codings_that_were_not_asked_for_are_refused(server) -> None:
    server.answers("/", (200, b"x", {"Content_Encoding": "br"}))
    server.answers("/twice", (200, b"x", {"Content_Encoding": "gzip, gzip"}))
    server.answers("/lie", (200, b"not gzip", {"Content_Encoding": "gzip"}))
    async with client_of(server) as client:
        for path in ("/", "/twice", "/lie"):
            with pytest.raises(httpx.DecodingError):
                await client.get(path)
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"
    assert len(server.requests) == 3


async def test_a_response_over_the_limit_is_refused_announced_or_not(server) -> None:
    server.answers("/announced", (200, b"x" * 2000, {}))

    @server.on("/chunked")
    async def chunked(_r, _in, out) -> None:
        await out.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            await out.raw(b"64\r\n" + b"x" * 100 + b"\r\n")
        await out.raw(b"0\r\n\r\n")

    async with client_of(server, max_response_bytes=1000) as client:
        for path in ("/announced", "/chunked"):
            with pytest.raises(ResponseTooLargeError):
                await client.get(path)
            whole = await client.get(path, max_response_bytes=None)
            assert len(whole.content) == 2000
        assert (await client.head("/announced")).status_code == 200


async def test_a_response_is_streamed_piece_by_piece(server) -> None:
    more = asyncio.Event()

    @server.on("/")
    async def slowly(_r, _in, out) -> None:
        await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await more.wait()
        await out.raw(b"def")

    got = []
    async with client_of(server) as client, client.stream("GET", "/") as response:
        async for piece in response.aiter_bytes():
            got.append(piece)
            more.set()

    assert got == [b"abc", b"def"]


async def test_a_stream_that_breaks_is_not_tried_again_and_counts(server) -> None:
    server.on("/")(_truncated_body)
    async with client_of(server) as client:
        async with client.stream("GET", "/") as response:
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()
        assert client.circuits()[0].failures == 1
    assert len(server.requests) == 1


async def test_a_stream_that_the_reader_leaves_gives_its_connection_back(server) -> None:
    server.on("/")(_slow_body)
    limits = PoolLimits(max_connections=1)
    async with client_of(server, limits=limits) as client:
        async with client.stream("GET", "/") as response:
            async for _ in response.aiter_bytes():
                break
        assert (await client.get("/other")).status_code == 200
        assert client.circuits()[0].failures == 0


# --- the resource --------------------------------------------------------------------------------


async def test_it_is_a_resource_that_opens_and_closes_again_and_again(server) -> None:
    client = client_of(server)
    assert isinstance(client, Resource)
    assert (await client.get("/")).status_code == 200  # the first request opens it
    await client.disconnect()
    await client.disconnect()
    assert not await client.health_check()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("/")
    await client.connect()
    await client.connect()
    assert (await client.get("/")).status_code == 200
    await client.aclose()


async def test_closing_ends_what_is_under_way_and_nothing_is_tried_again(server) -> None:
    server.on("/")(_never)
    client = client_of(server, timeouts=Timeouts(read=5.0))
    calls = [asyncio.create_task(client.get("/")) for _ in range(5)]
    await server.arrived(5)
    await client.disconnect()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(o, httpx.TransportError | RuntimeError) for o in outcomes)
    await asyncio.sleep(0.02)
    assert len(server.requests) == server.connections == 5


async def test_a_client_that_is_closed_while_it_opens_stays_closed() -> None:
    closed = []

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            raise AssertionError

        async def aclose(self) -> None:
            closed.append(self)

    client = HTTPClient()

    async def slow_to_make():
        await client.disconnect()
        return Transport()

    client._make_transport = slow_to_make  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("http://a.example/")
    assert len(closed) == 1


async def test_the_health_path_is_asked(server) -> None:
    server.answers("/health", 200, 404, 500)
    async with client_of(server, health_path="/health", retry_policy=RetryPolicy(1)) as client:
        assert [await client.health_check() for _ in range(3)] == [True, True, False]
        await server.stop()
        assert not await client.health_check()


async def test_a_transport_that_was_given_is_not_closed_and_one_that_was_made_is() -> None:
    closed = []

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return httpx.Response(200, stream=httpx.ByteStream(b""))

        async def aclose(self) -> None:
            closed.append(self)

    given = Transport()
    async with HTTPClient(transport=given) as client:
        await client.get("http://a.example/")
    assert closed == []
    async with HTTPClient(transport=Transport) as client:
        await client.get("http://a.example/")
    assert len(closed) == 1


async def test_every_verb_is_sent_as_it_is_called(server) -> None:
    async with client_of(server) as client:
        for verb in ("get", "head", "options", "post", "put", "patch", "delete"):
            await getattr(client, verb)("/")
    assert [r.method for r in server.requests] == [
        "GET",
        "HEAD",
        "OPTIONS",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
    ]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: PoolLimits(max_connections=0), "max_connections"),
        (lambda: PoolLimits(max_calls_per_origin=0), "max_calls_per_origin"),
        (lambda: PoolLimits(keepalive_expiry_seconds=-1), "keepalive"),
        (lambda: Timeouts(connect=0), "connect"),
        (lambda: Timeouts(deadline=-1), "deadline"),
        (lambda: HTTPClient(base_url="ftp://x.example"), "base_url"),
        (lambda: HTTPClient(base_url="https://x.example/?a=b"), "base_url"),
        (lambda: HTTPClient(base_url="/relative"), "base_url"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, name) -> None:
    with pytest.raises(ValueError, match=name):
        make()


async def test_a_scheme_that_is_not_http_is_refused(server) -> None:
    async with client_of(server) as client:
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://files.example/")


def test_options_that_contradict_each_other_are_refused() -> None:
    for options in (
        {"timeout": 3.0, "timeouts": Timeouts()},
        {"failure_threshold": 2, "circuit_policy": CircuitPolicy()},
        {"transport": httpx.MockTransport(lambda r: httpx.Response(200)), "proxy": "http://p"},
    ):
        with pytest.raises(ValueError, match="contradict"):
            HTTPClient(**options)


async def test_the_names_of_the_contract_are_kept() -> None:
    client = HTTPClient(
        base_url="https://api.example.com",
        timeout=4.0,
        retry_policy=RetryPolicy(max_attempts=2),
        failure_threshold=7,
        recovery_seconds=11.0,
        default_headers={"X-A": "b"},
        verify_tls=True,
        propagate_request_id=False,
    )
    assert (client.timeout, client.failure_threshold, client.recovery_seconds) == (4.0, 7, 11.0)
    assert client.base_url == "https://api.example.com"
    assert client.retry_policy.max_attempts == 2
    assert client.propagate_request_id is False
    assert CircuitOpenError("h").host == "h"


async def test_every_setting_is_read(server) -> None:
    settings = HTTPClientSettings(HTTP_CLIENT_READ_TIMEOUT_SECONDS=3)
    with assert_settings_read(HTTPClientSettings, by="tijolo.http"):
        client = HTTPClient.from_settings(settings, base_url=server.url)
    async with client:
        assert (await client.get("/")).status_code == 200
    assert client.timeout == 3
    hasty = HTTPClient.from_settings(settings, timeout=1.0, base_url=server.url)
    assert (hasty.timeouts.connect, hasty.timeouts.read) == (1.0, 1.0)
    assert hasty.timeouts.deadline == 30.0


# --- logs and observers --------------------------------------------------------------------------


async def test_a_log_line_has_no_query_and_no_credentials(server, records) -> None:
    async with client_of(server, default_headers={"Authorization": "Bearer s3cret"}) as client:
        await client.get("/pay?token=hunter2", params={"key": "hunter3"})
        await client.get("/users/7/secret-link", route="/users/{id}/{link}")

    lines = [record.getMessage() for record in records]
    assert lines == [
        f"GET {server.url}/pay 200",
        f"GET {server.url}/users/{{id}}/{{link}} 200",
    ]
    dumped = repr([record.__dict__ for record in records])
    for secret in ("hunter2", "hunter3", "s3cret", "secret-link"):
        assert secret not in dumped
    assert records[0].attempts == 1


async def test_observers_are_told_and_cannot_break_a_call(server, records) -> None:
    told = []

    class Observer(HTTPObserver):
        def on_attempt(self, event) -> None:
            told.append((event.attempt, event.status, event.retry_in_seconds is not None))

        def on_call(self, event) -> None:
            told.append((event.method, event.origin, event.route, event.attempts, event.status))

        def on_circuit(self, origin, before, after) -> None:
            told.append((before.value, after.value))

    class Broken(HTTPObserver):
        def on_call(self, event) -> None:
            raise RuntimeError("observer")

    server.answers("/", 503, 200)
    async with client_of(server, observers=[Broken(), Observer()]) as client:
        await client.get("/", route="/")
        server.answers("/", 500)
        for _ in range(4):
            await client.get("/", idempotent=False)

    assert told[:3] == [
        (1, 503, True),
        (2, 200, False),
        ("GET", server.url, "/", 2, 200),
    ]
    assert ("closed", "open") in told
    assert sum("observer" in r.getMessage() for r in records) == 1  # and not for every call


async def test_a_call_that_fails_is_reported_with_its_error(server, records) -> None:
    told = []

    class Observer(HTTPObserver):
        def on_call(self, event) -> None:
            told.append((event.error, event.status, event.attempts))

    server.on("/")(_reset_before_headers)
    async with client_of(server, observers=[Observer()]) as client:
        with pytest.raises(httpx.ReadError):
            await client.get("/")

    assert told == [("ReadError", None, 3)]
    assert records[-1].levelname == "WARNING"
