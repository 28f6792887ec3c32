"""The client's side of a login by authorization code (RFC 6749, section 4.1; RFC 9700)."""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard, cast
from urllib.parse import quote_plus, urlencode

from pydantic import SecretStr

from tijolo.auth.oauth._exchange import ask, check_endpoint, own_client, text_or_none
from tijolo.auth.oauth.errors import OAuthDeniedError, OAuthError, OAuthUnavailableError
from tijolo.auth.oauth.models import OAuthFlow, OAuthTokens, OAuthUser
from tijolo.http import HTTPClient

__all__ = ["Endpoints", "OAuthClient"]

RESERVED_PARAMETERS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state"),
        *("nonce", "code_challenge", "code_challenge_method", "max_age"),
        *("request", "request_uri", "registration"),
    }
)
"""What decides where an answer goes and what it proves; nobody may set these but the client."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MAX_CODE = _MAX_TOKEN = 8192
# RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6: names that say nothing of ours
_KNOWN_ERRORS = frozenset(
    {
        *("invalid_request", "unauthorized_client", "access_denied", "invalid_scope"),
        *("unsupported_response_type", "server_error", "temporarily_unavailable"),
        *("invalid_client", "invalid_grant", "unsupported_grant_type"),
        *("interaction_required", "login_required", "consent_required"),
        "account_selection_required",
    }
)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where a provider is asked, and how the client proves who it is there."""

    authorize_url: str
    token_url: str
    basic: bool = False
    """The secret as HTTP Basic, instead of in the form."""
    issuer: str | None = None
    """What ``iss`` of an authorization response must be (RFC 9207); None: it is not looked at."""
    sends_issuer: bool = False


class OAuthClient(ABC):
    """One provider: where its users are sent, and what is asked about them.

    A ``Resource``. PKCE with S256 is always used.

    Args:
        client_id: As registered there.
        client_secret: The same.
        redirect_uri: The address of our callback, as registered: https, or http on this machine.
            Give each provider its own, as ``make_oauth_router`` does (RFC 9700, section 4.4).
        scopes: What is asked for; by default what it takes to know the user.
        http_client: Asks the provider, and stays the caller's to close. By default one that
            connects to public addresses alone; a provider inside the own network needs one with
            another ``guard``.

    Raises:
        ValueError: for an empty id or secret, or a redirect URI that is not safe.
    """

    provider_name: str
    default_scopes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: SecretStr | str,
        redirect_uri: str,
        scopes: Sequence[str] | None = None,
        http_client: HTTPClient | None = None,
    ) -> None:
        if isinstance(client_secret, SecretStr):
            client_secret = client_secret.get_secret_value()
        if not client_id or not client_secret:
            raise ValueError("client_id and client_secret must not be empty")
        if isinstance(scopes, str):
            raise TypeError(f"scopes must be a list of names, got the text {scopes!r}")
        if not _NAME.fullmatch(self.provider_name):
            raise ValueError(
                f"provider_name {self.provider_name!r}: a letter, then up to 31 of a-z 0-9 -"
            )
        self.client_id = client_id
        self.redirect_uri = check_endpoint(redirect_uri, "redirect_uri")
        self.scopes = tuple(self.default_scopes if scopes is None else scopes)
        self._secret = client_secret
        self._http = http_client or own_client()
        self._owns_http = http_client is None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider_name!r}, client_id={self.client_id!r})"

    async def connect(self) -> None:
        """Open the connections that belong to this client; the first login does it too."""
        if self._owns_http:
            await self._http.connect()

    async def disconnect(self) -> None:
        """Close the connections that were opened here."""
        if self._owns_http:
            await self._http.disconnect()

    async def aclose(self) -> None:
        """The same as :meth:`disconnect`."""
        await self.disconnect()

    async def health_check(self) -> bool:
        """Whether the provider's circuit is not open; asks nobody."""
        return await self._http.health_check()

    @abstractmethod
    async def endpoints(self) -> Endpoints:
        """Where the provider is asked.

        Raises:
            OAuthError: It does not say, or not as it must.
        """

    @abstractmethod
    async def fetch_user(self, tokens: OAuthTokens) -> OAuthUser:
        """Who the user is.

        Args:
            tokens: Of :meth:`exchange_code`.

        Raises:
            OAuthError: The provider does not say, or not as it must.
        """

    async def build_authorize_url(self, flow: OAuthFlow, **extra: str) -> str:
        """Where to send the browser.

        Args:
            flow: This login's secrets, which are needed again when the browser returns.
            **extra: Further parameters, such as ``prompt="select_account"``.

        Raises:
            ValueError: for a parameter that is the client's own to set.
            OAuthError: The provider does not say where.
        """
        taken = sorted(RESERVED_PARAMETERS & extra.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by the client, and by nobody else")
        endpoints = await self.endpoints()
        parameters = {
            **self._more_parameters(flow),
            **extra,
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.scopes),
            "state": flow.state,
            "code_challenge": flow.code_challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in endpoints.authorize_url else "?"
        return f"{endpoints.authorize_url}{joint}{urlencode(parameters)}"

    def _more_parameters(self, flow: OAuthFlow) -> dict[str, str]:
        return {}

    async def read_callback(self, parameters: Mapping[str, str]) -> str:
        """The code in an authorization response whose ``state`` was found good.

        Args:
            parameters: Of the query: ``code``, or ``error``, and ``iss``.

        Raises:
            OAuthDeniedError: The user, or the provider, said no.
            OAuthUnavailableError: The provider cannot at the moment.
            OAuthError: It answered with another error, or is not the issuer that was asked
                (RFC 9207, section 2.4).
        """
        endpoints = await self.endpoints()
        issuer = parameters.get("iss")
        named = issuer is not None or endpoints.sends_issuer
        if endpoints.issuer is not None and named and issuer != endpoints.issuer:
            raise OAuthError(reason="the authorization response is of another issuer")
        if "error" in parameters:
            raise _refusal(parameters["error"])
        code = parameters.get("code", "")
        if not _is_token(code, _MAX_CODE):
            raise OAuthError(reason="the authorization response has no code")
        return code

    async def exchange_code(self, code: str, *, flow: OAuthFlow) -> OAuthTokens:
        """The tokens for ``code``. It is sent once: a second time would revoke them.

        Args:
            code: Of :meth:`read_callback`.
            flow: What :meth:`build_authorize_url` was given.

        Raises:
            OAuthUnavailableError: The provider does not answer.
            OAuthError: It does not take the code, or answers what it must not.
        """
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": flow.code_verifier,
        }
        headers: dict[str, str] = {}
        if endpoints.basic:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self.client_id, "client_secret": self._secret}
        status, answer = await ask(
            self._http, "POST", endpoints.token_url, "token", headers=headers, data=form
        )
        return _tokens(status, answer)


def _refusal(name: str) -> OAuthError:
    known = name if name in _KNOWN_ERRORS else None
    reason = f"authorization response: {known or 'an error of its own'}"
    details = {"error": known} if known else {}
    if name == "access_denied":
        return OAuthDeniedError(reason=reason, details=details)
    if name in ("temporarily_unavailable", "server_error"):
        return OAuthUnavailableError(reason=reason, details=details)
    return OAuthError(reason=reason, details=details)


def _tokens(status: int, answer: object) -> OAuthTokens:
    raw = cast("dict[str, Any]", answer) if isinstance(answer, dict) else dict[str, Any]()
    # GitHub answers errors with 200
    if status != 200 or "error" in raw:
        error = raw.get("error")
        known = error if isinstance(error, str) and error in _KNOWN_ERRORS else "no known error"
        raise OAuthError(reason=f"token: status {status}, {known}")
    token, id_token = raw.get("access_token"), raw.get("id_token")
    if not _is_token(token, _MAX_TOKEN) or str(raw.get("token_type")).lower() != "bearer":
        raise OAuthError(reason="token: the answer holds no bearer token")
    if id_token is not None and not isinstance(id_token, str):
        raise OAuthError(reason="token: the ID token is no text")
    lifetime = raw.get("expires_in")
    return OAuthTokens(
        access_token=token,
        token_type="Bearer",  # noqa: S106 - the name of the kind
        refresh_token=text_or_none(raw.get("refresh_token"), _MAX_TOKEN),
        id_token=id_token,
        expires_in=lifetime if type(lifetime) is int and 0 <= lifetime < 2**31 else None,
        scope=text_or_none(raw.get("scope")),
        raw=raw,
    )


def _is_token(value: object, longest: int) -> TypeGuard[str]:
    """Printable ASCII without spaces, as codes and tokens are (RFC 6749, appendix A)."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )
