"""A pytest plugin for tests that need a real PostgreSQL, MariaDB, Redis, RabbitMQ or provider
of OpenID Connect.

Load it with ``-p tijolo.core.testing.pytest_services``, mark the tests with the name of their
server (``@pytest.mark.postgres``) and take the address from a fixture (``postgres_url``) or from
:func:`service_url`. Each server is looked for once per run. A test whose server does not answer
is skipped with the reason, or fails where ``TIJOLO_REQUIRE_SERVICES=1`` says that the servers
must be there. The summary says how many tests needed which server.

A test that kills, freezes or configures a Redis takes one of its own: ``own_redis``, or
``make_redis("--appendonly", "yes")``.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tijolo.core.testing.pytest_own_redis import make_redis as make_redis
from tijolo.core.testing.pytest_own_redis import own_redis as own_redis

TIMEOUT_SECONDS = 3.0


def _postgres_greets(connection: socket.socket) -> bool:
    connection.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest
    return connection.recv(1) in (b"S", b"N", b"E")


def _mariadb_greets(connection: socket.socket) -> bool:
    packet = connection.recv(5)  # length and number of the packet, then the protocol version
    return len(packet) == 5 and packet[4] == 10


def _redis_greets(connection: socket.socket) -> bool:
    connection.sendall(b"PING\r\n")
    return connection.recv(1) in (b"+", b"-")  # -NOAUTH is an answer as well


def _rabbitmq_greets(connection: socket.socket) -> bool:
    connection.sendall(b"AMQP\x00\x00\x09\x01")
    return connection.recv(1) == b"\x01"  # the method frame Connection.Start


def _oidc_greets(connection: socket.socket) -> bool:
    connection.sendall(b"GET /.well-known/openid-configuration HTTP/1.0\r\n\r\n")
    return connection.recv(12) == b"HTTP/1.1 200"


@dataclass(frozen=True, kw_only=True)
class _Service:
    title: str
    default_url: str
    default_port: int
    greets: Callable[[socket.socket], bool]


_SERVICES = {
    "postgres": _Service(
        title="PostgreSQL",
        default_url="postgresql+asyncpg://postgres@127.0.0.1:5432/test",
        default_port=5432,
        greets=_postgres_greets,
    ),
    "mariadb": _Service(
        title="MariaDB",
        default_url="mysql+asyncmy://root@127.0.0.1:3306/test",
        default_port=3306,
        greets=_mariadb_greets,
    ),
    "redis": _Service(
        title="Redis",
        default_url="redis://127.0.0.1:6379/9",
        default_port=6379,
        greets=_redis_greets,
    ),
    "rabbitmq": _Service(
        title="RabbitMQ",
        default_url="amqp://guest:guest@127.0.0.1:5672/",
        default_port=5672,
        greets=_rabbitmq_greets,
    ),
    "oidc": _Service(
        title="oidc-provider",
        default_url="http://127.0.0.1:9797",
        default_port=9797,
        greets=_oidc_greets,
    ),
}


@dataclass
class _Run:
    """What one pytest run found out; ``problems`` holds None for a server that answers."""

    problems: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    ran: Counter[str] = field(default_factory=Counter[str])
    skipped: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])

    def problem(self, name: str) -> str | None:
        if name not in self.problems:
            self.problems[name] = service_problem(name)
        return self.problems[name]


_run = pytest.StashKey[_Run]()
_OUTPUT = "tijolo_services"


def service_url(name: str) -> str:
    """The URL of ``postgres``, ``mariadb``, ``redis``, ``rabbitmq`` or ``oidc`` for tests.

    ``TIJOLO_TEST_POSTGRES_URL`` and so on, or the server on loopback with its usual port.

    Raises:
        ValueError: for any other name.
    """
    if name not in _SERVICES:
        raise ValueError(f"There is no service {name!r}; there are: {', '.join(_SERVICES)}")
    return os.environ.get(_variable(name)) or _SERVICES[name].default_url


def service_problem(name: str) -> str | None:
    """Why the server cannot be used, in one sentence; None when it greets as its protocol says.

    Raises:
        ValueError: for a name that :func:`service_url` does not know.
    """
    url = service_url(name)
    service = _SERVICES[name]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or service.default_port
    except ValueError:
        # not chained and not quoted: the value may hold a password
        return f"{_variable(name)} is not a URL with a host and a port"
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as connection:
            greeted = service.greets(connection)
            reason = None if greeted else f"what listens there does not speak {service.title}"
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
    if reason is None:
        return None
    return (
        f"no {service.title} at {host}:{port} ({reason}); "
        f"set {_variable(name)} or run: hatch run services start"
    )


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The URL of the PostgreSQL server for tests."""
    return service_url("postgres")


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """The URL of the MariaDB server for tests."""
    return service_url("mariadb")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The URL of the Redis server for tests."""
    return service_url("redis")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """The URL of the RabbitMQ server for tests."""
    return service_url("rabbitmq")


@pytest.fixture(scope="session")
def oidc_url() -> str:
    """The issuer of the provider of OpenID Connect for tests."""
    return service_url("oidc")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.stash[_run] = _Run()
    for name, service in _SERVICES.items():
        config.addinivalue_line("markers", f"{name}: needs a {service.title} server")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, a marked test whose server does not answer."""
    needed = _needed(item)
    run = item.config.stash[_run]
    problems = [problem for name in needed if (problem := run.problem(name))]
    if not problems:
        run.ran.update(needed)
        return
    if os.environ.get("TIJOLO_REQUIRE_SERVICES") == "1":
        run.failed.update(needed)
        pytest.fail("; ".join(problems), pytrace=False)
    run.skipped.update(needed)
    pytest.skip("; ".join(problems))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist: hand the counts to the process that prints the summary."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        run = session.config.stash[_run]
        output[_OUTPUT] = [dict(count) for count in (run.ran, run.skipped, run.failed)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the counts of a worker; one that crashed has none."""
    run: _Run = node.config.stash[_run]
    counts = getattr(node, "workeroutput", {}).get(_OUTPUT, ({}, {}, {}))
    for total, count in zip((run.ran, run.skipped, run.failed), counts, strict=True):
        total.update(count)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each server that a test needed."""
    run = terminalreporter.config.stash[_run]
    for name, service in _SERVICES.items():
        total = run.ran[name] + run.skipped[name] + run.failed[name]
        if total:
            parts = [
                f"{count[name]} {word}"
                for count, word in (
                    (run.ran, "ran"),
                    (run.skipped, "skipped"),
                    (run.failed, "failed for want of a server"),
                )
                if count[name]
            ]
            tests = "test" if total == 1 else "tests"
            terminalreporter.write_line(
                f"{service.title}: {total} {tests} needed it, {', '.join(parts)}"
            )


def _needed(item: pytest.Item) -> list[str]:
    return [name for name in _SERVICES if item.get_closest_marker(name)]


def _variable(name: str) -> str:
    return f"TIJOLO_TEST_{name.upper()}_URL"
