"""An issuer's public keys (RFC 7517): published by it, fetched and remembered by its consumers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Response

from tijolo.auth.fetching import Fetch, FetchError, FetchRequest, FetchResponse, check_url
from tijolo.auth.key_ring import KeyRing, find_key
from tijolo.auth.keys import ALGORITHMS, InvalidKeyError, KeySizeError, TokenKey
from tijolo.core import ServiceUnavailableException

JWKS_PATH = "/.well-known/jwks.json"
_IMPATIENT_SECONDS = 1.0
_MEDIA_TYPE = "application/jwk-set+json"
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?=$|[\s,])", re.IGNORECASE)
_ASYMMETRIC = frozenset(name for name in ALGORITHMS if not name.startswith("HS"))
_log = logging.getLogger("tijolo.auth.jwks")


class KeysUnavailableException(ServiceUnavailableException):
    """The issuer's keys have not been read, or not for too long: no token can be told good."""

    code = "TOKEN_KEYS_UNAVAILABLE"
    message = "Tokens cannot be verified now; try again"


_PUBLISHED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A JWK set (RFC 7517, section 5).",
        "content": {
            _MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["keys"],
                    "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                }
            }
        },
    },
    304: {"description": "The set is the one of `If-None-Match`."},
}


def make_jwks_router(
    keys: KeyRing,
    *,
    path: str = JWKS_PATH,
    max_age_seconds: int = 300,
    tags: list[str] | None = None,
) -> APIRouter:
    """A router with the public keys of ``keys``: those published ahead, signing and retiring.

    Args:
        keys: The issuer's; symmetric ones are never shown.
        path: Where.
        max_age_seconds: How long consumers may keep the answer. A new key is published this
            long, and a consumer's own patience, before it signs.
        tags: For OpenAPI.

    Raises:
        ValueError: when all keys are symmetric: there is nothing to publish.
    """
    if all(key.is_symmetric for key in keys.keys):
        raise ValueError("these keys are all secrets; a JWKS publishes those of RS256, ES256, ...")
    router = APIRouter(tags=list(tags or ["auth"]))
    control = f"public, max-age={max_age_seconds}, stale-while-revalidate={max_age_seconds}"

    async def jwks(if_none_match: Annotated[str | None, Header()] = None) -> Response:
        body = json.dumps({"keys": [key.to_jwk() for key in keys.published()]}).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"Cache-Control": control, "ETag": etag}
        if _matches(if_none_match, etag):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=_MEDIA_TYPE, headers=headers)

    router.add_api_route(
        path,
        jwks,
        name="jwks",
        response_class=Response,
        summary="Public keys of the tokens",
        responses=_PUBLISHED,
    )
    # RFC 9110, section 9.3.2: what answers GET answers HEAD; the server leaves the body out
    router.add_api_route(path, jwks, methods=["HEAD"], include_in_schema=False)
    return router


class JWKSClient:
    """The public keys of another service, as a key source for ``TokenVerifier``.

    Keys are fetched once for everybody who waits, believed for ``fresh_seconds`` (or the
    answer's shorter ``max-age``), and then renewed in the background while the old ones serve.
    An unknown ``kid`` asks again at once, but only one in ``cooldown_seconds`` does: made-up ids
    cost the issuer next to nothing, and are no good token until then. When it stays silent, its
    keys are believed for ``max_stale_seconds``; without any it is asked every second.

    Keys of kinds or algorithms that are not used here are skipped. It is a ``Resource``; where it
    is not connected, the first token fetches.

    Args:
        url: Of the JWKS.
        fetch: How it is fetched.
        algorithms: Which may be believed; never those of HMAC.
        fresh_seconds: Age at which keys are renewed.
        max_stale_seconds: Age at which keys that could not be renewed are dropped.
        cooldown_seconds: Least time between two renewals, and between two unknown ids that ask.
        timeout_seconds: Longest wait for one.
        max_bytes: Largest document.
        max_keys: How many keys of it are read.
        clock: Monotonic seconds.

    Raises:
        ValueError: for a URL that is none, an algorithm that is no asymmetric one, or times that
            contradict each other.
    """

    def __init__(
        self,
        url: str,
        fetch: Fetch,
        *,
        algorithms: Iterable[str] = _ASYMMETRIC,
        fresh_seconds: float = 300,
        max_stale_seconds: float = 86_400,
        cooldown_seconds: float = 10,
        timeout_seconds: float = 5,
        max_bytes: int = 65_536,
        max_keys: int = 50,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = check_url(url, "the JWKS URL")
        self.algorithms = frozenset(algorithms)
        if not self.algorithms or not self.algorithms <= _ASYMMETRIC:
            raise ValueError(f"algorithms must be some of {sorted(_ASYMMETRIC)}")
        if not 0 < cooldown_seconds <= fresh_seconds <= max_stale_seconds or timeout_seconds <= 0:
            raise ValueError(
                "needs 0 < cooldown_seconds <= fresh_seconds <= max_stale_seconds and a timeout"
            )
        self._fetch = fetch
        self._fresh, self._max_stale = fresh_seconds, max_stale_seconds
        self._cooldown, self._timeout = cooldown_seconds, timeout_seconds
        self._max_bytes, self._max_keys = max_bytes, max_keys
        self._clock = clock
        self._keys: dict[str, TokenKey] = {}
        self._version = 0
        self._etag: str | None = None
        self._renew_at = self._drop_at = self._may_renew_at = self._may_look_at = float("-inf")
        self._task: asyncio.Task[bool] | None = None
        self._down = False

    def __repr__(self) -> str:
        return f"JWKSClient({self.url!r}, keys={sorted(self._keys)})"

    async def connect(self) -> None:
        """Fetch the keys. An issuer that is down is logged, and asked again by the first token."""
        await self._refreshed()

    async def disconnect(self) -> None:
        """Stop a fetch that is under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def health_check(self) -> bool:
        """Whether there are keys to verify with."""
        self.version()
        return bool(self._keys)

    def version(self) -> int:
        """Counts changes of the keys; starts a renewal when they are due for one."""
        now = self._clock()
        if now >= self._renew_at:
            if now >= self._drop_at and self._keys:
                self._take({}, None)
            if self._keys and now >= self._may_renew_at:
                # old keys serve while this runs
                with contextlib.suppress(RuntimeError):  # no event loop: the next request
                    self._start()
        return self._version

    def find(self, kid: str | None, algorithm: str) -> TokenKey | None:
        """The key of that id and algorithm; without an id, the only one."""
        return find_key(self._keys, kid, algorithm, 0.0)

    async def refresh(self) -> bool:
        """Fetch for a key that is not there; whether the keys have changed.

        It is not done twice in ``cooldown_seconds``. A renewal a moment ago is no hindrance: it may
        have come just before the issuer changed its keys.

        Raises:
            KeysUnavailableException: There are no keys at all.
        """
        before = self._version
        await self._refreshed()
        if not self._keys:
            raise KeysUnavailableException(retry_after_seconds=1)
        return self._version != before

    async def _refreshed(self) -> None:
        running = self._task is not None and not self._task.done()
        if running or self._may_ask():
            # whoever gives up does not take the others' answer away, nor does disconnect() end them
            await asyncio.wait([self._start()])

    def _may_ask(self) -> bool:
        now = self._clock()
        if not self._keys:
            return now >= self._may_renew_at
        if now < self._may_look_at:
            return False
        self._may_look_at = now + self._cooldown
        return True

    def _start(self) -> asyncio.Task[bool]:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._load())
        return self._task

    async def _load(self) -> bool:
        self._may_renew_at = self._clock() + self._cooldown
        headers = {"Accept": f"{_MEDIA_TYPE}, application/json"}
        if self._etag and self._keys:
            headers["If-None-Match"] = self._etag
        request = FetchRequest(
            url=self.url,
            headers=headers,
            timeout_seconds=self._timeout,
            max_bytes=self._max_bytes,
        )
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._fetch(request)
            keys = self._read(response)
        except Exception as error:
            self._failed(error)
            return False
        self._succeeded(response)
        if keys is not None:
            self._take(keys, response.headers.get("etag"))
        return True

    def _read(self, response: FetchResponse) -> dict[str, TokenKey] | None:
        """The keys of an answer; None where it says that they are the same."""
        if response.status == 304 and self._keys:
            return None
        if response.status != 200:
            raise FetchError(f"status {response.status}")
        if len(response.body) > self._max_bytes:
            raise FetchError(f"the document is larger than {self._max_bytes} bytes")
        keys = read_jwks(response.body, algorithms=self.algorithms, max_keys=self._max_keys)
        if not keys:
            raise FetchError("the document has no key that can be used here")
        return keys

    def _take(self, keys: dict[str, TokenKey], etag: str | None) -> None:
        before = {kid: key.to_jwk() for kid, key in self._keys.items()}
        after = {kid: key.to_jwk() for kid, key in keys.items()}
        self._etag = etag
        if before != after:
            self._keys = keys
            self._version += 1

    def _succeeded(self, response: FetchResponse) -> None:
        now = self._clock()
        found = _MAX_AGE.search(response.headers.get("cache-control", ""))
        age = min(self._fresh, int(found[1])) if found else self._fresh
        self._renew_at = now + max(age, self._cooldown)
        self._drop_at = now + self._max_stale
        if self._down:
            self._down = False
            _log.warning("keys are read again from %s", self.url)

    def _failed(self, error: Exception) -> None:
        if not self._keys:  # an issuer that starts after us should not be waited for long
            self._may_renew_at = min(self._may_renew_at, self._clock() + _IMPATIENT_SECONDS)
        if not self._down:
            self._down = True
            state = "the old ones serve" if self._keys else "no token can be verified"
            _log.error("keys cannot be read from %s (%s); %s", self.url, _reason(error), state)


def read_jwks(
    document: bytes, *, algorithms: Iterable[str] = _ASYMMETRIC, max_keys: int = 50
) -> dict[str, TokenKey]:
    """The keys of a JWKS that can be used here, by id; others are skipped.

    Raises:
        FetchError: for what is no JWKS.
    """
    try:
        parsed: object = json.loads(document)
    except (ValueError, RecursionError):
        raise FetchError("the document is no JSON") from None
    entries = cast("dict[str, Any]", parsed).get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise FetchError("the document is no JWKS: it has no list of keys")
    allowed = frozenset(algorithms)
    keys: dict[str, TokenKey] = {}
    for entry in cast("list[object]", entries)[:max_keys]:
        jwk = cast("dict[str, Any]", entry if isinstance(entry, dict) else {})
        try:
            key = TokenKey.from_jwk(jwk)
        except KeySizeError as error:  # the issuer signs with it, and wonders
            _log.warning("the key %.64r of a JWKS is skipped: %s", jwk.get("kid"), error)
            continue
        except InvalidKeyError as error:
            _log.debug("a key is skipped: %s", error)
            continue
        if key.algorithm in allowed:
            keys.setdefault(key.kid, key)
    return keys


def _reason(error: Exception) -> str:
    # our own errors name no content of the answer
    return str(error) if isinstance(error, FetchError) else type(error).__name__


def _matches(header: str | None, etag: str) -> bool:
    given = [item.strip().removeprefix("W/") for item in (header or "").split(",")]
    return etag in given or given == ["*"]
