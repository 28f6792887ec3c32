"""Examples that a page tells to save: as files of their own, with the page's commands."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "k3x-mZ8s_Q2vT7yLr5NwB9cHf4JdG6pA"


def _blocks(page, language):
    text = (DOCS / page).read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [block for named, block in found if named == language]


def _saved(folder, page, name):
    blocks = _blocks(page, "python")
    named = [block for block in blocks if block.startswith(f"# {name}\n")]
    (folder / name).write_text((named or blocks)[0], "utf-8")


def _run(folder, *command, **environment):
    ours = ("ENVIRONMENT", "JWT_", "DATABASE_", "SMTP_", "EMAIL_", "AUTH_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("page", "name", "tables"),
    [
        ("auth-router.md", "accounts.py", {"users", "user_tokens", "refresh_tokens"}),
        ("users.md", "models.py", {"users", "user_tokens", "refresh_tokens"}),
        ("session-stores.md", "models.py", {"user_session"}),
    ],
)
def test_the_three_commands_of_the_page_make_its_tables(tmp_path, page, name, tables):
    _saved(tmp_path, page, name)
    (commands,) = [block for block in _blocks(page, "") if "tijolo.db init" in block]
    for line in commands.splitlines():
        given = {"ENVIRONMENT": "development", "JWT_SECRET": SECRET}
        done = _run(tmp_path, *shlex.split(line)[1:], **given)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    database = sqlite3.connect(tmp_path / "app.db")
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    database.close()
    assert {row[0] for row in rows} == {*tables, "alembic_version"}


SERVE = """
import asyncio, accounts

async def serve():
    async with accounts.app.router.lifespan_context(accounts.app):
        print("served in", accounts.settings.ENVIRONMENT, accounts.db.environment)

asyncio.run(serve())
"""
PRODUCTION = {
    "JWT_SECRET": "mZ8s_Q2vT7yLr5NwB9cHf4JdG6pA-k3xYq0Ue",
    "SMTP_HOST": "mail.loja.example",
    "SMTP_FROM_ADDR": "Loja <loja@loja.example>",
}
LINKS = {
    f"AUTH_{name}_URL_TEMPLATE": f"https://loja.example/auth/pages/{name}#token={{token}}"
    for name in ("ACTIVATION", "PASSWORD_RESET", "EMAIL_CHANGE")
}


def test_the_saved_service_is_what_the_environment_says(tmp_path):
    _saved(tmp_path, "auth-router.md", "accounts.py")
    done = _run(tmp_path, "-c", SERVE, ENVIRONMENT="development", JWT_SECRET=SECRET)
    assert "served in development development" in done.stdout, done.stderr
    for environment in ({}, {"ENVIRONMENT": "production"}):
        refused = _run(tmp_path, "-c", SERVE, **PRODUCTION, **environment)
        assert refused.returncode == 1
        assert "LOCAL_LINK: AUTH_PASSWORD_RESET_URL_TEMPLATE" in refused.stderr
        done = _run(tmp_path, "-c", SERVE, **PRODUCTION, **LINKS, **environment)
        assert "served in production production" in done.stdout, done.stderr


def test_the_saved_service_shows_no_links_in_the_log_of_production(tmp_path):
    _saved(tmp_path, "auth-router.md", "accounts.py")
    console = {**PRODUCTION, **LINKS, "EMAIL_BACKEND": "console"}
    done = _run(tmp_path, "-c", SERVE, **console)
    assert (done.returncode, "ConsoleBackend" in done.stderr) == (1, True), done.stderr
    assert _run(tmp_path, "-c", SERVE, JWT_SECRET=SECRET).returncode == 1
