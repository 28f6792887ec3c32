"""The second factor on each database: enrolled, asked for, used once, and parted with."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from types import SimpleNamespace

import pytest

pytest.importorskip("segno")
pytest.importorskip("email_validator")
pytest.importorskip("tijolo.db")

from sqlalchemy import func, select, update

from tijolo.auth.mfa import (
    CodeAttempts,
    InvalidMfaCodeException,
    MfaAlreadyEnabledException,
    MfaEnrolmentException,
    MfaEventKind,
    MfaNotEnabledException,
    MfaService,
    MfaSettings,
    MfaUnavailableException,
    SecretBox,
    TotpSecondFactor,
    UnreadableSecretError,
)
from tijolo.auth.mfa.totp import TotpParameters
from tijolo.auth.users import InvalidCodeException, MfaChallenge, OneTimeTokenException, TokenPair
from tijolo.core import InvalidTokenException, ServiceUnavailableException, TooManyRequestsException
from tijolo.web import MemoryRateLimitStore

KEY = SecretBox.generate_key()
RACERS = 20
PARAMETERS = TotpParameters()


class BrokenStore(MemoryRateLimitStore):
    async def reserve(self, key, limits, cost=1):
        raise ConnectionError("down")


@pytest.fixture
def store():
    return MemoryRateLimitStore()


@pytest.fixture
def settings():
    return MfaSettings(MFA_ENCRYPTION_KEYS=[KEY], MFA_ISSUER="Loja do Zé")


@pytest.fixture
async def mfa(models, settings, store, db, clock, events):
    await db.create_tables()
    factor = TotpSecondFactor.from_settings(
        settings, models.totp, models.codes, store=store, on_event=events.append, clock=clock
    )
    return MfaService(factor, settings)


@pytest.fixture
def run(db, mfa):
    """``await run("enrol", ana)``: in a transaction of its own."""

    async def call(method, *arguments, on=mfa, **options):
        async with db.transaction() as session:
            return await getattr(on, method)(session, *arguments, **options)

    return call


@pytest.fixture
def code_of(mfa, clock):
    """The code that an app with the enrolment's secret shows, some steps from now."""

    def code(enrolment, steps=0):
        secret = base64.b32decode(enrolment.secret)
        return PARAMETERS.code(secret, PARAMETERS.step_at(clock().timestamp()) + steps)

    return code


@pytest.fixture
async def enabled(run, ana, code_of):
    """Ana with an app; the code that confirmed it is of the step before."""
    enrolment = await run("enrol", ana)
    codes = await run("confirm", ana, code_of(enrolment, -1))
    return SimpleNamespace(enrolment=enrolment, codes=codes)


@pytest.fixture
def verify(run, mfa, ana):
    async def call(code, user=ana):
        return await run("verify", user, code, on=mfa.factor)

    return call


async def undone(db, work):
    """Do ``work`` in a transaction that then rolls back; what it returned."""
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction() as session:
            result = await work(session)
            raise ZeroDivisionError
    return result


async def raced(make, count=RACERS):
    """What ``count`` calls at once returned or raised."""
    return await asyncio.gather(*[make() for _ in range(count)], return_exceptions=True)


def in_each_others_way(outcome):
    """A deadlock's loser, or one whose turn did not come in time: a busy machine's twentieth."""
    return isinstance(outcome, ServiceUnavailableException) and outcome.code in (
        "TRANSACTION_CONFLICT",
        "DATABASE_TIMEOUT",
    )


# enrolment


async def test_users_who_confirm_at_once_all_get_their_codes(run, call, code_of):
    """On MariaDB the gap in which each looked for old codes kept the others from storing new."""
    users = [await call("create_user", email=f"u{n}@exemplo.com.br") for n in range(8)]
    for steps in (-1, 0):
        enrolments = [await run("enrol", user) for user in users]
        confirmed = await asyncio.gather(
            *[
                run("confirm", user, code_of(enrolment, steps))
                for user, enrolment in zip(users, enrolments, strict=True)
            ]
        )
        assert [len(set(codes)) for codes in confirmed] == [10] * 8
        renewed = await asyncio.gather(*[run("regenerate_recovery_codes", u) for u in users])
        assert [len(set(codes)) for codes in renewed] == [10] * 8
        await asyncio.gather(*[run("disable", user) for user in users])


async def test_an_app_counts_only_when_a_code_has_confirmed_it(run, mfa, ana, code_of):
    enrolment = await run("enrol", ana)
    assert not await run("is_required", ana, on=mfa.factor)
    assert (await run("status", ana)).enabled_at is None
    assert await run("verify", ana, code_of(enrolment), on=mfa.factor) is None
    codes = await run("confirm", ana, code_of(enrolment))
    assert len(set(codes)) == 10
    assert await run("is_required", ana, on=mfa.factor)
    status = await run("status", ana)
    assert status.enabled_at is not None
    assert status.recovery_codes_left == 10


async def test_the_uri_names_issuer_and_account_and_hides_in_reprs(run, ana):
    enrolment = await run("enrol", ana)
    assert enrolment.uri.startswith("otpauth://totp/Loja%20do%20Z%C3%A9:ana%40exemplo.com.br?")
    assert enrolment.qr_svg.startswith("<svg")
    assert enrolment.secret not in repr(enrolment)


async def test_a_wrong_code_confirms_nothing(run, ana, code_of):
    enrolment = await run("enrol", ana)
    for wrong in ("000000", "", "abc", "1" * 1000, code_of(enrolment, 5)):
        with pytest.raises(InvalidMfaCodeException):
            await run("confirm", ana, wrong)
    assert await run("confirm", ana, f" {code_of(enrolment)[:3]} {code_of(enrolment)[3:]} ")


async def test_a_new_enrolment_ends_the_one_before(run, ana, code_of):
    first = await run("enrol", ana)
    second = await run("enrol", ana)
    with pytest.raises(InvalidMfaCodeException):
        await run("confirm", ana, code_of(first))
    assert await run("confirm", ana, code_of(second))


async def test_an_enrolment_ends_by_itself(run, ana, code_of, clock, settings):
    enrolment = await run("enrol", ana)
    clock.pass_seconds(settings.MFA_ENROLMENT_TTL_SECONDS + 1)
    with pytest.raises(MfaEnrolmentException):
        await run("confirm", ana, code_of(enrolment))


async def test_there_is_nothing_to_confirm_without_an_enrolment(run, ana, enabled, code_of):
    with pytest.raises(MfaEnrolmentException):
        await run("confirm", ana, code_of(enabled.enrolment))
    with pytest.raises(MfaAlreadyEnabledException):
        await run("enrol", ana)


async def test_the_code_that_confirmed_is_no_login(run, ana, code_of, verify):
    enrolment = await run("enrol", ana)
    code = code_of(enrolment)
    await run("confirm", ana, code)
    assert await verify(code) is None
    assert await verify(code_of(enrolment, 1)) == "otp"


async def test_of_twenty_confirmations_one_gets_the_recovery_codes(
    run, ana, code_of, mfa, models, db, store
):
    enrolment = await run("enrol", ana)
    mfa.factor.attempts = CodeAttempts(store, "100/minute")
    outcomes = await raced(lambda: run("confirm", ana, code_of(enrolment)))
    won = [outcome for outcome in outcomes if isinstance(outcome, list)]
    lost = [outcome for outcome in outcomes if not isinstance(outcome, list)]
    assert len(won) == 1
    assert all(isinstance(o, MfaEnrolmentException) or in_each_others_way(o) for o in lost)
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(models.codes)) == 10


async def test_of_twenty_enrolments_one_is_left_and_can_be_confirmed(run, ana, code_of, mfa):
    outcomes = await raced(lambda: run("enrol", ana))
    made = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(o, MfaEnrolmentException) or in_each_others_way(o) for o in lost)
    assert made
    confirmed = 0
    for enrolment in made:
        try:
            confirmed += bool(await run("confirm", ana, code_of(enrolment)))
        except (InvalidMfaCodeException, MfaEnrolmentException, TooManyRequestsException):
            mfa.factor.attempts = CodeAttempts(MemoryRateLimitStore(), "100/minute")
    assert confirmed == 1


# codes of the app


async def test_a_code_is_good_once(enabled, code_of, verify):
    code = code_of(enabled.enrolment)
    assert await verify(code) == "otp"
    assert await verify(code) is None


async def test_a_code_older_than_the_one_used_last_is_good_no_more(enabled, code_of, verify, clock):
    ahead, present = code_of(enabled.enrolment, 1), code_of(enabled.enrolment)
    assert await verify(ahead) == "otp"
    assert await verify(present) is None
    clock.pass_seconds(60)
    assert await verify(code_of(enabled.enrolment)) == "otp"


@pytest.mark.parametrize("offset", [-60, 60, 3600, -3600])
async def test_a_clock_that_is_wrong_by_more_than_the_skew_is_refused(
    enabled, code_of, verify, clock, offset
):
    clock.pass_seconds(3600)
    assert await verify(code_of(enabled.enrolment, offset // 30)) is None


@pytest.mark.parametrize("steps", [-1, 1])
async def test_a_clock_that_is_wrong_by_one_step_is_forgiven(
    enabled, code_of, verify, clock, steps
):
    clock.pass_seconds(3600)
    assert await verify(code_of(enabled.enrolment, steps)) == "otp"


async def test_when_the_service_clock_goes_back_no_code_is_good_again(
    enabled, code_of, verify, clock
):
    clock.pass_seconds(3600)
    assert await verify(code_of(enabled.enrolment)) == "otp"
    clock.pass_seconds(-1800)
    assert await verify(code_of(enabled.enrolment)) is None


async def test_of_twenty_logins_with_one_code_one_passes(enabled, code_of, verify, mfa, store):
    mfa.factor.attempts = CodeAttempts(store, "100/minute")
    code = code_of(enabled.enrolment)
    outcomes = await raced(lambda: verify(code))
    assert outcomes.count("otp") == 1
    assert all(o in ("otp", None) or in_each_others_way(o) for o in outcomes)


async def test_a_login_that_rolls_back_has_not_used_the_code(
    enabled, code_of, verify, db, mfa, ana
):
    code = code_of(enabled.enrolment)
    assert await undone(db, lambda s: mfa.factor.verify(s, ana, code)) == "otp"
    assert await verify(code) == "otp"


async def test_another_users_code_proves_nothing(enabled, code_of, verify, call):
    eve = await call("create_user", email="eve@exemplo.com.br", password="uma senha bem comprida")
    assert await verify(code_of(enabled.enrolment), eve) is None
    assert await verify(enabled.codes[0], eve) is None


async def test_a_secret_copied_to_another_user_is_refused(
    enabled, code_of, verify, call, run, db, models, ana
):
    """Whoever can write to the table must not give a victim their own app."""
    eve = await call("create_user", email="eve@exemplo.com.br", password="uma senha bem comprida")
    mine = await run("enrol", eve)
    await run("confirm", eve, code_of(mine, -1))
    totp = models.totp
    async with db.transaction() as session:
        sealed = await session.scalar(select(totp.sealed_secret).where(totp.user_id == eve.id))
        await session.execute(
            update(totp).where(totp.user_id == ana.id).values(sealed_secret=sealed)
        )
    with pytest.raises(MfaUnavailableException):
        await verify(code_of(mine))


# recovery codes


async def test_a_recovery_code_is_good_once_however_it_is_typed(enabled, verify, run, ana, events):
    assert await verify(enabled.codes[0].upper().replace("-", " ")) == "recovery"
    assert await verify(enabled.codes[0]) is None
    assert (await run("status", ana)).recovery_codes_left == 9
    assert MfaEventKind.RECOVERY_CODE_USED in [event.kind for event in events]


async def test_of_twenty_with_one_recovery_code_one_passes(enabled, verify, mfa, store):
    mfa.factor.attempts = CodeAttempts(store, "100/minute")
    outcomes = await raced(lambda: verify(enabled.codes[3]))
    assert outcomes.count("recovery") == 1


async def test_new_recovery_codes_end_the_old_ones(enabled, verify, run, ana):
    renewed = await run("regenerate_recovery_codes", ana)
    assert not set(renewed) & set(enabled.codes)
    assert await verify(enabled.codes[0]) is None
    assert await verify(renewed[0]) == "recovery"


async def test_of_several_renewals_at_once_the_last_ones_codes_are_the_only_ones(
    enabled, run, ana, db, models
):
    outcomes = await raced(lambda: run("regenerate_recovery_codes", ana), 6)
    assert [o for o in outcomes if isinstance(o, list)]
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(models.codes)) == 10


async def test_recovery_codes_are_stored_as_hashes_alone(enabled, db, models):
    async with db.transaction() as session:
        rows = (await session.scalars(select(models.codes))).all()
        stored = " ".join(f"{row.code_hash} {row.to_dict()} {row!r}" for row in rows)
    assert not any(code in stored or code.replace("-", "") in stored for code in enabled.codes)


async def test_the_secret_is_stored_sealed(enabled, db, models):
    async with db.transaction() as session:
        row = (await session.scalars(select(models.totp))).one()
    assert enabled.enrolment.secret not in row.sealed_secret
    assert "sealed_secret" not in row.to_dict()


# the end of it


async def test_what_is_disabled_asks_and_accepts_nothing(enabled, run, mfa, ana, verify, code_of):
    await run("disable", ana)
    assert not await run("is_required", ana, on=mfa.factor)
    assert await verify(code_of(enabled.enrolment)) is None
    assert await verify(enabled.codes[0]) is None
    with pytest.raises(MfaNotEnabledException):
        await run("disable", ana)
    with pytest.raises(MfaNotEnabledException):
        await run("regenerate_recovery_codes", ana)
    again = await run("enrol", ana)
    assert await run("confirm", ana, code_of(again))


async def test_who_was_let_in_before_everything_ended_changes_nothing_after_it(
    run, call, ana, code_of, names, db
):
    """The confirmation would lock the owner out; the others would undo what they rely on."""
    enrolment = await run("enrol", ana)
    await call("logout_everywhere", ana)
    code = code_of(enrolment, -1)
    for method, arguments in (("confirm", [code]), ("enrol", [])):
        with pytest.raises(InvalidTokenException):
            await run(method, ana, *arguments)
    async with db.read_only() as session:
        now = await session.get(names.User, ana.id)
    await run("confirm", now, code)
    for method in ("regenerate_recovery_codes", "disable"):
        with pytest.raises(InvalidTokenException):
            await run(method, ana)
    assert (await run("status", now)).recovery_codes_left == 10


async def test_each_change_is_told_after_its_commit(enabled, run, ana, events, db, mfa):
    await run("regenerate_recovery_codes", ana)
    await undone(db, lambda s: mfa.disable(s, ana))
    await run("disable", ana)
    told = [event.kind for event in events if event.kind.startswith("mfa_")]
    assert told == ["mfa_enabled", "mfa_recovery_codes_renewed", "mfa_disabled"]
    assert not any(code in str(events) for code in enabled.codes)


async def test_what_belongs_to_a_user_goes_with_them(enabled, db, models, names, ana):
    async with db.transaction() as session:
        await session.delete(await session.get(names.User, ana.id))
    async with db.transaction() as session:
        for model in (models.totp, models.codes):
            assert await session.scalar(select(func.count()).select_from(model)) == 0


# guesses


async def test_wrong_codes_run_out_and_recovery_codes_still_count(enabled, verify, code_of, clock):
    clock.pass_seconds(3600)
    wrong = [str(number).zfill(6) for number in range(5)]
    for code in wrong:
        assert await verify(code) is None
    with pytest.raises(TooManyRequestsException) as refused:
        await verify(code_of(enabled.enrolment))
    assert 0 < refused.value.retry_after_seconds <= 180
    assert await verify(enabled.codes[0]) == "recovery"


async def test_of_fifty_guesses_at_once_five_are_looked_at(enabled, verify, store):
    outcomes = await raced(lambda: verify("000000"), 50)
    assert sum(isinstance(o, TooManyRequestsException) for o in outcomes) == 45


async def test_codes_that_are_right_use_up_no_attempts(enabled, verify, code_of, clock):
    for _ in range(12):
        clock.pass_seconds(30)
        assert await verify(code_of(enabled.enrolment)) == "otp"


async def test_what_cannot_be_a_code_is_refused_without_an_attempt(enabled, verify, code_of, clock):
    clock.pass_seconds(60)
    for text in ("", "12345", "x" * 100_000, "١٢٣٤٥٦", "12345\ud800", "0x1234", "1e5", "\0" * 6):
        for _ in range(3):
            assert await verify(text) is None
    assert await verify(code_of(enabled.enrolment)) == "otp"


async def test_while_attempts_cannot_be_counted_nobody_can_guess(enabled, verify, mfa, code_of):
    mfa.factor.attempts = CodeAttempts(BrokenStore(), "5/minute")
    with pytest.raises(ServiceUnavailableException):
        await verify(code_of(enabled.enrolment))


# keys


async def test_a_login_seals_the_secret_anew_after_a_rotation(
    enabled, verify, code_of, mfa, db, models
):
    new = SecretBox.generate_key()
    mfa.factor.box = SecretBox([new, KEY])
    assert await verify(code_of(enabled.enrolment)) == "otp"
    async with db.transaction() as session:
        row = (await session.scalars(select(models.totp))).one()
    assert not SecretBox([new, KEY]).is_stale(row.sealed_secret)


async def test_all_secrets_can_be_sealed_anew_so_that_the_old_key_can_go(
    enabled, run, mfa, call, code_of, verify, clock
):
    for number in range(4):
        user = await call("create_user", email=f"u{number}@exemplo.com.br")
        await run("enrol", user)
    new = SecretBox.generate_key()
    mfa.factor.box, after, pages = SecretBox([new, KEY]), None, 0
    while True:
        after, pages = await run("reseal", after=after, limit=2), pages + 1
        if after is None:
            break
    assert pages == 3
    mfa.factor.box = SecretBox([new])
    clock.pass_seconds(30)
    assert await verify(code_of(enabled.enrolment)) == "otp"


async def test_without_its_key_a_code_is_a_503_and_a_recovery_code_still_counts(
    enabled, verify, code_of, mfa, run, caplog
):
    mfa.factor.box = SecretBox([SecretBox.generate_key()])
    with caplog.at_level(logging.ERROR), pytest.raises(MfaUnavailableException) as refused:
        await verify(code_of(enabled.enrolment))
    assert refused.value.status_code == 503
    assert "MFA_ENCRYPTION_KEYS" in caplog.text
    assert await verify(enabled.codes[0]) == "recovery"
    with pytest.raises(UnreadableSecretError):
        await run("reseal")


# with the logins of UserAuthService


@pytest.fixture
def guarded(make_service, mfa, events):
    return make_service(second_factor=mfa.factor, on_event=events.append)


@pytest.fixture
def log_in(call, guarded, names):
    async def login(password=names.PASSWORD):
        return await call("login", on=guarded, email="ana@exemplo.com.br", password=password)

    return login


async def test_a_login_without_an_app_needs_no_code(log_in, ana):
    assert isinstance(await log_in(), TokenPair)


@pytest.mark.parametrize("method", ["otp", "recovery"])
async def test_a_login_gives_a_challenge_and_the_code_gives_the_tokens(
    log_in, enabled, call, guarded, code_of, method
):
    from tijolo.auth import TokenVerifier

    challenge = await log_in()
    assert isinstance(challenge, MfaChallenge)
    code = code_of(enabled.enrolment) if method == "otp" else enabled.codes[0]
    pair = await call("complete_login", on=guarded, token=challenge.token, code=code)
    principal = TokenVerifier.from_settings(guarded.jwt_settings).verify(pair.access_token)
    assert {"pwd", method} <= principal.amr
    with pytest.raises(OneTimeTokenException):
        await call("complete_login", on=guarded, token=challenge.token, code=enabled.codes[1])


async def test_a_refreshed_login_is_as_strong_as_it_was(log_in, enabled, call, guarded, code_of):
    from tijolo.auth import TokenVerifier

    challenge = await log_in()
    pair = await call(
        "complete_login", on=guarded, token=challenge.token, code=code_of(enabled.enrolment)
    )
    pair = await call("refresh", on=guarded, token=pair.refresh_token)
    principal = TokenVerifier.from_settings(guarded.jwt_settings).verify(pair.access_token)
    assert "otp" in principal.amr


async def test_one_code_does_not_open_two_challenges(log_in, enabled, call, guarded, code_of):
    first, code = await log_in(), code_of(enabled.enrolment)
    await call("complete_login", on=guarded, token=first.token, code=code)
    second = await log_in()
    with pytest.raises(InvalidCodeException):
        await call("complete_login", on=guarded, token=second.token, code=code)


async def test_a_password_reset_does_not_get_past_the_second_factor(
    log_in, enabled, call, guarded, mailbox, code_of, clock
):
    """ASVS 5.0, 6.4.3: it neither logs in nor disables the factor."""
    await call("request_password_reset", on=guarded, email="ana@exemplo.com.br")
    fresh = "outra senha bem comprida"
    token = mailbox.token("password_reset")
    reset = await call("confirm_password_reset", on=guarded, token=token, new_password=fresh)
    assert not isinstance(reset, TokenPair)
    challenge = await log_in(fresh)
    assert isinstance(challenge, MfaChallenge)
    with pytest.raises(InvalidCodeException):
        await call("complete_login", on=guarded, token=challenge.token, code="000000")
    code = code_of(enabled.enrolment)
    assert await call("complete_login", on=guarded, token=challenge.token, code=code)


async def test_a_reset_ends_a_factor_of_before_the_address_was_proved(
    log_in, enabled, call, guarded, mailbox, db, names, ana, run, events
):
    """Who begins with another person's address would else lock them out for good."""
    async with db.transaction() as session:
        (await session.get(names.User, ana.id)).email_verified_at = None
    for fresh in ("outra senha bem comprida", "mais uma senha comprida"):
        await call("request_password_reset", on=guarded, email="ana@exemplo.com.br")
        token = mailbox.token("password_reset")
        await call("confirm_password_reset", on=guarded, token=token, new_password=fresh)
        assert isinstance(await log_in(fresh), TokenPair)
    assert [event.kind for event in events].count("mfa_disabled") == 1
    async with db.read_only() as session:
        user = await session.get(names.User, ana.id)
        codes = guarded.second_factor.recovery_code_model
        assert await session.scalar(select(func.count()).select_from(codes)) == 0
    await run("enrol", user)  # and theirs can be set up


async def test_a_challenge_from_before_a_reset_is_good_no_more(
    log_in, enabled, call, guarded, mailbox, code_of
):
    challenge = await log_in()
    await call("request_password_reset", on=guarded, email="ana@exemplo.com.br")
    await call(
        "confirm_password_reset",
        on=guarded,
        token=mailbox.token("password_reset"),
        new_password="outra senha bem comprida",
    )
    with pytest.raises(OneTimeTokenException):
        await call(
            "complete_login", on=guarded, token=challenge.token, code=code_of(enabled.enrolment)
        )


async def test_a_login_elsewhere_does_not_get_past_the_second_factor(
    enabled, ana, guarded, db, call, code_of, names
):
    from tijolo.auth import TokenVerifier

    async with db.transaction() as session:
        user = await session.get(names.User, ana.id)
        challenge = await guarded.begin_login(session, user, amr=("fed",))
    assert isinstance(challenge, MfaChallenge)
    pair = await call(
        "complete_login", on=guarded, token=challenge.token, code=code_of(enabled.enrolment)
    )
    principal = TokenVerifier.from_settings(guarded.jwt_settings).verify(pair.access_token)
    assert principal.amr == {"fed", "otp", "mfa"}
