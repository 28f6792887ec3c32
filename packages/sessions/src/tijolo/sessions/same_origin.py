"""Whether a request came from a page of the service itself."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection
from starlette.types import Scope

from tijolo.sessions.refusals import CrossSiteSessionException
from tijolo.web import is_from_own_page
from tijolo.web.csrf import CSRF_SCOPE_KEY

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_SAID_BY_BROWSERS = ("sec-fetch-site", "origin", "referer")


def refuse_cross_site(scope: Scope, trusted_origins: Collection[str]) -> None:
    """Raise where another site's page may have sent the cookie along.

    Looked at are WebSockets, whose handshake every page may send to every site, and writes that
    no ``CSRFMiddleware`` has judged, or let pass because their path is excluded. The headers are
    judged as it does. What sends none of them is no browser that could be tricked; what sends
    one that says nothing, such as ``Origin: null``, may be.

    Raises:
        CrossSiteSessionException: It did not come from here, nor from ``trusted_origins``.
    """
    if scope["type"] == "http" and (scope["method"] in _SAFE_METHODS or CSRF_SCOPE_KEY in scope):
        return
    connection = HTTPConnection(scope)
    ours = is_from_own_page(connection, trusted_origins=trusted_origins)
    if ours is None:
        ours = not any(connection.headers.get(name) for name in _SAID_BY_BROWSERS)
    if not ours:
        raise CrossSiteSessionException
