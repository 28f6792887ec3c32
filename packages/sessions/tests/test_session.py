"""The record of a session."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tijolo.core import hash_opaque_token
from tijolo.sessions import Session, new_session_id

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, UTC)


def start(**fields):
    return Session.start("i" * 64, now=NOW, absolute_seconds=3_600, **fields)


def test_the_cookies_value_has_256_random_bits_and_is_not_kept():
    values = {new_session_id() for _ in range(1_000)}
    cookies, ids = zip(*values, strict=True)
    assert len(set(cookies)) == len(set(ids)) == 1_000
    assert all(len(cookie) == 43 for cookie in cookies)  # 32 bytes in base64url
    assert all(hash_opaque_token(cookie) == session_id for cookie, session_id in values)


def test_the_public_id_is_independent_of_the_cookie_and_long():
    """S16."""
    one, other = start(), start()
    assert one.session_id == other.session_id
    assert one.public_id != other.public_id
    assert len(one.public_id) == 22  # 128 bits
    assert one.public_id not in one.session_id


def test_times_are_utc_in_whole_milliseconds_whatever_zone_they_came_in():
    """S19."""
    zones = [ZoneInfo("America/Sao_Paulo"), timezone(timedelta(hours=14)), UTC]
    given = [start(auth_time=NOW.astimezone(zone)).auth_time for zone in zones]
    assert given == [NOW.replace(microsecond=123_000)] * 3
    assert {moment.tzinfo for moment in given} == {UTC}


def test_a_naive_time_is_refused():
    """S19: it would be another moment in each time zone."""
    with pytest.raises(ValidationError, match="timezone"):
        start(auth_time=datetime(2026, 11, 22))  # noqa: DTZ001
    with pytest.raises(ValidationError, match="timezone"):
        Session.start("i", now=datetime(2026, 11, 22), absolute_seconds=60)  # noqa: DTZ001


@pytest.mark.parametrize(("idle", "ends"), [(None, 3_600), (600, 600), (9_999, 3_600)])
def test_it_ends_at_the_earlier_of_its_two_times(idle, ends):
    session = start(idle_seconds=idle)
    assert session.expires_at - session.created_at == timedelta(seconds=ends)
    assert session.absolute_expires_at - session.created_at == timedelta(hours=1)


def test_no_time_is_later_than_the_last():
    """S6."""
    fields = start().model_dump() | {"expires_at": NOW + timedelta(days=2)}
    with pytest.raises(ValidationError, match="latest end"):
        Session(**fields)


def test_what_the_client_says_of_itself_is_cut():
    """S21."""
    session = start(user_agent="M" * 60_000, ip="1" * 5_000)
    assert len(session.user_agent) == 256
    assert len(session.ip) == 64


def test_it_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        start().remember = True


def test_its_repr_tells_neither_ids_nor_data():
    session = start(data={"token": "s3cr3t"}, rotated_from="r" * 64)
    for shown in (repr(session), str(session)):
        assert "s3cr3t" not in shown
        assert "iiii" not in shown
        assert "rrrr" not in shown


@pytest.mark.parametrize("bad", ["", "i" * 65, None, 7])
def test_an_id_is_text_of_1_to_64_characters(bad):
    with pytest.raises(ValidationError):
        Session.start(bad, now=NOW, absolute_seconds=60)


DST = """
import asyncio, datetime as dt, time, uuid
from zoneinfo import ZoneInfo
from tijolo.sessions import MemorySessionStore, Session, new_session_id
from tijolo.sessions.testing import ManualClock

assert time.localtime().tm_zone in ("EST", "EDT"), time.tzname
zone = ZoneInfo("America/New_York")

def changes():
    moment = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    for _ in range(365 * 24):
        after = moment + dt.timedelta(hours=1)
        if moment.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            yield after
        moment = after

async def check(store, clock):
    _, session_id = new_session_id()
    await store.create(Session.start(session_id, now=clock(), absolute_seconds=7_200,
                                     idle_seconds=3_600, user_id=uuid.uuid4()))
    clock.advance(3_599)
    found = await store.get(session_id, touch_seconds=60)
    assert found is not None and found.expires_at == clock() + dt.timedelta(seconds=3_600)
    clock.advance(3_599)
    assert await store.get(session_id) is not None
    clock.advance(1)
    assert await store.get(session_id) is None

async def main():
    moments = list(changes())
    assert len(moments) == 2
    for moment in moments:
        for minutes in (-90, -60, -30, 0, 30):
            clock = ManualClock(moment + dt.timedelta(minutes=minutes))
            await check(MemorySessionStore(clock=clock), clock)
            %s

asyncio.run(main())
print("ok")
"""


def run_in_new_york(code, *arguments):
    environment = {"TZ": "America/New_York", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout == "ok\n", done.stderr


def test_an_hour_is_an_hour_when_the_clocks_change():
    """S19."""
    run_in_new_york(DST % "")


@pytest.mark.redis
def test_an_hour_is_an_hour_when_the_clocks_change_in_redis(redis_url, prefix):
    """S19."""
    pytest.importorskip("redis")
    more = """
            import sys
            from tijolo.sessions.redis import RedisSessionStore
            from tijolo.web.redis import redis_client
            client = redis_client(sys.argv[1], timeout_seconds=60)
            await check(RedisSessionStore(client, prefix=sys.argv[2], clock=clock,
                                          timeout_seconds=60), clock)
            async for key in client.scan_iter(match=sys.argv[2] + "*"):
                await client.unlink(key)
            await client.aclose()
"""
    run_in_new_york(DST % more.strip(), redis_url, prefix)


def test_an_hour_is_an_hour_when_the_clocks_change_in_a_database(tmp_path):
    """S19."""
    pytest.importorskip("tijolo.db")
    pytest.importorskip("aiosqlite")
    more = """
            import sys
            from sqlalchemy import MetaData
            from tijolo.db import AsyncDatabaseManager
            from tijolo.sessions.db import DatabaseSessionStore, make_session_model
            metadata = MetaData()
            name = "s" + uuid.uuid4().hex
            model = make_session_model(tablename=name, metadata=metadata)
            db = AsyncDatabaseManager(sys.argv[1], metadata=metadata)
            await db.connect()
            await db.create_tables()
            await check(DatabaseSessionStore(db, model, clock=clock), clock)
            await db.disconnect()
"""
    run_in_new_york(DST % more.strip(), f"sqlite+aiosqlite:///{tmp_path}/s.db")
