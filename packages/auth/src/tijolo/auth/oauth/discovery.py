"""What an issuer says of itself (OpenID Connect Discovery 1.0; RFC 8414)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tijolo.auth.oauth._exchange import ask_for_object, check_endpoint
from tijolo.auth.oauth.errors import OAuthError
from tijolo.http import HTTPClient

__all__ = ["Discovery", "ProviderMetadata"]

_PATH = "/.well-known/openid-configuration"
_log = logging.getLogger("tijolo.auth.oauth")


@dataclass(frozen=True, kw_only=True)
class ProviderMetadata:
    """Where an issuer's endpoints are.

    Raises:
        ValueError: for a URL that is not https (http only where the issuer itself is http on this
            machine), or holds credentials.
    """

    issuer: str
    authorize_url: str
    token_url: str
    jwks_url: str
    userinfo_url: str | None = None
    sends_issuer: bool = False
    """Whether ``iss`` is in every authorization response (RFC 9207, section 3)."""
    token_auth_methods: frozenset[str] = frozenset({"client_secret_basic"})

    def __post_init__(self) -> None:
        check_endpoint(self.issuer, "the issuer")
        plain = self.issuer.startswith("http:")
        for name in ("authorize_url", "token_url", "jwks_url", "userinfo_url"):
            url = getattr(self, name)
            if url is not None or name != "userinfo_url":
                check_endpoint(url, name, plain_loopback=plain)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, issuer: str) -> ProviderMetadata:
        """A discovery document, read and checked.

        Raises:
            ValueError: for one of another issuer, which must be the same text (Discovery, 4.3;
                RFC 8414, section 3.3), or with an endpoint missing or not safe.
        """
        if document.get("issuer") != issuer:
            raise ValueError("the document is that of another issuer")
        methods = document.get("token_endpoint_auth_methods_supported")
        given = cast("list[object]", methods) if isinstance(methods, list) else []
        names = frozenset(name for name in given if isinstance(name, str))
        return cls(
            issuer=issuer,
            authorize_url=document.get("authorization_endpoint", ""),
            token_url=document.get("token_endpoint", ""),
            jwks_url=document.get("jwks_uri", ""),
            userinfo_url=document.get("userinfo_endpoint"),
            sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
            token_auth_methods=names or frozenset({"client_secret_basic"}),
        )


class Discovery:
    """The metadata of ``issuer``, fetched by the first who needs it, once for all who wait.

    It is believed for ``fresh_seconds``. An issuer that cannot be read again then goes on with
    what it said before, and is asked again after ``retry_seconds``: what an issuer says of itself
    seldom changes, and its keys have a lifetime of their own.

    Args:
        issuer: As it calls itself, to the letter: with or without a slash at the end.
        client: Asks.
        fresh_seconds: Age at which it is fetched again.
        retry_seconds: Least time between two fetches that failed.
        clock: Monotonic seconds.

    Raises:
        ValueError: for an issuer that is no https URL, or has a query.
    """

    def __init__(
        self,
        issuer: str,
        client: HTTPClient,
        *,
        fresh_seconds: float = 86_400,
        retry_seconds: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = check_endpoint(issuer, "the issuer")
        if "?" in issuer:
            raise ValueError("the issuer must have no query (Discovery, section 2)")
        self._client = client
        self._fresh, self._retry = fresh_seconds, retry_seconds
        self._clock = clock
        self._known: ProviderMetadata | None = None
        self._ask_at = float("-inf")
        self._task: asyncio.Task[ProviderMetadata] | None = None

    async def get(self) -> ProviderMetadata:
        """What the issuer says.

        Raises:
            OAuthUnavailableError: It does not answer, and never has.
            OAuthError: What it answers is not its metadata.
        """
        if self._known is not None and self._clock() < self._ask_at:
            return self._known
        if self._task is None:
            # a context of its own: the deadline of the caller who came first is not the others'
            self._task = asyncio.create_task(self._fetch(), context=contextvars.Context())
            self._task.add_done_callback(self._fetched)
        # whoever gives up does not take the others' answer away
        return await asyncio.shield(self._task)

    def _fetched(self, task: asyncio.Task[ProviderMetadata]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; nobody may wait any more

    async def _fetch(self) -> ProviderMetadata:
        try:
            self._known = await self._read()
        except OAuthError as error:
            if self._known is None:
                raise
            _log.warning(
                "%s cannot be read again (%s); what it said before is used",
                self.issuer,
                error.reason,
            )
            self._ask_at = self._clock() + self._retry
        else:
            self._ask_at = self._clock() + self._fresh
        return self._known

    async def _read(self) -> ProviderMetadata:
        url = self.issuer.rstrip("/") + _PATH
        document = await ask_for_object(self._client, "GET", url, "discovery")
        try:
            return ProviderMetadata.from_document(document, issuer=self.issuer)
        except ValueError as error:
            raise OAuthError(reason=f"discovery: {error}") from None
