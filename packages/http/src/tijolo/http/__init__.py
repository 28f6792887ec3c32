"""An HTTP client that fails well, and typed integrations with other services."""

from tijolo.core.compat import enforce as _enforce
from tijolo.http._compat import COMPAT as _COMPAT
from tijolo.http._version import __version__

_enforce(_COMPAT, __version__)

__all__ = ["__version__"]
