"""The demonstration's pages in a browser: from the link of an e-mail to logging out."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from pathlib import Path
from typing import Any

import pytest
from loja.__main__ import migrate
from loja.app import make_app
from loja.settings import Settings

ANA, PASSWORD, OTHER = "ana@example.com", "cavalo correto bateria", "outra senha bem comprida"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        _env_file=None,
        ENVIRONMENT="development",
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/loja.db",
        AUTH_PASSWORD_ROUNDS=10,
        AUTH_MAIL_LOCALE="en",
        EMAIL_BACKEND="file",
        EMAIL_FILE_DIR=str(tmp_path / "outbox"),
    )
    migrate(made)
    return made


async def link_in_the_mail(settings: Settings, count: int) -> str:
    """The path and the fragment of the link in the newest of ``count`` e-mails."""
    for _ in range(200):
        mails = mails_in(Path(settings.EMAIL_FILE_DIR))
        if len(mails) >= count:
            break
        await asyncio.sleep(0.05)
    found = re.search(r"/auth/pages/\S+", mails[-1])
    assert found is not None
    return found[0]


def mails_in(folder: Path) -> list[str]:
    """Their texts, the newest last."""
    files = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    read = [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]
    return [message.get_body(("plain",)).get_content() for message in read]


async def submit(page: Any, **fields: str) -> None:
    for name, value in fields.items():
        await page.fill(f"[name={name}]", value)
    async with page.expect_navigation():
        await page.click("button")


async def asked(page: Any, path: str, **body: str) -> int:
    """The status of a call to the API, which is no page."""
    return int((await page.request.post(path, data=body)).status)


async def test_from_the_link_of_an_e_mail_to_leaving(
    chromium: Any, serve: Any, settings: Settings
) -> None:
    async with serve(make_app(settings)) as port:
        base = f"http://localhost:{port}"
        page = await (await chromium.new_context(base_url=base, locale="en")).new_page()
        refused: list[str] = []
        page.on("console", lambda line: refused.append(line.text) if line.type == "error" else None)

        assert await asked(page, "/auth/signup", email=ANA, password=PASSWORD) == 202
        await page.goto(await link_in_the_mail(settings, 1))
        assert page.url == f"{base}/auth/pages/activate"  # the token is out of the address bar
        await submit(page)
        assert await page.text_content("h1") == "Your account is open"

        await page.goto("/devices?sort=age")
        assert page.url == f"{base}/enter?next=%2Fdevices%3Fsort%3Dage"
        await submit(page, email=ANA, password=PASSWORD)
        assert page.url == f"{base}/devices?sort=age"
        assert "(this one)" in await page.text_content("table")

        await page.goto("/devices")
        assert await asked(page, "/auth/password-reset/request", email=ANA) == 202
        await page.goto(await link_in_the_mail(settings, 2))
        await submit(page, new_password=OTHER)
        assert "password" in (await page.text_content("h1")).lower()
        await page.goto("/devices")  # a new password ended this log-in, too
        assert page.url == f"{base}/enter?next=%2Fdevices"

        await submit(page, email=ANA, password=OTHER)
        await submit(page)  # "Leave"
        assert page.url.startswith(f"{base}/enter")
        assert [text for text in refused if "favicon" not in text and "404" not in text] == []
