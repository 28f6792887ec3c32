"""Headers that tell the browser what this service's responses may do (OWASP Secure Headers)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.web._paths import path_below_root

DEFAULT_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""For a service that answers data; one that answers pages sets its own, here or on the page."""

DOCS_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; connect-src 'self'; frame-ancestors 'none';"
    " img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly;"
    " script-src 'unsafe-inline' https://cdn.jsdelivr.net;"
    " style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com;"
    " font-src https://fonts.gstatic.com; worker-src blob:"
)
"""What FastAPI's Swagger UI and ReDoc pages load: an inline script and three known hosts."""

DEFAULT_SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Content-Security-Policy": DEFAULT_CONTENT_SECURITY_POLICY,
    }
)

_CSP = "content-security-policy"
_LOCAL_HOST = re.compile(
    rb"(([a-z0-9-]+\.)*localhost\.?|127(\.[0-9]+){3}|\[::1\])(:[0-9]*)?", re.IGNORECASE
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUE = re.compile(r"[^\x20-\x7e\xa0-\xff]")
RawHeaders = list[tuple[bytes, bytes]]
FrozenHeaders = tuple[RawHeaders, frozenset[bytes]]


class SecurityHeadersMiddleware:
    """Add the headers to every response, errors and 304 included; what a handler set is kept.

    Args:
        headers: The headers; an empty value leaves that header out. Default
            :data:`DEFAULT_SECURITY_HEADERS`.
        hsts_max_age_seconds: ``Strict-Transport-Security`` (RFC 6797), sent over https only and
            never for localhost; 0 sends none.
        hsts_include_subdomains: Whether it binds every subdomain too.
        docs_paths: Paths of the documentation pages, which get a policy that lets them load.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Mapping[str, str] | None = None,
        hsts_max_age_seconds: int = 31_536_000,
        hsts_include_subdomains: bool = False,
        docs_paths: Sequence[str] = (),
    ) -> None:
        self.app = app
        self._policy = SecurityPolicy(
            headers,
            hsts_max_age_seconds=hsts_max_age_seconds,
            hsts_include_subdomains=hsts_include_subdomains,
            docs_paths=docs_paths,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to the response of an HTTP request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ours = self._policy.headers_for(scope)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = with_missing(message.get("headers", ()), ours)
            return send(message)

        await self.app(scope, receive, send_with_headers)


class SecurityPolicy:
    """The headers of a service's responses, made once: for its pages, for https and not."""

    def __init__(
        self,
        headers: Mapping[str, str] | None,
        *,
        hsts_max_age_seconds: int,
        hsts_include_subdomains: bool,
        docs_paths: Sequence[str],
    ) -> None:
        chosen = DEFAULT_SECURITY_HEADERS if headers is None else headers
        hsts = _hsts(hsts_max_age_seconds, include_subdomains=hsts_include_subdomains)
        plain = _raw(chosen)
        rest = {name: value for name, value in chosen.items() if name.lower() != _CSP}
        docs = _raw({**rest, _CSP: DOCS_CONTENT_SECURITY_POLICY})
        self._plain, self._docs = frozen_headers(plain), frozen_headers(docs)
        self._secure, self._secure_docs = frozen_headers(plain + hsts), frozen_headers(docs + hsts)
        self._docs_paths = frozenset(docs_paths)

    def headers_for(self, scope: Scope) -> FrozenHeaders:
        """The headers for the response to the request in ``scope``."""
        is_docs = path_below_root(scope) in self._docs_paths
        if scope.get("scheme") != "https" or _is_local(scope):
            return self._docs if is_docs else self._plain
        return self._secure_docs if is_docs else self._secure


def frozen_headers(headers: RawHeaders) -> FrozenHeaders:
    """``headers`` and the set of their names."""
    return headers, frozenset(name for name, _ in headers)


def with_missing(headers: Iterable[tuple[bytes, bytes]], ours: FrozenHeaders) -> RawHeaders:
    """``headers`` and those of ours that they lack."""
    pairs, names = ours
    given = list(headers)
    for name, _ in given:
        if name in names:
            present = {name for name, _ in given}
            return given + [pair for pair in pairs if pair[0] not in present]
    return given + pairs


def _raw(headers: Mapping[str, str]) -> RawHeaders:
    pairs = [(name, value.strip(" ")) for name, value in headers.items()]
    return [_checked(name, value) for name, value in pairs if value]


def _checked(name: str, value: str) -> tuple[bytes, bytes]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header (RFC 9110, section 5.1)")
    wrong = _NOT_IN_VALUE.search(value)
    if wrong:
        raise ValueError(
            f"header {name!r} cannot hold {wrong[0]!r}: use printable ASCII (RFC 9110, section 5.5)"
        )
    return name.lower().encode("ascii"), value.encode("latin-1")


def _hsts(max_age: int, *, include_subdomains: bool) -> RawHeaders:
    """``Strict-Transport-Security`` for ``max_age`` seconds (RFC 6797); nothing for 0."""
    if max_age < 0:
        raise ValueError(f"hsts_max_age_seconds must be 0 or more, got {max_age}")
    value = f"max-age={max_age}" + ("; includeSubDomains" if include_subdomains else "")
    return [(b"strict-transport-security", value.encode("ascii"))] if max_age else []


def _is_local(scope: Scope) -> bool:
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return _LOCAL_HOST.fullmatch(host) is not None
