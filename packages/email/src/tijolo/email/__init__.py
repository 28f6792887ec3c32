"""E-mail from templates over pooled SMTP, with backends for development and tests."""

from tijolo.core.compat import enforce as _enforce
from tijolo.email._compat import COMPAT as _COMPAT
from tijolo.email._version import __version__

_enforce(_COMPAT, __version__)

__all__ = ["__version__"]
