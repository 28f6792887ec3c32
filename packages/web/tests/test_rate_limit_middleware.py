from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from tijolo.core import BaseAppSettings, Environment, user_id_ctx
from tijolo.core.testing import assert_settings_read
from tijolo.web import (
    CORSSettings,
    MemoryRateLimitStore,
    RateLimiter,
    RateLimitMiddleware,
    RateLimitSettings,
    TrustedProxyMiddleware,
    WebSettings,
    create_app,
    key_by_client_address,
    key_by_header,
    key_by_user,
    make_rate_limit_dependency,
    rate_limits,
    register_exception_handlers,
)

POLICY_ITEM = re.compile(r'"[^"]+";q=\d+;w=[1-9]\d*')
LIMIT_ITEM = re.compile(r'"[^"]+";r=\d+;t=\d+')


async def answers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
    await send({"type": "http.response.body", "body": b"ok"})


def at(clock, **options):
    """A limiter in memory whose clock the test moves."""
    limits = options.pop("limits", "2/minute")
    return RateLimiter(limits, store=MemoryRateLimitStore(clock=clock), **options)


def client_of(app, address="203.0.113.9"):
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example")


# --- what a caller sees


async def test_a_caller_over_the_limit_gets_a_problem_and_the_exact_time_to_wait(exchange, clock):
    app = RateLimitMiddleware(answers, limiter=at(clock))
    for left in (1, 0):
        made = await exchange(app, "/items")
        assert made.status == 200
        assert made.headers["ratelimit"] == f'"2/minute";r={left};t={60 if left == 0 else 30}'
        assert made.headers["ratelimit-policy"] == '"2/minute";q=2;w=60'
    clock.now += 0.5
    refused = await exchange(app, "/items")
    assert refused.status == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "30"  # 29.5 rounded up, never down
    assert refused.headers["ratelimit"] == '"2/minute";r=0;t=30'
    assert refused.headers["ratelimit-policy"] == '"2/minute";q=2;w=60'
    document = refused.json()
    assert document["code"] == "TOO_MANY_REQUESTS"
    assert document["details"] == {"retry_after_seconds": 30, "violated_policies": ["2/minute"]}
    clock.now += 29.4
    assert (await exchange(app, "/items")).status == 429
    clock.now += 0.1
    assert (await exchange(app, "/items")).status == 200


async def test_several_limits_share_the_headers_and_the_slowest_says_how_long(exchange, clock):
    app = RateLimitMiddleware(answers, limiter=at(clock, limits="2/second, 3/hour"))
    made = await exchange(app)
    assert made.headers["ratelimit-policy"] == '"2/second";q=2;w=1, "3/hour";q=3;w=3600'
    assert made.headers["ratelimit"] == '"2/second";r=1;t=1, "3/hour";r=2;t=1200'
    await exchange(app)
    assert (await exchange(app)).headers["retry-after"] == "1"
    clock.now += 1
    assert (await exchange(app)).status == 200
    refused = await exchange(app)
    assert refused.headers["retry-after"] == "1199"
    assert refused.json()["details"]["violated_policies"] == ["3/hour"]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=4, unique=True))
async def test_the_headers_are_lists_of_items_with_integers(quotas):
    limits = [f"{quota}/{10_000 + i}seconds" for i, quota in enumerate(quotas)]
    decision = await RateLimiter(limits).check({"type": "http", "path": "/", "client": ("a", 1)})
    assert decision is not None
    for item in decision.headers["RateLimit-Policy"].split(", "):
        assert POLICY_ITEM.fullmatch(item)
    for item in decision.headers["RateLimit"].split(", "):
        assert LIMIT_ITEM.fullmatch(item)


async def test_the_names_of_the_contract_still_work(exchange):
    app = RateLimitMiddleware(
        answers,
        max_requests=1,
        window_seconds=1.5,
        key_func=lambda request: request.headers.get("x-who", "-"),
        exempt_paths=("/free",),
        retry_after_header=False,
        error_message="Slow down",
    )
    assert (app.max_requests, app.window_seconds) == (1, 1.5)
    assert (await exchange(app, headers={"X-Who": "a"})).status == 200
    assert (await exchange(app, headers={"X-Who": "b"})).status == 200
    refused = await exchange(app, headers={"X-Who": "a"})
    assert refused.status == 429
    assert "retry-after" not in refused.headers
    assert refused.json()["detail"] == "Slow down"
    for _ in range(3):
        assert (await exchange(app, "/free", headers={"X-Who": "a"})).status == 200


async def test_exempt_paths_are_exact(exchange, clock):
    app = RateLimitMiddleware(answers, limiter=at(clock, limits="1/hour", exempt_paths=["/health"]))
    await exchange(app, "/")
    for path, status in [
        ("/health", 200),
        ("/health/", 429),
        ("/health/x", 429),
        ("/healthy", 429),
        ("/HEALTH", 429),
        ("//health", 429),
    ]:
        assert (await exchange(app, path)).status == status, path
    inside = await exchange(app, "/api/health", root_path="/api")
    assert inside.status == 200


async def test_other_scopes_and_unknown_messages_pass(exchange, clock):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])
        await send({"type": "http.response.early_hint", "links": []})
        if scope["type"] == "http":
            await answers(scope, receive, send)

    limited = RateLimitMiddleware(app, limiter=at(clock, limits="1/hour"))
    for kind in ("websocket", "lifespan", "websocket"):
        await exchange(limited, {"type": kind, "path": "/"})
    made = await exchange(limited, "/")
    assert seen == ["websocket", "lifespan", "websocket", "http"]
    assert made.messages[0] == {"type": "http.response.early_hint", "links": []}


async def test_a_list_of_headers_that_the_application_keeps_is_not_changed(exchange, clock):
    kept = [(b"x-a", b"1")]

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": kept})
        await send({"type": "http.response.body", "body": b""})

    limited = RateLimitMiddleware(app, limiter=at(clock))
    await exchange(limited)
    await exchange(limited)
    assert kept == [(b"x-a", b"1")]


# --- whose units


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.10", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
async def test_an_ipv6_client_is_its_network_of_64_bits(exchange, clock, one, other, same):
    app = RateLimitMiddleware(answers, limiter=at(clock, limits="1/hour"))
    assert (await exchange(app, client=(one, 1))).status == 200
    assert (await exchange(app, client=(other, 2))).status == (429 if same else 200)


@pytest.mark.parametrize("nobody", [None, ("", 0), ("/run/app.sock", None), ("unix:", 0)])
async def test_unknown_callers_never_share_one_bucket(exchange, clock, records, nobody):
    app = RateLimitMiddleware(answers, limiter=at(clock, limits="1/hour"))
    for _ in range(5):
        made = await exchange(app, client=nobody)
        assert (made.status, "ratelimit" in made.headers) == (200, False)
    assert len([r for r in records if "nobody knows" in r.getMessage()]) == 1


async def test_a_forged_forwarding_header_makes_no_new_caller(exchange, clock):
    app = RateLimitMiddleware(answers, limiter=at(clock, limits="1/hour"))
    behind = TrustedProxyMiddleware(app, trusted_proxies=["10.0.0.0/8"])
    statuses = [
        (await exchange(behind, headers={"X-Forwarded-For": f"198.51.100.{n}"})).status
        for n in range(3)
    ]
    assert statuses == [200, 429, 429]
    for n in range(2):  # behind the proxy only its own word counts
        made = await exchange(
            behind, client=("10.0.0.1", 1), headers={"X-Forwarded-For": f"9.9.9.{n}, 8.8.8.8"}
        )
        assert made.status == (200 if n == 0 else 429)


async def test_the_address_may_come_from_a_header_of_a_trusted_proxy(exchange, clock):
    limiter = at(clock, limits="1/hour", trusted_ip_header="CF-Connecting-IP")
    app = TrustedProxyMiddleware(
        RateLimitMiddleware(answers, limiter=limiter), trusted_proxies=["10.0.0.0/8"]
    )

    async def status(peer, told):
        headers = {"CF-Connecting-IP": told}
        return (await exchange(app, client=(peer, 1), headers=headers)).status

    assert [await status("10.0.0.1", ip) for ip in ("1.1.1.1", "1.1.1.1", "1.1.1.2")] == [
        200,
        429,
        200,
    ]
    assert [await status("9.9.9.9", ip) for ip in ("1.1.1.3", "1.1.1.4")] == [200, 429]


async def test_keys_by_header_user_and_address(clock, exchange):
    def key(function, **scope):
        return function(Request({"type": "http", "headers": [], "client": ("1.2.3.4", 1), **scope}))

    by_header = key_by_header("X-API-Key")
    token = key(by_header, headers=[(b"x-api-key", b"secret-value")])
    assert token.startswith("header:")
    assert "secret" not in token
    assert key(by_header) == key(key_by_client_address()) == "1.2.3.4"
    assert key(key_by_client_address(ipv6_prefix=48), client=("2001:db8:1:2::1", 1)) == (
        "2001:db8:1::/48"
    )
    set_user = user_id_ctx.set("42")
    try:
        assert key(key_by_user) == "user:42"
    finally:
        user_id_ctx.reset(set_user)
    assert key(key_by_user) == "1.2.3.4"

    class User:
        is_authenticated = True
        identity = "7"

    assert key(key_by_user, user=User()) == "user:7"
    with pytest.raises(ValueError, match="ipv6_prefix"):
        key_by_client_address(ipv6_prefix=0)


async def test_a_key_of_megabytes_is_kept_as_a_digest(exchange):
    store = MemoryRateLimitStore()
    limiter = RateLimiter("1/hour", store=store, key_func=lambda _: "x" * 5_000_000)
    app = RateLimitMiddleware(answers, limiter=limiter)
    assert [(await exchange(app)).status for _ in range(2)] == [200, 429]
    assert max(len(key) for key in store._used) < 200


async def test_a_key_function_may_be_a_coroutine_function(exchange, clock):
    async def who(request):
        await asyncio.sleep(0)
        return request.headers["x-who"]

    app = RateLimitMiddleware(answers, limiter=at(clock, limits="1/hour", key_func=who))
    found = [(await exchange(app, headers={"X-Who": name})).status for name in "aab"]
    assert found == [200, 429, 200]


async def test_a_cost_may_depend_on_the_request(exchange, clock):
    limiter = at(clock, limits="10/hour", cost=lambda r: int(r.headers["x-rows"]))
    app = RateLimitMiddleware(answers, limiter=limiter)

    async def ask(rows):
        return await exchange(app, headers={"X-Rows": str(rows)})

    assert (await ask(8)).status == 200
    assert (await ask(3)).headers["retry-after"] == "360"
    never = await ask(11)
    assert never.status == 429
    assert "retry-after" not in never.headers  # waiting would not help
    assert (await ask(2)).status == 200
    with pytest.raises(ValueError, match="cost"):
        await ask(-5)


@pytest.mark.parametrize("options", [{}, {"key_func": lambda connection: connection.url.path}])
async def test_the_handshake_of_a_websocket_can_be_decided_too(clock, scope_of, options):
    limiter = at(clock, limits="1/hour", **options)
    scope = scope_of("/ws", type="websocket", scheme="ws")
    assert [(await limiter.check(scope)).allowed for _ in range(2)] == [True, False]


# --- routes


def shop(clock, **options):
    app = FastAPI()
    register_exception_handlers(app)
    limit = Depends(make_rate_limit_dependency(at(clock, limits="2/hour"), **options))
    inner = APIRouter(prefix="/v1")

    @inner.get("/items/{item_id}", dependencies=[limit])
    async def read_item(item_id: int) -> int:
        return item_id

    @inner.post("/items/{item_id}", dependencies=[limit])
    async def write_item(item_id: int) -> int:
        return item_id

    @app.get("/items/{item_id}", dependencies=[limit])
    async def read_old_item(item_id: int) -> int:
        return item_id

    app.include_router(inner)
    return app


async def test_each_route_has_units_of_its_own_whatever_its_path_parameters(clock):
    async with client_of(shop(clock)) as client:
        for number, status in [(1, 200), (2, 200), (3, 429)]:
            answer = await client.get(f"/v1/items/{number}")
            assert answer.status_code == status
            assert LIMIT_ITEM.fullmatch(answer.headers["ratelimit"])
        assert answer.json()["code"] == "TOO_MANY_REQUESTS"
        assert answer.headers["retry-after"] == "1800"
        assert (await client.post("/v1/items/1")).status_code == 200
        assert (await client.get("/items/1")).status_code == 200


async def test_routes_may_share_units(clock):
    async with client_of(shop(clock, shared_as="items")) as client:
        assert (await client.get("/v1/items/1")).status_code == 200
        assert (await client.post("/v1/items/1")).status_code == 200
        assert (await client.get("/items/1")).status_code == 429


@pytest.mark.parametrize(
    "option", [{"key_func": key_by_user}, {"cost": 2}, {"on_store_failure": "closed"}]
)
def test_a_dependency_ignores_no_option_beside_its_limiter(option):
    with pytest.raises(TypeError, match="limiter has its own"):
        make_rate_limit_dependency(RateLimiter("1/minute"), **option)


async def test_a_dependency_after_that_of_the_user_limits_the_user():
    app = FastAPI()
    register_exception_handlers(app)
    limit = make_rate_limit_dependency("1/hour", key_func=key_by_user)

    async def current_user(request: Request):
        user_id_ctx.set(request.headers["x-user"])

    @app.get("/", dependencies=[Depends(current_user), Depends(limit)])
    async def read() -> None: ...

    async with client_of(app) as client:
        found = [(await client.get("/", headers={"X-User": u})).status_code for u in "aab"]
    assert found == [200, 429, 200]


# --- misuse


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limits": "100"}, ValueError),
        ({"max_requests": 0}, ValueError),
        ({"window_seconds": 0}, ValueError),
        ({"limits": "5/second", "cost": 6}, ValueError),
        ({"cost": 0}, ValueError),
        ({"cost": True}, ValueError),
        ({"on_store_failure": "maybe"}, ValueError),
        ({"exempt_paths": ["health"]}, ValueError),
        ({"key_func": str, "trusted_ip_header": "X-Real-IP"}, ValueError),
        ({"limiter": RateLimiter("1/s"), "limits": "2/s"}, TypeError),
        ({"limiter": RateLimiter("1/s"), "cost": 2}, TypeError),
        ({"limiter": RateLimiter("1/s"), "max_requests": 5}, TypeError),
        ({"limiter": RateLimiter("1/s"), "max_requests": 60}, TypeError),
        ({"limiter": RateLimiter("1/s"), "window_seconds": 1}, TypeError),
        ({"limits": "2/s", "max_requests": 5}, TypeError),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(options, error):
    with pytest.raises(error):
        RateLimitMiddleware(answers, **options)


# --- a store that is down


class Flaky(MemoryRateLimitStore):
    """A store that is down when a test says so."""

    down, calls = True, 0

    async def reserve(self, key, limits, cost=1):
        self.calls += 1
        if self.down:
            raise ConnectionError("redis://user:secret@cache:6379 refused")
        return await super().reserve(key, limits, cost)


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [("open", [200, 200, 200]), ("closed", [503, 503, 503]), ("local", [200, 200, 429])],
)
async def test_a_store_that_is_down_is_answered_by_policy_and_logged_once(
    exchange, records, policy, statuses
):
    store = Flaky()
    app = RateLimitMiddleware(
        answers,
        limiter=RateLimiter(
            "2/hour", store=store, on_store_failure=policy, retry_store_seconds=0.05
        ),
    )
    made = [await exchange(app) for _ in range(3)]
    assert [each.status for each in made] == statuses
    assert store.calls == 1  # left alone meanwhile
    if policy == "closed":
        assert made[0].headers["retry-after"] == "1"
        assert made[0].json()["code"] == "SERVICE_UNAVAILABLE"
    await asyncio.sleep(0.06)
    await exchange(app)
    store.down = False
    assert store.calls == 2
    await asyncio.sleep(0.06)
    assert (await exchange(app)).status == 200
    told = [r.getMessage() for r in records if r.name == "tijolo.web.rate_limit"]
    assert len(told) == 2
    assert "is down (ConnectionError)" in told[0]
    assert "is back" in told[1]
    assert "2 failed calls" in told[1]
    assert not any("secret" in text for text in told)


# --- create_app


class Settings(RateLimitSettings, CORSSettings, WebSettings, BaseAppSettings, env_file=None):
    pass


def settings(**given):
    return Settings(**{"ENVIRONMENT": Environment.TEST, **given})


def items_router():
    router = APIRouter()
    router.add_api_route("/items", lambda: ["brick"])
    return router


async def test_create_app_limits_nothing_until_it_is_told_to():
    async with client_of(create_app(settings(), items_router())) as client:
        assert "ratelimit" not in (await client.get("/items")).headers


async def test_create_app_limits_by_settings_and_never_health_or_docs():
    given = settings(RATE_LIMITS="2/hour", RATE_LIMIT_EXEMPT_PATHS=["/free"], API_PREFIX="/api")
    app = create_app(given, items_router())
    app.add_api_route("/free", lambda: ["brick"])
    async with client_of(app) as client:
        for _ in range(4):
            for path in ("/health", "/health/liveness", "/docs", "/openapi.json", "/free"):
                answer = await client.get(path)
                assert answer.status_code != 429
                assert "ratelimit" not in answer.headers
        found = [await client.get("/api/items") for _ in range(3)]
        assert [answer.status_code for answer in found] == [200, 200, 429]
        assert (await client.get("/health/liveness/x")).status_code == 429


async def test_a_429_has_the_headers_of_every_other_answer():
    app = create_app(
        settings(RATE_LIMITS="1/hour", CORS_ORIGINS=["https://shop.example"]), items_router()
    )
    async with client_of(app) as client:
        headers = {"Origin": "https://shop.example", "X-Request-ID": "r-1"}
        await client.get("/items")
        preflight = await client.options(
            "/items", headers={**headers, "Access-Control-Request-Method": "GET"}
        )
        refused = await client.get("/items", headers=headers)
    assert preflight.status_code == 200  # answered before, and not counted
    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"
    assert refused.headers["x-request-id"] == refused.json()["request_id"] == "r-1"
    assert refused.headers["x-content-type-options"] == "nosniff"


async def test_an_error_keeps_the_headers_and_costs_a_unit():
    app = create_app(settings(RATE_LIMITS="2/hour"))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async with client_of(app) as client:
        assert (await client.get("/broken")).status_code == 500
        assert (await client.get("/nowhere")).headers["ratelimit"].startswith('"2/hour";r=0;')


async def test_a_key_function_that_fails_is_a_500_like_any_other():
    def broken(request):
        raise KeyError("x")

    app = create_app(settings(), rate_limiter=RateLimiter("1/hour", key_func=broken))
    async with client_of(app) as client:
        answer = await client.get("/items")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_settings_that_cannot_work_are_refused():
    for wrong in ("100", "10/s,20/s", "ten/minute"):
        with pytest.raises(ValueError, match="RATE_LIMITS"):
            settings(RATE_LIMITS=wrong)
    with pytest.raises(ValueError, match="rate_limiter and RATE_LIMITS"):
        create_app(settings(RATE_LIMITS="1/s"), rate_limiter=RateLimiter("1/s"))
    with pytest.raises(ValueError, match="slash"):
        create_app(settings(RATE_LIMITS="1/s", RATE_LIMIT_EXEMPT_PATHS="free"))


def test_the_environment_gives_limits_as_text(monkeypatch):
    monkeypatch.setenv("RATE_LIMITS", "10/second, 1000/hour")
    assert rate_limits(Settings(ENVIRONMENT=Environment.TEST).RATE_LIMITS)[1].quota == 1000


def test_every_setting_is_read():
    pytest.importorskip("redis")
    url = "redis://127.0.0.1:1/0"
    with assert_settings_read(RateLimitSettings, by="tijolo.web"):
        create_app(settings(RATE_LIMITS="1/s", RATE_LIMIT_REDIS_URL=url))
        create_app(settings(RATE_LIMITS="1/s"))
