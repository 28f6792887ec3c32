"""Sessions that all replicas share, in Redis (extra ``redis``)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from tijolo.core import MissingExtraError, utcnow
from tijolo.sessions import _data
from tijolo.sessions import _redis_scripts as scripts
from tijolo.sessions.errors import SessionDataTooLargeException, SessionStoreUnavailableException
from tijolo.sessions.session import Session
from tijolo.sessions.store import MAX_DATA_BYTES, another_users, check_new_id

try:
    from redis.asyncio import Redis
    from redis.client import NEVER_DECODE
    from redis.exceptions import NoScriptError, RedisError
except ImportError as exc:
    raise MissingExtraError("tijolo-sessions", "redis", "redis") from exc

__all__ = ["RedisSessionStore"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RedisSessionStore:
    """Sessions in Redis 6.2 or later; each operation is one script, so one round trip.

    All keys carry the hash tag of ``prefix``: on Redis Cluster they are on one node. Memory is
    Redis' to bound; a server that evicts keys logs people out, and revives nobody. What the
    server acknowledged and then forgot in a crash is a question of its persistence: see
    ``docs/session-stores.md``.

    Args:
        client: Of ``redis.asyncio``; stays the caller's to close. Its pool should wait for a
            connection rather than raise, as that of ``tijolo.web.redis.redis_client`` does.
        prefix: Before every key.
        max_data_bytes: How much data one session holds.
        timeout_seconds: Longest wait for an answer, connecting included.
        clock: The current moment, aware. Redis ends sessions by its own as well.

    Raises:
        ValueError: An empty prefix, a limit or a timeout that is none.
    """

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "{session}:",
        max_data_bytes: int = MAX_DATA_BYTES,
        timeout_seconds: float = 0.5,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        if not prefix:
            raise ValueError("prefix must not be empty: other keys live in the same database")
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self._client = client
        self.prefix = prefix
        self.max_data_bytes = _data.check_limit(max_data_bytes)
        self._timeout = timeout_seconds
        self._clock = clock

    async def create(self, session: Session, *, max_per_user: int | None = None) -> Session:
        """See :class:`~tijolo.sessions.SessionStore`."""
        words = self._words(session, max_per_user)
        answer = await self._run(_create, session.session_id, *words)
        if answer[0] == -1:
            raise SessionDataTooLargeException
        epoch = answer[1].decode() or None
        data = _data.decode(_data.encode(session.data))
        return session.model_copy(update={"epoch": epoch, "data": data, "touched": False})

    async def get(
        self, session_id_hash: str, *, touch_seconds: float | None = None
    ) -> Session | None:
        """See :class:`~tijolo.sessions.SessionStore`."""
        after = "" if touch_seconds is None else round(touch_seconds * 1000)
        found = await self._run(_get, session_id_hash, session_id_hash, after)
        return None if found is None else _session(found)

    async def save(
        self, session_id_hash: str, changed: Mapping[str, Any], removed: Collection[str] = ()
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        pairs = _data_words(changed)
        names = [f"d:{name}" for name in removed]
        head: list[str | int] = [session_id_hash, self.max_data_bytes, len(pairs)]
        words = [*head, *pairs, *names]
        return _done(await self._run(_save, session_id_hash, *words))

    async def rotate(
        self,
        session_id_hash: str,
        new: Session,
        *,
        overlap_seconds: float = 0,
        max_per_user: int | None = None,
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        check_new_id(session_id_hash, new)
        new = new.model_copy(update={"rotated_from": session_id_hash})
        words = [*self._words(new, max_per_user), session_id_hash, round(overlap_seconds * 1000)]
        return _done(await self._run(_rotate, session_id_hash, *words))

    async def delete(self, session_id_hash: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        return bool(await self._run(_delete, session_id_hash, session_id_hash))

    async def delete_by_public_id(self, user_id: UUID, public_id: str) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        user = user_id.hex
        return bool(await self._run(_delete_by_public_id, user, user, public_id))

    async def delete_by_user(self, user_id: UUID, *, keep: str | None = None) -> int:
        """See :class:`~tijolo.sessions.SessionStore`."""
        user = user_id.hex
        return int(await self._run(_delete_by_user, user, user, keep or "", _new_epoch()))

    async def list_by_user(self, user_id: UUID) -> list[Session]:
        """See :class:`~tijolo.sessions.SessionStore`."""
        found = map(_session, await self._run(_list_by_user, user_id.hex, user_id.hex))
        return sorted(found, key=lambda session: session.last_seen_at, reverse=True)

    def _words(self, session: Session, max_per_user: int | None) -> list[str | int]:
        user = session.user_id.hex if session.user_id else ""
        fields = _fields(session)
        data = _data_words(session.data)
        cap = 0 if max_per_user is None else max_per_user
        limits = [cap, self.max_data_bytes]
        return [session.session_id, user, _new_epoch(), *limits, len(fields), *fields, *data]

    async def _run(self, script: _Script, routed_by: str, *words: str | int) -> Any:
        now = _milliseconds(self._clock())
        try:
            async with asyncio.timeout(self._timeout):
                return await script.run(self._client, self.prefix, routed_by, now, words)
        except (RedisError, OSError, TimeoutError) as error:
            raise SessionStoreUnavailableException from error


class _Script:
    """One script, sent by its digest; whole only to a server that does not know it yet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()

    async def run(
        self, client: Redis, prefix: str, routed_by: str, now: int, words: tuple[str | int, ...]
    ) -> Any:
        execute = cast("Any", client.execute_command)  # pyright: ignore[reportUnknownMemberType]
        arguments = (1, prefix + routed_by, prefix, now, *words)
        try:
            return await execute("EVALSHA", self._digest, *arguments, **{NEVER_DECODE: True})
        except NoScriptError:
            return await execute("EVAL", self._text, *arguments, **{NEVER_DECODE: True})


_create, _get, _save, _rotate = map(
    _Script, (scripts.CREATE, scripts.GET, scripts.SAVE, scripts.ROTATE)
)
_delete, _delete_by_public_id, _delete_by_user, _list_by_user = map(
    _Script,
    (scripts.DELETE, scripts.DELETE_BY_PUBLIC_ID, scripts.DELETE_BY_USER, scripts.LIST_BY_USER),
)


def _new_epoch() -> str:
    # never one that was there before: sessions that it ended would live again
    return secrets.token_hex(8)


def _done(answer: int) -> bool:
    if answer == -1:
        raise SessionDataTooLargeException
    if answer == -2:
        raise another_users()
    return bool(answer)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _moment(milliseconds: Any) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _data_words(data: Mapping[str, Any]) -> list[str]:
    return [word for name, text in _data.encode(data).items() for word in (f"d:{name}", text)]


def _fields(session: Session) -> list[str | int]:
    """Names and values of the hash, without the user and the epoch."""
    auth_time, renewed_at = session.auth_time, session.renewed_at
    record = {
        "created_at": _milliseconds(session.created_at),
        "auth_time": None if auth_time is None else _milliseconds(auth_time),
        "renewed_at": None if renewed_at is None else _milliseconds(renewed_at),
        "amr": session.amr,
        "auth_epoch": session.auth_epoch,
        "remember": session.remember,
        "ip": session.ip,
        "user_agent": session.user_agent,
    }
    idle = session.idle_seconds
    fields: dict[str, str | int] = {
        "r": json.dumps(record, separators=(",", ":")),
        "l": _milliseconds(session.last_seen_at),
        "x": _milliseconds(session.expires_at),
        "a": _milliseconds(session.absolute_expires_at),
        "i": "" if idle is None else idle * 1000,
        "p": session.public_id,
        "f": session.rotated_from or "",
    }
    return [word for pair in fields.items() for word in pair]


def _session(found: list[Any]) -> Session:
    session_id, touched, flat = found
    fields: dict[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    record: dict[str, Any] = json.loads(fields[b"r"])
    user, idle = fields[b"u"], fields[b"i"]
    auth_time, renewed_at = record["auth_time"], record["renewed_at"]
    return Session.model_construct(
        session_id=session_id.decode(),
        public_id=fields[b"p"].decode(),
        user_id=UUID(user.decode()) if user else None,
        created_at=_moment(record["created_at"]),
        last_seen_at=_moment(fields[b"l"]),
        expires_at=_moment(fields[b"x"]),
        absolute_expires_at=_moment(fields[b"a"]),
        idle_seconds=int(idle) // 1000 if idle else None,
        auth_time=None if auth_time is None else _moment(auth_time),
        amr=tuple(record["amr"]),
        auth_epoch=record["auth_epoch"],
        epoch=fields[b"e"].decode() or None,
        remember=record["remember"],
        rotated_from=fields[b"f"].decode() or None,
        renewed_at=None if renewed_at is None else _moment(renewed_at),
        ip=record["ip"],
        user_agent=record["user_agent"],
        data={k[2:].decode(): json.loads(v) for k, v in fields.items() if k[:2] == b"d:"},
        touched=bool(touched),
    )
