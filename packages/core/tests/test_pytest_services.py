"""The plugin, in pytest runs of its own against sockets that answer as the servers do."""

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tijolo.core.testing.pytest_services import service_url

GREETINGS = {
    "postgres": b"N",
    "mariadb": b"\x4a\x00\x00\x00\x0a5.5.5-10.11-MariaDB",
    "redis": b"+PONG\r\n",
    "rabbitmq": b"\x01\x00\x00",
    "oidc": b"HTTP/1.1 200 OK\r\n",
}
TITLES = ("PostgreSQL", "MariaDB", "Redis", "RabbitMQ", "oidc-provider")
SCHEMES = {
    "postgres": "postgresql",
    "mariadb": "mysql",
    "redis": "redis",
    "rabbitmq": "amqp",
    "oidc": "http",
}
URL_VARIABLES = [f"TIJOLO_TEST_{name.upper()}_URL" for name in GREETINGS]


@contextmanager
def server(greeting):
    """Yield the port of a server that answers each connection with ``greeting``, and its count."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(1)
                with connection, suppress(OSError):  # the plugin may hang up first
                    connection.sendall(greeting)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(64)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run pytest on a file with this content; returns its exit status and output."""
    for variable in ("TIJOLO_REQUIRE_SERVICES", *URL_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run_pytest(content, *arguments):
        (tmp_path / "test_it.py").write_text(content)
        command = [sys.executable, "-m", "pytest", "-p", "tijolo.core.testing.pytest_services"]
        command += ["--import-mode=importlib", "--strict-markers", "-ra", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    return run_pytest


def marked(*marks):
    """Two tests for each of ``marks``, which may name several servers: ``"redis postgres"``."""
    tests = [
        "".join(f"@pytest.mark.{name}\n" for name in names.split()) + f"def test_{n}():\n    pass\n"
        for n, names in enumerate(marks * 2)
    ]
    return "import pytest\n\n" + "\n".join(tests)


@pytest.fixture
def listen(monkeypatch):
    """Let the URL of a service name a server that answers with ``greeting``."""
    with ExitStack() as stack:

        def start(name, greeting):
            port, connections = stack.enter_context(server(greeting))
            url = f"{SCHEMES[name]}://127.0.0.1:{port}/x"
            monkeypatch.setenv(f"TIJOLO_TEST_{name.upper()}_URL", url)
            return connections

        yield start


def test_marked_tests_run_where_their_servers_answer_and_each_is_asked_once(run, listen):
    connections = [listen(name, greeting) for name, greeting in GREETINGS.items()]
    status, output = run(marked(*GREETINGS))
    assert status == 0
    assert "10 passed" in output
    for title in TITLES:
        assert f"{title}: 2 tests needed it, 2 ran" in output
    assert [len(made) for made in connections] == [1, 1, 1, 1, 1]


def test_the_counts_of_parallel_workers_are_added_up(run, listen, monkeypatch):
    pytest.importorskip("xdist")
    for name, greeting in GREETINGS.items():
        listen(name, greeting)
    monkeypatch.setenv("TIJOLO_TEST_REDIS_URL", f"redis://127.0.0.1:{closed_port()}/0")
    status, output = run(marked(*GREETINGS), "-p", "xdist.plugin", "-n", "2")
    assert status == 0
    assert "PostgreSQL: 2 tests needed it, 2 ran" in output
    assert "Redis: 2 tests needed it, 2 skipped" in output
    monkeypatch.setenv("TIJOLO_REQUIRE_SERVICES", "1")
    status, output = run(marked(*GREETINGS), "-p", "xdist.plugin", "-n", "2")
    assert status == 1
    assert "Redis: 2 tests needed it, 2 failed for want of a server" in output


def test_they_are_skipped_with_the_reason_where_nothing_listens(run, monkeypatch):
    port = closed_port()
    for name, variable in zip(GREETINGS, URL_VARIABLES, strict=True):
        monkeypatch.setenv(variable, f"{SCHEMES[name]}://user:geheim@127.0.0.1:{port}/x")
    status, output = run(marked(*GREETINGS))
    assert status == 0
    assert "10 skipped" in output
    for title, variable in zip(TITLES, URL_VARIABLES, strict=True):
        assert f"{title}: 2 tests needed it, 2 skipped" in output
        assert (
            f"no {title} at 127.0.0.1:{port} (Connection refused); "
            f"set {variable} or run: hatch run services start"
        ) in output.replace("\n", " ")
    assert "geheim" not in output


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_they_are_skipped_where_something_else_listens(run, listen, greeting):
    for name in GREETINGS:
        listen(name, greeting)
    status, output = run(marked(*GREETINGS))
    assert status == 0
    assert "10 skipped" in output


def test_it_fails_where_servers_are_required(run, monkeypatch):
    monkeypatch.setenv("TIJOLO_TEST_REDIS_URL", f"redis://:geheim@127.0.0.1:{closed_port()}/0")
    monkeypatch.setenv("TIJOLO_REQUIRE_SERVICES", "1")
    status, output = run(marked("redis"))
    assert status == 1
    assert "Failed: no Redis at 127.0.0.1" in output
    assert "Redis: 2 tests needed it, 2 failed for want of a server" in output
    assert "geheim" not in output


def test_a_test_that_needs_two_servers_is_skipped_when_one_is_missing(run, listen, monkeypatch):
    monkeypatch.setenv("TIJOLO_TEST_REDIS_URL", f"redis://127.0.0.1:{closed_port()}/0")
    listen("postgres", GREETINGS["postgres"])
    _, output = run(marked("redis postgres"))
    assert "PostgreSQL: 2 tests needed it, 2 skipped" in output
    assert "Redis: 2 tests needed it, 2 skipped" in output


def test_a_run_without_marked_tests_looks_for_no_server_and_says_nothing(run):
    status, output = run("def test_a():\n    pass\n")
    assert status == 0
    assert "needed it" not in output


def test_a_url_that_cannot_be_read_is_reported_without_its_password(run, monkeypatch):
    monkeypatch.setenv("TIJOLO_TEST_POSTGRES_URL", "postgresql://u:geheim@127.0.0.1:port/x")
    status, output = run(marked("postgres"))
    assert status == 0
    assert "TIJOLO_TEST_POSTGRES_URL is not a URL" in output
    assert "geheim" not in output


def test_fixtures_give_the_urls(run, monkeypatch):
    monkeypatch.setenv("TIJOLO_TEST_MARIADB_URL", "mysql://127.0.0.1:1/x")
    status, output = run("""
def test_urls(postgres_url, mariadb_url, redis_url, rabbitmq_url, oidc_url):
    assert postgres_url == "postgresql+asyncpg://postgres@127.0.0.1:5432/test"
    assert mariadb_url == "mysql://127.0.0.1:1/x"
    assert redis_url == "redis://127.0.0.1:6379/9"
    assert rabbitmq_url == "amqp://guest:guest@127.0.0.1:5672/"
    assert oidc_url == "http://127.0.0.1:9797"
""")
    assert status == 0, output


def test_an_unknown_service_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no service 'mysql'; there are: postgres, mariadb"):
        service_url("mysql")


@pytest.mark.postgres
@pytest.mark.mariadb
@pytest.mark.redis
@pytest.mark.rabbitmq
@pytest.mark.oidc
def test_the_greetings_are_those_of_the_real_servers():
    """Runs only where all five answered as the plugin expects."""
