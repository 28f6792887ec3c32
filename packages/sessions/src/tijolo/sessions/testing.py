"""For tests: the contract of a store, and a clock that a test moves.

A store of your own proves itself by inheriting the contract::

    class TestMyStore(SessionStoreContract):
        @pytest.fixture
        def clock(self):
            return ManualClock()

        @pytest_asyncio.fixture
        async def store(self, clock):
            store = MyStore(clock=clock, max_data_bytes=1_000)
            yield store
            await store.close()
"""

# ruff: noqa: S101, D102  (a test suite that is shipped; its names are its sentences)

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tijolo.core import utcnow
from tijolo.sessions.errors import SessionDataTooLargeException
from tijolo.sessions.events import SessionEvent, SessionEventKind
from tijolo.sessions.service import SessionAuth
from tijolo.sessions.session import Session, new_session_id
from tijolo.sessions.settings import SessionSettings
from tijolo.sessions.store import SessionStore

__all__ = ["ManualClock", "SessionStoreContract", "revocation_rounds"]

DAY_SECONDS = 86_400


class ManualClock:
    """A clock that a test moves: ``clock.advance(60)``; pass it as ``clock=``.

    It begins at the real time, because a store's server may end sessions by its own clock too.
    """

    def __init__(self, now: datetime | None = None) -> None:
        now = utcnow() if now is None else now
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass; negative ones set it back."""
        self.now += timedelta(seconds=seconds)


class SessionStoreContract:
    """What every store does. The fixture ``store`` has a limit of 1,000 bytes of data."""

    rounds = 200
    """Of the stress test."""

    async def test_satisfies_the_protocol(self, store: SessionStore) -> None:
        assert isinstance(store, SessionStore)

    async def test_gives_back_what_was_created(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        clock.advance(0.001)
        session = _full(clock)
        made = await store.create(session)
        assert made.model_copy(update={"epoch": None}) == session
        assert await store.get(session.session_id) == made
        assert made.touched is False

    async def test_gives_back_what_was_rotated(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        new = _full(clock)
        old = await store.create(_session(clock, user_id=new.user_id))
        assert await store.rotate(old.session_id, new)
        found = await store.get(new.session_id)
        assert found is not None
        kept = {"rotated_from": old.session_id, "epoch": found.epoch}
        assert found == new.model_copy(update=kept)

    async def test_gives_back_a_session_without_a_user_or_anything_else(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = _session(clock)
        assert await store.create(session) == session
        assert await store.get(session.session_id) == session

    async def test_what_is_returned_is_a_copy(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        basket = {"items": [1]}
        session = _session(clock, data={"basket": basket})
        made = await store.create(session)
        basket["items"].append(2)
        made.data["basket"]["items"].append(3)
        found = await store.get(session.session_id)
        assert found is not None
        found.data["basket"]["items"].append(4)
        found.data["other"] = 5
        again = await store.get(session.session_id)
        assert again is not None
        assert again.data == {"basket": {"items": [1]}}

    async def test_what_was_never_there_is_absent(self, store: SessionStore) -> None:
        for session_id in (new_session_id()[1], "", "0" * 64, "é日本", "x" * 5000, "{}:*"):
            assert await store.get(session_id) is None
            assert await store.save(session_id, {"a": 1}) is False
            assert await store.delete(session_id) is False
            assert await store.get(session_id) is None
        assert await store.delete_by_user(uuid4()) == 0
        assert await store.list_by_user(uuid4()) == []
        assert await store.delete_by_public_id(uuid4(), "") is False

    async def test_a_session_ends_when_it_is_not_used(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, idle_seconds=600, user_id=uuid4()))
        clock.advance(599.999)
        assert await store.get(session.session_id) is not None
        clock.advance(0.001)
        await self._is_absent(store, clock, session)

    async def test_using_it_moves_its_end_but_not_past_the_last(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S6: the absolute lifetime is enforced where the session is read."""
        session = await store.create(_session(clock, 3_600, idle_seconds=600, user_id=uuid4()))
        for _ in range(7):
            clock.advance(500)
            found = await store.get(session.session_id, touch_seconds=60)
            assert found is not None
            assert found.touched is True
            assert found.last_seen_at == clock()
            assert found.expires_at == min(
                clock() + timedelta(seconds=600), session.absolute_expires_at
            )
        clock.advance(100)  # an hour after it began
        assert await store.get(session.session_id, touch_seconds=0) is None
        await self._is_absent(store, clock, session)

    async def test_it_is_touched_at_most_so_often(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, idle_seconds=600))
        clock.advance(59.9)
        early = await store.get(session.session_id, touch_seconds=60)
        assert early == session
        assert not session.touched
        clock.advance(0.1)
        due = await store.get(session.session_id, touch_seconds=60)
        assert due is not None
        assert (due.touched, due.last_seen_at) == (True, clock())
        again = await store.get(session.session_id, touch_seconds=60)
        assert again is not None
        assert again.touched is False
        assert again == due.model_copy(update={"touched": False})

    async def test_reading_without_touching_changes_nothing(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, idle_seconds=600))
        clock.advance(599)
        assert await store.get(session.session_id) == session
        clock.advance(1)
        assert await store.get(session.session_id) is None

    async def test_a_session_that_does_not_slide_is_seen_but_not_prolonged(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, 600, user_id=uuid4()))
        clock.advance(500)
        found = await store.get(session.session_id, touch_seconds=60)
        assert found is not None
        assert found.last_seen_at == clock()
        assert found.expires_at == session.expires_at
        clock.advance(100)
        await self._is_absent(store, clock, session)

    async def test_a_clock_that_is_set_back_shortens_nothing(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, idle_seconds=600))
        clock.advance(-3_600)
        found = await store.get(session.session_id, touch_seconds=0)
        assert found == session
        assert await store.save(session.session_id, {"a": 1})

    async def test_each_session_has_the_times_it_was_given(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """A remembered one keeps its own through touches."""
        user_id = uuid4()
        short = await store.create(_session(clock, 7_200, idle_seconds=600, user_id=user_id))
        long = await store.create(
            _session(clock, 30 * DAY_SECONDS, idle_seconds=7 * DAY_SECONDS, user_id=user_id)
        )
        clock.advance(500)
        found = await store.get(long.session_id, touch_seconds=60)
        assert found is not None
        assert found.expires_at == clock() + timedelta(days=7)
        clock.advance(500)
        assert await store.get(short.session_id) is None
        assert await store.get(long.session_id) is not None

    async def test_data_are_written_by_name(self, store: SessionStore, clock: ManualClock) -> None:
        session = await store.create(_session(clock, data={"a": 1, "b": {"c": [1]}}))
        assert await store.save(session.session_id, {"b": 2, "d": None}, ["a", "absent"])
        assert await self._data(store, session) == {"b": 2, "d": None}
        assert await store.save(session.session_id, {}, [])
        assert await store.save(session.session_id, {"a": 3}, ["a"])  # what is written stays
        assert await self._data(store, session) == {"a": 3, "b": 2, "d": None}

    async def test_concurrent_writes_of_different_names_all_stay(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S22."""
        session = await store.create(_session(clock))
        names = [f"n{n}" for n in range(20)]
        done = await asyncio.gather(*(store.save(session.session_id, {n: n}) for n in names))
        assert all(done)
        assert await self._data(store, session) == {name: name for name in names}

    async def test_data_have_a_limit_that_concurrent_writes_do_not_pass(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock))
        large = [store.save(session.session_id, {f"n{n}": "x" * 300}) for n in range(6)]
        outcomes = await asyncio.gather(*large, return_exceptions=True)
        assert outcomes.count(True) == 3
        assert sum(isinstance(o, SessionDataTooLargeException) for o in outcomes) == 3
        kept = await self._data(store, session)
        assert len(kept) == 3
        # nothing of a write that is too large is kept; another name's room can be used
        first, *_ = kept
        for refused in ({"small": 1, "big": "x" * 300}, {"é" * 64: "é" * 100}):
            with _raises(SessionDataTooLargeException):
                await store.save(session.session_id, refused)
        assert await store.save(session.session_id, {"big": "x" * 300}, [first])
        assert set(await self._data(store, session)) == {*kept, "big"} - {first}

    async def test_more_than_the_limit_is_neither_created_nor_rotated(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        too_much = {"a": "x" * 1_000}
        session = _session(clock, data=too_much)
        with _raises(SessionDataTooLargeException):
            await store.create(session)
        assert await store.get(session.session_id) is None
        old = await store.create(_session(clock, data={"b": 1}))
        with _raises(SessionDataTooLargeException):
            await store.rotate(old.session_id, session)
        assert await store.get(session.session_id) is None
        assert await store.get(old.session_id) == old

    async def test_what_json_cannot_hold_is_refused(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        session = await store.create(_session(clock, data={"a": 1}))
        circle: list[Any] = []
        circle.append(circle)
        hostile: list[Any] = [object(), float("nan"), float("inf"), circle, b"x", {1, 2}, clock()]
        for value in hostile:
            with _raises(TypeError, ValueError):
                await store.save(session.session_id, {"a": 2, "b": value})
        names: list[Any] = ["", "x" * 65, 7, "\ud800"]
        for name in names:
            with _raises(TypeError, ValueError):
                await store.save(session.session_id, {name: 1})
        assert await self._data(store, session) == {"a": 1}

    async def test_no_name_or_value_breaks_out(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        names = ["u", "e", "d:", "x", "$", "a.b", "$[0]", "'; --", "ção", "日本", "\x00", "'\"\\"]
        data = {name: f"{name}\ud800" for name in names}
        session = await store.create(_session(clock, user_id=uuid4()))
        assert await store.save(session.session_id, data)
        assert await self._data(store, session) == data
        assert await store.save(session.session_id, {}, names)
        assert await store.get(session.session_id) == session

    async def test_a_deleted_session_is_absent_and_stays_so(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S1: neither touch nor save nor rotation is an upsert."""
        session = await store.create(_session(clock, idle_seconds=600, user_id=uuid4()))
        other = await store.create(_session(clock, user_id=session.user_id))
        assert await store.delete(session.session_id) is True
        assert await store.delete(session.session_id) is False
        await self._is_absent(store, clock, session)
        assert await store.get(other.session_id) == other

    async def test_all_of_a_user_end_and_nobody_elses(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S2: however the times of the sessions differ."""
        user_id = uuid4()
        mine = [
            await store.create(_session(clock, seconds, user_id=user_id))
            for seconds in (60, 90 * DAY_SECONDS, 600)
        ]
        other = await store.create(_session(clock, user_id=uuid4()))
        nobodys = await store.create(_session(clock))
        clock.advance(61)
        assert await store.delete_by_user(user_id) == 2
        for session in mine:
            await self._is_absent(store, clock, session)
        assert await store.get(other.session_id) == other
        assert await store.get(nobodys.session_id) == nobodys
        later = await store.create(_session(clock, user_id=user_id))
        assert await store.get(later.session_id) == later
        assert await store.list_by_user(user_id) == [later]

    async def test_all_but_one_end(self, store: SessionStore, clock: ManualClock) -> None:
        user_id = uuid4()
        mine = [
            await store.create(_session(clock, idle_seconds=60, user_id=user_id)) for _ in range(3)
        ]
        kept = mine[1].session_id
        assert await store.delete_by_user(user_id, keep=kept) == 2
        assert await store.get(mine[0].session_id) is None
        assert [s.session_id for s in await store.list_by_user(user_id)] == [kept]
        assert await store.save(kept, {"a": 1})
        clock.advance(59)
        assert await store.get(kept, touch_seconds=1) is not None
        later = await store.create(_session(clock, user_id=user_id))
        assert await store.get(later.session_id) is not None
        assert await store.delete_by_user(user_id, keep=kept) == 1
        assert await store.get(kept) is not None
        assert await store.delete_by_user(user_id) == 1
        assert await store.get(kept) is None

    async def test_what_is_kept_must_be_the_users_own_and_alive(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        mine = await store.create(_session(clock, user_id=user_id))
        other = await store.create(_session(clock, user_id=uuid4()))
        assert await store.delete_by_user(user_id, keep=other.session_id) == 1
        await self._is_absent(store, clock, mine)
        assert await store.get(other.session_id) == other
        assert await store.list_by_user(user_id) == []
        mine = await store.create(_session(clock, user_id=user_id))
        await store.delete(mine.session_id)
        assert await store.delete_by_user(user_id, keep=mine.session_id) == 0
        await self._is_absent(store, clock, mine)

    async def test_one_device_is_ended_by_its_exact_public_id(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S16."""
        user_id = uuid4()
        session = await store.create(_session(clock, user_id=user_id, public_id="abcdef"))
        other = await store.create(_session(clock, user_id=user_id))
        wrong = ["", "a", "abcde", "abcdefg", "ABCDEF", "abcdef ", "%", "abcde_", "*"]
        for public_id in (*wrong, session.session_id):
            assert await store.delete_by_public_id(user_id, public_id) is False
        assert await store.delete_by_public_id(uuid4(), "abcdef") is False
        assert len(await store.list_by_user(user_id)) == 2
        assert await store.delete_by_public_id(user_id, "abcdef") is True
        assert await store.delete_by_public_id(user_id, "abcdef") is False
        await self._is_absent(store, clock, session)
        assert await store.get(other.session_id) == other

    async def test_sessions_are_listed_the_last_used_first(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        made: list[Session] = []
        for seconds in (60, 7_200, 3_600):
            clock.advance(1)
            made.append(
                await store.create(
                    _session(clock, seconds, user_id=user_id, data={"n": seconds}, ip="10.0.0.1")
                )
            )
        await store.create(_session(clock, user_id=uuid4()))
        assert await store.list_by_user(user_id) == made[::-1]
        clock.advance(59)
        used = await store.get(made[1].session_id, touch_seconds=0)
        assert used is not None
        used = used.model_copy(update={"touched": False})
        assert await store.list_by_user(user_id) == [used, made[2]]  # and one has ended

    async def test_a_user_has_so_many_and_the_least_recently_used_goes(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S25."""
        user_id = uuid4()
        made: list[Session] = []
        for _ in range(3):
            clock.advance(1)
            session = _session(clock, idle_seconds=600, user_id=user_id)
            made.append(await store.create(session, max_per_user=3))
        clock.advance(1)
        await store.get(made[0].session_id, touch_seconds=0)
        ended = _session(clock, 1, user_id=user_id)  # what has ended takes nobody's place
        clock.advance(1)
        fourth = await store.create(_session(clock, user_id=user_id), max_per_user=3)
        listed = {s.session_id for s in await store.list_by_user(user_id)}
        assert listed == {made[0].session_id, made[2].session_id, fourth.session_id}
        await self._is_absent(store, clock, made[1])
        assert await store.get(ended.session_id) is None
        clock.advance(1)
        only = await store.create(_session(clock, user_id=user_id), max_per_user=1)
        assert await store.list_by_user(user_id) == [only]
        for _ in range(5):
            await store.create(_session(clock), max_per_user=1)  # nobody's are not counted
        assert await store.get(only.session_id) == only

    async def test_the_cap_never_ends_the_login_it_is_for(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """Though another replica, whose clock is ahead, saw all the others later."""
        user_id = uuid4()
        ahead = ManualClock(clock() + timedelta(seconds=30))
        for _ in range(3):
            await store.create(_session(ahead, user_id=user_id), max_per_user=3)
        for cap in (3, 1):
            made = await store.create(_session(clock, user_id=user_id), max_per_user=cap)
            assert await store.get(made.session_id) == made
            assert len(await store.list_by_user(user_id)) == cap
        await store.create(_session(ahead, user_id=user_id))
        visitor = await store.create(_session(clock))
        login = _session(clock, user_id=user_id)
        assert await store.rotate(visitor.session_id, login, max_per_user=1)
        assert [s.session_id for s in await store.list_by_user(user_id)] == [login.session_id]

    async def test_concurrent_logins_neither_pass_the_cap_nor_end_each_other(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        for _ in range(5):
            user_id = uuid4()
            clocks = [ManualClock(clock() + timedelta(seconds=n % 4)) for n in range(12)]
            logins = [_session(each, user_id=user_id) for each in clocks]
            await asyncio.gather(*(store.create(login, max_per_user=3) for login in logins))
            assert len(await store.list_by_user(user_id)) == 3
            living = [login for login in logins if await store.get(login.session_id)]
            assert len(living) == 3

    async def test_rotation_puts_a_new_id_in_the_place_of_the_old(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        old = await store.create(_session(clock, user_id=user_id, data={"a": 1, "b": 2}))
        clock.advance(5)
        new = _session(clock, user_id=user_id, public_id=old.public_id, data={"b": 3})
        assert await store.rotate(old.session_id, new) is True
        assert await store.get(old.session_id) is None
        found = await store.get(new.session_id)
        assert found is not None
        assert found.data == {"a": 1, "b": 3}
        assert found.rotated_from == old.session_id
        expected = {"data": found.data, "rotated_from": old.session_id, "epoch": found.epoch}
        assert found == new.model_copy(update=expected)
        assert await store.list_by_user(user_id) == [found]
        assert await store.delete_by_user(user_id) == 1
        await self._is_absent(store, clock, found)

    async def test_a_login_takes_along_what_the_visitor_had(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        first = await store.create(_session(clock, user_id=user_id))
        clock.advance(1)
        visitor = await store.create(_session(clock, data={"cart": [7]}))
        login = _session(clock, user_id=user_id)
        assert await store.rotate(visitor.session_id, login, max_per_user=1) is True
        assert await store.get(visitor.session_id) is None
        assert await store.get(first.session_id) is None
        found = await store.get(login.session_id)
        assert found is not None
        assert found.data == {"cart": [7]}
        assert await store.delete_by_user(user_id) == 1
        assert await store.get(login.session_id) is None

    async def test_a_session_is_not_rotated_to_another_user_or_to_nobody(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        old = await store.create(_session(clock, user_id=uuid4()))
        for user_id in (uuid4(), None):
            new = _session(clock, user_id=user_id)
            with _raises(ValueError):
                await store.rotate(old.session_id, new)
            assert await store.get(new.session_id) is None
        with _raises(ValueError):
            await store.rotate(old.session_id, old)
        assert await store.get(old.session_id) == old

    async def test_what_has_ended_is_not_rotated(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        sessions = [
            await store.create(_session(clock, 60 if n == 0 else 600, user_id=user_id))
            for n in range(3)
        ]
        clock.advance(60)
        await store.delete(sessions[1].session_id)
        await store.delete_by_user(user_id)
        for session in sessions:
            new = _session(clock, user_id=user_id)
            assert await store.rotate(session.session_id, new) is False
            assert await store.get(new.session_id) is None
        assert await store.list_by_user(user_id) == []

    async def test_of_ten_that_rotate_one_wins(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        old = await store.create(_session(clock, user_id=user_id))
        racers = [_session(clock, user_id=user_id) for _ in range(10)]
        won = await asyncio.gather(
            *(store.rotate(old.session_id, new, overlap_seconds=10) for new in racers)
        )
        assert won.count(True) == 1
        living = [new.session_id for new in racers if await store.get(new.session_id)]
        assert living == [racers[won.index(True)].session_id]
        assert len(await store.list_by_user(user_id)) == 1

    async def test_the_old_id_leads_to_the_new_session_for_the_overlap(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        old = await store.create(_session(clock, user_id=uuid4(), idle_seconds=600))
        new = _session(clock, user_id=old.user_id, idle_seconds=600)
        assert await store.rotate(old.session_id, new, overlap_seconds=30)
        assert await store.get(new.session_id, touch_seconds=10) is not None
        clock.advance(29)
        found = await store.get(old.session_id, touch_seconds=10)
        assert found is not None
        assert found.session_id == new.session_id
        assert found.touched is True
        third = _session(clock, user_id=old.user_id)
        assert await store.rotate(old.session_id, third) is False
        assert await store.save(old.session_id, {"a": 1}) is False
        assert [s.session_id for s in await store.list_by_user(found.user_id or uuid4())] == [
            new.session_id
        ]
        clock.advance(1)
        assert await store.get(old.session_id) is None
        assert await store.get(new.session_id) is not None

    async def test_the_overlap_begins_when_the_new_id_is_used(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """The answer with the new cookie may be lost, and nobody is signed out by that."""
        old = await store.create(_session(clock, user_id=uuid4()))
        new = _session(clock, user_id=old.user_id)
        assert await store.rotate(old.session_id, new, overlap_seconds=30)
        for _ in range(5):
            clock.advance(60)
            found = await store.get(old.session_id, touch_seconds=0)
            assert found is not None
            assert found.session_id == new.session_id
            assert await store.get(new.session_id) is not None  # to look is not to use
        for _ in range(2):  # the first use counts
            assert await store.get(new.session_id, touch_seconds=3_600) is not None
            assert await store.get(old.session_id) is not None
            clock.advance(15)
        assert await store.get(old.session_id) is None
        assert await store.get(new.session_id) is not None

    async def test_an_id_that_nobody_used_is_replaced_for_who_has_the_one_before(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()
        old, lost, new, other = (_session(clock, user_id=user_id) for _ in range(4))
        await store.create(old)
        assert await store.rotate(old.session_id, lost, overlap_seconds=30)
        for stranger in (other.session_id, lost.session_id):
            assert not await store.rotate(lost.session_id, other, through=stranger)
        replaced = await asyncio.gather(
            *(
                store.rotate(lost.session_id, one, overlap_seconds=30, through=old.session_id)
                for one in (new, other)
            )
        )
        assert sorted(replaced) == [False, True]
        made = new if replaced[0] else other
        assert await store.get(lost.session_id) is None
        for session_id in (old.session_id, made.session_id):
            found = await store.get(session_id, touch_seconds=0)
            assert found is not None
            assert found.session_id == made.session_id
        # now it was used: who has the old one must not get the next
        third = _session(clock, user_id=user_id)
        assert not await store.rotate(made.session_id, third, through=old.session_id)
        assert len(await store.list_by_user(user_id)) == 1
        clock.advance(30)
        assert await store.get(old.session_id) is None
        assert await store.delete_by_user(user_id) == 1

    async def test_the_old_id_ends_with_the_new_session(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        user_id = uuid4()

        async def by_rotation(new: Session) -> Any:
            return await store.rotate(new.session_id, _session(clock, user_id=user_id))

        ends: list[Callable[[Session], Awaitable[Any]]] = [
            lambda new: store.delete(new.session_id),
            lambda new: store.delete(new.rotated_from or ""),
            lambda new: store.delete_by_public_id(user_id, new.public_id),
            lambda new: store.delete_by_user(user_id),
            by_rotation,
        ]
        for end in ends:
            old = await store.create(_session(clock, user_id=user_id))
            new = _session(clock, user_id=user_id)
            assert await store.rotate(old.session_id, new, overlap_seconds=60)
            assert await end(new.model_copy(update={"rotated_from": old.session_id}))
            assert await store.get(old.session_id) is None
            assert await store.get(new.session_id) is None

    async def test_no_write_is_lost_to_a_rotation(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        for _ in range(10):
            old = await store.create(_session(clock))
            new = _session(clock)
            saved, rotated = await asyncio.gather(
                store.save(old.session_id, {"a": 1}), store.rotate(old.session_id, new)
            )
            assert rotated is True
            found = await store.get(new.session_id)
            assert found is not None
            assert (found.data == {"a": 1}) is saved

    async def test_ending_all_is_final_for_what_is_under_way(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """S1, S2, S4."""
        assert await revocation_rounds(store, clock, rounds=self.rounds) == 0

    async def test_a_log_out_ends_a_session_that_another_request_gave_a_new_id(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        auth = SessionAuth(store=store, settings=SessionSettings(), clock=clock)
        user_id = uuid4()
        for overlaps in ([], [60], [60, 60], [60, 0], [0, 0]):
            loaded, _ = await auth.login(user_id=user_id)
            through = loaded.session_id
            if overlaps:  # by an answer that was lost
                moved = await auth.rotate(loaded, overlap_seconds=60)
                assert moved is not None
                loaded = moved[0]
            session = loaded
            for overlap in overlaps:
                by = through if overlap else None
                moved = await auth.rotate(session, overlap_seconds=overlap, through=by)
                assert moved is not None
                session = moved[0]
            await auth.revoke_session(loaded, through=through)
            assert await store.list_by_user(user_id) == []

    async def test_an_id_that_was_replaced_and_turns_up_ends_the_session_for_both(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        """Its answer was not lost: somebody else came by the id before."""
        events: list[SessionEvent] = []
        settings = SessionSettings(SESSION_RENEWAL_SECONDS=600)
        auth = SessionAuth(store=store, settings=settings, clock=clock, on_event=events.append)
        user_id = uuid4()
        first, _ = await auth.login(user_id=user_id)
        other, _ = await auth.login(user_id=user_id)
        owner = await auth.rotate(first, overlap_seconds=60)
        assert owner is not None
        thief = await auth.rotate(owner[0], overlap_seconds=60, through=first.session_id)
        assert thief is not None
        assert await auth.resolve(thief[1]) is not None
        clock.advance(3_600)
        assert await auth.resolve(owner[1]) is None
        assert await auth.resolve(thief[1]) is None
        assert [s.session_id for s in await store.list_by_user(user_id)] == [other.session_id]
        assert events[-1].public_id == first.public_id
        assert (events[-1].kind, events[-1].details) == (
            SessionEventKind.REVOKED,
            {"reason": "replaced_id_used"},
        )
        heard = len(events)
        assert await auth.resolve(owner[1]) is None
        assert len(events) == heard

    async def test_a_visitors_session_ends_though_its_new_id_was_replaced(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        auth = SessionAuth(store=store, settings=SessionSettings(), clock=clock)
        first, value = await auth.start_anonymous()
        moved = await auth.rotate(first, overlap_seconds=60)
        assert moved is not None
        again = await auth.rotate(moved[0], overlap_seconds=60, through=first.session_id)
        assert again is not None
        await auth.revoke_session(moved[0], through=first.session_id)
        assert await auth.resolve(again[1]) is None
        assert await auth.resolve(value) is None

    async def test_ending_one_is_final_against_a_rotation_under_way(
        self, store: SessionStore, clock: ManualClock
    ) -> None:
        for _ in range(max(1, self.rounds // 20)):
            user_id = uuid4()
            old = await store.create(_session(clock, user_id=user_id))
            new = _session(clock, user_id=user_id, public_id=old.public_id)
            ended, _ = await asyncio.gather(
                store.delete_by_public_id(user_id, old.public_id),
                store.rotate(old.session_id, new),
            )
            assert ended is True
            assert await store.list_by_user(user_id) == []

    async def _data(self, store: SessionStore, session: Session) -> dict[str, Any]:
        found = await store.get(session.session_id)
        assert found is not None
        return found.data

    async def _is_absent(self, store: SessionStore, clock: ManualClock, session: Session) -> None:
        """And nothing that a late request does brings it back."""
        new = _session(clock, user_id=session.user_id)
        assert await store.get(session.session_id, touch_seconds=0) is None
        assert await store.save(session.session_id, {"a": 1}, ["b"]) is False
        assert await store.rotate(session.session_id, new) is False
        assert await store.get(session.session_id) is None
        assert await store.get(new.session_id) is None
        if session.user_id is not None:
            listed = await store.list_by_user(session.user_id)
            assert session.session_id not in {other.session_id for other in listed}


async def revocation_rounds(
    store: SessionStore, clock: Callable[[], datetime], *, rounds: int, at_once: int = 20
) -> int:
    """End all of a user's sessions while requests use them, ``rounds`` times, each user new.

    Returns:
        How many sessions were alive afterwards; the contract is 0.
    """
    limit = asyncio.Semaphore(at_once)

    async def one() -> int:
        async with limit:
            return await _revocation_round(store, clock)

    return sum(await asyncio.gather(*(one() for _ in range(rounds))))


async def _revocation_round(store: SessionStore, clock: Callable[[], datetime]) -> int:
    user_id = uuid4()
    old, new = (_session(clock, user_id=user_id, idle_seconds=600) for _ in range(2))
    dice = random.Random(user_id.int)  # noqa: S311 - it decides who waits
    await store.create(old, max_per_user=5)

    async def moments() -> None:
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)

    async def request() -> None:
        await moments()
        found = await store.get(old.session_id, touch_seconds=0)
        if found is not None:
            await moments()
            await store.save(found.session_id, {"seen": 1})

    async def rotation() -> None:
        await moments()
        await store.rotate(old.session_id, new, overlap_seconds=60)

    async def end() -> None:
        await moments()
        await store.delete_by_user(user_id)

    await asyncio.gather(end(), rotation(), request())
    found = [await store.get(session.session_id) for session in (old, new)]
    return sum(session is not None for session in found)


def _session(
    clock: Callable[[], datetime],
    seconds: int = 3_600,
    *,
    user_id: UUID | None = None,
    **fields: Any,
) -> Session:
    return Session.start(
        new_session_id()[1], now=clock(), absolute_seconds=seconds, user_id=user_id, **fields
    )


def _full(clock: Callable[[], datetime]) -> Session:
    """A session with something in every field that a caller sets."""
    session = _session(
        clock,
        user_id=uuid4(),
        idle_seconds=600,
        auth_time=clock(),
        renewed_at=clock(),
        amr=("pwd", "otp"),
        auth_epoch=3,
        remember=True,
        ip="2001:db8::1",
        user_agent="Navegador 'é' \" \\ 日本 \x01",
        data={"carrinho": [1, 2.5, None, True, {"é": "\x00日本"}], "vazio": {}, "lista": []},
    )
    fields = Session.model_fields.items()
    empty = {n for n, f in fields if not f.is_required() and getattr(session, n) == f.default}
    assert empty == {"touched", "epoch", "rotated_from"}, f"{empty} should be set here"
    return session


class _raises:  # noqa: N801 - it is written like pytest.raises, without pytest
    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        assert kind is not None, f"{self._kinds} not raised"
        return issubclass(kind, self._kinds)
