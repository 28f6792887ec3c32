"""A login from its first request to its last: begun, sent away, and taken back once."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import Response

from tijolo.auth.oauth.clients import OAuthClient
from tijolo.auth.oauth.errors import OAuthStateError
from tijolo.auth.oauth.flow_cookies import FlowCookies, PendingLogin, StateSecret, state_id
from tijolo.auth.oauth.models import OAuthFlow, OAuthTokens, OAuthUser
from tijolo.auth.oauth.settings import OAuthSettings
from tijolo.auth.oauth.used_states import MemoryUsedStates, UsedStates
from tijolo.core import (
    AppException,
    BadRequestException,
    NotFoundException,
    ServiceUnavailableException,
)

__all__ = ["OAuthLogin", "OAuthLogins", "UnsafeReturnException"]

_STATE = re.compile(r"[A-Za-z0-9_-]{22,128}")
_SINGLE = ("state", "code", "iss", "error")
_MAX_RETURN = 512
_log = logging.getLogger("tijolo.auth.oauth")


class UnsafeReturnException(BadRequestException):
    """A way back that leads, or could be read as leading, to another site (an open redirect)."""

    code = "OAUTH_RETURN"
    message = "return_to must be a path of this site, such as /orders"


@dataclass(frozen=True, kw_only=True)
class OAuthLogin:
    """A login that came back good."""

    user: OAuthUser
    tokens: OAuthTokens
    """Use them now or encrypt them: nothing here stores them."""
    return_to: str
    """A path of this site."""
    begun_by: str | None = None
    """What ``begin`` was given: who was logged in here already; None for a login."""


class OAuthLogins:
    """The logins of a service at its providers.

    A login is bound to the browser that began it, to its provider, to ``ttl_seconds`` and to one
    return. Tabs do not disturb each other: each login is a sealed cookie of its own.

    A ``Resource``: it connects and disconnects the clients.

    Args:
        clients: The providers, each of another name.
        secret: Seals the logins: 32 bytes or more; several while one is replaced.
        used: Where used states are remembered; replicas share ``RedisUsedStates``.
        ttl_seconds: How long a user may take at the provider.
        cookie_secure: False sets the cookies over http too, for development.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for two clients of one name or one redirect URI, or a short secret.
    """

    def __init__(
        self,
        clients: Iterable[OAuthClient],
        *,
        secret: StateSecret | Sequence[StateSecret],
        used: UsedStates | None = None,
        ttl_seconds: int = 600,
        cookie_secure: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given = list(clients)
        self.clients: Mapping[str, OAuthClient] = {one.provider_name: one for one in given}
        addresses = {one.redirect_uri for one in given}
        if not len(addresses) == len(self.clients) == len(given):
            # an answer must say by its address whose it is (RFC 9700, section 4.4.2.2)
            raise ValueError("each provider needs a name and a redirect_uri of its own")
        self._cookies = FlowCookies(
            secret, ttl_seconds=ttl_seconds, secure=cookie_secure, clock=clock
        )
        self._used = used or MemoryUsedStates()

    @classmethod
    def from_settings(
        cls, settings: OAuthSettings, clients: Iterable[OAuthClient], **options: Any
    ) -> Self:
        """As ``settings`` say; ``options`` are those of the constructor and win."""
        said: dict[str, Any] = {
            "secret": settings.OAUTH_STATE_SECRET,
            "ttl_seconds": settings.OAUTH_STATE_TTL_SECONDS,
            "cookie_secure": settings.OAUTH_COOKIE_SECURE,
        }
        return cls(clients, **{**said, **options})

    async def connect(self) -> None:
        """Connect the clients."""
        for client in self.clients.values():
            await client.connect()

    async def disconnect(self) -> None:
        """Disconnect the clients."""
        for client in self.clients.values():
            await client.disconnect()

    async def health_check(self) -> bool:
        """True: a provider that is down takes its own logins down, not the service."""
        return True

    def client(self, provider: str) -> OAuthClient:
        """The client of that name.

        Raises:
            NotFoundException: There is none.
        """
        client = self.clients.get(provider)
        if client is None:
            raise NotFoundException("There is no such provider")
        return client

    async def begin(
        self,
        request: Request,
        response: Response,
        provider: str,
        *,
        return_to: str = "/",
        begun_by: str | None = None,
        **extra: str,
    ) -> str:
        """Where to send the browser; the login's cookie is set on ``response``.

        Args:
            request: Of the browser.
            response: What it is answered.
            provider: The name of a client.
            return_to: Where the user wants to be afterwards: a path of this site.
            begun_by: Who is logged in and wants to link an account, in words of your own. Let
                nobody say it but your own check of who that is, lately and from your own page.
            **extra: Further parameters, as for ``OAuthClient.build_authorize_url``.

        Raises:
            NotFoundException: There is no such provider.
            UnsafeReturnException: ``return_to`` may lead elsewhere.
            OAuthError: The provider does not say where its users log in.
        """
        client = self.client(provider)
        pending = PendingLogin(
            provider=provider,
            flow=OAuthFlow.new(),
            return_to=_checked_return(return_to),
            begun_by=begun_by,
            begun_at=self._cookies.now(),
        )
        url = await client.build_authorize_url(pending.flow, **extra)
        self._cookies.set(request, response, pending)
        response.headers["Cache-Control"] = "no-store"
        return url

    async def finish(self, request: Request, provider: str) -> OAuthLogin:
        """Who came back.

        Args:
            request: Of the provider's redirect to our callback.
            provider: The name of the client whose callback it is.

        Raises:
            NotFoundException: There is no such provider.
            OAuthStateError: This browser began no such login, there, within its time; or it has
                come back already.
            OAuthDeniedError: The user, or the provider, said no.
            OAuthError: The provider does not answer as it must.
            ServiceUnavailableException: Nobody can say whether the state was used.
        """
        client = self.client(provider)
        parameters = _parameters(request)
        pending = self._cookies.get(request, parameters["state"])
        if pending is None or pending.provider != provider:
            raise OAuthStateError(reason="no login of this browser and provider")
        # before anything is asked: what failed half-way begins anew
        if not await self._claim(parameters["state"]):
            raise OAuthStateError(reason="the state was used already")
        code = await client.read_callback(parameters)
        tokens = await client.exchange_code(code, flow=pending.flow)
        user = await client.fetch_user(tokens)
        return OAuthLogin(
            user=user, tokens=tokens, return_to=pending.return_to, begun_by=pending.begun_by
        )

    def forget(self, request: Request, response: Response) -> None:
        """Take back the cookie of the login that ``request`` ended."""
        state = request.query_params.get("state", "")
        if _STATE.fullmatch(state):
            self._cookies.clear(response, state)
        response.headers["Cache-Control"] = "no-store"
        # the address of this page has the code
        response.headers["Referrer-Policy"] = "no-referrer"

    async def _claim(self, state: str) -> bool:
        # the login may have begun up to now, and its cookie is good for that long
        seconds = self._cookies.ttl_seconds + 60
        try:
            return await self._used.claim(state_id(state), ttl_seconds=seconds)
        except AppException:
            raise
        except Exception as error:
            _log.error("used states cannot be remembered (%s)", type(error).__name__)
            raise ServiceUnavailableException(retry_after_seconds=1) from error


def _parameters(request: Request) -> dict[str, str]:
    """The query of a callback; none of what counts may be there twice (RFC 6749, 3.1)."""
    items = request.query_params.multi_items()
    for name in _SINGLE:
        if sum(key == name for key, _ in items) > 1:
            raise OAuthStateError(reason=f"{name} is there twice")
    parameters = dict(items)
    if not _STATE.fullmatch(parameters.get("state", "")):
        raise OAuthStateError(reason="no state")
    return parameters


def _checked_return(path: str) -> str:
    # browsers read \ as /, and drop tabs and line ends: /\evil.example, /<tab>/evil.example
    safe = (
        len(path) <= _MAX_RETURN
        and path.startswith("/")
        and not path.startswith("//")
        and path.isascii()
        and path.isprintable()
        and "\\" not in path
        and " " not in path
    )
    if not safe:
        raise UnsafeReturnException
    return path
