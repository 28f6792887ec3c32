"""``hatch run services start|stop|status [name ...]``: real servers on loopback for the tests.

Starts what is installed and does not answer already, at the address that the tests use
(``TIJOLO_TEST_POSTGRES_URL`` and so on), and stops only what it started. Everything they write is
below ``.services/``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tijolo.core.testing.pytest_services import service_problem, service_url
from tools.workspace import ROOT

HOME = ROOT / ".services"
STATE = HOME / "started.json"
WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Server:
    """How one server is started; ``prepare`` makes its data directory, ``finish`` its database."""

    name: str
    program: str
    default_port: int
    command: Callable[[str, Path, int], list[str]]
    prepare: Callable[[Path], list[str] | None] = lambda _: None
    finish: Callable[[int], list[str] | None] = lambda _: None
    account: str | None = None
    """The account to use where the tool runs as root and the server refuses that."""
    environment: Callable[[Path, int], dict[str, str]] = lambda *_: {}

    @property
    def port(self) -> int:
        """The port that the tests use."""
        return urlsplit(service_url(self.name)).port or self.default_port


def find(program: str) -> str | None:
    """The path of ``program``; Debian keeps the ones for PostgreSQL and RabbitMQ off the path."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/lib/rabbitmq/bin")]
    places += [Path("/usr/sbin"), Path("/usr/local/sbin")]
    # those first: Debian's wrapper for RabbitMQ changes the account
    found = (shutil.which(program, path=str(place)) for place in places)
    return next((path for path in found if path), None) or shutil.which(program)


def _program(name: str) -> str:
    return find(name) or name


def _postgres(program: str, data: Path, port: int) -> list[str]:
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
    settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return [program, "-D", str(data), *settings, "-c", "fsync=off"]


def _initdb(data: Path) -> list[str]:
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
    return [_program("initdb"), "--pgdata", str(data), *options]


def _createdb(port: int) -> list[str]:
    return [_program("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "test"]


def _mariadb(program: str, data: Path, port: int) -> list[str]:
    network = ["--bind-address=127.0.0.1", f"--port={port}", "--socket=mariadb.sock"]
    return [program, "--no-defaults", f"--datadir={data}", *network, *_as_root()]


def _mariadb_install(data: Path) -> list[str]:
    options = [f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
    return [_program("mariadb-install-db"), "--no-defaults", *options, *_as_root()]


def _mariadb_database(port: int) -> list[str]:
    where = ["--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", "root"]
    return [_program("mariadb"), *where, "-e", "CREATE DATABASE IF NOT EXISTS test"]


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _redis(program: str, data: Path, port: int) -> list[str]:
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)]
    return [program, *where, "--save", "", "--appendonly", "no"]


def _rabbitmq_environment(data: Path, port: int) -> dict[str, str]:
    config = data / "rabbitmq.conf"  # the machine's own would win over the environment
    config.write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n", encoding="utf-8")
    return {
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "HOME": str(data),  # for the Erlang cookie
        "RABBITMQ_NODENAME": f"tijolo{port}@localhost",
        "RABBITMQ_DIST_PORT": str(port + 20000),
        "RABBITMQ_MNESIA_BASE": str(data),
        "RABBITMQ_LOG_BASE": str(data),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(data / "pid"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


def _oidc(program: str, data: Path, port: int) -> list[str]:
    source = ROOT / "tests/integration/oidc_provider"
    return [program, "-m", "tools.node_service", str(source), str(data), str(port)]


SERVERS = (
    Server(
        name="postgres",
        program="postgres",
        default_port=5432,
        command=_postgres,
        prepare=_initdb,
        finish=_createdb,
        account="postgres",
    ),
    Server(
        name="mariadb",
        program="mariadbd",
        default_port=3306,
        command=_mariadb,
        prepare=_mariadb_install,
        finish=_mariadb_database,
    ),
    Server(name="redis", program="redis-server", default_port=6379, command=_redis),
    Server(
        name="rabbitmq",
        program="rabbitmq-server",
        default_port=5672,
        command=lambda program, *_: [program],
        environment=_rabbitmq_environment,
    ),
    Server(
        name="oidc",
        program=sys.executable,
        default_port=9797,
        command=_oidc,
        environment=lambda *_: {"PYTHONPATH": str(ROOT)},
    ),
)

NAMES = ", ".join(server.name for server in SERVERS)


def start(server: Server) -> str:
    """Start ``server`` unless it answers; what came of it, in a few words."""
    if service_problem(server.name) is None:
        return "answers already"
    program = find(server.program)
    if program is None:
        return f"not installed ({server.program} not found)"
    account = server.account if os.geteuid() == 0 else None
    log = HOME / f"{server.name}.log"
    data = _data_directory(server, account)
    environment = {**os.environ, **server.environment(data, server.port)}
    with log.open("ab") as output:

        def launch(command: list[str]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                cwd=data,
                env=environment,
                user=account,
                group=account,
                extra_groups=[] if account else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

        prepare = server.prepare(data)
        if prepare and not any(data.iterdir()) and launch(prepare).wait():
            return f"could not be prepared; see {log}"
        process = launch(server.command(program, data, server.port))
        STATE.write_text(json.dumps(_started() | {server.name: [process.pid, _since(process.pid)]}))
        if not _answers(server.name, process):
            return f"started but does not answer; see {log}"
        finish = server.finish(server.port)
        if finish:
            launch(finish).wait()  # fails where the database exists, which is what is wanted
    return f"started on port {server.port}"


def _data_directory(server: Server, account: str | None) -> Path:
    data = HOME / server.name
    # another account cannot reach a checkout in root's home: its data goes to a place it can
    if account and not all(parent.stat().st_mode & 0o001 for parent in HOME.parents):
        data = Path("/var/tmp") / f"tijolo-services-{server.port}" / server.name
    data.mkdir(parents=True, exist_ok=True)
    if account:
        shutil.chown(data, account, account)
        data.chmod(0o700)
    return data


def _answers(name: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if service_problem(name) is None:
            return True
        time.sleep(0.2)
    return False


def _started() -> dict[str, tuple[int, str]]:
    """By name: the process, and since when it runs, because numbers are used again."""
    started: dict[str, tuple[int, str]] = json.loads(STATE.read_text()) if STATE.exists() else {}
    return started


def _since(pid: int) -> str:
    if shutil.which("ps") is None:
        return ""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip()


def stop(server: Server) -> str:
    """End what an earlier ``start`` of this checkout started."""
    started = _started()
    pid, since = started.pop(server.name, (0, ""))
    if not pid or since != _since(pid):
        return "not started here"
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients
    _signal(pid, signal.SIGINT if server.name == "postgres" else signal.SIGTERM)
    deadline = time.monotonic() + WAIT_SECONDS
    while _signal(pid, 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    STATE.write_text(json.dumps(started))
    return "stopped"


def status(server: Server) -> str:
    """Whether it answers, whoever started it."""
    return service_problem(server.name) or "answers"


ACTIONS: dict[str, Callable[[Server], str]] = {"start": start, "stop": stop, "status": status}


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    """Start, stop, or say what answers."""
    parser = argparse.ArgumentParser(prog="hatch run services", description=__doc__)
    parser.add_argument("action", choices=[*ACTIONS])
    parser.add_argument("names", nargs="*", help=f"of: {NAMES}; or all")
    args = parser.parse_args(argv)
    HOME.mkdir(exist_ok=True)
    for server in SERVERS:
        if args.names and server.name not in args.names:
            continue
        print(f"{server.name}: {ACTIONS[args.action](server)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
