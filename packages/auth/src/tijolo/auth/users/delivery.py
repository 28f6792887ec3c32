"""How a login reaches its browser or program: in the body of the answer, or in cookies."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from tijolo.auth.cookie_tokens import CookieTransport
from tijolo.auth.users.results import MfaChallenge, TokenPair
from tijolo.auth.users.schemas import (
    Delivery,
    LoginResponseSchema,
    MfaChallengeResponseSchema,
)
from tijolo.core import BadRequestException, utcnow


class NoCookiesException(BadRequestException):
    """Cookies were asked for, and the service has none."""

    code = "NO_COOKIE_DELIVERY"
    message = "This service does not put tokens into cookies"


@dataclass(frozen=True, kw_only=True)
class TokenCookies:
    """The two cookies of a browser that keeps no token itself.

    What came in a cookie goes back in a cookie: a script that was smuggled into a page can use
    the login while the page is open, and can never read it.
    """

    access: CookieTransport = field(default_factory=CookieTransport)
    refresh: CookieTransport = field(
        default_factory=lambda: CookieTransport(name="__Host-refresh_token", samesite="strict")
    )

    def set(self, response: Response, pair: TokenPair) -> None:
        """Hand both over, each for as long as it lives."""
        self.access.set_text(response, pair.access_token, max_age_seconds=pair.expires_in_seconds)
        if pair.refresh_token is not None and pair.refresh_expires_at is not None:
            left = int((pair.refresh_expires_at - utcnow()).total_seconds())
            self.refresh.set_text(response, pair.refresh_token, max_age_seconds=max(0, left))

    def clear(self, response: Response) -> None:
        """Take both back."""
        self.access.clear(response)
        self.refresh.clear(response)


@dataclass(frozen=True)
class TokenDelivery:
    """Decides for each login; ``cookies`` is None where a service has none."""

    cookies: TokenCookies | None

    def check(self, request: Request, wanted: Delivery | None) -> None:
        """Before a login: refuse what cannot be delivered, and another site's page.

        Raises:
            NoCookiesException: ``wanted`` is ``cookie``, and there are none.
            CrossSiteRequestException: Another site would log the browser into its own account.
        """
        if wanted == "cookie" and self.cookies is None:
            raise NoCookiesException
        if self.cookies is not None and wanted != "body":
            self.cookies.access.refuse_other_sites(request)

    def answer(
        self, response: Response, outcome: TokenPair | MfaChallenge, wanted: Delivery | None
    ) -> LoginResponseSchema | MfaChallengeResponseSchema:
        """What the body shows of ``outcome``; the rest is in cookies."""
        if isinstance(outcome, MfaChallenge):
            return MfaChallengeResponseSchema(
                mfa_token=outcome.token, expires_at=outcome.expires_at
            )
        return self.hand_out(response, outcome, wanted)

    def hand_out(
        self, response: Response, pair: TokenPair, wanted: Delivery | None
    ) -> LoginResponseSchema:
        """The same of a login that needs nothing more."""
        in_cookies = self.cookies is not None and wanted != "body"
        if in_cookies and self.cookies is not None:
            self.cookies.set(response, pair)
        return LoginResponseSchema(
            user_id=pair.user_id,
            access_token=None if in_cookies else pair.access_token,
            refresh_token=None if in_cookies else pair.refresh_token,
            expires_in=pair.expires_in_seconds,
            refresh_expires_at=pair.refresh_expires_at,
        )

    def refresh_token(self, request: Request) -> str | None:
        """The refresh token of the cookie; None without one.

        Raises:
            CrossSiteRequestException: Another site's page sent it.
        """
        return None if self.cookies is None else self.cookies.refresh.read(request)
