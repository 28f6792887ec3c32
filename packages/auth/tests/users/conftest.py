"""Users on SQLite, PostgreSQL and MariaDB, with e-mails that can be read."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from tijolo.core.testing.pytest_services import service_problem, service_url

try:  # each file of tests skips without the extras; this one cannot
    from sqlalchemy import MetaData, String, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.orm import Mapped, mapped_column
    from sqlalchemy.pool import NullPool

    from tijolo.auth import HashService, JWTSettings, MemoryRevocationStore, PasswordUtils
    from tijolo.auth.users import (
        AuthSettings,
        BaseUserModel,
        UserAuthService,
        UserStatus,
        make_refresh_token_model,
        make_user_token_model,
    )
    from tijolo.db import NAMING_CONVENTION, AsyncDatabaseManager

    class User(BaseUserModel):
        __tablename__ = "users"
        metadata = MetaData(naming_convention=NAMING_CONVENTION)
        nickname: Mapped[str | None] = mapped_column(String(20), unique=True, default=None)

    UserToken = make_user_token_model(User)
    RefreshToken = make_refresh_token_model(User)
except ImportError:
    pass

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"
PASSWORD = "cavalo correto bateria"
BACKENDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


class Clock:
    """The time, some seconds on."""

    def __init__(self):
        self.offset = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.offset

    def pass_seconds(self, seconds):
        self.offset += timedelta(seconds=seconds)


class Mailbox:
    """A mailer that keeps what it was given."""

    def __init__(self):
        self.mails = []

    async def deliver(self, mail):
        self.mails.append(mail)

    def kinds(self, to=None):
        return [str(mail.kind) for mail in self.mails if to in (None, mail.to)]

    def token(self, kind, to=None):
        """The token of the last e-mail of that kind."""
        found = [mail for mail in self.mails if mail.kind == kind and to in (None, mail.to)]
        return found[-1].context["url"].partition("token=")[2]


def _admin(url, statement):
    async def run():
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


@pytest.fixture(scope="session")
def make_database():
    """name of a server -> URL of a database that is this run's own."""
    made = {}

    def make(service):
        if service not in made:
            name = f"tijolo_auth_{os.getpid()}_{uuid4().hex[:6]}"
            admin = make_url(service_url(service))
            _admin(admin, f"CREATE DATABASE {name}")
            made[service] = (admin, admin.set(database=name))
        return made[service][1]

    yield make
    for admin, url in made.values():
        force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
        _admin(admin, f"DROP DATABASE {url.database}{force}")


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def db_url(backend, make_database, tmp_path):
    if backend == "sqlite":
        pytest.importorskip("aiosqlite")
        return make_url(f"sqlite+aiosqlite:///{tmp_path}/users.db")
    pytest.importorskip({"postgres": "asyncpg", "mariadb": "asyncmy"}[backend])
    if service_problem(backend):
        pytest.skip("no server")
    return make_database(backend)


@pytest.fixture
async def db(db_url):
    """A connected manager with the tables of users, empty."""
    manager = AsyncDatabaseManager(
        db_url, environment="test", metadata=User.metadata, cursor_secret=SECRET
    )
    await manager.connect()
    await manager.create_tables()
    async with manager.engine.begin() as connection:
        for table in reversed(User.metadata.sorted_tables):
            await connection.execute(table.delete())
    yield manager
    await manager.disconnect()


@pytest.fixture(scope="session")
def hashing():
    """Threads with the cheapest hashes that are allowed."""
    return HashService(PasswordUtils(rounds=10), workers=2, queue_limit=200)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
async def make_service(db, hashing, clock, mailbox):
    """Options -> a service; its e-mails are sent before the test ends."""
    made = []

    def make(*, settings=None, **options):
        service = UserAuthService(
            **{
                "user_model": User,
                "token_model": UserToken,
                "refresh_model": RefreshToken,
                "auth_settings": AuthSettings(**(settings or {})),
                "jwt_settings": JWTSettings(JWT_SECRET=SECRET, JWT_ISSUER="https://auth.example"),
                "db": db,
                "email": mailbox,
                "hashing": hashing,
                "clock": clock,
            }
            | options
        )
        made.append(service)
        return service

    yield make
    for service in made:
        await service.disconnect()


@pytest.fixture
def events():
    return []


@pytest.fixture
def revocation(clock):
    return MemoryRevocationStore(clock=lambda: clock().timestamp())


@pytest.fixture
def service(make_service, events, revocation):
    return make_service(on_event=events.append, revocation=revocation)


@pytest.fixture
def call(db, service):
    """``await call("login", email=...)``: in a transaction of its own, e-mails sent."""

    async def run(method, *arguments, on=None, **options):
        async with db.transaction() as session:
            result = await getattr(on or service, method)(session, *arguments, **options)
        await (on or service).outbox.drain()
        return result

    return run


@pytest.fixture
async def ana(call):
    """Somebody with an account."""
    return await call("create_user", email="ana@exemplo.com.br", password=PASSWORD, name="Ana")


@pytest.fixture
def names():
    """What tests of users need by name."""
    return SimpleNamespace(
        User=User,
        UserToken=UserToken,
        RefreshToken=RefreshToken,
        UserStatus=UserStatus,
        PASSWORD=PASSWORD,
        SECRET=SECRET,
        Mailbox=Mailbox,
        asynccontextmanager=asynccontextmanager,
    )
