import os
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("jinja2")

import jinja2
from fastapi import APIRouter, FastAPI, HTTPException, Request
from hypothesis import given
from hypothesis import strategies as st

from tijolo.core import BaseAppSettings, NotFoundException
from tijolo.web import AppLifecycle, CSRFMiddleware, WebSettings, create_app
from tijolo.web.templates import (
    HTMLErrorsMiddleware,
    Templates,
    add_html_errors,
    prefers_html,
)

SECRET = "0123456789abcdefghijklmnopqrstuvwxyz"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
FILES = {
    "base.html": "<title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}",
    "page.html": "{% extends 'base.html' %}{% block title %}{{ name }}{% endblock %}"
    "{% block body %}{% include 'parts/row.txt' %}{% endblock %}",
    "parts/row.txt": "<b>{{ name }}</b>",
    "plain.j2": "{{ name }}",
    "form.html": "<form action='{{ url_path('read', item_id=7) }}'>{{ csrf_field() }}</form>"
    "<script nonce='{{ csp_nonce() }}'></script><style nonce='{{ csp_nonce() }}'></style>",
    "token.html": "{{ csrf_token() }}",
    "error.html": "<h1>{{ problem.status }}</h1><p>{{ problem.detail }}</p>"
    "<i nonce='{{ csp_nonce() }}'>{{ problem.request_id }}</i>",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "templates"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def templates(directory: Path) -> Templates:
    return Templates(directory)


class Settings(WebSettings, BaseAppSettings, env_file=None):
    pass


def app_of(templates: Templates) -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(item_id: int) -> None: ...

    @app.get("/page/{name}")
    async def page(request: Request, name: str):
        return await templates.response(request, name, {"name": "<script>"}, status_code=201)

    return app


async def ask(app: Any, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as http:
        return await http.get(path, headers=headers)


# --- pages


async def test_a_page_escapes_in_every_file_whatever_its_name(templates):
    app = app_of(templates)
    answer = await ask(app, "/page/page.html")
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == "<title>&lt;script&gt;</title><b>&lt;script&gt;</b>"
    assert (await ask(app, "/page/plain.j2")).text == "&lt;script&gt;"


@given(st.text())
def test_no_text_gets_out_of_its_place(text):
    environment = Templates(Path(__file__).parent)._environment
    shown = environment.from_string("{{ name }}").render(name=text)
    assert not set("<>\"'") & set(shown)


async def test_a_missing_variable_is_an_error(templates):
    with pytest.raises(jinja2.UndefinedError, match="name"):
        await templates.render("plain.j2", {})


@pytest.mark.parametrize(
    "name",
    ["", "..", "../secret.txt", "parts/../../secret.txt", "/etc/passwd", "..\\secret.txt",
     "page.html\0", "\0", "link.html", "linked/secret.txt", "x" * 5000, "parts", "é.html",
     "./page.html", "parts//row.txt", "parts/./row.txt"],
)  # fmt: skip
async def test_no_name_leads_out_of_the_directory(directory, name):
    (directory.parent / "secret.txt").write_text("secret")
    (directory / "link.html").symlink_to(directory.parent / "secret.txt")
    (directory / "linked").symlink_to(directory.parent)
    for reload in (True, False):
        with pytest.raises(jinja2.TemplateNotFound):
            await Templates(directory, auto_reload=reload).render(name, {})


async def test_the_first_directory_wins(directory, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "plain.j2").write_text("own")
    templates = Templates([own, directory])
    assert await templates.render("plain.j2", {}) == "own"
    assert await templates.render("parts/row.txt", {"name": "a"}) == "<b>a</b>"


def test_a_directory_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no directory"):
        Templates(tmp_path / "nowhere")


async def test_functions_and_filters_of_the_service(directory):
    (directory / "own.html").write_text("{{ brand }} {{ 'a' | shout }}")
    templates = Templates(
        directory, functions={"brand": "tijolo"}, filters={"shout": lambda text: text.upper() + "!"}
    )
    assert await templates.render("own.html", {}) == "tijolo A!"


# --- compilation


async def test_everything_is_compiled_off_the_loop_before_the_first_request(
    directory, templates, monkeypatch
):
    threads: set[bool] = set()
    load = templates._environment.loader.get_source

    def noting(environment: Any, name: str) -> Any:
        threads.add(threading.current_thread() is threading.main_thread())
        return load(environment, name)

    monkeypatch.setattr(templates._environment.loader, "get_source", noting)
    app = create_app(
        Settings(ENVIRONMENT="test"),
        lifecycle=AppLifecycle(startup_validators=[templates.compile_all]),
    )
    async with app.router.lifespan_context(app):
        pass
    assert threads == {False}
    for path in sorted(directory.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    # nothing is read any more, parents and includes neither
    assert "<b>a</b>" in await templates.render("page.html", {"name": "a"})


async def test_what_was_not_compiled_early_is_compiled_off_the_loop(templates, monkeypatch):
    threads: set[bool] = set()
    get = templates._environment.get_template

    def noting(name: str) -> Any:
        threads.add(threading.current_thread() is threading.main_thread())
        return get(name)

    monkeypatch.setattr(templates._environment, "get_template", noting)
    await templates.render("plain.j2", {"name": "a"})
    assert threads == {False}


async def test_a_broken_template_keeps_the_service_from_starting(directory):
    (directory / "broken.html").write_text("\n{% if %}")
    with pytest.raises(jinja2.TemplateSyntaxError) as broken:
        await Templates(directory).compile_all()
    assert (broken.value.name, broken.value.lineno) == ("broken.html", 2)


async def test_auto_reload_sees_a_changed_file(directory):
    templates = Templates(directory, auto_reload=True)
    assert await templates.render("plain.j2", {"name": "a"}) == "a"
    path = directory / "plain.j2"
    path.write_text("new {{ name }}")
    os.utime(path, (1, 1))
    assert await templates.render("plain.j2", {"name": "a"}) == "new a"


async def test_compile_all_says_how_many(templates):
    assert await templates.compile_all() == len(FILES)


# --- helpers


async def test_the_nonce_of_page_and_policy_is_one_and_new_for_each_request(templates):
    app = app_of(templates)
    app.add_middleware(CSRFMiddleware, secret=SECRET)
    nonces = set()
    for _ in range(2):
        answer = await ask(app, "/page/form.html")
        shown = set(re.findall(r"nonce='([^']+)'", answer.text))
        policy = set(re.findall(r"'nonce-([^']+)'", answer.headers["content-security-policy"]))
        assert shown == policy
        assert len(shown) == 1
        nonces |= shown
    assert len(nonces) == 2
    assert all(len(nonce) >= 22 for nonce in nonces)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default-src 'self'", "default-src 'self'"),
        ("", Settings(ENVIRONMENT="test").CONTENT_SECURITY_POLICY),
    ],
)
async def test_the_page_s_policy_survives_the_service_s_own_and_may_be_left_out(
    directory, policy, expected
):
    templates = Templates(directory, content_security_policy=policy)
    app = create_app(Settings(ENVIRONMENT="test"))

    @app.get("/")
    async def page(request: Request):
        return await templates.response(request, "plain.j2", {"name": "a"})

    answer = await ask(app, "/")
    assert answer.headers["content-security-policy"] == expected
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_csrf_field_of_a_page_lets_its_form_through(templates):
    app = app_of(templates)

    @app.post("/write")
    async def write() -> bool:
        return True

    app.add_middleware(CSRFMiddleware, secret=SECRET)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as http:
        page = await http.get("/page/form.html")
        field = re.search(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', page.text)
        body = f"{field[1]}={field[2]}"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await http.post("/write", content=body, headers=kind)).status_code == 200
        assert (await http.post("/write", content="a=b", headers=kind)).status_code == 403
        token = (await http.get("/page/token.html")).text
        answer = await http.post("/write", headers={"X-CSRF-Token": token})
        assert answer.status_code == 200


async def test_url_path_is_no_address_that_a_host_header_could_forge(templates):
    app = app_of(templates)
    app.add_middleware(CSRFMiddleware, secret=SECRET)
    transport = httpx.ASGITransport(app, root_path="/shop")
    async with httpx.AsyncClient(transport=transport, base_url="https://evil.example") as http:
        answer = await http.get("/shop/page/form.html")
    assert "action='/shop/items/7'" in answer.text
    assert "evil" not in answer.text


# --- error pages


def service(templates: Templates, **options: Any) -> FastAPI:
    router = APIRouter()

    @router.get("/missing")
    async def missing() -> None:
        raise NotFoundException("<No> such item", details={"a": 1})

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("inside")

    @router.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, headers={"X-Pot": "tea"})

    @router.get("/fine")
    async def fine() -> dict[str, bool]:
        return {"ok": True}

    app = create_app(Settings(ENVIRONMENT="test"), router)
    add_html_errors(app, templates, **options)
    return app


@pytest.mark.parametrize(
    ("path", "status"),
    [("/missing", 404), ("/crash", 500), ("/teapot", 418), ("/nowhere", 404)],
)
async def test_a_browser_sees_a_page_and_a_program_the_document(templates, path, status):
    app = service(templates)
    page = await ask(app, path, Accept=BROWSER)
    assert page.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith(f"<h1>{status}</h1>")
    assert page.headers["x-request-id"] in page.text
    assert re.search(r"nonce='([^']+)'", page.text)[1] in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "inside" not in page.text
    for accept in ("*/*", "application/json", "application/problem+json", ""):
        document = await ask(app, path, Accept=accept)
        assert document.status_code == status
        assert document.json()["status"] == status


async def test_an_error_page_escapes_keeps_headers_and_varies(templates):
    app = service(templates)
    page = await ask(app, "/missing", Accept=BROWSER)
    assert "&lt;No&gt; such item" in page.text
    assert "Accept" in page.headers["vary"]
    assert (await ask(app, "/teapot", Accept=BROWSER)).headers["x-pot"] == "tea"
    assert (await ask(app, "/fine", Accept=BROWSER)).json() == {"ok": True}


@pytest.mark.parametrize("name", ["nowhere.html", "plain.j2"])
async def test_a_page_that_cannot_be_rendered_leaves_the_document(templates, records, name):
    answer = await ask(service(templates, name=name), "/missing", Accept=BROWSER)
    assert answer.json()["code"] == "NOT_FOUND"
    assert sum("could not be rendered" in r.getMessage() for r in records) == 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML;Q=0.5", True),
        ("application/xhtml+xml", True),
        ("text/html;q=0.4, application/json;q=0.5", False),
        ("text/html, application/json", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=nan", False),
        ("text/html;q=x", False),
        ("text/html;q=-1", False),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        (",;=,;;q=", False),
        ("x," * 10_000 + "text/html", False),
    ],
)
def test_who_prefers_html(accept, expected):
    assert prefers_html(accept) is expected


async def test_large_or_encoded_problems_and_websockets_pass_untouched(
    templates, exchange, scope_of
):
    kind = (b"content-type", b"application/problem+json")

    def answering(*chunks: bytes, headers: list[tuple[bytes, bytes]]) -> Any:
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            for number, chunk in enumerate(chunks):
                more = number < len(chunks) - 1
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
            await send({"type": "http.response.trailers", "headers": []})

        return HTMLErrorsMiddleware(app, templates=templates)

    accept = {"headers": {"accept": "text/html"}}
    chunk = b"x" * 100_000
    large = await exchange(answering(*[chunk] * 5, headers=[kind]), **accept)
    assert large.body == chunk * 5
    assert large.headers["content-type"] == "application/problem+json"
    encoded = answering(b"zip", headers=[kind, (b"content-encoding", b"gzip")])
    assert (await exchange(encoded, **accept)).body == b"zip"
    split = answering(b'{"status": 400, "detail": "a",', b'"request_id": null}', headers=[kind])
    page = await exchange(split, **accept)
    assert page.body.startswith(b"<h1>400</h1>")
    assert page.messages[-1]["type"] == "http.response.trailers"
    await answering(headers=[])({**scope_of("/"), "type": "websocket"}, None, None)
