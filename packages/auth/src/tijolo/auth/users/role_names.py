"""Names of roles, as an account may hold them."""

from __future__ import annotations

from collections.abc import Iterable

from tijolo.auth.roles import RoleHierarchy
from tijolo.core import ValidationException

ROLE_CHARACTERS = 64


def checked_roles(
    roles: Iterable[str], hierarchy: RoleHierarchy | None, *, held: Iterable[str] = ()
) -> list[str]:
    """``roles``, each once and in order.

    Args:
        hierarchy: The roles that there are; None where nobody has said so.
        held: What an account has already, and may keep.

    Raises:
        TypeError: for one text, or what is no text.
        ValidationException: for a new role that is empty, too long, or that nobody knows.
    """
    if isinstance(roles, str):
        raise TypeError(f"roles must be a list of names, got the text {roles!r}")
    names = list(roles)
    for name in names:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a role is a text, got {name!r}")
    wanted = {str(name) for name in names}
    for name in sorted(wanted - {*held}):
        _check(name, hierarchy)
    return sorted(wanted)


def _check(name: str, hierarchy: RoleHierarchy | None) -> None:
    problem = None
    if not name.strip() or len(name) > ROLE_CHARACTERS or not name.isprintable():
        problem = f"A role has 1 to {ROLE_CHARACTERS} printable characters, got {name[:80]!r}"
    elif hierarchy is not None and name not in hierarchy.roles:
        problem = f"{name!r} is not among the roles {sorted(hierarchy.roles)}"
    if problem is not None:
        raise ValidationException(problem, code="INVALID_ROLE", details={"field": "roles"})
