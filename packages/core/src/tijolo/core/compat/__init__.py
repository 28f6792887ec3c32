"""Refuses, at import, tijolo packages whose versions do not work together.

Every dependent package calls :func:`enforce` in the first lines of its ``__init__``. The ranges
are written by the repository into each package's ``_compat.py``; versions are read from the
siblings' ``_version.py``, never from a scan of the environment. ``python -m tijolo.core.compat``
prints the whole picture.
"""

from tijolo.core.compat._enforce import (
    Conflict,
    IncompatibleVersionError,
    IncompatibleVersionWarning,
    enforce,
)

__all__ = ["Conflict", "IncompatibleVersionError", "IncompatibleVersionWarning", "enforce"]
