"""``hatch run news add <package> <type> "<sentence>"`` and ``hatch run news check``."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools.changed import changed, files_since
from tools.workspace import ROOT, Package, choose, git, load

CONFIG = ROOT / "tools/towncrier.toml"
TYPES = [
    entry["directory"]
    for entry in tomllib.loads(CONFIG.read_text(encoding="utf-8"))["tool"]["towncrier"]["type"]
]


def fragments(package: Package) -> dict[Path, str]:
    """The fragments of the next release, each with its type."""
    paths = sorted((package.directory / "changelog.d").glob("*.md"))
    return {path: path.stem.rpartition(".")[2] for path in paths}


def add(package: Package, kind: str, sentence: str) -> Path:
    """Write a fragment; its name comes from the sentence."""
    slug = re.sub(r"[^a-z0-9]+", "-", sentence.lower()).strip("-")[:40].rstrip("-")
    path = package.directory / "changelog.d" / f"+{slug}.{kind}.md"
    if path.exists():
        raise SystemExit(f"{path.relative_to(ROOT)} exists already")
    path.write_text(sentence.strip() + "\n", encoding="utf-8")
    return path


def problems(since: str) -> Iterator[str]:
    """Fragments that would not be read, and packages changed since ``since`` without one."""
    packages = load()
    for package in packages.values():
        for path, kind in fragments(package).items():
            if kind not in TYPES:
                yield f"{path.relative_to(ROOT)}: the type {kind!r} is none of {', '.join(TYPES)}"
            if not path.read_text(encoding="utf-8").strip():
                yield f"{path.relative_to(ROOT)} is empty"
    if not git("rev-parse", "--verify", "--quiet", since, check=False):
        return  # a clone without that branch: nothing to compare with
    files = files_since(since)
    sources = [file for file in files if "/src/" in file and not file.endswith("_compat.py")]
    for name in changed(sources, packages, direct=True):
        news = (f"packages/{name}/changelog.d/", f"packages/{name}/CHANGELOG.md")
        if not any(file.startswith(news) for file in files):
            yield f'{name} changed since {since}: hatch run news add {name} fixed "..."'


def main(argv: list[str] | None = None) -> int:
    """Add a fragment, or check that what changed has one."""
    parser = argparse.ArgumentParser(prog="hatch run news", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add")
    adding.add_argument("package")
    adding.add_argument("type", choices=TYPES)
    adding.add_argument("sentence")
    commands.add_parser("check").add_argument("--since", default="origin/main")
    args = parser.parse_args(argv)
    if args.command == "add":
        path = add(choose([args.package])[0], args.type, args.sentence)
        print(f"wrote {path.relative_to(ROOT)}")
        return 0
    found = list(problems(args.since))
    for problem in found:
        print(problem, file=sys.stderr)
    print(f"news: {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
