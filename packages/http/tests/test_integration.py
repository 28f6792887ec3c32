# ruff: noqa: N805, the first argument of an endpoint is not its integration alone
"""Typed integrations over a real server, and their stand-ins in tests."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from tijolo.core import OpsAccess, Resource
from tijolo.http import BearerAuth, HTTPClient, RetryPolicy
from tijolo.http import stability as sp
from tijolo.http.integration import (
    ApiHTTP,
    Endpoint,
    EndpointsDeclaration,
    HTTPMethod,
    IntegrationError,
    IntegrationHTTP,
    IntegrationRegistry,
)
from tijolo.http.testing import MockRules, UnmockedCallError, mock_integrations
from tijolo.http.web import make_integrations_router


class Translator(EndpointsDeclaration):
    integration = IntegrationHTTP("Translator <b>", doc="Translates & more")

    class Schema:
        class Text(BaseModel):
            text: str

    class SchemaError:
        class http400(BaseModel):  # noqa: N801
            message: str

        class http404(BaseModel):  # noqa: N801
            missing: str

        class http5xx(BaseModel):  # noqa: N801
            trace: str

    @integration.endpoint(
        HTTPMethod.post, "/v1/translate", version="v1", docurl="https://docs.example.com/translate"
    )
    @sp.Timeout(5)
    @sp.CircuitBreaker("translate")
    async def translate(
        api: ApiHTTP, text: str, to: str = "en"
    ) -> Schema.Text | SchemaError.http400:
        """Translate a text."""
        response: httpx.Response = await api.client.post(
            api.url.geturl(),
            json={"q": text, "to": to},
            headers={"x-goog-api-key": api.credentials["API_TOKEN"]},
        )
        return response.json() if response.status_code == 200 else response  # type: ignore[return-value]

    @integration.endpoint(HTTPMethod.get, "/v1/words/{word}/in/{language}", version="v1")
    async def word(api: ApiHTTP, word: str, language: str) -> list[Schema.Text]:
        return await api.call({"word": word, "language": language})

    @integration.endpoint(HTTPMethod.delete, "/v1/words/{word}")
    async def forget(api: ApiHTTP, word: str) -> None:
        return await api.call({"word": word})

    @integration.endpoint(HTTPMethod.get, "/raw")
    async def raw(api: ApiHTTP) -> httpx.Response:
        return await api.call()

    @integration.endpoint(HTTPMethod.get, "/bytes")
    async def binary(api: ApiHTTP) -> bytes:
        return await api.call()

    @integration.endpoint(HTTPMethod.get, "/text")
    async def plain(api: ApiHTTP) -> str:
        return await api.call()

    @integration.endpoint(HTTPMethod.get, "/any")
    async def anything(api: ApiHTTP) -> Any:
        await asyncio.sleep(0)  # others call in the meantime
        return await api.call()


def translator(server, **options) -> Translator:
    options.setdefault("retry_policy", RetryPolicy(1))
    return Translator(f"{server.url}/", {"API_TOKEN": "s3cret"}, **options)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def test_a_call_returns_the_declared_type(server) -> None:
    server.answers("/v1/translate", (200, _json({"text": "good morning", "more": 1}), {}))
    async with translator(server) as api:
        answer = await api.translate("bom dia")

    assert answer == Translator.Schema.Text(text="good morning")
    sent = server.requests[0]
    assert (sent.method, json.loads(sent.body)) == ("POST", {"q": "bom dia", "to": "en"})
    assert sent.headers["x-goog-api-key"] == "s3cret"


async def test_an_error_that_the_annotation_names_is_returned(server) -> None:
    server.answers("/v1/translate", (400, _json({"message": "what?"}), {}))
    async with translator(server) as api:
        answer = await api.translate("")

    assert answer == Translator.SchemaError.http400(message="what?")


async def test_models_may_be_declared_at_the_endpoint(server) -> None:
    class Fault(BaseModel):
        code: int

    class Small(EndpointsDeclaration):
        integration = IntegrationHTTP("small")

        @integration.endpoint(HTTPMethod.get, "/", errors={409: Fault, "default": Fault})
        async def get(api: ApiHTTP) -> Any:
            assert (api.httpmethod, api.version, api.url.path) == ("GET", "", "/")
            return await api.call()

    server.answers("/", (409, b'{"code": 1}', {}), (404, b'{"code": 2}', {}), (410, b"gone", {}))
    async with Small(server.url) as api:
        for code in (1, 2):
            with pytest.raises(IntegrationError) as caught:
                await api.get()
            assert caught.value.error.code == code
        with pytest.raises(IntegrationError, match="fit"):
            await api.get()


async def test_an_error_that_is_declared_is_raised_with_its_model(server) -> None:
    server.answers("/v1/words/a/in/pt", (404, _json({"missing": "a"}), {}))
    async with translator(server) as api:
        with pytest.raises(IntegrationError) as caught:
            await api.word("a", "pt")

    error = caught.value
    assert error.error == Translator.SchemaError.http404(missing="a")
    assert (error.upstream_status, error.endpoint) == (404, "word")
    assert (error.status_code, error.code) == (502, "UPSTREAM_ANSWER")
    assert isinstance(error.response, httpx.Response)


async def test_a_class_of_statuses_has_a_model_and_others_have_none(server) -> None:
    server.answers("/any", (503, _json({"trace": "t"}), {}), 418, (302, b"", {"Location": "/"}))
    async with translator(server) as api:
        for expected in (Translator.SchemaError.http5xx(trace="t"), None, None):
            with pytest.raises(IntegrationError) as caught:
                await api.anything()
            assert caught.value.error == expected


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"text": 5}', b'{"text":', b"\xff\xfe", b"null", b'"x"']
)
async def test_an_answer_that_breaks_its_schema_is_an_error_without_the_answer(
    server, body
) -> None:
    server.answers("/v1/words/a/in/pt", (200, body or b" ", {}))
    if body == b"[]":
        body = b'[{"text": "hunter2", "x": 1}, {"text": {"secret": "hunter2"}}]'
        server.answers("/v1/words/a/in/pt", (200, body, {}))
    async with translator(server) as api:
        with pytest.raises(IntegrationError) as caught:
            await api.word("a", "pt")

    assert "hunter2" not in str(caught.value)
    assert "fit" in caught.value.reason


async def test_what_is_not_a_model_is_read_as_it_is_declared(server) -> None:
    server.answers("/v1/words/a", (204, b"", {}))
    server.answers("/raw", (200, b"raw", {}))
    server.answers("/bytes", (200, b"\x00\xff", {}))
    server.answers("/text", (200, "olá".encode(), {"Content_Type": "text/plain; charset=utf-8"}))
    server.answers("/any", (200, b'{"a": [1]}', {}))
    async with translator(server) as api:
        assert await api.forget("a") is None
        assert (await api.raw()).text == "raw"
        assert await api.binary() == b"\x00\xff"
        assert await api.plain() == "olá"
        assert await api.anything() == {"a": [1]}


async def test_path_values_are_quoted_and_cannot_leave_their_place(server) -> None:
    server.answers("/v1/words/a%2F..%2Fb%3Fc/in/p%C3%A7", (200, b"[]", {}))
    async with translator(server) as api:
        assert await api.word("a/../b?c", "pç") == []
        for evil in ("..", ".", ""):
            with pytest.raises(ValueError, match="another path"):
                await api.word(evil, "pt")
        with pytest.raises(ValueError, match="takes"):
            api.at(Translator.word).url_for(word="a")


async def test_a_call_through_the_declaration_names_its_route_in_logs(server, records) -> None:
    server.answers("/v1/words/private/in/pt", (200, b"[]", {}))
    async with translator(server) as api:
        await api.word("private", "pt")

    assert records[-1].getMessage().endswith("/v1/words/{word}/in/{language} 200")


async def test_calls_at_once_do_not_see_each_others_endpoint(server) -> None:
    server.answers("/v1/translate", (200, _json({"text": "t"}), {}))
    server.answers("/any", (200, b"1", {}))
    async with translator(server) as api:
        answers = await asyncio.gather(
            *(api.translate("x") if i % 2 else api.anything() for i in range(40))
        )
    assert answers == [Translator.Schema.Text(text="t") if i % 2 else 1 for i in range(40)]


async def test_an_instance_is_a_resource_with_connections_of_its_own(server) -> None:
    api = translator(server)
    assert isinstance(api, Resource)
    await api.connect()
    assert await api.health_check()
    await api.disconnect()
    assert not await api.health_check()

    async with HTTPClient(base_url=server.url) as shared:
        given = Translator(client=shared)
        assert given.base_url == server.url
        await given.disconnect()
        assert await shared.health_check()  # who opened it closes it


async def test_its_credentials_go_with_its_client(server) -> None:
    server.answers("/any", (200, b"1", {}))
    async with translator(server, auth=BearerAuth("t0ken")) as api:
        await api.anything()
    assert server.requests[0].headers["authorization"] == "Bearer t0ken"


def test_nothing_shows_a_credential() -> None:
    api = Translator("https://x.example", {"API_TOKEN": "s3cret"}, auth=BearerAuth("t0ken"))
    shown = repr(api) + repr(api.credentials) + repr(api.client) + json.dumps(api.docs())
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert dict(api.credentials) == {"API_TOKEN": "s3cret"}
    assert "API_TOKEN" in repr(api.credentials)


def test_declarations_that_make_no_sense_are_refused() -> None:
    integration = IntegrationHTTP("x")
    with pytest.raises(ValueError, match="slash"):
        integration.endpoint(HTTPMethod.get, "no-slash")
    with pytest.raises(ValueError, match="link"):
        integration.endpoint(HTTPMethod.get, "/", docurl="javascript:alert(1)")
    with pytest.raises(TypeError, match="integration"):
        EndpointsDeclaration("https://x.example")
    with pytest.raises(ValueError, match="base_url"):
        Translator()
    with pytest.raises(ValueError, match="contradict"):
        Translator(client=HTTPClient(base_url="https://x.example"), auth=BearerAuth("t"))
    with pytest.raises(ValueError, match="auth="):
        Translator("https://u:hunter2@x.example")
    with pytest.raises(RuntimeError, match="inside"):
        _ = Translator("https://x.example").url


def test_a_subclass_inherits_overrides_and_adds() -> None:
    class More(Translator):
        @Translator.integration.endpoint(HTTPMethod.get, "/v2/raw")
        async def raw(api: ApiHTTP) -> Any:
            return await api.call()

    assert More.endpoints()["raw"].path == "/v2/raw"
    assert More.endpoints()["translate"] is Translator.translate
    assert Translator.endpoints()["raw"].path == "/raw"
    assert isinstance(Translator.translate, Endpoint)


# --- mocks ---------------------------------------------------------------------------------------


async def test_rules_answer_in_place_of_the_network_and_calls_are_kept() -> None:
    api = Translator("https://nowhere.invalid", {"API_TOKEN": "x"})

    async def word(word: str, language: str) -> list[dict[str, str]]:
        return [{"text": f"{word}-{language}"}]

    rules = MockRules(
        {
            Translator.translate: {"text": "hello"},
            Translator.word: word,
            Translator.forget: httpx.ConnectTimeout("down"),
            Translator.anything: lambda: httpx.Response(503, json={"trace": "t"}),
        }
    )
    with mock_integrations(rules) as calls:
        assert await api.translate("olá", to="en") == Translator.Schema.Text(text="hello")
        assert await api.word("a", language="pt") == [Translator.Schema.Text(text="a-pt")]
        with pytest.raises(httpx.ConnectTimeout):
            await api.forget("a")
        with pytest.raises(IntegrationError) as caught:
            await api.anything()

    assert caught.value.error == Translator.SchemaError.http5xx(trace="t")
    assert calls.of(Translator.translate) == [{"text": "olá", "to": "en"}]
    assert [call.endpoint.name for call in calls.all] == ["translate", "word", "forget", "anything"]


async def test_a_mock_that_lies_about_the_schema_fails() -> None:
    api = Translator("https://nowhere.invalid")
    with mock_integrations({Translator.translate: {"txet": 1}}), pytest.raises(IntegrationError):
        await api.translate("x")


async def test_a_call_with_wrong_arguments_fails_as_it_would_really() -> None:
    api = Translator("https://nowhere.invalid")
    with mock_integrations({Translator.translate: {"text": "x"}}), pytest.raises(TypeError):
        await api.translate()  # type: ignore[call-arg]


def test_an_unmocked_call_fails_the_test_even_where_the_application_swallows_it() -> None:
    api = Translator("https://nowhere.invalid")

    async def swallows() -> str:
        try:
            await api.translate("x")
        except (Exception, AssertionError):
            return "degraded"
        return "fine"

    answers: list[str] = []

    @mock_integrations()
    def run_in_another_thread() -> None:  # as a test client has it
        thread = threading.Thread(target=lambda: answers.append(asyncio.run(swallows())))
        thread.start()
        thread.join()

    with pytest.raises(UnmockedCallError, match="translate"):
        run_in_another_thread()
    assert answers == ["degraded"]


async def test_a_rule_that_nobody_used_can_fail_the_test() -> None:
    with (
        pytest.raises(AssertionError, match="translate"),
        mock_integrations({Translator.translate: {"text": ""}}, all_used=True),
    ):
        pass


def test_rules_are_for_endpoints() -> None:
    with pytest.raises(TypeError, match="endpoint"):
        MockRules({"translate": 1})  # type: ignore[dict-item]


async def test_after_the_block_the_network_is_back(server) -> None:
    server.answers("/any", (200, b"7", {}))
    with mock_integrations():
        pass
    async with translator(server) as api:
        assert await api.anything() == 7


# --- registry and page ---------------------------------------------------------------------------


async def test_the_registry_is_one_resource_for_all(server) -> None:
    one, two = translator(server), translator(server)
    registry = IntegrationRegistry([one])
    registry.add(two)
    assert isinstance(registry, Resource)
    assert list(registry) == [one, two]
    with pytest.raises(ValueError, match="already"):
        registry.add(one)
    with pytest.raises(TypeError, match="instance"):
        registry.add(Translator)  # type: ignore[arg-type]
    await registry.connect()
    assert await registry.health_check()
    await registry.disconnect()
    assert not await registry.health_check()


async def test_a_registry_that_opens_in_part_closes_what_it_opened(server) -> None:
    class Broken(Translator):
        async def connect(self) -> None:
            raise OSError("no")

    good, bad = translator(server), Broken("https://x.example")
    with pytest.raises(OSError, match="no"):
        await IntegrationRegistry([good, bad]).connect()
    assert not await good.health_check()


def page(registry, **access) -> httpx.AsyncClient:
    app = FastAPI()
    guard = OpsAccess(**(access or {"allow_anonymous": True}))
    app.include_router(make_integrations_router(registry, access=guard))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")


async def test_the_page_shows_what_is_declared_and_how_the_circuits_stand(server) -> None:
    server.answers("/v1/translate", 500)
    api = translator(server, failure_threshold=1, auth=BearerAuth("t0ken"))
    client = page([api])
    assert (await client.get("/docintegration")).status_code == 200
    with pytest.raises(IntegrationError):
        await api.translate("x")  # the circuit of the origin opens
    await api.disconnect()

    shown = (await client.get("/docintegration.json")).json()["integrations"][0]
    assert shown["circuits"][0] | {"retry_after_seconds": 0} == {
        "name": server.url,
        "state": "open",
        "calls": 0,
        "failures": 0,
        "retry_after_seconds": 0,
    }
    assert shown["authentication"] == "bearer"
    endpoint = shown["endpoints"][0]
    assert (endpoint["method"], endpoint["path"]) == ("POST", "/v1/translate")
    assert endpoint["docurl"] == "https://docs.example.com/translate"
    assert endpoint["doc"] == "Translate a text."
    assert endpoint["parameters"] == [
        {"name": "text", "type": "str", "required": True},
        {"name": "to", "type": "str", "required": False},
    ]
    assert endpoint["response"]["properties"] == {"text": {"title": "Text", "type": "string"}}
    assert set(endpoint["errors"]) == {"400", "404", "5xx"}
    assert [p["pattern"] for p in endpoint["patterns"]] == ["timeout", "circuit breaker"]
    assert endpoint["patterns"][1]["state"] == "closed"

    html = (await client.get("/docintegration")).text
    assert 'class="badge open"' in html
    for secret in ("s3cret", "t0ken"):
        assert secret not in html


async def test_the_page_escapes_and_loads_nothing() -> None:
    class Evil(EndpointsDeclaration):
        integration = IntegrationHTTP("<script>alert(1)</script>", doc='"><img src=x>')

        @integration.endpoint(HTTPMethod.get, "/<svg onload=x>", docurl='https://x/"onclick="x')
        async def steal(api: ApiHTTP) -> Any:
            """</pre><script>"""

    client = page([Evil("https://x.example/%3Cb%3E")])
    response = await client.get("/docintegration")

    assert "<script" not in response.text
    assert "<img" not in response.text
    assert "<svg" not in response.text
    assert 'onclick="' not in response.text
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/docintegration", "/docintegration.json"])
async def test_the_page_is_for_those_who_may_see_it(path) -> None:
    client = page([], token="ops-token-ops-token")
    statuses = [
        (await client.get(path, headers=headers)).status_code
        for headers in ({}, {"X-Ops-Token": "wrong"}, {"X-Ops-Token": "ops-token-ops-token"})
    ]
    assert statuses[0] in (401, 403)
    assert statuses[1] in (401, 403)
    assert statuses[2] == 200
    assert path not in (await client.get("/openapi.json")).json()["paths"]
    with pytest.raises(TypeError):
        make_integrations_router([])  # type: ignore[call-arg]


def test_a_return_annotation_that_names_nothing_says_so() -> None:
    class Wrong(EndpointsDeclaration):
        integration = IntegrationHTTP("w")

        @integration.endpoint(HTTPMethod.get, "/")
        async def get(api: ApiHTTP) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
            return await api.call()

    with pytest.raises(TypeError, match="Nowhere"):
        Wrong("https://x.example")
