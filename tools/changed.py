"""``hatch run changed [--since REF] [--direct]``: which packages a branch touches, as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from tools.workspace import Package, git, load

# What only words are in changes no package.
HARMLESS = ("docs/", "README.md", "LICENSE", ".gitignore")


def files_since(reference: str) -> list[str]:
    """The files that differ from where the branch left ``reference``, uncommitted ones too."""
    base = git("merge-base", reference, "HEAD")
    tracked = git("diff", "--name-only", base)
    untracked = git("ls-files", "--others", "--exclude-standard")
    return sorted({*tracked.splitlines(), *untracked.splitlines()})


def changed(files: list[str], packages: dict[str, Package], *, direct: bool) -> list[str]:
    """The packages that ``files`` belong to, with all that depend on them unless ``direct``.

    A file of the repository itself (tools, tests, CI, configuration) means every package.
    """
    touched = {name for name in packages if any(f.startswith(f"packages/{name}/") for f in files)}
    if direct:
        return sorted(touched)
    if any(not f.startswith(("packages/", *HARMLESS)) for f in files):
        return sorted(packages)
    while more := {
        name for name, p in packages.items() if touched & p.siblings.keys() and name not in touched
    }:
        touched |= more
    return sorted(touched)


def main(argv: list[str] | None = None) -> int:
    """Print the names."""
    parser = argparse.ArgumentParser(prog="hatch run changed", description=__doc__)
    parser.add_argument("--since", default="origin/main", help="a git reference")
    parser.add_argument("--direct", action="store_true", help="without dependents")
    args = parser.parse_args(argv)
    print(json.dumps(changed(files_since(args.since), load(), direct=args.direct)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
