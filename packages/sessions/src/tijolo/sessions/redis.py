"""Sessions that all replicas share, in Redis (extra ``redis``)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from pydantic_core import from_json

from tijolo.core import MissingExtraError, utcnow
from tijolo.sessions import _data
from tijolo.sessions import _redis_scripts as scripts
from tijolo.sessions.errors import SessionDataTooLargeException, SessionStoreUnavailableException
from tijolo.sessions.session import Session, restored
from tijolo.sessions.store import MAX_DATA_BYTES, another_users, check_new_id

try:
    from redis.asyncio import Redis
    from redis.client import NEVER_DECODE
    from redis.exceptions import NoScriptError, RedisError
except ImportError as exc:
    raise MissingExtraError("tijolo-sessions", "redis", "redis") from exc

__all__ = ["RedisSessionStore"]

_MOMENTS = ("created_at", "absolute_expires_at", "auth_time", "renewed_at")
_MOVING = {"last_seen_at", "expires_at", "epoch", "touched", "data"}
_PLAIN = tuple(set(Session.model_fields) - _MOVING - {*_MOMENTS, "user_id"})
# of what an older release, still at work beside this one, does not write
_DEFAULTS = {n: f.default for n, f in Session.model_fields.items() if not f.is_required()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# later, in the year 2242, a float of seconds is no whole microsecond any more
_MILLISECONDS_OF_FLOATS = 2**33 * 1000
_ID_CHARACTERS = 64  # of SHA-256; the reading's script counts on them
# a tag is what stands between the first "{" and the next "}" (Redis Cluster specification)
_PREFIX = re.compile(r"[^{]*\{[^}]+\}.*[^a-zA-Z0-9{}]", re.DOTALL)
_AS_BYTES = {NEVER_DECODE: True}


class RedisSessionStore:
    """Sessions in Redis 6.2 or later; each operation is one script, so one round trip.

    All keys carry the hash tag of ``prefix``: on Redis Cluster they are on one node. Memory is
    Redis' to bound; a server that evicts keys logs people out, and revives nobody. What the
    server acknowledged and then forgot in a crash is a question of its persistence: see
    ``docs/session-stores.md``.

    Args:
        client: Of ``redis.asyncio``; stays the caller's to close. Its pool should wait for a
            connection rather than raise, and it needs no ``socket_timeout``: make it with
            ``tijolo.web.redis.redis_client(url, answer_timeout=False)``.
        prefix: Before every key: its hash tag in braces, and a separator at its end.
        max_data_bytes: How much data one session holds.
        timeout_seconds: Longest wait for an answer, connecting included.
        clock: The current moment, aware. Redis ends sessions by its own as well.

    Raises:
        ValueError: A prefix without hash tag or separator, a limit or a timeout that is none.
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
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(
                f"prefix {prefix!r} needs a hash tag in braces, so that all keys are on one node of"
                " a cluster, and a separator at its end: '{notes}:', say"
            )
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self._client = client
        self.prefix = prefix
        self.max_data_bytes = _data.check_limit(max_data_bytes)
        self._timeout = timeout_seconds
        self._clock = clock

    @property
    def address(self) -> str | None:
        """Where the server is, for the log: without user and password; None for several."""
        pool = getattr(self._client, "connection_pool", None)  # a cluster's client has none
        given: dict[str, Any] = getattr(pool, "connection_kwargs", {})
        place = given.get("path")
        if place is None and "host" in given:
            place = f"{given['host']}:{given.get('port', 6379)}"
        return None if place is None else f"{place}/{given.get('db') or 0}"

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
        key = f"{self.prefix}s:{session_id_hash}"
        found = await self._send(_get, key, _milliseconds(self._clock()), after)
        return None if found is None else _session(found)

    async def save(
        self, session_id_hash: str, changed: Mapping[str, Any], removed: Collection[str] = ()
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        pairs = _data_words(changed)
        names = [_data_field(name) for name in removed]
        head: list[str | int] = [session_id_hash, self.max_data_bytes, len(pairs)]
        words = [*head, *pairs, *names]
        return _done(await self._run(_save, session_id_hash, *words))

    async def rotate(
        self,
        session_id_hash: str,
        new: Session,
        *,
        overlap_seconds: float = 0,
        through: str | None = None,
        max_per_user: int | None = None,
    ) -> bool:
        """See :class:`~tijolo.sessions.SessionStore`."""
        check_new_id(session_id_hash, new)
        new = new.model_copy(update={"rotated_from": through or session_id_hash})
        overlap = round(overlap_seconds * 1000)
        words = [*self._words(new, max_per_user), session_id_hash, through or "", overlap]
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
        if len(session.session_id) != _ID_CHARACTERS:
            raise ValueError(
                "session_id must be a SHA-256 in hexadecimal; new_session_id() makes one"
            )
        user = session.user_id.hex if session.user_id else ""
        fields = _fields(session)
        data = _data_words(session.data)
        cap = 0 if max_per_user is None else max_per_user
        limits = [cap, self.max_data_bytes]
        return [session.session_id, user, _new_epoch(), *limits, len(fields), *fields, *data]

    async def _run(self, script: _Script, routed_by: str, *words: str | int) -> Any:
        now = _milliseconds(self._clock())
        return await self._send(script, self.prefix + routed_by, self.prefix, now, *words)

    async def _send(self, script: _Script, key: str, *words: str | int) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                return await script.run(self._client, key, words)
        except (RedisError, OSError, TimeoutError) as error:
            raise SessionStoreUnavailableException from error


class _Script:
    """One script, sent by its digest; whole only to a server that does not know it yet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()

    async def run(self, client: Redis, key: str, words: tuple[str | int, ...]) -> Any:
        execute = cast("Any", client.execute_command)  # pyright: ignore[reportUnknownMemberType]
        try:
            return await execute("EVALSHA", self._digest, 1, key, *words, **_AS_BYTES)
        except NoScriptError:
            return await execute("EVAL", self._text, 1, key, *words, **_AS_BYTES)


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


def _moment(milliseconds: int) -> datetime:
    if 0 <= milliseconds < _MILLISECONDS_OF_FLOATS:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _data_field(name: str) -> str:
    return "d" + json.dumps(name)


def _data_words(data: Mapping[str, Any]) -> list[str]:
    pairs = _data.encode(data).items()
    return [word for name, text in pairs for word in (_data_field(name), text)]


def _fields(session: Session) -> list[str | int]:
    """Names and values of the hash, without the user and the epoch."""
    user_id, idle = session.user_id, session.idle_seconds
    record: dict[str, Any] = {name: getattr(session, name) for name in _PLAIN}
    for name in _MOMENTS:
        moment = getattr(session, name)
        record[name] = None if moment is None else _milliseconds(moment)
    record["user_id"] = None if user_id is None else user_id.hex
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


def _parsed(answer: bytes) -> Any:
    try:
        return from_json(answer)  # in less than half of the time
    except ValueError:
        return json.loads(answer)  # it knows half a surrogate pair, and any depth


def _session(answer: bytes) -> Session:
    record, last_seen_at, expires_at, epoch, touched, data = _parsed(answer)
    fields = {**_DEFAULTS, **record}
    for name in _MOMENTS:
        if fields[name] is not None:
            fields[name] = _moment(fields[name])
    if fields["user_id"] is not None:
        fields["user_id"] = UUID(hex=fields["user_id"])
    fields["amr"] = tuple(fields["amr"])
    fields["last_seen_at"] = _moment(last_seen_at)
    fields["expires_at"] = _moment(expires_at)
    fields["epoch"] = epoch or None
    fields["touched"] = bool(touched)
    fields["data"] = data
    return restored(fields)
