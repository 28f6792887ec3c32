from __future__ import annotations

import asyncio
import os
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ForeignKey, Integer, MetaData, Numeric, String, UniqueConstraint, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.pool import NullPool

from tijolo.core.testing.pytest_services import service_problem, service_url
from tijolo.db import (
    NAMING_CONVENTION,
    AsyncDatabaseManager,
    AuditMixin,
    BaseModel,
    BaseRepository,
    SoftDeleteMixin,
    UtcDateTime,
    VersionMixin,
    unique_when_alive,
)

BACKENDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


class Base(BaseModel):
    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Product(Base):
    name: Mapped[str] = mapped_column(String(80))
    sku: Mapped[str | None] = mapped_column(String(80), unique=True, default=None)
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2), default=None)
    stock: Mapped[int] = mapped_column(Integer, default=0)
    cost_secret: Mapped[str | None] = mapped_column(
        String(80), default=None, info={"sensitive": True}
    )
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), default=None)


class Customer(SoftDeleteMixin, AuditMixin, Base):
    email: Mapped[str] = mapped_column(String(80))
    # a lambda: other test models in the same process have these names too
    orders: Mapped[list[Order]] = relationship(lambda: Order, back_populates="customer")
    __table_args__ = (unique_when_alive("uq_customer_email", "email"),)


class Order(Base):
    __tablename__ = "shop_order"
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    customer: Mapped[Customer] = relationship(lambda: Customer, back_populates="orders")
    lines: Mapped[list[Line]] = relationship(
        lambda: Line, back_populates="order", cascade="all, delete-orphan"
    )


class Line(Base):
    __tablename__ = "shop_line"
    order_id: Mapped[UUID] = mapped_column(ForeignKey("shop_order.id"))
    position: Mapped[int] = mapped_column(Integer)
    order: Mapped[Order] = relationship(lambda: Order, back_populates="lines")
    __table_args__ = (UniqueConstraint("order_id", "position", name="uq_line_place"),)


class Document(VersionMixin, Base):
    title: Mapped[str] = mapped_column(String(80))
    slug: Mapped[str] = mapped_column(String(80), unique=True)


SHOP = SimpleNamespace(
    Base=Base,
    Product=Product,
    Customer=Customer,
    Order=Order,
    Line=Line,
    Document=Document,
    metadata=Base.metadata,
)


@pytest.fixture(scope="session")
def shop():
    """The models of the suite."""
    return SHOP


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
            name = f"tijolo_db_{os.getpid()}_{uuid4().hex[:6]}"
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
    """Each database of the suite in turn."""
    return request.param


@pytest.fixture
def db_url(backend, make_database, tmp_path):
    """The URL of a database of ``backend``."""
    if backend == "sqlite":
        return make_url(f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    pytest.importorskip({"postgres": "asyncpg", "mariadb": "asyncmy"}[backend])
    if service_problem(backend):
        pytest.skip("no server")
    return make_database(backend)


@pytest.fixture
async def db(db_url):
    """A connected manager with the suite's tables, empty."""
    manager = AsyncDatabaseManager(
        db_url,
        environment="test",
        cursor_secret="k" * 16 + "0123456789abcdef",
        metadata=SHOP.metadata,
    )
    await manager.connect()
    await manager.create_tables()
    async with manager.engine.begin() as connection:
        for table in reversed(SHOP.metadata.sorted_tables):
            await connection.execute(table.delete())
    yield manager
    await manager.disconnect()


@pytest.fixture
def repository():
    """(session, model, ...) -> BaseRepository."""

    def make(session, model, **options):
        return BaseRepository(session, model=model, **options)

    return make
