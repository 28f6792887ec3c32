"""``python -m tijolo.core.compat``: what is installed, held against every package's statements.

Exits 1 on a conflict. No sibling is imported: an environment that cannot be imported is exactly
where this is needed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.metadata
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tijolo.core.compat._enforce import Conflict, ranges, upgrade_command
from tijolo.core.compat._installed import entries, read_version
from tijolo.core.compat._ranges import contains

STATEMENTS = ("requires", "optional", "supports")


@dataclass(frozen=True, kw_only=True)
class _Package:
    name: str
    version: str
    statements: dict[str, object] = field(default_factory=dict[str, object])
    metadata_version: str | None

    @property
    def stale(self) -> bool:
        return self.metadata_version not in (None, self.version)


def _installed() -> dict[str, _Package]:
    found: dict[str, _Package] = {}
    for entry, names in entries():
        for module in sorted(names or ()):
            version = read_version(f"{entry}{os.sep}{module}{os.sep}_version.py")
            name = module.replace("_", "-")
            if version is not None and name not in found:
                found[name] = _Package(
                    name=name,
                    version=version,
                    statements=_statements(Path(entry, module, "_compat.py")),
                    metadata_version=_metadata_version(name),
                )
    return dict(sorted(found.items()))


def _statements(path: Path) -> dict[str, object]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}  # a package that stands alone
    except (SyntaxError, ValueError) as exc:
        raise SystemExit(f"{path} cannot be read: {exc}; reinstall its package") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPAT":
            with contextlib.suppress(ValueError):
                literal: object = ast.literal_eval(node.value)
                if isinstance(literal, dict):
                    return cast("dict[str, object]", literal)
    raise SystemExit(f"{path} has no literal COMPAT; reinstall its package")


def _metadata_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(f"tijolo-{name}")
    except importlib.metadata.PackageNotFoundError:
        return None


def _conflicts(installed: dict[str, _Package]) -> tuple[Conflict, ...]:
    conflicts: list[Conflict] = []
    for package in installed.values():
        for statement in STATEMENTS:
            for sibling, spec in ranges(package.statements, statement).items():
                other = installed.get(sibling)
                found = other.version if other else None
                missing = found is None and statement == "requires"
                if missing or (found is not None and not contains(spec, found)):
                    conflicts.append(
                        Conflict(package.name, package.version, statement, sibling, spec, found)
                    )
    return tuple(conflicts)


def _as_json(installed: dict[str, _Package], conflicts: tuple[Conflict, ...]) -> str:
    packages = {
        package.name: {
            "version": package.version,
            "metadata_version": package.metadata_version,
            **{key: ranges(package.statements, key) for key in STATEMENTS},
        }
        for package in installed.values()
    }
    found = [conflict._asdict() for conflict in conflicts]
    return json.dumps({"packages": packages, "conflicts": found}, indent=2)


def _as_text(installed: dict[str, _Package], conflicts: tuple[Conflict, ...]) -> str:
    lines: list[str] = []
    for package in installed.values():
        lines.append(f"tijolo-{package.name} {package.version}")
        for statement in STATEMENTS:
            for sibling, spec in ranges(package.statements, statement).items():
                other = installed.get(sibling)
                verdict = "not installed" if other is None else f"found {other.version}"
                lines.append(f"    {statement} tijolo-{sibling} {spec}: {verdict}")
        if package.stale:
            lines.append(
                f"    note: its metadata says {package.metadata_version}, from before a version "
                "change; reinstall it to refresh (nothing is decided by it)"
            )
    if not conflicts:
        return "\n".join([*lines, "", "No conflicts."])
    lines += ["", "Conflicts:", *(f"  - {conflict}" for conflict in conflicts)]
    return "\n".join([*lines, "", f"To repair: {upgrade_command(conflicts)}"])


def main(argv: list[str] | None = None) -> int:
    """Print the picture; 1 when something does not fit together."""
    parser = argparse.ArgumentParser(prog="python -m tijolo.core.compat", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines")
    form.add_argument(
        "--constraints", action="store_true", help="what is installed, as a pip constraints file"
    )
    args = parser.parse_args(argv)
    installed = _installed()
    conflicts = _conflicts(installed)
    if args.json:
        print(_as_json(installed, conflicts))  # noqa: T201 - a command's output
    elif args.constraints:
        pins = (f"tijolo-{package.name}=={package.version}" for package in installed.values())
        print("\n".join(pins))  # noqa: T201 - a command's output
    else:
        print(_as_text(installed, conflicts))  # noqa: T201 - a command's output
    return 1 if conflicts else 0


if __name__ == "__main__":
    sys.exit(main())
