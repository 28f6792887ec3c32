"""How an engine is made: the options both managers share, and what each driver wants of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import AsyncAdaptedQueuePool, NullPool, QueuePool
from sqlalchemy.engine import URL
from sqlalchemy.pool import Pool

from tijolo.core import Environment
from tijolo.db._url import is_shared_memory


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Options of a manager; every duration is in seconds."""

    echo: bool = False
    debug: bool = False
    pool_size: int = 10
    max_overflow: int = 20
    pool_recycle: int = 3600
    pool_timeout: float = 10.0
    pool_pre_ping: bool = True
    poolclass: type[Pool] | None = None
    pgbouncer: bool = False
    connect_timeout: float = 5.0
    statement_timeout: float | None = 30.0
    lock_timeout: float | None = 5.0
    idle_transaction_timeout: float | None = 60.0
    health_timeout: float = 2.0
    foreign_keys: bool = True
    environment: Environment = Environment.PRODUCTION
    connect_args: dict[str, Any] = field(default_factory=dict[str, Any])
    engine_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.pgbouncer and self.poolclass and issubclass(self.poolclass, QueuePool):
            raise ValueError(
                "pgbouncer=True pools connections outside; drop poolclass or give NullPool"
            )
        if self.health_timeout <= 0 or self.health_timeout > 2:
            raise ValueError(f"health_timeout must be in (0, 2], got {self.health_timeout}")

    @property
    def uses_queue_pool(self) -> bool:
        """Whether the pool has a size at all: NullPool and StaticPool refuse the arguments."""
        if self.pgbouncer:
            return False
        return self.poolclass is None or issubclass(self.poolclass, QueuePool)


def engine_arguments(url: URL, options: EngineOptions) -> dict[str, Any]:
    """Keyword arguments for ``create_engine`` and ``create_async_engine``."""
    arguments: dict[str, Any] = {
        "echo": options.echo,
        "hide_parameters": not options.debug,
        "connect_args": {**_connect_args(url, options), **options.connect_args},
    }
    poolclass = options.poolclass or (NullPool if options.pgbouncer else None)
    if poolclass is None and is_shared_memory(url):
        # SQLAlchemy would take one connection for everybody, and so one transaction
        poolclass = AsyncAdaptedQueuePool if url.get_driver_name() == "aiosqlite" else QueuePool
    if poolclass is not None:
        arguments["poolclass"] = poolclass
    if options.uses_queue_pool:
        arguments |= {
            "pool_size": options.pool_size,
            "max_overflow": options.max_overflow,
            "pool_recycle": -1 if is_shared_memory(url) else options.pool_recycle,
            "pool_timeout": options.pool_timeout,
            "pool_pre_ping": options.pool_pre_ping and url.get_backend_name() != "sqlite",
        }
    return arguments | options.engine_kwargs


def _connect_args(url: URL, options: EngineOptions) -> dict[str, Any]:
    backend, driver = url.get_backend_name(), url.get_driver_name()
    if backend == "sqlite":
        return {"timeout": options.lock_timeout or 0.0}
    if backend == "postgresql":
        return _asyncpg(options) if driver == "asyncpg" else _psycopg(options)
    arguments = {
        "connect_timeout": max(1, round(options.connect_timeout)),
        "init_command": _mysql_init(options),
    }
    if driver == "pymysql" and options.statement_timeout:
        # its connect_timeout ends with the TCP connection; a silent server is read from for ever
        patience = max(1, round(options.statement_timeout + options.connect_timeout))
        arguments |= {"read_timeout": patience, "write_timeout": patience}
    return arguments


def postgres_timeouts(options: EngineOptions) -> dict[str, str]:
    """PostgreSQL's settings for the timeouts, in milliseconds."""
    wanted = {
        "statement_timeout": options.statement_timeout,
        "lock_timeout": options.lock_timeout,
        "idle_in_transaction_session_timeout": options.idle_transaction_timeout,
    }
    return {name: str(round(value * 1000)) for name, value in wanted.items() if value}


def _asyncpg(options: EngineOptions) -> dict[str, Any]:
    arguments: dict[str, Any] = {"timeout": options.connect_timeout}
    if options.statement_timeout:
        # for a server that is frozen and cannot keep its own time
        arguments["command_timeout"] = options.statement_timeout + options.connect_timeout
    if not options.pgbouncer:
        arguments["server_settings"] = {"timezone": "UTC", **postgres_timeouts(options)}
        return arguments
    # a pooled server connection changes between transactions: no prepared statement survives
    return arguments | {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"__tijolo_{uuid4().hex}__",
    }


def _psycopg(options: EngineOptions) -> dict[str, Any]:
    arguments: dict[str, Any] = {"connect_timeout": max(1, round(options.connect_timeout))}
    if options.pgbouncer:
        return arguments | {"prepare_threshold": None}
    settings = {"timezone": "UTC", **postgres_timeouts(options)}
    return arguments | {"options": " ".join(f"-c {k}={v}" for k, v in settings.items())}


def _mysql_init(options: EngineOptions) -> str:
    parts = ["time_zone = '+00:00'"]
    if options.lock_timeout:
        seconds = max(1, round(options.lock_timeout))
        # of rows, and of tables that DDL wants for itself, for which the default is a day
        parts.append(f"innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
    if options.statement_timeout:
        # an executable comment: MySQL, which has another name for it, skips what MariaDB runs
        parts.append(f"/*M! max_statement_time = {options.statement_timeout}, */ @tijolo = 1")
    return "SET " + ", ".join(parts)


def make_options(options: dict[str, Any], **given: Any) -> EngineOptions:
    """``EngineOptions`` from keyword arguments; those it does not know are the engine's."""
    known = {name: options[name] for name in options if name in EngineOptions.__annotations__}
    rest = {name: value for name, value in options.items() if name not in known}
    return EngineOptions(**given, **known, engine_kwargs=rest)
