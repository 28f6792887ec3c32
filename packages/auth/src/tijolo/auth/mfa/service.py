"""How users come by a second factor, renew their recovery codes, and part with it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.mfa.errors import (
    InvalidMfaCodeException,
    MfaAlreadyEnabledException,
    MfaEnrolmentException,
    MfaNotEnabledException,
)
from tijolo.auth.mfa.events import MfaEventKind
from tijolo.auth.mfa.qr import qr_svg
from tijolo.auth.mfa.recovery_codes import (
    new_recovery_codes,
    read_recovery_code,
    recovery_code_hash,
)
from tijolo.auth.mfa.second_factor import TotpSecondFactor
from tijolo.auth.mfa.settings import MfaSettings
from tijolo.auth.mfa.totp import new_secret, secret_text
from tijolo.auth.users import BaseUserModel
from tijolo.auth.users.parts import lock_as_read
from tijolo.db import savepoint, uuid7


@dataclass(frozen=True, kw_only=True)
class TotpEnrolment:
    """What the app must be told, once. Whoever has it can make the codes."""

    secret: str = field(repr=False)
    """In base32, for an app that cannot scan."""
    uri: str = field(repr=False)
    """``otpauth://``, as the QR code has it."""
    qr_svg: str = field(repr=False)
    expires_at: datetime
    """Until when it can be confirmed."""


@dataclass(frozen=True, kw_only=True)
class MfaStatus:
    """What a user may know of their second factor."""

    enabled_at: datetime | None
    """None: it is not enabled."""
    recovery_codes_left: int


class MfaService:
    """Enrolment of an app, confirmed by a code before it counts; recovery codes; the end of both.

    Whether a caller may change all this, and how recently they must have logged in, is for who
    calls to say; ``make_mfa_router`` says it. Every change locks the account first, and is an
    ``InvalidTokenException`` where what let the user in has ended since they were read.

    Args:
        factor: What logins ask.
        settings: Issuer, lifetimes, number of codes.
    """

    def __init__(self, factor: TotpSecondFactor, settings: MfaSettings) -> None:
        self.factor = factor
        self.settings = settings
        self._clock = factor.clock
        self._events = factor.events

    async def status(self, session: AsyncSession, user: BaseUserModel) -> MfaStatus:
        """Whether the second factor is enabled, and how many recovery codes are left."""
        totp, codes = self.factor.totp_model, self.factor.recovery_code_model
        enabled_at = await session.scalar(
            select(totp.confirmed_at).where(totp.user_id == user.id, totp.confirmed_at.is_not(None))
        )
        left = 0
        if enabled_at is not None:
            unused = (codes.user_id == user.id, codes.used_at.is_(None))
            left = await session.scalar(select(func.count()).select_from(codes).where(*unused)) or 0
        return MfaStatus(enabled_at=enabled_at, recovery_codes_left=left)

    async def enrol(self, session: AsyncSession, user: BaseUserModel) -> TotpEnrolment:
        """Begin: a new secret, which counts only once :meth:`confirm` has seen a code of it.

        An enrolment that was begun before ends.

        Raises:
            MfaAlreadyEnabledException: There is a confirmed app.
            MfaEnrolmentException: Another request begins one at this moment.
        """
        model, secret = self.factor.totp_model, new_secret()
        user = await lock_as_read(session, user)
        row = await self._row(session, user)
        if row is not None and row.confirmed_at is not None:
            raise MfaAlreadyEnabledException
        if row is not None:
            pending = delete(model).where(model.id == row.id, model.confirmed_at.is_(None))
            await session.execute(pending, execution_options=_AS_IS)
        now = self._clock()
        values = {
            "id": uuid7(),
            "user_id": user.id,
            "sealed_secret": self.factor.box.seal(secret, owner=user.id),
            "created_at": now,
        }
        try:
            async with savepoint(session):
                await session.execute(insert(model).values(values))
        except IntegrityError:
            raise MfaEnrolmentException("Another enrolment began at the same moment") from None
        uri = self.factor.parameters.uri(
            secret, issuer=self.settings.MFA_ISSUER, account=user.email
        )
        return TotpEnrolment(
            secret=secret_text(secret),
            uri=uri,
            qr_svg=await asyncio.to_thread(qr_svg, uri),
            expires_at=now + timedelta(seconds=self.settings.MFA_ENROLMENT_TTL_SECONDS),
        )

    async def confirm(self, session: AsyncSession, user: BaseUserModel, code: str) -> list[str]:
        """Enable the app that was enrolled; its user's new recovery codes, shown this once.

        The code is used by this: no login accepts it again.

        Raises:
            InvalidMfaCodeException: The code is wrong.
            MfaEnrolmentException: There is nothing to confirm, or not any more.
            TooManyRequestsException: Too many wrong codes.
        """
        row = await self._row(session, user)
        oldest = self._clock() - timedelta(seconds=self.settings.MFA_ENROLMENT_TTL_SECONDS)
        if row is None or row.confirmed_at is not None or row.created_at < oldest:
            raise MfaEnrolmentException
        step = await self.factor.check_new(user, row.sealed_secret, code)
        if step is None:
            raise InvalidMfaCodeException
        user = await lock_as_read(session, user)
        model = self.factor.totp_model
        pending = update(model).where(model.id == row.id, model.confirmed_at.is_(None))
        values = {"confirmed_at": self._clock(), "last_step": step}
        done: Any = await session.execute(pending.values(values), execution_options=_AS_IS)
        if not done.rowcount:
            raise MfaEnrolmentException
        self._events.after_commit(session, MfaEventKind.ENABLED, user.id)
        return await self._new_codes(session, user)

    async def regenerate_recovery_codes(
        self, session: AsyncSession, user: BaseUserModel
    ) -> list[str]:
        """New recovery codes, shown this once; the old ones are good no more.

        Raises:
            MfaNotEnabledException: There is nothing to recover.
        """
        user, model = await lock_as_read(session, user), self.factor.totp_model
        confirmed = (model.user_id == user.id, model.confirmed_at.is_not(None))
        locked: Any = await session.execute(
            update(model).where(*confirmed).values(updated_at=self._clock()),
            execution_options=_AS_IS,
        )
        if not locked.rowcount:
            raise MfaNotEnabledException
        self._events.after_commit(session, MfaEventKind.RECOVERY_CODES_RENEWED, user.id)
        return await self._new_codes(session, user)

    async def disable(self, session: AsyncSession, user: BaseUserModel) -> None:
        """End the second factor and its recovery codes: the user's wish, or an operator's help.

        Raises:
            MfaNotEnabledException: There is none.
        """
        user, model = await lock_as_read(session, user), self.factor.totp_model
        confirmed = delete(model).where(model.user_id == user.id, model.confirmed_at.is_not(None))
        done: Any = await session.execute(confirmed, execution_options=_AS_IS)
        if not done.rowcount:
            raise MfaNotEnabledException
        await self._drop_codes(session, user)
        self._events.after_commit(session, MfaEventKind.DISABLED, user.id)

    async def reseal(
        self, session: AsyncSession, *, after: UUID | None = None, limit: int = 500
    ) -> UUID | None:
        """Seal up to ``limit`` secrets under the first key, so that an old one can go.

        Returns:
            What ``after`` must be the next time; None when there are no more.

        Raises:
            UnreadableSecretError: No key opens one of them.
        """
        model, box = self.factor.totp_model, self.factor.box
        query = select(model.id, model.user_id, model.sealed_secret).order_by(model.id).limit(limit)
        rows = (
            await session.execute(query if after is None else query.where(model.id > after))
        ).all()
        for row in rows:
            if box.is_stale(row.sealed_secret):
                secret = box.open(row.sealed_secret, owner=row.user_id)
                renewed = box.seal(secret, owner=row.user_id)
                await session.execute(
                    update(model).where(model.id == row.id).values(sealed_secret=renewed),
                    execution_options=_AS_IS,
                )
        return rows[-1].id if len(rows) == limit else None

    async def _row(self, session: AsyncSession, user: BaseUserModel) -> Any:
        model = self.factor.totp_model
        columns = (model.id, model.sealed_secret, model.confirmed_at, model.created_at)
        found = await session.execute(select(*columns).where(model.user_id == user.id))
        return found.one_or_none()

    async def _new_codes(self, session: AsyncSession, user: BaseUserModel) -> list[str]:
        codes = new_recovery_codes(self.settings.MFA_RECOVERY_CODES)
        rows = [
            {
                "id": uuid7(),
                "user_id": user.id,
                "code_hash": recovery_code_hash(read_recovery_code(code) or "", owner=user.id),
            }
            for code in codes
        ]
        # in this order: on MariaDB who looks for old codes locks the gap where the next user's
        # would go, and two who have looked wait for each other to insert
        await session.execute(insert(self.factor.recovery_code_model), rows)
        await self._drop_codes(session, user, keep={row["id"] for row in rows})
        return codes

    async def _drop_codes(
        self, session: AsyncSession, user: BaseUserModel, *, keep: Collection[Any] = ()
    ) -> None:
        model = self.factor.recovery_code_model
        query = select(model.id).where(model.user_id == user.id).with_for_update()
        old = [found for found in await session.scalars(query) if found not in keep]
        # one by one: for IN and NOT IN MariaDB goes through a small table whole, and locks it
        for found in old:
            await session.execute(delete(model).where(model.id == found), execution_options=_AS_IS)


# the statements decide; objects that a session may hold of these rows are not looked at again
_AS_IS = {"synchronize_session": False}
