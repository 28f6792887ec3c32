"""S25, must 15-17, 20: ids change when they must, and nobody is signed out by it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException

from tijolo.core import hash_opaque_token
from tijolo.sessions import (
    CurrentRequestSession,
    Session,
    SessionKey,
    SessionMiddleware,
    SessionStoreUnavailableException,
    make_session_dependency,
    make_session_router,
)

NOTE = SessionKey[str]("note")


async def test_a_sign_in_always_makes_a_new_id(shop: Any) -> None:
    browser = shop.browser()
    await browser.post("/cart/1")
    before = shop.id_of(browser)
    await shop.login(browser)
    first = shop.id_of(browser)
    await shop.login(browser)
    assert len({before, first, shop.id_of(browser)}) == 3
    for old in (before, first):
        assert await shop.auth.resolve(old) is None


async def test_an_id_that_an_attacker_chose_is_never_taken(shop: Any) -> None:
    """Session fixation."""
    browser = shop.browser()
    planted = "A" * 43
    browser.cookies.set(shop.cookie_name, planted, domain="shop.example")
    answer = await shop.login(browser)
    assert shop.cookie_of(answer)["="] != planted
    assert await shop.auth.resolve(planted) is None


async def test_what_a_visitor_had_goes_along_into_the_sign_in(shop: Any) -> None:
    browser = shop.browser()
    await browser.post("/cart/1")
    await browser.post("/cart/2")
    await shop.login(browser)
    assert (await browser.get("/cart")).json() == [1, 2]


async def test_what_another_user_had_does_not(shop: Any) -> None:
    browser = await shop.signed_in("ana")
    await browser.post("/cart/1")
    old = shop.id_of(browser)
    await shop.login(browser, "bia")
    assert (await browser.get("/cart")).json() == []
    assert await shop.auth.resolve(old) is None


async def test_the_new_session_is_there_before_the_old_one_ends(shop: Any) -> None:
    for name in ("ana", "bia"):
        browser = await shop.signed_in("ana")
        await shop.login(browser, name)
        calls = [call for call in shop.store.asked() if call != "get"]
        assert calls == (["rotate"] if name == "ana" else ["create", "delete"])


@pytest.mark.parametrize("step", ["create", "rotate"])
async def test_a_sign_in_that_fails_leaves_the_old_session(
    shop: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await shop.signed_in("ana")

    async def fail(*args: Any, **kwargs: Any) -> Any:
        raise SessionStoreUnavailableException

    monkeypatch.setattr(shop.store, step, fail)
    answer = await shop.login(browser, "ana" if step == "rotate" else "bia")
    assert (answer.status_code, answer.json()["code"]) == (503, "SESSION_STORE_UNAVAILABLE")
    assert shop.cookie_of(answer) == {}
    assert (await browser.get("/orders")).json()["user_id"] == str(shop.ana.id)


async def test_without_rotate_on_login_the_old_session_lives_beside_the_new(make_shop: Any) -> None:
    shop = make_shop(SESSION_ROTATE_ON_LOGIN=False)
    browser = await shop.signed_in()
    old = shop.id_of(browser)
    await shop.login(browser)
    assert shop.id_of(browser) != old
    assert await shop.auth.resolve(old) is not None


async def test_one_sign_in_too_many_ends_the_session_unused_for_longest(make_shop: Any) -> None:
    shop = make_shop(SESSION_MAX_PER_USER=3, SESSION_TOUCH_SECONDS=1)
    browsers = []
    for _ in range(3):
        browsers.append(await shop.signed_in())
        shop.clock.advance(10)
    assert (await browsers[0].get("/orders")).status_code == 200
    browsers.append(await shop.signed_in())
    states = [(await browser.get("/orders")).status_code for browser in browsers]
    assert states == [200, 401, 200, 200]


@pytest.mark.parametrize("path", ["/step-up", "/become-seller"])
async def test_more_rights_mean_a_new_id_and_the_old_one_is_dead_at_once(
    shop: Any, path: str
) -> None:
    browser = await shop.signed_in()
    await browser.post("/cart/1")
    old, before = shop.id_of(browser), (await browser.get("/orders")).json()
    shop.clock.advance(30)
    answer = await browser.post(path)
    assert answer.status_code == 200
    after = (await browser.get("/orders")).json()

    assert shop.cookie_of(answer)["="] == shop.id_of(browser) != old
    assert await shop.auth.resolve(old) is None
    same = ("user_id", "public_id", "created_at", "absolute_expires_at", "data", "ip")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["rotated_from"] == before["session_id"]
    proved = path == "/step-up"
    assert after["amr"] == (["otp"] if proved else ["pwd"])
    assert (after["auth_time"] != before["auth_time"]) is proved


async def test_amr_tells_of_the_authentication_of_auth_time_and_of_no_older_one(
    make_shop: Any,
) -> None:
    """An old code and a fresh password are no fresh code (RFC 8176, RFC 9470)."""
    routes = APIRouter()

    @routes.post("/password-again")
    async def password_again(session: CurrentRequestSession) -> tuple[str, ...]:
        return (await session.step_up("pwd", "pwd")).amr

    shop = make_shop(routes=routes)
    browser = await shop.signed_in()
    assert (await browser.post("/step-up")).json() == ["otp"]
    shop.clock.advance(3600)
    assert (await browser.post("/password-again")).json() == ["pwd"]
    assert (await browser.get("/orders")).json()["amr"] == ["pwd"]


@pytest.mark.parametrize("path", ["/step-up", "/become-seller"])
async def test_nobody_has_nothing_to_rotate(shop: Any, path: str) -> None:
    answer = await shop.browser().post(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "SESSION_REQUIRED")


async def test_a_recent_sign_in_can_be_asked_for(make_shop: Any) -> None:
    routes = APIRouter()
    recent = make_session_dependency(max_auth_age_seconds=300)

    async def pay(session: Session) -> None: ...

    pay.__annotations__["session"] = Annotated[Session, Depends(recent)]
    routes.post("/pay")(pay)
    shop = make_shop(routes=routes)
    browser = await shop.signed_in()
    assert (await browser.post("/pay")).status_code == 200
    shop.clock.advance(301)
    answer = await browser.post("/pay")
    assert (answer.status_code, answer.json()["code"]) == (401, "REAUTHENTICATION_REQUIRED")
    await browser.post("/step-up")
    assert (await browser.post("/pay")).status_code == 200
    with pytest.raises(ValueError, match="required=True"):
        make_session_dependency(required=False, max_auth_age_seconds=300)


# --- the renewal clock


async def test_an_id_is_renewed_at_its_age_and_the_old_one_overlaps(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600, SESSION_RENEWAL_OVERLAP_SECONDS=60)
    browser = await shop.signed_in()
    await browser.post("/cart/1")
    old, before = shop.id_of(browser), (await browser.get("/orders")).json()
    shop.clock.advance(599)
    await browser.get("/orders")
    assert shop.id_of(browser) == old
    shop.clock.advance(1)
    answer = await browser.get("/orders")
    assert answer.status_code == 200
    new = shop.id_of(browser)
    assert new != old

    late = shop.browser()  # requests that were under way with the old cookie
    late.cookies.set(shop.cookie_name, old, domain="shop.example")
    for _ in range(3):
        answer = await late.get("/orders")
        assert answer.status_code == 200
        assert shop.cookie_of(answer) == {}  # it must not take the new cookie away
    await late.post("/cart/2")
    assert (await browser.get("/cart")).json() == [1, 2]
    shop.clock.advance(61)
    assert (await late.get("/orders")).status_code == 401
    after = (await browser.get("/orders")).json()
    assert after["created_at"] == before["created_at"]
    assert after["absolute_expires_at"] == before["absolute_expires_at"]
    shop.clock.advance(538)
    await browser.get("/orders")
    assert shop.id_of(browser) == new
    shop.clock.advance(1)
    await browser.get("/orders")
    assert shop.id_of(browser) not in (old, new)


async def test_a_renewal_whose_answer_is_lost_signs_nobody_out(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600, SESSION_RENEWAL_OVERLAP_SECONDS=60)
    browser = await shop.signed_in()
    old = {"Cookie": f"{shop.cookie_name}={shop.id_of(browser)}"}
    lost = []
    for _ in range(2):  # on a train
        shop.clock.advance(600)
        lost.append(shop.cookie_of(await shop.browser().get("/orders", headers=old))["="])
        shop.clock.advance(300)  # far past the overlap
        answer = await shop.browser().get("/orders", headers=old)
        assert (answer.status_code, shop.cookie_of(answer)) == (200, {})
    assert await shop.store.get(hash_opaque_token(lost[0])) is None  # nobody ever had it

    shop.clock.advance(600)
    await browser.get("/orders", headers=old)  # and this answer arrives
    assert (await browser.get("/orders")).status_code == 200
    shop.clock.advance(60)
    assert (await browser.get("/orders")).status_code == 200
    assert (await shop.browser().get("/orders", headers=old)).status_code == 401
    assert len(await shop.store.list_by_user(shop.ana.id)) == 1


async def test_what_is_written_by_an_old_id_stays_though_the_new_one_is_replaced(
    make_shop: Any,
) -> None:
    routes, loaded, go_on = APIRouter(), asyncio.Event(), asyncio.Event()

    @routes.post("/slow")
    async def slow(session: CurrentRequestSession) -> None:
        loaded.set()
        await go_on.wait()
        session[NOTE] = "kept"

    shop = make_shop(routes=routes, SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    old = {"Cookie": f"{shop.cookie_name}={shop.id_of(browser)}"}
    shop.clock.advance(600)
    await shop.browser().get("/orders", headers=old)  # lost
    late = asyncio.create_task(shop.browser().post("/slow", headers=old))
    await loaded.wait()
    shop.clock.advance(600)
    await browser.get("/orders", headers=old)
    go_on.set()
    assert (await late).status_code == 200
    assert (await browser.get("/orders")).json()["data"] == {"note": "kept"}


async def test_of_twenty_requests_at_once_one_renews_the_id(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    cookie = {"Cookie": f"{shop.cookie_name}={shop.id_of(browser)}"}
    shop.clock.advance(600)
    racers = [shop.browser().get("/orders", headers=cookie) for _ in range(20)]
    answers = await asyncio.gather(*racers)
    assert {answer.status_code for answer in answers} == {200}
    renewed = [answer for answer in answers if shop.cookie_of(answer)]
    assert len(renewed) == 1
    assert len(await shop.store.list_by_user(shop.ana.id)) == 1


async def test_a_request_that_fails_renews_nothing(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    shop.clock.advance(600)
    original, old = shop.store.rotate, shop.id_of(browser)

    async def fail(*args: Any, **kwargs: Any) -> Any:
        raise SessionStoreUnavailableException

    shop.store.rotate = fail
    answer = await browser.get("/orders")
    assert (answer.status_code, shop.id_of(browser)) == (200, old)
    shop.store.rotate = original
    await browser.get("/orders")
    assert shop.id_of(browser) != old


async def test_a_revocation_during_the_overlap_ends_both_ids(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    old = shop.id_of(browser)
    shop.clock.advance(600)
    await browser.get("/orders")
    late = shop.browser()
    late.cookies.set(shop.cookie_name, old, domain="shop.example")
    assert (await late.post("/auth/session/logout")).status_code == 204
    assert (await browser.get("/orders")).status_code == 401
    assert (await late.get("/orders")).status_code == 401


# --- a sign-in begins with its response


async def test_a_sign_in_whose_answer_is_an_error_of_the_service_signs_nobody_in(
    make_shop: Any,
) -> None:
    routes = APIRouter()
    shop: Any = None

    async def enter(status: int, session: CurrentRequestSession) -> None:
        await session.login(shop.ana)
        assert session.user_id == shop.ana.id
        raise HTTPException(status)

    enter.__annotations__.update(status=int, session=CurrentRequestSession)
    routes.post("/enter/{status}")(enter)
    shop = make_shop(routes=routes)
    failed = await shop.browser().post("/enter/503")
    assert shop.cookie_of(failed) == {}
    assert await shop.store.list_by_user(shop.ana.id) == []


async def test_the_session_begins_after_the_requests_own_transaction(make_shop: Any) -> None:
    """In one SQLite file, the session's write would wait for the transaction's for ever."""
    shop: Any = make_shop()
    shop.store.asked()

    async def transaction() -> Any:
        yield
        shop.store.calls.append("commit")

    async def factory(nothing: None) -> None: ...

    factory.__annotations__["nothing"] = Annotated[None, Depends(transaction, scope="function")]
    app = FastAPI()
    app.include_router(make_session_router(shop.auth, session_factory=factory))
    app.add_middleware(SessionMiddleware, session_auth=shop.auth)
    shop.app = app
    assert (await shop.login(shop.browser())).status_code == 200
    assert shop.store.asked() == ["commit", "create"]


async def test_what_follows_a_sign_in_in_one_handler_works(make_shop: Any) -> None:
    routes = APIRouter()
    shop: Any = None
    cart = SessionKey[list[int]]("cart")

    async def several(session: CurrentRequestSession) -> list[int]:
        await session.login(shop.ana)
        session[cart] = [*session.get(cart, []), 9]
        await session.step_up("otp")
        return session[cart]

    several.__annotations__.update(session=CurrentRequestSession)
    routes.post("/several")(several)

    async def in_and_out(session: CurrentRequestSession) -> None:
        await session.login(shop.ana)
        await session.logout()

    in_and_out.__annotations__.update(session=CurrentRequestSession)
    routes.post("/in-and-out")(in_and_out)
    shop = make_shop(routes=routes)
    browser = shop.browser()
    await browser.post("/cart/7")
    assert (await browser.post("/several")).json() == [7, 9]
    assert (await browser.get("/cart")).json() == [7, 9]
    assert len(await shop.store.list_by_user(shop.ana.id)) == 1
    assert (await browser.post("/in-and-out")).status_code == 200
    assert (await browser.get("/orders")).status_code == 401
    assert await shop.store.list_by_user(shop.ana.id) == []


async def test_asking_again_after_a_sign_in_shows_it(make_shop: Any) -> None:
    """It is saved with the response, so the store knows nothing of it yet."""
    routes, shops = APIRouter(), []

    @routes.post("/enter")
    async def enter(session: CurrentRequestSession) -> list[bool]:
        shop = shops[0]
        await session.login(shop.ana)
        session[NOTE] = "mine"
        again = await session.reload()
        return [again is not None and again.user_id == shop.ana.id, session[NOTE] == "mine"]

    shop = make_shop(routes=routes)
    shops.append(shop)
    for browser in (shop.browser(), await shop.signed_in(), await shop.signed_in("bia")):
        assert (await browser.post("/enter")).json() == [True, True]
        assert (await browser.get("/orders")).json()["user_id"] == str(shop.ana.id)
    refused = shop.browser(**{"Sec-Fetch-Site": "cross-site"})
    assert (await refused.post("/enter")).status_code == 403


@pytest.mark.parametrize("status", [400, 403, 409])
async def test_a_sign_in_whose_request_is_refused_after_it_signs_nobody_in(
    make_shop: Any, status: int
) -> None:
    """Its transaction was rolled back, or somebody said no after all."""
    routes, shops = APIRouter(), []

    @routes.post("/enter")
    async def enter(session: CurrentRequestSession) -> None:
        await session.login(shops[0].ana)
        raise HTTPException(status)

    shop = make_shop(routes=routes)
    shops.append(shop)
    browser = shop.browser()
    await browser.post("/cart/1")
    answer = await browser.post("/enter")
    assert (answer.status_code, shop.cookie_of(answer)) == (status, {})
    assert await shop.store.list_by_user(shop.ana.id) == []
    assert (await browser.get("/cart")).json() == [1]


async def test_what_was_set_in_another_users_session_does_not_go_along(make_shop: Any) -> None:
    routes, shops = APIRouter(), []

    @routes.post("/enter")
    async def enter(session: CurrentRequestSession) -> None:
        session[NOTE] = "of ana"
        await session.login(shops[0].bia)

    shop = make_shop(routes=routes)
    shops.append(shop)
    browser = await shop.signed_in("ana")
    await browser.post("/enter")
    answer = (await browser.get("/orders")).json()
    assert (answer["user_id"], answer["data"]) == (str(shop.bia.id), {})


async def test_a_sign_in_that_sets_too_much_leaves_the_session_before_it(make_shop: Any) -> None:
    routes, shops = APIRouter(), []

    @routes.post("/enter")
    async def enter(session: CurrentRequestSession) -> None:
        await session.login(shops[0].ana)
        session[SessionKey[str]("note", max_bytes=100_000)] = "x" * 50_000

    shop = make_shop(routes=routes)
    shops.append(shop)
    browser = shop.browser()
    await browser.post("/cart/1")
    assert (await browser.post("/enter")).status_code == 422
    assert await shop.store.list_by_user(shop.ana.id) == []
    assert (await browser.get("/cart")).json() == [1]


async def test_what_a_new_session_beside_the_old_one_is_given_is_kept(make_shop: Any) -> None:
    """Also where the old one, which stays as it is, has the same."""
    routes, shops = APIRouter(), []

    @routes.post("/enter")
    async def enter(session: CurrentRequestSession) -> None:
        await session.login(shops[0].ana)
        session[NOTE] = "mine"

    shop = make_shop(routes=routes, SESSION_ROTATE_ON_LOGIN=False)
    shops.append(shop)
    browser = await shop.signed_in()
    for _ in range(2):
        await browser.post("/enter")
        assert (await browser.get("/orders")).json()["data"] == {"note": "mine"}


# --- the store fails right after a rotation, which nobody can take back


def _fail_after_rotation(shop: Any) -> None:
    rotate, get, failing = shop.store.rotate, shop.store.get, []

    async def rotate_then_fail(*args: Any, **kwargs: Any) -> Any:
        rotated = await rotate(*args, **kwargs)
        failing.append(True)
        return rotated

    async def fail_once(*args: Any, **kwargs: Any) -> Any:
        if failing:
            failing.clear()
            raise SessionStoreUnavailableException
        return await get(*args, **kwargs)

    shop.store.rotate, shop.store.get = rotate_then_fail, fail_once


async def test_the_browser_gets_the_renewed_id_though_the_store_fails_then(make_shop: Any) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600, SESSION_RENEWAL_OVERLAP_SECONDS=60)
    browser = await shop.signed_in()
    shop.clock.advance(600)
    _fail_after_rotation(shop)
    await browser.get("/orders")
    shop.clock.advance(61)
    assert (await browser.get("/orders")).status_code == 200


async def test_a_step_up_holds_though_the_store_fails_then(shop: Any) -> None:
    browser = await shop.signed_in()
    await browser.post("/cart/1")
    _fail_after_rotation(shop)
    assert (await browser.post("/step-up")).status_code == 200
    assert (await browser.get("/cart")).json() == [1]


async def test_a_sign_in_holds_though_the_store_fails_then(shop: Any) -> None:
    browser = shop.browser()
    await browser.post("/cart/1")
    _fail_after_rotation(shop)
    assert (await shop.login(browser)).status_code == 200
    assert (await browser.get("/cart")).json() == [1]


# --- an old id that overlaps


async def test_who_has_the_old_id_never_gets_the_next_one(make_shop: Any) -> None:
    """A thief would keep the session by it, past the overlap."""
    shop = make_shop(SESSION_RENEWAL_SECONDS=60, SESSION_RENEWAL_OVERLAP_SECONDS=3600)
    browser = await shop.signed_in()
    thief = shop.browser()
    thief.cookies.set(shop.cookie_name, shop.id_of(browser), domain="shop.example")
    shop.clock.advance(60)
    await browser.get("/orders")
    await browser.get("/orders")  # the browser has it
    shop.clock.advance(60)  # the new id is due as well
    answer = await thief.get("/orders")
    assert (answer.status_code, shop.cookie_of(answer)) == (200, {})


async def test_a_thief_by_the_old_id_loses_the_session_when_its_owner_comes_back(
    make_shop: Any,
) -> None:
    """The owner was given the new id with the last request before lunch."""
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    owner = await shop.signed_in()
    thief = shop.browser()
    thief.cookies.set(shop.cookie_name, shop.id_of(owner), domain="shop.example")
    shop.clock.advance(600)
    await owner.get("/orders")
    shop.clock.advance(600)
    assert shop.cookie_of(await thief.get("/orders")) != {}
    assert (await thief.get("/orders")).status_code == 200
    shop.clock.advance(600)
    assert (await owner.get("/orders")).status_code == 401
    assert (await thief.get("/orders")).status_code == 401
    assert shop.events[-1].details == {"reason": "replaced_id_used"}


@pytest.mark.parametrize("path", ["/step-up", "/become-seller"])
async def test_who_has_the_old_id_gets_no_new_one_by_asking_for_it(
    make_shop: Any, path: str
) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    thief = shop.browser()
    thief.cookies.set(shop.cookie_name, shop.id_of(browser), domain="shop.example")
    shop.clock.advance(600)
    await browser.get("/orders")
    await browser.get("/orders")  # the browser has it
    answer = await thief.post(path)
    assert (answer.status_code, shop.cookie_of(answer)) == (401, {})
    assert (await browser.post(path)).status_code == 200


@pytest.mark.parametrize("path", ["/step-up", "/become-seller"])
async def test_a_browser_that_never_got_the_new_id_can_still_step_up(
    make_shop: Any, path: str
) -> None:
    shop = make_shop(SESSION_RENEWAL_SECONDS=600)
    browser = await shop.signed_in()
    old = {"Cookie": f"{shop.cookie_name}={shop.id_of(browser)}"}
    shop.clock.advance(600)
    await shop.browser().get("/orders", headers=old)  # lost
    assert (await browser.post(path)).status_code == 200
    assert (await browser.get("/orders")).status_code == 200
    assert (await shop.browser().get("/orders", headers=old)).status_code == 401


async def test_a_sign_in_ends_the_session_before_it_though_that_got_a_new_id_meanwhile(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ana", "bia"):
        browser = await shop.signed_in("ana")
        [before] = await shop.store.list_by_user(shop.ana.id)
        create, rotate, moved = shop.store.create, shop.store.rotate, []

        async def meanwhile(before: Any = before, rotate: Any = rotate, moved: Any = moved) -> None:
            if not moved:
                moved.append(True)
                new = before.model_copy(update={"session_id": f"{len(moved):064x}"})
                assert await rotate(before.session_id, new)

        async def late_create(*args: Any, create: Any = create, **options: Any) -> Any:
            await meanwhile()
            return await create(*args, **options)

        async def late_rotate(*args: Any, rotate: Any = rotate, **options: Any) -> Any:
            await meanwhile()
            return await rotate(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(shop.store, "create", late_create)
            patch.setattr(shop.store, "rotate", late_rotate)
            await shop.login(browser, name)
        living = await shop.store.list_by_user(shop.ana.id)
        assert len(living) == (1 if name == "ana" else 0)
        await shop.auth.revoke_all(shop.ana.id)


@pytest.mark.parametrize("meanwhile", ["/auth/session/login", "/step-up"])
async def test_an_answer_that_was_overtaken_does_not_put_the_old_id_back(
    make_shop: Any, meanwhile: str
) -> None:
    routes, loaded, go_on = APIRouter(), asyncio.Event(), asyncio.Event()

    @routes.get("/slow")
    async def slow(session: CurrentRequestSession) -> None:
        loaded.set()
        await go_on.wait()

    shop = make_shop(routes=routes)
    browser = await shop.signed_in()
    shop.clock.advance(3600)  # its cookie is due to slide
    answer = asyncio.create_task(browser.get("/slow"))
    await loaded.wait()
    if meanwhile == "/step-up":
        await browser.post(meanwhile)
    else:
        await shop.login(browser)
    go_on.set()
    assert shop.cookie_of(await answer) == {}
    assert (await browser.get("/orders")).status_code == 200
