"""Who gave their password: A4, A5, rows 5 to 8; and the second factor (A6, A8, row 15)."""

import asyncio
import time

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import event, select

from tijolo.auth import HashService, PasswordUtils, TokenVerifier
from tijolo.auth.users import (
    InvalidCodeException,
    InvalidCredentialsException,
    MfaChallenge,
    OneTimeTokenException,
    TokenPair,
    UserStatus,
)

PASSWORD = "cavalo correto bateria"
EMAIL = "ana@exemplo.com.br"


async def test_a4_everything_that_is_wrong_is_told_alike(call, ana, events):
    await call("create_user", email="pen@exemplo.com.br", password=PASSWORD, status="pending")
    await call("create_user", email="sus@exemplo.com.br", password=PASSWORD, status="suspended")
    await call("create_user", email="del@exemplo.com.br", password=PASSWORD, status="deleted")
    await call("create_user", email="sem@exemplo.com.br")
    tried = [
        (EMAIL, "errada"), (EMAIL, ""), (EMAIL, "x" * 2000), ("ninguem@exemplo.com.br", PASSWORD),
        ("pen@exemplo.com.br", PASSWORD), ("sus@exemplo.com.br", PASSWORD),
        ("del@exemplo.com.br", PASSWORD), ("sem@exemplo.com.br", PASSWORD), ("", PASSWORD),
        ("not an address", PASSWORD), ("\ud800", PASSWORD), ("x" * 100_000, PASSWORD),
        ("%", PASSWORD), ("' OR 1=1 --", PASSWORD),
    ]  # fmt: skip
    told = set()
    for email, password in tried:
        with pytest.raises(InvalidCredentialsException) as refused:
            await call("login", email=email, password=password)
        error = refused.value
        told.add(
            (error.status_code, error.code, error.message, str(error.details), str(error.headers))
        )
    assert len(told) == 1
    failed = [event for event in events if event.kind == "login_failed"]
    assert len(failed) == len(tried)
    assert failed[0].user_id == ana.id
    assert PASSWORD not in repr(events)


async def test_a4_each_of_them_is_one_verification(make_service, call, ana):
    """The same path: an unknown address is verified against a hash that was there before."""
    seen = []

    class Watched(PasswordUtils):
        def verify(self, plain, hashed):
            seen.append(hashed)
            return super().verify(plain, hashed)

        def hash(self, plain):
            raise AssertionError("nothing is hashed for a login that fails")

    hashing = HashService(Watched(rounds=10))
    service = make_service(hashing=hashing)
    await call("create_user", email="sus@exemplo.com.br", status="suspended")
    for email in (EMAIL, "ninguem@exemplo.com.br", "sus@exemplo.com.br", "not an address"):
        with pytest.raises(InvalidCredentialsException):
            await call("login", email=email, password="errada", on=service)
    assert len(seen) == 4
    assert len({hashed[:7] for hashed in [seen[0], seen[1].removeprefix("$tj1$-")]}) == 1
    assert seen[1] == seen[2] == seen[3] != seen[0]
    await hashing.disconnect()


async def test_a_hash_of_an_older_policy_is_made_anew_at_the_login(
    make_service, call, ana, db, names
):
    stronger = HashService(PasswordUtils(rounds=11))
    service = make_service(hashing=stronger)
    assert await call("login", email=EMAIL, password=PASSWORD, on=service)
    async with db.read_only() as session:
        user = await session.get(names.User, ana.id)
    assert user.hashed_password.startswith("$2b$11$")
    assert user.auth_epoch == 0
    assert user.last_login_at is not None
    assert await call("login", email=EMAIL, password=PASSWORD, on=service)
    await stronger.disconnect()


async def test_what_changes_while_the_password_is_checked_counts(
    make_service, call, ana, db, names
):
    """A suspension, or a new password, that is committed while bcrypt is at work."""
    for change in ({"status": UserStatus.SUSPENDED}, {"hashed_password": "other"}):
        started, go_on = asyncio.Event(), asyncio.Event()

        class Slow(HashService):
            async def verify_and_update(self, plain, hashed):
                found = await super().verify_and_update(plain, hashed)
                started.set()  # noqa: B023
                await go_on.wait()  # noqa: B023
                return found

        service = make_service(hashing=Slow(PasswordUtils(rounds=10)))
        login = asyncio.ensure_future(call("login", email=EMAIL, password=PASSWORD, on=service))
        await started.wait()
        async with db.transaction() as session:
            user = await session.get(names.User, ana.id)
            kept = {name: getattr(user, name) for name in change}
            for name, value in change.items():
                setattr(user, name, value)
        go_on.set()
        with pytest.raises(InvalidCredentialsException):
            await login
        async with db.transaction() as session:
            user = await session.get(names.User, ana.id)
            for name, value in kept.items():
                setattr(user, name, value)
        await service.hashing.disconnect()


async def test_no_connection_is_held_while_a_password_is_checked(make_service, call, ana, db):
    """Otherwise a flood of logins takes the whole pool, and everything else fails with it."""
    held, most = 0, 0

    class Watching(HashService):
        async def verify_and_update(self, plain, hashed):
            nonlocal most
            most = max(most, held)
            return await super().verify_and_update(plain, hashed)

    def out(*_):
        nonlocal held
        held += 1

    def back(*_):
        nonlocal held
        held -= 1

    pool = db.engine.sync_engine.pool
    event.listen(pool, "checkout", out)
    event.listen(pool, "checkin", back)
    service = make_service(hashing=Watching(PasswordUtils(rounds=10)))
    assert await call("login", email=EMAIL, password=PASSWORD, on=service)
    assert most == 0
    await service.hashing.disconnect()


async def test_a5_a_flood_of_logins_does_not_stall_the_loop(make_service, call, ana):
    """Compared with the same hashes on the loop, which is what a stall looks like."""
    hashing = HashService(PasswordUtils(rounds=12), workers=1)
    service = make_service(hashing=hashing)
    longest, stop = 0.0, False

    async def watch():
        nonlocal longest
        while not stop:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    watcher = asyncio.ensure_future(watch())
    began = time.perf_counter()
    await asyncio.gather(
        *(call("login", email=EMAIL, password="errada", on=service) for _ in range(8)),
        return_exceptions=True,
    )
    took, stop = time.perf_counter() - began, True
    await watcher
    assert longest < took / 4  # eight hashes one after the other, and the loop went on
    await hashing.disconnect()


class Factor:
    """Asks those with a code; each code works once."""

    def __init__(self, codes):
        self.codes = set(codes)
        self.required = True

    async def is_required(self, session, user):
        return self.required

    async def verify(self, session, user, code):
        await asyncio.sleep(0)
        if code in self.codes:
            self.codes.discard(code)
            return "otp"
        return None


@pytest.fixture
def factor():
    return Factor({"123456"})


@pytest.fixture
def guarded(make_service, factor, events):
    return make_service(second_factor=factor, on_event=events.append)


async def test_a_second_factor_comes_between_the_password_and_the_token(
    call, ana, guarded, events, db, names
):
    challenge = await call("login", email=EMAIL, password=PASSWORD, on=guarded)
    assert isinstance(challenge, MfaChallenge)
    assert challenge.token not in repr(challenge)
    with pytest.raises(InvalidCodeException):
        await call("complete_login", token=challenge.token, code="000000", on=guarded)
    pair = await call("complete_login", token=challenge.token, code="123456", on=guarded)
    assert isinstance(pair, TokenPair)
    principal = TokenVerifier.from_settings(guarded.jwt_settings).verify(pair.access_token)
    assert principal.amr == {"pwd", "otp", "mfa"}
    with pytest.raises(OneTimeTokenException):
        await call("complete_login", token=challenge.token, code="123456", on=guarded)
    kinds = [event.kind for event in events if event.kind.startswith(("mfa", "login"))]
    assert kinds == ["mfa_required", "mfa_failed", "login"]


async def test_who_needs_none_is_not_asked(call, ana, guarded, factor):
    factor.required = False
    assert isinstance(await call("login", email=EMAIL, password=PASSWORD, on=guarded), TokenPair)


async def test_guesses_are_counted_however_many_come_at_once(call, ana, guarded, factor):
    challenge = await call("login", email=EMAIL, password=PASSWORD, on=guarded)
    guesses = await asyncio.gather(
        *(
            call("complete_login", token=challenge.token, code=f"{n:06}", on=guarded)
            for n in range(20)
        ),
        return_exceptions=True,
    )
    looked_at = sum(isinstance(guess, InvalidCodeException) for guess in guesses)
    assert looked_at == guarded.auth_settings.AUTH_MFA_MAX_ATTEMPTS
    with pytest.raises(OneTimeTokenException):  # spent: the password has to be given again
        await call("complete_login", token=challenge.token, code="123456", on=guarded)
    assert factor.codes == {"123456"}


async def test_a6_twenty_answers_to_one_challenge_give_one_login(
    call, ana, make_service, db, names
):
    factor = Factor({"123456", "654321"})
    guarded = make_service(second_factor=factor, settings={"AUTH_MFA_MAX_ATTEMPTS": 20})
    challenge = await call("login", email=EMAIL, password=PASSWORD, on=guarded)
    answers = await asyncio.gather(
        *(
            call("complete_login", token=challenge.token, code=code, on=guarded)
            for code in ["123456", "654321"] * 10
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, TokenPair) for answer in answers) == 1
    async with db.read_only() as session:
        assert len(list(await session.scalars(select(names.RefreshToken)))) == 1


async def test_a_challenge_ends_with_what_it_stands_for(call, ana, guarded, clock):
    for change in (
        lambda: call("logout_everywhere", ana),
        lambda: call("set_status", ana, UserStatus.SUSPENDED),
    ):
        challenge = await call("login", email=EMAIL, password=PASSWORD, on=guarded)
        await change()
        with pytest.raises(OneTimeTokenException):
            await call("complete_login", token=challenge.token, code="123456", on=guarded)
    await call("set_status", ana, UserStatus.ACTIVE)
    challenge = await call("login", email=EMAIL, password=PASSWORD, on=guarded)
    clock.pass_seconds(guarded.auth_settings.AUTH_MFA_CHALLENGE_TTL_SECONDS + 1)
    with pytest.raises(OneTimeTokenException):
        await call("complete_login", token=challenge.token, code="123456", on=guarded)


async def test_a_password_of_before_a_reset_gets_no_challenge_after_it(
    call, ana, guarded, factor, mailbox, backend
):
    """The reset comes between the check of the password and the challenge."""
    if backend == "sqlite":
        pytest.skip("one transaction at a time")
    await call("request_password_reset", email=EMAIL, on=guarded)
    new = {"token": mailbox.token("password_reset"), "new_password": "uma senha bem nova"}
    checked, go_on, is_required = asyncio.Event(), asyncio.Event(), factor.is_required

    async def held(session, user):
        checked.set()
        await go_on.wait()
        return await is_required(session, user)

    factor.is_required = held
    login = asyncio.create_task(call("login", email=EMAIL, password=PASSWORD, on=guarded))
    await checked.wait()
    await call("confirm_password_reset", **new, on=guarded)
    go_on.set()
    with pytest.raises(InvalidCredentialsException):
        await login


async def test_a_reset_does_not_go_round_the_second_factor(call, ana, guarded, mailbox):
    await call("request_password_reset", email=EMAIL, on=guarded)
    token = mailbox.token("password_reset")
    await call("confirm_password_reset", token=token, new_password="uma senha bem nova", on=guarded)
    found = await call("login", email=EMAIL, password="uma senha bem nova", on=guarded)
    assert isinstance(found, MfaChallenge)


async def test_without_a_second_factor_there_is_no_challenge_to_answer(call, service):
    with pytest.raises(RuntimeError, match="second_factor"):
        await call("complete_login", token="x", code="1")
