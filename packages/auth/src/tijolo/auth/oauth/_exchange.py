"""Requests to the other service: guarded, bounded, and without its words in our errors."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from tijolo.auth.oauth.errors import OAuthError, OAuthUnavailableError
from tijolo.http import HTTPClient, UpstreamError
from tijolo.http.guard import AddressGuard

MAX_ANSWER_BYTES = 262_144
DEADLINE_SECONDS = 10.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MAX_URL = 2048


def own_client() -> HTTPClient:
    """A client for public services alone: a discovery document must not name our own network."""
    return HTTPClient(guard=AddressGuard(), timeout=DEADLINE_SECONDS / 2)


def check_endpoint(url: object, name: str, *, plain_loopback: bool = True) -> str:
    """``url``, if secrets may be sent there.

    Args:
        url: What was configured, or what a document says.
        name: What it is, for the error.
        plain_loopback: Whether http to this machine is allowed, for development.

    Raises:
        ValueError: for what is not https://host[:port]/path, or holds credentials: a browser and
            a parser may read ``https://localhost:80@attacker`` in two ways.
    """
    text = url if isinstance(url, str) and len(url) <= _MAX_URL else ""
    good = text.isascii() and text.isprintable() and not any(sign in text for sign in ' \\"<>')
    try:
        parts = urlsplit(text)
        _ = parts.port
        plain = plain_loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK
    except ValueError:
        good = plain = False
        parts = urlsplit("")
    if not good or not parts.hostname or "@" in parts.netloc or "#" in text:
        raise ValueError(f"{name} must be https://host[:port]/path, without credentials")
    if parts.scheme != "https" and not plain:
        raise ValueError(f"{name} must be https; plain http is for this machine alone")
    return text


async def ask(client: HTTPClient, method: str, url: str, what: str, **options: Any) -> Any:
    """The status and the JSON of an answer; None where it is no JSON.

    Redirects are not followed: they could carry a secret elsewhere.

    Raises:
        OAuthUnavailableError: It does not answer, or with an error of its own.
        OAuthError: It may not be asked: its address is none that is allowed, or it sends too much.
    """
    headers = {"Accept": "application/json", **options.pop("headers", {})}
    try:
        response = await client.request(
            method,
            url,
            headers=headers,
            deadline=DEADLINE_SECONDS,
            follow_redirects=False,
            max_response_bytes=MAX_ANSWER_BYTES,
            **options,
        )
    except UpstreamError as error:
        reason = f"{what}: {type(error).__name__}"
        if error.status_code in (502, 503, 504) and not _is_its_fault(error):
            raise OAuthUnavailableError(reason=reason) from error
        raise OAuthError(reason=reason) from error
    if response.status_code >= 500 or response.status_code == 429:
        raise OAuthUnavailableError(reason=f"{what}: status {response.status_code}")
    try:
        answer: object = response.json()
    except (ValueError, RecursionError):
        answer = None
    return response.status_code, answer


async def ask_for_object(
    client: HTTPClient, method: str, url: str, what: str, **options: Any
) -> dict[str, Any]:
    """The JSON object of a 200.

    Raises:
        OAuthError: It answered something else.
        OAuthUnavailableError: as :func:`ask`.
    """
    status, answer = await ask(client, method, url, what, **options)
    if status != 200:
        raise OAuthError(reason=f"{what}: status {status}")
    if not isinstance(answer, dict):
        raise OAuthError(reason=f"{what}: no JSON object")
    return cast("dict[str, Any]", answer)


def _is_its_fault(error: UpstreamError) -> bool:
    return error.code in ("UPSTREAM_RESPONSE_TOO_LARGE", "UPSTREAM_REDIRECT")


def text_or_none(value: object, longest: int = 2048) -> str | None:
    """``value`` if it is text of a sane length; other services send what they like.

    NUL and lone surrogates, which JSON can spell, fit into no answer and no table.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\0" in value:
        return None
    return None if any("\ud800" <= sign <= "\udfff" for sign in value) else value
