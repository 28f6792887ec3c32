from __future__ import annotations

import asyncio
import os
import threading
import time
import unicodedata

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tijolo.auth import (
    MAX_PASSWORD_BYTES,
    HashingBusyException,
    HashService,
    PasswordTooLongError,
    PasswordUtils,
)
from tijolo.core import Resource

PEPPER = "p" * 16 + "0123456789abcdef"
OTHER = "q" * 16 + "0123456789abcdef"
FAST = 10  # the lowest cost that is allowed
LONG = "palavra muito longa " * 5


@pytest.fixture(scope="module")
def passwords():
    return PasswordUtils(rounds=FAST)


def test_what_was_hashed_verifies_and_nothing_else_does(passwords):
    hashed = passwords.hash("cavalo bateria grampo")
    assert passwords.verify("cavalo bateria grampo", hashed)
    assert passwords.verify(SecretStr("cavalo bateria grampo"), hashed)
    for wrong in ("cavalo bateria gramp", "cavalo bateria grampo ", "Cavalo bateria grampo", ""):
        assert not passwords.verify(wrong, hashed)
    assert passwords.hash("cavalo bateria grampo") != hashed


def test_a_password_that_fits_is_plain_bcrypt_that_any_library_reads(passwords):
    hashed = passwords.hash("x" * 71)
    assert hashed.startswith("$2b$10$")
    assert len(hashed) == 60
    assert bcrypt.checkpw(b"x" * 71, hashed.encode())
    elsewhere = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(10)).decode()
    assert passwords.verify("from elsewhere", elsewhere)
    assert passwords.verify("from elsewhere", elsewhere.replace("$2b$", "$2a$", 1))


@pytest.mark.parametrize("password", [LONG, "é" * 40, "x" * MAX_PASSWORD_BYTES, "a\0b" * 8])
def test_a12_longer_passwords_are_hashed_whole(passwords, password):
    """A12: neither an error nor a cut at 72 bytes, and no end at a NUL."""
    hashed = passwords.hash(password)
    assert hashed.startswith("$tj1$-$2b$")
    assert passwords.verify(password, hashed)
    assert not passwords.verify(password[:-1] + "!", hashed)
    assert not passwords.verify(password + "!", hashed)
    cut = password.encode()[:72].decode(errors="ignore").split("\0")[0]
    assert not passwords.verify(cut, hashed)


def test_a12_old_hashes_that_were_cut_let_their_owners_in_and_are_made_whole(passwords):
    cut = bcrypt.hashpw(LONG.encode()[:72], bcrypt.gensalt(10)).decode()
    assert passwords.verify(LONG, cut)
    right, renewed = passwords.verify_and_update(LONG, cut)
    assert right
    assert renewed is not None
    assert renewed.startswith("$tj1$-$")
    assert not passwords.verify(LONG[:72], renewed)
    assert passwords.verify_and_update(LONG, renewed) == (True, None)
    assert passwords.verify_and_update(LONG + "x", renewed) == (False, None)


@pytest.mark.parametrize("length", [70, 71, 72, 73])
def test_what_follows_the_72nd_byte_counts(passwords, length):
    """bcrypt reads 72 bytes: whatever follows them would fit as well."""
    hashed = passwords.hash("x" * length)
    assert passwords.verify("x" * length, hashed)
    for more in ("y", "x", "x" * 10, "y" * 900):
        assert not passwords.verify("x" * length + more, hashed)
    assert not passwords.verify("x" * (length - 1), hashed)


@pytest.mark.parametrize("length", [1026, 4094, 10**6])
def test_composing_a_password_is_bounded(passwords, monkeypatch, length):
    """Marks in the wrong order take the square of their number, with the interpreter's lock."""
    composed = []
    original = unicodedata.normalize
    monkeypatch.setattr(
        "tijolo.auth.passwords.unicodedata.normalize",
        lambda form, text: composed.append(len(text)) or original(form, text),
    )
    marks = "a" + "\u0345" * (length // 2) + "\u0316" * (length // 2)
    assert not passwords.verify(marks, passwords.dummy())
    with pytest.raises(PasswordTooLongError):
        passwords.hash(marks)
    assert composed == []


@pytest.mark.parametrize("password", ["", "x" * (MAX_PASSWORD_BYTES + 1), "é" * 600])
def test_what_is_no_password_is_refused_and_never_verifies(passwords, password):
    with pytest.raises(ValueError, match=r"empty|at most 1024") as refused:
        passwords.hash(password)
    assert not password or isinstance(refused.value, PasswordTooLongError)
    assert password == "" or password not in str(refused.value)
    assert not passwords.verify(password, passwords.dummy())


def test_a13_a_password_is_kept_as_it_was_typed_save_for_its_composition(passwords):
    hashed = passwords.hash("  café com leite  ")
    assert not passwords.verify("café com leite", hashed)
    assert passwords.verify(unicodedata.normalize("NFD", "  café com leite  "), hashed)


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        "x",
        "$2b$",
        "$2b$31$" + "a" * 53,
        "$2b$10$" + "a" * 52,
        "$2b$10$" + "!" * 53,
        "$2b$10$" + "ã" * 53,
        "$tj1$-$2b$31$" + "a" * 53,
        "$tj1$nobody$2b$10$" + "a" * 53,
        "$tj1$-",
        "$tj1$-$tj1$-$2b$10$" + "a" * 53,
        "$argon2id$v=19$m=1,t=1,p=1$x$y",
        "\0",
        "$2b$10$" + "a" * 10**6,
    ],
    ids=lambda hashed: ascii(hashed)[:40],
)
def test_what_is_no_hash_verifies_nothing_and_wants_a_new_one(passwords, hashed):
    begun = time.monotonic()
    assert not passwords.verify("whatever it is", hashed)
    assert passwords.needs_rehash(hashed)
    assert time.monotonic() - begun < 30  # a planted cost of 31 would take a day


def test_a_pepper_is_needed_to_verify_and_is_never_shown():
    peppered = PasswordUtils(rounds=FAST, peppers={"k1": SecretStr(PEPPER)})
    hashed = peppered.hash("cavalo bateria grampo")
    assert hashed.startswith("$tj1$k1$2b$10$")
    assert peppered.verify("cavalo bateria grampo", hashed)
    assert not PasswordUtils(rounds=FAST).verify("cavalo bateria grampo", hashed)
    assert not PasswordUtils(rounds=FAST, peppers={"k1": OTHER}).verify(
        "cavalo bateria grampo", hashed
    )
    assert PEPPER not in repr(peppered)


def test_peppers_rotate_the_last_one_makes_new_hashes():
    old = PasswordUtils(rounds=FAST, peppers={"k1": PEPPER})
    new = PasswordUtils(rounds=FAST, peppers={"k1": PEPPER, "k2": OTHER})
    hashed = old.hash("cavalo bateria grampo")
    assert new.verify("cavalo bateria grampo", hashed)
    assert new.needs_rehash(hashed)
    assert not old.needs_rehash(hashed)
    assert new.hash("cavalo bateria grampo").startswith("$tj1$k2$")
    assert not new.needs_rehash(new.hash("cavalo bateria grampo"))


def test_hashes_from_before_the_pepper_verify_and_are_renewed(passwords):
    peppered = PasswordUtils(rounds=FAST, peppers={"k1": PEPPER})
    for password in ("cavalo bateria grampo", LONG):
        hashed = passwords.hash(password)
        assert peppered.verify(password, hashed)
        assert peppered.needs_rehash(hashed)
        assert not passwords.needs_rehash(hashed)


def test_another_cost_or_variant_asks_for_a_new_hash(passwords):
    assert PasswordUtils(rounds=11).needs_rehash(passwords.hash("cavalo bateria"))
    old = bcrypt.hashpw(b"cavalo bateria", bcrypt.gensalt(10, prefix=b"2a")).decode()
    assert passwords.verify("cavalo bateria", old)
    assert passwords.needs_rehash(old)


@pytest.mark.parametrize("rounds", [9, 17, 0, -1, 31])
def test_a_cost_out_of_range_is_refused(rounds):
    with pytest.raises(ValueError, match="10 to 16"):
        PasswordUtils(rounds=rounds)


@pytest.mark.parametrize(
    "peppers", [{"k1": "short"}, {"K1": PEPPER}, {"": PEPPER}, {"-": PEPPER}, {"a$b": PEPPER}]
)
def test_a_pepper_that_cannot_be_used_is_refused_without_being_shown(peppers):
    with pytest.raises(ValueError, match="pepper") as refused:
        PasswordUtils(peppers=peppers)
    assert PEPPER not in str(refused.value)
    assert "short" not in str(refused.value)


@pytest.mark.parametrize("peppers", [{}, {"k1": PEPPER}])
def test_a4_the_dummy_costs_a_real_verification_and_fits_no_password(peppers):
    """A4: bcrypt accepts it as a hash, so that it runs; no computation makes it."""
    utils = PasswordUtils(rounds=FAST, peppers=peppers)
    dummy = utils.dummy()
    inner = dummy[dummy.index("$2b$") :]
    assert not bcrypt.checkpw(b"x", inner.encode())  # raises where the form is wrong
    assert not utils.verify("x", dummy)
    assert not utils.needs_rehash(dummy)


@settings(max_examples=10, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_text_round_trips(passwords, password):
    if len(unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")) > 1024:
        return
    hashed = passwords.hash(password)
    assert passwords.verify(password, hashed)
    assert not passwords.verify(password + "x", hashed)


def test_surrogates_that_json_lets_through_are_hashed_too(passwords):
    assert passwords.verify("\ud800 lone", passwords.hash("\ud800 lone"))


async def test_a5_the_event_loop_goes_on_while_passwords_are_hashed():
    """A5: by counting turns of the loop, not by a clock."""
    service = HashService(PasswordUtils(rounds=12), workers=1)
    assert isinstance(service, Resource)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    hashed = await service.hash("cavalo bateria grampo")
    assert await service.verify("cavalo bateria grampo", hashed)
    counting.cancel()
    assert turns > 100
    assert threading.current_thread() is threading.main_thread()
    await service.disconnect()


async def test_what_finds_the_queue_full_is_a_503_and_the_rest_is_done():
    service = HashService(PasswordUtils(rounds=FAST), workers=1, queue_limit=2)
    found = await asyncio.gather(
        *(service.hash("cavalo bateria grampo") for _ in range(10)), return_exceptions=True
    )
    busy = [one for one in found if isinstance(one, HashingBusyException)]
    assert len(busy) == 7
    assert (busy[0].status_code, busy[0].code) == (503, "PASSWORD_HASHING_BUSY")
    assert busy[0].headers["Retry-After"] == "1"
    assert await service.health_check()
    assert await service.verify("cavalo bateria grampo", next(f for f in found if f not in busy))
    await service.disconnect()


async def test_callers_that_leave_do_not_free_a_place_before_its_thread_is_free():
    service = HashService(PasswordUtils(rounds=12), workers=1, queue_limit=0)
    leaving = asyncio.create_task(service.hash("cavalo bateria grampo"))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0)
    with pytest.raises(HashingBusyException):
        await service.hash("cavalo bateria grampo")
    await service.disconnect()
    await asyncio.sleep(0)
    assert await service.health_check()
    assert (await service.hash("again, with new threads")).startswith("$2b$")
    await service.disconnect()
    await service.disconnect()


async def test_what_waits_when_the_service_stops_is_a_503_and_no_cancellation():
    service = HashService(PasswordUtils(rounds=12), workers=1)
    waiting = [asyncio.create_task(service.hash("cavalo bateria grampo")) for _ in range(4)]
    await asyncio.sleep(0.01)
    await service.disconnect()
    first, *others = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, str)
    assert {type(other) for other in others} == {HashingBusyException}
    assert await service.health_check()


async def test_a_caller_that_leaves_the_queue_gives_its_place_back():
    service = HashService(PasswordUtils(rounds=12), workers=1, queue_limit=1)
    running = asyncio.create_task(service.hash("cavalo bateria grampo"))
    leaving = asyncio.create_task(service.hash("cavalo bateria grampo"))
    await asyncio.sleep(0.01)
    assert not await service.health_check()
    leaving.cancel()
    await asyncio.sleep(0)
    assert await service.health_check()
    assert leaving.cancelled()
    assert await running
    await service.disconnect()


def test_a_loop_that_ended_meanwhile_leaves_no_place_taken():
    service = HashService(PasswordUtils(rounds=12), workers=1, queue_limit=0)

    async def leave():
        asyncio.ensure_future(service.hash("cavalo bateria grampo"))  # noqa: RUF006
        await asyncio.sleep(0.01)

    asyncio.run(leave())

    async def after():
        await service.disconnect()
        return await service.health_check()

    assert asyncio.run(after())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_gets_threads_of_its_own():
    """A process that hashed before it forked: its children inherited a pool without threads."""
    service = HashService(PasswordUtils(rounds=FAST), workers=1)
    asyncio.run(service.hash("before the fork"))
    child = os.fork()
    if child == 0:
        done = False
        try:
            hashing = asyncio.wait_for(service.hash("after the fork"), 30)
            done = asyncio.run(hashing).startswith("$2b$")
        finally:
            os._exit(0 if done else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    asyncio.run(service.disconnect())


async def test_an_unknown_user_costs_a_verification_and_is_never_right():
    service = HashService(PasswordUtils(rounds=FAST))
    assert not await service.verify("whatever", None)
    assert await service.verify_and_update("whatever", None) == (False, None)
    await service.disconnect()


async def test_a_login_renews_a_hash_of_yesterday():
    service = HashService(PasswordUtils(rounds=FAST, peppers={"k1": PEPPER}))
    yesterday = PasswordUtils(rounds=FAST).hash("cavalo bateria grampo")
    right, renewed = await service.verify_and_update("cavalo bateria grampo", yesterday)
    assert right
    assert renewed is not None
    assert renewed.startswith("$tj1$k1$")
    assert await service.verify_and_update("cavalo bateria grampo", renewed) == (True, None)
    assert await service.verify_and_update("wrong", yesterday) == (False, None)
    await service.disconnect()


async def test_errors_of_the_password_reach_the_caller():
    service = HashService(PasswordUtils(rounds=FAST))
    with pytest.raises(PasswordTooLongError):
        await service.hash("x" * 2000)
    assert await service.health_check()
    await service.disconnect()


@pytest.mark.parametrize("options", [{"workers": 0}, {"queue_limit": -1}])
def test_a_service_without_threads_is_refused(options):
    with pytest.raises(ValueError, match="needs 1 worker"):
        HashService(PasswordUtils(), **options)


@pytest.mark.parametrize(
    ("rounds", "extra"), [(10, 1), (11, 0), (12, 0)], ids=["cheaper", "same", "dearer"]
)
async def test_a_wrong_password_of_a_cheaper_hash_takes_no_less_than_an_unknown_users(
    monkeypatch, rounds, extra
):
    stored = PasswordUtils(rounds=rounds).hash("a right password")
    service, checked, check = HashService(PasswordUtils(rounds=11), workers=1), [], bcrypt.checkpw

    def counted(password, hashed):
        checked.append(int(hashed[4:6]))
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    assert await service.verify_and_update("a wrong password", stored) == (False, None)
    assert checked == [rounds] + [11] * extra
    checked.clear()
    right, _ = await service.verify_and_update("a right password", stored)
    assert right
    assert checked == [rounds]
    await service.disconnect()
