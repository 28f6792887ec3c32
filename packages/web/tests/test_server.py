"""Real server processes, started by ``run_server`` and stopped by a signal."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tijolo.web.server import run_server
from tijolo.web.settings import ServerSettings

SERVICE = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI

def note(text):
    with open(os.environ["NOTES"], "a") as file:
        file.write(text + "\\n")

@asynccontextmanager
async def lifespan(app):
    note("start")
    yield {"connected": True}
    note("stop")

app = FastAPI(lifespan=lifespan)

@app.get("/fast")
async def fast():
    return {"pid": os.getpid()}

@app.get("/slow")
async def slow():
    note("slow")
    await asyncio.sleep(0.6)
    note("slow done")
    return {"ok": True}

@app.get("/client")
async def client(request: "Request"):
    return {"client": request.client.host, "state": request.state.connected}

class Inner:
    async def __call__(self, scope, receive, send):
        raise RuntimeError("broken before its start")

broken = Inner()
""".replace("from fastapi import FastAPI", "from fastapi import FastAPI, Request")

RUN = """
import sys
from tijolo.web.server import run_server
if __name__ == "__main__":
    run_server(sys.argv[1], port=int(sys.argv[2]), engine=sys.argv[3], workers=int(sys.argv[4]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextlib.contextmanager
def serving(
    directory: Path, engine: str, target: str = "service:app", workers: int = 1
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    if engine == "granian":
        pytest.importorskip("granian")
    (directory / "service.py").write_text(SERVICE)
    (directory / "run.py").write_text(RUN)
    port = free_port()
    notes = {"NOTES": str(directory / "notes"), "PYTHONPATH": str(directory)}
    process = subprocess.Popen(
        [sys.executable, str(directory / "run.py"), target, str(port), engine, str(workers)],
        env={**os.environ, **notes},
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(condition: Any, seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.02)


def answers(port: int) -> bool:
    try:
        return get(port, "/fast")[0] == 200
    except OSError:
        return False


def noted(directory: Path) -> list[str]:
    path = directory / "notes"
    return path.read_text().split("\n")[:-1] if path.exists() else []


@pytest.mark.parametrize("engine", ["uvicorn", "granian"])
def test_a_signal_lets_the_request_end_and_the_lifespan_stop(tmp_path, engine):
    with serving(tmp_path, engine) as (process, port):
        wait_for(lambda: answers(port))
        headers = {"X-Forwarded-For": "198.51.100.7"}
        assert b'"client":"127.0.0.1","state":true' in get(port, "/client", headers)[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/slow")
        wait_for(lambda: "slow" in noted(tmp_path))
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"ok":true}')
        connection.close()
        code = process.wait(timeout=60)
    assert code in (0, -signal.SIGTERM)  # uvicorn hands the signal on when it is done
    assert noted(tmp_path) == ["start", "slow", "slow done", "stop"]
    with pytest.raises(OSError, match="refused"):
        get(port, "/fast")


@pytest.mark.parametrize("engine", ["uvicorn", "granian"])
def test_a_start_that_raises_is_no_service(tmp_path, engine):
    with serving(tmp_path, engine, "service:broken") as (process, port):
        assert process.wait(timeout=60) != 0
        assert not answers(port)


def test_granian_serves_with_several_workers(tmp_path):
    with serving(tmp_path, "granian", workers=2) as (process, port):
        wait_for(lambda: answers(port))
        wait_for(lambda: noted(tmp_path).count("start") == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert noted(tmp_path).count("stop") == 2


def test_what_cannot_be_served_is_refused():
    for options, told in (
        ({"reload": True}, "reload needs the import path"),
        ({"workers": 2}, "several workers needs the import path"),
        ({"engine": "granian"}, "granian needs the import path"),
    ):
        with pytest.raises(ValueError, match=told):
            run_server(FastAPI(), **options)
    with pytest.raises(ValueError, match="must be 'uvicorn' or 'granian'"):
        run_server("shop:app", engine="hypercorn")  # type: ignore[arg-type]


def test_granian_gets_the_settings_and_options_win(monkeypatch):
    pytest.importorskip("granian")
    from tijolo.web import granian

    made: list[tuple[str, dict[str, Any]]] = []

    class Recorder:
        def __init__(self, target: str, **options: Any) -> None:
            made.append((target, options))

        def serve(self, **_: Any) -> None: ...

    monkeypatch.setattr(granian, "Granian", Recorder)
    settings = ServerSettings(
        SERVER_HOST="0.0.0.0",
        SERVER_PORT=9000,
        SERVER_ENGINE="granian",
        SERVER_WORKERS=3,
        SERVER_GRACEFUL_TIMEOUT_SECONDS=7,
    )
    run_server("shop:app", settings=settings, backlog=5, log_access=True)
    target, options = made[0]
    assert target == "shop:app"
    assert (options["address"], options["port"], options["workers"]) == ("0.0.0.0", 9000, 3)
    assert (options["workers_kill_timeout"], options["backlog"]) == (7, 5)
    assert options["log_access"] is True
