"""What goes into an e-mail besides its text: attachments, and the text of an HTML page."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from os import PathLike
from pathlib import Path

from tijolo.email.errors import EmailTooLargeError, InvalidHeaderError
from tijolo.email.headers import clean_value

_MIME_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]*/[A-Za-z0-9][\w!#$&^.+-]*", re.ASCII)
_BYTES = (bytes, bytearray, memoryview)
_BINARY = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of an e-mail: bytes, or a path that is read off the event loop when it is sent."""

    filename: str
    """The name that the reader sees: no directory, no control character."""
    content: bytes | None = field(default=None, repr=False)
    path: Path | None = None
    content_type: str | None = None
    """For example ``application/pdf``; None takes it from the name."""

    def __post_init__(self) -> None:
        if (self.content is None) == (self.path is None):
            raise ValueError(f"attachment {self.filename!r} needs either content or path")
        given = self.content
        known = isinstance(given, _BYTES)  # pyright: ignore[reportUnnecessaryIsInstance]
        if given is not None and not known:
            # bytes(5) would be five zeros
            raise TypeError(
                f"the content of attachment {self.filename!r} is bytes, got {type(given).__name__}"
            )
        clean_value("filename", self.filename)
        if not self.filename.strip(" .") or re.search(r"[/\\]", self.filename):
            raise InvalidHeaderError(f"{self.filename!r} is not the name of a file")
        if self.content_type is not None and not _MIME_TYPE.fullmatch(self.content_type):
            raise InvalidHeaderError(f"{self.content_type!r} is not a media type (RFC 6838)")

    @classmethod
    def of(cls, given: Attachment | str | PathLike[str]) -> Attachment:
        """An attachment, or one of the file at a path, under the file's own name."""
        if isinstance(given, Attachment):
            return given
        path = Path(given)
        return cls(filename=path.name, path=path)

    def media_type(self) -> tuple[str, str]:
        """Type and subtype. Blocking: the first guess reads the system's tables."""
        guessed, encoding = mimetypes.guess_type(self.filename)
        # a compressed file is what compressed it, not what is inside
        name = self.content_type or (guessed if guessed and not encoding else _BINARY)
        kind, _, subtype = name.partition("/")
        # RFC 2046, sections 5.1 and 5.2: these two may not be encoded in base64
        return (
            ("application", "octet-stream") if kind in {"message", "multipart"} else (kind, subtype)
        )

    def read(self, limit: int) -> bytes:
        """The bytes, ``limit`` at most. Blocking.

        Raises:
            EmailTooLargeError: there are more.
            OSError: the file cannot be read.
        """
        content = self.content
        if self.path is not None:
            with Path(self.path).open("rb") as file:  # it may have been given as text
                content = file.read(limit + 1)
        content = bytes(content or b"")
        if len(content) > limit:
            raise EmailTooLargeError(
                f"attachment {self.filename!r} exceeds the {limit} bytes that are left for it"
            )
        return content


def attachments_of(given: Iterable[Attachment | str | PathLike[str]]) -> tuple[Attachment, ...]:
    """Each of them as an :class:`Attachment`."""
    return tuple(Attachment.of(each) for each in given)


def html_to_text(html: str) -> str:
    """The text of an HTML message, for readers without HTML: links, lists and paragraphs kept."""
    reader = _TextReader()
    # What cannot end is text. Without this, the parser of the standard library looks for the end
    # of each such beginning again, which takes minutes for 100 kB of them.
    complete = html.rfind("-->") + 1
    html = html[:complete] + html[complete:].replace("<!--", "&lt;!--")
    tags = html.rfind(">") + 1
    # as browsers do: up to the next ">" nobody reads it (the parser raises AssertionError for some)
    reader.feed(html[:tags].replace("<![", "<!x[") + html[tags:].replace("<", "&lt;"))
    reader.close()
    return reader.text()


_SILENT = frozenset({"script", "style", "template", "title"})
_PARAGRAPH_NAMES = "p h1 h2 h3 h4 h5 h6 ul ol table blockquote"
_BLOCK_NAMES = """
    address article aside center div dl fieldset figure footer form header hr li main nav pre
    section tr
"""
_PARAGRAPHS = frozenset(_PARAGRAPH_NAMES.split())
_BLOCKS = _PARAGRAPHS.union(_BLOCK_NAMES.split())


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._silent: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag == "br":
            self._pieces.append("\n")
        elif tag == "img":
            self._pieces.append(given.get("alt") or "")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self._pieces)))
        elif tag in {"td", "th"}:
            self._pieces.append(" ")
        elif tag in _BLOCKS:
            self._break(tag)
        if tag == "li":
            self._pieces.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag == self._silent[-1]:
                self._silent.pop()
        elif tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag in _BLOCKS:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._pieces.append(re.sub(r"\s+", " ", data))

    def _end_link(self, address: str, start: int) -> None:
        label = "".join(self._pieces[start:]).strip()
        if address.startswith(("http:", "https:", "mailto:")):
            target = address.removeprefix("mailto:")
            if label != target:
                self._pieces.append(f" ({target})" if label else target)

    def _break(self, tag: str) -> None:
        self._pieces.append("\n\n" if tag in _PARAGRAPHS else "\n")

    def text(self) -> str:
        """What was read, without spare blanks."""
        lines = [
            re.sub(r"[ \xa0]+", " ", line).strip() for line in "".join(self._pieces).split("\n")
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
