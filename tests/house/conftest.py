"""Scratch copies of the repository, to break on purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AUTHOR = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Scratch"), ("EMAIL", "scratch@example.invalid"))
}


class Scratch:
    """A copy of the working tree with a git history of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command, **env):
        """Run a command in the copy; stderr comes with stdout."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            env={**os.environ, **AUTHOR, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def tool(self, name, *arguments, **env):
        """Run one of the repository's tools on the copy."""
        return self.run(sys.executable, "-m", f"tools.{name}", *arguments, **env)

    def git(self, *arguments):
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def commit(self, message="change"):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def text(self, path):
        return (self.path / path).read_text(encoding="utf-8")

    def write(self, path, text):
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def append(self, path, text):
        self.write(path, self.text(path) + text)

    def replace(self, path, old, new):
        text = self.text(path)
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """The working tree as git sees it, committed."""
    copy = Scratch(tmp_path_factory.mktemp("pristine") / "tijolo")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).exists():
            (copy.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy.path / name)
    copy.git("init", "--quiet", "--initial-branch=main")
    copy.commit("start")
    return copy


@pytest.fixture
def scratch(pristine, tmp_path):
    path = tmp_path / "tijolo"
    shutil.copytree(pristine.path, path)
    return Scratch(path)
