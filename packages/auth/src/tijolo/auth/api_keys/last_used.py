"""When a key was used last, without a write for each request."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

# house: allow library, the extra is called users: keys belong to them
from sqlalchemy import or_, update

from tijolo.auth.api_keys.models import BaseApiKeyModel
from tijolo.db import AsyncDatabaseManager

MAX_WRITES_AT_ONCE = 8
MAX_REMEMBERED = 4096
_log = logging.getLogger("tijolo.auth.api_keys")


class LastUsed:
    """Writes ``last_used_at`` beside the request, once in ``every_seconds`` for each key.

    A replica that comes late changes nothing: the condition is in the statement. While eight
    writes are under way, further ones are left to a later request; one that fails is logged.

    Args:
        db: Each write is a transaction of its own.
        model: From ``make_api_key_model``.
        every_seconds: How exact it is.
    """

    def __init__(
        self, db: AsyncDatabaseManager, model: type[BaseApiKeyModel], *, every_seconds: int
    ) -> None:
        self._db, self._model = db, model
        self._every = timedelta(seconds=every_seconds)
        # requests that read the row before the write of another one came
        self._noted: dict[UUID, datetime] = {}
        self._writes: set[asyncio.Task[None]] = set()

    def note(self, key_id: UUID, *, before: datetime | None, now: datetime) -> None:
        """Take note that the key is used ``now``; the last time that was written is ``before``."""
        known = self._noted.get(key_id, before)
        if known is not None and now - known < self._every:
            return
        if len(self._writes) >= MAX_WRITES_AT_ONCE:
            return
        self._noted.pop(key_id, None)
        while len(self._noted) >= MAX_REMEMBERED:
            del self._noted[next(iter(self._noted))]
        self._noted[key_id] = now
        task = asyncio.create_task(self._write(key_id, now))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self) -> None:
        """Wait for the writes that are under way."""
        await asyncio.gather(*self._writes)

    async def _write(self, key_id: UUID, now: datetime) -> None:
        model = self._model
        stale = or_(model.last_used_at.is_(None), model.last_used_at <= now - self._every)
        # updated_at says when its owner changed it
        values = {"last_used_at": now, "updated_at": model.updated_at}
        statement = update(model).where(model.id == key_id, stale).values(values)
        try:
            async with self._db.transaction() as session:
                await session.execute(statement.execution_options(synchronize_session=False))
        except Exception as error:
            self._noted.pop(key_id, None)
            _log.warning("last_used_at was not written (%s)", type(error).__name__)
