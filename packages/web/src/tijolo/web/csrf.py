"""Refuse requests that another site makes in a user's name (OWASP ASVS 5.0, 3.5)."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.web._csrf_form import MULTIPART, URLENCODED, ReplayedBody, form_field
from tijolo.web._logging import with_request_id
from tijolo.web._origins import checked_origin, normalised_origin, origin_of_url
from tijolo.web._paths import path_below_root
from tijolo.web._routes import name_the_route
from tijolo.web.csrf_tokens import CSRFTokens, TokenSecret, generate_csrf_token
from tijolo.web.problems import problem_response

CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_HEADER_NAME = "X-CSRF-Token"
CSRF_FORM_FIELD = "csrf_token"
CSRF_VALIDATION_FAILED = "CSRF_VALIDATION_FAILED"
CSRF_SCOPE_KEY = "tijolo.csrf"

SIGNATURE_HEADERS: tuple[str, ...] = (
    "Signature",
    "Stripe-Signature",
    "Svix-Signature",
    "Webhook-Signature",
    "X-API-Key",
    "X-Hub-Signature",
    "X-Hub-Signature-256",
    "X-Shopify-Hmac-SHA256",
    "X-Signature",
    "X-Slack-Signature",
    "X-Twilio-Signature",
    "X-Webhook-Signature",
    "asaas-access-token",
    "x-authenticity-token",
)
"""Headers of programs that prove who they are by themselves; no page of another site can set
one without a preflight, and none is sent by a browser on its own."""

_SAID_BY_BROWSERS = (b"sec-fetch-site", b"origin", b"referer")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FORMS = (URLENCODED, MULTIPART)
# what a browser attaches by itself, for any site that asks
_AMBIENT_SCHEMES = (b"basic", b"digest", b"negotiate", b"ntlm")
_NO_STORE = (b"cache-control", b"no-store")
# of the page that opens a WebSocket
_PAGE_SCHEME = {"ws": "http", "wss": "https"}
_MAX_FORM_HEAD = 65_536

SessionIdOf = Callable[[Scope], str | None]
_log = with_request_id(logging.getLogger("tijolo.web.csrf"))


def session_id_from_state(scope: Scope) -> str | None:
    """``request.state.session_id``, where whoever keeps the sessions left it."""
    state: dict[str, Any] = scope.get("state") or {}
    session_id = state.get("session_id")
    return session_id if isinstance(session_id, str) else None


class CSRFMiddleware:
    """Answer 403 ``CSRF_VALIDATION_FAILED`` to a write that another site may have caused.

    In this order, for every method but GET, HEAD, OPTIONS and TRACE:

    1. A request without cookies that carries ``Authorization: Bearer`` (or another scheme that a
       browser does not attach by itself), or one of ``exempt_headers``, passes: it proves itself.
    2. ``Sec-Fetch-Site`` (W3C Fetch Metadata): ``same-origin`` and ``none`` pass; ``same-site``
       and ``cross-site`` pass for ``trusted_origins`` only.
    3. ``Origin``, or else ``Referer``: the service's own and ``trusted_origins`` pass, another is
       refused; ``null`` says nothing.
    4. Where none of these says anything: the token, in ``header_name`` or in the form's
       ``form_field``, beside the cookie and for the session that it was made for. That holds for
       a login too: before there is a session, a token is bound to the cookie alone.

    A page asks for its token with :func:`csrf_token`. Only that sets the cookie.

    Args:
        secret: Signs the tokens, 32 bytes or more; several while one is replaced.
        cookie_name: With ``__Host-`` no subdomain can plant it (RFC 6265bis, section 4.1.3.2).
        header_name: Header with the token.
        form_field: Form field with the token, which must lie in the first ``max_form_bytes``.
        exclude_paths: Paths that are not protected, each exactly or as a template:
            ``/hooks/{sender}``, ``/files/{path:path}``. ``/api`` excludes ``/api`` alone.
        trusted_origins: Other origins whose pages may write.
        exempt_headers: See 1; default :data:`SIGNATURE_HEADERS`.
        session_id_of: The id of the request's session. Whoever keeps the sessions has to run
            outside this middleware.
        secure: Whether the cookie is for TLS only.
        max_form_bytes: How much of a form is read ahead.

    Raises:
        ValueError: for a secret that is too short, ``null`` or ``*`` as an origin, a path without
            its slash, or a ``__Host-`` cookie that is not secure.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        secret: TokenSecret | Sequence[TokenSecret],
        cookie_name: str | None = None,
        header_name: str = CSRF_HEADER_NAME,
        form_field: str = CSRF_FORM_FIELD,
        exclude_paths: Iterable[str] = (),
        trusted_origins: Iterable[str] = (),
        exempt_headers: Iterable[str] = SIGNATURE_HEADERS,
        session_id_of: SessionIdOf = session_id_from_state,
        secure: bool = True,
        max_form_bytes: int = _MAX_FORM_HEAD,
    ) -> None:
        self.app = app
        self.cookie_name = cookie_name or (CSRF_COOKIE_NAME if secure else "csrf")
        if not secure and self.cookie_name.lower().startswith(("__host-", "__secure-")):
            raise ValueError(f"cookie {self.cookie_name!r} needs secure=True for its prefix")
        if max_form_bytes < 0:
            raise ValueError(f"max_form_bytes must be 0 or more, got {max_form_bytes}")
        self.header_name = header_name
        self.form_field = form_field
        self.exclude_paths = tuple(exclude_paths)
        self.tokens = CSRFTokens(secret)
        self.session_id_of = session_id_of
        self.secure = secure
        self.max_form_bytes = max_form_bytes
        self._excluded = [_template(path) for path in self.exclude_paths]
        self._trusted = frozenset(map(checked_origin, trusted_origins))
        self._header = header_name.lower().encode("ascii")
        name = re.escape(self.cookie_name.encode("ascii"))
        self._cookie = re.compile(rb"(?:^|;)[ \t]*" + name + rb"=([^;]*)")
        self._hint = (
            " A browser says so in Sec-Fetch-Site or Origin; a program sends"
            f" Sec-Fetch-Site: same-origin, or a CSRF token in {header_name} and its cookie."
        )
        self._exempt = frozenset(name.lower().encode("ascii") for name in exempt_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an HTTP request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        page = scope[CSRF_SCOPE_KEY] = _Page(self, send, scope.get("root_path", ""))
        if scope["method"] in _SAFE_METHODS or self.excludes(scope):
            await self.app(scope, receive, page.send)
            return
        headers = dict(scope["headers"])
        allowed = said = self._by_headers(scope, headers)
        if said is None:
            token = headers.get(self._header)
            if token is None and self._is_form(headers):
                receive = body = ReplayedBody(receive)
                token = await self._token_of_form(headers, body)
                if body.left:
                    return
            allowed = token is not None and self._holds(scope, token)
        if allowed:
            page.confirmed = True
            await self.app(scope, receive, page.send)
        else:
            # a token cannot help where the headers name another site
            hint = self._hint if said is None else ""
            await _refusal(scope, hint)(scope, receive, send)

    def _by_headers(self, scope: Scope, headers: dict[bytes, bytes]) -> bool | None:
        """What the request's headers say; None where they say nothing."""
        if b"cookie" not in headers and self._proves_itself(headers):
            return True
        return _own_page(scope, headers, self._trusted)

    def _proves_itself(self, headers: dict[bytes, bytes]) -> bool:
        scheme = headers.get(b"authorization", b"").partition(b" ")[0].lower()
        if scheme:
            return scheme not in _AMBIENT_SCHEMES
        return not self._exempt.isdisjoint(headers)

    def _is_form(self, headers: dict[bytes, bytes]) -> bool:
        return headers.get(b"content-type", b"").lower().startswith(_FORMS)

    async def _token_of_form(self, headers: dict[bytes, bytes], body: ReplayedBody) -> bytes | None:
        head, complete = await body.read_ahead(self.max_form_bytes)
        name = self.form_field.encode("utf-8")
        return form_field(headers[b"content-type"], head, name, complete=complete)

    def _holds(self, scope: Scope, token: bytes) -> bool:
        cookie = self.cookie_of(scope)
        if cookie is None:
            return False
        return self.tokens.holds(token, session=self.session_id_of(scope), cookie=cookie)

    def cookie_of(self, scope: Scope) -> str | None:
        """The request's cookie; None where there is none, or two, one of which was planted."""
        lines = [value for name, value in scope["headers"] if name == b"cookie"]
        values = self._cookie.findall(lines[0] if len(lines) == 1 else b";".join(lines))
        return values[0].decode("latin-1") if len(values) == 1 and values[0] else None

    def excludes(self, scope: Scope) -> bool:
        """Whether ``exclude_paths`` has the path of a request."""
        if not self._excluded:
            return False
        path = path_below_root(scope)
        return any(pattern.fullmatch(path) for pattern in self._excluded)


class _Page:
    """The response to one request; sets the cookie if the page asked for a token."""

    # of the class until they change: most requests ask for no token
    _cookie: str | None = None
    _new = False
    confirmed = False
    """Whether a write was judged, and passed."""

    def __init__(self, middleware: CSRFMiddleware, send: Send, root_path: str) -> None:
        # without the scope, which holds this: a cycle would cost the collector more than the rest
        self._middleware = middleware
        self._send = send
        self._root_path = root_path

    def is_protected(self, scope: Scope) -> bool:
        """Whether a form that goes back to this path is judged."""
        # below the root that the middleware saw, however deep the page is mounted
        return not self._middleware.excludes({**scope, "root_path": self._root_path})

    def token(self, scope: Scope) -> str:
        """A token for the page, beside the cookie that the browser has or gets with it."""
        if self._cookie is None:
            self._cookie = self._middleware.cookie_of(scope)
            if self._cookie is None:
                self._cookie, self._new = generate_csrf_token(), True
        session = self._middleware.session_id_of(scope)
        return self._middleware.tokens.make(session=session, cookie=self._cookie)

    @property
    def field(self) -> str:
        """Name of the form field."""
        return self._middleware.form_field

    @property
    def cookie_name(self) -> str:
        """Name of the cookie."""
        return self._middleware.cookie_name

    def send(self, message: Message) -> Awaitable[None]:
        """Mark the start of a response that shows a token: it is for this browser alone."""
        if self._cookie is not None and message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if not _may_be_kept(pair)]
            if self._new:
                headers.append((b"set-cookie", self._set_cookie(self._cookie)))
            headers.append((b"vary", b"Cookie"))
            if all(name.lower() != b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            message["headers"] = headers
        return self._send(message)

    def _set_cookie(self, value: str) -> bytes:
        secure = "; Secure" if self._middleware.secure else ""
        text = f"{self._middleware.cookie_name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}"
        return text.encode("ascii")


def may_be_cross_site(connection: HTTPConnection, *, trusted_origins: Collection[str] = ()) -> bool:
    """Whether a page of another site may have made a request.

    For whoever reads a cookie without knowing whether :class:`CSRFMiddleware` is there: what that
    has passed was not, by a token either; else the same headers are judged as it does, those of a
    WebSocket's handshake as well. What sends none of them is no browser that could be tricked;
    what sends one that says nothing, such as ``Origin: null``, may be.

    Args:
        trusted_origins: As ``CSRFMiddleware`` takes them; what is no origin is none of them.
    """
    page: _Page | None = connection.scope.get(CSRF_SCOPE_KEY)
    if page is not None and page.confirmed:
        return False
    trusted = {origin for text in trusted_origins if (origin := normalised_origin(text))}
    headers = dict(connection.scope["headers"])
    ours = _own_page(connection.scope, headers, trusted)
    return any(name in headers for name in _SAID_BY_BROWSERS) if ours is None else not ours


def csrf_token(request: Request) -> str:
    """The token of the page that answers ``request``; sets the cookie with the response.

    Raises:
        RuntimeError: where :class:`CSRFMiddleware` is not around the application.
    """
    return _page_of(request).token(request.scope)


def csrf_protects(request: Request) -> bool:
    """Whether :class:`CSRFMiddleware` judges a form that the page sends back to its own path.

    False where it is not there, or where its ``exclude_paths`` have the path: a page that may
    live in any service shows a token where somebody checks it, and none elsewhere.
    """
    page: _Page | None = request.scope.get(CSRF_SCOPE_KEY)
    return page is not None and page.is_protected(request.scope)


def csrf_field_name(request: Request) -> str:
    """Name of the form field that the middleware reads.

    Raises:
        RuntimeError: as :func:`csrf_token` does.
    """
    return _page_of(request).field


def make_csrf_token_dependency(*, cookie_name: str | None = None) -> Callable[[Request], str]:
    """A dependency whose value is the page's token, for a form or for a script to send.

    Args:
        cookie_name: The cookie that the middleware is expected to use; None expects nothing.

    Raises, when it is called:
        RuntimeError: where the middleware is not there, or uses another cookie.
    """

    def csrf_token_of_page(request: Request) -> str:
        page = _page_of(request)
        if cookie_name not in (None, page.cookie_name):
            raise RuntimeError(
                f"CSRFMiddleware uses the cookie {page.cookie_name!r}, not {cookie_name!r}"
            )
        return page.token(request.scope)

    return csrf_token_of_page


def _page_of(request: Request) -> _Page:
    page: _Page | None = request.scope.get(CSRF_SCOPE_KEY)
    if page is None:
        raise RuntimeError("no CSRFMiddleware is around the application; add it to have tokens")
    return page


def _may_be_kept(header: tuple[bytes, bytes]) -> bool:
    name, value = header
    return name.lower() == b"cache-control" and b"no-store" not in value.lower()


def _refusal(scope: Scope, hint: str) -> ASGIApp:
    name_the_route(scope)
    _log.info("a request was refused: nothing confirms that this service's own page made it")
    return problem_response(
        scope,
        403,
        code=CSRF_VALIDATION_FAILED,
        detail=f"Nothing confirms that a page of this service made the request.{hint}",
    )


def _own_page(scope: Scope, headers: dict[bytes, bytes], trusted: Collection[str]) -> bool | None:
    site = headers.get(b"sec-fetch-site")
    if site in (b"same-origin", b"none"):
        return True
    origin = None
    given = headers.get(b"origin")
    if given:
        origin = normalised_origin(given.decode("latin-1"))
    if site in (b"same-site", b"cross-site"):
        return origin in trusted
    if not given and b"referer" in headers:
        origin = origin_of_url(headers[b"referer"].decode("latin-1"))
    if origin is not None:
        return origin in trusted or origin == _own_origin(scope, headers)
    return None


def _own_origin(scope: Scope, headers: dict[bytes, bytes]) -> str | None:
    host = headers.get(b"host", b"").decode("latin-1")
    scheme = scope.get("scheme", "http")
    return normalised_origin(f"{_PAGE_SCHEME.get(scheme, scheme)}://{host}")


def _template(path: str) -> Any:
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} must start with a slash, as request paths do")
    return compile_path(path)[0]
