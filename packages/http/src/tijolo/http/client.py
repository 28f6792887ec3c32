"""An HTTP client that fails well: retries, circuits, deadlines, bounds, one pool of connections."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import httpx

from tijolo.core import REQUEST_ID_HEADER, get_request_id
from tijolo.http._bodies import ACCEPT_ENCODING
from tijolo.http._call import Call, RequestOptions
from tijolo.http._engine import Engine
from tijolo.http._origins import Origin, OriginTable, origin_of
from tijolo.http._renewed_pool import RenewedPool
from tijolo.http._version import __version__
from tijolo.http.auth import Auth
from tijolo.http.circuit import Circuit, CircuitPolicy, CircuitSnapshot, CircuitState
from tijolo.http.deadlines import Timeouts
from tijolo.http.observe import HTTPObserver, Observers
from tijolo.http.pool import PoolLimits, open_transport
from tijolo.http.retry import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from tijolo.http.guard import AddressGuard
    from tijolo.http.settings import HTTPClientSettings

_log = logging.getLogger("tijolo.http")

_HEADERS = httpx.Headers(
    {
        "Accept": "*/*",
        "Accept-Encoding": ACCEPT_ENCODING,
        "User-Agent": f"tijolo-http/{__version__}",
    }
)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
DEFAULT_MAX_RESPONSE_BYTES = 10 * 1024 * 1024
_CREDENTIAL = re.compile(
    r"authorization|cookie|secret|token|password|credential|apikey|(^|[-_])(auth|key|session)([-_]|$)",
    re.IGNORECASE,
)


class HTTPClient:
    """One pool of connections to other services, for as long as the service lives.

    It is a ``Resource``: give it to ``AppLifecycle(resources=[client])``, or use it with ``async
    with``. A response of any status is returned, as httpx does it; what fails on the wire is
    raised as httpx's exception, after the attempts that the policy allows.

    Cookies that servers set are not kept: the client serves many users at once, and one user's
    session is not the next one's. Proxies of the environment are not used; name one.

    Args:
        base_url: Where relative URLs start. Its origin is the only one that ``default_headers``
            and ``auth`` are sent to.
        timeout: Seconds for reading, writing and a free connection, each, and the most for
            connecting; ``timeouts`` says more.
        retry_policy: How often and after which waits idempotent calls are tried again.
        failure_threshold: ``CircuitPolicy.failure_threshold`` and ``minimum_calls``.
        recovery_seconds: ``CircuitPolicy.open_seconds``.
        default_headers: Sent with every request to the origin of ``base_url``. Without a
            ``base_url`` they go everywhere, and none may be a credential.
        verify_tls: False for no check of certificates, or a context with the authorities. True
            trusts those of certifi, or of ``SSL_CERT_FILE``, as httpx does.
        propagate_request_id: Send the id of the request that is being served, as
            ``X-Request-ID``.
        timeouts: Instead of ``timeout``: connect, read, write, pool, and the whole.
        circuit_policy: Instead of ``failure_threshold`` and ``recovery_seconds``.
        auth: Credentials for the origin of ``base_url``.
        guard: Checks every URL and every address that is connected to, redirects included.
        transport: Carries requests out: an httpx transport, which stays the caller's to close,
            or a function that makes one at each ``connect``.
        limits: Of the pool of connections.
        proxy: URL of a proxy.
        follow_redirects: Follow up to ``max_redirects``; a call may say otherwise.
        max_redirects: For those who follow.
        max_response_bytes: Largest response, on the wire and decompressed; None for no limit.
        max_origins: Origins whose circuits are kept.
        observers: Told of attempts, calls and circuits.
        health_path: Where ``health_check`` asks; without it no request is made.
        clock: Monotonic seconds.
        sleep: Waits between attempts.

    Raises:
        ValueError: for options that contradict each other, and for credentials in a URL or
            without an origin to bind them to.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        timeout: float = 10.0,
        retry_policy: RetryPolicy | None = None,
        failure_threshold: int = 5,
        recovery_seconds: float = 30.0,
        default_headers: Mapping[str, str] | None = None,
        verify_tls: bool | ssl.SSLContext = True,
        propagate_request_id: bool = True,
        timeouts: Timeouts | None = None,
        circuit_policy: CircuitPolicy | None = None,
        auth: Auth | None = None,
        guard: AddressGuard | None = None,
        transport: httpx.AsyncBaseTransport | Callable[[], httpx.AsyncBaseTransport] | None = None,
        limits: PoolLimits | None = None,
        proxy: str | None = None,
        follow_redirects: bool = False,
        max_redirects: int = 5,
        max_response_bytes: int | None = DEFAULT_MAX_RESPONSE_BYTES,
        max_origins: int = 256,
        observers: Sequence[HTTPObserver] = (),
        health_path: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _refuse_both("timeout", timeout != 10.0, "timeouts", timeouts)
        _refuse_both("guard", guard is not None, "transport", transport)
        _refuse_both("guard", guard is not None, "proxy", proxy)
        _refuse_both("transport", transport is not None, "proxy", proxy)
        changed = failure_threshold != 5 or recovery_seconds != 30.0
        _refuse_both(
            "failure_threshold or recovery_seconds", changed, "circuit_policy", circuit_policy
        )
        self.base_url = base_url
        self.timeouts = timeouts or Timeouts().narrowed(timeout)
        self.timeout = self.timeouts.read
        self.retry_policy = retry_policy or RetryPolicy()
        self.circuit_policy = circuit_policy or CircuitPolicy(
            failure_threshold=failure_threshold,
            minimum_calls=failure_threshold,
            open_seconds=recovery_seconds,
        )
        self.failure_threshold = self.circuit_policy.failure_threshold
        self.recovery_seconds = self.circuit_policy.open_seconds
        self.propagate_request_id = propagate_request_id
        self.auth = auth
        self.follow_redirects = follow_redirects
        self.max_response_bytes = max_response_bytes
        self._base = _base(base_url)
        self._base_origin = origin_of(self._base) if base_url else ""
        _refuse_unbound(self._base_origin, default_headers or {}, auth)
        self._home_headers = httpx.Headers(_HEADERS)
        self._home_headers.update(default_headers)
        self._verify = verify_tls
        self._guard = guard
        self._given = transport
        self._limits = limits or PoolLimits()
        self._proxy = _checked_proxy(proxy)
        self._health_path = health_path
        self._clock = clock
        self._observers = Observers(observers)
        self._origins = OriginTable(self._make_origin, max_origins)
        self._transport: httpx.AsyncBaseTransport | None = None
        self._closed = False
        self._opening = asyncio.Lock()
        self._engine = Engine(
            policy=self.retry_policy,
            origins=self._origins,
            observers=self._observers,
            max_redirects=max_redirects,
            auth=auth,
            auth_origin=self._base_origin,
            clock=clock,
            sleep=sleep,
        )

    @classmethod
    def from_settings(cls, settings: HTTPClientSettings, **options: Any) -> Self:
        """A client as ``settings`` say; ``options`` are those of the constructor and win."""
        said = settings.http_client_options()
        if "timeout" in options:
            said["timeouts"] = said["timeouts"].narrowed(options.pop("timeout"))
        return cls(**{**said, **options})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, auth={self.auth!r})"

    async def connect(self) -> None:
        """Open the pool. The first request does it too."""
        self._closed = False
        await self._open()

    async def disconnect(self) -> None:
        """Close the pool; requests under way fail, later ones raise ``RuntimeError``."""
        self._closed = True
        transport, self._transport = self._transport, None
        if transport is not None:
            await self._close(transport)
        close_auth = getattr(self.auth, "disconnect", None)
        if close_auth is not None:
            await close_auth()

    async def aclose(self) -> None:
        """The same as ``disconnect``."""
        await self.disconnect()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def health_check(self) -> bool:
        """Whether ``health_path`` answers below 500 within the timeout; never raises.

        Without a ``health_path``: whether the client is not closed and the circuit of ``base_url``
        not open.
        """
        if self._closed:
            return False
        if self._health_path is None:
            origin = self._origins.find(self._base_origin)
            return origin is None or origin.circuit.state is not CircuitState.OPEN
        try:
            response = await self.get(self._health_path, deadline=self.timeouts.read)
        except Exception as error:
            _log.info("health check of %s failed: %s", self._base_origin, type(error).__name__)
            return False
        return response.status_code < 500

    def circuits(self) -> tuple[CircuitSnapshot, ...]:
        """How the circuits of all origins stand."""
        return tuple(origin.circuit.snapshot() for origin in self._origins)

    async def request(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> httpx.Response:
        """Call and read the whole response.

        Args:
            method: Such as ``GET``.
            url: Relative to ``base_url``, or absolute.
            **options: See ``RequestOptions``.

        Raises:
            CircuitOpenError: the origin has been failing; nothing was sent.
            DeadlineExceededError: the time for the whole call is used up.
            RetryAfterTooLongError: the server asks for a longer wait than there is.
            ResponseTooLargeError: the response is over ``max_response_bytes``.
            httpx.TransportError: what happened on the wire, in the last attempt.
            RuntimeError: the client is closed.
        """
        call = self._call(method, url, options)
        return await self._engine.run(call, self._open, read=True)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AsyncGenerator[httpx.Response]:
        """Call, and read the response piece by piece: ``async for piece in r.aiter_bytes()``.

        Attempts and the deadline end with the response's headers. Each piece has the read timeout;
        ``max_response_bytes`` counts here too. Raises what ``request`` raises.
        """
        call = self._call(method, url, options)
        response = await self._engine.run(call, self._open, read=False)
        try:
            yield response
        finally:
            await response.aclose()

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("GET", ...)``."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("HEAD", ...)``."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("OPTIONS", ...)``."""
        return await self.request("OPTIONS", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("POST", ...)``."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("PUT", ...)``."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("PATCH", ...)``."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> httpx.Response:
        """``request("DELETE", ...)``."""
        return await self.request("DELETE", url, **options)

    async def _open(self) -> httpx.AsyncBaseTransport:
        if self._transport is None:
            async with self._opening:
                if self._closed:
                    raise RuntimeError(f"{self!r} is closed; connect() opens it again")
                if self._transport is None:
                    made = await self._make_transport()
                    if self._closed:  # in the meantime
                        await self._close(made)
                        raise RuntimeError(f"{self!r} was closed while it opened")
                    self._transport = made
        return self._transport

    async def _close(self, transport: httpx.AsyncBaseTransport) -> None:
        if transport is not self._given:
            await transport.aclose()

    async def _make_transport(self) -> httpx.AsyncBaseTransport:
        if isinstance(self._given, httpx.AsyncBaseTransport):
            return self._given
        if self._given is not None:
            return self._given()
        # reading certificate authorities takes tens of milliseconds
        context = await asyncio.to_thread(httpx.create_ssl_context, verify=self._verify)
        return RenewedPool(lambda: self._make_pool(context), self._limits.max_connections)

    def _make_pool(self, context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
        if self._guard is not None:
            return self._guard.transport(verify_tls=context, limits=self._limits)
        return open_transport(context, self._limits, self._proxy)

    def _make_origin(self, name: str) -> Origin:
        places = self._limits.max_calls_per_origin
        return Origin(
            circuit=Circuit(
                name,
                self.circuit_policy,
                clock=self._clock,
                on_change=self._observers.on_circuit,
            ),
            budget=RetryBudget(self.retry_policy.budget_ratio, self.retry_policy.budget_burst),
            places=None if places is None else asyncio.Semaphore(places),
        )

    def _call(self, method: str, url: str, options: RequestOptions) -> Call:
        target = self._absolute(url)
        origin = origin_of(target)
        at_home = origin == self._base_origin or not self._base_origin
        headers = httpx.Headers(self._home_headers if at_home else _HEADERS)
        request_id = get_request_id() if self.propagate_request_id else None
        if request_id and request_id.isascii() and request_id.isprintable():
            headers[REQUEST_ID_HEADER] = request_id
        return Call(
            method=method.upper(),
            url=target,
            origin=origin,
            headers=headers,
            options=options,
            timeouts=self.timeouts.narrowed(options.get("timeout")),
            max_response_bytes=options.get("max_response_bytes", self.max_response_bytes),
            follow_redirects=options.get("follow_redirects", self.follow_redirects),
            clock=self._clock,
        )

    def _absolute(self, url: str) -> httpx.URL:
        target = httpx.URL(url)
        if target.userinfo:
            raise ValueError("the URL holds credentials, which end in logs; give them as auth=")
        if target.is_relative_url:
            if not self._base_origin:
                raise ValueError(f"{target.path!r} is relative, and the client has no base_url")
            path = self._base.raw_path + target.raw_path.lstrip(b"/")
            return self._base.copy_with(raw_path=path)
        if target.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{target.scheme!r} is neither http nor https")
        return target


def _base(base_url: str) -> httpx.URL:
    url = httpx.URL(base_url)
    if not base_url:
        return url
    if url.userinfo:
        raise ValueError("base_url holds credentials, which end in logs; give them as auth=")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        # not quoted: what is no URL may well be user:password@host
        raise ValueError("base_url must be http(s)://host[:port][/path]")
    return url if url.raw_path.endswith(b"/") else url.copy_with(raw_path=url.raw_path + b"/")


def _checked_proxy(proxy: str | None) -> str | None:
    """httpx checks it too, late, and quotes what it does not understand: user:password@host."""
    try:
        url = None if proxy is None else httpx.URL(proxy)
    except httpx.InvalidURL:
        raise ValueError("proxy is not a URL") from None
    if url is not None and not (url.host and url.scheme in _PROXY_SCHEMES):
        raise ValueError(f"proxy must be a URL with one of {', '.join(_PROXY_SCHEMES)}")
    return proxy


def _refuse_both(one: str, given: bool, other: str, value: object) -> None:
    if given and value is not None:
        raise ValueError(f"{one} and {other} contradict each other; give one of them")


def _refuse_unbound(origin: str, headers: Mapping[str, str], auth: Auth | None) -> None:
    if origin:
        return
    if auth is not None:
        raise ValueError("auth needs a base_url, the origin that may see the credentials")
    for name in headers:
        if _CREDENTIAL.search(name):
            raise ValueError(
                f"default_headers[{name!r}] looks like a credential and would be sent to every"
                " host; give a base_url, to whose origin it is then bound"
            )
