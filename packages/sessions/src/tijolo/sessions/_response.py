"""What a session changes about a response."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Message, Scope, Send

from tijolo.core import AppException
from tijolo.sessions.cookie import Header
from tijolo.web import make_app_exception_handler

_NO_STORE = (b"cache-control", b"no-store")
_VARY_COOKIE = (b"vary", b"Cookie")
_PRIVATE = (_NO_STORE, _VARY_COOKIE)
# these tell some caches more than Cache-Control does (RFC 9213, Edge Architecture Specification,
# the manuals of Cloudflare, Vercel, Netlify, Akamai and nginx)
_TARGETED = frozenset(
    (
        b"cdn-cache-control",
        b"cloudflare-cdn-cache-control",
        b"vercel-cdn-cache-control",
        b"netlify-cdn-cache-control",
        b"akamai-cache-control",
        b"edge-control",
        b"surrogate-control",
        b"x-accel-expires",
    )
)
_refusal = make_app_exception_handler()
_OF_CACHES = frozenset((b"cache-control", b"vary")) | _TARGETED


def made_private(headers: list[Header], *, sets_cookie: bool) -> list[Header]:
    """The headers of a response that depends on the session: no shared cache may keep it.

    ``Cache-Control`` of the application stays where it says ``no-store``, or ``private`` without
    ``public`` and ``s-maxage`` and no cookie is set. ``Vary: Cookie`` keeps apart what a browser's
    own cache has.

    Args:
        headers: The application's; may be changed.
        sets_cookie: Whether a cookie comes along.
    """
    for name, _ in headers:
        if name.lower() in _OF_CACHES:
            return _merged(headers, sets_cookie=sets_cookie)
    headers += _PRIVATE
    return headers


def _merged(headers: list[Header], *, sets_cookie: bool) -> list[Header]:
    kept = [pair for pair in headers if not _may_be_kept(pair, sets_cookie=sets_cookie)]
    if all(name.lower() != b"cache-control" for name, _ in kept):
        kept.append(_NO_STORE)
    if not any(map(_varies_by_cookie, kept)):
        kept.append(_VARY_COOKIE)
    return kept


def _may_be_kept(header: Header, *, sets_cookie: bool) -> bool:
    """Whether this is a ``Cache-Control`` by which somebody else could be shown the response."""
    name, value = header[0].lower(), header[1].lower()
    if name != b"cache-control" and name not in _TARGETED:
        return False
    # private="field" keeps no more than that field from others
    directives = {directive.strip() for directive in value.split(b",")}
    if b"no-store" in directives:
        return False
    # beside public or s-maxage, caches do not agree what private means
    shared = any(d == b"public" or d.startswith(b"s-maxage") for d in directives)
    return sets_cookie or shared or b"private" not in directives


def _varies_by_cookie(header: Header) -> bool:
    name, value = header
    members = {member.strip().lower() for member in value.split(b",")}
    return name.lower() == b"vary" and not members.isdisjoint((b"cookie", b"*"))


async def refuse_instead(error: AppException, scope: Scope, send: Send) -> None:
    """Answer with ``error``, and log it, in the place of a response that must not be believed."""
    response = await _refusal(Request(scope), error)
    response.headers["Cache-Control"] = "no-store"
    response.headers.add_vary_header("Cookie")
    await response(scope, _no_more, send)


async def _no_more() -> Message:
    return {"type": "http.disconnect"}
