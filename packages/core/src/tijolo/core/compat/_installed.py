"""Reads the versions of siblings from their ``_version.py``, without importing them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

# One listing per namespace entry and process. None: not a directory (a zip, a frozen program).
_listings: dict[str, frozenset[str] | None] = {}


def module_of(name: str) -> str:
    """The name of the package ``name`` below ``tijolo``: ``br_validators`` of ``br-validators``."""
    return name.replace("-", "_")


def entries() -> Iterator[tuple[str, frozenset[str] | None]]:
    """Each directory that holds a part of ``tijolo``, with the names in it."""
    for entry in sys.modules["tijolo"].__path__:
        if entry not in _listings:
            try:
                _listings[entry] = frozenset(os.listdir(entry))
            except OSError:
                _listings[entry] = None
        yield entry, _listings[entry]


def version_of(name: str, *, required: bool) -> str | None:
    """The version of the installed sibling ``name``; None where it is not installed.

    Where there is no source to read, a ``required`` sibling is imported, which its dependent is
    about to do anyway; an optional one is left alone and counts as absent until it is imported.
    """
    module = module_of(name)
    unreadable = False
    for entry, names in entries():
        if names is None:
            unreadable = True
        elif module in names:
            version = read_version(f"{entry}{os.sep}{module}{os.sep}_version.py")
            if version is not None:
                return version
            unreadable = True
    return _version_from_loader(f"tijolo.{module}", required) if unreadable else None


def read_version(path: str) -> str | None:
    """The literal of the one line ``__version__ = "1.2.3"``; None when there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _literal(os.read(descriptor, 4096))
    finally:
        os.close(descriptor)


def _literal(source: bytes) -> str | None:
    quoted = source.decode("utf-8", "replace").split("__version__", 1)[-1].split('"')
    return quoted[1] if len(quoted) > 2 else None


def _version_from_loader(module: str, required: bool) -> str | None:
    import importlib.util  # only here: zip files, frozen programs, sourceless installs

    spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None or not spec.origin:
        return None  # nothing, or the __pycache__ that an uninstalled package left behind
    get_data = getattr(spec.loader, "get_data", None)
    if get_data is not None:
        try:
            return _literal(get_data(os.path.join(os.path.dirname(spec.origin), "_version.py")))
        except OSError:
            pass
    if not required:
        return None
    return str(importlib.import_module(f"{module}._version").__version__)
