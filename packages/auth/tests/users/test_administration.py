"""Status, roles, and the end of everything: A10, A20, row 26 and 2d item 2."""

import asyncio
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from tijolo.auth import ROLE_HIERARCHY, Principal, TokenVerifier
from tijolo.auth.users import EpochChecker, OneTimeTokenException, UserStatus
from tijolo.core import (
    AppException,
    InvalidTokenException,
    NotFoundException,
    ValidationException,
)

PASSWORD = "cavalo correto bateria"
EMAIL = "ana@exemplo.com.br"


@pytest.fixture
def login(call, service):
    """The principal of a new login."""
    verifier = TokenVerifier.from_settings(service.jwt_settings)

    async def log_in(email=EMAIL):
        pair = await call("login", email=email, password=PASSWORD)
        return verifier.verify(pair.access_token)

    return log_in


@pytest.fixture
def checker(service):
    return service.make_epoch_checker()


async def reset(call, mailbox):
    await call("request_password_reset", email=EMAIL)
    token = mailbox.token("password_reset")
    await call("confirm_password_reset", token=token, new_password=PASSWORD + "!")


ENDS = {
    "logout": lambda call, ana, mailbox: call("logout_everywhere", ana),
    "suspend": lambda call, ana, mailbox: call("set_status", ana, UserStatus.SUSPENDED),
    "roles": lambda call, ana, mailbox: call("set_roles", ana, ["editor"]),
    "admin": lambda call, ana, mailbox: call("set_roles", ana, [], is_admin=True),
    "password": lambda call, ana, mailbox: call(
        "change_password", ana, current_password=PASSWORD, new_password=PASSWORD + "!"
    ),
    "reset": lambda call, ana, mailbox: reset(call, mailbox),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a10_access_tokens_end_with_what_they_say(
    call, ana, login, checker, revocation, end, mailbox
):
    principal = await login()
    other = await call("create_user", email="leo@exemplo.com.br", password=PASSWORD)
    bystander = await login(other.email)
    assert not await checker.is_revoked(principal)
    await end(call, ana, mailbox)
    assert await checker.is_revoked(principal)  # at once here, although it was remembered
    assert await revocation.is_revoked(principal)  # for who cannot see the table
    assert not await checker.is_revoked(bystander)
    assert not await revocation.is_revoked(bystander)


class SlowDatabase:
    """Gives the answer of the other one when it is told to."""

    def __init__(self, db):
        self.db, self.asked, self.answers = db, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def read_only(self):
        async with self.db.read_only() as session:
            yield session
        self.asked.set()
        await self.answers.wait()


async def test_a10_what_was_read_before_the_end_is_not_remembered_after_it(
    call, ana, login, db, service, names
):
    """A request is asking while another ends everything: its answer is from before."""
    slow = SlowDatabase(db)
    checker = EpochChecker(slow, names.User, cache_seconds=3600)
    service.kill_switch.forget.append(checker.forget)
    principal = await login()
    asking = asyncio.create_task(checker.is_revoked(principal))
    await slow.asked.wait()
    await call("logout_everywhere", ana)
    slow.answers.set()
    await asking
    assert await checker.is_revoked(principal)


async def test_a10_other_processes_know_within_the_seconds_of_the_cache(
    call, ana, login, db, names
):
    now = 100.0
    elsewhere = EpochChecker(db, names.User, cache_seconds=5, clock=lambda: now)
    principal = await login()
    assert not await elsewhere.is_revoked(principal)
    await call("logout_everywhere", ana)
    now += 4.9
    assert not await elsewhere.is_revoked(principal)
    now += 0.1
    assert await elsewhere.is_revoked(principal)
    assert not await elsewhere.is_revoked(await login())


async def test_a20_roles_are_those_of_the_last_change(call, ana, login, checker, db, names):
    await call("set_roles", ana, ["editor", "caixa", "editor"])
    editor = await login()
    assert editor.roles == {"user", "editor", "caixa"}
    await call("set_roles", ana, ["caixa"], is_admin=True)
    assert await checker.is_revoked(editor)
    assert (await login()).roles == {"user", "caixa", "admin"}
    await call("set_roles", ana, [])  # is_admin stays
    assert (await login()).roles == {"user", "admin"}
    async with db.read_only() as session:
        before = (await session.get(names.User, ana.id)).auth_epoch
    await call("set_roles", ana, [], is_admin=True)  # nothing changes, and nobody is logged out
    async with db.read_only() as session:
        assert (await session.get(names.User, ana.id)).auth_epoch == before


async def test_roles_are_a_list(call, ana):
    with pytest.raises(TypeError, match="'editor'"):
        await call("set_roles", ana, "editor")


@pytest.mark.parametrize("role", ["", "  ", "x" * 65, "wri\nter", "wri\u202eter"])
async def test_a_role_is_a_name_of_bounded_length(call, ana, role):
    with pytest.raises(ValidationException) as refused:
        await call("set_roles", ana, [role])
    assert refused.value.code == "INVALID_ROLE"
    with pytest.raises(ValidationException) as refused:
        await call("create_user", email="bia@exemplo.com.br", roles=[role])
    assert refused.value.code == "INVALID_ROLE"


async def test_a_role_is_a_text(call, ana):
    for wrong in (1, None, b"editor", ["editor"]):
        with pytest.raises(TypeError, match="a role is a text"):
            await call("set_roles", ana, [wrong])


async def test_where_the_roles_are_known_no_other_is_given(make_service, call, ana, login):
    await call("set_roles", ana, ["caixa"])  # before the service said which there are
    knows = make_service(hierarchy=ROLE_HIERARCHY)
    with pytest.raises(ValidationException, match=r"'wirter' is not among the roles.*writer"):
        await call("set_roles", ana, ["caixa", "wirter"], on=knows)
    await call("set_roles", ana, ["caixa", "writer"], on=knows)
    assert (await login()).roles == {"user", "caixa", "writer"}
    with pytest.raises(ValidationException, match="caixa"):
        await call("create_user", email="bia@exemplo.com.br", roles=["caixa"], on=knows)


async def test_roles_that_are_changed_in_place_are_saved(call, ana, db, names):
    async with db.transaction() as session:
        user = await session.get(names.User, ana.id)
        user.roles.append("editor")
    async with db.read_only() as session:
        assert (await session.get(names.User, ana.id)).roles == ["editor"]


@pytest.mark.parametrize(
    "subject", ["", "x", "7", "00000000-0000-0000-0000-000000000000", "\ud800", "x" * 10_000]
)
async def test_a_subject_that_is_no_user_is_refused(checker, subject):
    assert await checker.is_revoked(Principal(subject=subject))


async def test_twenty_ends_at_once_raise_the_epoch_twenty_times(call, ana, db, names):
    await asyncio.gather(*(call("logout_everywhere", ana) for _ in range(20)))
    async with db.read_only() as session:
        assert (await session.get(names.User, ana.id)).auth_epoch == 20


async def test_what_is_rolled_back_ends_nothing(service, db, ana, login, checker, revocation):
    principal = await login()

    async def fail_at_last():
        async with db.transaction() as session:
            await service.logout_everywhere(session, ana)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_last()
    assert not await checker.is_revoked(principal)
    assert not await revocation.is_revoked(principal)


async def test_a_checker_asks_another_one_first_and_remembers_no_more_than_it_may(
    service, db, ana, login, revocation, clock, names
):
    checker = service.make_epoch_checker(also=revocation)
    principal = await login()
    assert not await checker.is_revoked(principal)
    await revocation.revoke_session(principal.session_id, expires_at=clock().timestamp() + 60)
    assert await checker.is_revoked(principal)
    small = EpochChecker(db, names.User, cache_size=2)
    for n in range(5):
        await small.is_revoked(Principal(subject=f"00000000-0000-0000-0000-00000000000{n}"))
    assert len(small._cache) == 2
    never = EpochChecker(db, names.User, cache_seconds=0)
    assert not await never.is_revoked(principal)
    assert never._cache == {}
    for options in ({"cache_seconds": -1}, {"cache_size": 0}):
        with pytest.raises(ValueError, match="cache_seconds"):
            EpochChecker(db, names.User, **options)


async def test_a_status_is_one_of_those_there_are(call, ana):
    with pytest.raises(ValueError, match="banido"):
        await call("set_status", ana, "banido")


async def test_who_is_gone_can_be_given_nothing(call, ana, db, names):
    async with db.transaction() as session:
        await session.delete(await session.get(names.User, ana.id))
    for method, arguments, options in (
        ("start_login", (ana,), {"amr": ("pwd",)}),
        ("logout_everywhere", (ana,), {}),
        ("change_password", (ana,), {"current_password": PASSWORD, "new_password": PASSWORD}),
    ):
        with pytest.raises(NotFoundException):
            await call(method, *arguments, **options)
    await call("set_status", ana, UserStatus.SUSPENDED)
    await call("set_roles", ana, ["editor"])


async def test_the_contracts_pair_is_a_login(call, ana, service):
    access, refresh = await call("issue_jwt_pair", ana)
    assert TokenVerifier.from_settings(service.jwt_settings).verify(access).subject == str(ana.id)
    assert await call("refresh", token=refresh)
    await call("logout", refresh_token=refresh)
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=refresh)


@pytest.mark.parametrize("end", [ENDS["logout"], ENDS["roles"]], ids=["logout", "roles"])
async def test_a_change_of_address_ends_with_the_login_that_asked_for_it(call, ana, mailbox, end):
    """An intruder who knew the password would else take the account after being thrown out."""
    theirs = "intruso@exemplo.com.br"
    await call("request_email_change", ana, new_email=theirs, password=PASSWORD)
    await end(call, ana, mailbox)
    with pytest.raises(OneTimeTokenException):
        await call("confirm_email_change", token=mailbox.token("email_change"))
    assert await call("login", email=EMAIL, password=PASSWORD)


@pytest.mark.parametrize("end", ["logout_everywhere", "logout"])
async def test_what_has_ended_is_told_though_the_request_is_given_up(
    make_service, db, ana, call, names, end
):
    """The epoch is saved by then; who checks by the store alone must learn of it, too."""
    told = []

    class Slow:
        async def revoke_before_epoch(self, subject, epoch, *, expires_at):
            await self.tell((subject, epoch))

        async def revoke_session(self, session_id, *, expires_at):
            await self.tell(session_id)

        async def tell(self, what):
            request.cancel()
            await asyncio.sleep(0.01)
            told.append(what)

    service = make_service(revocation=Slow())
    pair = await call("login", email=ana.email, password=names.PASSWORD, on=service)

    async def give_up():
        async with db.transaction() as session:
            if end == "logout":
                await service.logout(session, refresh_token=pair.refresh_token)
            else:
                await service.logout_everywhere(session, ana)

    request = asyncio.create_task(give_up())
    with pytest.raises(asyncio.CancelledError):
        await request
    await service.disconnect()
    assert told == [pair.session_id if end == "logout" else (str(ana.id), 1)]


@pytest.mark.parametrize("end", ["logout_everywhere", "logout"])
@pytest.mark.parametrize("lost", ["answer", "request", "commit"])
async def test_what_has_ended_is_told_though_nobody_knows_how_the_commit_went(
    db, ana, login, service, revocation, call, names, end, lost
):
    """The connection breaks, or the request is given up, in the middle of COMMIT."""
    pair = await call("login", email=ana.email, password=names.PASSWORD)
    principal = TokenVerifier.from_settings(service.jwt_settings).verify(pair.access_token)
    dialect = db.engine.dialect
    commit, failure = dialect.do_commit, dialect.loaded_dbapi.OperationalError("lost")
    if lost == "request":
        failure = asyncio.CancelledError()

    def lose(connection):
        del dialect.do_commit
        if lost != "commit":
            commit(connection)
        raise failure

    async def run():
        async with db.transaction() as session:
            if end == "logout":
                await service.logout(session, refresh_token=pair.refresh_token)
            else:
                await service.logout_everywhere(session, ana)
            dialect.do_commit = lose

    with pytest.raises((asyncio.CancelledError, AppException)):
        await run()
    await service.disconnect()
    assert await revocation.is_revoked(principal) is (lost != "commit")
