"""Names of a package that bring their module when they are first asked for (PEP 562).

What a package exports is imported by type checkers alone, and listed once more for the run::

    if TYPE_CHECKING:
        from tijolo.shop.orders import Order, place

    __getattr__, __dir__ = lazy_names(__name__, {"orders": "Order place"})
    __all__ = ["Order", "place"]

A name must not be that of a submodule: importing that would set it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``.

    Args:
        package: Its ``__name__``.
        homes: For each submodule its names, separated by spaces.

    Raises:
        ValueError: a name is that of a submodule, or is in two of them.
    """
    home_of: dict[str, str] = {}
    for home, names in homes.items():
        for name in names.split():
            if name in homes or home_of.setdefault(name, home) != home:
                raise ValueError(f"{name!r} of {package}.{home} stands for something else as well")

    def find(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = f"{package}.{home_of[name]}"
        __import__(home)
        value: object = getattr(sys.modules[home], name)
        setattr(sys.modules[package], name, value)
        return value

    def names_of() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return find, names_of
