"""Random histories end alike in memory and elsewhere."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from tijolo.sessions import MemorySessionStore, Session, SessionDataTooLargeException
from tijolo.sessions.testing import ManualClock

USERS = [None, UUID(int=1), UUID(int=2)]


class History:
    """The same steps on two stores."""

    def __init__(self, seed, one, other, clock):
        self.dice = random.Random(seed)
        self.stores, self.clock = (one, other), clock
        self.ids = ["never"]
        self.made = 0

    async def step(self):
        # no two steps at one moment: who was used last would be anybody's guess
        self.clock.advance(self.dice.choice([0.001, 1, 20, 70]))
        name = self.dice.choice([n for n in dir(self) if n.startswith("do_")])
        call = getattr(self, name)()
        outcomes = [await self.outcome(call, store) for store in self.stores]
        assert outcomes[0] == outcomes[1], name
        for session_id in self.dice.sample(self.ids, min(3, len(self.ids))):
            call = lambda store, i=session_id: store.get(i)  # noqa: E731
            outcomes = [await self.outcome(call, store) for store in self.stores]
            assert outcomes[0] == outcomes[1], name

    async def outcome(self, call, store):
        try:
            result = await call(store)
        except (ValueError, SessionDataTooLargeException) as error:
            return type(error)
        if isinstance(result, list):
            return [plain(session) for session in result]
        return plain(result) if isinstance(result, Session) else result

    def any_id(self):
        return self.dice.choice(self.ids[-12:])

    def new(self):
        self.made += 1
        session = Session.start(
            f"{self.made:064x}",
            now=self.clock(),
            absolute_seconds=self.dice.choice([30, 300, 3_000]),
            idle_seconds=self.dice.choice([None, 60, 600]),
            user_id=self.dice.choice(USERS),
            public_id=f"p{self.made}",
            data={f"k{n}": "x" * self.dice.randrange(200) for n in range(self.dice.randrange(3))},
        )
        self.ids.append(session.session_id)
        return session

    def do_create(self):
        session, cap = self.new(), self.dice.choice([None, 1, 3])
        return lambda store: store.create(session, max_per_user=cap)

    def do_rotate(self):
        old, session, cap = self.any_id(), self.new(), self.dice.choice([None, 1, 3])
        overlap = self.dice.choice([0, 30])
        return lambda store: store.rotate(old, session, overlap_seconds=overlap, max_per_user=cap)

    def do_get(self):
        session_id, touch = self.any_id(), self.dice.choice([None, 0, 60])
        return lambda store: store.get(session_id, touch_seconds=touch)

    def do_save(self):
        session_id = self.any_id()
        changed = {f"k{self.dice.randrange(5)}": "x" * self.dice.choice([1, 100, 400])}
        removed = [f"k{self.dice.randrange(5)}"]
        return lambda store: store.save(session_id, changed, removed)

    def do_delete(self):
        session_id = self.any_id()
        return lambda store: store.delete(session_id)

    def do_delete_by_public_id(self):
        user_id, public_id = self.dice.choice(USERS[1:]), f"p{self.made - self.dice.randrange(6)}"
        return lambda store: store.delete_by_public_id(user_id, public_id)

    def do_delete_by_user(self):
        if self.dice.random() < 0.7:
            return self.do_create()
        user_id, keep = self.dice.choice(USERS[1:]), self.dice.choice([None, self.any_id()])
        return lambda store: store.delete_by_user(user_id, keep=keep)

    def do_list_by_user(self):
        user_id = self.dice.choice(USERS[1:])
        return lambda store: store.list_by_user(user_id)


def plain(session):
    return session.model_copy(update={"epoch": None})


async def play(seed, store, clock, *, steps):
    history = History(seed, MemorySessionStore(clock=clock, max_data_bytes=1_000), store, clock)
    for _ in range(steps):
        history.ids = history.ids[-15:]
        await history.step()


@pytest.mark.redis
@pytest.mark.parametrize("seed", range(3))
async def test_redis_agrees_with_memory(seed, redis_store, clock: ManualClock):
    await play(seed, redis_store, clock, steps=200)


@pytest.mark.parametrize("seed", [7])
async def test_a_database_agrees_with_memory(seed, database_store, clock: ManualClock):
    await play(seed, database_store, clock, steps=60)
