"""``hatch run matrix isolate|lowest|released... [package...]``: the wheels, each on its own.

isolate   the wheel with its hard dependencies and nothing else: every module imports, tests pass
lowest    the same with the oldest versions that it claims to work with, siblings from their tags
released  the last released dependents, with the tests of their tags, on this tree's package
"""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from packaging.specifiers import SpecifierSet

from tools.wheels import Venv, build_tag, build_tree, modules_in, sources_of_tag
from tools.workspace import ROOT, Package, choose, git, last_tag, load

AT_ONCE = 3  # trials, each one process that often waits
PLUGIN = "tijolo.core.testing.pytest_services"
IMPORT_ALL = """
import importlib, sys
command, behind, failed = sys.argv[1], [], []
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        # MissingExtraError, or what a package that stands alone has instead of it
        if command and isinstance(error, ImportError) and command in str(error):
            behind.append(name)
        else:
            failed.append(f"{name}: {type(error).__name__}: {error}")
print("\\n".join(failed) or f"behind an extra: {', '.join(behind) or 'none'}")
sys.exit(bool(failed))
"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One wheel in one new environment."""

    package: Package
    wheel: Path
    siblings: dict[str, Path]
    folder: Path
    tests: Path
    lowest: bool = False

    def run(self) -> str:
        """Import, test, and do both again with the extras; what was seen, in a line."""
        venv = Venv(self.folder / "venv")
        self._install(venv, self.wheel, self.package.requires, self.package.dependencies)
        if self.package.standalone and (found := venv.distributions()) != {
            self.package.distribution
        }:
            raise SystemExit(f"{self.package.name} stands alone but brings {sorted(found)}")
        extras = self.package.extras
        seen = [self._import(venv, missing_extras=bool(extras))]
        venv.install(*_test_requirements(self.package))
        summary, skipped = self._pytest(venv, ["tests"])
        seen.append(summary)
        if extras:
            named = f"{self.wheel}[{','.join(sorted(extras))}]"
            wanted = [entry for entries in extras.values() for entry in entries]
            self._install(venv, named, self.package.siblings, wanted)
            seen.append(f"with extras {self._import(venv, missing_extras=False)}")
            if skipped:
                seen.append(self._pytest(venv, skipped)[0])
        return "; ".join(seen)

    def _install(
        self, venv: Venv, wheel: str | Path, names: dict[str, str], requirements: list[str]
    ) -> None:
        closure = [self.siblings[name] for name in _closure(names)]
        # the lowest resolution does not look into the requirements of a wheel: name them again
        direct = [r for r in requirements if not r.startswith("tijolo-")] if self.lowest else []
        how = ["--resolution", "lowest-direct"] if self.lowest else []
        venv.install(*how, wheel, *closure, *direct)

    def _import(self, venv: Venv, *, missing_extras: bool) -> str:
        modules = modules_in(self.wheel)
        if missing_extras or "pytest" not in venv.distributions():
            # plugins of pytest are imported by pytest, which the test run below does
            modules = [m for m in modules if ".testing.pytest_" not in m]
        command = f'pip install "{self.package.distribution}[' if missing_extras else ""
        warnings = [] if self.lowest else ["-W", "error"]
        done = venv.run(*warnings, "-c", IMPORT_ALL, command, *modules, cwd=self.folder)
        if done.returncode:
            raise SystemExit(f"{self.package.name}: not every module imports\n{done.stdout}")
        return f"{len(modules)} modules import ({done.stdout.strip()})"

    def _pytest(self, venv: Venv, tests: list[str]) -> tuple[str, list[str]]:
        """The summary of a run of the copied tests, and the files with skipped tests."""
        if not (self.folder / "tests").exists():
            shutil.copytree(self.tests, self.folder / "tests")
        config = pytest_config(venv.distributions(), strict=not self.lowest)
        (self.folder / "pyproject.toml").write_text(config, encoding="utf-8")
        report = self.folder / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}", "-ojunit_family=xunit1"]
        done = venv.run("-m", "pytest", *options, *tests, cwd=self.folder)
        if done.returncode:
            raise SystemExit(f"{self.package.name}: its tests fail\n{done.stdout}")
        cases = ET.parse(report).getroot().iter("testcase")
        skipped = {case.attrib["file"] for case in cases if case.find("skipped") is not None}
        return done.stdout.strip().splitlines()[-1].strip("= "), sorted(skipped)


def pytest_config(installed: set[str], *, strict: bool) -> str:
    """The pytest settings of the root, without the plugins that are not installed."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    options = dict(root["tool"]["pytest"]["ini_options"])
    del options["testpaths"]
    if "tijolo-core" not in installed:
        options["addopts"] = [a for a in options["addopts"] if a not in ("-p", PLUGIN)]
    if "pytest-asyncio" not in installed:
        options = {key: value for key, value in options.items() if not key.startswith("asyncio")}
    if not strict:  # old libraries may warn on new interpreters; that is not ours to fail on
        options.pop("filterwarnings")
    return tomlkit.dumps({"tool": {"pytest": {"ini_options": options}}})


def _test_requirements(package: Package) -> list[str]:
    return list(package.pyproject["dependency-groups"]["test"])


def _closure(names: dict[str, str]) -> set[str]:
    packages, closure = load(), set[str]()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        closure.add(name)
        waiting += packages[name].requires
    return closure


def isolate(package: Package, wheels: dict[str, Path], folder: Path) -> str:
    """The wheel with nothing but its hard dependencies, then with its extras."""
    tests = package.directory / "tests"
    return Trial(
        package=package, wheel=wheels[package.name], siblings=wheels, folder=folder, tests=tests
    ).run()


def lowest(package: Package, wheels: dict[str, Path], folder: Path) -> str:
    """The wheel with the oldest siblings and libraries that its metadata admits."""
    siblings = dict(wheels)
    for name, spec in package.siblings.items():
        sibling = load()[name]
        oldest = _oldest_tag(sibling, spec)
        if oldest:
            siblings[name] = build_tag(sibling, oldest)
    return Trial(
        package=package,
        wheel=wheels[package.name],
        siblings=siblings,
        folder=folder,
        tests=package.directory / "tests",
        lowest=True,
    ).run()


def _oldest_tag(package: Package, spec: str) -> str | None:
    tags = git("tag", "--list", f"{package.distribution}-v*", "--sort=version:refname")
    return next((t for t in tags.splitlines() if t.rpartition("-v")[2] in SpecifierSet(spec)), None)


def released(package: Package, wheels: dict[str, Path], folder: Path) -> str:
    """What ``supports`` promises: the last release of every dependent works on this tree."""
    seen: list[str] = []
    for dependent in load().values():
        tag = last_tag(dependent) if package.name in dependent.siblings else None
        if tag:
            place = folder / dependent.name
            place.mkdir(parents=True)
            seen.append(f"{tag}: {_released(package, dependent, tag, wheels, place)}")
    return "; ".join(seen) or "no dependent was released yet"


def _released(
    package: Package, dependent: Package, tag: str, wheels: dict[str, Path], folder: Path
) -> str:
    source, wheel = sources_of_tag(dependent, tag), build_tag(dependent, tag)
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    stated = _payload(source / "src" / Path(*dependent.module.split(".")) / "_compat.py")
    requires: dict[str, str] = stated["requires"]
    venv = Venv(folder / "venv")
    closure = [wheels[name] for name in _closure(requires | {package.name: ""})]
    libraries = [r for r in project["project"]["dependencies"] if not r.startswith("tijolo-")]
    venv.install(*closure, *libraries)
    venv.install("--no-deps", wheel)
    spec = requires.get(package.name) or stated.get("optional", {}).get(package.name, "")
    floor = package.supports.get(dependent.name, "")
    if package.version in SpecifierSet(spec) and tag.rpartition("-v")[2] in SpecifierSet(floor):
        venv.install(*(project["dependency-groups"]["test"]))
        trial = Trial(
            package=dependent, wheel=wheel, siblings=wheels, folder=folder, tests=source / "tests"
        )
        return trial._pytest(venv, ["tests"])[0]
    done = venv.run("-c", f"import {dependent.module}", cwd=folder)
    if "IncompatibleVersionError" not in done.stdout:
        raise SystemExit(f"{tag} and this {package.name} exclude each other, but it imports")
    return "excluded by the ranges, and refused at import"


def _payload(path: Path) -> dict[str, dict[str, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literal = next(node.value for node in tree.body if isinstance(node, ast.Assign))
    payload: dict[str, dict[str, str]] = ast.literal_eval(literal)
    return payload


MODES: dict[str, Callable[[Package, dict[str, Path], Path], str]] = {
    "isolate": isolate,
    "lowest": lowest,
    "released": released,
}


def main(argv: list[str] | None = None) -> int:
    """Build every wheel once, then try the named packages in the named modes."""
    parser = argparse.ArgumentParser(prog="hatch run matrix", description=__doc__)
    parser.add_argument("names", nargs="+", help=f"{', '.join(MODES)}; then packages, or all")
    names: list[str] = parser.parse_args(argv).names
    modes = [name for name in names if name in MODES] or parser.error(f"name a mode: {[*MODES]}")
    packages = choose([name for name in names if name not in MODES])
    with tempfile.TemporaryDirectory(prefix="tijolo-matrix-") as temporary:
        folder = Path(temporary)
        started = time.monotonic()
        everything = "released" in modes and bool(git("tag", "--list", "tijolo-*"))
        needed = {n for p in packages for n in (p.name, *_closure(p.siblings))}
        built = [p for p in load().values() if everything or p.name in needed]
        wheels = build_tree(built, folder / "wheels")
        print(f"built {len(wheels)} wheels in {time.monotonic() - started:.1f} s", flush=True)
        # those with the most tests first: nothing waits for them at the end
        longest = sorted(packages, key=_bytes_of_tests, reverse=True)
        trials = [(mode, package) for mode in modes for package in longest]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(_try, *trial, wheels, folder) for trial in trials]
            try:
                for done in as_completed(running):
                    print(done.result(), flush=True)
            finally:  # the first failure ends what has not begun
                pool.shutdown(cancel_futures=True)
    return 0


def _bytes_of_tests(package: Package) -> int:
    return sum(path.stat().st_size for path in (package.directory / "tests").rglob("*.py"))


def _try(mode: str, package: Package, wheels: dict[str, Path], folder: Path) -> str:
    started = time.monotonic()
    place = folder / mode / package.name
    place.mkdir(parents=True)
    seen = MODES[mode](package, wheels, place)
    return f"{mode} {package.name}: {seen} [{time.monotonic() - started:.1f} s]"


if __name__ == "__main__":
    sys.exit(main())
