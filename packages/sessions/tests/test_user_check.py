"""S7: a user who was disabled, or whose epoch was raised, is signed out."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest


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


async def test_a_disabled_user_is_out_of_the_local_cache_too(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0, SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    assert (await browser.get("/orders")).status_code == 200
    del users.epochs[shop.ana.id]
    assert (await browser.get("/orders")).status_code == 401
    users.epochs[shop.ana.id] = 0
    assert (await browser.get("/orders")).status_code == 401


async def test_who_cannot_be_checked_is_not_let_in(checked: Any, users: Users) -> None:
    shop = checked(SESSION_USER_CHECK_SECONDS=0)
    browser = await shop.signed_in()
    users.down = True
    with pytest.raises(ConnectionError):
        await browser.get("/orders")
    users.down = False
    assert (await browser.get("/orders")).status_code == 200


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
