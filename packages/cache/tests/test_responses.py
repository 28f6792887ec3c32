"""Kept answers of endpoints: the same bytes as without, and never one caller's for another."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tijolo.cache import Cache, UnkeyableArgumentError, cached
from tijolo.cache._http import (
    directives,
    max_age,
    none_match,
    presents_credentials,
    sorted_query,
    strong_etag,
)
from tijolo.cache.fastapi import cached_response
from tijolo.core import NotFoundException, user_id_ctx


class Account(BaseModel):
    name: str
    balance: Decimal = Decimal("1.50")
    password_hash: str = "secret"
    note: str | None = Field(default=None, alias="aNote")


class AccountOut(BaseModel):
    name: str
    balance: Decimal = Decimal("1.50")
    note: str | None = Field(default=None, alias="aNote")


class User(BaseModel):
    id: int


class Service:
    """An application whose endpoints count how often they ran."""

    def __init__(self, cache: Cache) -> None:
        self.app = FastAPI()
        self.cache = cache
        self.runs = 0
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://shop.example"
        )

    def keep(self, path="/", *, route=None, **options):
        """Decorate an endpoint, and count its runs."""

        def decorate(endpoint):
            return self.app.get(path, **(route or {}))(
                cached_response(self.cache, **options)(endpoint)
            )

        return decorate

    def run(self):
        self.runs += 1
        return self.runs

    async def get(self, path="/", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=sent)


@pytest_asyncio.fixture
async def service(memory):
    made = Service(memory)
    yield made
    await made.client.aclose()


async def test_a_second_request_gets_the_same_bytes_without_running(service):
    @service.keep("/items/{item_id}", ttl=60)
    async def item(item_id: int, page: int = 1) -> dict[str, int]:
        return {"item": item_id, "page": page, "run": service.run()}

    first, second = await service.get("/items/7"), await service.get("/items/7")
    assert first.json() == {"item": 7, "page": 1, "run": 1}
    assert second.content == first.content
    assert second.headers["content-type"] == "application/json"
    assert second.headers["content-length"] == str(len(second.content))
    assert (await service.get("/items/8")).json()["run"] == 2
    assert (await service.get("/items/7?page=2")).json()["run"] == 3
    assert first.headers["cache-status"] == "tijolo; fwd=miss"
    assert second.headers["cache-status"].startswith("tijolo; hit; ttl=")


async def test_a_plain_endpoint_is_kept_as_well(service):
    @service.keep()
    def item() -> dict[str, int]:
        return {"run": service.run()}

    assert [(await service.get()).json()["run"] for _ in range(3)] == [1, 1, 1]


ROUTES = [
    {},
    {"response_model": AccountOut},
    {"response_model": AccountOut, "response_model_by_alias": False},
    {"response_model": AccountOut, "response_model_exclude_unset": True},
    {"response_model": AccountOut, "response_model_exclude_defaults": True},
    {"response_model": AccountOut, "response_model_exclude_none": True},
    {"response_model": AccountOut, "response_model_include": {"name"}},
    {"response_model": AccountOut, "response_model_exclude": {"balance"}},
    {"response_model": None},
    {"response_model": AccountOut, "response_class": JSONResponse},
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: " ".join(map(str, r)) or "annotation")
@pytest.mark.parametrize("included", [False, True])
async def test_the_answer_is_what_fastapi_makes_without_a_cache(service, route, included):
    async def plain() -> Account:
        return Account(name="é", aNote=None)

    kept = cached_response(service.cache)(plain)
    routes = APIRouter() if included else service.app.router
    routes.get("/plain", **route)(plain)
    routes.get("/kept", **route)(kept)
    if included:
        service.app.include_router(routes, prefix="/api/v1")
    prefix = "/api/v1" if included else ""
    expected = await service.get(f"{prefix}/plain")
    answers = [await service.get(f"{prefix}/kept") for _ in range(2)]
    for answer in answers:
        assert answer.content == expected.content
        assert answer.headers["content-type"] == expected.headers["content-type"]
        assert ("password_hash" in answer.text) == ("password_hash" in expected.text)
    assert service.cache.stats.hits == 1
    if route.get("response_model"):
        assert "secret" not in answers[1].text


class Shouting(JSONResponse):
    media_type = "application/shout+json"

    def render(self, content) -> bytes:
        return super().render(content).upper()


async def test_what_include_router_adds_to_a_route_counts(service):
    async def plain() -> AccountOut:
        return AccountOut(name="a")

    router = APIRouter()
    router.get("/plain")(plain)
    router.get("/kept")(cached_response(service.cache)(plain))
    service.app.include_router(router, prefix="/v1", default_response_class=Shouting)
    expected = await service.get("/v1/plain")
    assert expected.headers["content-type"] == "application/shout+json"
    for _ in range(2):
        kept = await service.get("/v1/kept")
        assert kept.content == expected.content
        assert kept.headers["content-type"] == expected.headers["content-type"]


async def test_the_openapi_document_does_not_change(service):
    async def item(item_id: int, q: Annotated[str, Query(max_length=3)] = "") -> Account:
        return Account(name=q)

    service.app.get("/items/{item_id}", name="item")(item)
    plain = service.app.openapi()
    service.app.openapi_schema = None
    service.app.router.routes.pop()
    service.app.get("/items/{item_id}", name="item")(cached_response(service.cache)(item))
    assert json.dumps(service.app.openapi()) == json.dumps(plain)
    assert (await service.get("/items/1?q=long")).status_code == 422


async def test_a_response_that_the_endpoint_makes_is_kept_with_its_headers(service):
    @service.keep("/html")
    async def page() -> Response:
        service.run()
        return HTMLResponse("<p>é</p>", headers={"X-Made-By": "page", "Link": "</x>; rel=a"})

    for _ in range(2):
        answer = await service.get("/html")
        assert answer.text == "<p>é</p>"
        assert answer.headers["x-made-by"] == "page"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert service.runs == 1


async def test_headers_of_the_endpoint_are_kept_and_those_of_dependencies_are_of_the_request(
    service,
):
    requests = 0

    def counted(response: Response) -> None:
        nonlocal requests
        requests += 1
        response.headers["X-Request"] = str(requests)

    @service.keep(route={"dependencies": [Depends(counted)]})
    async def item(response: Response) -> int:
        response.headers["X-Endpoint"] = str(service.run())
        return 1

    answers = [await service.get() for _ in range(3)]
    assert [a.headers["x-endpoint"] for a in answers] == ["1", "1", "1"]
    assert [a.headers["x-request"] for a in answers] == ["1", "2", "3"]


# -- who asks ------------------------------------------------------------------------------


class Session:
    """Of a database, say."""


def by_header(request: Request) -> User:
    return User(id=int(request.headers["x-user"]))


def by_token(request: Request) -> User | None:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return User(id=int(token)) if token else None


@pytest.mark.parametrize(
    "credential",
    ["authorization", "cookie", "proxy_authorization", "x_api_key", "x_token", "x_auth_token"],
)
async def test_a_request_with_credentials_is_computed_for_its_sender_alone(service, credential):
    @service.keep()
    async def me(request: Request) -> str:
        service.run()
        return request.headers.get(credential.replace("_", "-"), "nobody")

    for who in ("alice", "bob", "alice"):
        answer = await service.get(**{credential: who})
        assert answer.json() == who
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["cache-status"] == "tijolo; fwd=bypass"
    assert [(await service.get()).json() for _ in range(2)] == ["nobody", "nobody"]
    assert service.runs == 4
    vary = (await service.get()).headers["vary"].split(", ")
    assert credential.replace("_", "-") in vary
    assert (await service.get(**{credential: "alice"})).json() == "alice"


async def test_fifty_callers_at_once_each_get_their_own(service):
    @service.keep(principal=lambda user: user.id if user else None)
    async def me(user: Annotated[User | None, Depends(by_token)]) -> str:
        service.run()
        await asyncio.sleep(0.01)
        return f"user {user.id}" if user else "nobody"

    asked = [n % 10 for n in range(50)]
    answers = await asyncio.gather(*(service.get(authorization=f"Bearer {n}") for n in asked))
    assert [a.json() for a in answers] == [f"user {n}" for n in asked]
    assert service.runs == 10
    assert {a.headers["cache-control"] for a in answers} == {"private, no-cache"}
    assert (await service.get()).json() == "nobody"


async def test_a_principal_may_be_async_and_read_the_request(service):
    async def tenant(request: Request) -> str:
        return request.headers["x-tenant"]

    @service.keep(principal=tenant)
    async def data(request: Request) -> str:
        service.run()
        return request.headers["x-tenant"]

    for who in "abab":
        assert (await service.get(x_tenant=who)).json() == who
    assert service.runs == 2


async def test_an_injected_user_is_part_of_the_key_by_itself(service):
    @service.keep()
    async def me(user: Annotated[User, Depends(by_header)]) -> int:
        service.run()
        return user.id

    for n in (1, 2, 1, 2):
        assert (await service.get(x_user=str(n))).json() == n
    assert service.runs == 2


async def test_an_injected_object_without_a_key_is_an_error_until_it_is_named(service):
    async def handler(session: Annotated[Session, Depends(Session)]) -> int:
        return service.run()

    service.keep("/strict")(handler)
    service.keep("/named", ignore=["session"])(handler)
    with pytest.raises(UnkeyableArgumentError, match=r"'session'.*ignore="):
        await service.get("/strict")
    assert [(await service.get("/named")).json() for _ in range(2)] == [1, 1]


async def test_a_public_answer_is_one_for_all(service):
    @service.keep(public=True, client_ttl=60)
    async def prices() -> int:
        return service.run()

    answers = [await service.get(authorization=who, cookie=f"a={who}") for who in "abc"]
    assert [a.json() for a in answers] == [1, 1, 1]
    assert answers[1].headers["cache-control"] == "public, max-age=60"
    assert "vary" not in answers[1].headers


async def test_dependencies_guard_every_request_hit_or_not(service):
    from fastapi import HTTPException

    def guard(request: Request) -> None:
        if request.headers.get("x-pass") != "yes":
            raise HTTPException(403)

    @service.keep(route={"dependencies": [Depends(guard)]}, public=True)
    async def data() -> int:
        return service.run()

    assert (await service.get(x_pass="yes")).json() == 1
    assert (await service.get()).status_code == 403
    assert (await service.get(x_pass="no")).status_code == 403


async def test_a_client_certificate_or_an_authenticated_user_counts_as_credentials():
    class Somebody:
        is_authenticated = True

    assert presents_credentials({"user": Somebody()}, frozenset()) is True
    assert (
        presents_credentials({"extensions": {"tls": {"client_cert_chain": ["x"]}}}, frozenset())
        is True
    )
    assert (
        presents_credentials({"extensions": None, "headers": [], "user": None}, frozenset([b"a"]))
        is False
    )


# -- the key -------------------------------------------------------------------------------


async def test_the_query_counts_sorted_and_completely(service):
    @service.keep()
    async def search(q: Annotated[list[str] | None, Query()] = None, p: str = "") -> list[str]:
        return [*(q or []), p, str(service.run())]

    async def run(query):
        return (await service.get(f"/?{query}")).json()[-1]

    assert await run("q=a&p=b") == await run("p=b&q=a") == "1"
    different = ["q=a", "q=a&q=b", "q=b&q=a", "q=a%26q%3Db", "q=&p=", "q=", "Q=a", "q=a&x=1",
                 "q=%FF", "q=%00", "q=a%2Cb", "p=a"]  # fmt: skip
    runs = [await run(query) for query in different]
    assert len(set(runs)) == len(different)
    assert [await run(query) for query in different] == runs


async def test_only_the_named_parameters_count(service):
    @service.keep(query=["page"])
    async def search(page: int = 1) -> int:
        return service.run()

    paths = ["/?page=1", "/?page=1&utm_source=x", "/?utm=y&page=1", "/?page=2"]
    assert [(await service.get(p)).json() for p in paths] == [1, 1, 1, 2]


async def test_a_long_query_is_computed_each_time(service):
    @service.keep(max_query_bytes=20)
    async def search() -> int:
        return service.run()

    long = "/?q=" + "x" * 30
    assert [(await service.get(long)).json() for _ in range(2)] == [1, 2]
    assert len(service.cache._backend) == 0


async def test_declared_request_headers_count_and_are_in_vary(service):
    @service.keep(vary=["Accept-Language"], public=True)
    async def page(accept_language: Annotated[str, Header()] = "") -> str:
        return f"{accept_language} {service.run()}"

    answers = [await service.get(accept_language=language) for language in ("pt", "en", "pt", "en")]
    assert [a.json() for a in answers] == ["pt 1", "en 2", "pt 1", "en 2"]
    assert answers[0].headers["vary"] == "accept-language"


async def test_a_header_that_the_endpoint_reads_by_itself_counts_when_it_is_declared(service):
    @service.keep(vary=["X-Tenant"], public=True)
    async def page(request: Request) -> str:
        return f"{request.headers.get('x-tenant')} {service.run()}"

    asked = ["a", "b", "a", "b", "a, b"]
    assert [(await service.get(x_tenant=t)).json() for t in asked] == [
        "a 1", "b 2", "a 1", "b 2", "a, b 3"
    ]  # fmt: skip
    assert (await service.get()).json() == "None 4"


async def test_hosts_schemes_paths_and_endpoints_are_apart(service):
    @service.keep("/a/{name:path}", public=True)
    async def a(name: str) -> int:
        return service.run()

    @service.keep("/b/{name:path}", public=True)
    async def b(name: str) -> int:
        return service.run()

    urls = ["/a/x", "/b/x", "/a/x/", "/a/x%2Fy", "/a/X", "/a/%00", "/a/%C3%A9", "/a/e%CC%81",
            "https://shop.example/a/x", "http://other.example/a/x"]  # fmt: skip
    runs = [(await service.get(url)).json() for url in urls]
    # an encoded slash is a slash for the router as well
    assert runs == list(range(1, len(urls) + 1))
    assert [(await service.get(url)).json() for url in urls] == runs


async def test_head_has_its_own_answer_and_other_methods_are_left_alone(service):
    async def item() -> int:
        return service.run()

    kept = cached_response(service.cache, public=True)(item)
    service.app.api_route("/", methods=["GET", "HEAD", "POST"])(kept)
    await service.get()
    await service.client.head("/")
    assert service.runs == 2
    posts = [(await service.client.post("/")) for _ in range(2)]
    assert [p.json() for p in posts] == [3, 4]
    assert "etag" not in posts[0].headers


# -- what is kept --------------------------------------------------------------------------


def with_cookie(response: Response) -> Response:
    response.set_cookie("session", "s3cret")
    return response


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_cookie(JSONResponse({"a": 1})),
        lambda: JSONResponse({"a": 1}, headers={"Cache-Control": "no-store"}),
        lambda: JSONResponse({"a": 1}, headers={"Cache-Control": "max-age=60, Private"}),
        lambda: JSONResponse({"a": 1}, headers={"Cache-Control": 'private="x-a"'}),
        lambda: JSONResponse({"a": 1}, headers={"Cache-Control": "no-cache"}),
        lambda: JSONResponse({"a": 1}, headers={"Vary": "*"}),
        lambda: JSONResponse({"a": 1}, headers={"Vary": "X-Undeclared"}),
        lambda: JSONResponse({"a": 1}, status_code=201),
        lambda: JSONResponse({"a": 1}, status_code=404),
        lambda: JSONResponse({"a": 1}, status_code=500),
        lambda: PlainTextResponse("x", status_code=206),
        lambda: Response(status_code=204),
        lambda: StreamingResponse(iter([b"a", b"b"])),
    ],
)
async def test_some_answers_are_their_callers_alone(service, make):
    @service.keep(public=True)
    async def answer() -> Response:
        service.run()
        return make()

    expected = make()
    for _ in range(3):
        got = await service.get()
        assert got.status_code == expected.status_code
        assert got.headers.get("set-cookie") == expected.headers.get("set-cookie")
        assert got.headers.get("vary") == expected.headers.get("vary")
    assert service.runs == 3
    assert service.cache.stats.stored == 0
    service.runs = 0
    await asyncio.gather(*(service.get() for _ in range(10)))
    assert service.runs == 10


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({}, 1),
        ({"public": True}, 2),
        ({"principal": lambda request: 1}, 2),
        ({"vary": ["Cookie"]}, 1),
    ],
    ids=["default", "public", "principal", "declared"],
)
async def test_an_answer_that_varies_by_cookie_is_kept_for_those_without(service, options, runs):
    @service.keep(**options)
    async def page(request: Request, response: Response) -> int:
        response.headers["Vary"] = "Cookie"
        return service.run()

    answers = [await service.get() for _ in range(2)]
    assert service.runs == runs
    assert "cookie" in answers[1].headers["vary"].lower()
    assert (await service.get(cookie="lang=pt")).json() == runs + 1


async def test_a_cookie_that_the_endpoint_or_a_dependency_sets_reaches_one_browser(service):
    def dependency(response: Response, request: Request) -> None:
        if request.headers.get("x-new"):
            response.set_cookie("visitor", request.headers["x-new"])

    @service.keep("/injected", public=True)
    async def injected(response: Response) -> int:
        response.set_cookie("run", str(service.run()))
        return 1

    @service.keep("/depends", public=True, route={"dependencies": [Depends(dependency)]})
    async def depends() -> int:
        return service.run()

    answers = [await service.get("/injected") for _ in range(2)]
    assert [a.headers["set-cookie"].split(";")[0] for a in answers] == ["run=1", "run=2"]
    first = await service.get("/depends", x_new="a")
    plain = await service.get("/depends")
    hit = await service.get("/depends", x_new="b")
    last = await service.get("/depends")
    assert first.headers["set-cookie"].startswith("visitor=a")
    assert "set-cookie" not in plain.headers
    assert "set-cookie" not in last.headers
    assert hit.headers["set-cookie"].startswith("visitor=b")
    assert hit.headers["cache-control"] == "private, no-store"


async def test_an_exception_is_answered_and_not_kept(service):
    @service.keep(public=True)
    async def missing() -> int:
        service.run()
        raise NotFoundException("no such thing")

    for _ in range(2):
        assert (await service.get()).status_code == 404
    assert service.runs == 2


async def test_the_answers_own_max_age_shortens_its_time(service, clock):
    @service.keep(ttl=600, public=True)
    async def item(response: Response) -> int:
        response.headers["Cache-Control"] = "max-age=600, s-maxage=30"
        return service.run()

    first = await service.get()
    clock.advance(29)
    second = await service.get()
    assert (second.json(), second.headers["age"]) == (1, "29")
    assert second.headers["cache-control"] == first.headers["cache-control"]
    clock.advance(2)
    assert (await service.get()).json() == 2


async def test_a_request_that_says_no_store_leaves_nothing_behind(service):
    @service.keep(public=True)
    async def item() -> int:
        return service.run()

    for n in (1, 2):
        assert (await service.get(cache_control="no-store")).json() == n
    assert (await service.get()).json() == 3
    assert (await service.get(cache_control="no-store")).json() == 3  # reading is allowed


async def test_background_tasks_run_when_the_endpoint_does(service):
    done = []

    @service.keep(public=True)
    async def item(tasks: BackgroundTasks) -> int:
        tasks.add_task(done.append, service.run())
        return 1

    for _ in range(3):
        await service.get()
    assert done == [1]


async def test_fifty_requests_at_once_run_the_endpoint_once(service):
    @service.keep(public=True)
    async def slow() -> int:
        await asyncio.sleep(0.02)
        return service.run()

    answers = await asyncio.gather(*(service.get() for _ in range(50)))
    assert {a.content for a in answers} == {b"1"}
    assert service.runs == 1
    assert len({a.headers["etag"] for a in answers}) == 1


async def test_an_old_answer_is_given_while_one_request_makes_the_next(service, clock):
    release = asyncio.Event()

    @service.keep(ttl=10, stale_while_revalidate=60, stale_if_error=600, public=True)
    async def page() -> int:
        if service.run() == 2:
            await release.wait()
        if service.runs == 3:
            raise ConnectionError
        return service.runs

    assert (await service.get()).json() == 1
    clock.advance(15)
    refreshing = asyncio.ensure_future(service.get())
    await asyncio.sleep(0.01)
    stale = await service.get()
    assert (stale.json(), stale.headers["age"]) == (1, "15")
    assert stale.headers["cache-status"] == "tijolo; hit; ttl=-5"
    release.set()
    assert (await refreshing).json() == 2
    clock.advance(100)
    assert (await service.get()).json() == 2  # the endpoint failed
    clock.advance(1_000)
    assert (await service.get()).json() == 4


async def test_invalidating_by_tag_and_by_endpoint(service):
    @service.keep("/items/{item_id}", tags=["item:{item_id}"], public=True)
    async def item(item_id: int) -> int:
        return service.run()

    @service.keep("/other", public=True)
    async def other() -> int:
        return service.run()

    async def all_of():
        return [(await service.get(p)).json() for p in ("/items/1", "/items/2", "/other")]

    assert await all_of() == [1, 2, 3]
    await service.cache.invalidate_tags("item:1")
    assert await all_of() == [4, 2, 3]
    assert await item.invalidate() is True
    assert await all_of() == [5, 6, 3]


async def test_a_disabled_cache_changes_nothing():
    service = Service(Cache(enabled=False))

    @service.keep()
    async def item() -> int:
        return service.run()

    answers = [await service.get() for _ in range(2)]
    assert [a.json() for a in answers] == [1, 2]
    assert "etag" not in answers[0].headers
    await service.client.aclose()


# -- validators ----------------------------------------------------------------------------


async def test_an_unchanged_answer_is_a_304_with_what_a_304_has(service):
    @service.keep(public=True, client_ttl=5, vary=["accept"])
    async def item(response: Response) -> dict[str, int]:
        response.headers["X-Extra"] = "1"
        service.run()
        return {"a": 1}

    first = await service.get()
    etag = first.headers["etag"]
    again = await service.get(if_none_match=etag)
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == etag
    assert again.headers["cache-control"] == "public, max-age=5"
    assert again.headers["vary"] == "accept"
    assert not {"content-length", "content-type", "x-extra"} & set(again.headers)
    assert service.runs == 1
    assert (await service.get(if_none_match='"other"')).status_code == 200


async def test_a_first_request_and_one_with_credentials_can_be_a_304_too(service):
    @service.keep()
    async def item() -> dict[str, int]:
        return {"a": 1}

    etag = (await service.get()).headers["etag"]
    await service.cache.clear()
    assert (await service.get(if_none_match=etag)).status_code == 304
    private = await service.get(if_none_match=etag, authorization="x")
    assert private.status_code == 304
    assert private.headers["cache-control"] == "private, no-cache"


async def test_an_etag_of_the_endpoints_own_is_kept(service):
    @service.keep(public=True)
    async def item(response: Response) -> int:
        response.headers["ETag"] = 'W/"v7"'
        return 1

    assert (await service.get()).headers["etag"] == 'W/"v7"'
    assert (await service.get(if_none_match='"v7"')).status_code == 304


async def test_the_etag_is_equal_in_every_process(run_python):
    script = """
from tijolo.cache._http import strong_etag
print(strong_etag("é".encode(), "text/plain"))
"""
    out = await run_python(script, (), ())
    assert out[0] == out[1] == strong_etag("é".encode(), "text/plain") + "\n"
    assert out[0].startswith('"')


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"a"', True), ('W/"a"', True), ("*", True), (" * ", True), ('"b", "a"', True),
        ('"b",W/"a"', True), ('"b,c", "a"', True), (None, False), ("", False), ("a", False),
        ('"A"', False), ('"b"', False), ('w/"b"', False), ('"a', False), ('"', False),
        ("," * 10_000, False), ('"' * 10_000, False), ('"\x00a"', False), ('"b" *', False),
    ],
    ids=range(19),
)  # fmt: skip
def test_if_none_match_is_a_list_compared_weakly(header, matches):
    assert none_match(header, '"a"') is matches
    assert none_match(header, 'W/"a"') is matches


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("max-age=60", 60), ("MAX-AGE=60, s-maxage=5", 5), ('max-age="7"', 7), ("public", None),
        ("", None), (None, None), ("max-age=x", 0), ("max-age=-1", 0), ("max-age", 0),
        ("max-age=" + "9" * 5000, 9_999_999_999), ("max-age=1.5", 0), ("max-age=٣", 0),
    ],
)  # fmt: skip
def test_max_age_is_seconds_or_stale(header, expected):
    assert max_age(header) == expected


def test_cache_control_is_read_as_a_list_of_directives():
    header = 'No-Store, private="a, b", max-age=5,, ;x, community="UCI \\" x"'
    found = directives(header)
    assert found["no-store"] is None
    assert found["private"] == "a, b"
    assert found["max-age"] == "5"
    assert found["community"] == 'UCI " x'


@given(st.text(), st.text())
def test_no_header_breaks_the_parsers(header, etag):
    directives(header)
    max_age(header)
    none_match(header, f'"{etag}"')


@given(st.binary(max_size=100))
def test_no_query_breaks_the_key(query):
    sorted_query(query, None, 2_048)


# -- wrong use -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"public": True, "principal": lambda request: 1}, "exclude each other"),
        ({"principal": lambda nobody: 1}, "'nobody' is no parameter"),
        ({"ignore": ["nobody"]}, "'nobody' is no parameter"),
        ({"client_ttl": -1}, "0 or more"),
        ({"background": True}, "background="),
        ({"condition": bool}, "no-store instead"),
        ({"negative_ttl": 5}, "no-store instead"),
        ({"ttl": 0}, "ttl"),
    ],
)
def test_wrong_use_is_refused_at_the_decoration(memory, options, says):
    async def item(request: Request) -> int:
        return 1

    with pytest.raises(ValueError, match=says):
        cached_response(memory, **options)(item)


def test_a_generator_is_refused(memory):
    async def items() -> int:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        cached_response(memory)(items)


async def test_calling_the_endpoint_without_a_request_says_what_to_do(memory):
    @cached_response(memory)
    async def item() -> int:
        return 1

    with pytest.raises(TypeError, match="__wrapped__"):
        await item()
    assert await item.__wrapped__() == 1


async def test_cached_itself_works_on_an_endpoint_and_on_a_dependency(service):
    @cached(service.cache)
    async def rate(currency: str = "BRL") -> Decimal:
        service.run()
        return Decimal("5.40")

    @service.app.get("/rate/{currency}")
    @cached(service.cache, ignore=["injected"])
    async def read(currency: str, injected: Decimal = Depends(rate)) -> Account:  # noqa: B008
        service.run()
        return Account(name=currency, balance=injected)

    for _ in range(3):
        answer = await service.get("/rate/USD")
        assert answer.status_code == 200, answer.text
        assert answer.json()["balance"] == "5.40"
    assert service.runs == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("Cache-Control", "no-store"), ("Cache-Control", "private"), ("Vary", "X-Tenant")],
)
async def test_what_a_dependency_says_against_keeping_counts(service, name, value):
    def says(response: Response) -> None:
        response.headers[name] = value

    @service.keep(route={"dependencies": [Depends(says)]})
    async def item(request: Request) -> str:
        service.run()
        return request.headers["x-tenant"]

    for tenant in ("a", "b"):
        answer = await service.get(x_tenant=tenant)
        assert answer.json() == tenant
        assert value.lower() in answer.headers[name].lower()
        assert answer.headers["cache-control"] in ("no-store", "private", "private, no-cache")
    assert service.runs == 2


async def test_a_dependency_that_says_no_store_this_time_is_not_given_what_is_kept(service):
    def says(request: Request, response: Response) -> None:
        if "x-preview" in request.headers:
            response.headers["Cache-Control"] = "no-store"

    @service.keep(route={"dependencies": [Depends(says)]})
    async def item() -> int:
        return service.run()

    assert [(await service.get()).json() for _ in range(2)] == [1, 1]
    preview = await service.get(x_preview="1")
    assert (preview.json(), preview.headers["cache-control"]) == (2, "no-store")
    assert (await service.get()).json() == 1


async def test_a_method_of_an_object_can_be_an_endpoint(service):
    class Pages:
        def __init__(self, name: str) -> None:
            self.name = name

        def __cache_key__(self) -> str:
            return self.name

        @cached_response(service.cache)
        async def page(self, number: int = 1) -> str:
            service.run()
            return f"{self.name} {number}"

    for name in ("a", "b"):
        service.app.get(f"/{name}")(Pages(name).page)
    answers = [(await service.get(path)).json() for path in ("/a", "/b", "/a", "/a?number=2")]
    assert answers == ["a 1", "b 1", "a 1", "a 2"]
    assert service.runs == 3


async def test_a_user_whom_the_context_names_is_answered_alone(service):
    async def who(x_badge: Annotated[str, Header()]) -> None:
        user_id_ctx.set(x_badge)

    @service.keep(route={"dependencies": [Depends(who)]})
    async def me() -> str:
        return str(user_id_ctx.get())

    answers = [await service.get(x_badge=badge) for badge in ("a", "b")]
    assert [answer.json() for answer in answers] == ["a", "b"]
    assert answers[0].headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["user", "user_id", "principal"])
async def test_a_user_whom_a_middleware_left_in_the_state_is_answered_alone(service, name):
    @service.keep()
    async def me(request: Request) -> str:
        return f"{getattr(request.state, name)} {service.run()}"

    async def ask(who: str | None) -> str:
        async def app(scope, receive, send):
            await service.app({**scope, "state": {name: who}}, receive, send)

        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return (await client.get("/")).json()

    answers = [await ask(who) for who in ("a", "b", None, None)]
    assert answers == ["a 1", "b 2", "None 3", "None 3"]


@pytest.mark.parametrize(
    ("expires", "runs"),
    [
        ("0", 2), ("-1", 2), ("", 2), ("Thu, 01 Jan 1970 00:00:00 GMT", 2),
        ("Thu, 01 Jan 99999 00:00:00 GMT", 2), ("Fri, 01 Jan 2100 00:00:00 GMT", 1),
    ],
)  # fmt: skip
async def test_an_answer_that_has_expired_is_not_kept(service, expires, runs):
    @service.keep()
    async def item(response: Response) -> int:
        response.headers["Expires"] = expires
        return service.run()

    await service.get()
    assert (await service.get()).json() == runs
