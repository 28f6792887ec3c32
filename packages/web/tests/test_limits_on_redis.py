"""Rate limits and idempotency keys against Redis servers that die, freeze and come back."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import httpx
import pytest
from fastapi import FastAPI, Request

from tijolo.core import BaseAppSettings, Environment
from tijolo.web import (
    IdempotencyMiddleware,
    IdempotencySettings,
    RateLimiter,
    RateLimitMiddleware,
    RateLimitSettings,
    WebSettings,
    create_app,
    rate_limits,
)

pytest.importorskip("redis")
redis = importlib.import_module("tijolo.web.redis")
KEY = "Idempotency-Key"
TIMEOUT = 0.6  # long for a busy machine's Redis, short for a test that waits it out


@contextlib.asynccontextmanager
async def connected(server):
    client = redis.redis_client(server.url, timeout_seconds=TIMEOUT)
    try:
        yield client
    finally:
        await client.aclose()


def client_of(app):
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example")


def limited(client, **options):
    app = FastAPI()
    app.add_api_route("/", lambda: "ok")
    store = redis.RedisRateLimitStore(client, timeout_seconds=TIMEOUT)
    limiter = RateLimiter("5/hour", store=store, retry_store_seconds=0.2, **options)
    app.add_middleware(RateLimitMiddleware, limiter=limiter)
    return app


async def statuses(client, count):
    answers = await asyncio.gather(*(client.get("/") for _ in range(count)))
    return sorted(answer.status_code for answer in answers)


async def test_a_server_that_is_killed_and_started_again_under_load(own_redis, records):
    async with connected(own_redis) as connection, client_of(limited(connection)) as client:
        assert await statuses(client, 20) == [200] * 5 + [429] * 15
        own_redis.kill()
        assert await statuses(client, 20) == [200] * 5 + [429] * 15  # this process alone
        own_redis.start()

        async def is_back():
            await client.get("/")
            return any("is back after" in record.getMessage() for record in records)

        await until(is_back)
        # the server came back empty, and one request found that out
        assert (await client.get("/")).headers["ratelimit"].startswith('"5/hour";r=3;')
    told = [r.getMessage() for r in records if r.name == "tijolo.web.rate_limit"]
    assert ["is down (" in text for text in told] == [True, False]
    assert "is back after" in told[1]


@pytest.mark.redis
async def test_hundreds_of_callers_at_once_are_no_outage(redis_connection):
    client, prefix = redis_connection

    class Slow:
        """A client whose server needs 50 ms for each call."""

        async def evalsha(self, digest, count, key, *arguments):
            await asyncio.sleep(0.05)
            return await client.evalsha(digest, count, key, *arguments)

        async def eval(self, *arguments):
            return await client.eval(*arguments)

    store = redis.RedisRateLimitStore(Slow(), prefix=prefix, timeout_seconds=1)
    limits = rate_limits("5/hour")
    asked = (store.reserve("k", limits) for _ in range(800))
    assert sum(found.allowed for found in await asyncio.gather(*asked)) == 5


async def test_after_a_failover_connections_leave_the_server_that_is_a_replica_now(own_redis):
    """Behind one address, as of a managed Redis; who was the primary goes on as a replica."""
    old, new = own_redis, type(own_redis)()
    new.start()
    address, pipes = [old.port], set()

    async def forward(reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", address[0])
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pipe = asyncio.create_task(copy(source, sink))
            pipes.add(pipe)
            pipe.add_done_callback(pipes.discard)

    async def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()

    try:
        async with await asyncio.start_server(forward, "127.0.0.1", 0) as door:
            port = door.sockets[0].getsockname()[1]
            client = redis.redis_client(f"redis://127.0.0.1:{port}", timeout_seconds=5)
            keys, limits = redis.RedisIdempotencyStore(client), redis.RedisRateLimitStore(client)
            assert (await keys.reserve("k1", "f", "o", 30))[0] == "acquired"
            async with connected(old) as admin:
                await admin.replicaof("127.0.0.1", new.port)
            address[0] = new.port
            assert (await keys.reserve("k2", "f", "o", 30))[0] == "acquired"
            assert (await limits.reserve("k", rate_limits("1/hour"))).allowed
            await client.aclose()
            await until(lambda: not pipes)
    finally:
        new.kill()


async def test_connections_that_died_in_the_pool_fail_no_call(own_redis):
    async with connected(own_redis) as connection:
        store = redis.RedisIdempotencyStore(connection, timeout_seconds=5)

        async def reserve(n):
            return (await store.reserve(f"k{n}", "f", "o", 30))[0]

        assert set(await asyncio.gather(*map(reserve, range(20)))) == {"acquired"}
        own_redis.kill()
        own_redis.start()
        assert set(await asyncio.gather(*map(reserve, range(32)))) == {"acquired"}


@pytest.mark.parametrize(("policy", "status"), [("open", 200), ("closed", 503)])
async def test_a_server_that_freezes_costs_one_timeout_and_not_one_for_each_request(
    own_redis, policy, status
):
    async with connected(own_redis) as connection:  # noqa: SIM117
        async with client_of(limited(connection, on_store_failure=policy)) as client:
            assert await statuses(client, 3) == [200] * 3
            own_redis.freeze()
            assert await statuses(client, 30) == [status] * 30
            began = time.monotonic()
            assert await statuses(client, 30) == [status] * 30
            assert time.monotonic() - began < 5  # not thirty timeouts one after the other
            own_redis.thaw()
            await asyncio.sleep(0.25)
            # what was cut off in the middle does not answer somebody else's question
            found = await statuses(client, 20)
            assert set(found) <= {200, 429, 503}
            await asyncio.sleep(0.25)
            found = [(await client.get("/")).status_code for _ in range(8)]
            assert found[-1] == 429


async def test_a_script_that_the_server_forgot_is_sent_again(own_redis):
    async with connected(own_redis) as connection:
        store = redis.RedisRateLimitStore(connection)
        await store.reserve("k", rate_limits("5/hour"))
        await connection.script_flush()
        assert (await store.reserve("k", rate_limits("5/hour"))).states[0].remaining == 3


def ordering(client, **options):
    app = FastAPI()
    app.state.runs = 0
    app.state.gate = asyncio.Event()
    app.state.gate.set()

    @app.post("/orders")
    async def order(request: Request):
        app.state.runs += 1
        await app.state.gate.wait()
        return {"run": app.state.runs}

    store = redis.RedisIdempotencyStore(client, timeout_seconds=TIMEOUT)
    options = {"retry_store_seconds": 0.05, **options}
    app.add_middleware(IdempotencyMiddleware, store=store, **options)
    return app


async def order(client, key="k1"):
    return await client.post("/orders", json={}, headers={KEY: key})


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
async def test_without_its_server_nothing_with_a_key_is_carried_out(own_redis, trouble):
    async with connected(own_redis) as connection:
        app = ordering(connection)
        async with client_of(app) as client:
            assert (await order(client, "before")).status_code == 200
            getattr(own_redis, trouble)()
            answers = await asyncio.gather(*(order(client, f"k{n}") for n in range(20)))
            assert {answer.status_code for answer in answers} == {503}
            assert app.state.runs == 1
            own_redis.thaw() if trouble == "freeze" else own_redis.start()
            await asyncio.sleep(0.1)
            assert (await order(client, "after")).status_code == 200
            if trouble == "freeze":
                assert (await order(client, "before")).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("trouble", ["kill", "freeze"])
async def test_an_answer_made_while_the_server_was_away_is_kept_when_it_is_back(own_redis, trouble):
    async with connected(own_redis) as connection:
        app = ordering(connection)
        app.state.gate.clear()
        async with client_of(app) as client:
            first = asyncio.create_task(order(client))
            await until(lambda: app.state.runs == 1)
            getattr(own_redis, trouble)()
            app.state.gate.set()
            assert (await first).status_code == 200
            own_redis.thaw() if trouble == "freeze" else own_redis.start()
            await until(lambda: has_answer(connection), seconds=5)
            assert (await order(client)).headers["idempotency-replayed"] == "true"
            assert app.state.runs == 1


async def has_answer(connection):
    with contextlib.suppress(Exception):
        async for key in connection.scan_iter(match="idem:*"):
            return await connection.hexists(key, "answer")
    return False


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)


# --- several processes

SERVICE = """
import asyncio, os, sys
import uvicorn
from fastapi import FastAPI
from tijolo.web import IdempotencyMiddleware, RateLimitMiddleware, RateLimiter
from tijolo.web.redis import RedisIdempotencyStore, RedisRateLimitStore, redis_client

url, port = sys.argv[1], int(sys.argv[2])
client = redis_client(url, timeout_seconds=5)
app = FastAPI()

@app.post("/orders")
async def order(seconds: float):
    run = await client.incr("runs")
    await asyncio.sleep(seconds)
    return {"run": run, "process": os.getpid()}

@app.get("/limited")
async def read():
    return "ok"

app.add_middleware(
    IdempotencyMiddleware,
    store=RedisIdempotencyStore(client, timeout_seconds=5),
    lease_seconds=float(sys.argv[3]),
)
limiter = RateLimiter("25/day", store=RedisRateLimitStore(client, timeout_seconds=5))
limits = RateLimitMiddleware(app, limiter=limiter)

async def service(scope, receive, send):
    await (limits if scope.get("path") == "/limited" else app)(scope, receive, send)

uvicorn.run(service, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
"""


@contextlib.contextmanager
def processes(server, count, *, lease_seconds=30.0):
    """Start ``count`` processes of the service; yield them with their ports."""
    started = []
    try:
        for _ in range(count):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            arguments = [textwrap.dedent(SERVICE), server.url, str(port), str(lease_seconds)]
            process = subprocess.Popen([sys.executable, "-c", *arguments], env=dict(os.environ))
            started.append((process, port))
        for _, port in started:
            for _ in range(1_000):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.01)
        yield started
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def at(port, path):
    return f"http://127.0.0.1:{port}{path}"


async def test_several_processes_share_keys_and_limits_and_survive_each_other(own_redis):
    with processes(own_redis, 2, lease_seconds=0.3) as started:
        ports = [port for _, port in started]
        async with httpx.AsyncClient(timeout=30) as client, connected(own_redis) as connection:
            await one_key_is_carried_out_once(client, ports)
            await one_limit_is_counted_together(client, ports)
            await a_killed_process_frees_its_key(client, connection, started)


async def one_key_is_carried_out_once(client, ports):
    posts = (client.post(at(p, "/orders?seconds=0.1"), headers={KEY: "k"}) for p in ports * 10)
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["run"] == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert replayed.count("true") == 19


async def one_limit_is_counted_together(client, ports):
    found = await asyncio.gather(*(client.get(at(port, "/limited")) for port in ports * 30))
    assert [answer.status_code for answer in found].count(200) == 25


async def a_killed_process_frees_its_key(client, connection, started):
    (first, port), (_, other) = started
    path, headers = "/orders?seconds=30", {KEY: "held"}
    lost = asyncio.create_task(client.post(at(port, path), headers=headers))
    await until(lambda: has_run(connection, 2))
    waiting = asyncio.create_task(client.post(at(other, path), headers=headers))
    # longer than the lease, and the key is still held: the living process renews it
    await asyncio.sleep(0.6)
    assert await has_run(connection, 2)
    os.kill(first.pid, signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        await lost
    await until(lambda: has_run(connection, 3))  # by the one that waited in the other process
    waiting.cancel()


async def has_run(connection, times):
    return await connection.get("runs") == b"%d" % times


# --- by settings


class Settings(RateLimitSettings, IdempotencySettings, WebSettings, BaseAppSettings, env_file=None):
    pass


async def test_create_app_shares_both_over_redis_and_closes_what_it_opened(own_redis):
    given = Settings(
        ENVIRONMENT=Environment.TEST,
        RATE_LIMITS="3/hour",
        RATE_LIMIT_REDIS_URL=own_redis.url,
        IDEMPOTENCY_ENABLED=True,
        IDEMPOTENCY_REDIS_URL=own_redis.url,
    )
    assert own_redis.url not in repr(given)
    runs = []
    found = []
    for _ in range(2):  # two replicas
        app = create_app(given)

        @app.post("/orders")
        async def carry_out() -> int:
            runs.append(1)
            return len(runs)

        async with app.router.lifespan_context(app), client_of(app) as client:
            found += [(await order(client)).json() for _ in range(2)]
    assert runs == [1]
    assert found[:3] == [1, 1, 1]
    assert found[3]["code"] == "TOO_MANY_REQUESTS"


async def test_services_of_one_redis_keep_apart_by_their_prefixes(own_redis):
    answers = {}
    for service in ("shop", "blog"):
        given = Settings(
            ENVIRONMENT=Environment.TEST,
            RATE_LIMITS="1/hour",
            RATE_LIMIT_REDIS_URL=own_redis.url,
            RATE_LIMIT_REDIS_PREFIX=f"{service}:ratelimit:",
            IDEMPOTENCY_ENABLED=True,
            IDEMPOTENCY_REDIS_URL=own_redis.url,
            IDEMPOTENCY_REDIS_PREFIX=f"{service}:idem:",
        )
        app = create_app(given)

        @app.post("/orders")
        async def carry_out(service: str = service) -> str:
            return service

        async with app.router.lifespan_context(app), client_of(app) as client:
            answers[service] = (await order(client)).json()
    assert answers == {"shop": "shop", "blog": "blog"}
    client = redis.redis_client(own_redis.url)
    keys = {key.decode().partition(":")[0] for key in await client.keys("*")}
    await client.aclose()
    assert keys == {"shop", "blog"}
