"""How a client proves who it is. A strategy is bound to one origin, that of the client."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

import httpx
from pydantic import SecretStr

from tijolo.http._origins import origin_of
from tijolo.http.errors import AuthenticationFailedError, UpstreamError

if TYPE_CHECKING:
    from tijolo.http.client import HTTPClient

_LONGEST_TOKEN = 16_384


def _plain(secret: SecretStr | str, what: str) -> str:
    value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    if not value or not value.isprintable():
        raise ValueError(f"{what} must be text without control characters, and not empty")
    return value


class Auth(Protocol):
    """Gives the headers that authenticate a request.

    ``repr`` names the scheme, never the secret.
    """

    async def headers(self) -> Mapping[str, str]:
        """Headers for the next request.

        Raises:
            AuthenticationFailedError: when there are none to be had.
        """
        ...

    async def refresh(self, rejected: Mapping[str, str]) -> bool:
        """The server answered 401 to ``rejected``; whether there are other headers to try."""
        ...


class _Fixed:
    scheme = ""

    def __init__(self, name: str, value: str) -> None:
        self._headers = {name: value}

    async def headers(self) -> Mapping[str, str]:
        """The same for every request."""
        return self._headers

    async def refresh(self, rejected: Mapping[str, str]) -> bool:
        """There is nothing else to try."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class BearerAuth(_Fixed):
    """``Authorization: Bearer`` with a token that does not change (RFC 6750, section 2.1)."""

    scheme = "bearer"

    def __init__(self, token: SecretStr | str) -> None:
        super().__init__("Authorization", f"Bearer {_plain(token, 'token')}")


class BasicAuth(_Fixed):
    """``Authorization: Basic`` (RFC 7617), in UTF-8.

    Raises:
        ValueError: for a username with a colon, which the format cannot hold.
    """

    scheme = "basic"

    def __init__(self, username: str, password: SecretStr | str) -> None:
        if ":" in username:
            raise ValueError("username must not contain a colon (RFC 7617, section 2)")
        pair = f"{username}:{_plain(password, 'password')}".encode()
        super().__init__("Authorization", f"Basic {base64.b64encode(pair).decode()}")


class APIKeyAuth(_Fixed):
    """A key in a header of its own.

    Args:
        key: The key.
        header: The header's name.
    """

    scheme = "api key"

    def __init__(self, key: SecretStr | str, *, header: str = "X-API-Key") -> None:
        super().__init__(header, _plain(key, "key"))


class OAuth2ClientCredentials:
    """A token of the client-credentials grant (RFC 6749, section 4.4), renewed before it ends.

    However many calls need a token at once, one asks for it and the others wait. A token that the
    resource server rejects is replaced once for each call. The client authenticates with HTTP
    Basic, as section 2.3.1 wants it.

    Args:
        token_url: The token endpoint, with ``https://``; ``http://`` is for loopback only.
        client_id: Identifier of this client.
        client_secret: Its secret.
        scope: Scopes to ask for; none by default.
        extra: More form fields, such as ``{"audience": ...}``.
        leeway_seconds: A token is renewed this long before it ends.
        client: What asks for the token. By default a client of its own, which ``connect`` and
            ``disconnect`` of the HTTPClient that uses this strategy open and close.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a token endpoint that would see the secret in the clear.
    """

    scheme = "oauth2 client credentials"

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: SecretStr | str,
        *,
        scope: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        leeway_seconds: float = 30.0,
        client: HTTPClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        url = httpx.URL(token_url)
        loopback = url.host in ("localhost", "127.0.0.1", "::1")
        if url.scheme != "https" and not (url.scheme == "http" and loopback):
            raise ValueError("token_url must be https://, the client secret goes there")
        if url.userinfo:
            raise ValueError("token_url must not hold credentials; they are arguments")
        self._url = url
        self._origin = origin_of(url)
        pair = f"{quote_plus(client_id)}:{quote_plus(_plain(client_secret, 'client_secret'))}"
        self._basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._form = {"grant_type": "client_credentials", **(extra or {})}
        if scope:
            self._form["scope"] = " ".join(scope)
        self._leeway = leeway_seconds
        self._given = client
        self._own: HTTPClient | None = None
        self._clock = clock
        self._headers: dict[str, str] | None = None
        self._renew_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"OAuth2ClientCredentials({self._origin!r}, ***)"

    async def headers(self) -> Mapping[str, str]:
        """The current token, or a new one."""
        if self._headers is None or self._clock() >= self._renew_at:
            await self._fetch_once()
        if self._headers is None:  # rejected by another call in the meantime
            raise AuthenticationFailedError(self._origin, "the token was rejected at once")
        return self._headers

    async def refresh(self, rejected: Mapping[str, str]) -> bool:
        """Forget the token that was rejected, unless another call already has."""
        if self._headers is not None and self._headers == dict(rejected):
            self._headers = None
        return True

    async def disconnect(self) -> None:
        """Close the client that was opened here."""
        own, self._own = self._own, None
        if own is not None:
            await own.disconnect()

    async def _fetch_once(self) -> None:
        task = self._fetching
        if task is None:
            # a context of its own: the deadline of the caller who came first is not the others'
            task = asyncio.create_task(self._fetch(), context=contextvars.Context())
            self._fetching = task
            task.add_done_callback(self._fetched)
        # shielded: a caller that gives up does not take the token from the others
        await asyncio.shield(task)

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; nobody may wait any more

    async def _fetch(self) -> None:
        started = self._clock()
        try:
            response = await self._client().post(
                str(self._url),
                data=self._form,
                headers={"Authorization": self._basic, "Accept": "application/json"},
                idempotent=True,  # a second token does no harm
                route="oauth2 token",
                max_response_bytes=65_536,
            )
        except (httpx.HTTPError, UpstreamError) as error:
            raise AuthenticationFailedError(
                self._origin, f"the token endpoint failed: {type(error).__name__}"
            ) from error
        token, lifetime = self._parsed(response)
        self._headers = {"Authorization": f"Bearer {token}"}
        # a token that lives shorter than the leeway is renewed at half of its life
        self._renew_at = started + max(lifetime - self._leeway, lifetime / 2)

    def _parsed(self, response: httpx.Response) -> tuple[str, float]:
        answer = self._answer(response)
        token, lifetime = answer.get("access_token"), answer.get("expires_in", 300)
        if (
            not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
            or not 0 < len(token) <= _LONGEST_TOKEN
            or str(answer.get("token_type", "")).lower() != "bearer"
        ):
            raise AuthenticationFailedError(self._origin, "the answer holds no bearer token")
        try:
            seconds = float(lifetime)
        except (TypeError, ValueError):
            seconds = 300.0
        if math.isnan(seconds):
            seconds = 300.0
        return token, min(max(seconds, 0.0), 86_400.0)

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code != 200:
            raise AuthenticationFailedError(
                self._origin, f"the token endpoint answered {response.status_code}"
            )
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise AuthenticationFailedError(self._origin, "the answer is not a JSON object")
        return answer  # pyright: ignore[reportUnknownVariableType]

    def _client(self) -> HTTPClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            from tijolo.http.client import HTTPClient  # it knows this module

            self._own = HTTPClient()
        return self._own
