"""Time tells nobody whether an address has an account (A4, A25; 2d item 5).

Samples of both kinds alternate, so that a busy machine slows both, and medians and ranks are
compared with a wide margin: a hash that is missing, or a mail that is sent, is many times that.
"""

import asyncio
import time
from statistics import median

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from tijolo.auth import HashService, PasswordUtils
from tijolo.auth.users import InvalidCredentialsException

PASSWORD = "cavalo correto bateria"
EMAIL = "ana@exemplo.com.br"


@pytest.fixture
def backend():
    return "sqlite"


class SlowMailer:
    """What an SMTP server adds."""

    async def deliver(self, mail):
        await asyncio.sleep(0.05)


@pytest.fixture
async def neutral(make_service):
    hashing = HashService(PasswordUtils(rounds=10), workers=1)
    service = make_service(hashing=hashing, email=SlowMailer())
    await service.connect()
    yield service
    await service.outbox.drain()
    await hashing.disconnect()


async def alternate(service, db, rounds, known, unknown):
    """The seconds of both, taken in turn; what is done after the answer is not counted."""
    taken = [], []
    for n in range(rounds):
        for place, attempt in ((0, known), (1, unknown)) if n % 2 else ((1, unknown), (0, known)):
            began = time.perf_counter()
            try:
                async with db.transaction() as session:
                    await attempt(service, session, n)
            except InvalidCredentialsException:
                pass
            taken[place].append(time.perf_counter() - began)
            await service.outbox.drain()
    return taken


def assert_alike(known, unknown):
    ratio = median(known) / median(unknown)
    higher = sum(k > u for k in known for u in unknown) / (len(known) * len(unknown))
    assert 0.5 < ratio < 2, f"medians differ {ratio:.2f} times"
    assert 0.02 < higher < 0.98, f"{higher:.0%} of the one kind take longer than the other"


def login(email):
    async def attempt(service, session, n):
        await service.login(session, email=email, password="uma senha errada")

    return attempt


def signup(address):
    async def attempt(service, session, n):
        await service.signup(session, email=address.format(n), password=PASSWORD)

    return attempt


def reset(email):
    async def attempt(service, session, n):
        await service.request_password_reset(session, email=email)

    return attempt


async def test_a4_a_login_of_nobody_takes_as_long_as_a_wrong_password(neutral, db, call, ana):
    await call("create_user", email="sus@exemplo.com.br", password=PASSWORD, status="suspended")
    await call("signup", email="pendente@exemplo.com.br", password=PASSWORD)
    await call("create_user", email="sem@exemplo.com.br")  # without a password, as of a provider
    others = [f"{who}@exemplo.com.br" for who in ("ninguem", "sus", "pendente", "sem")]
    for other in (*others, "not an address"):
        assert_alike(*await alternate(neutral, db, 15, login(EMAIL), login(other)))


async def test_a25_a_sign_up_with_a_taken_address_takes_as_long_as_a_new_one(
    neutral, db, call, ana
):
    await call("signup", email="pendente@exemplo.com.br", password=PASSWORD)
    for taken in (EMAIL, "pendente@exemplo.com.br"):
        new = signup("nova{}-" + taken)
        assert_alike(*await alternate(neutral, db, 15, signup(taken), new))


async def test_a_reset_of_nobody_takes_as_long_as_one_of_somebody(neutral, db, ana):
    assert_alike(*await alternate(neutral, db, 60, reset(EMAIL), reset("ninguem@exemplo.com.br")))


async def test_a_reset_asks_the_database_nothing_before_the_answer(neutral, db, ana):
    """By construction: there is nothing to be measured."""
    for email in (EMAIL, "ninguem@exemplo.com.br"):
        async with db.transaction() as session:
            await neutral.request_password_reset(session, email=email)
            await neutral.resend_activation(session, email=email)
            assert not session.in_transaction()
        await neutral.outbox.drain()
