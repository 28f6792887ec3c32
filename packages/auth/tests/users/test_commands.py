"""Accounts from the command line (A31, A10 of the capabilities)."""

import io
import itertools
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest

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
    return UserAuthService(
        user_model=UserModel, token_model=tokens, refresh_model=refresh, db=db, email=Mailer(),
        auth_settings=AuthSettings(), hashing=HashService(PasswordUtils(rounds=10)),
        jwt_settings=JWTSettings(JWT_SECRET="um-segredo-bem-comprido-de-verdade-0123456789"),
    )


nothing = 5
"""


names = itertools.count()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """``python -m tijolo.auth user ...`` of a service of the test's own."""
    from tijolo.auth.__main__ import main

    module = f"commanded_app_{next(names)}"
    (tmp_path / f"{module}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def call(*arguments, stdin="", service="app:make"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
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
