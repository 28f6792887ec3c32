"""Access tokens in a cookie, for pages of a browser that keep no token themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection
from starlette.responses import Response

from tijolo.auth.token_issuer import AccessToken
from tijolo.core import ForbiddenException
from tijolo.web import SameSite, clear_cookie, may_be_cross_site, set_cookie

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ORIGIN = re.compile(r"https?://[^/?#@\s]+", re.IGNORECASE)


class CrossSiteRequestException(ForbiddenException):
    """Another site's page sent the user's cookie along."""

    code = "CROSS_SITE_REQUEST"
    message = "This request must come from a page of the service itself"


@dataclass(frozen=True, kw_only=True)
class CookieTransport:
    """Where the cookie is, and how it is set: HttpOnly, Secure, SameSite, for this host alone.

    A browser sends it by itself, for other sites' pages too. What changes something, and every
    WebSocket, must therefore come from a page of the same origin: what ``CSRFMiddleware`` has
    passed, or what its rules about ``Sec-Fetch-Site``, ``Origin`` and ``Referer`` let pass. What
    sends none of them is no browser that could be tricked.

    Raises:
        ValueError: for a name, path, domain and ``secure`` that browsers refuse together, or a
            trusted origin that no browser would send.
        TypeError: for origins as one text.
    """

    name: str = "__Host-access_token"
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    samesite: SameSite = "lax"
    trusted_origins: frozenset[str] = frozenset()
    """Other origins whose pages may call, such as ``https://app.example.com``."""

    def __post_init__(self) -> None:
        origins = cast("object", self.trusted_origins)
        if isinstance(origins, str):
            raise TypeError(f"trusted_origins must be a set of origins, got the text {origins!r}")
        for origin in self.trusted_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin such as https://app.example.com")
        self.clear(Response())  # refuses what a browser would

    def set(self, response: Response, token: AccessToken) -> None:
        """Hand ``token`` to the browser for as long as it lives."""
        self.set_text(response, token.token, max_age_seconds=token.expires_in_seconds)

    def set_text(self, response: Response, text: str, *, max_age_seconds: int) -> None:
        """The same of a token of another kind."""
        set_cookie(
            response,
            self.name,
            text,
            max_age=max_age_seconds,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            samesite=self.samesite,
        )

    def clear(self, response: Response) -> None:
        """Take it back."""
        clear_cookie(
            response,
            self.name,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            samesite=self.samesite,
        )

    def read(self, connection: HTTPConnection) -> str | None:
        """The token of a request; None without one.

        Raises:
            CrossSiteRequestException: Another origin's page sent it.
        """
        token = connection.cookies.get(self.name)
        if not token:
            return None
        if connection.scope.get("method") not in _SAFE_METHODS:
            self.refuse_other_sites(connection)
        return token

    def refuse_other_sites(self, connection: HTTPConnection) -> None:
        """Let a request through that a page of ours made, or no browser; also before a cookie is
        set, or another site could log a user into an account of its own.

        Raises:
            CrossSiteRequestException: Another origin's page made it.
        """
        if may_be_cross_site(connection, trusted_origins=self.trusted_origins):
            raise CrossSiteRequestException
