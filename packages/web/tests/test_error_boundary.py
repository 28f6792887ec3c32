from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from tijolo.core import HTTP_500_MARKER, BaseAppSettings, ConflictException, Environment
from tijolo.web import (
    CORSSettings,
    EnvelopeMiddleware,
    ErrorBoundaryMiddleware,
    RequestTimingMiddleware,
    ResponseAbortedError,
    WebSettings,
    create_app,
)

ORIGIN = "https://shop.example"
SECRET = "hunter2-in-the-message"


class Settings(WebSettings, CORSSettings, BaseAppSettings, env_file=None):
    pass


class CrashError(Exception):
    pass


class CrashingMiddleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope.get("path") == "/middleware":
            raise CrashError(SECRET)
        await self.app(scope, receive, send)


def crashing_app() -> FastAPI:
    settings = Settings(ENVIRONMENT=Environment.TEST, CORS_ORIGINS=[ORIGIN])
    app = create_app(settings)
    app.add_middleware(CrashingMiddleware)

    async def broken_dependency():
        raise CrashError(SECRET)

    async def broken_stream():
        yield b"x" * 10
        raise CrashError(SECRET)

    @app.get("/handler/{item}")
    async def handler(item: str):
        raise CrashError(SECRET)

    @app.get("/sync")
    def sync_handler():
        raise CrashError(SECRET)

    @app.get("/dependency", dependencies=[Depends(broken_dependency)])
    async def dependency():
        return {}

    @app.get("/serialised")
    async def serialised() -> int:
        return SECRET

    @app.get("/split")
    async def split():
        return PlainTextResponse("x", headers={"X-Next": "a\r\nSet-Cookie: owned=1"})

    @app.get("/stream")
    async def stream():
        return StreamingResponse(broken_stream())

    @app.get("/ok")
    async def ok():
        return {"ok": True}

    return app


def failures(records):
    return [r for r in records if getattr(r, HTTP_500_MARKER, False)]


@pytest.mark.parametrize(
    "path",
    ["/handler/7", "/sync", "/dependency", "/middleware", "/serialised", "/split"],
)
async def test_a_crash_is_one_problem_with_cors_and_security_headers_and_one_id(
    serve, records, caplog, path
):
    app = crashing_app()
    async with serve(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get(path, headers={"Origin": ORIGIN, "X-Request-ID": "quote-me-123"})
        assert (await http.get("/ok")).json() == {"ok": True}
    problem = answer.json()
    assert answer.status_code == problem["status"] == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "INTERNAL_SERVER_ERROR"
    assert answer.headers["x-request-id"] == problem["request_id"] == "quote-me-123"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    [record] = failures(records)
    assert record.request_id == "quote-me-123"
    assert record.exc_info is not None
    tracebacks = [r for r in caplog.records if r.exc_info]
    assert tracebacks == [record], "nobody else logged it again"


async def test_a_crash_in_a_stream_aborts_the_connection_and_is_logged_once(serve, records, caplog):
    app = crashing_app()
    async with serve(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\nX-Request-ID: s1\r\n\r\n")
        received = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert received.startswith(b"HTTP/1.1 200")
    assert received.count(b"HTTP/1.1") == 1, "no second response"
    assert not received.endswith(b"0\r\n\r\n"), "the client can tell that the body is cut"
    assert SECRET.encode() not in received
    [record] = failures(records)
    assert record.request_id == "s1"
    assert SECRET in str(record.exc_info[1])
    assert all(SECRET not in (r.exc_text or "") for r in caplog.records if r is not record)


def boundary_over(action):
    async def app(scope, receive, send):
        await action(send)

    return ErrorBoundaryMiddleware(app)


async def start(send, **extra):
    await send({"type": "http.response.start", "status": 200, "headers": [], **extra})


async def test_after_the_start_the_server_is_told_to_abort(exchange, records):
    async def action(send):
        await start(send)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        raise CrashError(SECRET)

    made = await exchange(boundary_over(action), catch=True)
    assert isinstance(made.error, ResponseAbortedError)
    assert made.error.__suppress_context__
    assert len(made.starts) == 1
    assert len(failures(records)) == 1


async def test_a_failure_after_the_whole_response_is_logged_and_changes_nothing(exchange, records):
    async def action(send):
        await start(send)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send({"type": "http.response.body", "body": b"2"})
        raise CrashError(SECRET)

    made = await exchange(boundary_over(action))
    assert made.body == b"12"
    assert len(failures(records)) == 1


async def test_a_client_that_left_is_no_error(exchange, records):
    async def action(send):
        raise ClientDisconnect

    made = await exchange(boundary_over(action))
    assert made.messages == []
    assert failures(records) == []


async def test_cancellation_of_the_requests_own_task_passes(exchange, records):
    entered = asyncio.Event()

    async def action(send):
        entered.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(exchange(boundary_over(action)))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert records == []


async def wait_for_a_cancelled_task():
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    await other


async def raise_a_group():
    raise BaseExceptionGroup("g", [asyncio.CancelledError(SECRET), CrashError(SECRET)])


class OwnBaseError(BaseException):
    pass


async def raise_an_own_base_error():
    raise OwnBaseError(SECRET)


NO_EXCEPTIONS = [wait_for_a_cancelled_task, raise_a_group, raise_an_own_base_error]


@pytest.mark.parametrize("endpoint", NO_EXCEPTIONS)
async def test_what_is_no_exception_but_fails_the_request_is_a_500_like_any_other(
    serve, records, endpoint
):
    app = crashing_app()
    app.add_api_route("/base", endpoint)
    async with serve(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get("/base", headers={"Origin": ORIGIN})
        assert (await http.get("/ok")).json() == {"ok": True}
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert SECRET not in answer.text
    assert len(failures(records)) == 1
    assert [r.status for r in records if r.name == "tijolo.web.access"] == [500, 200]


@pytest.mark.parametrize("layer", [EnvelopeMiddleware, RequestTimingMiddleware])
async def test_the_access_log_calls_a_foreign_cancellation_a_500(exchange, records, layer):
    async def app(scope, receive, send):
        await wait_for_a_cancelled_task()

    with pytest.raises(asyncio.CancelledError):
        await exchange(layer(app))
    assert [r.status for r in records] == [500]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_passes(exchange, end):
    async def action(send):
        raise BaseExceptionGroup("g", [end()])

    with pytest.raises(BaseExceptionGroup):
        await exchange(boundary_over(action))


async def test_an_error_of_middleware_whose_headers_cannot_be_encoded_is_a_500(exchange, records):
    async def action(send):
        raise ConflictException("taken", headers={"Location": "/preço/€"})

    made = await exchange(boundary_over(action))
    assert (made.status, made.json()["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert len(failures(records)) == 1


async def test_a_group_of_one_means_its_member(exchange, records):
    async def action(send):
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [ConflictException("taken")])])

    made = await exchange(boundary_over(action))
    assert made.status == 409
    assert made.json()["detail"] == "taken"
    assert failures(records) == []


async def test_a_group_of_several_is_a_500(exchange, records):
    async def action(send):
        raise ExceptionGroup("tasks", [ConflictException("taken"), CrashError(SECRET)])

    made = await exchange(boundary_over(action))
    assert made.status == 500
    assert len(failures(records)) == 1


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "future"])
async def test_other_scopes_pass(kind):
    calls = []

    async def app(scope, receive, send):
        calls.append((scope, receive, send))

    scope, receive, send = {"type": kind}, object(), object()
    await ErrorBoundaryMiddleware(app)(scope, receive, send)
    assert calls == [(scope, receive, send)]


async def test_a_handler_of_the_services_own_decides_and_may_fail(exchange, records):
    async def action(send):
        raise CrashError(SECRET)

    async def own(request, exc):
        return PlainTextResponse("mine", status_code=500)

    def own_sync(request, exc):
        return Response("sync", status_code=500)

    async def broken(request, exc):
        raise RuntimeError("handler")

    async def app(scope, receive, send):
        await action(send)

    assert (await exchange(ErrorBoundaryMiddleware(app, handler=own))).body == b"mine"
    assert (await exchange(ErrorBoundaryMiddleware(app, handler=own_sync))).body == b"sync"
    made = await exchange(ErrorBoundaryMiddleware(app, handler=broken))
    assert made.json()["code"] == "INTERNAL_SERVER_ERROR"
    assert [type(r.exc_info[1]) for r in failures(records)] == [RuntimeError]


async def test_an_exception_handler_added_to_the_application_is_used(exchange):
    app = crashing_app()

    @app.exception_handler(Exception)
    async def own(request, exc):
        return PlainTextResponse("mine", status_code=500)

    made = await exchange(app, "/sync")
    assert made.body == b"mine"
    assert made.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("field", [b"a\r\nb", b"a\nb", b"a\x00b"])
async def test_a_header_with_a_line_break_or_nul_never_leaves(exchange, field):
    async def action(send):
        await start(send, headers=[(b"x-field", field)])

    made = await exchange(boundary_over(action))
    assert made.status == 500
    assert "x-field" not in made.headers


async def test_an_error_whose_own_headers_cannot_be_sent_is_a_plain_500(exchange, records):
    async def action(send):
        raise ConflictException("taken", headers={"Location": "/a\r\nb"})

    made = await exchange(boundary_over(action))
    assert made.status == 500
    assert len(made.starts) == 1


async def test_the_response_error_log_holds_no_value_of_the_response(exchange, records):
    made = await exchange(crashing_app(), "/serialised")
    assert made.status == 500
    [record] = failures(records)
    text = logging.Formatter().format(record)
    assert "ResponseValidationError" in text
    assert SECRET not in text


async def test_unknown_messages_pass_untouched(exchange):
    messages = [
        {"type": "http.response.early_hint", "links": [b"</a>"]},
        {"type": "http.response.debug", "info": {"x": 1}},
        {"type": "http.response.start", "status": 200, "headers": [], "trailers": True},
        {"type": "http.response.body", "body": b""},
        {"type": "http.response.trailers", "headers": []},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.zerocopysend", "file": 3},
    ]

    async def action(send):
        for message in messages:
            await send(message)

    made = await exchange(boundary_over(action))
    assert made.messages == messages
    assert json.dumps(messages[0]["type"])
