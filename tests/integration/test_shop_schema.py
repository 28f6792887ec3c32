"""The shop holds what its OpenAPI document says, for whatever anybody sends."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from loja.__main__ import migrate
from loja.app import make_app
from loja.settings import Settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('shop')}/loja.db"
    settings = Settings(
        _env_file=None,
        ENVIRONMENT="test",
        DATABASE_URL=url,
        CEP_SERVICE_URL="http://127.0.0.1:9",
        AUTH_PASSWORD_ROUNDS=10,
    )
    migrate(settings)
    app = make_app(settings)
    with TestClient(app, raise_server_exceptions=False):
        yield app


def broken_promises(app):
    """How many operations there are, and what was found about those that do not hold."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    failures: list[str] = []
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        seen += 1
        strategy = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) | (
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        )

        @hypothesis.settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=strategy)
        def holds(case):
            case.call_and_validate(checks=CHECKS)

        try:
            holds()
        except BaseException as error:
            failures.append(f"{operation.label}: {error}")
    return seen, failures


def test_every_operation_keeps_its_promises(shop):
    seen, failures = broken_promises(shop)
    assert seen >= 15
    assert not failures, "\n\n".join(failures)


def test_a_route_that_does_not_is_found():
    app = FastAPI()

    @app.get("/crash")
    async def crash(number: int) -> int:
        return 1 // (number - number)

    @app.get("/lie", response_model=int)
    async def lie():
        return JSONResponse("five")

    @app.get("/text")
    async def text() -> int:
        return PlainTextResponse("5")

    @app.get("/good")
    async def good(number: int) -> int:
        return number

    with TestClient(app, raise_server_exceptions=False):
        seen, failures = broken_promises(app)
    assert seen == 4
    assert [failure.partition(":")[0] for failure in failures] == [
        "GET /crash",
        "GET /lie",
        "GET /text",
    ]
