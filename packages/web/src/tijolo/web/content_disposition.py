"""File names in ``Content-Disposition`` (RFC 6266 and RFC 8187)."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

MAX_FILENAME_CHARACTERS = 255
_ATTR_CHARS = "!#$&+-.^_`|~"  # RFC 8187, section 3.2.1
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def build_content_disposition(filename: str, *, as_attachment: bool = True) -> str:
    """The header's value for ``filename``: an ASCII name, and the real one where they differ.

    Path separators, quotes, control characters and characters that hide what a name ends with
    (``U+202E`` and its kin) never reach the header. A name of which nothing is left is
    ``download``.
    """
    kind = "attachment" if as_attachment else "inline"
    name = _clean(filename)
    plain = _ascii(name)
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return value


def _clean(filename: str) -> str:
    last = _cut(filename.replace("\\", "/").rpartition("/")[2])
    seen = "".join(c for c in last if unicodedata.category(c) not in _UNSEEN)
    name = unicodedata.normalize("NFC", seen).strip(" .")
    if len(name) > MAX_FILENAME_CHARACTERS:
        stem, dot, extension = name.rpartition(".")
        tail = dot + extension if dot and len(extension) <= 16 else ""
        name = (stem if tail else name)[: MAX_FILENAME_CHARACTERS - len(tail)] + tail
    return name or "download"


def _cut(name: str) -> str:
    """The two ends of a name that is far too long, so that the rest costs nothing."""
    half = 8 * MAX_FILENAME_CHARACTERS
    return name if len(name) <= 2 * half else name[:half] + name[-half:]


def _ascii(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    plain = "".join("_" if c in '"\\%/' or not c.isprintable() else c for c in folded)
    if not plain.strip(" ._"):
        return "download"
    return f"download{plain}" if plain.startswith(".") else plain
