from __future__ import annotations

import subprocess
import sys

import tijolo.auth


def test_every_public_name_is_there() -> None:
    assert all(hasattr(tijolo.auth, name) for name in tijolo.auth.__all__)


def test_the_package_imports_no_extra() -> None:
    code = (
        "import sys, tijolo.auth;"
        "found = {'argon2', 'sqlalchemy', 'httpx', 'jinja2', 'redis'} & set(sys.modules);"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
