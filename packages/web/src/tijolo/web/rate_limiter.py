"""The decision about one request, apart from how it reaches the caller."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import cast

from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from tijolo.core import TooManyRequestsException
from tijolo.web._logging import with_request_id
from tijolo.web._paths import path_below_root
from tijolo.web.rate_limit_guard import GuardedRateLimitStore, StoreFailurePolicy
from tijolo.web.rate_limit_keys import (
    DEFAULT_IPV6_PREFIX,
    KeyFunction,
    address_key,
    check_prefix,
    grouped_address,
)
from tijolo.web.rate_limit_store import MemoryRateLimitStore, RateLimitStore
from tijolo.web.rate_limits import (
    Algorithm,
    LimitState,
    RateLimit,
    RateLimits,
    check_units,
    rate_limits,
)
from tijolo.web.security_headers import RawHeaders

_log = with_request_id(logging.getLogger("tijolo.web.rate_limit"))
_SECOND = 1_000_000
_MAX_KEY_CHARACTERS = 128


class RateLimitDecision:
    """What was decided about one request, and how to say it."""

    __slots__ = ("_policy", "allowed", "states")

    def __init__(
        self, allowed: bool, states: tuple[LimitState, ...], policy: tuple[bytes, bytes]
    ) -> None:
        self.allowed = allowed
        self.states = states
        self._policy = policy

    @property
    def retry_after_seconds(self) -> int | None:
        """Whole seconds, rounded up, until the same request would be allowed.

        0 if it is allowed now; None if it never will be, because it costs more than a quota.
        """
        waits = [state.wait_us for state in self.states]
        return None if min(waits) < 0 else -(-max(waits) // _SECOND)

    @property
    def violated(self) -> tuple[RateLimit, ...]:
        """The limits that refused it."""
        return tuple(state.limit for state in self.states if state.wait_us)

    @property
    def raw_headers(self) -> RawHeaders:
        """``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers-11)."""
        states = self.states
        value = _item(states[0]) if len(states) == 1 else ", ".join(map(_item, states))
        return [(b"ratelimit", value.encode("ascii")), self._policy]

    @property
    def headers(self) -> dict[str, str]:
        """The same as text."""
        return {
            "RateLimit": self.raw_headers[0][1].decode("ascii"),
            "RateLimit-Policy": self._policy[1].decode("ascii"),
        }

    def exception(
        self, message: str | None = None, *, with_retry_after: bool = True
    ) -> TooManyRequestsException:
        """The 429 that tells a caller who was refused."""
        seconds = self.retry_after_seconds if with_retry_after else None
        return TooManyRequestsException(
            message,
            retry_after_seconds=seconds,
            details={"violated_policies": [limit.name for limit in self.violated]},
            headers=self.headers,
        )


def _item(state: LimitState) -> str:
    """``r``: units left; ``t``: until the request is allowed, or all units are there again."""
    limit, remaining, wait, reset = state
    if wait < 0:
        return f'"{limit.name}";r={remaining}'
    return f'"{limit.name}";r={remaining};t={-(-(wait or reset) // _SECOND)}'


class RateLimiter:
    """Limits, the key of a caller, and the store: asked once for each request.

    Args:
        limits: What holds for each key, all at once: a request that one limit refuses uses
            nothing of the others.
        store: Default one in memory, for this process alone.
        name: Keeps the keys of several limiters in one store apart.
        key_func: Whose units a request uses, see :mod:`tijolo.web.rate_limit_keys`; may be a
            coroutine function. A key of None is not limited. Default the client's address.
        cost: Units of a request, or a function of it.
        exempt_paths: Paths, exactly as written, below ``root_path``, that are not limited.
        on_store_failure: While the store is down: ``local`` counts in this process, ``open`` lets
            everything pass, ``closed`` answers 503.
        retry_store_seconds: How long a store that failed is left alone.
        ipv6_prefix: Bits of an IPv6 address that name a client, for the default key.
        trusted_ip_header: Header with the client's address, for the default key; see
            :func:`~tijolo.web.get_client_ip`.
        algorithm: For limits that are given as text.

    Raises:
        ValueError: for limits that contradict each other, and for a cost over a quota.
    """

    def __init__(
        self,
        limits: RateLimits,
        *,
        store: RateLimitStore | None = None,
        name: str = "default",
        key_func: KeyFunction | None = None,
        cost: int | Callable[[Request], int] = 1,
        exempt_paths: Iterable[str] = (),
        on_store_failure: StoreFailurePolicy = "local",
        retry_store_seconds: float = 1.0,
        ipv6_prefix: int = DEFAULT_IPV6_PREFIX,
        trusted_ip_header: str | None = None,
        algorithm: Algorithm = "gcra",
    ) -> None:
        self.limits = rate_limits(limits, algorithm=algorithm)
        self._guarded = GuardedRateLimitStore(
            store, name=name, on_failure=on_store_failure, retry_seconds=retry_store_seconds
        )
        self.store = self._guarded.store
        self.name = name
        self.exempt_paths = frozenset(_checked_path(path) for path in exempt_paths)
        if key_func is not None and (trusted_ip_header or ipv6_prefix != DEFAULT_IPV6_PREFIX):
            raise ValueError("key_func replaces the client's address: give it or how to read that")
        check_prefix(ipv6_prefix)
        if isinstance(cost, int):
            self._check_cost(cost)
        self._cost, self._key_func = cost, key_func
        self._ipv6_prefix, self._trusted_ip_header = ipv6_prefix, trusted_ip_header
        self._policy = (b"ratelimit-policy", ", ".join(map(_policy, self.limits)).encode("ascii"))
        self._prefix = f"{name}:"
        self._warned = False
        self.decides_at_once = (
            type(self.store) is MemoryRateLimitStore and key_func is None and cost == 1
        )
        """Whether :meth:`check_now` can be called: nothing to wait for."""
        self.allow_now = self._shortcut()
        """Takes one unit and returns the headers of a response that is allowed; None, and nothing
        taken, where :meth:`check_now` has to say more. The shortest way for the most common
        request: one limit of ``gcra`` in memory by client address. None where that is not so."""

    def _shortcut(self) -> Callable[[Scope], RawHeaders | None] | None:
        simple = self.decides_at_once and self._trusted_ip_header is None
        if not simple or [limit.algorithm for limit in self.limits] != ["gcra"]:
            return None
        take = cast("MemoryRateLimitStore", self.store).taker(self.limits)
        name = self.limits[0].name.replace("%", "%%").encode("ascii")
        text, policy, exempt = b'"%b";r=%%d;t=%%d' % name, self._policy, self.exempt_paths
        prefix, ipv6_prefix = self._prefix, self._ipv6_prefix

        @lru_cache(maxsize=16_384)
        def key_of(host: str) -> str:
            key = grouped_address(host, ipv6_prefix) if host else None
            return "" if key is None else prefix + key

        def allow_now(scope: Scope) -> RawHeaders | None:
            client = scope.get("client")
            if client is None or (exempt and path_below_root(scope) in exempt):
                return None
            key = key_of(client[0])
            taken = take(key) if key else None
            if taken is None:
                return None
            remaining, reset = taken
            return [(b"ratelimit", text % (remaining, (reset + 999_999) // 1_000_000)), policy]

        return allow_now

    def check_now(self, scope: Scope) -> RateLimitDecision | None:
        """:meth:`check` without a coroutine, where ``decides_at_once`` is true."""
        if self.exempt_paths and path_below_root(scope) in self.exempt_paths:
            return None
        key = address_key(scope, self._ipv6_prefix, self._trusted_ip_header)
        if key is None:
            self._warn_of_unknown_caller()
            return None
        store = cast("MemoryRateLimitStore", self.store)
        allowed, states = store.reserve_now(self._prefix + key, self.limits)
        return RateLimitDecision(allowed, states, self._policy)

    async def check(self, scope: Scope) -> RateLimitDecision | None:
        """Take the units of the request in ``scope``.

        Returns:
            None if it is not limited: its path is exempt, nobody knows who calls, or the store is
            down and ``on_store_failure`` is ``open``.

        Raises:
            ServiceUnavailableException: if the store is down and that is ``closed``.
        """
        if self.decides_at_once:
            return self.check_now(scope)
        if self.exempt_paths and path_below_root(scope) in self.exempt_paths:
            return None
        if scope["type"] == "http":
            return await self.check_request(Request(scope))
        # a WebSocket's handshake has all that a key or a cost can be made of
        return await self.check_request(cast("Request", HTTPConnection(scope)))

    async def check_request(
        self, request: Request, *, part: str = "", cost: int | None = None
    ) -> RateLimitDecision | None:
        """The same for a request at hand; exempt paths are the concern of :meth:`check`.

        Args:
            part: Set apart from others of the same key, such as the route.
            cost: Instead of the limiter's.
        """
        key = await self._key(request)
        if key is None:
            self._warn_of_unknown_caller()
            return None
        if cost is None:
            cost = self._cost(request) if callable(self._cost) else self._cost
        check_units(cost)
        reservation = await self._guarded.reserve(
            f"{self._prefix}{part}{_short(key)}", self.limits, cost
        )
        if reservation is None:
            return None
        return RateLimitDecision(reservation.allowed, reservation.states, self._policy)

    async def _key(self, request: Request) -> str | None:
        if self._key_func is None:
            return address_key(request.scope, self._ipv6_prefix, self._trusted_ip_header)
        found = self._key_func(request)
        return await found if isinstance(found, Awaitable) else found

    def _check_cost(self, cost: int) -> None:
        lowest = min(limit.quota for limit in self.limits)
        if type(cost) is not int or not 1 <= cost <= lowest:
            raise ValueError(f"cost must be 1 to {lowest}, the smallest quota, got {cost!r}")

    def _warn_of_unknown_caller(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "rate limit %r lets a caller pass whom nobody knows; behind a proxy or a unix"
                " socket, set TRUSTED_PROXIES or a key_func (said once)",
                self.name,
            )


def _short(key: str) -> str:
    """``key``, or its digest: a caller who chooses its length would choose our memory."""
    if len(key) <= _MAX_KEY_CHARACTERS:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _policy(limit: RateLimit) -> str:
    seconds = -(-limit.window_us // _SECOND)
    return f'"{limit.name}";q={limit.quota};w={seconds}'


def _checked_path(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} must start with a slash, as request paths do")
    return path
