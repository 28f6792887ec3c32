"""The keys of a user: made, listed, rotated, revoked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

# house: allow library, the extra is called users: keys belong to them
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession  # house: allow library, as above

from tijolo.auth.api_keys.errors import (
    ApiKeyLimitException,
    ApiKeyNotFoundException,
    ApiKeyNotUsableException,
    ApiKeyRequestException,
)
from tijolo.auth.api_keys.events import ApiKeyEventKind
from tijolo.auth.api_keys.format import ApiKeyFormat, api_key_hash
from tijolo.auth.api_keys.models import BaseApiKeyModel, RevokedReason
from tijolo.auth.api_keys.networks import read_networks
from tijolo.auth.api_keys.settings import ApiKeySettings
from tijolo.auth.users import BaseUserModel
from tijolo.auth.users.events import Events, OnEvent
from tijolo.auth.users.names import clean_name
from tijolo.auth.users.parts import lock_as_read
from tijolo.core import utcnow
from tijolo.db import savepoint, uuid7

MAX_REPORTED = 100
"""Keys of one leak report that are looked at."""

Scopes = Collection[str] | Callable[[BaseUserModel], Collection[str]]
_MOST_LISTED = 1000
_AS_IS = {"synchronize_session": False}


@dataclass(frozen=True, kw_only=True)
class NewApiKey:
    """A key just made. ``key`` is shown this once and kept nowhere."""

    key: str = field(repr=False)
    record: BaseApiKeyModel


class ApiKeyService:
    """Makes, lists, rotates and revokes the API keys of users.

    A key acts for its owner, within its scopes, until it expires, is revoked or rotated, its
    owner is no more active, or ``auth_epoch`` was raised: what ends a user's tokens ends their
    keys too.

    Args:
        key_model: From ``make_api_key_model``.
        user_model: Whose keys they are.
        scopes: Every scope that a key may have, or a function that tells them for a user: then a
            key loses, at once, what its owner may not grant any more.
        settings: Form, lifetimes, limits.
        on_event: Told of ``AuthEvent`` after the commit, as ``UserAuthService`` is.
        clock: The time, aware.

    Raises:
        ValueError: for a scope that no token can carry (RFC 6749, section 3.3), or none at all.
    """

    def __init__(
        self,
        key_model: type[BaseApiKeyModel],
        user_model: type[BaseUserModel],
        *,
        scopes: Scopes,
        settings: ApiKeySettings | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self.key_model, self.user_model = key_model, user_model
        self.settings = settings or ApiKeySettings()
        self.format = ApiKeyFormat(self.settings.AUTH_API_KEY_PREFIX)
        self.events = Events(on_event, clock=clock)
        self.clock = clock
        self._scopes = scopes if callable(scopes) else _checked(scopes)

    def grantable(self, user: BaseUserModel) -> frozenset[str]:
        """The scopes that a key of ``user`` may have now."""
        return frozenset(self._scopes(user) if callable(self._scopes) else self._scopes)

    async def create(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        name: str,
        scopes: Iterable[str],
        lifetime: timedelta | None = None,
        networks: Iterable[str] = (),
    ) -> NewApiKey:
        """A new key.

        Args:
            name: What its owner calls it, at most 120 characters.
            scopes: What it may do; at least one.
            lifetime: Until it expires; by default ``AUTH_API_KEY_DEFAULT_DAYS``.
            networks: Addresses and CIDR networks from which it may be used; none means any.

        Raises:
            ApiKeyRequestException: for a scope that may not be granted, a network that is none,
                a lifetime that is not positive or over ``AUTH_API_KEY_MAX_DAYS``.
            ApiKeyLimitException: The user has as many keys as one may have.
            InvalidTokenException: What let ``user`` in has ended since they were read.
            ValidationException: for a name that is too long or holds control characters.
        """
        called, wanted = clean_name(name), sorted(set(scopes))
        if called is None:
            raise ApiKeyRequestException("Give the key a name")
        self._check_scopes(user, wanted)
        longest = timedelta(days=self.settings.AUTH_API_KEY_MAX_DAYS)
        if lifetime is None:
            lifetime = timedelta(days=self.settings.AUTH_API_KEY_DEFAULT_DAYS)
        if not timedelta(0) < lifetime <= longest:
            raise ApiKeyRequestException(f"A key lives {longest.days} days at most")
        listed = read_networks(networks)
        # a key of a new epoch would outlive the log-out of who asks for it
        epoch = (await lock_as_read(session, user)).auth_epoch
        made = self._make(user.id, epoch, called, wanted, listed, lifetime)
        async with savepoint(session):
            await self._insert(session, made, most=self.settings.AUTH_API_KEY_MAX_PER_USER)
        self._tell(session, ApiKeyEventKind.CREATED, made.record)
        return made

    async def list(self, session: AsyncSession, user: BaseUserModel) -> Sequence[BaseApiKeyModel]:
        """The user's keys, the newest first; those that ended 30 days ago are left out."""
        model = self.key_model
        recent = self.clock() - timedelta(days=30)
        query = (
            select(model)
            .where(
                model.user_id == user.id,
                model.expires_at > recent,
                model.revoked_at.is_(None) | (model.revoked_at > recent),
            )
            .order_by(model.id.desc())
            .limit(_MOST_LISTED)
            .execution_options(populate_existing=True)
        )
        return (await session.scalars(query)).all()

    async def rotate(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        key_id: UUID,
        *,
        overlap_seconds: int | None = None,
    ) -> NewApiKey:
        """A successor with the same name, scopes, networks and, up to the longest, length of life.

        The old key stays good for ``overlap_seconds``, by default
        ``AUTH_API_KEY_OVERLAP_SECONDS``, but no longer than it would have. Of several calls at
        once, one makes the successor.

        Raises:
            ApiKeyNotFoundException: The user has no such key.
            ApiKeyNotUsableException: It was rotated or revoked, or has expired.
            ApiKeyLimitException: Too many keys are being replaced.
            ApiKeyRequestException: for an overlap that is negative or over the default, or a
                scope that may not be granted any more.
        """
        most = self.settings.AUTH_API_KEY_OVERLAP_SECONDS
        overlap = most if overlap_seconds is None else overlap_seconds
        if not 0 <= overlap <= most:
            raise ApiKeyRequestException(f"overlap_seconds is 0 to {most}")
        epoch = (await lock_as_read(session, user)).auth_epoch
        old = await self._get(session, user, key_id)
        self._check_scopes(user, old.scopes)
        longest = timedelta(days=self.settings.AUTH_API_KEY_MAX_DAYS)
        lifetime = min(old.expires_at - old.created_at, longest)
        if old.successor_id is not None or not self._alive(old, epoch):
            raise ApiKeyNotUsableException
        made = self._make(user.id, epoch, old.name, old.scopes, old.networks, lifetime)
        async with savepoint(session):
            # those that are being replaced count beside those that replace them
            await self._insert(session, made, most=2 * self.settings.AUTH_API_KEY_MAX_PER_USER)
            await self._succeed(session, old, made.record, overlap_seconds=overlap)
        self._tell(session, ApiKeyEventKind.ROTATED, made.record, rotated=str(old.id))
        return made

    async def revoke(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        key_id: UUID,
        *,
        reason: RevokedReason = RevokedReason.OWNER,
    ) -> None:
        """End the key at once; one that was revoked before stays so.

        Raises:
            ApiKeyNotFoundException: The user has no such key.
        """
        await self._end(session, [await self._get(session, user, key_id)], reason)

    async def revoke_all(
        self,
        session: AsyncSession,
        user: BaseUserModel,
        *,
        reason: RevokedReason = RevokedReason.OPERATOR,
    ) -> int:
        """End all keys of ``user``, those that are being made too; how many there were."""
        await self._lock(session, user)
        model = self.key_model
        query = select(model).where(model.user_id == user.id, model.revoked_at.is_(None))
        # a locking read, as in _insert
        query = query.with_for_update()
        return await self._end(session, (await session.scalars(query)).all(), reason)

    async def report_leak(self, session: AsyncSession, keys: Iterable[str]) -> int:
        """Revoke those of ``keys`` that are ours: whoever has a key may end it.

        Looks at the first 100 that are well-formed.

        Returns:
            How many were ended; not for whoever reports.
        """
        known = [key for key in dict.fromkeys(keys) if self.format.is_well_formed(key)]
        if not known:
            return 0
        hashes = [api_key_hash(key) for key in known[:MAX_REPORTED]]
        model = self.key_model
        query = select(model).where(model.key_hash.in_(hashes), model.revoked_at.is_(None))
        return await self._end(session, (await session.scalars(query)).all(), RevokedReason.LEAKED)

    def _make(
        self,
        user_id: UUID,
        epoch: int,
        name: str,
        scopes: Sequence[str],
        networks: Sequence[str],
        lifetime: timedelta,
    ) -> NewApiKey:
        key, now = self.format.generate(), self.clock()
        record = self.key_model(
            id=uuid7(),
            user_id=user_id,
            name=name,
            hint=self.format.hint(key),
            key_hash=api_key_hash(key),
            scopes=list(scopes),
            networks=list(networks),
            auth_epoch=epoch,
            created_at=now,
            expires_at=now + lifetime,
        )
        return NewApiKey(key=key, record=record)

    def _check_scopes(self, user: BaseUserModel, wanted: Sequence[str]) -> None:
        if not wanted:
            raise ApiKeyRequestException("Name at least one scope")
        refused = sorted(set(wanted) - self.grantable(user))
        if refused:
            raise ApiKeyRequestException(
                "A key cannot have these scopes", details={"scopes": [s[:64] for s in refused[:20]]}
            )

    async def _lock(self, session: AsyncSession, user: BaseUserModel) -> int:
        """The user's epoch as it is now; their row stays locked, so that keys can be counted."""
        model = self.user_model
        query = select(model.auth_epoch).where(model.id == user.id).with_for_update()
        return await session.scalar(query) or 0

    async def _insert(self, session: AsyncSession, made: NewApiKey, *, most: int) -> None:
        """Store a key, if its owner, whose row is locked, then has ``most`` at most.

        It is counted after it is stored: on MariaDB who counts locks the gap where the next user's
        keys would go, and two who count first wait for each other to write.
        """
        record, model = made.record, self.key_model
        session.add(record)
        await session.flush()
        # a locking read: MariaDB shows a plain one the rows as they were when the transaction began
        usable = (model.user_id == record.user_id, self._usable(record.auth_epoch))
        query = select(model.id).where(*usable).limit(most + 1).with_for_update()
        if len((await session.scalars(query)).all()) > most:
            raise ApiKeyLimitException

    async def _succeed(
        self,
        session: AsyncSession,
        old: BaseApiKeyModel,
        new: BaseApiKeyModel,
        *,
        overlap_seconds: int,
    ) -> None:
        model, ends = self.key_model, self.clock() + timedelta(seconds=overlap_seconds)
        unused = (model.successor_id.is_(None), self._usable(new.auth_epoch))
        done: Any = await session.execute(
            update(model)
            .where(model.id == old.id, *unused)
            .values(successor_id=new.id, expires_at=min(ends, old.expires_at)),
            execution_options=_AS_IS,
        )
        if not done.rowcount:
            raise ApiKeyNotUsableException

    async def _get(
        self, session: AsyncSession, user: BaseUserModel, key_id: UUID
    ) -> BaseApiKeyModel:
        model = self.key_model
        query = select(model).where(model.id == key_id, model.user_id == user.id)
        found = await session.scalar(query.execution_options(populate_existing=True))
        if found is None:
            raise ApiKeyNotFoundException
        return found

    def _usable(self, epoch: int) -> ColumnElement[bool]:
        model = self.key_model
        return and_(
            model.revoked_at.is_(None),
            model.expires_at > self.clock(),
            model.auth_epoch >= epoch,
        )

    def _alive(self, key: BaseApiKeyModel, epoch: int) -> bool:
        return key.revoked_at is None and key.expires_at > self.clock() and key.auth_epoch >= epoch

    async def _end(
        self, session: AsyncSession, keys: Sequence[BaseApiKeyModel], reason: RevokedReason
    ) -> int:
        leaked = reason is RevokedReason.LEAKED
        kind = ApiKeyEventKind.LEAKED if leaked else ApiKeyEventKind.REVOKED
        model, ended = self.key_model, 0
        for key in keys:
            done: Any = await session.execute(
                update(model)
                .where(model.id == key.id, model.revoked_at.is_(None))
                .values(revoked_at=self.clock(), revoked_reason=str(reason)),
                execution_options=_AS_IS,
            )
            if done.rowcount:
                ended += 1
                self._tell(session, kind, key, reason=str(reason))
        return ended

    def _tell(self, session: AsyncSession, kind: str, key: BaseApiKeyModel, **details: Any) -> None:
        self.events.after_commit(
            session, kind, key.user_id, key_id=str(key.id), hint=key.hint, **details
        )


def _checked(scopes: Collection[str]) -> frozenset[str]:
    if isinstance(scopes, str) or not scopes:
        raise ValueError(f"scopes must be a list of names, one or more, got {scopes!r}")
    for scope in scopes:
        if not scope or not all("!" <= c <= "~" and c not in '"\\' for c in scope):
            raise ValueError(f"scope {scope!r} is none: printable ASCII without space and quotes")
    return frozenset(scopes)
