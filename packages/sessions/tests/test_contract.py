"""Every store keeps the same contract."""

from __future__ import annotations

import os

import pytest

from tijolo.sessions.testing import SessionStoreContract

LONG = os.environ.get("TIJOLO_LONG_TESTS") == "1"
"""Whether every store goes through the ten thousand rounds; a minute each, and more."""


class TestMemory(SessionStoreContract):
    rounds = 10_000

    @pytest.fixture
    def store(self, memory):
        return memory


@pytest.mark.redis
class TestRedis(SessionStoreContract):
    rounds = 10_000 if LONG else 2_000

    @pytest.fixture
    def store(self, redis_store):
        return redis_store


class TestDatabase(SessionStoreContract):
    rounds = 10_000 if LONG else 40

    @pytest.fixture
    def store(self, database_store):
        return database_store
