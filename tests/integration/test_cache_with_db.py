"""The hook of tijolo-cache after a commit of tijolo-db."""

from __future__ import annotations

import pytest

from tijolo.cache import Cache, cached
from tijolo.db import AsyncDatabaseManager, on_commit


async def test_a_cached_result_goes_with_the_commit_and_not_with_a_rollback():
    cache = Cache(namespace="integration")
    db = AsyncDatabaseManager("sqlite://", environment="test")
    await db.connect()
    runs = []

    @cached(cache, tags=["products"])
    async def products() -> int:
        runs.append(1)
        return len(runs)

    assert await products() == 1
    with pytest.raises(KeyError):  # noqa: PT012
        async with db.transaction() as session:
            on_commit(session, cache.invalidation("products"))
            raise KeyError
    assert await products() == 1
    async with db.transaction() as session:
        on_commit(session, cache.invalidation("products"))
        assert await products() == 1  # not before the commit
    assert await products() == 2
    await db.disconnect()
