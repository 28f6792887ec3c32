"""Version ranges such as ``>=0.3,<1``, without ``packaging`` and without ``re``."""

from __future__ import annotations

_DIGITS = "0123456789"
# longest first: ">=" must not be read as ">"
_OPERATORS = (">=", "<=", "==", "!=", ">", "<")


def release(version: str) -> tuple[int, ...]:
    """The numbers of ``version`` up to its first pre, post, dev or local part.

    ``1.0.0rc1`` and ``1.0`` are both ``(1,)``: a pre-release counts as the release it leads to,
    so that it is outside ``<1`` and inside ``>=1``.
    """
    numbers: list[int] = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip(_DIGITS))]
        if digits:
            numbers.append(int(digits))
        if digits != part:
            break
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def contains(spec: str, version: str) -> bool:
    """Whether ``version`` lies inside every clause of ``spec``.

    Raises:
        ValueError: for an operator other than ``>= <= == != > <``.
    """
    found = release(version)
    return all(_holds(clause.strip(), found) for clause in spec.split(",") if clause.strip())


def _holds(clause: str, found: tuple[int, ...]) -> bool:
    operator = next((known for known in _OPERATORS if clause.startswith(known)), None)
    if operator is None:
        raise ValueError(f"Version clause {clause!r} has none of the operators {_OPERATORS}")
    limit = release(clause[len(operator) :].strip())
    if operator == ">=":
        return found >= limit
    if operator == "<":
        return found < limit
    if operator == "!=":
        return found != limit
    if operator == "==":
        return found == limit
    return found > limit if operator == ">" else found <= limit
