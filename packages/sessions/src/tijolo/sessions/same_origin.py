"""Whether a request came from a page of the service itself."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import Scope

from tijolo.sessions.refusals import CrossSiteSessionException
from tijolo.web.csrf import CSRF_SCOPE_KEY

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def refuse_cross_site(scope: Scope, trusted_origins: Collection[str]) -> None:
    """Raise where another site's page may have sent the cookie along.

    Looked at are WebSockets, whose handshake every page may send to every site, and writes that
    no ``CSRFMiddleware`` has judged. What sends neither ``Sec-Fetch-Site`` nor ``Origin`` is no
    browser that could be tricked.

    Raises:
        CrossSiteSessionException: It did not come from here, nor from ``trusted_origins``.
    """
    if scope["type"] == "http" and (scope["method"] in _SAFE_METHODS or CSRF_SCOPE_KEY in scope):
        return
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if origin and origin in trusted_origins:
        return
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        ours = site in (b"same-origin", b"none")
    else:
        ours = not origin or _is_own(origin, scope, headers)
    if not ours:
        raise CrossSiteSessionException


def _is_own(origin: str, scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Whether it is the service's own; ``null`` is nobody's.

    Who can forge pages of ``http://`` is on the way, and not the service that is asked by TLS.
    """
    scheme, _, name = origin.partition("://")
    if scheme == "http" and scope.get("scheme") in ("https", "wss"):
        return False
    return name != "" and name == headers.get(b"host", b"").decode("latin-1").lower()
