"""The check of one delivery: its signature, its age, and whether it was here before."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypedDict, TypeVar
from urllib.parse import quote

from starlette.background import BackgroundTasks
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import Scope as ASGIScope

from tijolo.web._exchange import EXCHANGE_KEY, Exchange
from tijolo.web._logging import with_request_id
from tijolo.web.body_limit import RequestBodyTooLargeException
from tijolo.web.webhooks.errors import (
    InvalidWebhookException,
    WebhookAlreadyHandled,
    WebhookInProgressException,
)
from tijolo.web.webhooks.replay import DeliveryState, ReplayStore

DEFAULT_TOLERANCE_SECONDS = 300
DEFAULT_FUTURE_SKEW_SECONDS = 30
MAX_SIGNATURES = 16

KeyT = TypeVar("KeyT")

_log = with_request_id(logging.getLogger("tijolo.web.webhooks"))
_undone: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One delivery as it came in: the bytes of the body, not what a parser made of them."""

    body: bytes
    headers: Headers
    query: QueryParams
    url: str = ""
    """The whole address that the sender called, for schemes that sign it."""

    def header(self, name: str) -> str:
        """The value of the one header of this name.

        Raises:
            InvalidWebhookException: when there is none, or more than one: which of them was
                meant would be a guess.
        """
        values = self.headers.getlist(name)
        if len(values) != 1:
            raise InvalidWebhookException(f"{len(values)} headers {name}")
        return values[0].strip()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a scheme reads out of a delivery: the signatures, and the bytes that they sign."""

    signatures: Sequence[bytes]
    contents: Sequence[bytes]
    """What may have been signed, mostly one thing; the signature has to fit one of them."""
    timestamp: float | None = None
    """Seconds since the epoch. Only for one that is part of ``contents``."""
    message_id: str | None = None
    """Name of the delivery, the same in each repetition. Only if it is part of ``contents``."""
    key_id: str | None = None
    """Which key the sender used; None tries every key."""


class Scheme(Protocol):
    """Reads a :class:`Claim`; raises :class:`InvalidWebhookException` for a malformed delivery."""

    def __call__(self, delivery: Delivery) -> Claim:
        """Read the claim."""
        ...


class Keys(Protocol):
    """The sender's keys, of which several may be valid at a time."""

    def matching(self, claim: Claim) -> str | None:
        """Name of the key that made one of the signatures; None if none did."""
        ...


def first_matching(
    keys: Mapping[str, KeyT], claim: Claim, fits: Callable[[KeyT, bytes, Sequence[bytes]], bool]
) -> str | None:
    """Name of the first key that made one of the signatures; only the one that the claim names.

    Args:
        fits: Whether a key made one of the signatures (third) of a content (second).
    """
    for name, key in keys.items():
        if claim.key_id is None or claim.key_id == name:
            for content in claim.contents:
                if fits(key, content, claim.signatures):
                    return name
    return None


class Options(TypedDict, total=False):
    """The options of :class:`WebhookVerifier` that every preset passes on."""

    tolerance_seconds: float | None
    future_skew_seconds: float
    replay_store: ReplayStore | None
    replay_ttl_seconds: float
    lease_seconds: float
    max_body_bytes: int
    clock: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class VerifiedWebhook:
    """A delivery that the holder of the key has sent."""

    body: bytes
    key_id: str
    """Name of the key that signed: tells when an old one is out of use."""
    replay_key: str
    """The same for each repetition of the delivery; only the signer can choose it."""
    message_id: str | None = None
    timestamp: datetime | None = None


class WebhookVerifier:
    """Checks deliveries by a scheme and keys; the presets are ready-made ones.

    Use it as a dependency, ``body: Annotated[bytes, Depends(verifier.dependency())]``, or call
    :meth:`check` with what another framework has received.

    Args:
        scheme: Where the signature is, and what it signs.
        keys: The sender's keys.
        tolerance_seconds: Greatest age of a signed timestamp; None accepts any age.
        future_skew_seconds: How far a timestamp may lie ahead, for clocks that differ. The two
            are apart on purpose: one limit for both would double the time in which a delivery
            can be repeated.
        replay_store: Runs each delivery once. Without one, a delivery can be repeated as long as
            its timestamp is young enough, or for ever where the scheme has none.
        replay_ttl_seconds: How long a delivery without a timestamp is remembered; one with a
            timestamp is remembered until it is too old.
        lease_seconds: Longest time that a handler may take before its delivery may run again.
        max_body_bytes: Longest body that is read.
        sender: Name that keeps the deliveries of one sender apart from another's in a store that
            both share.
        clock: Seconds since the epoch.

    Raises:
        ValueError: for a limit that makes no sense.
    """

    def __init__(
        self,
        scheme: Scheme,
        keys: Keys,
        *,
        sender: str = "",
        tolerance_seconds: float | None = DEFAULT_TOLERANCE_SECONDS,
        future_skew_seconds: float = DEFAULT_FUTURE_SKEW_SECONDS,
        replay_store: ReplayStore | None = None,
        replay_ttl_seconds: float = 86_400,
        lease_seconds: float = 60,
        max_body_bytes: int = 1_048_576,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if tolerance_seconds is not None and not 0 < tolerance_seconds < math.inf:
            raise ValueError(f"tolerance_seconds must be positive or None, got {tolerance_seconds}")
        for name, value in (
            ("future_skew_seconds", future_skew_seconds),
            ("max_body_bytes", max_body_bytes),
        ):
            if not 0 <= value < math.inf:  # nor NaN, beside which no age is too old
                raise ValueError(f"{name} must be 0 or more, got {value}")
        for name, value in (
            ("replay_ttl_seconds", replay_ttl_seconds),
            ("lease_seconds", lease_seconds),
        ):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value}")
        self._scheme = scheme
        self._keys = keys
        self.sender = sender
        self.tolerance_seconds = tolerance_seconds
        self.future_skew_seconds = future_skew_seconds
        self.replay_store = replay_store
        self.replay_ttl_seconds = replay_ttl_seconds
        self.lease_seconds = lease_seconds
        self.max_body_bytes = max_body_bytes
        self._clock = clock

    def check(self, delivery: Delivery) -> VerifiedWebhook:
        """Check signature and age; a replay store is not asked.

        Raises:
            InvalidWebhookException: for anything that does not hold. No input makes it raise
                anything else.
        """
        claim = self._scheme(delivery)
        if not 0 < len(claim.signatures) <= MAX_SIGNATURES:
            raise InvalidWebhookException(f"{len(claim.signatures)} signatures")
        key_id = self._keys.matching(claim)
        if key_id is None:
            raise InvalidWebhookException("no key fits")
        if claim.timestamp is not None:
            self._check_age(claim.timestamp)
        return VerifiedWebhook(
            body=delivery.body,
            key_id=key_id,
            replay_key=_replay_key(self.sender, claim),
            message_id=claim.message_id,
            timestamp=_moment(claim.timestamp),
        )

    async def check_request(self, request: Request) -> VerifiedWebhook:
        """Read the body, which the handler can read again, and :meth:`check`.

        Raises:
            InvalidWebhookException: as :meth:`check` does.
            RequestBodyTooLargeException: for more than ``max_body_bytes``.
        """
        delivery = Delivery(
            body=await _read_body(request, self.max_body_bytes),
            headers=request.headers,
            query=request.query_params,
            url=_address(request.scope),
        )
        try:
            return self.check(delivery)
        except InvalidWebhookException as exc:
            _log.info("webhook refused: %s", exc.reason)
            raise

    def dependency(self, *, error_message: str = "Invalid webhook signature") -> Callable[..., Any]:
        """A FastAPI dependency whose value is the raw body.

        With a replay store it reserves the delivery, and keeps it if the handler returns: answer
        a failure by raising, so that the sender's next try runs. Without a store it is a
        coroutine function that may also be awaited directly.
        """
        if self.replay_store is None:
            return self._plain_dependency(error_message)
        store = self.replay_store

        async def verified_once(request: Request, tasks: BackgroundTasks) -> AsyncGenerator[bytes]:
            webhook = await self._checked(request, error_message)
            key, holder, noted = webhook.replay_key, secrets.token_hex(8), False
            await self._reserve(store, webhook, holder)

            async def note() -> None:
                nonlocal noted
                if not noted:
                    noted = True
                    remembered = self._remembered_seconds(webhook)
                    await _to_the_end(store.complete(key, ttl_seconds=remembered))

            # once the answer is out and before the handler's own tasks: one of these that fails,
            # or takes longer than the lease, does not make the delivery run again
            tasks.add_task(note)
            try:
                yield webhook.body
            except BaseException:
                if _answered(request.scope):
                    await note()
                elif not noted:
                    await _to_the_end(store.release(key, holder))
                raise
            await note()

        return verified_once

    def webhook_dependency(self) -> Callable[[Request], Coroutine[Any, Any, VerifiedWebhook]]:
        """A FastAPI dependency that tells more than the body, and does not ask the store.

        Raises, when it is called:
            InvalidWebhookException: as :meth:`check_request` does.
        """

        async def verified(request: Request) -> VerifiedWebhook:
            return await self.check_request(request)

        return verified

    def _plain_dependency(self, error_message: str) -> Callable[..., Any]:
        async def verified(request: Request) -> bytes:
            return (await self._checked(request, error_message)).body

        return verified

    async def _checked(self, request: Request, error_message: str) -> VerifiedWebhook:
        try:
            return await self.check_request(request)
        except InvalidWebhookException as exc:
            raise InvalidWebhookException(exc.reason, message=error_message) from None

    async def _reserve(self, store: ReplayStore, webhook: VerifiedWebhook, holder: str) -> None:
        key, lease = webhook.replay_key, self.lease_seconds
        state = await store.reserve(key, holder, lease_seconds=lease)
        if state is DeliveryState.IN_PROGRESS:
            raise WebhookInProgressException(round(self.lease_seconds))
        if state is DeliveryState.HANDLED:
            _log.info("webhook handled before")
            raise WebhookAlreadyHandled

    def _check_age(self, timestamp: float) -> None:
        age = self._clock() - timestamp
        if not age >= -self.future_skew_seconds:  # NaN, of a scheme of somebody's own, is no age
            raise InvalidWebhookException("from the future")
        if self.tolerance_seconds is not None and age > self.tolerance_seconds:
            raise InvalidWebhookException("too old")

    def _remembered_seconds(self, webhook: VerifiedWebhook) -> float:
        if webhook.timestamp is None or self.tolerance_seconds is None:
            return self.replay_ttl_seconds
        # a sender's next try of the same message has a new timestamp, so that its id, where
        # there is one, outlives the window
        window = self.tolerance_seconds + self.future_skew_seconds
        return max(window, self.replay_ttl_seconds if webhook.message_id else 0)


def _answered(scope: ASGIScope) -> bool:
    """Whether the whole answer is out, as far as the layers around the application know."""
    exchange: Exchange | None = scope.get(EXCHANGE_KEY)
    return exchange is not None and exchange.finished


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if len(declared) > 19 or (declared.isascii() and declared.isdigit() and int(declared) > limit):
        raise RequestBodyTooLargeException(details={"max_bytes": limit})
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestBodyTooLargeException(details={"max_bytes": limit})
    # where Request.body() keeps it, so that the handler may still call body(), json() or form()
    request._body = bytes(body)  # pyright: ignore[reportPrivateUsage]
    return request._body  # pyright: ignore[reportPrivateUsage]


def _address(scope: ASGIScope) -> str:
    """The address as it was asked for, its path still encoded."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    query: bytes = scope["query_string"]
    asked = host + path.partition(b"?")[0] + (b"?" + query if query else b"")
    return f"{scope.get('scheme', 'http')}://{asked.decode('latin-1')}"


def _replay_key(sender: str, claim: Claim) -> str:
    """Of signed things only: an unsigned id would be changed to run the delivery again."""
    if claim.message_id:
        kind, signed = "id", claim.message_id.encode("utf-8", "surrogatepass")
    else:
        kind, signed = "content", claim.contents[0]
    return hashlib.sha256(f"{sender}:{kind}:".encode() + signed).hexdigest()


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` even if the request's own task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    _undone.add(task)
    task.add_done_callback(_undone.discard)
    await asyncio.shield(task)
