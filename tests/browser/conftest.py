"""A real Chromium, driven by Playwright, and services on loopback ports for it to visit.

Skipped where there is no Chromium; on Debian it is ``apt-get install chromium``. Another one:
``TIJOLO_TEST_CHROMIUM=/path/of/it``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def _chromium() -> str | None:
    named = os.environ.get("TIJOLO_TEST_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Any]:
    """A browser without a window; ``new_context()`` is a person of their own."""
    playwright = pytest.importorskip("playwright.async_api")
    path = _chromium()
    if path is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def _served(app: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
def serve() -> Callable[[Any], Any]:
    """(app) -> async context manager that serves it and yields its port."""
    return _served
