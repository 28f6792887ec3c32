"""A redis-server of one test's own, for tests that stop, freeze or configure it.

The plugin ``tijolo.core.testing.pytest_services`` has the fixtures.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest

_PATIENCE_SECONDS = 10


class OwnRedis:
    """Listens on a free port of loopback, and keeps it when it is started again.

    Args:
        options: Of the command line; without any nothing is kept on disk.
        folder: Where it writes, if it does. Default: that for temporary files.
    """

    def __init__(self, *options: str, folder: str | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        folder = folder or tempfile.gettempdir()
        self._command = ["redis-server", "--port", str(self.port), "--save", "", "--dir", folder]
        self._command += options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            RuntimeError: It does not.
        """
        silent = subprocess.DEVNULL
        self.process = subprocess.Popen(self._command, stdout=silent, stderr=silent)  # noqa: S603
        ends = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < ends:
            if self._answers():
                return
            time.sleep(0.01)
        self.kill()
        raise RuntimeError("redis-server did not start")

    def freeze(self) -> None:
        """Let it accept connections and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"  # not while it loads its data
        except OSError:
            return False

    def _signal(self, number: int) -> None:
        if self.process is None:
            raise RuntimeError("the server was not started")
        self.process.send_signal(number)


@pytest.fixture
def make_redis(tmp_path: object) -> Iterator[Callable[..., OwnRedis]]:
    """``make_redis("--appendonly", "yes")`` starts a server with these options."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    servers: list[OwnRedis] = []

    def make(*options: str) -> OwnRedis:
        servers.append(OwnRedis(*options, folder=str(tmp_path)))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def own_redis(make_redis: Callable[..., OwnRedis]) -> OwnRedis:
    """A server that keeps nothing on disk, started."""
    return make_redis()
