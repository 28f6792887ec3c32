"""HTML pages from Jinja templates (extra ``templates``): escaped, strict, confined, compiled early.

Rendering is on the event loop, reading and compiling never is: ``compile_all`` does it for every
template before the first request.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import MissingExtraError
from tijolo.web._logging import with_request_id
from tijolo.web._outer import add_outer_middleware
from tijolo.web.csrf import csrf_field_name, csrf_token
from tijolo.web.problems import PROBLEM_MEDIA_TYPE

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateNotFound

    # house: allow library, a hard dependency of jinja2, which takes its type for what is safe
    from markupsafe import Markup
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "templates", "jinja2") from exc

DEFAULT_PAGE_POLICY = (
    "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; img-src 'self' data:;"
    " script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'"
)
"""What a page may load: its own origin's files, and inline what carries the page's nonce."""

MAX_PROBLEM_BYTES = 262_144
_NOT_SEGMENTS = {"", ".", ".."}
_NONCE_KEY = "tijolo.csp_nonce"
_log = with_request_id(logging.getLogger("tijolo.web.templates"))


class Templates:
    """The pages of one or more directories.

    Every value is escaped, whatever the file is called; a variable that is not given is an error
    and not an empty place (``StrictUndefined``); no name and no symbolic link leads out of the
    directories. Besides ``request`` a page knows ``csrf_token()`` and ``csrf_field()`` (with
    ``CSRFMiddleware``), ``csp_nonce()`` for its inline scripts and styles, and
    ``url_path(name, **parameters)``, a path without scheme and host: those would be what a forged
    ``Host`` header says.

    Args:
        directory: Where the templates are; the first directory that has a name wins.
        auto_reload: Look for changed files at each request, for development. Reading, compiling
            and rendering then happen in a thread.
        content_security_policy: Of each page; ``{nonce}`` becomes the page's nonce. Empty leaves
            the service's own policy.
        functions: More names for every template.
        filters: More filters.

    Raises:
        ValueError: for what is no directory.
    """

    def __init__(
        self,
        directory: str | Path | Sequence[str | Path],
        *,
        auto_reload: bool = False,
        content_security_policy: str = DEFAULT_PAGE_POLICY,
        functions: Mapping[str, Any] | None = None,
        filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        given = [directory] if isinstance(directory, (str, Path)) else list(directory)
        self.directories = [Path(one).resolve() for one in given]
        for one in self.directories:
            if not one.is_dir():
                raise ValueError(f"{str(one)!r} is no directory of templates")
        self.auto_reload = auto_reload
        self.content_security_policy = content_security_policy
        self._environment = Environment(
            loader=_ConfinedLoader(self.directories),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=auto_reload,
            # as many as there are files: a name that is none is not kept
            cache_size=-1,
        )
        self._environment.globals.update(functions or {})
        self._environment.filters.update(filters or {})
        self._compiled: dict[str, Template] = {}

    async def compile_all(self) -> int:
        """Read and compile every template, in a thread; a start-up validator of ``AppLifecycle``.

        Returns:
            How many there are.

        Raises:
            jinja2.TemplateSyntaxError: naming file and line.
        """
        return await run_in_threadpool(self._compile_all)

    async def response(
        self,
        request: Request,
        name: str,
        context: Mapping[str, Any] | None = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """The page ``name`` as the answer to ``request``.

        Raises:
            jinja2.TemplateNotFound: for a name that is none, or leads out of the directories.
            jinja2.UndefinedError: for a variable that ``context`` does not have.
        """
        text = await self.render(name, {**_helpers(request), **(context or {})})
        made = HTMLResponse(text, status_code=status_code, headers=dict(headers or {}))
        if self.content_security_policy:
            made.headers.setdefault("Content-Security-Policy", self.policy_for(request.scope))
        return made

    async def render(self, name: str, context: Mapping[str, Any]) -> str:
        """The text of ``name``, without the helpers that need a request.

        Raises:
            jinja2.TemplateNotFound: as :meth:`response` does.
            jinja2.UndefinedError: as :meth:`response` does.
        """
        if self.auto_reload:
            return await run_in_threadpool(self._render, name, context)
        template = self._compiled.get(name)
        if template is None:
            template = await run_in_threadpool(self._load, name)
        return template.render(context)

    def policy_for(self, scope: Scope) -> str:
        """The page's Content-Security-Policy, with the nonce of the request."""
        return self.content_security_policy.replace("{nonce}", csp_nonce(scope))

    def _compile_all(self) -> int:
        for name in self._environment.list_templates():
            self._load(name)
        return len(self._compiled)

    def _load(self, name: str) -> Template:
        self._compiled[name] = template = self._environment.get_template(name)
        return template

    def _render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._environment.get_template(name).render(context)


class HTMLErrorsMiddleware:
    """Show problem documents as pages to who asks for HTML, and leave them to everybody else.

    Who names ``text/html`` in ``Accept`` and does not prefer JSON gets the page: browsers do,
    scripts and command-line tools do not. The page knows ``problem``, the whole document. Where
    it cannot be rendered, the document is sent and the failure is logged.

    Args:
        templates: Where the page is.
        name: Its name. ``compile_all`` has to have found it, if it ran.
    """

    def __init__(self, app: ASGIApp, *, templates: Templates, name: str = "error.html") -> None:
        self.app = app
        self.templates = templates
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the response on, or show its problem as a page."""
        if scope["type"] != "http" or not prefers_html(_accept(scope)):
            await self.app(scope, receive, send)
            return
        answer = _Answer(self, scope, receive, send)
        await self.app(scope, receive, answer.send)

    async def page(self, scope: Scope, receive: Receive, body: bytes) -> bytes | None:
        """The page that shows the problem document ``body``; None if there is none."""
        try:
            problem = json.loads(body)
            request = Request(scope, receive)
            made = await self.templates.response(request, self.name, {"problem": problem})
        except Exception:
            _log.exception("the error page %r could not be rendered", self.name)
            return None
        return bytes(made.body)


def add_html_errors(app: FastAPI, templates: Templates, *, name: str = "error.html") -> None:
    """Put :class:`HTMLErrorsMiddleware` around all of ``app``, the error boundary included.

    Raises:
        RuntimeError: when ``app`` has served already.
    """
    add_outer_middleware(app, Middleware(HTMLErrorsMiddleware, templates=templates, name=name))


def csp_nonce(scope: Scope) -> str:
    """The nonce of the request in ``scope``: 128 random bits, the same each time it is asked."""
    nonce: str | None = scope.get(_NONCE_KEY)
    if nonce is None:
        nonce = scope[_NONCE_KEY] = secrets.token_urlsafe(16)
    return nonce


def prefers_html(accept: str) -> bool:
    """Whether ``accept`` names HTML, and no kind of JSON with more weight (RFC 9110, 12.5.1)."""
    weights = dict(_weights(accept))
    html = max(weights.get("text/html", 0.0), weights.get("application/xhtml+xml", 0.0))
    json_weight = max(weights.get(PROBLEM_MEDIA_TYPE, 0.0), weights.get("application/json", 0.0))
    return html > 0 and html >= json_weight


class _Answer:
    """The response on its way: a problem document is held back until it is whole."""

    def __init__(
        self, middleware: HTMLErrorsMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start" and _is_problem(message):
            self._start = message
        elif kind == "http.response.body" and self._start is not None:
            await self._collect(self._start, message)
        else:
            await self._send(message)

    async def _collect(self, start: Message, message: Message) -> None:
        self._body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._body) <= MAX_PROBLEM_BYTES:
            return
        self._start = None
        page = None if more else await self._page()
        headers = MutableHeaders(scope=start)
        headers.add_vary_header("Accept")
        if page is not None:
            headers["content-type"] = "text/html; charset=utf-8"
            headers["content-length"] = str(len(page))
            if self._middleware.templates.content_security_policy:
                policy = self._middleware.templates.policy_for(self._scope)
                headers["content-security-policy"] = policy
        await self._send(start)
        body = self._body if page is None else page
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _page(self) -> bytes | None:
        return await self._middleware.page(self._scope, self._receive, self._body)


class _ConfinedLoader(FileSystemLoader):
    """Reads below its directories only, wherever a symbolic link may point."""

    def __init__(self, directories: Sequence[Path]) -> None:
        super().__init__(directories)
        self._roots = directories

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        if "\0" in template or not _NOT_SEGMENTS.isdisjoint(template.split("/")):
            # one spelling for each file, or the cache would have no bound
            raise TemplateNotFound(template)
        source, filename, is_current = super().get_source(environment, template)
        resolved = Path(filename).resolve()
        if not any(resolved.is_relative_to(root) for root in self._roots):
            raise TemplateNotFound(template)
        return source, filename, is_current


def _helpers(request: Request) -> dict[str, Any]:
    def csrf_field() -> Markup:
        shape = Markup('<input type="hidden" name="{}" value="{}">')
        return shape.format(csrf_field_name(request), csrf_token(request))

    def url_path(name: str, /, **parameters: Any) -> str:
        root: str = request.scope.get("root_path", "").rstrip("/")
        return root + str(request.app.url_path_for(name, **parameters))

    return {
        "request": request,
        "csrf_token": lambda: csrf_token(request),
        "csrf_field": csrf_field,
        "csp_nonce": lambda: csp_nonce(request.scope),
        "url_path": url_path,
    }


def _is_problem(message: Message) -> bool:
    headers = cast("list[tuple[bytes, bytes]]", message.get("headers", []))
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    encoded = any(name.lower() == b"content-encoding" for name, _ in headers)
    return not encoded and kinds == [PROBLEM_MEDIA_TYPE.encode("ascii")]


def _accept(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"accept"]
    return b",".join(values).decode("latin-1")


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Media types of an ``Accept`` header, at most 32 of them, each with its weight."""
    for member in accept.split(",", 32)[:32]:
        kind, *parameters = (part.strip().lower() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        yield kind, weight if 0 <= weight <= 1 else 0.0
