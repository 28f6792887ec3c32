"""``hatch run release <package>``: a release commit, proved, and the command that tags it."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tools import api, compat, matrix
from tools.news import CONFIG, fragments
from tools.workspace import Package, choose, git, last_tag, load, run


def next_version(version: str, kinds: set[str]) -> str:
    """The smallest version that may carry changes of these kinds (semantic versioning).

    Before 1.0 a breaking change takes a minor version, as every new capability does.
    """
    major, minor, patch = Version(version).release
    if "breaking" in kinds and major:
        return f"{major + 1}.0.0"
    if kinds <= {"fixed", "security"}:
        return f"{major}.{minor}.{patch + 1}"
    return f"{major}.{minor + 1}.0"


def choose_version(package: Package, asked: str | None) -> str:
    """The version to release: ``asked``, if it is no smaller step than the fragments call for."""
    kinds = set(fragments(package).values())
    if not kinds:
        raise SystemExit(f"{package.name} has no changelog fragments: nothing to release")
    smallest = next_version(package.version, kinds)
    if asked is None:
        return smallest
    if not compat.PLAIN_VERSION.fullmatch(asked):
        raise SystemExit(f"{asked!r} is not a plain X.Y.Z")
    first = last_tag(package) is None and asked == package.version  # never released so far
    if not first and Version(asked) < Version(smallest):
        raise SystemExit(f"{asked} is too small a step: the fragments call for {smallest}")
    return asked


def check_siblings(package: Package) -> list[str]:
    """Siblings to publish first; refuses ranges that no release of a sibling lies in."""
    waiting: list[str] = []
    for name, spec in package.requires.items():
        sibling = load()[name]
        tags = git("tag", "--list", f"{sibling.distribution}-v*").splitlines()
        if not tags:
            waiting.append(sibling.distribution)
        elif not any(tag.rpartition("-v")[2] in SpecifierSet(spec) for tag in tags):
            raise SystemExit(
                f"{package.name} requires {name} {spec}, and no such release exists; "
                f"run first: hatch run release {name}"
            )
    return waiting


def write(package: Package, version: str) -> None:
    """The version, the changelog, and everything that shows either."""
    path = package.source / "_version.py"
    path.write_text(f'__version__ = "{version}"\n', encoding="utf-8")
    where = ("--config", CONFIG, "--dir", package.directory)
    what = ("--name", package.distribution, "--version", version)
    date = datetime.now(UTC).date().isoformat()
    run(sys.executable, "-m", "towncrier", "build", "--yes", *where, *what, "--date", date)
    compat.main(["sync"])


def prove(package: Package) -> None:
    """The ranges hold, and the wheel works alone, with the oldest siblings and with old users."""
    if compat.main(["check"]) or matrix.main(["isolate", "lowest", "released", package.name]):
        raise SystemExit(f"{package.name} is not ready")


def notes(package: Package, version: str) -> str:
    """The section of the changelog about ``version``."""
    text = (package.directory / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(version)} .*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if section is None:
        raise SystemExit(f"packages/{package.name}/CHANGELOG.md has no section on {version}")
    return section[0].strip()


def check_tag(tag: str) -> tuple[Package, str]:
    """The package and version of a release tag; both must be what the tree says."""
    distribution, _, version = tag.rpartition("-v")
    package = choose([distribution.removeprefix("tijolo-")])[0]
    if package.distribution != distribution or package.version != version:
        raise SystemExit(f"tag {tag!r}: the tree has {package.distribution} {package.version}")
    return package, version


def release(package: Package, asked: str | None) -> None:
    """Bump, write, prove, commit; a failure leaves the tree as it was."""
    if git("status", "--porcelain"):
        raise SystemExit("Commit or stash first: a release commit holds only the release")
    version = choose_version(package, asked)
    waiting = check_siblings(package)
    if not api.check(package):
        raise SystemExit(f"{package.name} breaks its users without saying so")
    try:
        write(package, version)
        prove(package)
    except BaseException:
        git("reset", "--hard", "--quiet", "HEAD")
        raise
    git("add", "--all", "packages", "docs", "tools", "README.md")
    git("commit", "--quiet", "--message", f"Release {package.distribution} {version}")
    tag = f"{package.distribution}-v{version}"
    print(f"\n{notes(package, version)}\n\nCommitted. After it is on main:")
    for distribution in waiting:
        print(f"    (first publish {distribution}: no release of it exists)")
    print(f'    git tag --annotate {tag} --message "{package.distribution} {version}"')
    print(f"    git push origin {tag}")


def main(argv: list[str] | None = None) -> int:
    """Release, or look at a tag for the workflow that publishes it."""
    parser = argparse.ArgumentParser(prog="hatch run release", description=__doc__)
    parser.add_argument("package", help="a package; or, with --check-tag, a tag")
    parser.add_argument("--version", help="instead of the one that the fragments call for")
    parser.add_argument("--check-tag", action="store_true", help="print name and notes of a tag")
    args = parser.parse_args(argv)
    if args.check_tag:
        package, version = check_tag(args.package)
        print(f"{package.name}\n{notes(package, version)}")
    else:
        release(choose([args.package])[0], args.version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
