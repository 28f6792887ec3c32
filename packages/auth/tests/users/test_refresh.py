"""Refresh tokens: rotation, grace, reuse, expiry, logout (row 22, 23 and 26; 2d item 1)."""

import asyncio
from uuid import UUID

import httpx
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from fastapi import FastAPI
from sqlalchemy import event, select

from tijolo.auth import Principal, TokenVerifier
from tijolo.auth.users import UserStatus, make_auth_router
from tijolo.core import ExpiredTokenException, InvalidTokenException

PASSWORD = "cavalo correto bateria"


@pytest.fixture
async def pair(call, ana):
    return await call("login", email=ana.email, password=PASSWORD)


def kinds(events):
    return [event.kind for event in events]


async def test_a_token_gives_its_successor_and_the_login_stays_the_same(call, pair, service, clock):
    verifier = TokenVerifier.from_settings(service.jwt_settings)
    clock.pass_seconds(100)
    new = await call("refresh", token=pair.refresh_token)
    assert new.session_id == pair.session_id
    first, second = verifier.verify(pair.access_token), verifier.verify(new.access_token)
    assert first.token_id != second.token_id
    assert second.auth_time == first.auth_time  # of the login, not of the refresh
    assert second.amr == first.amr == {"pwd"}
    assert second.session_id == pair.session_id


async def test_a_retry_in_the_grace_gets_the_same_successor(call, pair, clock, events):
    first = await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(19)
    again = await call("refresh", token=pair.refresh_token)
    assert again.refresh_token == first.refresh_token
    assert "refresh_reused" not in kinds(events)


async def test_three_tabs_that_come_one_after_the_other_all_stay_logged_in(
    call, pair, clock, events
):
    """A grace that remembers only the last token logs the third tab out."""
    one = await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(5)
    two = await call("refresh", token=one.refresh_token)
    clock.pass_seconds(5)
    three = await call("refresh", token=pair.refresh_token)  # still has the first one
    assert three.refresh_token == two.refresh_token
    clock.pass_seconds(60)
    assert await call("refresh", token=three.refresh_token)
    assert "refresh_reused" not in kinds(events)


async def test_after_the_grace_a_token_ends_its_family_and_raises_the_alarm(
    call, pair, clock, events, revocation, ana
):
    new = await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(21)
    for _ in range(2):  # the alarm is raised once
        with pytest.raises(InvalidTokenException) as refused:
            await call("refresh", token=pair.refresh_token)
        assert refused.value.code == "INVALID_TOKEN"
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=new.refresh_token)  # the thief's, or the owner's
    (alarm,) = [event for event in events if event.kind == "refresh_reused"]
    assert alarm.user_id == ana.id
    assert alarm.details == {"session_id": pair.session_id}
    gone = Principal(subject=str(ana.id), token_id="x", session_id=pair.session_id)
    assert await revocation.is_revoked(gone)
    other = await call("login", email=ana.email, password=PASSWORD)
    assert await call("refresh", token=other.refresh_token)  # another login lives


async def test_the_family_ends_also_where_the_caller_swallows_the_refusal(
    service, db, pair, clock, call, events
):
    new = await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(21)
    async with db.transaction() as session:
        with pytest.raises(InvalidTokenException):
            await service.refresh(session, token=pair.refresh_token)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=new.refresh_token)
    assert kinds(events).count("refresh_reused") == 1


@pytest.mark.parametrize("moment", ["rollback", "commit"])
async def test_a_copy_ends_its_family_though_its_request_is_given_up(
    service, db, pair, clock, call, events, revocation, moment
):
    """Whoever has the copy could hang up on the alarm."""
    await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(21)
    app = FastAPI()
    app.include_router(make_auth_router(service, session_factory=db.session_dependency))
    given_up = []

    def give_up(connection):
        if not given_up:
            given_up.append(request.cancel())

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://loja.example"
    ) as client:
        shown = {"refresh_token": pair.refresh_token}
        request = asyncio.create_task(client.post("/auth/refresh", json=shown))
        # as the refusal is rolled back; as the end of the family is saved
        event.listen(db.engine.sync_engine, moment, give_up)
        with pytest.raises(asyncio.CancelledError):
            await request
        event.remove(db.engine.sync_engine, moment, give_up)
    assert given_up == [True]
    await service.disconnect()
    (alarm,) = [told for told in events if told.kind == "refresh_reused"]
    assert alarm.details == {"session_id": pair.session_id}
    gone = Principal(subject=str(pair.user_id), token_id="x", session_id=pair.session_id)
    assert await revocation.is_revoked(gone)
    async with db.read_only() as session:
        family = await session.get(service.refresh_model, UUID(pair.session_id))
    assert family.revoked_reason == "reused"


async def test_a_token_that_is_not_used_in_time_expires(call, pair, clock, service):
    clock.pass_seconds(service.jwt_settings.JWT_REFRESH_TTL_SECONDS + 1)
    with pytest.raises(ExpiredTokenException):
        await call("refresh", token=pair.refresh_token)


async def test_a_login_expires_however_often_it_is_refreshed(call, pair, clock, service):
    days = service.auth_settings.AUTH_REFRESH_ABSOLUTE_TTL_SECONDS // 86_400
    token = pair.refresh_token
    for _ in range(days // 6):
        clock.pass_seconds(6 * 86_400 - 60)
        new = await call("refresh", token=token)
        token = new.refresh_token
    assert new.refresh_expires_at - clock() < clock.offset
    clock.pass_seconds(6 * 86_400)
    with pytest.raises(ExpiredTokenException):
        await call("refresh", token=token)


async def test_twenty_at_once_get_one_successor(call, pair, events, db, names):
    answers = await asyncio.gather(*(call("refresh", token=pair.refresh_token) for _ in range(20)))
    assert len({answer.refresh_token for answer in answers}) == 1
    async with db.read_only() as session:
        rows = list(await session.scalars(select(names.RefreshToken)))
    assert len(rows) == 2  # the first and its one successor
    assert kinds(events).count("refresh_reused") == 0


async def test_twenty_at_once_after_the_grace_raise_one_alarm(call, pair, clock, events):
    await call("refresh", token=pair.refresh_token)
    clock.pass_seconds(30)
    refused = await asyncio.gather(
        *(call("refresh", token=pair.refresh_token) for _ in range(20)), return_exceptions=True
    )
    assert {type(error) for error in refused} == {InvalidTokenException}
    assert kinds(events).count("refresh_reused") == 1


async def test_a_chain_and_its_retries_race_without_an_alarm(call, pair, events):
    """Each of four clients refreshes on and on, and every answer can be gone on with."""

    async def client():
        token = pair.refresh_token
        for _ in range(4):
            token = (await call("refresh", token=token)).refresh_token
        return token

    ends = await asyncio.gather(*(client() for _ in range(4)))
    for token in ends:
        assert await call("refresh", token=token)
    assert "refresh_reused" not in kinds(events)


async def test_no_grace_means_none(make_service, call, ana, clock, events):
    strict = make_service(settings={"AUTH_REFRESH_GRACE_SECONDS": 0}, on_event=events.append)
    pair = await call("login", email=ana.email, password=PASSWORD, on=strict)
    await call("refresh", token=pair.refresh_token, on=strict)
    clock.pass_seconds(0.01)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token, on=strict)
    assert "refresh_reused" in kinds(events)


async def test_logout_races_a_refresh_and_wins(call, pair, service):
    """Whichever is first, nothing of that login can be continued."""
    results = await asyncio.gather(
        *(call("refresh", token=pair.refresh_token) for _ in range(5)),
        call("logout", refresh_token=pair.refresh_token),
        *(call("refresh", token=pair.refresh_token) for _ in range(5)),
        return_exceptions=True,
    )
    tokens = {pair.refresh_token} | {
        result.refresh_token for result in results if hasattr(result, "refresh_token")
    }
    for token in tokens:
        with pytest.raises(InvalidTokenException):
            await call("refresh", token=token)


async def test_logout_ends_this_login_and_no_other(call, pair, ana, revocation, events):
    other = await call("login", email=ana.email, password=PASSWORD)
    await call("logout", refresh_token=pair.refresh_token)
    await call("logout", refresh_token=pair.refresh_token)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token)
    assert await call("refresh", token=other.refresh_token)
    assert kinds(events).count("logout") == 1
    assert await revocation.is_revoked(
        Principal(subject=str(ana.id), session_id=pair.session_id, token_id="x")
    )
    assert not await revocation.is_revoked(
        Principal(subject=str(ana.id), session_id=other.session_id, token_id="x")
    )


async def test_logout_with_a_token_that_was_used_ends_the_family(call, pair):
    new = await call("refresh", token=pair.refresh_token)
    await call("logout", refresh_token=pair.refresh_token)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=new.refresh_token)


@pytest.mark.parametrize(
    "token",
    ["", ".", "x", "a.b", "é.é", "\ud800.x", "0" * 32 + ".", "0" * 32 + ".x", "x" * 100_000,
     "٠" * 32 + ".x", f"{'A' * 32}.x"],
)  # fmt: skip
async def test_what_is_no_token_is_refused_and_logs_nobody_out(call, token):
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=token)
    await call("logout", refresh_token=token)


async def test_who_knows_the_session_id_alone_can_end_nothing(call, pair, events):
    """``sid`` is in every access token; only a token that was issued raises the alarm."""
    family = pair.refresh_token.partition(".")[0]
    for forged in (f"{family}.{'A' * 43}", pair.refresh_token[:-1], pair.refresh_token + "A"):
        with pytest.raises(InvalidTokenException):
            await call("refresh", token=forged)
        await call("logout", refresh_token=forged)
    assert await call("refresh", token=pair.refresh_token)
    assert "refresh_reused" not in kinds(events)


async def test_a_token_of_one_family_is_not_one_of_another(call, pair, ana):
    other = await call("login", email=ana.email, password=PASSWORD)
    mixed = other.refresh_token.partition(".")[0] + "." + pair.refresh_token.partition(".")[2]
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=mixed)


async def test_the_table_holds_nothing_that_can_be_presented(call, pair, db, names):
    new = await call("refresh", token=pair.refresh_token)
    async with db.read_only() as session:
        rows = list(await session.scalars(select(names.RefreshToken)))
        stored = [str(getattr(row, c.key)) for row in rows for c in row.__table__.columns]
    for token in (pair.refresh_token, new.refresh_token):
        secret = token.partition(".")[2]
        assert not any(secret in value for value in stored)
    for value in stored:
        with pytest.raises(InvalidTokenException):
            await call("refresh", token=value)
    assert "refresh_token" not in repr(pair)
    assert pair.access_token not in repr(pair)


async def test_whoever_may_not_log_in_cannot_go_on(call, pair, ana):
    await call("set_status", ana, UserStatus.SUSPENDED)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token)
    await call("set_status", ana, UserStatus.ACTIVE)
    with pytest.raises(InvalidTokenException):  # what was ended does not come back
        await call("refresh", token=pair.refresh_token)


async def test_a_login_that_races_the_end_of_everything_is_not_left_over(call, ana, db, names):
    """Either it comes after, with the new epoch, or it is over."""
    results = await asyncio.gather(
        *(call("login", email=ana.email, password=PASSWORD) for _ in range(4)),
        call("logout_everywhere", ana),
        *(call("login", email=ana.email, password=PASSWORD) for _ in range(4)),
    )
    verifier_epochs = {}
    async with db.read_only() as session:
        user = await session.get(names.User, ana.id)
        for row in await session.scalars(select(names.RefreshToken)):
            verifier_epochs[str(row.family_id)] = row.auth_epoch
    assert user.auth_epoch == 1
    for pair in filter(None, results):
        if verifier_epochs[pair.session_id] == 1:
            assert await call("refresh", token=pair.refresh_token)
        else:
            with pytest.raises(InvalidTokenException):
                await call("refresh", token=pair.refresh_token)


async def test_expired_families_are_removed_and_no_others(call, pair, ana, clock, service):
    clock.pass_seconds(service.auth_settings.AUTH_REFRESH_ABSOLUTE_TTL_SECONDS + 1)
    late = await call("login", email=ana.email, password=PASSWORD)
    assert await call("delete_expired") == 1
    assert await call("refresh", token=late.refresh_token)


async def test_without_a_model_there_is_an_access_token_alone(make_service, call, ana):
    plain = make_service(refresh_model=None)
    pair = await call("login", email=ana.email, password=PASSWORD, on=plain)
    assert (pair.refresh_token, pair.refresh_expires_at) == (None, None)
    for method, options in (("refresh", {"token": "x"}), ("logout", {"refresh_token": "x"})):
        with pytest.raises(RuntimeError, match="refresh_model"):
            await call(method, on=plain, **options)
    with pytest.raises(RuntimeError, match="refresh_model"):
        await call("issue_jwt_pair", ana, on=plain)
