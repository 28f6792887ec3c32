"""The decision whether a package may be imported next to its siblings.

On the path of a healthy import there is no ``importlib.metadata``, no ``packaging`` and no ``re``:
the check must cost microseconds, in every process, for every package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from tijolo.core._compat import COMPAT as _CORE
from tijolo.core._version import __version__ as _core_version
from tijolo.core.compat._installed import version_of
from tijolo.core.compat._ranges import contains

Payload = Mapping[str, object]

# What has been imported in this process and passed: name -> (version, statements). Core is in it
# from the start, so that what a new core says about an old dependent is heard.
_imported: dict[str, tuple[str, Payload]] = {"core": (_core_version, _CORE)}


class Conflict(NamedTuple):
    """One statement that does not hold for what is installed."""

    package: str
    """Who states the range, as in ``db``."""
    version: str
    """The installed version of ``package``."""
    statement: str
    """``requires``, ``optional`` or ``supports``."""
    sibling: str
    """The package that the range is about."""
    range: str
    """The range that was stated, as in ``>=0.3,<1``."""
    found: str | None
    """The version of ``sibling`` found here; None where it is not installed."""

    def __str__(self) -> str:
        verb = "supports" if self.statement == "supports" else "requires"
        found = f"found {self.found}" if self.found else "which is not installed"
        return (
            f"tijolo-{self.package} {self.version} {verb} "
            f"tijolo-{self.sibling} {self.range}; {found}"
        )


class IncompatibleVersionError(RuntimeError):
    """The installed tijolo packages do not work together.

    No ``ImportError``: a guard such as ``except ImportError`` must not turn a broken pair of
    packages into an absent one.
    """

    __module__ = "tijolo.core.compat"  # the name by which a traceback calls it

    def __init__(self, name: str, version: str, conflicts: tuple[Conflict, ...]) -> None:
        self._arguments = (name, version, conflicts)
        self.conflicts = conflicts
        """Everything that does not hold, not only the first."""
        self.fix = upgrade_command(conflicts, name)
        """The pip command that repairs the environment."""
        lines = "\n".join(f"  - {conflict}" for conflict in conflicts)
        super().__init__(
            f"tijolo-{name} {version} cannot be used with the tijolo packages installed here:\n\n"
            f"{lines}\n\n"
            f"Upgrade to a set that works together:\n    {self.fix}\n"
            f"or change only what is out of range:\n    {_pin_command(conflicts)}\n\n"
            "See the whole matrix with: python -m tijolo.core.compat\n"
            f"To go on at your own risk, set TIJOLO_ALLOW_INCOMPATIBLE={name} (or =all); "
            "this warns instead of failing."
        )

    def __reduce__(self) -> tuple[type[IncompatibleVersionError], tuple[object, ...]]:
        # a worker process sends it to its parent by pickle
        return type(self), self._arguments


class IncompatibleVersionWarning(UserWarning):
    """The same finding, where ``TIJOLO_ALLOW_INCOMPATIBLE`` lets the import go on."""

    __module__ = "tijolo.core.compat"


def enforce(payload: Payload, version: str) -> None:
    """Check ``payload``, the ``COMPAT`` of the package being imported at ``version``.

    This signature is frozen: any release of any package calls any release of core. Unknown keys
    of the payload are ignored.

    Raises:
        IncompatibleVersionError: when a range does not hold, in either direction.
    """
    name = cast("str", payload["name"])
    # known before it is checked, so that of two packages that threads import at once one sees
    # the other; and before its own imports, so that what they say of it is heard
    _imported[name] = (version, payload)
    conflicts = (*_own_conflicts(name, version, payload), *_conflicts_of_others(name, version))
    if conflicts:
        error = IncompatibleVersionError(name, version, conflicts)
        if not _allowed(name):
            del _imported[name]
            raise error
        import warnings

        warnings.warn(str(error), IncompatibleVersionWarning, stacklevel=2)


def ranges(payload: Payload, statement: str) -> Mapping[str, str]:
    """What ``payload`` says under ``statement``; empty where it says nothing."""
    return cast("Mapping[str, str]", payload.get(statement) or {})


def upgrade_command(conflicts: tuple[Conflict, ...], *first: str) -> str:
    """The pip command that upgrades every package of ``conflicts`` together."""
    names = dict.fromkeys((*first, *(n for c in conflicts for n in (c.package, c.sibling))))
    return "python -m pip install --upgrade " + " ".join(f"tijolo-{name}" for name in names)


def _pin_command(conflicts: tuple[Conflict, ...]) -> str:
    wanted: dict[str, list[str]] = {}
    for conflict in conflicts:
        specs = wanted.setdefault(conflict.sibling, [])
        if conflict.range not in specs:
            specs.append(conflict.range)
    quoted = (f'"tijolo-{name}{",".join(specs)}"' for name, specs in wanted.items())
    return "python -m pip install " + " ".join(quoted)


def _own_conflicts(name: str, version: str, payload: Payload) -> Iterator[Conflict]:
    for statement in ("requires", "optional", "supports"):
        required = statement == "requires"
        for sibling, spec in ranges(payload, statement).items():
            known = _imported.get(sibling)
            if statement == "supports" and known is None:
                continue  # it is held against this when it is imported
            found = known[0] if known else version_of(sibling, required=required)
            if (required and found is None) or (found and not contains(spec, found)):
                yield Conflict(name, version, statement, sibling, spec, found)


def _conflicts_of_others(name: str, version: str) -> Iterator[Conflict]:
    for other, (other_version, stated) in tuple(_imported.items()):
        for statement in ("supports", "optional", "requires"):
            spec = ranges(stated, statement).get(name)
            if spec and not contains(spec, version):
                yield Conflict(other, other_version, statement, name, spec, version)


def _allowed(name: str) -> bool:
    allowed = os.environ.get("TIJOLO_ALLOW_INCOMPATIBLE", "").split(",")
    names = {entry.strip().removeprefix("tijolo-").replace("_", "-") for entry in allowed}
    return "all" in names or name in names
