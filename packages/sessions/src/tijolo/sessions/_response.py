"""What a session changes about a response."""

from __future__ import annotations

from starlette.types import Message, Scope, Send

from tijolo.core import AppException
from tijolo.sessions.cookie import Header
from tijolo.web import problem_response

_NO_STORE = (b"cache-control", b"no-store")
_VARY_COOKIE = (b"vary", b"Cookie")


def made_private(headers: list[Header], *, sets_cookie: bool) -> list[Header]:
    """The headers of a response that depends on the session: no shared cache may keep it.

    ``Cache-Control`` of the application stays where it says ``no-store``, or ``private`` and no
    cookie is set. ``Vary: Cookie`` keeps apart what a browser's own cache has.
    """
    kept, has_policy, has_vary = list[Header](), False, False
    for name, value in headers:
        lower = name.lower()
        if lower == b"cache-control":
            directives = value.lower()
            if b"no-store" not in directives and (sets_cookie or b"private" not in directives):
                continue
            has_policy = True
        elif lower == b"vary":
            members = [member.strip().lower() for member in value.split(b",")]
            has_vary = has_vary or b"cookie" in members or b"*" in members
        kept.append((name, value))
    if not has_policy:
        kept.append(_NO_STORE)
    if not has_vary:
        kept.append(_VARY_COOKIE)
    return kept


async def refuse_instead(error: AppException, scope: Scope, send: Send) -> None:
    """Answer with ``error`` in the place of a response that must not be believed."""
    response = problem_response(
        scope,
        error.status_code,
        code=error.code,
        detail=error.message,
        details=error.details,
        headers={**(error.headers or {}), "Cache-Control": "no-store", "Vary": "Cookie"},
    )
    await response(scope, _no_more, send)


async def _no_more() -> Message:
    return {"type": "http.disconnect"}
