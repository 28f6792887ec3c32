"""The packages of the workspace and what tools/compatibility.toml says about them."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMPATIBILITY = ROOT / "tools" / "compatibility.toml"


@dataclass(frozen=True, kw_only=True)
class Package:
    """One distribution: ``tijolo-<name>`` in ``packages/<name>``."""

    name: str
    standalone: bool = False
    requires: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    supports: dict[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """``packages/<name>``."""
        return ROOT / "packages" / self.name

    @property
    def distribution(self) -> str:
        """The name on the package index."""
        return f"tijolo-{self.name}"

    @property
    def module(self) -> str:
        """The import path."""
        return f"tijolo.{self.name.replace('-', '_')}"

    @property
    def source(self) -> Path:
        """The directory of the import package."""
        return self.directory / "src" / Path(*self.module.split("."))

    @property
    def version(self) -> str:
        """The version in the tree."""
        return version_in((self.source / "_version.py").read_text(encoding="utf-8"))

    @property
    def pyproject(self) -> dict[str, Any]:
        """Its ``pyproject.toml``."""
        return tomllib.loads((self.directory / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def dependencies(self) -> list[str]:
        """Its hard dependencies, siblings included."""
        return list(self.pyproject["project"]["dependencies"])

    @property
    def extras(self) -> dict[str, list[str]]:
        """What each of its extras brings."""
        return dict(self.pyproject["project"].get("optional-dependencies", {}))

    @property
    def siblings(self) -> dict[str, str]:
        """Every sibling it may import, with its range."""
        return self.requires | self.optional


def version_in(source: str) -> str:
    """The literal that a ``_version.py`` with this content assigns."""
    statement = ast.parse(source).body[0]
    if not isinstance(statement, ast.Assign):
        raise SystemExit('_version.py must be the one line __version__ = "X.Y.Z"')
    return str(ast.literal_eval(statement.value))


def load() -> dict[str, Package]:
    """The packages of compatibility.toml by name; it must name every directory of ``packages/``."""
    stated = tomllib.loads(COMPATIBILITY.read_text(encoding="utf-8"))["packages"]
    present = {path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")}
    if stated.keys() != present:
        wrong = ", ".join(sorted(stated.keys() ^ present))
        raise SystemExit(f"packages/ and tools/compatibility.toml do not name the same: {wrong}")
    return {name: Package(name=name, **rest) for name, rest in sorted(stated.items())}


def choose(names: list[str]) -> list[Package]:
    """The packages called ``names``, all of them where none is named."""
    packages = load()
    unknown = sorted(set(names) - packages.keys())
    if unknown:
        raise SystemExit(f"There is no package {unknown[0]!r}; there are: {', '.join(packages)}")
    return [package for name, package in packages.items() if not names or name in names]


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run ``command``, output and all; a failure ends the tool with the same status."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, check=False)
    if done.returncode:
        print(f"failed ({done.returncode}): {' '.join(map(str, command))}", file=sys.stderr)
        raise SystemExit(done.returncode)


def git(*arguments: str, check: bool = True) -> str:
    """What git prints for ``arguments`` in the root."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if check and done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def last_tag(package: Package) -> str | None:
    """The newest release tag of ``package``; None before its first release."""
    tags = git("tag", "--list", f"{package.distribution}-v*", "--sort=-version:refname")
    return tags.splitlines()[0] if tags else None
