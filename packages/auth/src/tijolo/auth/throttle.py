"""How often somebody may try: a log-in, a code, a link by e-mail.

An attempt is taken before it is made, in one atomic step of a rate limit store: of fifty guesses
at once against five, five are made. Counting failures afterwards lets all fifty pass.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tijolo.core import TooManyRequestsException
from tijolo.web import GuardedRateLimitStore, RateLimit, RateLimitStore
from tijolo.web.rate_limit_keys import grouped_address

_SECOND = 1_000_000
_YEAR_SECONDS = 365 * 86_400
_log = logging.getLogger("tijolo.auth.throttle")

StoreFailure = Literal["closed", "open", "local"]
"""While the store is down: 503, let everybody try, or let each process count for itself."""


@runtime_checkable
class ThrottleBackend(RateLimitStore, Protocol):
    """Where attempts are counted: any ``RateLimitStore`` of tijolo-web, in memory or in Redis."""


@dataclass(frozen=True)
class ThrottleStatus:
    """What is known about one key."""

    attempts: int
    """How many of the attempts are used."""
    blocked: bool
    """``status``: the next attempt would be refused. ``hit``: this one was."""
    retry_after_seconds: int
    """Until an attempt is allowed, rounded up; 0 when one is allowed now."""


class AttemptThrottle:
    """So many attempts for each key, of which one comes back every ``window / max_attempts``.

    Call :meth:`raise_if_blocked` (or :meth:`hit`) before the attempt, and nothing after a
    failure; after a success, :meth:`refund` it or :meth:`reset` the key. Keys are stored as
    digests: they may be e-mail addresses, and no text from outside becomes a key.

    Args:
        backend: Such as ``MemoryRateLimitStore``, or ``RedisRateLimitStore`` for all replicas.
        max_attempts: How many at once.
        window_seconds: How long until all of them are there again.
        namespace: Keeps throttles of one store apart.
        fail_open: Let everybody try while the store is down, instead of a 503.

    Raises:
        ValueError: for a number that is not positive.
        TypeError: for a backend that is no rate limit store, such as a Redis client.
    """

    def __init__(
        self,
        backend: ThrottleBackend,
        *,
        max_attempts: int,
        window_seconds: float,
        namespace: str = "throttle",
        fail_open: bool = False,
    ) -> None:
        self.max_attempts = max_attempts
        self.window_seconds = window_seconds
        self._limit = RateLimit(max_attempts, window_seconds)
        self._namespace = namespace
        self._store = _guarded(backend, namespace, "open" if fail_open else "closed")

    async def status(self, key: str) -> ThrottleStatus:
        """What ``key`` has used, without using any.

        Raises:
            ServiceUnavailableException: The store is down, and does not fail open.
        """
        return await self._reserve(key, 0)

    async def hit(self, key: str) -> ThrottleStatus:
        """Take one attempt; where ``blocked``, there was none, and it must not be made.

        Raises:
            ServiceUnavailableException: The store is down, and does not fail open.
        """
        return await self._reserve(key, 1)

    async def raise_if_blocked(self, key: str, *, message: str | None = None) -> ThrottleStatus:
        """Take one attempt, or refuse it.

        Args:
            message: Of the 429.

        Raises:
            TooManyRequestsException: There is none left; says when there will be.
            ServiceUnavailableException: The store is down, and does not fail open.
        """
        status = await self.hit(key)
        if status.blocked:
            raise _refusal(status.retry_after_seconds, message)
        return status

    async def refund(self, key: str) -> bool:
        """Give one attempt back, as of a success; False where the store is down."""
        return await self._store.refund(self._key(key), (self._limit,))

    async def reset(self, key: str) -> bool:
        """Forget all attempts of ``key``; False where the store is down."""
        return await self._store.reset(self._key(key))

    async def _reserve(self, key: str, cost: int) -> ThrottleStatus:
        reservation = await self._store.reserve(self._key(key), (self._limit,), cost)
        if reservation is None:
            return ThrottleStatus(0, blocked=False, retry_after_seconds=0)
        (state,) = reservation.states
        used = self.max_attempts - state.remaining
        if cost and reservation.allowed:
            return ThrottleStatus(used, blocked=False, retry_after_seconds=0)
        # a reservation of nothing is never refused and so does not say how long to wait
        wait = state.reset_us + self._limit.interval_us - self._limit.window_us
        return ThrottleStatus(used, blocked=wait > 0, retry_after_seconds=_seconds(max(0, wait)))

    def _key(self, key: str) -> str:
        return f"{self._namespace}:{_digest(key)}"


class LoginThrottleSettings(BaseSettings):
    """How often a password may be tried, and an e-mail asked for."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    AUTH_LOGIN_MAX_PER_ACCOUNT: int = Field(default=10, ge=1)
    AUTH_LOGIN_ACCOUNT_WINDOW_SECONDS: int = Field(default=900, ge=1)
    AUTH_LOGIN_MAX_PER_ADDRESS: int = Field(default=50, ge=1)
    """An address may be that of a whole office."""
    AUTH_LOGIN_ADDRESS_WINDOW_SECONDS: int = Field(default=900, ge=1)
    AUTH_LOGIN_MAX_CONSECUTIVE_FAILURES: int = Field(default=100, ge=1, le=100)
    """Without a success in between (NIST SP 800-63B-4, section 3.2.2); then a password reset."""
    AUTH_LOGIN_ON_STORE_FAILURE: StoreFailure = "closed"
    """Without Redis: nobody can log in, everybody may guess, or each process counts."""
    AUTH_MAIL_MAX_PER_ACCOUNT: int = Field(default=5, ge=1)
    """E-mails that strangers can have sent to one address: sign-up, activation, reset."""
    AUTH_MAIL_ACCOUNT_WINDOW_SECONDS: int = Field(default=3600, ge=1)
    AUTH_MAIL_MAX_PER_ADDRESS: int = Field(default=30, ge=1)
    AUTH_MAIL_ADDRESS_WINDOW_SECONDS: int = Field(default=3600, ge=1)
    AUTH_MAIL_ON_STORE_FAILURE: StoreFailure = "local"
    AUTH_THROTTLE_IPV6_PREFIX: int = Field(default=64, ge=16, le=128)
    """Bits of an IPv6 address that name a client."""


class _ByAccountAndAddress:
    """Attempts of one account, wherever they come from, and from one address, on any account."""

    def __init__(
        self,
        store: ThrottleBackend,
        *,
        of_account: tuple[RateLimit, ...],
        of_address: RateLimit,
        ipv6_prefix: int,
        on_failure: StoreFailure,
        namespace: str,
    ) -> None:
        self._store = _guarded(store, namespace, on_failure)
        self._of_account = of_account
        self._of_address = of_address
        self._ipv6_prefix = ipv6_prefix
        self._namespace = namespace
        self._warned = False

    async def reserve(self, account: str, *, address: str | None = None) -> None:
        """Take one attempt, or refuse it; the address' first, so that who is refused by it uses
        nothing of the account's.

        Args:
            account: What was typed as the user's name, in its canonical form, whether there is
                such an account or not: a refusal must not say that.
            address: The client's, as ``tijolo.web.get_client_ip`` tells it behind the trusted
                proxies; None, where nobody knows it, is not counted.

        Raises:
            TooManyRequestsException: There is none left; says when there will be.
            ServiceUnavailableException: The store is down, and the settings say ``closed``.
        """
        group = None if address is None else grouped_address(address, self._ipv6_prefix)
        if group is None:
            self._warn_of_unknown_address()
        else:
            await self._take(self._key("address", group), (self._of_address,))
        await self._take(self._key("account", account), self._of_account)

    async def refund(self, account: str) -> bool:
        """Give the account's attempt back, which was not made; the address' stays used.

        Returns:
            False where the store is down.
        """
        return await self._store.refund(self._key("account", account), self._of_account)

    async def reset(self, account: str) -> bool:
        """Forget the account's attempts, as after a password reset; False if the store is down."""
        return await self._store.reset(self._key("account", account))

    async def _take(self, key: str, limits: tuple[RateLimit, ...]) -> None:
        reservation = await self._store.reserve(key, limits)
        if reservation is not None and not reservation.allowed:
            raise _refusal(_seconds(max(state.wait_us for state in reservation.states)), None)

    def _key(self, kind: str, name: str) -> str:
        return f"{self._namespace}:{kind}:{_digest(name)}"

    def _warn_of_unknown_address(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "attempts of a client whose address nobody knows are counted by account alone;"
                " behind a proxy or a unix socket, set TRUSTED_PROXIES (said once)"
            )


class LoginThrottle(_ByAccountAndAddress):
    """Log-ins of one account, wherever they come from, and from one address, on any account.

    Both are taken before the password is looked at. A success gives back the account's attempt
    and ends its row of failures. It never gives back the address': an attacker with an account
    of their own would clear it between guesses.

    Args:
        store: Of tijolo-web, in memory or in Redis.
        settings: The numbers.
        namespace: Keeps throttles of one store apart.

    Raises:
        TypeError: for what is no rate limit store.
    """

    def __init__(
        self,
        store: ThrottleBackend,
        settings: LoginThrottleSettings | None = None,
        *,
        namespace: str = "login",
    ) -> None:
        # without the environment: that is the application's to read
        chosen = settings or LoginThrottleSettings.model_construct()
        self._at_once = RateLimit(
            chosen.AUTH_LOGIN_MAX_PER_ACCOUNT, chosen.AUTH_LOGIN_ACCOUNT_WINDOW_SECONDS
        )
        # every record ends by itself, so the row does too: one failure is forgiven in four days
        self._in_a_row = RateLimit(chosen.AUTH_LOGIN_MAX_CONSECUTIVE_FAILURES, _YEAR_SECONDS)
        super().__init__(
            store,
            of_account=(self._at_once, self._in_a_row),
            of_address=RateLimit(
                chosen.AUTH_LOGIN_MAX_PER_ADDRESS, chosen.AUTH_LOGIN_ADDRESS_WINDOW_SECONDS
            ),
            ipv6_prefix=chosen.AUTH_THROTTLE_IPV6_PREFIX,
            on_failure=chosen.AUTH_LOGIN_ON_STORE_FAILURE,
            namespace=namespace,
        )

    async def succeeded(self, account: str) -> bool:
        """Give the account's attempt back and end its row of failures; the address' stays used.

        Returns:
            False where the store is down: the log-in goes on all the same.
        """
        key, row = self._key("account", account), self._in_a_row
        refunded = await self._store.refund(key, (self._at_once,))
        return refunded and await self._store.refund(key, (row,), row.quota)


class MailThrottle(_ByAccountAndAddress):
    """E-mails that strangers can have sent: to one address, and from one client to any.

    Args:
        store: As :class:`LoginThrottle` takes it.
        settings: The numbers.
        namespace: Keeps throttles of one store apart.

    Raises:
        TypeError: for what is no rate limit store.
    """

    def __init__(
        self,
        store: ThrottleBackend,
        settings: LoginThrottleSettings | None = None,
        *,
        namespace: str = "mail",
    ) -> None:
        chosen = settings or LoginThrottleSettings.model_construct()
        super().__init__(
            store,
            of_account=(
                RateLimit(
                    chosen.AUTH_MAIL_MAX_PER_ACCOUNT, chosen.AUTH_MAIL_ACCOUNT_WINDOW_SECONDS
                ),
            ),
            of_address=RateLimit(
                chosen.AUTH_MAIL_MAX_PER_ADDRESS, chosen.AUTH_MAIL_ADDRESS_WINDOW_SECONDS
            ),
            ipv6_prefix=chosen.AUTH_THROTTLE_IPV6_PREFIX,
            on_failure=chosen.AUTH_MAIL_ON_STORE_FAILURE,
            namespace=namespace,
        )


def _guarded(store: object, namespace: str, on_failure: StoreFailure) -> GuardedRateLimitStore:
    if not isinstance(store, RateLimitStore):
        raise TypeError(
            f"a throttle counts in a RateLimitStore, got {type(store).__name__}; wrap a Redis"
            " client in tijolo.web.redis.RedisRateLimitStore"
        )
    if not namespace:
        raise ValueError("namespace must not be empty: other throttles share the store")
    return GuardedRateLimitStore(store, name=namespace, on_failure=on_failure)


def _refusal(seconds: int, message: str | None) -> TooManyRequestsException:
    text = "Too many attempts; try again later" if message is None else message
    return TooManyRequestsException(text, retry_after_seconds=max(1, seconds))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _seconds(microseconds: int) -> int:
    return -(-microseconds // _SECOND)
