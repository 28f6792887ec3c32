"""Who a provider names, and whose account that is here, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

pytest.importorskip("tijolo.http.client", reason="tijolo-http is not installed")
pytest.importorskip("tijolo.db", reason="tijolo-db is not installed")

from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.responses import RedirectResponse

import tijolo.auth.oauth.linking
from tijolo.auth import (
    build_auth_deps,
)
from tijolo.auth.oauth import (
    Endpoints,
    OAuthClient,
    OAuthError,
    OAuthLogins,
    OAuthTokens,
    OAuthUser,
)
from tijolo.auth.oauth.linking import (
    LastWayInException,
    OAuthAccountClosedError,
    OAuthAccounts,
    OAuthIdentityTakenError,
    OAuthLinkRequiredError,
    make_oauth_account_router,
    make_oauth_identity_model,
)
from tijolo.auth.users import MfaChallenge, TokenPair
from tijolo.core import AppException, InvalidTokenException, NotFoundException

SITE = "https://shop.example"
STATE_SECRET = "a-secret-that-seals-the-logins-under-way-0001"
_models = {}


def google(subject="g-1", email="bia@example.com", verified=True, **more):
    """Of a provider that hands out the addresses of these tests."""
    more.setdefault("email_domains", frozenset({"example.com", "exemplo.com.br"}))
    return OAuthUser(
        provider="google", subject=subject, email=email, email_verified=verified, **more
    )


@pytest.fixture
async def identity_model(db, names):
    """One for all tests: a table belongs to its metadata once."""
    if not _models:
        _models["one"] = make_oauth_identity_model(names.User)
    await db.create_tables()
    return _models["one"]


@pytest.fixture
def accounts(service, identity_model):
    return OAuthAccounts(service, identity_model)


@pytest.fixture
def do(db):
    """``await do(accounts.log_in, who)``: in a transaction of its own, as the routes do it."""

    async def run(method, *arguments, **options):
        return await db.run_in_transaction(
            lambda session: method(session, *arguments, **options), attempts=20, backoff=0.02
        )

    return run


@pytest.fixture
def count(db, names, identity_model):
    async def run(model=None):
        async with db.read_only() as session:
            return await session.scalar(select(func.count()).select_from(model or identity_model))

    return run


# Who comes in


async def test_a_stranger_gets_an_account_without_a_password(accounts, do, db, events, names):
    pair = await do(accounts.log_in, google(name="Bia"))
    assert isinstance(pair, TokenPair)
    async with db.read_only() as session:
        user = await session.get(names.User, pair.user_id)
    assert (user.email, user.name, user.hashed_password) == ("bia@example.com", "Bia", None)
    assert user.status is names.UserStatus.ACTIVE
    kinds = [event.kind for event in events]
    assert kinds == ["user_created", "oauth_linked", "login"]
    assert events[1].details == {"provider": "google"}
    assert events[2].details["amr"] == ["fed"]


async def test_the_same_person_is_the_same_user_whatever_their_address_is_now(accounts, do, count):
    first = await do(accounts.log_in, google())
    again = await do(accounts.log_in, google(email="new@example.com", verified=False))
    assert again.user_id == first.user_id
    assert await count() == 1


async def test_an_address_that_both_sides_have_verified_links(accounts, do, ana, count):
    pair = await do(accounts.log_in, google(email="Ana@Exemplo.com.br"))
    assert pair.user_id == ana.id
    assert await count() == 1


def named(who):
    return f"{who.provider} {who.email!r} {who.email_verified} {sorted(who.email_domains)}"


@pytest.mark.parametrize(
    "who",
    [
        google(email="ana@exemplo.com.br", verified=False),
        google(email=None),
        google(email="no address"),
        google(email="ana@exemplo.com.br\x00"),
        google(email="ana@exemplo.com.br@gmail.com", email_domains=frozenset({"gmail.com"})),
        OAuthUser(provider="oidc", subject="1", email="ana@exemplo.com.br", email_verified=True),
    ],
    ids=named,
)
async def test_an_address_that_proves_nothing_opens_no_account(accounts, do, ana, count, who):
    """A30: ``email_verified: false``, and an issuer that speaks of others' addresses."""
    with pytest.raises(OAuthLinkRequiredError) as refused:
        await do(accounts.log_in, who)
    assert await count() == 0
    who.email = "nobody@example.com" if who.email == "ana@exemplo.com.br" else who.email
    with pytest.raises(OAuthLinkRequiredError) as stranger:
        await do(accounts.log_in, who)
    answers = [(e.value.code, e.value.message, e.value.details) for e in (refused, stranger)]
    assert answers[0] == answers[1]  # nobody learns which addresses have accounts


FORMER = [
    OAuthUser(provider="github", subject="1", email="ana@exemplo.com.br", email_verified=True),
    google(email="ana@exemplo.com.br", email_domains=frozenset({"gmail.com"})),
    google(email="ana@exemplo.com.br", email_domains=frozenset({"com.br", "", "@", "*"})),
    google(email='"a@gmail.com"@exemplo.com.br', email_domains=frozenset({"gmail.com"})),
    google(email="ana@exemplo.com.br\uff20gmail.com", email_domains=frozenset({"gmail.com"})),
]


@pytest.mark.parametrize("who", FORMER[:3], ids=named)
async def test_an_address_that_was_somebodys_once_opens_no_account(accounts, do, ana, count, who):
    """At Google and GitHub somebody who left a company keeps an account with its address."""
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, who)
    assert await count() == 0


@pytest.mark.parametrize("who", FORMER, ids=named)
async def test_a_spelling_that_names_two_domains_opens_no_account(accounts, do, ana, who):
    with contextlib.suppress(OAuthLinkRequiredError):  # or an account of its own
        await do(accounts.log_in, who)
    assert not await do(accounts.identities, ana)


async def test_who_begins_with_such_an_address_has_not_proved_it(
    accounts, do, db, call, count, mailbox, names
):
    """Whoever reads the address takes the account over, and takes the other's way in away."""
    former = OAuthUser(provider="github", subject="1", email="bia@acme.example")
    former.email_verified = True
    made = (await do(accounts.log_in, former)).user_id
    async with db.read_only() as session:
        user = await session.get(names.User, made)
    assert (user.status, user.email_verified_at) == (names.UserStatus.ACTIVE, None)

    successor = google("g-9", email=user.email, email_domains=frozenset({"acme.example"}))
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, successor)
    await call("request_password_reset", email=user.email)
    await accounts.service.outbox.drain()
    token = mailbox.token("password_reset", to=user.email)
    await call("confirm_password_reset", token=token, new_password="uma senha bem nova")
    assert await count() == 0
    assert (await do(accounts.log_in, successor)).user_id == made
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, former)


async def test_an_account_that_waits_for_its_owner_is_not_linked(accounts, do, call, names, count):
    """Somebody may have signed up with another person's address, and know the password."""
    await call("signup", email="bia@example.com", password=names.PASSWORD)
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google())
    assert await count() == 0


async def test_where_sign_up_proves_no_address_nothing_is_linked_by_one(
    make_service, identity_model, do, call, names, count
):
    service = make_service(settings={"AUTH_AUTO_ACTIVATE": True})
    await call("signup", email="bia@example.com", password=names.PASSWORD, on=service)
    with pytest.raises(OAuthLinkRequiredError):
        await do(OAuthAccounts(service, identity_model).log_in, google())
    assert await count() == 0


async def test_an_account_that_nobody_proved_is_not_linked_once_addresses_are_proved(
    make_service, identity_model, do, call, names, mailbox, accounts, count
):
    """Whoever signed up with it knows the password, and waits for its owner."""
    before = make_service(settings={"AUTH_AUTO_ACTIVATE": True})
    user, _ = await call("signup", email="bia@example.com", password=names.PASSWORD, on=before)
    assert user.email_verified_at is None
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google())
    # shut and opened again by an operator, who saw no proof either
    await call("set_status", user, names.UserStatus.SUSPENDED)
    await call("set_status", user, names.UserStatus.ACTIVE)
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google())
    assert await count() == 0
    # the owner's own way: a link to the address
    await call("request_password_reset", email="bia@example.com")
    token = mailbox.token("password_reset", to="bia@example.com")
    await call("confirm_password_reset", token=token, new_password="uma senha bem nova")
    assert (await do(accounts.log_in, google())).user_id == user.id


async def test_a_pending_account_that_an_operator_opened_is_not_linked(
    accounts, do, call, names, db, count
):
    await call("signup", email="bia@example.com", password=names.PASSWORD)
    async with db.read_only() as session:
        user = await accounts.service.parts.find(session, "bia@example.com")
    await call("set_status", user, names.UserStatus.ACTIVE)
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google())
    assert await count() == 0


async def test_a_reset_takes_away_the_login_that_an_intruder_linked(
    accounts, do, call, ana, mailbox, count, events
):
    """Else whoever was in the account once keeps a way in that no new password closes."""
    await do(accounts.link, ana, google("thief", email="eve@example.com"))
    await call("request_password_reset", email=ana.email)
    token = mailbox.token("password_reset", to=ana.email)
    events.clear()
    await call("confirm_password_reset", token=token, new_password="uma senha bem nova")
    assert await count() == 0
    unlinked = [event for event in events if event.kind == "oauth_unlinked"]
    assert [(event.user_id, event.details) for event in unlinked] == [
        (ana.id, {"provider": "google"})
    ]
    (told,) = [mail for mail in mailbox.mails if mail.kind == "password_changed"]
    assert told.context["unlinked"] == ["google"]
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google("thief", email="eve@example.com", verified=False))
    assert (await do(accounts.log_in, google(email=ana.email))).user_id == ana.id  # the owner's


async def test_a_changed_password_leaves_what_its_owner_linked(
    accounts, do, call, ana, names, count, mailbox
):
    await do(accounts.link, ana, google())
    new = "uma senha bem nova"
    await call("change_password", ana, current_password=names.PASSWORD, new_password=new)
    assert await count() == 1
    assert mailbox.mails[-1].context["unlinked"] == ()


async def test_a_link_that_races_a_reset_is_not_left_over(
    accounts, do, call, ana, mailbox, count, db, names
):
    """``begun_by`` holds the epoch, so what comes after the reset is refused by the routes."""
    for n in range(8):
        await call("request_password_reset", email=ana.email)
        token = mailbox.token("password_reset", to=ana.email)

        async def link(n=n, epoch=n):
            async def work(session):
                user = await accounts.service.parts.lock(session, ana.id)
                if user.auth_epoch == epoch:
                    await accounts.link(session, user, google(f"thief-{n}"))

            await db.run_in_transaction(work, attempts=20, backoff=0.02)

        await asyncio.gather(
            link(),
            call("confirm_password_reset", token=token, new_password=f"uma senha bem nova {n}"),
        )
        assert await count() == 0


async def test_a_login_under_way_and_a_reset_do_not_wait_for_each_other(
    accounts, do, call, mailbox, count, db, backend, service
):
    """The account is locked before its identities by both: no circle, and the reset ends all."""
    if backend == "sqlite":
        pytest.skip("locks no rows")
    await do(accounts.log_in, google())
    await call("request_password_reset", email="bia@example.com")
    new = {"token": mailbox.token("password_reset"), "new_password": "uma senha bem nova"}
    async with db.transaction() as session:
        user = await accounts.user_of(session, google())
        reset = asyncio.create_task(call("confirm_password_reset", **new))
        await asyncio.sleep(0.7)  # until it waits for this transaction
        pair = await service.begin_login(session, user, amr=("fed",))
    await reset
    assert await count() == 0
    with pytest.raises(InvalidTokenException):
        await call("refresh", token=pair.refresh_token)


async def test_an_identity_that_goes_while_its_login_waits_opens_nothing(
    accounts, do, db, backend, count
):
    if backend == "sqlite":
        pytest.skip("locks no rows")
    pair = await do(accounts.log_in, google())
    async with db.transaction() as session:
        user = await accounts.service.parts.lock(session, pair.user_id)
        login = asyncio.create_task(do(accounts.log_in, google()))
        await asyncio.sleep(0.7)  # until it waits for this transaction
        user.hashed_password, user.email_verified_at = "x", None  # no other way back in
        (row,) = await accounts.identities(session, user)
        await accounts.unlink(session, user, row.id)
    with pytest.raises(OAuthLinkRequiredError):
        await login
    assert await count() == 0


async def test_who_is_linked_or_unlinked_is_told(accounts, do, call, ana, mailbox, service):
    identity = await do(accounts.link, ana, google())
    await do(accounts.link, ana, google())  # it was already
    await do(accounts.unlink, ana, identity.id)
    await do(accounts.log_in, google("g-2", email=ana.email))
    await service.outbox.drain()
    told = [(mail.to, mail.context["change"], mail.context["provider"]) for mail in mailbox.mails]
    assert told == [
        (ana.email, "oauth_linked", "google"),
        (ana.email, "oauth_unlinked", "google"),
        (ana.email, "oauth_linked", "google"),
    ]


async def test_strangers_begin_where_the_service_says_so(service, identity_model, do, ana):
    accounts = OAuthAccounts(service, identity_model, trusted_emails=["oidc"])
    who = OAuthUser(provider="oidc", subject="1", email="bia@example.com", email_verified=True)
    assert isinstance(await do(accounts.log_in, who), TokenPair)
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google(email_domains=frozenset()))
    with pytest.raises(TypeError, match="list"):
        OAuthAccounts(service, identity_model, trusted_emails="oidc")


async def test_without_sign_up_strangers_stay_outside(service, identity_model, do, ana, count):
    accounts = OAuthAccounts(service, identity_model, allow_signup=False)
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google())
    assert (await do(accounts.log_in, google(email="ana@exemplo.com.br"))).user_id == ana.id


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_an_account_that_is_shut_stays_shut(accounts, do, call, ana, names, status, count):
    await do(accounts.log_in, google(email="ana@exemplo.com.br"))
    await call("set_status", ana, names.UserStatus(status))
    for who in (google(), google("g-2", email="ana@exemplo.com.br")):
        with pytest.raises(OAuthAccountClosedError) as refused:
            await do(accounts.log_in, who)
        assert refused.value.status_code == 403
    assert await count() == 1  # the second was rolled back


async def test_the_second_factor_is_asked_for(make_service, identity_model, do, ana, db):
    class Codes:
        async def is_required(self, session, user):
            return True

        async def verify(self, session, user, code):
            return "otp" if code == "123456" else None

    events = []
    service = make_service(second_factor=Codes(), on_event=events.append)
    accounts = OAuthAccounts(service, identity_model)
    challenge = await do(accounts.log_in, google(email="ana@exemplo.com.br"))
    assert isinstance(challenge, MfaChallenge)
    pair = await do(service.complete_login, token=challenge.token, code="123456")
    assert pair.user_id == ana.id
    assert events[-1].details["amr"] == ["fed", "mfa", "otp"]  # and no password


# Names that databases take for others


async def test_subjects_are_the_same_to_the_letter(accounts, do, count):
    subjects = ["aBc", "abc", "ABC", "ábc", "abç"]
    for number, subject in enumerate(subjects):
        await do(accounts.log_in, google(subject, email=f"u{number}@example.com"))
    assert await count() == len(subjects)


@pytest.mark.parametrize("subject", ["", " a", "a ", "a\x00", "a\n", "s" * 256, "\ud800"])
async def test_a_subject_that_is_no_name(accounts, do, ana, subject):
    for method, arguments in ((accounts.log_in, ()), (accounts.link, (ana,))):
        with pytest.raises(OAuthError):
            await do(method, *arguments, google(subject))


async def test_a_name_is_no_reason_to_refuse_anybody(accounts, do, count):
    for number, name in enumerate(["x" * 255, "a\x00b", "", "  ", None]):
        await do(accounts.log_in, google(f"g-{number}", f"u{number}@example.com", name=name))
    assert await count() == 5


# Races


async def _all_at_once(*jobs):
    """What came of each."""

    async def one(job):
        try:
            return await job()
        except AppException as error:
            return error

    return await asyncio.gather(*(one(job) for job in jobs))


async def test_a_stranger_in_ten_tabs_is_one_user(accounts, do, count, names):
    jobs = [lambda: do(accounts.log_in, google())] * 10
    outcomes = await _all_at_once(*jobs)
    assert {type(outcome) for outcome in outcomes} == {TokenPair}
    assert len({outcome.user_id for outcome in outcomes}) == 1
    assert (await count(), await count(names.User)) == (1, 1)


async def test_two_users_who_link_the_same_login_at_once(accounts, do, call, ana, count, names):
    bia = await call("create_user", email="bia@example.com", password=names.PASSWORD)
    jobs = [lambda user=user: do(accounts.link, user, google()) for user in (ana, bia)]
    outcomes = await _all_at_once(*jobs)
    assert sum(isinstance(one, OAuthIdentityTakenError) for one in outcomes) == 1
    assert await count() == 1


async def test_two_who_unlink_at_once_leave_one_way_in(accounts, do, count):
    """An account without a password and with two identities."""
    pair = await do(accounts.log_in, google())
    async with accounts.service.db.transaction() as session:
        user = await session.get(accounts.service.user_model, pair.user_id)
        await accounts.link(session, user, OAuthUser(provider="github", subject="7"))
        rows = await accounts.identities(session, user)
    outcomes = await _all_at_once(*[lambda row=row: do(accounts.unlink, user, row.id)
                                    for row in rows])  # fmt: skip
    assert sorted(type(one).__name__ for one in outcomes) == ["LastWayInException", "NoneType"]
    assert await count() == 1


async def test_who_was_let_in_before_everything_ended_unlinks_nothing(
    accounts, do, call, ana, count
):
    identity = await do(accounts.link, ana, google())
    await call("logout_everywhere", ana)
    with pytest.raises(InvalidTokenException):
        await do(accounts.unlink, ana, identity.id)
    assert await count() == 1


# Linking and unlinking


async def test_a_user_links_what_is_not_verified(accounts, do, ana, events, count):
    who = google(verified=False)
    await do(accounts.link, ana, who)
    await do(accounts.link, ana, who)  # again: nothing happens
    assert (await do(accounts.log_in, who)).user_id == ana.id
    assert await count() == 1
    assert [e.kind for e in events].count("oauth_linked") == 1


@pytest.mark.parametrize("email", ["a\x00@example.com", "\ud800@example.com", "a" * 400])
async def test_an_address_that_no_table_keeps_is_left_out(accounts, do, ana, email):
    identity = await do(accounts.link, ana, google(email=email, verified=False))
    assert identity.email is None
    assert (await do(accounts.log_in, google(email=email))).user_id == ana.id


async def test_a_login_that_is_linked_stays_with_its_account(accounts, do, ana):
    await do(accounts.log_in, google())
    with pytest.raises(OAuthIdentityTakenError):
        await do(accounts.link, ana, google())


async def test_the_last_way_in_stays(accounts, do, db, names, ana, events):
    pair = await do(accounts.log_in, google())
    async with db.read_only() as session:
        bia = await session.get(names.User, pair.user_id)
        (only,) = await accounts.identities(session, bia)
    with pytest.raises(LastWayInException):
        await do(accounts.unlink, bia, only.id)
    with pytest.raises(NotFoundException):
        await do(accounts.unlink, ana, only.id)  # another's
    identity = await do(accounts.link, ana, google("g-2"))
    await do(accounts.unlink, ana, identity.id)  # she has a password
    assert events[-1].kind == "oauth_unlinked"
    with pytest.raises(OAuthLinkRequiredError):
        await do(accounts.log_in, google("g-2", verified=False))


async def test_identities_go_with_their_user(accounts, do, db, names, count):
    pair = await do(accounts.log_in, google())
    async with db.transaction() as session:
        await session.delete(await session.get(names.User, pair.user_id))
    assert await count() == 0


# The routes


class Elsewhere(OAuthClient):
    """A provider of one's own, at which everybody is ``who``."""

    provider_name = "google"

    def __init__(self):
        super().__init__(
            client_id="c", client_secret="s", redirect_uri=f"{SITE}/auth/oauth/google/callback"
        )
        self.who = google()

    async def endpoints(self):
        return Endpoints(authorize_url="https://id.example/go", token_url="https://id.example/t")

    async def exchange_code(self, code, *, flow):
        return OAuthTokens(access_token="a", token_type="Bearer")

    async def fetch_user(self, tokens):
        return self.who


@pytest.fixture
def elsewhere():
    return Elsewhere()


@pytest.fixture
def make_site(service, accounts, elsewhere):
    def make(**options):
        auth = build_auth_deps(service.jwt_settings, revocation=service.make_epoch_checker())
        logins = OAuthLogins([elsewhere], secret=STATE_SECRET)
        app = FastAPI()
        app.include_router(
            make_oauth_account_router(
                logins,
                accounts,
                access=auth.get_current_user,
                recent_access=auth.require_recent_auth(max_age_seconds=300),
                **options,
            )
        )
        return app

    return make


@pytest.fixture
async def browse(make_site):
    made = []

    def make(**options):
        transport = httpx.ASGITransport(app=make_site(**options))
        made.append(httpx.AsyncClient(transport=transport, base_url=SITE))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


async def back(browser, url):
    state = httpx.URL(url).params["state"]
    return await browser.get("/auth/oauth/google/callback", params={"state": state, "code": "c0de"})


async def bearer(service, do, user):
    pair = await do(service.start_login, user, amr=("pwd",))
    return {"Authorization": f"Bearer {pair.access_token}"}


async def test_a_login_through_the_routes(browse, names):
    browser = browse()
    answer = await browser.get("/auth/oauth/google/start?return_to=/orders")
    answer = await back(browser, answer.headers["location"])
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["return_to"]) == (200, "Bearer", "/orders")
    assert answer.headers["cache-control"] == "no-store"
    mine = {"Authorization": f"Bearer {body['access_token']}"}
    (identity,) = (await browser.get("/auth/oauth/identities", headers=mine)).json()
    assert (identity["provider"], identity["email"]) == ("google", "bia@example.com")
    assert "subject" not in identity


async def test_a_login_is_delivered_as_the_service_likes(browse):
    async def deliver(request, outcome, path):
        response = RedirectResponse(path, 303)
        response.set_cookie("__Host-access", outcome.access_token, secure=True, httponly=True)
        return response

    browser = browse(deliver=deliver)
    answer = await browser.get("/auth/oauth/google/start?return_to=/orders")
    answer = await back(browser, answer.headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/orders")
    assert "__Host-access" in browser.cookies


async def test_somebody_who_must_link_first_is_told_so(browse, elsewhere):
    async def on_error(request, error):
        return RedirectResponse(f"/login?problem={error.code}", 303)

    elsewhere.who = google(verified=False)
    browser = browse(on_error=on_error)
    answer = await browser.get("/auth/oauth/google/start")
    answer = await back(browser, answer.headers["location"])
    assert answer.headers["location"] == "/login?problem=OAUTH_LINK_REQUIRED"


async def test_linking_and_unlinking_through_the_routes(browse, elsewhere, service, do, ana):
    elsewhere.who = google(verified=False)
    browser, mine = browse(), await bearer(service, do, ana)
    asked = await browser.post("/auth/oauth/google/link?return_to=/account", headers=mine)
    assert asked.headers["cache-control"] == "no-store"
    answer = await back(browser, asked.json()["url"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")

    answer = await browser.get("/auth/oauth/google/start")
    logged_in = await back(browser, answer.headers["location"])
    assert logged_in.json()["user_id"] == str(ana.id)

    (identity,) = (await browser.get("/auth/oauth/identities", headers=mine)).json()
    gone = await browser.delete(f"/auth/oauth/identities/{identity['id']}", headers=mine)
    assert gone.status_code == 204
    assert (await browser.get("/auth/oauth/identities", headers=mine)).json() == []
    again = await browser.delete(f"/auth/oauth/identities/{identity['id']}", headers=mine)
    assert again.status_code == 404


async def test_only_somebody_who_logged_in_lately_links(browse, service, do, ana, clock):
    browser, mine = browse(), await bearer(service, do, ana)
    clock.pass_seconds(-900)  # a login of a quarter of an hour ago
    old = await bearer(service, do, ana)
    some_id = "00000000-0000-0000-0000-000000000000"
    for headers, status in (({}, 401), (old, 401), (mine, 200)):
        asked = await browser.post("/auth/oauth/google/link", headers=headers)
        assert asked.status_code == status
        if status == 401:
            gone = await browser.delete(f"/auth/oauth/identities/{some_id}", headers=headers)
            assert gone.status_code == 401


async def test_a_link_begun_before_everything_ended_is_over(browse, elsewhere, service, do, ana,
                                                            count):  # fmt: skip
    browser, mine = browse(), await bearer(service, do, ana)
    asked = await browser.post("/auth/oauth/google/link", headers=mine)
    await do(service.logout_everywhere, ana)
    answer = await back(browser, asked.json()["url"])
    assert answer.status_code == 403
    assert await count() == 0
    assert (await browser.post("/auth/oauth/google/link", headers=mine)).status_code == 401


async def test_a_link_that_comes_back_while_everything_ends_is_over(
    browse, service, do, ana, count, db, names, backend
):
    if backend == "sqlite":
        pytest.skip("one transaction at a time")
    browser, mine = browse(), await bearer(service, do, ana)
    url = (await browser.post("/auth/oauth/google/link", headers=mine)).json()["url"]
    async with db.transaction() as session:
        await service.logout_everywhere(session, await session.get(names.User, ana.id))
        await session.flush()
        returning = asyncio.create_task(back(browser, url))
        await asyncio.sleep(0.3)
    assert (await returning).status_code == 403
    assert await count() == 0


async def test_a_link_is_of_the_browser_that_began_it(browse, service, do, ana, count):
    """Else an attacker's login elsewhere could be linked to the account of who follows a link."""
    browser, mine = browse(), await bearer(service, do, ana)
    url = (await browser.post("/auth/oauth/google/link", headers=mine)).json()["url"]
    assert (await back(browse(), url)).status_code == 400
    assert await count() == 0


def test_the_public_names_are_these():
    assert tijolo.auth.oauth.linking.__all__ == [
        "BaseOAuthIdentityModel",
        "DeliverLogin",
        "LastWayInException",
        "LinkResponseSchema",
        "OAuthAccountClosedError",
        "OAuthAccounts",
        "OAuthIdentitySchema",
        "OAuthIdentityTakenError",
        "OAuthLinkRequiredError",
        "make_oauth_account_router",
        "make_oauth_identity_model",
    ]
