"""Rate limits and idempotency keys as the settings of a service ask for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI
from starlette.middleware import Middleware

from tijolo.web.idempotency import IdempotencyMiddleware
from tijolo.web.idempotency_memory import MemoryIdempotencyStore
from tijolo.web.idempotency_store import IdempotencyStore
from tijolo.web.lifecycle import AppLifecycle
from tijolo.web.limit_settings import IdempotencySettings, RateLimitSettings
from tijolo.web.rate_limit_store import MemoryRateLimitStore, RateLimitStore
from tijolo.web.rate_limiter import RateLimiter

Close = Callable[[], Awaitable[object]]


class Limits:
    """The limiter and the idempotency layer of one application, and what to close after them.

    Args:
        settings: The service's; a mixin that is not there means off.
        limiter: Instead of what ``RateLimitSettings`` say.
        store: Instead of the store that ``IdempotencySettings`` name; switches keys on.
        exempt_paths: Paths that are never limited.

    Raises:
        ValueError: for a limiter beside limits in the settings.
    """

    def __init__(
        self,
        settings: object,
        *,
        limiter: RateLimiter | None,
        store: IdempotencyStore | None,
        exempt_paths: Iterable[str],
    ) -> None:
        self._close: list[Close] = []
        self.limiter = self._limiter(settings, limiter, exempt_paths)
        self.idempotency = self._idempotency(settings, store)

    def closing(self, lifecycle: AppLifecycle) -> AppLifecycle:
        """``lifecycle`` that closes after everything else what was opened here."""
        if not self._close:
            return lifecycle
        extras = [self._closer(), *lifecycle.lifespan_extras]
        return replace(lifecycle, lifespan_extras=extras)

    def _limiter(
        self, settings: object, given: RateLimiter | None, exempt_paths: Iterable[str]
    ) -> RateLimiter | None:
        if not isinstance(settings, RateLimitSettings) or not settings.RATE_LIMITS:
            return given
        if given is not None:
            raise ValueError("rate_limiter and RATE_LIMITS: give one of them")
        store: RateLimitStore
        if settings.RATE_LIMIT_REDIS_URL is None:
            store = MemoryRateLimitStore(max_keys=settings.RATE_LIMIT_MAX_KEYS)
        else:
            from tijolo.web.redis import RedisRateLimitStore, redis_client

            client = redis_client(settings.RATE_LIMIT_REDIS_URL.get_secret_value())
            self._close.append(client.aclose)
            store = RedisRateLimitStore(client, prefix=settings.RATE_LIMIT_REDIS_PREFIX)
        return RateLimiter(
            settings.RATE_LIMITS,
            algorithm=settings.RATE_LIMIT_ALGORITHM,
            store=store,
            exempt_paths=[*exempt_paths, *settings.RATE_LIMIT_EXEMPT_PATHS],
            ipv6_prefix=settings.RATE_LIMIT_IPV6_PREFIX,
            trusted_ip_header=settings.RATE_LIMIT_TRUSTED_IP_HEADER or None,
            on_store_failure=settings.RATE_LIMIT_ON_STORE_FAILURE,
        )

    def _idempotency(self, settings: object, given: IdempotencyStore | None) -> Middleware | None:
        chosen = (
            settings
            if isinstance(settings, IdempotencySettings)
            else IdempotencySettings.model_construct()
        )
        if given is None and not chosen.IDEMPOTENCY_ENABLED:
            return None
        store = self._idempotency_store(chosen) if given is None else given
        return Middleware(
            IdempotencyMiddleware,
            store=store,
            ttl_seconds=chosen.IDEMPOTENCY_TTL_SECONDS,
            lease_seconds=chosen.IDEMPOTENCY_LEASE_SECONDS,
            wait_seconds=chosen.IDEMPOTENCY_WAIT_SECONDS,
            max_request_bytes=chosen.IDEMPOTENCY_MAX_REQUEST_BYTES,
            max_response_bytes=chosen.IDEMPOTENCY_MAX_RESPONSE_BYTES,
            cookie_names=tuple(chosen.IDEMPOTENCY_COOKIE_NAMES),
            on_store_failure=chosen.IDEMPOTENCY_ON_STORE_FAILURE,
        )

    def _idempotency_store(self, settings: IdempotencySettings) -> IdempotencyStore:
        url = settings.IDEMPOTENCY_REDIS_URL
        if url is None:
            return MemoryIdempotencyStore()
        from tijolo.web.redis import RedisIdempotencyStore, redis_client

        client = redis_client(url.get_secret_value())
        self._close.append(client.aclose)
        return RedisIdempotencyStore(client, prefix=settings.IDEMPOTENCY_REDIS_PREFIX)

    def _closer(self) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
        @asynccontextmanager
        async def close_at_the_end(app: FastAPI) -> AsyncGenerator[None]:
            try:
                yield
            finally:
                for close in self._close:
                    await close()

        return close_at_the_end
