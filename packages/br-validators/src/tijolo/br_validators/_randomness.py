"""The source of the numbers that ``generate_*`` invents."""

from __future__ import annotations

from .characters import DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random as Random


def __getattr__(name: str) -> object:
    """Bring ``Random`` when an annotation that names it is resolved (PEP 562)."""
    if name != "Random":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from random import Random

    return Random


def source(random: Random | None) -> Random:
    """``random`` itself, or a freshly seeded one: the module costs too much to import unasked."""
    if random is not None:
        return random
    from random import Random

    return Random()  # noqa: S311 - test data, not secrets


def digits(random: Random, count: int) -> str:
    """``count`` ASCII digits."""
    return "".join(random.choices(DIGITS, k=count))
