"""Requests per second under uvicorn, as wrk sees them with 32 connections (row 1.14).

Needs ``wrk`` (in Debian's packages); without it there is nothing to measure. It shares the cores
with the server, so read the ratio, and its quartiles.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

from tests.benchmarks.harness import Contender, Group
from tests.benchmarks.servers import free_port, wait_for

_APPS = "tests.benchmarks.apps_server"


class _Wrk:
    """Servers, and a clock on which a request takes what wrk says that it took."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._servers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}

    def __call__(self) -> float:
        return self.spent

    def start(self, *names: str) -> None:
        for name in names:
            port = free_port()
            command = [sys.executable, "-m", "uvicorn", "--factory", f"{_APPS}:{name}"]
            command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            self._servers[name] = process, port
        for _, port in self._servers.values():
            wait_for(port)

    def stop(self) -> None:
        for process, _ in self._servers.values():
            process.terminate()
            process.wait(10)

    def load(self, name: str) -> Callable[[int], None]:
        def run(count: int) -> None:
            url = f"http://127.0.0.1:{self._servers[name][1]}/items/7"
            command = ["wrk", "-t1", "-c32", "-d1", url]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if "Non-2xx" in printed:
                raise RuntimeError(f"{name} refused requests")
            found = re.search(r"Requests/sec:\s*([\d.]+)", printed)
            assert found, printed
            self.spent += count / float(found[1])

        return run


def groups() -> list[Group]:
    """Row 1.14: 0.80 of bare throughput is 1.25 times its time."""
    if shutil.which("wrk") is None:
        print("1.14 needs wrk: apt-get install wrk")
        return []
    wrk = _Wrk()
    names = {"bare": None, "full": 1.25, "full_with_access_log": None}

    async def setup() -> None:
        await asyncio.to_thread(wrk.start, *names)

    async def teardown() -> None:
        await asyncio.to_thread(wrk.stop)

    return [
        Group(
            row="1.14",
            title="time of a request under uvicorn, wrk -c32 (1.25 is 0.80 of req/s)",
            clock=wrk,
            rounds=7,
            slice_seconds=0.0001,
            setup=setup,
            teardown=teardown,
            contenders=[
                Contender(
                    name=name.replace("_", " "),
                    run=wrk.load(name),
                    role="baseline" if name == "bare" else "subject",
                    goal=goal,
                )
                for name, goal in names.items()
            ],
        )
    ]
