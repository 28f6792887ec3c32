"""Whether a request came from a page of the service itself."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection
from starlette.types import Scope

from tijolo.sessions.refusals import CrossSiteSessionException
from tijolo.web import may_be_cross_site
from tijolo.web.csrf import CSRF_SCOPE_KEY

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def refuse_cross_site(
    scope: Scope, trusted_origins: Collection[str], *, excluded_too: bool = False
) -> None:
    """Raise where another site's page may have sent the cookie along.

    Looked at are WebSockets, whose handshake every page may send to every site, and writes that
    no ``CSRFMiddleware`` has judged, or let pass because their path is excluded. The headers are
    judged as it does. What sends none of them is no browser that could be tricked; what sends
    one that says nothing, such as ``Origin: null``, may be.

    Args:
        scope: Of the request.
        trusted_origins: Other origins whose pages may ask.
        excluded_too: Judge a write that ``CSRFMiddleware`` let pass because of its path as well.

    Raises:
        CrossSiteSessionException: It did not come from here, nor from ``trusted_origins``.
    """
    if scope["type"] == "http" and (
        scope["method"] in _SAFE_METHODS or (CSRF_SCOPE_KEY in scope and not excluded_too)
    ):
        return
    if may_be_cross_site(HTTPConnection(scope), trusted_origins=trusted_origins):
        raise CrossSiteSessionException
