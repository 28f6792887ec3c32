"""``hatch run bench [area ...] [--json FILE]``: run the named areas, or all of them.

An area is a module ``bench_<area>.py`` here with a function ``groups() -> list[Group]``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tests.benchmarks.harness import run

AREAS = sorted(
    path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
)


def main() -> int:
    """Measure what the command line names; exit status 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="hatch run bench", description=__doc__)
    parser.add_argument("areas", nargs="*", default=AREAS, help=f"of: {', '.join(AREAS)}")
    parser.add_argument("--json", dest="json_path", help="also write the results to this file")
    args = parser.parse_args()
    unknown = sorted(set(args.areas) - set(AREAS))
    if unknown:
        parser.error(f"unknown area {unknown[0]!r}; there are: {', '.join(AREAS)}")
    groups = [
        group
        for area in args.areas
        for group in importlib.import_module(f"tests.benchmarks.bench_{area}").groups()
    ]
    return 0 if run(groups, json_path=args.json_path) else 1


if __name__ == "__main__":
    sys.exit(main())
