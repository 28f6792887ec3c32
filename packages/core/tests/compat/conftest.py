"""A site-packages of made-up tijolo packages around the real ``tijolo.core.compat``."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tijolo.core.compat

FIRST_LINES = """\
from tijolo.core.compat import enforce as _enforce
from tijolo.{module}._compat import COMPAT as _COMPAT
from tijolo.{module}._version import __version__

_enforce(_COMPAT, __version__)
"""


class Site:
    """One directory on the path of fresh interpreters that see nothing but it and the stdlib."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = [root]

    def add(self, name, version, *, root=None, body="", **statements):
        """Write the package ``name``; without statements it stands alone, as br-validators does."""
        module = name.replace("-", "_")
        package = (root or self.root) / "tijolo" / module
        package.mkdir(parents=True)
        (package / "_version.py").write_text(f'__version__ = "{version}"\n')
        if name == "core":
            real = Path(tijolo.core.compat.__file__).parent
            shutil.copytree(real, package / "compat", ignore=shutil.ignore_patterns("__pycache__"))
        elif statements:
            body = FIRST_LINES.format(module=module) + body
        (package / "__init__.py").write_text(body)
        if name == "core" or statements:
            payload = {"schema": 1, "name": name, **statements}
            (package / "_compat.py").write_text(f"COMPAT = {payload!r}\n")
        return package

    def python(self, *arguments, **env):
        """Run a fresh interpreter; ``-S`` keeps the packages of the running environment out."""
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, self.path)), **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def run(self, code, **env):
        """What ``code`` prints; it must succeed."""
        done = self.python("-W", "error", "-c", code, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def error(self, code, **env):
        """The message of the exception that ends ``code``."""
        done = self.python("-c", code, **env)
        assert done.returncode == 1, (done.returncode, done.stdout)
        return done.stderr.split("\n", 1)[1]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")
