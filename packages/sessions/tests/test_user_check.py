"""S7: a user who was disabled, or whose epoch was raised, is signed out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends

from tijolo.sessions import (
    OutagePolicy,
    Session,
    SessionStoreUnavailableException,
    make_session_dependency,
)
from tijolo.sessions.user_check import CachedUserCheck

LastKnownGood = Annotated[
    Session, Depends(make_session_dependency(policy=OutagePolicy.LAST_KNOWN_GOOD))
]


class Users:
    """Current epochs; who is not there may not be signed in."""

    def __init__(self) -> None:
        self.epochs: dict[UUID, int | None] = {}
        self.asked = 0
        self.down = False
        self.slow: asyncio.Event | None = None
        self.called = asyncio.Event()

    async def __call__(self, user_id: UUID) -> int | None:
        self.asked += 1
        self.called.set()
        if self.down:
            raise ConnectionError("the database is down")
        epoch = self.epochs.get(user_id)
        if self.slow is not None:
            await self.slow.wait()
        return epoch


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def checked(make_shop: Any, users: Users) -> Any:
    def make(**settings: Any) -> Any:
        shop = make_shop(options={"user_check": users}, **settings)
        users.epochs = {shop.ana.id: 0, shop.bia.id: 0}
        return shop

    return make


async def test_a_disabled_user_is_signed_out_everywhere(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    first, second = await shop.signed_in(), await shop.signed_in()
    other = await shop.signed_in("bia")
    assert (await first.get("/orders")).status_code == 200
    del users.epochs[shop.ana.id]
    for browser in (first, second):
        assert (await browser.get("/orders")).status_code == 401
    assert (await other.get("/orders")).status_code == 200
    assert await shop.store.list_by_user(shop.ana.id) == []


async def test_each_session_that_ends_with_its_user_is_reported_once(
    checked: Any, users: Users
) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    browser = await shop.signed_in()
    device = (await shop.store.list_by_user(shop.ana.id))[0]
    shop.events.clear()
    del users.epochs[shop.ana.id]
    at_once = [browser.get("/orders") for _ in range(5)]
    assert {answer.status_code for answer in await asyncio.gather(*at_once)} == {401}
    [event] = shop.events
    assert (event.kind, event.user_id, event.public_id, event.ip) == (
        *("revoked", shop.ana.id),
        *(device.public_id, "203.0.113.9"),
    )


async def test_a_raised_epoch_ends_older_sessions_and_no_newer_ones(
    checked: Any, users: Users
) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    old = await shop.signed_in()
    users.epochs[shop.ana.id] = shop.ana.auth_epoch = 1  # a password was changed
    assert (await old.get("/orders")).status_code == 401
    new = await shop.signed_in()
    assert (await new.get("/orders")).json()["auth_epoch"] == 1
    assert (await old.get("/home")).json() == {"user_id": None}


async def test_the_answer_is_believed_for_its_seconds(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=2)
    browser = await shop.signed_in()
    for _ in range(5):
        await browser.get("/orders")
    assert users.asked == 1
    del users.epochs[shop.ana.id]
    await asyncio.sleep(2.1)
    assert (await browser.get("/orders")).status_code == 401
    assert users.asked == 2


async def test_a_sign_in_asks_anew(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=60)
    browser = await shop.signed_in()
    del users.epochs[shop.ana.id]
    await shop.auth.revoke_all(shop.ana.id)
    users.epochs[shop.ana.id] = 0
    await shop.login(browser)
    assert (await browser.get("/orders")).status_code == 200


async def test_an_answer_that_was_under_way_at_a_sign_in_is_not_believed_after_it(
    checked: Any, users: Users
) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=60)
    before, browser = await shop.signed_in(), await shop.signed_in()
    users.slow, users.epochs[shop.ana.id] = asyncio.Event(), None
    late = asyncio.create_task(before.get("/orders"))
    await users.called.wait()
    users.epochs[shop.ana.id] = 0  # enabled again
    await shop.login(browser)
    users.slow.set()
    assert (await late).status_code == 401
    assert (await browser.get("/orders")).status_code == 200


async def test_an_answer_is_kept_though_somebody_else_signs_in_meanwhile(
    checked: Any, users: Users
) -> None:
    """Or who signs in all the time has everybody's users looked up at every request."""
    shop = checked(SESSION_USER_CHECK_SECONDS=60)
    browser = await shop.signed_in()
    users.slow = asyncio.Event()
    late = asyncio.create_task(browser.get("/orders"))
    await users.called.wait()
    await shop.signed_in("bia")
    users.slow.set()
    assert (await late).status_code == 200
    assert (await browser.get("/orders")).status_code == 200
    assert users.asked == 1


async def test_a_disabled_user_is_out_of_the_local_cache_too(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0, SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    assert (await browser.get("/orders")).status_code == 200
    del users.epochs[shop.ana.id]
    assert (await browser.get("/orders")).status_code == 401
    users.epochs[shop.ana.id] = 0
    assert (await browser.get("/orders")).status_code == 401


# --- nobody can tell


@pytest_asyncio.fixture(params=["a check of one's own", "users in a PostgreSQL that is not there"])
async def lost(request: Any, make_shop: Any, users: Users) -> Any:
    """The shop, and a switch that takes its users' database away, seen once as it goes."""
    if request.param == "a check of one's own":
        dead: Any = users
        users.down = True
    else:
        pytest.importorskip("asyncpg")
        pytest.importorskip("tijolo.auth.users")
        dead = _no_postgres()
    check: Any = Users()

    async def ask(user_id: UUID) -> int | None:
        return await (dead if check.down else check)(user_id)

    shop = make_shop(
        routes=_believing(),
        options={"user_check": ask},
        SESSION_USER_CHECK_SECONDS=0,
        SESSION_LAST_KNOWN_GOOD_SECONDS=60,
        SESSION_STORE_RETRY_SECONDS=0,
    )
    check.epochs = {shop.ana.id: 0, shop.bia.id: 0}
    shop.users = check
    return shop


def _no_postgres() -> Any:
    from sqlalchemy import MetaData

    from tijolo.auth.users import BaseUserModel
    from tijolo.db import AsyncDatabaseManager
    from tijolo.sessions.users import UserEpochCheck

    names = {"__tablename__": "users_elsewhere", "__module__": __name__, "metadata": MetaData()}
    model = type(f"Elsewhere{uuid4().hex}", (BaseUserModel,), names)
    db = AsyncDatabaseManager("postgresql+asyncpg://n:s3cr3t@127.0.0.1:1/n", environment="test")

    async def check(user_id: UUID) -> int | None:
        await db.connect()
        try:
            return await UserEpochCheck(db, model)(user_id)
        finally:
            await db.disconnect()

    return check


def _believing() -> APIRouter:
    routes = APIRouter()

    @routes.get("/known")
    async def last_known_good(session: LastKnownGood) -> bool:
        return session.user_id is not None

    return routes


async def test_who_cannot_be_checked_is_treated_as_the_route_says(lost: Any) -> None:
    """As where the store is down."""
    browser, other = await lost.signed_in(), await lost.signed_in("bia")
    assert (await browser.get("/known")).status_code == 200
    lost.users.down = True
    for path in ("/orders", "/cart"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "SESSION_STORE_UNAVAILABLE")
        assert "s3cr3t" not in answer.text
    assert (await browser.get("/home")).json() == {"user_id": None}
    assert (await browser.get("/known")).status_code == 200
    assert (await other.get("/known")).status_code == 503  # nobody ever told
    lost.users.down = False
    assert (await browser.get("/orders")).status_code == 200


async def test_who_cannot_be_checked_can_sign_out(lost: Any) -> None:
    browser = await lost.signed_in()
    lost.users.down = True
    answer = await browser.post("/auth/session/logout")
    assert answer.status_code == 204
    assert lost.cookie_of(answer)["max-age"] == "0"
    assert await lost.store.list_by_user(lost.ana.id) == []
    assert [event.kind for event in lost.events] == ["login", "logout"]


async def test_who_was_told_apart_while_somebody_could_tell_stays_out(lost: Any) -> None:
    """What is believed is the last answer, not the last session that was loaded."""
    browser = await lost.signed_in()
    assert (await browser.get("/known")).status_code == 200
    lost.users.down = True
    await lost.auth.revoke_all(lost.ana.id)
    await lost.login(browser)
    assert (await browser.get("/known")).status_code == 503


async def test_the_last_answer_is_believed_for_its_seconds_only(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0, SESSION_LAST_KNOWN_GOOD_SECONDS=0.05)
    shop.app.include_router(_believing())
    browser = await shop.signed_in()
    assert (await browser.get("/known")).status_code == 200
    users.down = True
    assert (await browser.get("/known")).status_code == 200
    await asyncio.sleep(0.06)
    assert (await browser.get("/known")).status_code == 503


async def test_a_check_that_fails_is_left_alone_for_a_while(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0, SESSION_STORE_RETRY_SECONDS=2)
    browser = await shop.signed_in()
    users.down = True
    for _ in range(10):
        assert (await browser.get("/orders")).status_code == 503
    assert users.asked == 3
    users.down = False
    assert (await browser.get("/orders")).status_code == 503
    await asyncio.sleep(2.1)
    for _ in range(2):
        assert (await browser.get("/orders")).status_code == 200


async def test_a_check_that_never_answers_is_an_outage(checked: Any, users: Users) -> None:
    async def silent(user_id: object) -> int:
        await asyncio.sleep(60)
        return 0

    shop = checked()
    session, _ = await shop.auth.login(user_id=shop.ana.id)
    check = CachedUserCheck(silent, cache_seconds=0, timeout_seconds=0.05)
    with pytest.raises(SessionStoreUnavailableException):
        await asyncio.wait_for(check.may_stay(session), 5)


async def test_a_fault_of_the_check_is_no_outage(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    browser = await shop.signed_in()
    users.epochs[shop.ana.id] = "no number"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        await browser.get("/home")


async def test_a_visitor_is_checked_with_nobody(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    browser = shop.browser()
    await browser.post("/cart/1")
    assert (await browser.get("/cart")).json() == [1]
    assert users.asked == 0


async def test_a_disabled_user_stays_out_while_the_store_is_down(
    checked: Any, users: Users
) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0, SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    await browser.get("/orders")
    del users.epochs[shop.ana.id]
    shop.store.down = True
    assert (await browser.get("/orders")).status_code == 401
