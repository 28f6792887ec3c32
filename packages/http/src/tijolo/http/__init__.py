"""An HTTP client that fails well, and typed integrations with other services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.http._compat import COMPAT as _COMPAT
from tijolo.http._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.core import REQUEST_ID_HEADER
from tijolo.http._call import RequestOptions
from tijolo.http.auth import APIKeyAuth, Auth, BasicAuth, BearerAuth, OAuth2ClientCredentials
from tijolo.http.circuit import Circuit, CircuitPolicy, CircuitSnapshot, CircuitState
from tijolo.http.client import HTTPClient
from tijolo.http.deadlines import Timeouts, deadline_scope
from tijolo.http.errors import (
    AddressNotAllowedError,
    AuthenticationFailedError,
    CircuitOpenError,
    DeadlineExceededError,
    IntegrationError,
    RedirectNotAllowedError,
    ResponseTooLargeError,
    RetryAfterTooLongError,
    UpstreamError,
    UpstreamUnreachableError,
)
from tijolo.http.observe import AttemptEvent, CallEvent, HTTPObserver
from tijolo.http.pool import PoolLimits
from tijolo.http.retry import RetryBudget, RetryPolicy, parse_retry_after
from tijolo.http.settings import HTTPClientSettings

__all__ = [
    "REQUEST_ID_HEADER",
    "APIKeyAuth",
    "AddressNotAllowedError",
    "AttemptEvent",
    "Auth",
    "AuthenticationFailedError",
    "BasicAuth",
    "BearerAuth",
    "CallEvent",
    "Circuit",
    "CircuitOpenError",
    "CircuitPolicy",
    "CircuitSnapshot",
    "CircuitState",
    "DeadlineExceededError",
    "HTTPClient",
    "HTTPClientSettings",
    "HTTPObserver",
    "IntegrationError",
    "OAuth2ClientCredentials",
    "PoolLimits",
    "RedirectNotAllowedError",
    "RequestOptions",
    "ResponseTooLargeError",
    "RetryAfterTooLongError",
    "RetryBudget",
    "RetryPolicy",
    "Timeouts",
    "UpstreamError",
    "UpstreamUnreachableError",
    "__version__",
    "deadline_scope",
    "parse_retry_after",
]
