"""Accounts from the command line (A31, A10 of the capabilities)."""

import asyncio
import getpass
import io
import itertools
import os
import select
import sqlite3
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest

from tijolo.core import UnauthorizedException

pytest.importorskip("sqlalchemy")
pytest.importorskip("email_validator")
pytest.importorskip("aiosqlite")

APP = """
from sqlalchemy import MetaData

from tijolo.auth import AuthSettings, HashService, JWTSettings, PasswordUtils
from tijolo.auth.users import (
    BaseUserModel, UserAuthService, make_refresh_token_model, make_user_token_model,
)
from tijolo.db import AsyncDatabaseManager


class UserModel(BaseUserModel):
    __tablename__ = "users"
    metadata = MetaData()


tokens, refresh = make_user_token_model(UserModel), make_refresh_token_model(UserModel)
db = AsyncDatabaseManager(
    "sqlite:///app.db", environment="test", metadata=UserModel.metadata
)


class Mailer:
    async def deliver(self, mail):
        if "broken" in mail.to:
            raise OSError("smtp is down")
        with open("mails.txt", "a") as file:
            file.write(f"{mail.to} {mail.kind} {mail.context.get('url')}\\n")


def make():
    import asyncio

    async def tables():
        await db.connect()
        await db.create_tables()
        await db.disconnect()

    asyncio.run(tables())
    return service()


def refused():
    from tijolo.core import UnfitSecretError

    raise UnfitSecretError("not fit for ENVIRONMENT=production")


def service():
    return UserAuthService(
        user_model=UserModel, token_model=tokens, refresh_model=refresh, db=db, email=Mailer(),
        auth_settings=AuthSettings(), hashing=HashService(PasswordUtils(rounds=10)),
        jwt_settings=JWTSettings(JWT_SECRET="um-segredo-bem-comprido-de-verdade-0123456789"),
    )


nothing = 5
"""


names = itertools.count()


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """``python -m tijolo.auth user ...`` of a service of the test's own."""
    from tijolo.auth.__main__ import main

    module = f"commanded_app_{next(names)}"
    (tmp_path / f"{module}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def call(*arguments, stdin="", service="app:make", terminal=False):
        piped = io.BytesIO(stdin if isinstance(stdin, bytes) else stdin.encode())
        monkeypatch.setattr(sys, "stdin", Terminal(piped) if terminal else io.TextIOWrapper(piped))
        named = ["--service", service.replace("app", module)]
        try:
            code = main(["user", *arguments, *named])
        except SystemExit as stopped:
            code = stopped.code
        shown = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=shown.out, stderr=shown.err)

    return call


def test_it_is_a_command(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    command = [sys.executable, "-m", "tijolo.auth", "user", "create", "ana@exemplo.com.br"]
    done = subprocess.run(
        [*command, "--service", "app:make"],
        input="cavalo correto bateria\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "created ana@exemplo.com.br\n"), done.stderr


def test_a31_from_the_first_administrator_to_a_reset(run, tmp_path):
    made = run("create", "Ana@Exemplo.com.br", "--admin", stdin="  cavalo correto  \n")
    assert (made.returncode, made.stdout) == (0, "created ana@exemplo.com.br\n"), made.stderr
    assert run("create", "leo@exemplo.com.br", "--no-password", "--role", "editor").returncode == 0
    listed = run("list").stdout.splitlines()
    assert listed == [
        "ana@exemplo.com.br\tactive\tadmin,user\t-",
        "leo@exemplo.com.br\tactive\teditor,user\t-",
    ]
    assert run("list", "--after", "ana@exemplo.com.br").stdout.splitlines() == listed[1:]
    assert run("promote", "leo@exemplo.com.br").stdout.split("\t")[2] == "admin,editor,user"
    assert run("demote", "leo@exemplo.com.br").stdout.split("\t")[2] == "editor,user"
    given = run("promote", "leo@exemplo.com.br", "--role", "caixa").stdout
    assert given.split("\t")[2] == "caixa,editor,user"
    assert run("deactivate", "leo@exemplo.com.br").stdout.split("\t")[1] == "suspended"
    assert run("list", "--status", "suspended").stdout.count("\n") == 1
    assert run("activate", "leo@exemplo.com.br").stdout.split("\t")[1] == "active"
    assert run("reset", "ana@exemplo.com.br").stdout == "a link goes to ana@exemplo.com.br\n"
    mail = (tmp_path / "mails.txt").read_text()
    assert mail.startswith("ana@exemplo.com.br password_reset http://localhost")


def test_a31_the_policy_is_that_of_the_service_and_nothing_shows_a_password(run):
    refused = run("create", "ana@exemplo.com.br", stdin="curta77\n")
    assert refused.returncode == 1
    assert refused.stderr == "The password needs at least 12 characters\n"
    for arguments in (["-p", "cavalo correto bateria"], ["--password", "cavalo correto bateria"]):
        refused = run("create", "ana@exemplo.com.br", *arguments)
        assert refused.returncode == 2
        assert "unrecognized arguments" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "options", "code", "said"),
    [
        (["create", "ana"], {"stdin": "cavalo correto bateria\n"}, 1, "Not a valid e-mail address"),
        (["create", "a@exemplo.com.br"], {}, 2, "no password was given"),
        (["deactivate", "a@exemplo.com.br"], {}, 1, "There is no account with that address"),
        (["list"], {"service": "x"}, 2, "is not module:name"),
        (["list"], {"service": "app:nothing"}, 2, "cannot begin"),
        (["list"], {"service": "app:absent"}, 2, "cannot begin"),
        (["list"], {"service": "absent:make"}, 2, "cannot begin"),
    ],
)
def test_what_cannot_be_done_is_said(run, arguments, options, code, said):
    done = run(*arguments, **options)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_that_was_not_mailed_is_no_success(run):
    assert run("create", "broken@exemplo.com.br", "--no-password").returncode == 0
    done = run("reset", "broken@exemplo.com.br")
    assert done.returncode == 1
    assert "the e-mail was not sent" in done.stderr


def test_accounts_that_nobody_opened_are_deleted(run, tmp_path):
    made = run("create", "ana@exemplo.com.br", "--no-password")
    assert made.returncode == 0, made.stderr
    with sqlite3.connect(tmp_path / "app.db") as database:
        database.execute(
            "UPDATE users SET status = 'pending', is_active = 0, created_at = '2020-01-01'"
        )
    database.close()
    for days in ("0", "-1", "x", "1.5"):
        assert run("purge-pending", "--older-than-days", days).returncode == 2
    assert run("purge-pending").returncode == 2
    assert run("purge-pending", "--older-than-days", "30").stdout == "deleted 1\n"
    assert run("list").stdout == ""


def test_a_taken_address_is_refused(run):
    run("create", "ana@exemplo.com.br", "--no-password")
    done = run("create", "ANA@exemplo.com.br", "--no-password")
    assert (done.returncode, done.stderr) == (1, "Another account has this e-mail address\n")


@pytest.mark.parametrize(
    ("stdin", "code", "said"),
    [
        (b"", 2, "no password was given"),
        (b"\n", 2, "no password was given"),
        (b"\r\ncavalo correto bateria\n", 2, "no password was given"),
        (b"cavalo\0correto bateria\n", 2, "the password holds a NUL"),
        ("cavalo correto bateria\n".encode("utf-16-le"), 2, "the password holds a NUL"),
        ("cavalo correto bateria\n".encode("utf-16"), 2, "no text in UTF-8"),
        (b"cavalo \xff\xfe correto\n", 2, "no text in UTF-8"),
        (b"cavalo \xed\xa0\x80 correto\n", 2, "no text in UTF-8"),
        (b"cavalo correto " * 700_000, 2, "too long"),
        ("é".encode() * 5_000_000, 2, "too long"),
        (b"a" * 5_000 + b"\n", 1, "1024 bytes"),
    ],
    ids=lambda given: repr(given[:20]) if isinstance(given, bytes) else None,
)
def test_what_is_no_password_is_said_and_not_shown(run, stdin, code, said):
    done = run("create", "ana@exemplo.com.br", stdin=stdin)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
    assert "cavalo" not in done.stdout + done.stderr
    assert run("list").stdout == ""


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\nanother line\n"])
def test_the_password_is_the_first_line_however_it_ends(run, ending):
    typed = "  cavalo corretô  "
    assert run("create", "ana@exemplo.com.br", stdin=typed.encode() + ending).returncode == 0
    service = sys.modules[[name for name in sys.modules if name.startswith("commanded_app_")][-1]]
    assert asyncio.run(logs_in(service, typed))
    assert not asyncio.run(logs_in(service, typed.strip()))


def test_the_mark_of_a_text_file_is_no_part_of_the_password(run):
    typed = b"\xef\xbb\xbfcavalo correto bateria\n"
    assert run("create", "ana@exemplo.com.br", stdin=typed).returncode == 0
    service = sys.modules[[name for name in sys.modules if name.startswith("commanded_app_")][-1]]
    assert asyncio.run(logs_in(service, "cavalo correto bateria"))


def test_more_days_than_there_are_is_said(run):
    done = run("purge-pending", "--older-than-days", "99999999999")
    assert (done.returncode, "1 to 36500" in done.stderr) == (2, True), done


async def logs_in(module, password):
    service = module.service()
    await module.db.connect()
    try:
        async with module.db.transaction() as session:
            email = "ana@exemplo.com.br"
            return await service.authenticate(session, email=email, password=password) is not None
    except UnauthorizedException:
        return False
    finally:
        await module.db.disconnect()


def test_where_there_is_no_standard_input_that_is_said(run, monkeypatch):
    def closed(*_):
        return None

    monkeypatch.setattr(io, "TextIOWrapper", closed)
    done = run("create", "ana@exemplo.com.br")
    assert (done.returncode, "there is no standard input" in done.stdout) == (2, True)


def at_a_terminal(tmp_path, *typed):
    """(exit code, everything that was seen) of a command whose password is typed."""
    pty = pytest.importorskip("pty")
    (tmp_path / "app.py").write_text(APP)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tijolo.auth", "user", "create", "ana@exemplo.com.br"]
    process = subprocess.Popen(
        [*command, "--service", "app:make"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    for prompt, line in zip((b"Password: ", b"Again: "), typed, strict=False):
        seen += _until(ours, prompt)
        if seen.endswith(prompt):
            os.write(ours, line)
    seen += _until(ours, None)
    os.close(ours)
    return process.wait(timeout=30), seen.decode()


def _until(terminal, prompt):
    """What is shown until ``prompt`` is, or until the command has ended."""
    seen = b""
    while prompt is None or not seen.endswith(prompt):
        assert select.select([terminal], [], [], 30)[0], seen
        try:
            seen += os.read(terminal, 1024)
        except OSError:  # Linux says so when the other end is gone
            break
    return seen


def test_what_is_typed_is_not_seen(tmp_path):
    typed = b"cavalo correto bateria\n"
    code, seen = at_a_terminal(tmp_path, typed, typed)
    assert (code, "created ana@exemplo.com.br" in seen) == (0, True), seen
    assert "cavalo" not in seen


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([b"cavalo correto bateria\n", b"cavalo outra bateria\n"], "the passwords differ"),
        ([b"\x04"], "no password was given"),
        ([b"cavalo\xff\xfe correto\n"] * 2, "no text in UTF-8"),
    ],
)
def test_what_cannot_be_typed_is_said(tmp_path, typed, said):
    code, seen = at_a_terminal(tmp_path, *typed)
    assert (code, said in seen, "Traceback" in seen) == (2, True, False), seen
    assert "cavalo" not in seen


def test_a_terminal_that_cannot_hide_is_not_used(run, monkeypatch):
    def shown(prompt):
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        raise AssertionError("it would be seen")

    monkeypatch.setattr(getpass, "getpass", shown)
    done = run("create", "ana@exemplo.com.br", terminal=True)
    assert (done.returncode, "this terminal would show" in done.stdout) == (2, True)


def test_where_the_migrations_have_not_run_that_is_said(run, tmp_path):
    without = run("list", service="app:service")
    assert without.returncode == 1
    assert "sqlite+aiosqlite:///app.db" in without.stderr
    assert "has no table 'users'" in without.stderr
    assert "python -m tijolo.db upgrade" in without.stderr

    assert run("create", "ana@exemplo.com.br", "--no-password").returncode == 0
    with sqlite3.connect(tmp_path / "app.db") as database:
        database.execute("ALTER TABLE users DROP COLUMN last_login_at")
    database.close()
    partly = run("list")
    assert partly.returncode == 1
    assert "no column 'last_login_at' in table 'users'" in partly.stderr


@pytest.mark.parametrize(
    "arguments", [["promote", "a\udcff@x"], ["list", "--after", "\udcff"]], ids=["email", "after"]
)
def test_arguments_that_are_no_text_are_refused(run, arguments):
    done = run(*arguments)
    assert (done.returncode, "is no text in UTF-8" in done.stdout) == (2, True)


@pytest.mark.parametrize("limit", ["0", "-5", "99999999999999999999999"])
def test_a_limit_has_a_limit(run, limit):
    assert run("create", "ana@exemplo.com.br", "--no-password").returncode == 0
    assert run("list", "--limit", limit).stdout.startswith("ana@exemplo.com.br")


def test_settings_that_are_refused_are_said(run):
    done = run("list", service="app:refused")
    assert (done.returncode, "not fit for" in done.stdout) == (2, True)
