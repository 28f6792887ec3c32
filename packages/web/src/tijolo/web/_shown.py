"""What an error message may show of a setting that was refused."""

from __future__ import annotations

import re

_USER = re.compile(r"[^/\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def without_credentials(text: str) -> str:
    """``text`` without the user, password and query that a URL in it may carry."""
    return _QUERY.sub("?…", _USER.sub("…@", text))
