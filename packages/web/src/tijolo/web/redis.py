"""Rate limits and idempotency keys that several processes share, in Redis (extra ``redis``).

Each operation is one script: one round trip, atomic, on the server's clock. A client that is
handed over stays its owner's to close.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, cast

from tijolo.core import MissingExtraError
from tijolo.web.idempotency_store import ReservationState
from tijolo.web.rate_limit_store import Limits, Reservation
from tijolo.web.rate_limits import LimitState, check_units

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import NoScriptError, ReadOnlyError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ImportError as exc:  # pragma: no cover - the isolated environment of the wheel tests
    raise MissingExtraError("tijolo-web", "redis", "redis") from exc

DEFAULT_TIMEOUT_SECONDS = 0.5
MAX_CONCURRENT_CALLS = 32
_RECONNECT = (RedisConnectionError, ReadOnlyError)

_SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = tonumber(ARGV[1])
local count = (#ARGV - 1) / 5
local fields = {}
for i = 1, count do fields[i] = ARGV[i * 5 - 3] end
local stored = redis.call('HMGET', KEYS[1], unpack(fields))

local function spend_gcra(value, quota, window, interval, cost)
  local full_at = tonumber(value or 0)
  if full_at < now then full_at = now end
  if full_at > now + window then full_at = now + window end
  local after = full_at + cost * interval
  local wait = after - now - window
  if wait <= 0 then
    return true, math.floor(-wait / interval), 0, after - now, string.format('%.0f', after), after
  end
  if cost > quota then wait = -1 end
  return false, math.floor((now + window - full_at) / interval), wait, full_at - now
end

local function spend_sliding(value, quota, window, interval, cost)
  local start, used, before = now, 0, 0
  if value then
    local a, b, c = string.match(value, '^(%d+) (%d+) (%d+)$')
    start, used, before = tonumber(a), tonumber(b), tonumber(c)
    local passed = math.floor((now - start) / window)
    if passed < 0 then start = now
    elseif passed == 1 then start, used, before = start + window, 0, used
    elseif passed > 1 then start, used, before = now, 0, 0 end
  end
  local free = quota - used - before * (start + window - now) / window
  -- quotients of whole numbers: exact to far less than a millionth of a unit
  if cost <= free + 0.000001 then
    used = used + cost
    local ends = start
    if used > 0 then ends = start + 2 * window elseif before > 0 then ends = start + window end
    local left = math.max(0, math.floor(free - cost + 0.000001))
    local text = string.format('%.0f %.0f %.0f', start, used, before)
    return true, left, 0, math.max(0, ends - now), text, ends
  end
  local room, wait = quota - cost, -1
  if room >= 0 and used <= room then
    wait = start + window - math.floor((room - used) * window / before) - now
  elseif room >= 0 then
    wait = start + 2 * window - math.floor(room * window / used) - now
  end
  local ends = start + window
  if used > 0 then ends = ends + window end
  return false, math.max(0, math.floor(free + 0.000001)), wait, ends - now
end

local function spend(i, cost)
  local a = i * 5 - 3
  local step = ARGV[a + 1] == 'gcra' and spend_gcra or spend_sliding
  local value = stored[i]
  return step(value, tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), cost)
end

local allowed, answer, write, last = 1, {1}, {}, 0
for i = 1, count do
  local ok, left, wait, reset, text, ends = spend(i, cost)
  if not ok then allowed = 0 else
    write[#write + 1] = fields[i]
    write[#write + 1] = text
    if ends > last then last = ends end
  end
  answer[i * 3 - 1], answer[i * 3], answer[i * 3 + 1] = left, wait, reset
end
if allowed == 0 then
  for i = 1, count do
    if answer[i * 3] == 0 then
      local _, left, _, reset = spend(i, 0)
      answer[i * 3 - 1], answer[i * 3 + 1] = left, reset
    end
  end
elseif cost > 0 then
  redis.call('HSET', KEYS[1], unpack(write))
  local life = math.ceil((last - now) / 1000) + 1
  -- never shorter: the key may hold a longer window of other limits
  if redis.call('PTTL', KEYS[1]) < life then redis.call('PEXPIRE', KEYS[1], life) end
end
answer[1] = allowed
return answer
"""

_GIVE_BACK = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost = tonumber(ARGV[1])
for a = 2, #ARGV, 5 do
  local value = redis.call('HGET', KEYS[1], ARGV[a])
  if value then
    if ARGV[a + 1] == 'gcra' then
      local full_at = math.max(now, tonumber(value) - cost * tonumber(ARGV[a + 4]))
      value = string.format('%.0f', full_at)
    else
      local start, used, before = string.match(value, '^(%d+) (%d+) (%d+)$')
      local passed = math.floor((now - start) / tonumber(ARGV[a + 3]))
      -- units of a window that is over weigh less already and are not given back
      if passed <= 0 then used = math.max(0, used - cost) end
      value = string.format('%.0f %.0f %.0f', start, used, before)
    end
    -- the time to live stays: it is enough for what was used before
    redis.call('HSET', KEYS[1], ARGV[a], value)
  end
end
return 1
"""

_RESERVE = """
local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'owner', 'answer')
if not found[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'owner', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'acquired'}
end
if found[1] ~= ARGV[1] then return {'mismatch'} end
if found[3] then return {'completed', found[3]} end
if found[2] == ARGV[2] then return {'acquired'} end
return {'running'}
"""

_RENEW = """
local found = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if found[1] ~= ARGV[1] or found[2] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_COMPLETE = """
local found = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if found[1] and found[1] ~= ARGV[2] then return 0 end
if found[2] then return 1 end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'owner', ARGV[2], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""

_RELEASE = """
local found = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if found[1] ~= ARGV[1] or found[2] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class _Script:
    """One script, sent by its digest; whole only to a server that does not know it yet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()

    async def run(self, client: Any, key: str, *arguments: str | int | bytes) -> Any:
        try:
            return await client.evalsha(self._digest, 1, key, *arguments)
        except NoScriptError:
            return await client.eval(self._text, 1, key, *arguments)


_spend, _give_back = _Script(_SPEND), _Script(_GIVE_BACK)
_reserve, _renew, _complete, _release = map(_Script, (_RESERVE, _RENEW, _COMPLETE, _RELEASE))


class _Scripts:
    """A client, and the bounds within which its scripts run."""

    def __init__(self, client: Redis, prefix: str, timeout_seconds: float) -> None:
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self.client, self.prefix, self._timeout = client, prefix, timeout_seconds
        # a pool raises where it has no connection left, which is no outage
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._silences = 0

    async def _run(self, script: _Script, key: str, *arguments: str | int | bytes) -> Any:
        """Run ``script`` when its turn comes.

        Many callers at once are no outage either: who waits for a turn fails when the server did
        not answer somebody before, or after ten times the timeout.
        """
        silences = self._silences
        async with asyncio.timeout(10 * self._timeout), self._turns:
            if self._silences != silences:
                raise TimeoutError("Redis did not answer those who came before")
            try:
                async with asyncio.timeout(self._timeout):
                    return await script.run(self.client, self.prefix + key, *arguments)
            except (TimeoutError, RedisTimeoutError):
                self._silences += 1
                raise


class RedisRateLimitStore(_Scripts):
    """The rate limit store of several processes: one hash for each key, with a time to live.

    Args:
        client: Of ``redis.asyncio``; not closed by this store.
        prefix: In front of every key.
        timeout_seconds: Longest time that one call may take, connecting included; where more
            callers come than there are turns, as much as ten times that with the wait for one.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "ratelimit:",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(client, prefix, timeout_seconds)

    async def reserve(self, key: str, limits: Limits, cost: int = 1) -> Reservation:
        """See :class:`~tijolo.web.RateLimitStore`."""
        check_units(cost)
        told = await self._run(_spend, key, cost, *_arguments(limits))
        numbers = [int(number) for number in told]
        states = [
            LimitState(limit, *numbers[i * 3 + 1 : i * 3 + 4]) for i, limit in enumerate(limits)
        ]
        return Reservation(numbers[0] == 1, tuple(states))

    async def refund(self, key: str, limits: Limits, cost: int = 1) -> None:
        """See :class:`~tijolo.web.RateLimitStore`."""
        check_units(cost)
        await self._run(_give_back, key, cost, *_arguments(limits))

    async def reset(self, key: str) -> None:
        """See :class:`~tijolo.web.RateLimitStore`."""
        async with asyncio.timeout(self._timeout), self._turns:
            await self.client.delete(self.prefix + key)


class RedisIdempotencyStore(_Scripts):
    """The idempotency store of several processes: one hash for each key, with a time to live.

    A server that evicts keys under memory pressure (``maxmemory-policy`` other than
    ``noeviction``) forgets answers early, and one that fails over to a replica may forget the
    newest reservations: where a second execution costs money, keep them in the database.

    Args:
        client: Of ``redis.asyncio``, without ``decode_responses``; not closed by this store.
        prefix: In front of every key.
        timeout_seconds: Longest time that one call may take, connecting included; where more
            callers come than there are turns, as much as ten times that with the wait for one.

    Raises:
        ValueError: for a client that decodes what it reads: answers are bytes.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "idem:",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if cast("Any", client).get_encoder().decode_responses:
            raise ValueError("answers are bytes: give a client without decode_responses=True")
        super().__init__(client, prefix, timeout_seconds)

    async def reserve(
        self, key: str, fingerprint: str, owner: str, lease_seconds: float
    ) -> tuple[ReservationState, bytes | None]:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        told = await self._run(_reserve, key, fingerprint, owner, _milliseconds(lease_seconds))
        state = cast("ReservationState", told[0].decode("ascii"))
        return state, told[1] if len(told) > 1 else None

    async def renew(self, key: str, owner: str, lease_seconds: float) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        return bool(await self._run(_renew, key, owner, _milliseconds(lease_seconds)))

    async def complete(
        self, key: str, fingerprint: str, owner: str, answer: bytes, ttl_seconds: float
    ) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        ttl = _milliseconds(ttl_seconds)
        return bool(await self._run(_complete, key, fingerprint, owner, answer, ttl))

    async def release(self, key: str, owner: str) -> bool:
        """See :class:`~tijolo.web.IdempotencyStore`."""
        return bool(await self._run(_release, key, owner))


def redis_client(
    url: str,
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    answer_timeout: bool = True,
) -> Redis:
    """Make a client as these stores want it: bounded in connections and time.

    It connects and tries once more where the server closed the connection (after a restart all
    those that wait in the pool are dead, and each would fail one call) or is a replica now (after
    a failover all would stay with it for ever). It does not after a timeout, which would count a
    request twice. Close it with ``aclose()``.

    Args:
        url: As ``redis.asyncio.from_url`` takes it.
        timeout_seconds: For connecting, for each answer, and for a connection to come free.
        answer_timeout: False leaves the wait for an answer to who calls, as these stores and the
            session store bound it anyway; redis-py takes a fifth of a call's time for its own.
    """
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        max_connections=MAX_CONCURRENT_CALLS,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds if answer_timeout else None,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=_RECONNECT),
        retry_on_error=list(_RECONNECT),  # redis-py 5 asks here, too
    )
    return Redis.from_pool(pool)


def _arguments(limits: Limits) -> list[str | int]:
    flat: list[str | int] = []
    for limit in limits:
        # a limit that changed starts afresh
        field = f"{limit.algorithm}/{limit.quota}/{limit.window_us}"
        flat += [field, limit.algorithm, limit.quota, limit.window_us, limit.interval_us]
    return flat


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
