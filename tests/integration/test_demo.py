"""The README's first command, as a newcomer runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(tmp_path):
    """The URL of a demonstration service that runs on a free port and a new database."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/demo.db",
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("ENVIRONMENT", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.demo", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        found = re.search(r"The shop is at (http://\S+)", line)
        if found:
            yield found[1], process
            break
    else:
        pytest.fail(f"the demonstration ended:\n{printed}")
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait(timeout=20)
    process.stdout.close()


def test_the_demonstration_serves_the_shop(demo):
    base, process = demo
    transport = httpx.HTTPTransport(retries=20)  # it prints its URL just before it answers
    with httpx.Client(base_url=base, transport=transport, timeout=10) as client:
        created = client.post(
            "/customers", json={"name": "Oficina Nova", "document": "12.ABC.345/01DE-35"}
        )
        refused = [
            client.post("/customers", json={"name": "Ana", "document": document})
            for document in ("12.ABC.345/01DE-36", "５２９９８２２４７２５")
        ]

        assert created.status_code == 201
        assert created.json()["document"] == "12ABC34501DE35"
        for answer in refused:
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["loc"] == ["body", "document"]
        assert client.get("/health/readiness").json() == {"status": "ok"}
        assert client.get("/docs").status_code == 200
        assert client.get("/products").json()["total"] == 3
        assert process.poll() is None


def test_the_link_of_an_e_mail_leads_to_the_demonstration(demo):
    base, process = demo
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(base_url=base, transport=transport, timeout=60) as client:
        ana = {"email": "ana@example.com", "password": "cavalo correto bateria"}
        assert client.post("/auth/signup", json=ana).status_code == 202
        link = next(found for line in process.stdout if (found := re.search(r"http\S+#\S+", line)))
        page, _, token = link[0].partition("#token=")
        assert page == f"{base}/auth/pages/activate"
        assert client.get(page).status_code == 200
        assert client.post("/auth/activate", json={"token": token}).status_code == 200
        login = client.post("/auth/login", json=ana)
        assert login.status_code == 200
        _, claims, _ = login.json()["access_token"].split(".")
        assert json.loads(urlsafe_b64decode(f"{claims}=="))["iss"] == base


def test_a_busy_port_is_said_and_nothing_is_migrated(demo, tmp_path):
    base, _ = demo
    port = base.rpartition(":")[2]

    second = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--port", port],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/second.db"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr
    assert not (tmp_path / "second.db").exists()


def test_an_interrupt_ends_the_demonstration_quietly(demo):
    base, process = demo
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        assert client.get(f"{base}/health/readiness").status_code == 200

    process.send_signal(signal.SIGINT)
    said = process.stdout.read()

    assert process.wait(timeout=20) == 0
    assert "Traceback" not in said
