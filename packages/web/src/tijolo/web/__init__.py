"""Application factory, problem details and pure-ASGI middleware for FastAPI services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.web._compat import COMPAT as _COMPAT
from tijolo.web._version import __version__

_enforce(_COMPAT, __version__)

from tijolo.web._idempotency_request import IDEMPOTENCY_HEADER
from tijolo.web.application import create_app
from tijolo.web.body_limit import BodySizeLimitMiddleware, RequestBodyTooLargeException
from tijolo.web.client_ip import (
    TrustedProxyMiddleware,
    get_client_ip,
    get_client_ip_from_scope,
)
from tijolo.web.content_disposition import build_content_disposition
from tijolo.web.cookies import SameSite, clear_cookie, set_cookie
from tijolo.web.cors import apply_cors
from tijolo.web.csrf import (
    CSRF_COOKIE_NAME,
    CSRF_HEADER_NAME,
    CSRFMiddleware,
    csrf_protects,
    csrf_token,
    make_csrf_token_dependency,
    may_be_cross_site,
)
from tijolo.web.csrf_settings import CSRFSettings
from tijolo.web.csrf_tokens import generate_csrf_token
from tijolo.web.device import CurrentDevice, DeviceInfo, DeviceType, get_device_info
from tijolo.web.envelope import EnvelopeMiddleware, RequestMetrics
from tijolo.web.error_boundary import ErrorBoundaryMiddleware, ResponseAbortedError
from tijolo.web.handlers import (
    app_exception_handler,
    make_app_exception_handler,
    make_http_exception_handler,
    make_unhandled_exception_handler,
    register_exception_handlers,
    validation_exception_handler,
)
from tijolo.web.http_cache import CachePolicy, ConditionalRoute
from tijolo.web.idempotency import IdempotencyMiddleware, is_final_status
from tijolo.web.idempotency_answer import CachedResponse
from tijolo.web.idempotency_key import make_idempotency_key_dependency
from tijolo.web.idempotency_memory import IdempotencyStoreFullError, MemoryIdempotencyStore
from tijolo.web.idempotency_store import IdempotencyStore, ReservationState
from tijolo.web.lifecycle import AppLifecycle
from tijolo.web.limit_settings import IdempotencySettings, RateLimitSettings
from tijolo.web.link_headers import build_pagination_link_header
from tijolo.web.openapi import describe_problems
from tijolo.web.problems import (
    CODE_OF_STATUS,
    PROBLEM_MEDIA_TYPE,
    ProblemDocument,
    ProblemError,
    ProblemResponse,
    problem_response,
)
from tijolo.web.rate_limit import (
    RateLimitMiddleware,
    make_rate_limit_dependency,
)
from tijolo.web.rate_limit_guard import GuardedRateLimitStore
from tijolo.web.rate_limit_keys import key_by_client_address, key_by_header, key_by_user
from tijolo.web.rate_limit_store import MemoryRateLimitStore, RateLimitStore, Reservation
from tijolo.web.rate_limiter import RateLimitDecision, RateLimiter
from tijolo.web.rate_limits import LimitState, RateLimit, rate_limits
from tijolo.web.request_id import RequestIDMiddleware
from tijolo.web.responses import ResponseFactory, Responses, SuccessEnvelope
from tijolo.web.route_cors import CORSPolicy, cors, no_cors
from tijolo.web.security_headers import (
    DEFAULT_CONTENT_SECURITY_POLICY,
    DEFAULT_SECURITY_HEADERS,
    DOCS_CONTENT_SECURITY_POLICY,
    SecurityHeadersMiddleware,
)
from tijolo.web.settings import CORSSettings, ServerSettings, WebSettings
from tijolo.web.static import DEFAULT_STATIC_SECURITY_HEADERS, HardenedStaticFiles
from tijolo.web.timeouts import RequestTimeoutMiddleware
from tijolo.web.timing import RequestTimingMiddleware
from tijolo.web.tool_spec import make_tool_spec_router
from tijolo.web.trusted_hosts import TrustedHostMiddleware
from tijolo.web.webhooks import MemoryReplayStore, WebhookSignatureVerifier, WebhookVerifier

__all__ = [
    "CODE_OF_STATUS",
    "CSRF_COOKIE_NAME",
    "CSRF_HEADER_NAME",
    "DEFAULT_CONTENT_SECURITY_POLICY",
    "DEFAULT_SECURITY_HEADERS",
    "DEFAULT_STATIC_SECURITY_HEADERS",
    "DOCS_CONTENT_SECURITY_POLICY",
    "IDEMPOTENCY_HEADER",
    "PROBLEM_MEDIA_TYPE",
    "AppLifecycle",
    "BodySizeLimitMiddleware",
    "CORSPolicy",
    "CORSSettings",
    "CSRFMiddleware",
    "CSRFSettings",
    "CachePolicy",
    "CachedResponse",
    "ConditionalRoute",
    "CurrentDevice",
    "DeviceInfo",
    "DeviceType",
    "EnvelopeMiddleware",
    "ErrorBoundaryMiddleware",
    "GuardedRateLimitStore",
    "HardenedStaticFiles",
    "IdempotencyMiddleware",
    "IdempotencySettings",
    "IdempotencyStore",
    "IdempotencyStoreFullError",
    "LimitState",
    "MemoryIdempotencyStore",
    "MemoryRateLimitStore",
    "MemoryReplayStore",
    "ProblemDocument",
    "ProblemError",
    "ProblemResponse",
    "RateLimit",
    "RateLimitDecision",
    "RateLimitMiddleware",
    "RateLimitSettings",
    "RateLimitStore",
    "RateLimiter",
    "RequestBodyTooLargeException",
    "RequestIDMiddleware",
    "RequestMetrics",
    "RequestTimeoutMiddleware",
    "RequestTimingMiddleware",
    "Reservation",
    "ReservationState",
    "ResponseAbortedError",
    "ResponseFactory",
    "Responses",
    "SameSite",
    "SecurityHeadersMiddleware",
    "ServerSettings",
    "SuccessEnvelope",
    "TrustedHostMiddleware",
    "TrustedProxyMiddleware",
    "WebSettings",
    "WebhookSignatureVerifier",
    "WebhookVerifier",
    "__version__",
    "app_exception_handler",
    "apply_cors",
    "build_content_disposition",
    "build_pagination_link_header",
    "clear_cookie",
    "cors",
    "create_app",
    "csrf_protects",
    "csrf_token",
    "describe_problems",
    "generate_csrf_token",
    "get_client_ip",
    "get_client_ip_from_scope",
    "get_device_info",
    "is_final_status",
    "key_by_client_address",
    "key_by_header",
    "key_by_user",
    "make_app_exception_handler",
    "make_csrf_token_dependency",
    "make_http_exception_handler",
    "make_idempotency_key_dependency",
    "make_rate_limit_dependency",
    "make_tool_spec_router",
    "make_unhandled_exception_handler",
    "may_be_cross_site",
    "no_cors",
    "problem_response",
    "rate_limits",
    "register_exception_handlers",
    "set_cookie",
    "validation_exception_handler",
]
