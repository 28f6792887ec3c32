"""Who may import whom, by import-linter: ``python -m tools.import_graph``.

The contracts are not written a second time: each package may import exactly the siblings that
tools/compatibility.toml names for it, under ``TYPE_CHECKING`` as well.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tomlkit
from importlinter.cli import lint_imports

from tools.workspace import ROOT, Package, load


def configuration(packages: dict[str, Package]) -> str:
    """The import-linter configuration: for every package, what it must not import."""
    contracts = [
        {
            "name": f"{package.name} imports {', '.join(sorted(package.siblings)) or 'no sibling'}",
            "type": "forbidden",
            "source_modules": [package.module],
            "forbidden_modules": forbidden,
            # what web imports of observability is web's business, not that of who imports web
            "allow_indirect_imports": True,
        }
        for package in packages.values()
        if (forbidden := _forbidden(package, packages))
    ]
    roots = [package.module for package in packages.values()]
    settings = {"root_packages": roots, "contracts": contracts}
    return tomlkit.dumps({"tool": {"importlinter": settings}})


def _forbidden(package: Package, packages: dict[str, Package]) -> list[str]:
    allowed = {package.name, *package.siblings}
    return [other.module for other in packages.values() if other.name not in allowed]


def main() -> int:
    """Check this checkout, wherever the installed packages may come from."""
    packages = load()
    sys.path[:0] = [str(package.directory / "src") for package in packages.values()]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "importlinter.toml")
        config.write_text(configuration(packages), encoding="utf-8")
        return lint_imports(config_filename=str(config), no_cache=True, no_logo=True)


if __name__ == "__main__":
    assert Path.cwd() == ROOT, "run it from the root"
    sys.exit(main())
