"""What keeps a service from starting, what it shows, and its e-mails over SMTP (A1, A24)."""

import asyncio
import subprocess
import sys
from email import message_from_bytes
from email.policy import default as modern

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")

from sqlalchemy import MetaData

import tijolo.auth.users
from tijolo.auth import AuthSettings, HashService, InsecureAuthSettingsError, PasswordUtils
from tijolo.auth.user_settings import LINKS
from tijolo.auth.users import (
    AuthEvent,
    BaseUserModel,
    make_refresh_token_model,
    make_user_token_model,
)
from tijolo.core import BaseAppSettings
from tijolo.db import AsyncDatabaseManager, BaseModel

PASSWORD = "cavalo correto bateria"
EMAIL = "ana@exemplo.com.br"
PUBLIC = """
    AcceptedResponseSchema ActivationResponseSchema ActivationToken AuthEvent AuthEventKind
    AuthMail AuthMailer AuthSettings BaseRefreshTokenModel BaseUserModel BaseUserTokenModel
    DatabaseRevocationStore EmailChangeRequestSchema EmailSchema EmailTakenException
    EpochChecker InvalidCodeException InvalidCredentialsException InvalidEmailException
    LoginResponseSchema LoginSchema MailKind MeResponseSchema MfaChallenge
    MfaChallengeResponseSchema MfaSchema NoCookiesException OneTimeLink
    OneTimeTokenException OneTimeTokenSchema PasswordChangeSchema PasswordResetConfirmSchema
    PasswordResetRequestSchema PasswordResetResponseSchema PasswordResetToken RefreshSchema
    SecondFactor SignupResponseSchema SignupSchema TokenCookies TokenPair UserAuthService
    UserStatus UserTokenPurpose WrongPasswordException make_auth_router
    make_refresh_token_model make_revocation_table make_user_token_model normalize_email
"""


@pytest.fixture
def backend():
    return "sqlite"


def test_the_public_names_are_these():
    assert tijolo.auth.users.__all__ == PUBLIC.split()
    assert all(hasattr(tijolo.auth.users, name) for name in PUBLIC.split())


def test_users_import_no_mailer():
    code = "import sys, tijolo.auth.users; sys.exit('tijolo.email' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Someone(BaseUserModel):
    metadata = MetaData()


class InProduction(AuthSettings, BaseAppSettings, env_file=None):
    pass


def test_a1_a_service_without_a_mailer_is_not_made(make_service):
    with pytest.raises(InsecureAuthSettingsError, match="needs email"):
        make_service(email=None)


def test_a1_tokens_are_in_answers_only_in_development(make_service, db, mailbox):
    echo = {"AUTH_RETURN_TOKEN_IN_RESPONSE": True}
    with pytest.raises(InsecureAuthSettingsError, match="for development"):
        make_service(auth_settings=InProduction(**echo), email=mailbox)
    forgotten = AsyncDatabaseManager("sqlite://")
    with pytest.raises(InsecureAuthSettingsError, match="for development"):
        make_service(settings=echo, db=forgotten)
    assert make_service(settings=echo, email=None)
    assert make_service(auth_settings=InProduction(ENVIRONMENT="local", **echo), email=None)


def test_outside_development_no_link_goes_to_the_console(make_service, mailbox):
    email = pytest.importorskip("tijolo.email")
    console = email.EmailUtils.with_backend(email.ConsoleBackend(), from_addr="loja@loja.example")
    for environment in ("staging", "production"):
        settings = InProduction(ENVIRONMENT=environment)
        with pytest.raises(InsecureAuthSettingsError, match="for development"):
            make_service(auth_settings=settings, email=console)
        assert make_service(auth_settings=settings, email=mailbox)
    with pytest.raises(InsecureAuthSettingsError, match="ConsoleBackend"):
        make_service(db=AsyncDatabaseManager("sqlite://"), email=console)
    assert make_service(auth_settings=InProduction(ENVIRONMENT="local"), email=console)
    assert make_service(email=console)


async def test_outside_development_links_to_this_machine_are_warned_of(make_service, caplog):
    quiet = make_service(auth_settings=InProduction(ENVIRONMENT="local"))
    await quiet.connect()
    assert "LOCAL_LINK" not in caplog.text
    unset = make_service(auth_settings=InProduction())
    await unset.connect()
    said = [record.getMessage() for record in caplog.records]
    warned = [line for line in said if line.startswith("LOCAL_LINK")]
    assert [line.split()[1] for line in warned] == list(LINKS)


async def test_a1_in_development_the_token_is_returned_for_who_has_an_account(make_service, call):
    service = make_service(settings={"AUTH_RETURN_TOKEN_IN_RESPONSE": True}, email=None)
    _, link = await call("signup", email=EMAIL, password=PASSWORD, on=service)
    assert link.url == f"http://localhost:3000/activate#token={link.token}"
    assert link.token not in repr(link)
    await call("activate", token=link.token, on=service)
    link = await call("request_password_reset", email=EMAIL, on=service)
    assert await call("request_password_reset", email="x@exemplo.com.br", on=service) is None
    await call(
        "confirm_password_reset", token=link.token, new_password="uma senha nova", on=service
    )


def test_no_repr_shows_what_is_secret(ana_row):
    assert "$2b$" not in repr(ana_row) + str(ana_row.to_dict())
    assert "hashed_password" not in ana_row.to_dict()


@pytest.fixture
def ana_row():
    user = Someone(email=EMAIL)
    user.set_password(PASSWORD, rounds=10)
    return user


def test_a_model_hashes_and_checks_as_the_contract_has_it(ana_row):
    assert ana_row.check_password(PASSWORD)
    assert not ana_row.check_password(PASSWORD + " ")
    assert type(ana_row).normalize_email(" Ana@X.com ") == "ana@x.com"
    assert not ana_row.may_log_in
    ana_row.hashed_password = None
    assert not ana_row.check_password("None")


def test_token_models_say_whose_they_are():
    for make in (make_user_token_model, make_refresh_token_model):
        with pytest.raises(TypeError, match="user_table"):
            make()
    contract = make_user_token_model(user_table="someone", tablename="someones_tokens")
    BaseModel.metadata.remove(contract.__table__)  # other tests create what is in there
    (key,) = contract.__table__.c.user_id.foreign_keys
    assert key.target_fullname == "someone.id"
    assert contract.__name__ == "UserTokenModel"


async def test_an_observer_that_fails_fails_nothing(make_service, call, caplog):
    seen = []

    async def on_event(event):
        seen.append(event)
        raise OSError("the audit log is full")

    service = make_service(on_event=on_event)
    await call("create_user", email=EMAIL, password=PASSWORD, on=service)
    assert await call("login", email=EMAIL, password=PASSWORD, on=service)
    assert [event.kind for event in seen] == ["user_created", "login"]
    assert isinstance(seen[0], AuthEvent)
    assert "on_event failed for login" in caplog.text


async def test_a_shutdown_sends_what_waits_and_gives_up_in_time(make_service, call, caplog):
    sent = []

    class Slow:
        async def deliver(self, mail):
            await asyncio.sleep(0.05 if "ana" in mail.to else 3600)
            sent.append(mail.to)

    service = make_service(email=Slow(), hashing=HashService(PasswordUtils(rounds=10)))
    await service.connect()
    service.outbox._timeout_seconds = 3
    for email in (EMAIL, "leo@exemplo.com.br"):
        async with service.db.transaction() as session:
            await service.signup(session, email=email, password=PASSWORD)
    await service.disconnect()
    assert sent == [EMAIL]
    assert "1 jobs were dropped" in caplog.text or "a job after a commit failed" in caplog.text


@pytest.fixture
async def smtp():
    """A real SMTP server, and what it received."""
    smtp = pytest.importorskip("aiosmtpd.smtp")
    received = []

    class Sink:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802
            message = message_from_bytes(envelope.original_content, policy=modern)
            received.append((envelope.rcpt_tos, message))
            return "250 OK"

    loop = asyncio.get_running_loop()
    factory = lambda: smtp.SMTP(Sink(), hostname="localhost", enable_SMTPUTF8=True, loop=loop)  # noqa: E731
    server = await loop.create_server(factory, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], received
    server.close()
    await asyncio.sleep(0)


async def test_a24_every_mail_arrives_over_smtp_in_the_readers_language(
    make_service, call, smtp, tmp_path
):
    email = pytest.importorskip("tijolo.email")
    port, received = smtp
    (tmp_path / "password_changed.txt").write_text("A loja avisa: a senha mudou.")
    sender = email.EmailUtils(
        "127.0.0.1",
        port,
        from_addr="Loja <loja@exemplo.com.br>",
        use_starttls=False,
        template_dir=tmp_path,
    )
    service = make_service(email=sender, settings={"AUTH_LOGIN_URL": "https://loja.example/entrar"})

    _, link = await call("signup", email=EMAIL, password=PASSWORD, name="<b>Ana</b>", on=service)
    await call("signup", email="leo@exemplo.com.br", password=PASSWORD, locale="pt-BR", on=service)
    user = await call("activate", token=link.token, on=service)
    await call("signup", email=EMAIL, password=PASSWORD, on=service)
    await call("request_password_reset", email=EMAIL, locale="pt", on=service)
    await call(
        "request_email_change", user, new_email="a2@exemplo.com.br", password=PASSWORD, on=service
    )
    await call(
        "change_password", user, current_password=PASSWORD, new_password=PASSWORD + "!", on=service
    )
    await sender.disconnect()

    by_subject = {message["Subject"]: (to, message) for to, message in received}
    assert by_subject.keys() == {
        "Confirm your e-mail address",
        "Confirme seu e-mail",
        "You already have an account",
        "Escolha uma nova senha",
        "Confirm your new e-mail address",
        "A new e-mail address was asked for",
        "Your password was changed",
    }
    to, activation = by_subject["Confirm your e-mail address"]
    assert to == [EMAIL]
    body = activation.get_body(("plain",)).get_content()
    assert link.url in body
    assert "Ana" not in body  # nothing that a stranger typed is mailed to others
    assert by_subject["Confirme seu e-mail"][0] == ["leo@exemplo.com.br"]
    assert by_subject["Confirm your new e-mail address"][0] == ["a2@exemplo.com.br"]
    own = by_subject["Your password was changed"][1].get_body(("plain",)).get_content()
    assert own.strip() == "A loja avisa: a senha mudou."
    login = by_subject["You already have an account"][1].get_body(("plain",)).get_content()
    assert "https://loja.example/entrar" in login


async def test_every_mail_has_a_text_and_a_subject_in_both_languages():
    templates = pytest.importorskip("tijolo.email.templates")
    from jinja2 import PackageLoader

    from tijolo.auth.users import MailKind

    ours = templates.EmailTemplates(PackageLoader("tijolo.auth.users", "mail_templates"))
    context = {"url": "https://x/y", "expires_at": None, "login_url": None}
    context |= {"unlinked": [], "change": "oauth_linked", "provider": "google"}
    for kind in MailKind:
        english = ours.render_email(str(kind), context, locale="en")
        portuguese = ours.render_email(str(kind), context, locale="pt-BR")
        assert english[0] != portuguese[0]
        assert english[1] != portuguese[1]


async def test_each_change_and_what_a_reset_took_away_is_said_in_both_languages():
    templates = pytest.importorskip("tijolo.email.templates")
    from jinja2 import PackageLoader

    ours = templates.EmailTemplates(PackageLoader("tijolo.auth.users", "mail_templates"))
    changes = ["oauth_linked", "oauth_unlinked", "mfa_enabled", "mfa_disabled"]
    changes += ["mfa_recovery_codes_renewed", "something else"]
    said = set()
    for locale in ("en", "pt"):
        for change in changes:
            context = {"change": change, "provider": "google"}
            text = ours.render_email("credentials_changed", context, locale=locale)[1]
            assert ("google" in text) == change.startswith("oauth")
            said.add(text)
        for unlinked in ([], ["google", "github"]):
            context = {"unlinked": unlinked}
            text = ours.render_email("password_changed", context, locale=locale)[1]
            assert ("google, github" in text) == bool(unlinked)
    assert len(said) == 2 * len(changes)
