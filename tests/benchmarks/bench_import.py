"""What importing a package costs: a new interpreter each time, its compiled files there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.benchmarks.harness import Contender, Group

_RSS = """
import resource, sys, {module}
sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def _importing(module: str) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in range(count):
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    return run


class _Memory:
    """A clock that counts bytes: the resident memory after an import, in place of its seconds."""

    def __init__(self) -> None:
        self.bytes = 0.0

    def __call__(self) -> float:
        return self.bytes

    def after(self, module: str) -> Callable[[int], None]:
        def run(count: int) -> None:
            code = _RSS.format(module=module)
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            self.bytes += count * int(done.stdout) * 1024

        return run


def pulled(name: str) -> set[str]:
    """The distributions that installing ``name`` without extras brings, itself included."""
    found: set[str] = set()
    wanted = [Requirement(name)]
    while wanted:
        requirement = wanted.pop()
        one = canonicalize_name(requirement.name)
        found.add(one)
        for text in distribution(one).requires or ():
            further = Requirement(text)
            extras = requirement.extras or {""}
            asked = further.marker is None or any(
                further.marker.evaluate({"extra": extra}) for extra in extras
            )
            if asked and canonicalize_name(further.name) not in found:
                wanted.append(further)
    return found


class _Distributions(_Memory):
    """A clock that counts distributions."""

    def of(self, name: str) -> Callable[[int], None]:
        def run(count: int) -> None:
            self.bytes += count * len(pulled(name))

        return run


def _group(row: str, title: str, baseline: str, goals: dict[str, float]) -> Group:
    contenders = [Contender(name=f"import {baseline}", run=_importing(baseline), role="baseline")]
    contenders += [
        Contender(name=f"import {module}", run=_importing(module), goal=goal)
        for module, goal in goals.items()
    ]
    return Group(row=row, title=title, contenders=contenders, rounds=11, slice_seconds=0.1)


def groups() -> list[Group]:
    """Rows 8.1 to 8.3."""
    memory, distributions = _Memory(), _Distributions()
    return [
        _group(
            "8.1",
            "import time, to FastAPI alone",
            "fastapi",
            {
                "tijolo.core": 0.35,
                "tijolo.observability": 1.08,
                "tijolo.web": 1.08,
                "tijolo.auth": 1.2,
                "tijolo.cache": 1.2,
                "tijolo.http": 1.2,
                "tijolo.email": 1.2,
            },
        ),
        _group(
            "8.1b",
            "import time, to SQLAlchemy alone",
            "sqlalchemy.ext.asyncio, sqlalchemy.orm",
            {"tijolo.db": 1.05},
        ),
        Group(
            row="8.2",
            title="distributions that installing it brings (read: 1 s is one)",
            clock=distributions,
            rounds=1,
            slice_seconds=1.0,
            contenders=[
                Contender(name="fastapi", run=distributions.of("fastapi"), role="baseline"),
                # its two siblings, itself, and what reads settings
                Contender(name="tijolo-web", run=distributions.of("tijolo-web"), goal=1.5),
            ],
        ),
        Group(
            row="8.3",
            title="resident memory after the import (read: 1 s is 1 byte)",
            clock=memory,
            rounds=3,
            slice_seconds=1.0,
            contenders=[
                Contender(name="fastapi", run=memory.after("fastapi"), role="baseline"),
                Contender(name="tijolo.web", run=memory.after("tijolo.web"), goal=1.1),
            ],
        ),
    ]
