"""Results kept in memory, SQLite or Redis; a cache that is down means slower, never wrong."""

from tijolo.cache._compat import COMPAT as _COMPAT
from tijolo.cache._version import __version__
from tijolo.core.compat import enforce as _enforce

_enforce(_COMPAT, __version__)

__all__ = ["__version__"]
