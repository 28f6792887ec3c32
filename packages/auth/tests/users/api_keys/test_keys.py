"""API keys on each database: made, shown once, used within their bounds, rotated, ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

pytest.importorskip("email_validator")
pytest.importorskip("tijolo.db")

from sqlalchemy import delete, event, func, select

from tijolo.auth.api_keys import (
    ApiKeyAuthenticator,
    ApiKeyEventKind,
    ApiKeyFormat,
    ApiKeyLimitException,
    ApiKeyNotFoundException,
    ApiKeyNotUsableException,
    ApiKeyRequestException,
    ApiKeyService,
    ApiKeySettings,
    RevokedReason,
)
from tijolo.auth.users import UserStatus
from tijolo.core import (
    ExpiredTokenException,
    InvalidTokenException,
    ServiceUnavailableException,
    ValidationException,
)
from tijolo.db.testing import count_queries

SCOPES = {"orders:read", "orders:write", "admin"}
DAY = 86_400


@pytest.fixture
async def make_keys(model, names, db, clock, events):
    await db.create_tables()

    def make(*, scopes=SCOPES, **settings):
        return ApiKeyService(
            model,
            names.User,
            scopes=scopes,
            settings=ApiKeySettings(**settings),
            on_event=events.append,
            clock=clock,
        )

    return make


@pytest.fixture
def keys(make_keys):
    return make_keys()


@pytest.fixture
async def authenticator(keys, db):
    made = ApiKeyAuthenticator(keys, db)
    yield made
    await made.disconnect()


@pytest.fixture
def run(db, keys):
    """``await run("create", ana, ...)``: in a transaction of its own."""

    async def call(method, *arguments, on=keys, **options):
        async with db.transaction() as session:
            return await getattr(on, method)(session, *arguments, **options)

    return call


@pytest.fixture
def create(run, ana):
    async def call(user=ana, **options):
        wanted = {"name": "nightly report", "scopes": ["orders:read"]} | options
        return await run("create", user, **wanted)

    return call


@pytest.fixture
def change(db, service, names):
    """``await change("end_everything", ana)``: of a user who belongs to the session."""

    async def run(method, user, *arguments, **options):
        async with db.transaction() as session:
            mine = await session.get(names.User, user.id)
            await getattr(service, method)(session, mine, *arguments, **options)
            await session.flush()
            session.expunge(mine)
        return mine

    return run


@pytest.fixture
async def eve(call):
    return await call("create_user", email="eve@exemplo.com.br")


# made


async def test_a_key_speaks_for_its_owner_within_its_scopes_and_has_no_roles(
    create, authenticator, ana
):
    made = await create(scopes=["orders:write", "orders:read", "orders:read"])
    principal = await authenticator.authenticate(made.key)
    assert principal.subject == str(ana.id)
    assert principal.scopes == {"orders:read", "orders:write"}
    assert principal.token_id == str(made.record.id)
    assert principal.expires_at == pytest.approx(principal.issued_at + 90 * DAY)
    assert (principal.roles, principal.permissions, principal.amr) == (set(), set(), set())
    assert principal.auth_time is None
    with pytest.raises(TypeError):
        principal.claims["api_key_id"] = "x"


async def test_only_a_hash_and_the_begin_of_a_key_are_kept(create, db, model):
    made = await create()
    async with db.transaction() as session:
        row = (await session.scalars(select(model))).one()
        stored = [getattr(row, column.key) for column in model.__table__.columns]
    assert row.hint == made.key[:12]
    assert not any(made.key in str(value) for value in stored)
    assert "key_hash" not in row.to_dict()
    assert made.key not in repr(made) + repr(row)


async def test_the_service_reads_its_settings(make_keys, run, ana):
    keys = make_keys(AUTH_API_KEY_PREFIX="loja_test", AUTH_API_KEY_DEFAULT_DAYS=7)
    made = await run("create", ana, on=keys, name="x", scopes=["admin"])
    assert made.key.startswith("loja_test_")
    assert made.record.expires_at - made.record.created_at == timedelta(days=7)


@pytest.mark.parametrize(
    "settings",
    [
        {"AUTH_API_KEY_PREFIX": "Loja"},
        {"AUTH_API_KEY_DEFAULT_DAYS": 400},
        {"AUTH_API_KEY_MAX_PER_USER": 0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    with pytest.raises(ValueError, match=r"AUTH_API_KEY|prefix"):
        ApiKeySettings(**settings)


@pytest.mark.parametrize("scopes", [[], "admin", ["two words"], ['qu"ote'], ["", "a"], ["é"]])
def test_scopes_that_no_token_could_carry_are_refused(model, names, scopes):
    with pytest.raises(ValueError, match="scope"):
        ApiKeyService(model, names.User, scopes=scopes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["orders:read", "root"]},
        {"lifetime": timedelta(days=366)},
        {"lifetime": timedelta(seconds=-1)},
        {"lifetime": timedelta(0)},
        {"networks": ["10.0.0.5/8"]},
        {"networks": ["loja.example"]},
        {"networks": ["::ffff:10.0.0.0/104"]},
        {"networks": [""]},
        {"networks": [f"10.0.0.{n}" for n in range(21)]},
        {"name": " \u2028 "},
        {"name": "   "},
        {"name": "nul\0"},
        {"name": "x" * 121},
    ],
)
async def test_what_a_key_cannot_have_is_refused_and_nothing_made(create, wrong, db, model):
    with pytest.raises(ValidationException):
        await create(**wrong)
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(model)) == 0


async def test_a_user_has_so_many_keys_however_many_are_asked_for_at_once(
    make_keys, run, ana, db, model
):
    keys = make_keys(AUTH_API_KEY_MAX_PER_USER=3)

    async def one():
        return await run("create", ana, on=keys, name="x", scopes=["admin"])

    outcomes = await asyncio.gather(*[one() for _ in range(12)], return_exceptions=True)
    allowed = (ApiKeyLimitException, ServiceUnavailableException)
    assert all(isinstance(o, allowed) for o in outcomes if isinstance(o, Exception))
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(model)) <= 3
    for _ in range(3):  # a deadlock may have taken some of the places
        try:
            await one()
        except ApiKeyLimitException:
            break
    with pytest.raises(ApiKeyLimitException):
        await one()


@pytest.mark.parametrize("users", [1, 8], ids=["one user", "eight users"])
async def test_first_keys_that_are_made_at_once_are_all_made(
    keys, call, db, names, model, authenticator, users
):
    """On MariaDB the gap in which each looked for keys kept the others from writing theirs."""
    emails = [f"u{number}@exemplo.com.br" for number in range(users)]
    owners = [await call("create_user", email=email) for email in emails]

    async def one(owner):
        async with db.transaction() as session:
            user = await session.get(names.User, owner.id)  # as a route does
            return await keys.create(session, user, name="first", scopes=["admin"])

    for _ in range(3):
        made = await asyncio.gather(*[one(owners[n % users]) for n in range(8)])
        principals = [await authenticator.authenticate(each.key) for each in made]
        assert [p.subject for p in principals] == [str(owners[n % users].id) for n in range(8)]
        await authenticator.disconnect()
        async with db.transaction() as session:
            await session.execute(delete(model))


async def test_a_revoked_or_expired_key_makes_room(make_keys, run, ana, clock):
    keys = make_keys(AUTH_API_KEY_MAX_PER_USER=1)

    async def one():
        return await run("create", ana, on=keys, name="x", scopes=["admin"])

    first = await one()
    with pytest.raises(ApiKeyLimitException):
        await one()
    await run("revoke", ana, first.record.id, on=keys)
    await one()
    clock.pass_seconds(91 * DAY)
    assert await one()


# refused


async def test_a_key_ends_with_its_time(create, authenticator, clock):
    made = await create(lifetime=timedelta(days=1))
    clock.pass_seconds(DAY - 60)
    assert await authenticator.authenticate(made.key)
    clock.pass_seconds(61)
    with pytest.raises(ExpiredTokenException):
        await authenticator.authenticate(made.key)


async def test_a_text_that_is_no_key_costs_no_query(authenticator, db):
    texts = ["", "tj_live_", "a.b.c", "tj_live_" + "x" * 49, "é" * 57, "x" * 100_000, "tj_live_\0"]
    with count_queries(db.engine, at_most=0):
        for text in texts:
            with pytest.raises(InvalidTokenException):
                await authenticator.authenticate(text)


async def test_a_good_key_costs_one_query(create, authenticator, db):
    made = await create()
    await authenticator.authenticate(made.key)
    await authenticator.disconnect()
    with count_queries(db.engine) as queries:
        principal = await authenticator.authenticate(made.key)
    assert (principal.subject, principal.scopes) == (str(made.record.user_id), {"orders:read"})
    assert len(queries) == 1


async def test_a_well_formed_key_that_nobody_made_is_refused(authenticator):
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(ApiKeyFormat("tj_live").generate())


async def test_what_ends_a_users_tokens_ends_their_keys(create, authenticator, change, ana):
    made = await create()
    ana = await change("end_everything", ana)
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(made.key)
    assert await authenticator.authenticate((await create(ana)).key)


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED])
async def test_a_key_of_somebody_who_may_not_log_in_is_refused(
    create, authenticator, change, ana, status
):
    made = await create()
    await change("set_status", ana, status)
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(made.key)


async def test_a_scope_that_the_owner_may_not_grant_any_more_is_lost_at_once(
    make_keys, run, db, change, ana
):
    def grantable(user):
        return SCOPES if user.is_admin else {"orders:read"}

    keys = make_keys(scopes=grantable)
    with pytest.raises(ApiKeyRequestException) as refused:
        await run("create", ana, on=keys, name="x", scopes=["admin"])
    assert refused.value.details == {"scopes": ["admin"]}
    ana = await change("set_roles", ana, [], is_admin=True)
    made = await run("create", ana, on=keys, name="x", scopes=["admin", "orders:read"])
    authenticator = ApiKeyAuthenticator(keys, db)
    assert "admin" in (await authenticator.authenticate(made.key)).scopes
    keys._scopes = lambda user: {"orders:read"}
    assert (await authenticator.authenticate(made.key)).scopes == {"orders:read"}
    await authenticator.disconnect()


async def test_a_key_with_networks_is_refused_where_nobody_knows_from_where_it_came(
    create, authenticator
):
    made = await create(networks=["203.0.113.0/24"])
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(made.key)


# rotated


async def test_both_keys_are_good_during_the_overlap(create, run, authenticator, ana, clock):
    old = await create(networks=[], scopes=["orders:write"])
    clock.pass_seconds(30 * DAY)
    new = await run("rotate", ana, old.record.id, overlap_seconds=3600)
    assert new.key != old.key
    assert (new.record.name, new.record.scopes) == (old.record.name, ["orders:write"])
    assert new.record.expires_at - new.record.created_at == timedelta(days=90)
    for key in (old.key, new.key):
        assert await authenticator.authenticate(key)
    clock.pass_seconds(3601)
    with pytest.raises(ExpiredTokenException):
        await authenticator.authenticate(old.key)
    assert await authenticator.authenticate(new.key)


async def test_a_rotation_does_not_let_a_key_live_longer(create, run, ana, clock):
    old = await create(lifetime=timedelta(seconds=600))
    await run("rotate", ana, old.record.id)
    listed = {key.id: key for key in await run("list", ana)}
    assert listed[old.record.id].expires_at == old.record.expires_at


async def test_a_rotation_keeps_to_a_longest_life_that_was_lowered(create, make_keys, run, ana):
    old = await create(lifetime=timedelta(days=300))
    stricter = make_keys(AUTH_API_KEY_DEFAULT_DAYS=30, AUTH_API_KEY_MAX_DAYS=30)
    new = await run("rotate", ana, old.record.id, on=stricter)
    assert new.record.expires_at - new.record.created_at == timedelta(days=30)


async def test_without_an_overlap_the_old_key_ends_at_once(create, run, ana, authenticator):
    old = await create()
    new = await run("rotate", ana, old.record.id, overlap_seconds=0)
    with pytest.raises(ExpiredTokenException):
        await authenticator.authenticate(old.key)
    assert await authenticator.authenticate(new.key)


async def test_of_twenty_rotations_one_makes_the_successor(
    create, run, ana, db, model, keys, names
):
    old = await create()

    async def rotate():
        async with db.transaction() as session:
            # as a route does: MariaDB shows later reads the rows as they are now
            user = await session.get(names.User, ana.id)
            return await keys.rotate(session, user, old.record.id)

    outcomes = await asyncio.gather(*[rotate() for _ in range(20)], return_exceptions=True)
    allowed = (ApiKeyNotUsableException, ServiceUnavailableException)
    assert all(isinstance(o, allowed) for o in outcomes if isinstance(o, Exception))
    assert sum(not isinstance(o, Exception) for o in outcomes) == 1
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(model)) == 2


async def test_what_has_ended_is_not_rotated(create, run, ana, clock, change):
    revoked, expired, rotated, ended = [await create() for _ in range(4)]
    await run("revoke", ana, revoked.record.id)
    await run("rotate", ana, rotated.record.id)
    ana = await change("end_everything", ana)
    for made in (revoked, rotated, ended):
        with pytest.raises(ApiKeyNotUsableException):
            await run("rotate", ana, made.record.id)
    fresh = await create(ana)
    clock.pass_seconds(91 * DAY)
    for made in (expired, fresh):
        with pytest.raises(ApiKeyNotUsableException):
            await run("rotate", ana, made.record.id)


@pytest.mark.parametrize("overlap", [-1, 86_401])
async def test_an_overlap_has_bounds(create, run, ana, overlap):
    made = await create()
    with pytest.raises(ApiKeyRequestException):
        await run("rotate", ana, made.record.id, overlap_seconds=overlap)


async def test_rotating_without_end_is_bounded(make_keys, run, ana):
    keys = make_keys(AUTH_API_KEY_MAX_PER_USER=2)
    made = await run("create", ana, on=keys, name="x", scopes=["admin"])
    for _ in range(3):
        made = await run("rotate", ana, made.record.id, on=keys)
    with pytest.raises(ApiKeyLimitException):
        await run("rotate", ana, made.record.id, on=keys)


# revoked


async def test_a_revoked_key_is_refused_at_once_and_stays_listed(
    create, run, ana, authenticator, clock, events
):
    made = await create()
    await run("revoke", ana, made.record.id)
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(made.key)
    (listed,) = await run("list", ana)
    first = listed.revoked_at
    clock.pass_seconds(60)
    await run("revoke", ana, made.record.id)
    (listed,) = await run("list", ana)
    assert (listed.revoked_at, listed.revoked_reason) == (first, "owner")
    clock.pass_seconds(31 * DAY)
    assert await run("list", ana) == []
    assert [e.kind for e in events if e.kind.startswith("api_key")] == [
        ApiKeyEventKind.CREATED,
        ApiKeyEventKind.REVOKED,
    ]
    assert made.key not in str(events)


async def test_nobody_reaches_the_keys_of_others(create, run, eve, ana, authenticator):
    made = await create()
    for method in ("revoke", "rotate"):
        for key_id in (made.record.id, uuid4()):
            with pytest.raises(ApiKeyNotFoundException):
                await run(method, eve, key_id)
    assert await run("list", eve) == []
    assert await authenticator.authenticate(made.key)


async def overtaken(db, model, user, first, second):
    """What ``second`` returned or raised, which waited for the user's row that ``first`` held."""
    async with db.transaction() as session:
        mine = await session.get(model, user.id)
        await first(session, mine)
        await session.flush()
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.3)
    return (await asyncio.gather(waiting, return_exceptions=True))[0]


async def test_a_key_asked_for_while_everything_ends_is_not_made(
    create, run, keys, service, db, names, ana, backend
):
    """It would be of the new epoch, and outlive what was to end all that its owner's thief has."""
    if backend == "sqlite":
        pytest.skip("one transaction at a time: the caller is read after the other's end")

    async def from_a_request():
        async with db.transaction() as session:
            caller = await session.get(names.User, ana.id)
            return await keys.create(session, caller, name="x", scopes=["admin"])

    outcome = await overtaken(db, names.User, ana, service.end_everything, from_a_request)
    assert isinstance(outcome, InvalidTokenException)
    assert await run("list", ana) == []


async def test_ending_all_keys_ends_the_one_that_is_being_made(
    create, run, keys, db, names, ana, authenticator, backend
):
    if backend == "sqlite":
        pytest.skip("one transaction at a time")
    old, made = await create(), []

    async def rotate(session, mine):
        made.append(await keys.rotate(session, mine, old.record.id))

    await overtaken(db, names.User, ana, rotate, lambda: run("revoke_all", ana))
    for key in (old, *made):
        with pytest.raises(InvalidTokenException):
            await authenticator.authenticate(key.key)


async def test_an_operator_ends_all_keys_of_a_user(create, run, ana, eve, authenticator):
    mine = [await create() for _ in range(3)]
    hers = await create(eve)
    assert await run("revoke_all", ana) == 3
    assert await run("revoke_all", ana) == 0
    for made in mine:
        with pytest.raises(InvalidTokenException):
            await authenticator.authenticate(made.key)
    assert await authenticator.authenticate(hers.key)


async def test_keys_go_with_their_user(create, db, names, ana, model):
    await create()
    async with db.transaction() as session:
        await session.delete(await session.get(names.User, ana.id))
    async with db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(model)) == 0


# leaked


async def test_whoever_has_a_key_can_end_it(create, run, authenticator, events, ana):
    leaked, kept = await create(), await create()
    found = ["", "tj_live_", "x" * 1000, leaked.key, leaked.key, ApiKeyFormat("tj_live").generate()]
    assert await run("report_leak", found) == 1
    assert await run("report_leak", found) == 0
    with pytest.raises(InvalidTokenException):
        await authenticator.authenticate(leaked.key)
    assert await authenticator.authenticate(kept.key)
    (alarm,) = [e for e in events if e.kind == ApiKeyEventKind.LEAKED]
    assert alarm.user_id == ana.id
    assert alarm.details == {
        "key_id": str(leaked.record.id),
        "hint": leaked.record.hint,
        "reason": RevokedReason.LEAKED,
    }


async def test_of_twenty_reports_of_one_key_one_counts(create, run, events):
    made = await create()
    outcomes = await asyncio.gather(
        *[run("report_leak", [made.key]) for _ in range(20)], return_exceptions=True
    )
    assert sum(o for o in outcomes if isinstance(o, int)) == 1
    assert [e.kind for e in events].count(ApiKeyEventKind.LEAKED) == 1


# used


@pytest.fixture
def writes(db):
    """Every UPDATE that is sent."""
    seen = []

    def record(connection, cursor, statement, parameters, context, many):
        if statement.startswith("UPDATE api_keys"):
            seen.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", record)
    yield seen
    event.remove(db.engine.sync_engine, "before_cursor_execute", record)


async def test_many_uses_are_one_write(create, authenticator, run, ana, clock, writes):
    made = await create()
    await asyncio.gather(*[authenticator.authenticate(made.key) for _ in range(20)])
    await authenticator.disconnect()
    for _ in range(5):
        await authenticator.authenticate(made.key)
    await authenticator.disconnect()
    assert len(writes) == 1
    (listed,) = await run("list", ana)
    first = listed.last_used_at
    assert abs((clock() - first).total_seconds()) < 60
    assert listed.updated_at == made.record.updated_at
    clock.pass_seconds(301)
    await authenticator.authenticate(made.key)
    await authenticator.disconnect()
    (listed,) = await run("list", ana)
    assert len(writes) == 2
    assert listed.last_used_at > first


async def test_a_replica_that_is_late_changes_nothing(create, keys, db, run, ana, clock):
    made = await create()
    first, late = [ApiKeyAuthenticator(keys, db) for _ in range(2)]
    await first.authenticate(made.key)
    await first.disconnect()
    (listed,) = await run("list", ana)
    before = listed.last_used_at
    late._last_used.note(made.record.id, before=None, now=clock())
    await late.disconnect()
    (listed,) = await run("list", ana)
    assert listed.last_used_at == before


async def test_when_the_use_cannot_be_written_the_request_goes_on(
    create, authenticator, db, caplog
):
    made = await create()

    def refuse(connection, cursor, statement, parameters, context, many):
        if statement.startswith("UPDATE api_keys"):
            raise ConnectionResetError("secret of the server")

    event.listen(db.engine.sync_engine, "before_cursor_execute", refuse)
    assert await authenticator.authenticate(made.key)
    await authenticator.disconnect()
    event.remove(db.engine.sync_engine, "before_cursor_execute", refuse)
    assert "last_used_at was not written (ConnectionResetError)" in caplog.text
    assert "secret of the server" not in caplog.text
