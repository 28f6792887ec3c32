"""``hatch run api [package...]``: no public name breaks without a ``breaking`` fragment."""

from __future__ import annotations

import argparse
import sys

import griffe

from tools.news import fragments
from tools.workspace import ROOT, Package, choose, last_tag


def breakages(package: Package, tag: str) -> list[str]:
    """What breaks for users of the release ``tag``, one line each."""
    source = f"packages/{package.name}/src"
    old = griffe.load_git(package.module, ref=tag, repo=ROOT, search_paths=[source])
    new = griffe.load(package.module, search_paths=[str(ROOT / source)])
    found = griffe.find_breaking_changes(old, new)
    return [breakage.explain(griffe.ExplanationStyle.ONE_LINE) for breakage in found]


def check(package: Package) -> bool:
    """Print what breaks; whether that is announced."""
    tag = last_tag(package)
    if tag is None:
        print(f"api {package.name}: no release to compare with")
        return True
    found = breakages(package, tag)
    announced = "breaking" in fragments(package).values()
    for line in found:
        print(f"  {line}")
    verdict = "announced" if announced else "not announced"
    print(f"api {package.name}: {len(found)} breakages since {tag}{f', {verdict}' * bool(found)}")
    if found and not announced:
        print(
            f'If it must break: hatch run news add {package.name} breaking "..."', file=sys.stderr
        )
    return announced or not found


def main(argv: list[str] | None = None) -> int:
    """Check the named packages, or all."""
    parser = argparse.ArgumentParser(prog="hatch run api", description=__doc__)
    parser.add_argument("packages", nargs="*")
    packages = choose(parser.parse_args(argv).packages)
    verdicts = [check(package) for package in packages]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
