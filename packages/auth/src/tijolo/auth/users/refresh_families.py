"""Refresh tokens that rotate: RFC 9700, section 4.14.2, with a grace for retries.

A token is ``<family>.<secret>``. Using it makes its successor of the token itself and a random
salt, and only the salt and hashes are stored: whoever presents the token again within the grace
gets the same successor, and whoever reads the table gets nothing.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.token_models import BaseRefreshTokenModel
from tijolo.core import (
    ExpiredTokenException,
    InvalidTokenException,
    hash_opaque_token,
    utcnow,
)
from tijolo.db import uuid7

_MOST_CHARACTERS = 256
_MOST_STEPS = 64
"""Rotations within one grace; more is no client that lost its way."""


class ReusedTokenException(InvalidTokenException):
    """A refresh token came back after its grace; its family must end."""

    def __init__(self, family_id: UUID, user_id: UUID) -> None:
        super().__init__()
        self.family_id = family_id
        self.user_id = user_id


@dataclass(frozen=True)
class Rotation:
    """What came of a refresh: a token to hand out, and its row."""

    token: str = field(repr=False)
    row: BaseRefreshTokenModel


class RefreshFamilies:
    """Makes, rotates and ends refresh tokens.

    Args:
        model: Of :func:`make_refresh_token_model`.
        ttl_seconds: How long a token that is not used lives.
        absolute_ttl_seconds: How long a family lives.
        grace_seconds: How long a used token gives its successor again.
        clock: The time.
    """

    def __init__(
        self,
        model: type[BaseRefreshTokenModel],
        *,
        ttl_seconds: int,
        absolute_ttl_seconds: int,
        grace_seconds: int,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self.model = model
        self._ttl = timedelta(seconds=ttl_seconds)
        self._absolute_ttl = timedelta(seconds=absolute_ttl_seconds)
        self._grace = timedelta(seconds=grace_seconds)
        self._clock = clock

    async def start(
        self,
        session: AsyncSession,
        user_id: UUID,
        *,
        auth_epoch: int,
        amr: Iterable[str],
    ) -> Rotation:
        """A new family, and its first token."""
        now, family_id = self._clock(), uuid7()
        token = f"{family_id.hex}.{secrets.token_urlsafe(32)}"
        first = self.model(
            id=family_id,
            family_id=family_id,
            user_id=user_id,
            token_hash=hash_opaque_token(token),
            expires_at=now + min(self._ttl, self._absolute_ttl),
            family_expires_at=now + self._absolute_ttl,
            auth_epoch=auth_epoch,
            auth_time=now,
            amr=sorted(amr),
        )
        session.add(first)
        await session.flush()
        return Rotation(token, first)

    async def rotate(self, session: AsyncSession, token: str) -> Rotation:
        """Use ``token`` and make its successor; a retry within the grace gets the same one.

        A client that went on meanwhile is given the end of the chain: a token that it had used
        already would be an alarm later.

        Raises:
            ReusedTokenException: It was used longer ago than the grace.
            ExpiredTokenException: It, or its family, has expired.
            InvalidTokenException: It is unknown, or its family was ended.
        """
        root = await self._lock_family(session, token)
        now, salt = self._clock(), secrets.token_hex(32)
        model = self.model
        claim: Any = await session.execute(
            update(model)
            .where(
                model.token_hash == hash_opaque_token(token),
                model.family_id == root.id,
                model.used_at.is_(None),
                model.expires_at > now,
            )
            .values(used_at=now, successor_salt=salt),
            execution_options={"synchronize_session": False},
        )
        row = await self._row(session, root.id, token)
        if claim.rowcount == 1:
            return await self._succeed(session, row, derive(token, salt), now)
        return await self._replay(session, row, token, now)

    async def family_of(self, session: AsyncSession, token: str) -> UUID | None:
        """The family of a token that was ever issued; None for any other."""
        family_id = _family(token)
        if family_id is None:
            return None
        model = self.model
        known = select(model.family_id).where(
            model.token_hash == hash_opaque_token(token), model.family_id == family_id
        )
        return await session.scalar(known)

    async def revoke(self, session: AsyncSession, family_id: UUID, *, reason: str) -> bool:
        """End a family; whether it was this call that did."""
        model = self.model
        done: Any = await session.execute(
            update(model)
            .where(model.id == family_id, model.revoked_at.is_(None))
            .values(revoked_at=self._clock(), revoked_reason=reason),
            execution_options={"synchronize_session": False},
        )
        return bool(done.rowcount)

    async def is_revoked(self, session: AsyncSession, family_id: UUID) -> bool:
        """Whether a family has ended; waits for who ends it at this moment."""
        query = select(self.model.revoked_at).where(self.model.id == family_id).with_for_update()
        found = (await session.execute(query)).one_or_none()
        return found is None or found.revoked_at is not None

    async def delete_expired(self, session: AsyncSession) -> int:
        """Remove the families that have expired; how many tokens there were."""
        model = self.model
        done: Any = await session.execute(
            delete(model).where(model.family_expires_at < self._clock()),
            execution_options={"synchronize_session": False},
        )
        return int(done.rowcount)

    async def _lock_family(self, session: AsyncSession, token: str) -> BaseRefreshTokenModel:
        """The first row of the family, locked: what happens to a family happens in turn."""
        family_id = _family(token)
        if family_id is None:
            raise InvalidTokenException
        root = await session.scalar(
            select(self.model)
            .where(self.model.id == family_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if root is None or root.family_id != root.id or root.revoked_at is not None:
            raise InvalidTokenException
        return root

    async def _row(
        self, session: AsyncSession, family_id: UUID, token: str
    ) -> BaseRefreshTokenModel:
        model = self.model
        row = await session.scalar(
            select(model)
            .where(model.token_hash == hash_opaque_token(token), model.family_id == family_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise InvalidTokenException
        return row

    async def _succeed(
        self, session: AsyncSession, row: BaseRefreshTokenModel, token: str, now: datetime
    ) -> Rotation:
        successor = self.model(
            family_id=row.family_id,
            user_id=row.user_id,
            token_hash=hash_opaque_token(token),
            expires_at=min(now + self._ttl, row.family_expires_at),
            family_expires_at=row.family_expires_at,
            auth_epoch=row.auth_epoch,
            auth_time=row.auth_time,
            amr=list(row.amr),
        )
        session.add(successor)
        await session.flush()
        return Rotation(token, successor)

    async def _replay(
        self, session: AsyncSession, row: BaseRefreshTokenModel, token: str, now: datetime
    ) -> Rotation:
        for _ in range(_MOST_STEPS):
            if row.used_at is None or row.successor_salt is None:
                if row.expires_at <= now:
                    raise ExpiredTokenException
                return Rotation(token, row)
            if now - row.used_at > self._grace:
                raise ReusedTokenException(row.family_id, row.user_id)
            token = derive(token, row.successor_salt)
            row = await self._row(session, row.family_id, token)
        raise InvalidTokenException


def derive(token: str, salt: str) -> str:
    """The successor of ``token``: 256 bits that take both the token and the salt to know."""
    family, _, _ = token.partition(".")
    digest = hmac.digest(token.encode(), salt.encode(), "sha256")
    return f"{family}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _family(token: str) -> UUID | None:
    family, dot, secret = token.partition(".")
    if len(token) > _MOST_CHARACTERS or not dot or not secret or not token.isascii():
        return None
    try:
        found = UUID(hex=family)
    except ValueError:
        return None
    return found if found.hex == family else None
