# ruff: noqa: E501 - user agents are long
from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import metadata
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

import tijolo.web
from tijolo.core import BaseAppSettings, Environment
from tijolo.web import (
    DEFAULT_STATIC_SECURITY_HEADERS,
    CORSSettings,
    CSRFSettings,
    DeviceInfo,
    DeviceType,
    HardenedStaticFiles,
    IdempotencySettings,
    RateLimitSettings,
    ServerSettings,
    WebSettings,
    build_content_disposition,
    build_pagination_link_header,
    clear_cookie,
    content_disposition,
    create_app,
    get_device_info,
    set_cookie,
)
from tijolo.web import server as web_server
from tijolo.web import uvicorn as web_uvicorn

# --- cookies


def cookie_of(response):
    [line] = [v.decode() for k, v in response.raw_headers if k == b"set-cookie"]
    name_value, *attributes = line.split("; ")
    return name_value, {a.lower() for a in attributes}


def test_a_cookie_is_safe_by_default():
    response = Response()
    set_cookie(response, "__Host-session", "abc", max_age=60)
    assert cookie_of(response) == (
        "__Host-session=abc",
        {"httponly", "secure", "samesite=lax", "path=/", "max-age=60"},
    )


def test_several_cookies_stay_several():
    response = Response()
    set_cookie(response, "a", "1")
    set_cookie(response, "b", "2")
    assert len([k for k, _ in response.raw_headers if k == b"set-cookie"]) == 2


def test_clearing_uses_the_attributes_that_identify_the_cookie():
    response = Response()
    clear_cookie(response, "a", path="/app", domain="shop.example")
    name_value, attributes = cookie_of(response)
    assert name_value == 'a=""'
    assert {"max-age=0", "path=/app", "domain=shop.example", "secure"} <= attributes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "__Host-a", "secure": False}, "secure=True"),
        ({"name": "__Host-a", "path": "/app"}, "path='/'"),
        ({"name": "__Host-a", "domain": "shop.example"}, "no domain"),
        ({"name": "__host-a", "domain": "shop.example"}, "no domain"),
        ({"name": "__Secure-a", "secure": False}, "secure=True"),
        ({"samesite": "none", "secure": False}, "secure=True"),
        ({"samesite": "loose"}, "'lax', 'strict' or 'none'"),
        ({"name": "a b"}, "token"),
        ({"name": "a=b"}, "token"),
        ({"name": ""}, "token"),
        ({"value": "a\r\nSet-Cookie: b=1"}, "printable ASCII"),
        ({"value": "\u00e9"}, "printable ASCII"),
        ({"path": "/; HttpOnly=0"}, "without ';'"),
        ({"domain": "a.example\r\n"}, "without ';'"),
    ],
)
def test_a_cookie_that_browsers_would_drop_or_misread_is_refused(arguments, message):
    given = {"name": "a", "value": "1", **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        set_cookie(Response(), **given)
    if "value" not in arguments:
        with pytest.raises(ValueError, match=re.escape(message)):
            clear_cookie(Response(), **arguments | {"name": given["name"]})


def test_the_secret_value_is_not_in_the_message():
    with pytest.raises(ValueError, match="value of cookie 'a'") as caught:
        set_cookie(Response(), "a", "s3cr\u00e9t")
    assert "s3cr" not in str(caught.value)


# --- Content-Disposition


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("relatório.pdf", "attachment; filename=\"relatorio.pdf\"; filename*=UTF-8''relat%C3%B3rio.pdf"),
        ("日本.txt", "attachment; filename=\"download.txt\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt"),
        ('a".exe', "attachment; filename=\"a_.exe\"; filename*=UTF-8''a%22.exe"),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\dir\\a.txt", 'attachment; filename="a.txt"'),
        ("a\r\nSet-Cookie: x=1", 'attachment; filename="aSet-Cookie: x=1"'),
        ("invoice\u202egnp.exe", 'attachment; filename="invoicegnp.exe"'),
        ("a\x00b\ud800.txt", 'attachment; filename="ab.txt"'),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("", 'attachment; filename="download"'),
        ("..", 'attachment; filename="download"'),
    ],
)  # fmt: skip
def test_a_file_name_is_told_twice_where_ascii_cannot(filename, value):
    assert build_content_disposition(filename) == value


def test_inline_is_the_other_kind():
    assert build_content_disposition("a.png", as_attachment=False) == 'inline; filename="a.png"'


def test_a_long_name_keeps_its_extension():
    value = build_content_disposition("x" * 5000 + ".pdf")
    assert value.endswith('.pdf"')
    assert len(value) < 300


@given(st.text())
def test_no_file_name_breaks_the_header(filename):
    value = build_content_disposition(filename)
    assert re.fullmatch(
        r"attachment; filename=\"[\x20-\x21\x23-\x5b\x5d-\x7e]+\"(; filename\*=UTF-8''[\x21-\x7e]+)?",
        value,
    )
    message = Message()
    message["content-disposition"] = value
    assert message.get_content_disposition() == "attachment"
    extended = re.search(r"UTF-8''(.+)", value)
    if extended:
        assert not {"\u202e", "\u200f", "/", "\n"} & set(unquote(extended[1]))


# --- Link


def links_of(header):
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', header)}


def test_the_links_of_a_page_in_the_middle():
    header = build_pagination_link_header(
        "https://a.example/items?q=x&page=9",
        page=3,
        page_size=20,
        pages=5,
        extra_params={"order": "name desc"},
    )
    links = links_of(header)
    assert list(links) == ["first", "prev", "next", "last"]
    assert [dict(parse_qsl(urlsplit(u).query))["page"] for u in links.values()] == list("1245")
    for url in links.values():
        assert dict(parse_qsl(urlsplit(url).query)).items() >= {
            "q": "x", "order": "name desc", "page_size": "20",
        }.items()  # fmt: skip


@pytest.mark.parametrize(
    ("page", "pages", "rels"),
    [
        (1, 1, ["first", "last"]),
        (1, 2, ["first", "next", "last"]),
        (2, 2, ["first", "prev", "last"]),
        (9, 2, ["first", "prev", "last"]),
        (1, 0, []),
    ],
)
def test_only_pages_that_exist_are_linked(page, pages, rels):
    header = build_pagination_link_header("/items", page=page, page_size=10, pages=pages)
    assert list(links_of(header)) == rels


def test_the_parameters_can_have_other_names():
    header = build_pagination_link_header(
        "/items", page=1, page_size=5, pages=2, page_param="p", size_param="n"
    )
    assert links_of(header)["next"] == "/items?p=2&n=5"


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3))
def test_no_url_or_parameter_breaks_out_of_its_link(path, params):
    params = {k: v for k, v in params.items() if (k + v).isprintable()}
    try:
        urlsplit("https://a.example/" + path)
    except ValueError:
        return
    header = build_pagination_link_header(
        "https://a.example/" + path, page=1, page_size=1, pages=1, extra_params=params
    )
    assert header.isascii()
    assert header.isprintable()
    assert len(links_of(header)) == header.count("; rel=") == 2


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_numbers_that_no_page_has_are_refused(numbers):
    page, size, pages = numbers
    with pytest.raises(ValueError, match="start at 1"):
        build_pagination_link_header("/", page=page, page_size=size, pages=pages)


# --- static files


@pytest.fixture
def static_app(tmp_path):
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    app = create_app(_Settings(ENVIRONMENT=Environment.TEST))
    app.mount("/files", HardenedStaticFiles(directory=tmp_path))
    app.mount("/own", HardenedStaticFiles(directory=tmp_path, security_headers={"X-Own": "1"}))
    return app


class _Settings(BaseAppSettings, env_file=None):
    pass


async def test_an_uploaded_page_cannot_run(static_app, exchange):
    made = await exchange(static_app, "/files/page.html")
    assert made.status == 200
    for name, value in DEFAULT_STATIC_SECURITY_HEADERS.items():
        assert made.headers[name.lower()] == value
    etag = made.headers["etag"]
    again = await exchange(static_app, "/files/page.html", headers={"If-None-Match": etag})
    assert again.status == 304
    assert again.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_the_headers_of_static_files_can_be_replaced(static_app, exchange):
    made = await exchange(static_app, "/own/page.html")
    assert made.headers["x-own"] == "1"
    assert "cross-origin-resource-policy" not in made.headers


@pytest.mark.parametrize(
    "path",
    ["/files/../conftest.py", "/files/%2e%2e/x", "/files/nul\x00", "/files/none", "/files//etc/passwd",
     "/files/" + "x" * 5000, "/files/\udcff"],
)  # fmt: skip
async def test_paths_that_are_no_file_are_a_404_problem(static_app, exchange, path):
    made = await exchange(static_app, path)
    assert made.status == 404
    assert made.json()["code"] == "NOT_FOUND"


# --- device

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "kind", "system", "browser"),
    [
        (CHROME, "desktop", "Windows", "Chrome"),
        (CHROME + " Edg/126.0.2592.68", "desktop", "Windows", "Edge"),
        (CHROME + " OPR/111.0", "desktop", "Windows", "Opera"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "desktop", "macOS", "Safari"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "desktop", "Linux", "Firefox"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "desktop", "ChromeOS", "Chrome"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", "mobile", "iOS", "Safari"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0 Mobile/15E148 Safari/604.1", "mobile", "iOS", "Chrome"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36", "mobile", "Android", "Chrome"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0 Safari/537.36", "tablet", "Android", "Samsung Internet"),
        ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", "tablet", "iOS", "Safari"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", None, None),
        ("curl/8.5.0", "bot", None, None),
        ("", None, None, None),
        ("nobody knows me", None, None, None),
    ],
)  # fmt: skip
def test_a_user_agent_is_told_apart(scope_of, agent, kind, system, browser):
    info = get_device_info(Request(scope_of(headers={"User-Agent": agent})))
    assert (info.device_type, info.os, info.browser) == (kind, system, browser)
    assert info.user_agent == (agent or None)
    assert info.ip_address == "203.0.113.9"


def test_client_hints_win_over_the_user_agent(scope_of):
    headers = {
        "User-Agent": CHROME,
        "Sec-CH-UA": '"Not/A)Brand";v="8", "Chromium";v="126", "Brave";v="126"',
        "Sec-CH-UA-Platform": '"Android"',
        "Sec-CH-UA-Mobile": "?1",
    }
    info = get_device_info(Request(scope_of(headers=headers)))
    assert info.fingerprint() == "mobile | Android | Brave"
    assert info.app_version == "126"
    assert info.device_type is DeviceType.MOBILE


def test_no_device_is_a_fingerprint_of_unknowns(scope_of):
    assert DeviceInfo().fingerprint() == "unknown | unknown | unknown"
    request = Request(scope_of())
    assert get_device_info(request) is get_device_info(request)


@given(st.binary(max_size=2000))
def test_no_header_is_too_strange_or_too_long_to_parse(header):
    names = (b"user-agent", b"sec-ch-ua", b"sec-ch-ua-platform", b"sec-ch-ua-mobile")
    scope = {"type": "http", "headers": [(name, header) for name in names], "client": None}
    info = get_device_info(Request(scope))
    assert len(info.user_agent or "") <= 512
    assert info.os is None or len(info.os) < 20


# --- run_server


def test_run_server_passes_the_settings_and_trusts_no_forwarding_header(monkeypatch):
    calls = []
    monkeypatch.setattr(web_uvicorn.uvicorn, "run", lambda app, **kw: calls.append((app, kw)))
    settings = ServerSettings(SERVER_HOST="0.0.0.0", SERVER_PORT=9000, SERVER_RELOAD=True)
    web_server.run_server("shop:app", settings=settings, port=9001, workers=2)
    app = FastAPI()
    web_server.run_server(app)
    (path, first), (given, second) = calls
    assert (path, first["host"], first["port"], first["reload"]) == (
        "shop:app",
        "0.0.0.0",
        9001,
        True,
    )
    assert first["workers"] == 2
    assert given is app
    assert second["lifespan"] == "on", "a start that raises must not be taken for none"
    assert (second["host"], second["port"], second["proxy_headers"]) == ("127.0.0.1", 8000, False)
    with pytest.raises(ValueError, match="import path"):
        web_server.run_server(app, reload=True)


# --- the front door


PUBLIC = [
    "CODE_OF_STATUS",
    "CSRF_COOKIE_NAME",
    "CSRF_HEADER_NAME",
    "DEFAULT_CONTENT_SECURITY_POLICY",
    "DEFAULT_SECURITY_HEADERS",
    "DEFAULT_STATIC_SECURITY_HEADERS",
    "DOCS_CONTENT_SECURITY_POLICY",
    "IDEMPOTENCY_HEADER",
    "PROBLEM_MEDIA_TYPE",
    "AppLifecycle",
    "BodySizeLimitMiddleware",
    "CORSPolicy",
    "CORSSettings",
    "CSRFMiddleware",
    "CSRFSettings",
    "CachePolicy",
    "CachedResponse",
    "ConditionalRoute",
    "CurrentDevice",
    "DeviceInfo",
    "DeviceType",
    "EnvelopeMiddleware",
    "ErrorBoundaryMiddleware",
    "GuardedRateLimitStore",
    "HardenedStaticFiles",
    "IdempotencyMiddleware",
    "IdempotencySettings",
    "IdempotencyStore",
    "IdempotencyStoreFullError",
    "LimitState",
    "MemoryIdempotencyStore",
    "MemoryRateLimitStore",
    "MemoryReplayStore",
    "ProblemDocument",
    "ProblemError",
    "ProblemResponse",
    "RateLimit",
    "RateLimitDecision",
    "RateLimitMiddleware",
    "RateLimitSettings",
    "RateLimitStore",
    "RateLimiter",
    "RequestBodyTooLargeException",
    "RequestIDMiddleware",
    "RequestMetrics",
    "RequestTimeoutMiddleware",
    "RequestTimingMiddleware",
    "Reservation",
    "ReservationState",
    "ResponseAbortedError",
    "ResponseFactory",
    "Responses",
    "SameSite",
    "SecurityHeadersMiddleware",
    "ServerSettings",
    "SuccessEnvelope",
    "TrustedHostMiddleware",
    "TrustedProxyMiddleware",
    "WebSettings",
    "WebhookSignatureVerifier",
    "WebhookVerifier",
    "__version__",
    "app_exception_handler",
    "apply_cors",
    "build_content_disposition",
    "build_pagination_link_header",
    "clear_cookie",
    "cors",
    "create_app",
    "csrf_protects",
    "csrf_token",
    "describe_problems",
    "generate_csrf_token",
    "get_client_ip",
    "get_client_ip_from_scope",
    "get_device_info",
    "is_final_status",
    "key_by_client_address",
    "key_by_header",
    "key_by_user",
    "make_app_exception_handler",
    "make_csrf_token_dependency",
    "make_http_exception_handler",
    "make_idempotency_key_dependency",
    "make_rate_limit_dependency",
    "make_tool_spec_router",
    "make_unhandled_exception_handler",
    "may_be_cross_site",
    "no_cors",
    "problem_response",
    "rate_limits",
    "register_exception_handlers",
    "set_cookie",
    "validation_exception_handler",
]


def test_the_public_names_are_these():
    assert tijolo.web.__all__ == PUBLIC
    assert all(hasattr(tijolo.web, name) for name in PUBLIC)


def test_the_readme_names_every_setting():
    page = Path(__file__).parents[1] / "README.md"
    readme = page.read_text() if page.exists() else metadata("tijolo-web")["Description"]
    named = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", readme, re.MULTILINE))
    kinds = (
        WebSettings,
        CORSSettings,
        CSRFSettings,
        ServerSettings,
        RateLimitSettings,
        IdempotencySettings,
    )
    assert named == {name for kind in kinds for name in kind.model_fields}


def test_a_file_name_of_megabytes_is_cut_before_it_is_looked_at(monkeypatch):
    looked_at = []
    real = content_disposition.unicodedata

    class Counting:
        normalize = staticmethod(real.normalize)

        @staticmethod
        def category(character):
            looked_at.append(character)
            return real.category(character)

    monkeypatch.setattr(content_disposition, "unicodedata", Counting)
    value = build_content_disposition("é" * 5_000_000 + ".pdf")
    assert value.endswith(".pdf")
    assert len(value) < 2500
    assert len(looked_at) < 10_000
