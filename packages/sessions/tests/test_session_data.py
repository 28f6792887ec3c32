"""S22, must 22: typed values, each stored by itself, bounded."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import APIRouter

from tijolo.sessions import (
    CurrentRequestSession,
    MemorySessionStore,
    SessionDataTooLargeException,
    SessionKey,
)

CART = SessionKey[list[int]]("cart")
THEME = SessionKey[str]("theme")


async def current_of(shop: Any, browser: Any) -> Any:
    """The session as a handler has it, without a request around it."""
    from tijolo.sessions import SessionMiddleware, request_session

    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request

        current = request_session(Request(scope))
        await current.load()
        found.append(current)

    cookie = f"{shop.cookie_name}={shop.id_of(browser)}".encode()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookie)]}
    await SessionMiddleware(app, session_auth=shop.auth)(scope, None, None)  # type: ignore[arg-type]
    return found[0]


async def test_two_tabs_that_write_different_keys_lose_nothing(shop: Any) -> None:
    browser = await shop.signed_in()
    first, second = await current_of(shop, browser), await current_of(shop, browser)
    first[CART] = [1]
    second[THEME] = "dark"
    await asyncio.gather(first.save(), second.save())

    after = await current_of(shop, browser)
    assert (after[CART], after[THEME]) == ([1], "dark")


async def test_what_another_tab_removed_does_not_come_back(shop: Any) -> None:
    browser = await shop.signed_in()
    await browser.post("/cart/1")
    first, second = await current_of(shop, browser), await current_of(shop, browser)
    del first[CART]
    second[THEME] = "dark"
    await first.save()
    await second.save()
    after = await current_of(shop, browser)
    assert CART not in after
    assert after[THEME] == "dark"


async def test_a_write_to_a_session_that_ended_meanwhile_is_dropped(shop: Any) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    current[CART] = [1]
    await shop.auth.revoke_all(shop.ana.id)
    await current.save()
    assert current.record is None
    assert await shop.store.list_by_user(shop.ana.id) == []


async def test_a_write_follows_an_id_that_was_renewed_meanwhile(shop: Any) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    current[CART] = [7]
    renewed, _ = await shop.auth.rotate(current.record, overlap_seconds=60)
    await current.save()
    assert (await shop.store.get(renewed.session_id)).data == {"cart": [7]}


async def test_values_read_back_as_their_type(shop: Any) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    when = datetime(2026, 11, 22, 12, tzinfo=UTC)
    keys: dict[SessionKey[Any], Any] = {
        SessionKey[int]("i"): 7,
        SessionKey[bool]("b"): False,
        SessionKey[Decimal]("d"): Decimal("0.10"),
        SessionKey[datetime]("t"): when,
        SessionKey[tuple[int, str]]("p"): (1, "é"),
        SessionKey[set[int]]("s"): {1, 2},
        SessionKey[dict[str, list[int]]]("m"): {"a": [1]},
    }
    for key, value in keys.items():
        current[key] = value
        assert current[key] == value
    await current.save()
    after = await current_of(shop, browser)
    for key, value in keys.items():
        assert after[key] == value
        assert type(after[key]) is type(value)


async def test_true_is_not_one(shop: Any) -> None:
    browser = await shop.signed_in()
    anything = SessionKey[bool | int]("x")
    current = await current_of(shop, browser)
    current[anything] = 1
    await current.save()
    current[anything] = True
    assert current.has_changes


async def test_an_absent_value_is_the_default_or_a_key_error(shop: Any) -> None:
    current = await current_of(shop, await shop.signed_in())
    assert current.get(CART) is None
    assert current.get(CART, [5]) == [5]
    assert CART not in current
    with pytest.raises(KeyError, match="cart"):
        current[CART]
    del current[CART]
    current[CART] = [1]
    del current[CART]
    assert current.get(CART, [5]) == [5]
    assert not current.has_changes


async def test_a_value_of_an_older_release_locks_nobody_out(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    current[SessionKey[str]("cart")] = "a word"
    with caplog.at_level(logging.WARNING, "tijolo.sessions"):
        assert current.get(CART, []) == []
    assert "'cart' is not of the key's type" in caplog.text
    assert "a word" not in caplog.text


async def test_a_value_that_is_too_large_is_refused_and_nothing_is_kept(shop: Any) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    small = SessionKey[str]("small", max_bytes=10)
    current[small] = "12345678"
    with pytest.raises(SessionDataTooLargeException, match="small"):
        current[small] = "123456789"
    with pytest.raises(SessionDataTooLargeException):
        current[small] = "ééééé"  # bytes count, not letters
    assert current[small] == "12345678"


async def test_more_than_the_whole_session_may_hold_is_a_422(make_shop: Any) -> None:
    routes = APIRouter()

    async def fill(number: int, session: CurrentRequestSession) -> None:
        session[SessionKey[str](f"k{number}")] = "x" * 400

    fill.__annotations__["session"] = CurrentRequestSession
    fill.__annotations__["number"] = int
    routes.post("/fill/{number}")(fill)
    shop = make_shop(routes=routes)
    small = MemorySessionStore(clock=shop.clock, max_data_bytes=1000)
    shop = make_shop(routes=routes, store=small, options={"clock": shop.clock})
    browser = shop.browser()
    assert (await shop.login(browser)).status_code == 200
    answers = [await browser.post(f"/fill/{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert answers[-1].json()["code"] == "SESSION_DATA_TOO_LARGE"


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "a" * 65, "1a", "a\n", "a;b", None])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        SessionKey[int](name)


def test_a_key_without_its_type_says_how_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"SessionKey\[int\]\('cart'\)"):
        SessionKey("cart").dump(1)
    with pytest.raises(ValueError, match="max_bytes"):
        SessionKey[int]("a", max_bytes=0)


@pytest.mark.parametrize("value", ["x", None, [1], float("nan")])
async def test_a_value_of_another_type_is_refused_without_showing_it(shop: Any, value: Any) -> None:
    current = await current_of(shop, await shop.signed_in())
    with pytest.raises(ValueError, match="SessionKey"):
        current[SessionKey[int]("n")] = value


async def test_data_before_the_session_was_read_are_an_error(shop: Any) -> None:
    current = await current_of(shop, await shop.signed_in())
    current._read = False
    with pytest.raises(RuntimeError, match="was not read"):
        current.get(CART)


async def test_a_visitor_gets_a_session_only_when_there_is_something_to_keep(shop: Any) -> None:
    browser = shop.browser()
    await browser.get("/cart")
    assert shop.id_of(browser) is None
    answer = await browser.post("/cart/1")
    assert shop.cookie_of(answer)["max-age"] == "86400"
    assert (await browser.get("/cart")).json() == [1]
    assert (await browser.get("/orders")).status_code == 401
    assert (await browser.get("/home")).json() == {"user_id": None}


@pytest.mark.parametrize("samesite", ["lax", "strict"])
async def test_another_sites_form_cannot_replace_the_session_by_a_new_one(
    make_shop: Any, samesite: str
) -> None:
    """The browser keeps the cookie back, and would take the one that comes."""
    shop = make_shop(SESSION_COOKIE_SAMESITE=samesite)
    answer = await shop.browser(**{"Sec-Fetch-Site": "cross-site"}).post("/cart/1")
    assert answer.status_code == 403
    assert shop.cookie_of(answer) == {}


@pytest.mark.parametrize(("samesite", "begins"), [("lax", True), ("strict", False)])
async def test_another_sites_link_begins_a_session_only_where_the_cookie_would_have_come(
    make_shop: Any, samesite: str, begins: bool
) -> None:
    routes = APIRouter()

    async def landing(session: CurrentRequestSession) -> None:
        session[THEME] = "dark"

    landing.__annotations__["session"] = CurrentRequestSession
    routes.get("/landing")(landing)
    shop = make_shop(routes=routes, SESSION_COOKIE_SAMESITE=samesite)
    answer = await shop.browser(**{"Sec-Fetch-Site": "cross-site"}).get("/landing")
    assert answer.status_code == 200
    assert bool(shop.cookie_of(answer)) is begins
    assert shop.cookie_of(await shop.browser().get("/landing"))


@pytest.mark.parametrize("key", [SessionKey[Any]("tree"), SessionKey[dict[str, Any]]("tree")])
async def test_what_is_changed_in_place_and_set_again_is_written(
    shop: Any, key: SessionKey[Any]
) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    current[key] = {"items": [1]}
    await current.save()
    current = await current_of(shop, browser)
    tree = current[key]
    tree["items"].append(2)
    assert current[key] == {"items": [1]}  # not before it is set
    current[key] = tree
    await current.save()
    assert (await current_of(shop, browser))[key] == {"items": [1, 2]}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_number_that_json_has_no_word_for_is_refused_where_it_is_set(
    shop: Any, number: float
) -> None:
    current = await current_of(shop, await shop.signed_in())
    with pytest.raises(ValueError, match="cannot be kept as JSON"):
        current[SessionKey[float]("f")] = number
    assert not current.has_changes


def _nested(depth: int) -> Any:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"a":[1e400]}',
        rb'"\ud800"',
        rb'{"\udfff":1}',
        b"[" * 101 + b"]" * 101,
        b"[" * 400 + b"]" * 400,
        b"[" * 900 + b"]" * 900,
    ],
)
async def test_what_a_client_sends_and_json_cannot_hold_is_a_plain_value_error(
    shop: Any, body: bytes
) -> None:
    """For a handler that keeps what it is sent; in its words, with none of the value in them."""
    current = await current_of(shop, await shop.signed_in())
    key = SessionKey[Any]("any", max_bytes=16_000)
    with pytest.raises(
        ValueError, match=r"^the value of SessionKey\('any'\) cannot be kept as JSON$"
    ):
        current[key] = json.loads(body)
    assert not current.has_changes


async def test_lists_a_hundred_deep_are_kept_and_read_again(shop: Any) -> None:
    browser = await shop.signed_in()
    current = await current_of(shop, browser)
    key = SessionKey[Any]("any")
    current[key] = _nested(100)
    await current.save()
    assert (await current_of(shop, browser))[key] == _nested(100)


async def test_the_last_write_wins_over_what_another_process_wrote_and_is_not_seen_here(
    make_shop: Any,
) -> None:
    shop = make_shop(SESSION_LOCAL_CACHE_SECONDS=60)
    browser = await shop.signed_in()
    await browser.post("/theme/dark")
    session_id = (await browser.get("/orders")).json()["session_id"]
    await shop.store.save(session_id, {"theme": "light"})
    await browser.post("/theme/dark")
    assert (await shop.store.get(session_id)).data == {"theme": "dark"}

    await browser.get("/orders")
    await shop.store.save(session_id, {"cart": [1]})
    current = await current_of(shop, browser)
    assert CART not in current
    del current[CART]
    await current.save()
    assert (await shop.store.get(session_id)).data == {"theme": "dark"}


async def test_a_name_alone_is_no_key_and_is_told_so(shop: Any) -> None:
    current = await current_of(shop, await shop.signed_in())

    def write() -> None:
        current["note"] = "x"

    def remove() -> None:
        del current["note"]

    for step in (
        *(write, remove, lambda: current["note"]),
        *(lambda: current.get("note"), lambda: "note" in current),
    ):
        with pytest.raises(TypeError, match=r'NOTE = SessionKey\[str\]\("note"\)'):
            step()
    assert not current.has_changes
