"""Wheels of the tree and of released tags, and environments to try them in."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.workspace import ROOT, Package, run

UV = os.environ.get("HATCH_UV") or shutil.which("uv") or "uv"
WHEELHOUSE = ROOT / ".wheelhouse"
# without what would leak the checkout in, or make every run compile every library again
LEAKS = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
CLEAN_ENV = {key: value for key, value in os.environ.items() if key not in LEAKS}


def build(directory: Path, destination: Path) -> Path:
    """Build the sdist of ``directory`` and from it, not from the tree, the wheel."""
    run(UV, "build", "--quiet", directory, "--out-dir", destination)
    return next(destination.glob("*.whl"))


def build_tree(packages: list[Package], destination: Path) -> dict[str, Path]:
    """The wheels of the tree by package name, each with its content checked."""
    with ThreadPoolExecutor(2) as pool:
        built = pool.map(lambda p: build(p.directory, destination / p.name), packages)
        wheels = dict(zip((p.name for p in packages), built, strict=True))
    for package in packages:
        check_content(package, wheels[package.name])
    return wheels


def build_tag(package: Package, tag: str) -> Path:
    """The wheel of the release ``tag``; kept in ``.wheelhouse``."""
    destination = WHEELHOUSE / tag
    if not list(destination.glob("*.whl")):
        build(sources_of_tag(package, tag), destination)
    return next(destination.glob("*.whl"))


def sources_of_tag(package: Package, tag: str) -> Path:
    """The directory of ``package`` as it was at ``tag``."""
    folder = f"packages/{package.name}"
    destination = WHEELHOUSE / tag / "source"
    archive = subprocess.run(
        ["git", "archive", tag, folder], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(destination, filter="data")
    return destination / folder


def check_content(package: Package, wheel: Path) -> None:
    """The wheel must hold the whole package, its licence, and nothing of anybody else."""
    prefix = package.module.replace(".", "/") + "/"
    names = set(zipfile.ZipFile(wheel).namelist())
    tree = {
        prefix + path.relative_to(package.source).as_posix()
        for path in package.source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    foreign = sorted(n for n in names if not n.startswith(prefix) and ".dist-info/" not in n)
    missing = sorted({*tree, prefix + "py.typed"} - names)
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        missing.append("LICENSE")
    if foreign or missing:
        raise SystemExit(f"{wheel.name}: foreign files {foreign}, missing files {missing}")


def modules_in(wheel: Path) -> list[str]:
    """Every importable module of the wheel: scripts in data folders are not modules."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules: list[str] = []
    for name in sorted(names):
        parts = Path(name).with_suffix("").parts
        parents = (f"{'/'.join(parts[:n])}/__init__.py" for n in range(2, len(parts)))
        if name.endswith(".py") and parts[0] == "tijolo" and all(p in names for p in parents):
            modules.append(".".join(parts).removesuffix(".__init__"))
    return modules


class Venv:
    """A new virtual environment of the running interpreter's version, without pip."""

    def __init__(self, path: Path) -> None:
        self.python = path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run(UV, "venv", "--quiet", "--python", sys.executable, path)

    def install(self, *arguments: str | Path) -> None:
        """``uv pip install`` into it."""
        run(UV, "pip", "install", "--quiet", "--python", self.python, *arguments, env=CLEAN_ENV)

    def distributions(self) -> set[str]:
        """The names of what is installed in it."""
        listing = subprocess.run(
            [UV, "pip", "list", "--quiet", "--python", self.python, "--format", "json"],
            check=True,
            capture_output=True,
            text=True,
        )
        return {entry["name"] for entry in json.loads(listing.stdout)}

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run its interpreter; the output is captured, stderr with stdout."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env=CLEAN_ENV,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
