"""Everything that a user holds ends with one write: their ``auth_epoch``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.revocation import RevocationStore
from tijolo.auth.users.afterwards import after_transaction
from tijolo.auth.users.events import AuthEventKind
from tijolo.auth.users.models import BaseUserModel
from tijolo.auth.users.parts import AuthParts
from tijolo.auth.users.token_models import UserTokenPurpose

_OF_A_LOGIN = (UserTokenPurpose.EMAIL_VERIFICATION, UserTokenPurpose.MFA_CHALLENGE)
"""What somebody who was logged in, or nearly, has asked for: an intruder, perhaps."""


class KillSwitch:
    """Ends tokens, refresh families and whatever else compares the epoch.

    Args:
        parts: The user model and the events.
        revocation: Told after the transaction what the table says then, for services that do not
            see it.
        keep_seconds: How long it must remember: as long as an access token lives.
    """

    def __init__(
        self, parts: AuthParts, *, revocation: RevocationStore | None, keep_seconds: float
    ) -> None:
        self._parts = parts
        self._revocation = revocation
        self._keep_seconds = keep_seconds
        self.forget: list[Callable[[str], None]] = []
        """Caches of this process that must not believe what they knew of a subject."""

    async def end_everything(
        self, session: AsyncSession, user: BaseUserModel, *, reason: str
    ) -> None:
        """Raise the epoch of ``user``; a change of address that was asked for before is off."""
        await session.flush()
        model, user = self._parts.user_model, await self._parts.lock_own(session, user)
        await session.execute(
            update(model).where(model.id == user.id).values(auth_epoch=model.auth_epoch + 1),
            execution_options={"synchronize_session": False},
        )
        await session.refresh(user)
        for purpose in _OF_A_LOGIN:
            await self._parts.tokens.burn(session, user.id, purpose)
        tell = partial(self._tell, user.id, user.auth_epoch)
        after_transaction(session, self._parts.endings, tell)
        self._parts.events.after_commit(
            session, AuthEventKind.ENDED_EVERYWHERE, user.id, reason=reason
        )

    async def end_session(self, session_id: str) -> None:
        """End the access tokens of one login, where somebody remembers that."""
        if self._revocation is not None:
            await self._revocation.revoke_session(session_id, expires_at=self._until())

    async def _tell(self, user_id: UUID, raised: int) -> None:
        # from the table: where the answer to a COMMIT was lost nobody else knows how it went;
        # the lock waits for one that is still under way
        user = await self._parts.db.run_in_transaction(partial(self._parts.lock, user_id=user_id))
        subject, epoch = str(user_id), raised if user is None else user.auth_epoch
        for forget in self.forget:
            forget(subject)
        if self._revocation is not None:
            await self._revocation.revoke_before_epoch(subject, epoch, expires_at=self._until())

    def _until(self) -> float:
        return self._parts.clock().timestamp() + self._keep_seconds
