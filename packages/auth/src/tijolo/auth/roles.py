"""Roles, and which of them include which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from tijolo.core import BaseStrEnum


class RoleType(BaseStrEnum):
    """The roles of :data:`ROLE_HIERARCHY`, highest first."""

    SUPERADMIN = "superadmin"
    ADMIN = "admin"
    WRITER = "writer"
    READER = "reader"
    USER = "user"


class RoleHierarchy:
    """Who holds a role also holds what it includes, all the way down.

    Args:
        includes: For each role, those directly below it. ``from_order`` makes a plain ladder.

    Raises:
        ValueError: for no roles, or a role that would include itself.
    """

    def __init__(self, includes: Mapping[str, Iterable[str]]) -> None:
        below = {str(role): {str(name) for name in names} for role, names in includes.items()}
        for names in list(below.values()):
            for name in names:
                below.setdefault(name, set())
        if not below:
            raise ValueError("a role hierarchy needs roles")
        self._implied = {role: _reach(role, below) for role in below}

    @classmethod
    def from_order(cls, *roles: str) -> RoleHierarchy:
        """Each role includes all that follow it."""
        if len(set(roles)) != len(roles):
            raise ValueError(f"a role is there twice: {[str(role) for role in roles]}")
        pairs = {role: [lower] for role, lower in pairwise(roles)}
        return cls(pairs or {role: [] for role in roles})

    @property
    def roles(self) -> frozenset[str]:
        """Every role that is known."""
        return frozenset(self._implied)

    def implied(self, held: Iterable[str]) -> frozenset[str]:
        """The roles of ``held`` with all that they include."""
        names = [str(role) for role in held]
        return frozenset(names).union(*(self._implied.get(name, ()) for name in names))

    def satisfying(self, required: str) -> frozenset[str]:
        """The roles that are as good as ``required``, itself included.

        Raises:
            ValueError: for a role that is not in the hierarchy.
        """
        if str(required) not in self._implied:
            raise ValueError(f"{str(required)!r} is not among the roles {sorted(self._implied)}")
        return frozenset(role for role, below in self._implied.items() if str(required) in below)


def _reach(role: str, below: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(below[role])
    while waiting:
        name = waiting.pop()
        if name == role:
            raise ValueError(f"role {role!r} would include itself")
        if name not in found:
            found.add(name)
            waiting.extend(below[name])
    return frozenset(found | {role})


ROLE_HIERARCHY = RoleHierarchy.from_order(*RoleType)
"""SUPERADMIN > ADMIN > WRITER > READER > USER."""
