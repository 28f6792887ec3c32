"""Scratch copies of the repository, to break on purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit

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
        # libraries are compiled once, even where a machine forbids it for everything
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            env={**inherited, **AUTHOR, **env},
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


def make_light(scratch, name, test):
    """Leave the package ``name`` one test, no extra and no test library but pytest."""
    for path in (scratch.path / "packages" / name / "tests").rglob("*.py"):
        path.unlink()
    scratch.write(f"packages/{name}/tests/test_it.py", test)
    pyproject = f"packages/{name}/pyproject.toml"
    document = tomlkit.parse(scratch.text(pyproject))
    document["project"].pop("optional-dependencies", None)
    document["dependency-groups"]["test"] = ["pytest>=9"]
    scratch.write(pyproject, tomlkit.dumps(document))


@pytest.fixture
def light_validators(scratch):
    """A copy in which br-validators is quickly built, installed and tested."""
    make_light(scratch, "br-validators", "def test_it():\n    pass\n")
    # what needs the extra that is gone
    (scratch.path / "packages/br-validators/src/tijolo/br_validators/pydantic.py").unlink()
    return scratch


@pytest.fixture
def light_db(scratch):
    """A copy in which db has one change to release, and proofs that take no minutes."""
    make_light(scratch, "db", "import tijolo.db\n\n\ndef test_it():\n    tijolo.db.__version__\n")
    # what needs the extra that is gone
    (scratch.path / "packages/db/src/tijolo/db/viewsets.py").unlink()
    for path in (scratch.path / "packages/db/changelog.d").glob("*.md"):
        path.unlink()
    scratch.tool("news", "add", "db", "added", "Pages know their neighbours.")
    scratch.commit()
    return scratch


@pytest.fixture
def scratch(pristine, tmp_path):
    path = tmp_path / "tijolo"
    shutil.copytree(pristine.path, path)
    return Scratch(path)
