"""Sessions of the users of ``tijolo.auth.users`` (extra ``users``)."""

from __future__ import annotations

from uuid import UUID

from tijolo.core import MissingExtraError

try:
    from sqlalchemy import select

    from tijolo.auth.users import BaseUserModel, UserStatus
    from tijolo.db import AsyncDatabaseManager
except ImportError as exc:
    raise MissingExtraError("tijolo-sessions", "users", exc.name or "tijolo.auth") from exc

__all__ = ["UserEpochCheck"]


class UserEpochCheck:
    """Ends the sessions of users who may not log in, and those of an older ``auth_epoch``.

    ``SessionAuth(..., user_check=UserEpochCheck(db, User))``: a new password, a new status, new
    roles and "log out everywhere" raise the epoch, so each of them ends the user's sessions
    within ``SESSION_USER_CHECK_SECONDS``.

    Args:
        db: Where the users are.
        user_model: Their model.
    """

    def __init__(self, db: AsyncDatabaseManager, user_model: type[BaseUserModel]) -> None:
        self._db = db
        self._user_model = user_model

    async def __call__(self, user_id: UUID) -> int | None:
        """The epoch from which on sessions hold; None for who may not be signed in."""
        model = self._user_model
        query = select(model.auth_epoch).where(
            model.id == user_id, model.status == UserStatus.ACTIVE, model.is_active.is_(True)
        )
        async with self._db.read_only() as session:
            return await session.scalar(query)
