from __future__ import annotations

import asyncio
import logging

import pytest
from sqlalchemy.engine import make_url

from tijolo.core.testing.pytest_services import service_url
from tijolo.db import AsyncDatabaseManager
from tijolo.db.waiting import (
    DatabaseRefusedError,
    DatabaseUnreachableError,
    wait_for_database,
)

NOBODY = "postgresql://app:s3cret@127.0.0.1:1/shop"


class Act(logging.Handler):
    """Does something when the first attempt was reported to have failed."""

    def __init__(self, action) -> None:
        super().__init__()
        self.action = action

    def emit(self, record):
        if record.getMessage().startswith("waiting for"):
            self.action()


@pytest.fixture
def on_waiting():
    logger = logging.getLogger("tijolo.db")
    level, handlers = logger.level, []

    def install(action):
        handlers.append(Act(action))
        logger.addHandler(handlers[0])
        logger.setLevel(logging.INFO)

    yield install
    logger.setLevel(level)
    for handler in handlers:
        logger.removeHandler(handler)


async def test_a_database_that_answers_is_not_waited_for(url):
    await wait_for_database(url, timeout_seconds=30, interval_seconds=30)
    await wait_for_database(AsyncDatabaseManager(url), timeout_seconds=30, interval_seconds=30)


async def test_a_database_that_comes_up_later_is_waited_for(tmp_path, on_waiting):
    pytest.importorskip("aiosqlite")
    directory = tmp_path / "volume"
    attempts = []

    def mount():
        attempts.append(1)
        directory.mkdir(exist_ok=True)

    on_waiting(mount)

    await wait_for_database(
        f"sqlite:///{directory}/app.db", timeout_seconds=30, interval_seconds=0.01
    )

    assert attempts == [1]


@pytest.mark.parametrize("as_manager", [True, False])
async def test_waiting_has_an_end_and_tells_the_reason_without_the_password(as_manager):
    pytest.importorskip("asyncpg")
    database = AsyncDatabaseManager(NOBODY) if as_manager else NOBODY

    with pytest.raises(DatabaseUnreachableError, match=r"within 0\.2 s") as caught:
        await wait_for_database(database, timeout_seconds=0.2, interval_seconds=0.05)

    assert not isinstance(caught.value, DatabaseRefusedError)
    assert "app:***@127.0.0.1:1" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_server_that_never_answers_does_not_hold_an_attempt(on_waiting):
    pytest.importorskip("asyncpg")
    closing = asyncio.Event()

    async def silent(reader, writer):
        await closing.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(DatabaseUnreachableError, match="too long to answer"):
            await wait_for_database(f"postgresql://app@127.0.0.1:{port}/shop", timeout_seconds=0.2)
    finally:
        closing.set()
        server.close()


REFUSED = [
    pytest.param(
        "postgres",
        {"database": "tijolo_mig_no_such"},
        "3D000|does not exist",
        marks=pytest.mark.postgres,
    ),
    pytest.param(
        "postgres", {"username": "tijolo_mig_nobody"}, "does not exist", marks=pytest.mark.postgres
    ),
    pytest.param("mariadb", {"database": "tijolo_mig_no_such"}, "1049", marks=pytest.mark.mariadb),
    pytest.param(
        "mariadb",
        {"username": "tijolo_mig_nobody", "password": "s3cret"},
        "1045",
        marks=pytest.mark.mariadb,
    ),
]


@pytest.mark.parametrize(("service", "change", "reason"), REFUSED)
async def test_what_waiting_cannot_mend_fails_at_once(service, change, reason, on_waiting):
    pytest.importorskip({"postgres": "asyncpg", "mariadb": "asyncmy"}[service])
    on_waiting(lambda: pytest.fail("it waited"))

    with pytest.raises(DatabaseRefusedError, match=reason) as caught:
        await wait_for_database(make_url(service_url(service)).set(**change), timeout_seconds=600)

    assert "s3cret" not in str(caught.value)


async def test_a_file_that_is_no_database_fails_at_once(tmp_path, on_waiting):
    pytest.importorskip("aiosqlite")
    on_waiting(lambda: pytest.fail("it waited"))
    (tmp_path / "app.db").write_text("a letter to grandmother " * 100)

    with pytest.raises(DatabaseRefusedError, match="not a database"):
        await wait_for_database(f"sqlite:///{tmp_path}/app.db", timeout_seconds=600)


async def test_an_argument_the_driver_does_not_know_fails_at_once():
    pytest.importorskip("asyncpg")

    with pytest.raises(TypeError):
        await wait_for_database(NOBODY, connect_args={"nonsense": 1}, timeout_seconds=600)


@pytest.mark.parametrize("wrong", [{"timeout_seconds": 0}, {"interval_seconds": -1}])
async def test_a_wait_without_a_length_is_refused(wrong):
    with pytest.raises(ValueError, match="greater than 0"):
        await wait_for_database("sqlite://", **wrong)


async def test_what_is_no_url_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="cannot be parsed") as caught:
        await wait_for_database("s3cret")
    assert "s3cret" not in str(caught.value)
