"""Refuse requests for hosts that are not this service's."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from tijolo.web._shown import without_credentials
from tijolo.web.problems import problem_response

UNTRUSTED_HOST = "UNTRUSTED_HOST"

_HOST = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


class TrustedHostMiddleware:
    """Answer 400 ``UNTRUSTED_HOST`` when the ``Host`` header is none of ``allowed_hosts``.

    A forged host ends in links that the service sends by e-mail, and in caches.

    Args:
        allowed_hosts: Host names without port. ``*.example.com`` stands for every subdomain, not
            for ``example.com`` itself; ``*`` for every host.

    Raises:
        ValueError: naming a pattern that is neither; for no pattern at all.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str]) -> None:
        self.app = app
        patterns = [_checked(host) for host in allowed_hosts]
        if not patterns:
            raise ValueError("no trusted host at all would refuse every request; '*' trusts all")
        self._any = "*" in patterns
        self._hosts = frozenset(p.encode("ascii") for p in patterns if not p.startswith("*"))
        self._suffixes = tuple(p[1:].encode("ascii") for p in patterns if p.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let HTTP and WebSocket requests for our hosts through."""
        if scope["type"] not in ("http", "websocket") or self._any or self._trusts(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "untrusted host"})
        else:
            response = problem_response(
                scope, 400, code=UNTRUSTED_HOST, detail="The Host header names no host of ours."
            )
            await response(scope, receive, send)

    def _trusts(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if match is None:
            return False
        host = match[1].lower().removesuffix(b".")
        return host in self._hosts or (bool(self._suffixes) and host.endswith(self._suffixes))


def _checked(host: str) -> str:
    pattern = host.strip().lower().removesuffix(".")
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"trusted host {without_credentials(host)!r} is neither a host name,"
            " '*.example.com' nor '*';"
            " write it without scheme, port and path"
        )
    return pattern
