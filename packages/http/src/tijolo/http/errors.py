"""What goes wrong between this service and one that it depends on.

    UpstreamError (502)
    ├── CircuitOpenError 503            not sent: the origin has been failing
    ├── DeadlineExceededError 504       also an httpx.TimeoutException
    ├── UpstreamUnreachableError 502    nothing usable came; also the httpx class of what happened,
    │                                   such as httpx.ConnectError (504 for a timeout)
    ├── RetryAfterTooLongError 503      also an httpx.HTTPStatusError
    ├── ResponseTooLargeError 502       also an httpx.RequestError
    ├── RedirectNotAllowedError 502     also an httpx.RequestError
    ├── AddressNotAllowedError 422      also an httpx.RequestError
    ├── AuthenticationFailedError 502   no token to send
    └── IntegrationError 502            an error answer, or one that breaks its schema

Each is an ``AppException``: raised in a request handler it answers with its status, and names
neither the host nor the address to the caller. ``str(error)`` names the host, for logs. What httpx
has a class for is caught by it: ``except httpx.HTTPError`` covers a whole exchange.
"""

from __future__ import annotations

import math
from typing import Any

import httpx

from tijolo.core import AppException


class UpstreamError(AppException):
    """A service that this one depends on failed (RFC 9110, section 15.6.3)."""

    status_code = 502
    code = "UPSTREAM_ERROR"
    message = "A service that this one depends on failed"
    log_text: str = ""
    """What happened, for logs; never part of an answer."""

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.log_text})" if self.log_text else super().__str__()


def _retry_after(seconds: float | None) -> tuple[dict[str, str] | None, dict[str, Any] | None]:
    if seconds is None:
        return None, None
    whole = max(0, math.ceil(seconds))
    return {"Retry-After": str(whole)}, {"retry_after_seconds": whole}


class CircuitOpenError(UpstreamError):
    """Not sent, because calls to ``host`` have been failing.

    Args:
        host: The origin, ``https://api.example.com``, or the name of the circuit.
        retry_after_seconds: Time until a call may be let through; sent as ``Retry-After``.
    """

    status_code = 503
    code = "CIRCUIT_OPEN"
    message = "A service that this one depends on is not available"

    def __init__(self, host: str, retry_after_seconds: float | None = None) -> None:
        headers, details = _retry_after(retry_after_seconds)
        super().__init__(headers=headers, details=details)
        self.host = host
        self.retry_after_seconds = retry_after_seconds
        self.log_text = f"the circuit of {host} is open"


class DeadlineExceededError(UpstreamError, httpx.TimeoutException):
    """The time for the whole call, its retries included, is used up.

    Args:
        host: The origin that did not answer in time.
        seconds: What the call had; None where the caller's own scope ended first.
    """

    status_code = 504
    code = "UPSTREAM_TIMEOUT"
    message = "A service that this one depends on did not answer in time"

    def __init__(self, host: str, seconds: float | None = None) -> None:
        super().__init__()
        self._request = None
        self.host = host
        self.seconds = seconds
        given = "the caller's time" if seconds is None else f"{seconds:g} seconds"
        self.log_text = f"no answer from {host} within {given}"


class UpstreamUnreachableError(UpstreamError, httpx.TransportError):
    """Nothing usable came back: no connection, a broken one, or silence.

    What is raised is also the class that httpx has for it: ``except httpx.ConnectError``,
    ``except httpx.ReadTimeout``.

    Args:
        host: The origin that did not answer.
        reason: What happened, in httpx's words.
    """

    code = "UPSTREAM_UNREACHABLE"
    message = "A service that this one depends on does not answer"

    kind: type[httpx.TransportError] = httpx.TransportError
    """The class of httpx."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__()
        self._request = None
        self.host = host
        self.reason = reason
        self.log_text = f"{host}: {reason}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unreachable, (self.kind, self.host, self.reason)

    @staticmethod
    def of(error: httpx.TransportError, host: str) -> UpstreamUnreachableError:
        """``error`` as one of these and as what it is; its request is kept."""
        unreachable = _unreachable(type(error), host, str(error) or type(error).__name__)
        unreachable._request = error._request
        return unreachable


_UNREACHABLE: dict[type[httpx.TransportError], type[UpstreamUnreachableError]] = {
    httpx.TransportError: UpstreamUnreachableError
}


def _unreachable(
    kind: type[httpx.TransportError], host: str, reason: str
) -> UpstreamUnreachableError:
    """An error that is of ``kind`` too; the classes are made when they are first needed."""
    if kind not in _UNREACHABLE:
        status = 504 if issubclass(kind, httpx.TimeoutException) else 502
        attributes = {"status_code": status, "kind": kind, "__doc__": kind.__doc__}
        attributes["__module__"] = __name__
        _UNREACHABLE[kind] = type(kind.__name__, (UpstreamUnreachableError, kind), attributes)
    return _UNREACHABLE[kind](host, reason)


class RetryAfterTooLongError(UpstreamError, httpx.HTTPStatusError):
    """``Retry-After`` asks for more patience than the policy or the deadline has.

    Waiting less than the server asked for and trying again would be what it asked not to do
    (RFC 9110, section 10.2.3).

    Args:
        host: The origin that sent it.
        retry_after_seconds: What it asked for.
        response: The answer that carried it, read.
    """

    status_code = 503
    code = "UPSTREAM_RETRY_LATER"
    message = "A service that this one depends on asks to be left alone for a while"

    def __init__(self, host: str, retry_after_seconds: float, response: httpx.Response) -> None:
        headers, details = _retry_after(retry_after_seconds)
        super().__init__(headers=headers, details=details)
        self._request = response.request
        self.host = host
        self.retry_after_seconds = retry_after_seconds
        self.response = response
        self.log_text = (
            f"{host} answered {response.status_code} with Retry-After of"
            f" {retry_after_seconds:.0f} seconds"
        )


class ResponseTooLargeError(UpstreamError, httpx.RequestError):
    """A response is larger than allowed, on the wire or decompressed.

    Args:
        host: The origin that sent it.
        limit: Allowed bytes.
    """

    code = "UPSTREAM_RESPONSE_TOO_LARGE"
    message = "A service that this one depends on sent too much"

    def __init__(self, host: str, limit: int) -> None:
        super().__init__()
        self._request = None
        self.host = host
        self.limit = limit
        self.log_text = f"the response of {host} is over {limit} bytes"


class RedirectNotAllowedError(UpstreamError, httpx.RequestError):
    """A redirect that is not followed: too many, to plain HTTP, or with a body elsewhere.

    Args:
        host: The origin that sent it.
        reason: Why not, for logs.
    """

    code = "UPSTREAM_REDIRECT"
    message = "A service that this one depends on redirects to where it may not"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__()
        self._request = None
        self.host = host
        self.reason = reason
        self.log_text = f"redirect of {host}: {reason}"


class AddressNotAllowedError(UpstreamError, httpx.RequestError):
    """The guard refuses a URL, or an address that its name resolves to.

    The answer to an HTTP caller is the same for every reason: a caller who learns which names
    resolve inside the network has been given a map of it.

    Args:
        host: The host as it was given.
        reason: Which rule refused it, for logs.
    """

    status_code = 422
    code = "ADDRESS_NOT_ALLOWED"
    message = "The address is not allowed"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__()
        self._request = None
        self.host = host
        self.reason = reason
        self.log_text = f"{host!r}: {reason}"


class AuthenticationFailedError(UpstreamError):
    """No access token could be had for a call.

    Args:
        host: The origin of the token endpoint.
        reason: What went wrong, for logs; never the credentials.
    """

    code = "UPSTREAM_AUTHENTICATION"
    message = "This service could not sign in at one that it depends on"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__()
        self.host = host
        self.reason = reason
        self.log_text = f"{host}: {reason}"


class IntegrationError(UpstreamError):
    """An integration answered with an error, or with what its schema does not allow.

    Args:
        integration: Name of the integration.
        endpoint: Name of the method that was called.
        reason: What was wrong, for logs; never the body.
        response: The answer; None where the method returned something else.
        error: The declared error model of the answer's status, filled; None without one.
    """

    code = "UPSTREAM_ANSWER"
    message = "A service that this one depends on did not do what it was asked for"

    def __init__(
        self,
        integration: str,
        endpoint: str,
        reason: str,
        *,
        response: httpx.Response | None = None,
        error: Any = None,
    ) -> None:
        super().__init__()
        self.integration = integration
        self.endpoint = endpoint
        self.reason = reason
        self.response = response
        self.error = error
        self.upstream_status = None if response is None else response.status_code
        self.log_text = f"{integration}.{endpoint}: {reason}"
