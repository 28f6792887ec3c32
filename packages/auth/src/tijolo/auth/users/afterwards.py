"""What must follow a transaction also where its request is given up."""

from __future__ import annotations

import asyncio

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from tijolo.auth.users.outbox import Job, Outbox
from tijolo.db import on_commit, on_rollback


def after_transaction(session: AsyncSession, outbox: Outbox, job: Job) -> None:
    """Do ``job`` once the transaction of ``session`` has ended, and answer after that.

    A hook of tijolo-db alone does not run where the request is cancelled in the middle of a COMMIT,
    and what it does is left half done where that happens later.
    """
    begun: list[asyncio.Task[None] | None] = []

    def begin(_: Session, ended: SessionTransaction) -> None:
        if ended.parent is None and not begun:
            begun.append(outbox.begin(job))

    async def wait() -> None:
        if begun and begun[0] is not None:
            await asyncio.shield(begun[0])

    event.listen(session.sync_session, "after_transaction_end", begin)
    on_commit(session, wait)
    on_rollback(session, wait)
