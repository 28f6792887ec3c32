from __future__ import annotations

import json
import logging
from typing import Annotated, Literal

import pytest
from fastapi import FastAPI, Header, HTTPException, Query
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

import tijolo.core as core
from tijolo.core import (
    HTTP_500_MARKER,
    AppException,
    BaseAppSettings,
    Environment,
    ServiceUnavailableException,
    TooManyRequestsException,
    UnauthorizedException,
)
from tijolo.web import (
    CODE_OF_STATUS,
    ProblemDocument,
    app_exception_handler,
    create_app,
    problem_response,
    register_exception_handlers,
)


class Settings(BaseAppSettings, env_file=None):
    pass


class Card(BaseModel):
    kind: Literal["card"]
    pin: Annotated[str, Field(pattern=r"^\d{4}$")]


class Cash(BaseModel):
    kind: Literal["cash"]


class SignUp(BaseModel):
    model_config = {"extra": "forbid"}

    email: str
    password: SecretStr = Field(min_length=12)
    pay: Annotated[Card | Cash, Field(discriminator="kind")] | None = None
    nick: str = "x"

    @field_validator("nick")
    @classmethod
    def _chatty(cls, value):
        if value != "x":
            raise ValueError(f"{value} is not a nice name")
        return value

    @model_validator(mode="after")
    def _match(self):
        if self.email == self.password.get_secret_value():
            raise ValueError(f"{self.email} cannot be the password")
        return self


def make_app():
    app = create_app(Settings(ENVIRONMENT=Environment.TEST))

    @app.post("/sign-up")
    async def sign_up(data: SignUp):
        return {}

    @app.get("/search")
    async def search(page: Annotated[int, Query(le=100)], x_count: Annotated[int, Header()] = 1):
        return {}

    return app


APP = make_app()


def raising(exc):
    app = create_app(Settings(ENVIRONMENT=Environment.TEST))

    @app.get("/")
    async def handler():
        raise exc

    return app


async def post(exchange, data, **extra):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return await exchange(APP, "/sign-up", method="POST", headers=headers, body=[body], **extra)


# --- the document


async def test_the_document_has_the_members_of_the_rfc_and_of_the_envelope(exchange):
    exc = core.ConflictException("taken", code="EMAIL_TAKEN", details={"field": "email"})
    made = await exchange(raising(exc), headers={"X-Request-ID": "r1"})
    assert made.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "taken",
        "instance": "/",
        "code": "EMAIL_TAKEN",
        "details": {"field": "email"},
        "request_id": "r1",
    }
    assert made.headers["content-type"] == "application/problem+json"
    ProblemDocument.model_validate(made.json())


async def test_headers_of_an_exception_are_kept(exchange):
    made = await exchange(raising(UnauthorizedException()))
    assert made.headers["www-authenticate"] == "Bearer"
    made = await exchange(raising(TooManyRequestsException(retry_after_seconds=7)))
    assert (made.status, made.headers["retry-after"]) == (429, "7")
    made = await exchange(raising(HTTPException(401, headers={"WWW-Authenticate": "Basic"})))
    assert (made.json()["code"], made.headers["www-authenticate"]) == ("UNAUTHORIZED", "Basic")


async def test_a_detail_that_is_not_text_moves_to_details(exchange):
    made = await exchange(raising(HTTPException(400, {"why": ["a"]})))
    assert made.json()["detail"] == "Bad Request"
    assert made.json()["details"] == {"why": ["a"]}
    made = await exchange(raising(HTTPException(400, ["a"])))
    assert made.json()["details"] == {"detail": ["a"]}


async def test_a_400_that_a_handler_raises_from_another_error_is_its_own(exchange):
    exc = HTTPException(400, "no such date")
    exc.__cause__ = ValueError("2026-02-30")
    made = await exchange(raising(exc))
    assert (made.json()["code"], made.json()["detail"]) == ("BAD_REQUEST", "no such date")


@pytest.mark.parametrize("status", [0, 99, 100, 200, 302, 600, 1000])
async def test_an_error_with_a_status_that_no_error_has_is_a_logged_500(exchange, records, status):
    made = await exchange(raising(AppException("odd", status_code=status)))
    assert (made.status, made.json()["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert len(failures(records)) == 1


@pytest.mark.parametrize("status", [99, 100, 1000])
async def test_an_http_exception_with_an_impossible_status_is_a_logged_500(
    exchange, records, status
):
    made = await exchange(raising(HTTPException(status, "odd")))
    assert made.status == 500
    assert len(failures(records)) == 1


async def test_a_redirect_that_is_raised_stays_one(exchange):
    made = await exchange(raising(HTTPException(307, headers={"Location": "/x"})))
    assert (made.status, made.headers["location"]) == (307, "/x")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_app_exception_without_a_body_is_answered_without_one(exchange, status):
    made = await exchange(raising(AppException("none", status_code=status)))
    assert (made.status, made.body) == (status, b"")


async def test_headers_of_an_exception_never_contradict_the_document(exchange):
    wrong = {"Content-Type": "text/html", "content-length": "3", "X-Kept": "1"}
    made = await exchange(raising(AppException("no", status_code=400, headers=wrong)))
    assert made.headers["content-type"] == "application/problem+json"
    assert int(made.headers["content-length"]) == len(made.body)
    assert made.headers["x-kept"] == "1"


async def test_a_status_without_a_body_stays_without(exchange):
    made = await exchange(raising(HTTPException(304)))
    assert (made.status, made.body) == (304, b"")


@pytest.mark.parametrize("details", [{"x": float("nan")}, {"x": object()}, {1: {2: set("a")}}])
async def test_details_that_json_cannot_carry_do_not_become_another_error(exchange, details):
    made = await exchange(raising(AppException("no", status_code=400, details=details)))
    assert made.status == 400
    json.loads(made.body, parse_constant=pytest.fail)


def test_every_error_of_core_has_the_code_of_its_status_or_one_of_its_own():
    family = [getattr(core, name) for name in core.__all__ if name.endswith("Exception")]
    own = {
        "InvalidTokenException": "INVALID_TOKEN",
        "ExpiredTokenException": "TOKEN_EXPIRED",
        "FileTooLargeException": "FILE_TOO_LARGE",
        "InvalidFileTypeException": "INVALID_FILE_TYPE",
    }
    for kind in family:
        assert kind.code == own.get(kind.__name__, CODE_OF_STATUS[kind.status_code]), kind


@given(st.integers(400, 599), st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_makes_a_document_that_parses(status, detail, path, details):
    scope = {"type": "http", "path": path}
    response = problem_response(scope, status, detail=detail, details=details)
    document = json.loads(response.body)
    assert document["status"] == status
    assert document["detail"] == detail
    assert document["instance"] is None or document["instance"].isascii()


async def test_a_lone_surrogate_in_a_message_is_escaped(exchange):
    made = await exchange(raising(AppException("\ud800 é", status_code=400)))
    assert made.body.count(b"\\ud800") == 1
    assert "é".encode() in made.body
    assert made.json()["detail"] == "\ud800 é"


# --- what is logged


def failures(records):
    return [r for r in records if getattr(r, HTTP_500_MARKER, False)]


async def test_a_503_of_the_service_is_one_line_with_the_type_of_its_cause(exchange, records):
    lost = ServiceUnavailableException(code="STORE_DOWN")
    lost.__cause__ = ConnectionError("redis://:geheim@host")
    await exchange(raising(lost))
    await exchange(raising(ServiceUnavailableException()))
    told = failures(records)
    assert [r.getMessage() for r in told] == [
        "503 STORE_DOWN (ConnectionError) in GET /",
        "503 SERVICE_UNAVAILABLE in GET /",
    ]
    assert all(r.exc_info is None and r.status == 503 for r in told)


@pytest.mark.parametrize("exc", [HTTPException(503, "down"), AppException("x")])
async def test_a_5xx_is_logged_once_with_its_traceback(exchange, records, exc):
    made = await exchange(raising(exc), headers={"X-Request-ID": "r1"})
    assert made.status >= 500
    [record] = failures(records)
    assert record.exc_info[1] is exc
    assert (record.request_id, record.route, record.status) == ("r1", "/", made.status)


async def test_a_4xx_is_no_failure(exchange, records):
    await exchange(raising(core.NotFoundException("no such thing")))
    await exchange(raising(HTTPException(404)))
    assert failures(records) == []
    assert {r.levelno for r in records} == {logging.INFO}
    assert "no such thing" not in str([r.getMessage() for r in records])


# --- refused input


async def test_a_422_names_the_fields_and_never_echoes(exchange):
    made = await post(exchange, {"password": "hunter2", "surplus": 1})
    problem = made.json()
    assert (made.status, problem["code"]) == (422, "VALIDATION_ERROR")
    errors = {e["pointer"]: e for e in problem["errors"]}
    assert errors["#/email"] == {
        "loc": ["body", "email"],
        "message": "Field required",
        "type": "missing",
        "pointer": "#/email",
    }
    assert set(errors) == {"#/email", "#/password", "#/surplus"}
    assert b"hunter2" not in made.body
    ProblemDocument.model_validate(problem)


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ({"email": "e", "password": "hunter2"}, "hunter2"),
        ({"email": ["hunter2"], "password": "x" * 12}, "hunter2"),
        ({"email": "e", "password": "x" * 12, "pay": {"kind": "hunter2"}}, "hunter2"),
        ({"email": "e", "password": "x" * 12, "pay": {"kind": "card", "pin": "99"}}, "99"),
        ({"email": "e", "password": "x" * 12, "nick": "hunter2"}, "hunter2"),
        ({"email": "e", "password": "x" * 12, "nick": "h2"}, "h2"),
        ({"email": "hunter2hunter2", "password": "hunter2hunter2"}, "hunter2"),
        (["hunter2"], "hunter2"),
        ("hunter2", "hunter2"),
    ],
)
async def test_no_rule_tells_what_was_sent(exchange, data, sent):
    made = await post(exchange, data)
    assert made.status == 422
    assert sent not in json.dumps(made.json()["errors"])
    assert {"input", "ctx", "url"}.isdisjoint(*made.json()["errors"])


async def test_the_names_that_a_tag_may_have_are_told(exchange):
    made = await post(exchange, {"email": "e", "password": "x" * 12, "pay": {"kind": "z"}})
    message = made.json()["errors"][0]["message"]
    assert "'card', 'cash'" in message
    assert "'z'" not in message


async def test_errors_in_queries_and_headers_have_a_place_and_no_pointer(exchange):
    made = await exchange(APP, "/search", query_string=b"page=x", headers={"X-Count": "y"})
    errors = made.json()["errors"]
    assert [e["loc"] for e in errors] == [["query", "page"], ["header", "x-count"]]
    assert not any("pointer" in e for e in errors)


async def test_a_pointer_is_escaped_as_rfc_6901_says(exchange):
    made = await post(exchange, {"a/b~c": 1})
    assert "#/a~1b~0c" in [e["pointer"] for e in made.json()["errors"]]


async def test_thousands_of_errors_make_a_short_document(exchange):
    made = await post(exchange, {f"k{i}" * 50: i for i in range(2000)})
    assert len(made.json()["errors"]) == 100
    assert made.json()["details"] == {"errors_total": 2002}
    assert len(made.body) < 60_000


scalars = st.text(min_size=1) | st.integers() | st.floats() | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


WAYS_TO_QUOTE = [str, repr, ascii, json.dumps, lambda s: repr([s, 1]), lambda s: repr(s.encode())]


def app_taking(model):
    async def take(data):
        return {}

    take.__annotations__["data"] = model  # a class of a function has no name to resolve
    app = create_app(Settings(ENVIRONMENT=Environment.TEST))
    app.add_api_route("/", take, methods=["POST"])
    return app


def quoting_app(quote):
    class Nick(BaseModel):
        nick: str
        rest: list[int] | dict[str, str] = []

        @model_validator(mode="after")
        def _never(self):
            raise ValueError(f"what is this: {quote(self.nick)} ?")

    return app_taking(Nick)


QUOTING = {quote: quoting_app(quote) for quote in WAYS_TO_QUOTE}


async def refusal(app, data):
    body = json.dumps(data).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/",
        "raw_path": b"/", "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(b"content-type", b"application/json")], "client": None,
    }  # fmt: skip
    await app(scope, receive, send)
    return json.loads(sent[1]["body"])["errors"][0]["message"]


readable = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)


@pytest.mark.parametrize("quote", WAYS_TO_QUOTE)
@given(st.sampled_from(["hunter2'x\"y", "hunter2\n", "a\tb", "é\\", "\x00"]) | readable)
async def test_no_way_to_quote_what_was_sent_gets_through(quote, nick):
    assert await refusal(QUOTING[quote], {"nick": nick}) == "Invalid value"


@pytest.mark.parametrize("rest", [list(range(500)), {str(i): "x" for i in range(500)}])
async def test_a_validators_message_about_more_than_can_be_searched_is_not_told(rest):
    assert await refusal(QUOTING[str], {"rest": rest, "nick": "hunter2"}) == "Invalid value"
    assert await refusal(QUOTING[str], {"nick": "hunter2", "rest": rest}) == "Invalid value"


async def test_a_long_message_of_a_validator_is_not_told():
    app = quoting_app(lambda nick: "x" * 1001)
    assert await refusal(app, {"nick": "hunter2"}) == "Invalid value"


async def test_a_message_with_a_type_of_its_own_is_a_validators_too():
    class Pin(BaseModel):
        pin: str

        @field_validator("pin")
        @classmethod
        def _never(cls, value):
            raise PydanticCustomError("pin_refused", "no pin: {pin}", {"pin": value})

    assert await refusal(app_taking(Pin), {"pin": "123"}) == "Invalid value"


async def test_a_message_that_quotes_nothing_is_told():
    app = quoting_app(lambda nick: "who knows")
    assert await refusal(app, {"nick": "kno"}) == "Value error, what is this: who knows ?"


@given(st.fixed_dictionaries({"nick": st.text(min_size=1), "pay": values, "email": values}))
async def test_whatever_is_sent_is_answered_and_not_sent_back(data):
    body = json.dumps({**data, "password": "CorrectHorse-" + "battery"}).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/sign-up",
        "raw_path": b"/sign-up", "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(b"content-type", b"application/json")], "client": None,
    }  # fmt: skip
    await APP(scope, receive, send)
    assert sent[0]["status"] in (200, 422)
    if sent[0]["status"] == 422:
        messages = [e["message"] for e in json.loads(sent[1]["body"])["errors"]]
        assert not any("CorrectHorse" in m for m in messages)
        echo = f"Value error, {data['nick']} is not"
        assert not (data["nick"].strip() and any(m.startswith(echo) for m in messages))


# --- without create_app


async def test_the_handlers_work_on_an_application_of_ones_own(exchange, records):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/{kind}")
    async def handler(kind: str, n: int = 0):
        if kind == "app":
            raise core.NotFoundException(code="NO_ITEM")
        if kind == "http":
            raise HTTPException(409, "busy")
        raise ZeroDivisionError("secret")

    answers = {kind: await exchange(app, f"/{kind}", catch=True) for kind in ("app", "http", "x")}
    answers["n"] = await exchange(app, "/app", query_string=b"n=z")
    codes = {kind: (made.status, made.json()["code"]) for kind, made in answers.items()}
    assert codes == {
        "app": (404, "NO_ITEM"),
        "http": (409, "CONFLICT"),
        "x": (500, "INTERNAL_SERVER_ERROR"),
        "n": (422, "VALIDATION_ERROR"),
    }
    assert b"secret" not in answers["x"].body
    assert len(failures(records)) == 1


async def test_the_handler_of_app_exceptions_can_be_registered_alone(exchange):
    app = FastAPI(exception_handlers={AppException: app_exception_handler})

    @app.get("/")
    async def handler():
        raise core.ForbiddenException

    assert (await exchange(app)).json()["code"] == "FORBIDDEN"
