"""Tokens that work once: made, looked at, consumed by one statement, burnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from tijolo.auth.users.errors import OneTimeTokenException
from tijolo.auth.users.token_models import BaseUserTokenModel
from tijolo.core import generate_opaque_token, hash_opaque_token, utcnow

_MOST_CHARACTERS = 256


@dataclass(frozen=True)
class Issued:
    """A token just made."""

    token: str = field(repr=False)
    expires_at: datetime


class OneTimeTokens:
    """The one-time tokens of a service.

    Args:
        model: Of :func:`make_user_token_model`.
        clock: The time.
    """

    def __init__(
        self, model: type[BaseUserTokenModel], *, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self.model = model
        self._clock = clock

    async def issue(
        self,
        session: AsyncSession,
        user_id: UUID,
        purpose: str,
        *,
        ttl_seconds: int,
        data: Mapping[str, Any] | None = None,
        keep_older: bool = False,
    ) -> Issued:
        """A new token; older ones of the same purpose are burnt unless ``keep_older``.

        Lock the user before, unless ``keep_older``: see ``AuthParts.lock``.
        """
        token, token_hash = generate_opaque_token()
        made = self.model(
            user_id=user_id,
            token_hash=token_hash,
            purpose=str(purpose),
            expires_at=self._clock() + timedelta(seconds=ttl_seconds),
            data=dict(data or {}),
        )
        session.add(made)
        await session.flush()
        if not keep_older:
            # after the insert: burning locks what lies between two users' tokens in MariaDB, and
            # two that had done so would each wait for the other's gap
            await self.burn(session, user_id, purpose, but=made.id)
        return Issued(token, made.expires_at)

    async def peek(self, session: AsyncSession, token: str, purpose: str) -> BaseUserTokenModel:
        """The row of a token that could be consumed now.

        Raises:
            OneTimeTokenException: It could not.
        """
        found = await session.scalar(select(self.model).where(*self._usable(token, purpose)))
        if found is None:
            raise OneTimeTokenException
        return found

    async def consume(self, session: AsyncSession, token: str, purpose: str) -> BaseUserTokenModel:
        """Use the token up: of any number that try, one gets the row.

        Raises:
            OneTimeTokenException: It is used, expired, burnt or unknown.
        """
        values = {"used_at": self._clock()}
        return await self._claim(session, token, self._usable(token, purpose), values)

    async def claim_attempt(
        self, session: AsyncSession, token: str, purpose: str, *, limit: int
    ) -> BaseUserTokenModel:
        """Take one of ``limit`` attempts at what the token guards, without using it up.

        Raises:
            OneTimeTokenException: As :meth:`consume`, or there is no attempt left.
        """
        free = [*self._usable(token, purpose), self.model.attempts < limit]
        return await self._claim(session, token, free, {"attempts": self.model.attempts + 1})

    async def burn(
        self,
        session: AsyncSession,
        user_id: UUID,
        purpose: str | None = None,
        *,
        but: UUID | None = None,
    ) -> None:
        """Make the user's tokens useless: those of ``purpose``, or all, save the one ``but``."""
        model = self.model
        unused = update(model).where(model.user_id == user_id, model.used_at.is_(None))
        if purpose is not None:
            unused = unused.where(model.purpose == str(purpose))
        if but is not None:
            unused = unused.where(model.id != but)
        await session.execute(
            unused.values(used_at=self._clock()), execution_options={"synchronize_session": False}
        )

    async def delete_expired(self, session: AsyncSession) -> int:
        """Remove what expired a day ago or earlier; how many there were."""
        before = self._clock() - timedelta(days=1)
        done: Any = await session.execute(
            delete(self.model).where(self.model.expires_at < before),
            execution_options={"synchronize_session": False},
        )
        return int(done.rowcount)

    def _usable(self, token: str, purpose: str) -> list[ColumnElement[bool]]:
        if not 0 < len(token) <= _MOST_CHARACTERS:
            raise OneTimeTokenException
        model = self.model
        return [
            model.token_hash == hash_opaque_token(token),
            model.purpose == str(purpose),
            model.used_at.is_(None),
            model.expires_at > self._clock(),
        ]

    async def _claim(
        self,
        session: AsyncSession,
        token: str,
        conditions: list[ColumnElement[bool]],
        values: dict[str, Any],
    ) -> BaseUserTokenModel:
        done: Any = await session.execute(
            update(self.model).where(*conditions).values(values),
            execution_options={"synchronize_session": False},
        )
        if done.rowcount != 1:
            raise OneTimeTokenException
        own = select(self.model).where(self.model.token_hash == hash_opaque_token(token))
        return (
            await session.scalars(own.execution_options(populate_existing=True))
        ).one()  # ours: its lock is held
