"""House rules that no linter knows, as checks of the syntax tree: ``python -m tools.house_rules``.

A line that must break a rule says so, there or on the line above:
``# house: allow <rule>, <reason>``. ``print`` and naive
datetimes are left to ruff (T20, DTZ).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.compat import runtime_imports
from tools.workspace import ROOT, Package, load

ESCAPE = re.compile(r"# house: allow (?P<rule>[a-z-]+), \S")
# The database boundary: who may end a transaction.
MAY_COMMIT = tuple(f"packages/db/src/tijolo/db/{name}.py" for name in ("boundary", "sync_manager"))
MAY_READ_ENVIRONMENT = ("packages/core/src/tijolo/core/compat/", "/testing/")
# Published by their makers as one library in two distributions.
PARTS_OF = {"pydantic": "pydantic-core"}
Finding = tuple[int, str]


@dataclass(frozen=True)
class Module:
    """One file under a rule: its path below the root, its tree, the package that it belongs to."""

    path: str
    tree: ast.Module
    package: Package | None

    @property
    def shipped(self) -> bool:
        """Part of a wheel, not a test, a tool or an example."""
        return self.package is not None and "/src/" in self.path


def base_http_middleware(module: Module) -> Iterator[Finding]:
    """BaseHTTPMiddleware costs a task and two streams a request and loses context variables."""
    for node in ast.walk(module.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        if "BaseHTTPMiddleware" in names:
            yield _line(node), "BaseHTTPMiddleware; write a pure ASGI class instead"


def commit(module: Module) -> Iterator[Finding]:
    """Only the boundary commits: a repository that commits splits its caller's transaction."""
    if module.path.startswith(MAY_COMMIT) or not (module.shipped or "examples/" in module.path):
        return
    for node in ast.walk(module.tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "commit":
            yield called.lineno, "commit() outside the database boundary; flush instead"


def private_import(module: Module) -> Iterator[Finding]:
    """What starts with an underscore may change in any release of its package."""
    own = module.package.module if module.package else None
    for node in ast.walk(module.tree):
        for name in _imported_names(node):
            parts = name.split(".")
            home = ".".join(parts[:2]) if parts[0] == "tijolo" else parts[0]
            private = any(p.startswith("_") and not p.endswith("__") for p in parts)
            if private and home not in (own, "_typeshed") and home not in sys.stdlib_module_names:
                yield _line(node), f"{name!r} is private to {home}"


def environment(module: Module) -> Iterator[Finding]:
    """The environment is read in one place, the application's settings."""
    if not module.shipped or any(allowed in module.path for allowed in MAY_READ_ENVIRONMENT):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv"):
            yield node.lineno, f"{ast.unparse(node)}; take a settings object instead"


def library(module: Module) -> Iterator[Finding]:
    """An optional library is imported in one module, named after it or its extra."""
    if module.package is None or not module.shipped:
        return
    hard, extras = _libraries(module.package)
    places = {part.strip("_") for part in Path(module.path).with_suffix("").parts}
    for line, name in runtime_imports(module.tree):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names or top == "tijolo":
            continue
        distributions = {canonicalize_name(d) for d in _distributions().get(top, [top])}
        if distributions & hard or (top == "pytest" and "testing" in places):
            continue
        homes = [extra for extra, brought in extras.items() if distributions & brought]
        if not homes:
            yield line, f"{top!r} is not among the dependencies of {module.package.distribution}"
        elif places.isdisjoint(wanted := {top, *(home.replace("-", "_") for home in homes)}):
            names = " or ".join(sorted(wanted))
            yield line, f"{top!r} belongs to an extra; import it in a module called {names}"


RULES: dict[str, Callable[[Module], Iterator[Finding]]] = {
    "base-http-middleware": base_http_middleware,
    "commit": commit,
    "environment": environment,
    "library": library,
    "private-import": private_import,
}


def files_in_namespace(packages: dict[str, Package]) -> Iterator[str]:
    """A file under ``tijolo/`` would belong to every distribution, and the last one wins."""
    for package in packages.values():
        for path in sorted((package.directory / "src/tijolo").iterdir()):
            if path != package.source and path.name != "__pycache__":
                where = path.relative_to(ROOT)
                yield f"{where}: only {package.source.name}/ may be directly under tijolo/"


def findings(packages: dict[str, Package]) -> Iterator[str]:
    """Every breach, as ``path:line: rule: what``."""
    yield from files_in_namespace(packages)
    for path in _files():
        name = path.relative_to(ROOT).as_posix()
        yield from breaches(name, path.read_text(encoding="utf-8"), _owner(path, packages))


def breaches(path: str, source: str, package: Package | None) -> Iterator[str]:
    """What the file ``path`` of ``package`` does against the rules, those that it may apart."""
    module, lines = Module(path, ast.parse(source), package), source.splitlines()
    for name, rule in RULES.items():
        for line, message in rule(module):
            escape = ESCAPE.search("\n".join(lines[max(0, line - 2) : line]))
            if escape is None or escape["rule"] != name:
                yield f"{path}:{line}: {name}: {message}"


def _files() -> Iterator[Path]:
    for folder in ("packages", "docs", "tests", "tools"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _owner(path: Path, packages: dict[str, Package]) -> Package | None:
    return next((p for p in packages.values() if path.is_relative_to(p.directory)), None)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _libraries(package: Package) -> tuple[set[str], dict[str, set[str]]]:
    """What the package may import anywhere, and what each extra brings.

    The hard dependencies of required siblings count: what core is built on is part of its API.
    """
    packages, hard = load(), set[str]()
    waiting = [package]
    while waiting:
        current = waiting.pop()
        hard |= _names(current.dependencies)
        waiting += [packages[name] for name in current.requires]
    return hard, {extra: _names(entries) for extra, entries in package.extras.items()}


def _names(requirements: list[str]) -> set[str]:
    names = {str(canonicalize_name(Requirement(entry).name)) for entry in requirements}
    return names | {part for whole, part in PARTS_OF.items() if whole in names}


def main() -> int:
    """Print every breach; 1 when there is one."""
    found = list(findings(load()))
    for finding in found:
        print(finding, file=sys.stderr)
    print(f"house rules: {len(RULES) + 1} rules, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
