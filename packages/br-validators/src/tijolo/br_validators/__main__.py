"""Judge the lines of a file: ``python -m tijolo.br_validators cnpj < numbers.txt``.

Canonical forms go to standard output, one a line. Refused lines go to standard error, by their line
number, code and column: the number itself is personal data, and shown only with ``--show``. Exit
status 0 when every line is valid, 1 when some are not, 2 for a wrong command line and where the
lines could not all be read or the results not all be written.
"""

from __future__ import annotations

import argparse
import codecs
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import BinaryIO, TextIO

from . import KINDS, Strictness, __version__
from .batch import validate_many
from .kind import Kind

LONGEST_LINE = 4096
"""More bytes than any number has; the rest of a longer line is skipped unread."""

_WIDTH = 30
_SECONDS_BETWEEN_BARS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if None in (sys.stdin, sys.stdout, sys.stderr):  # as `<&-` leaves them
        parser.error("standard input, output and error must be open")
    progress = _Progress(sys.stderr, _size(sys.stdin.buffer))
    lines = _Lines(sys.stdin.buffer, progress)
    counts = [0, 0]  # refused, valid
    try:
        _judge(options, lines, progress, counts)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        _drop_output()
    except OSError as error:  # a full disk: status 1 would pass for a whole list of the valid
        _drop_output()
        parser.error(f"stopped at line {lines.number}: {error.strerror}")
    progress.clear()
    refused, valid = counts
    if options.lang == "pt":
        summary = f"{valid + refused} lidos, {valid} válidos, {refused} recusados\n"
    else:
        summary = f"{valid + refused} read, {valid} valid, {refused} refused\n"
    sys.stderr.write(summary)
    return 1 if refused else 0


def _drop_output() -> None:
    """What is still to be written would fail once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _judge(
    options: argparse.Namespace, lines: _Lines, progress: _Progress, counts: list[int]
) -> None:
    """Write each line's canonical form, or what is wrong with it."""
    kind: Kind = KINDS[options.kind]
    strictness = Strictness.LENIENT if options.lenient else Strictness.STRICT
    for _, valid, canonical in validate_many(kind, lines, strictness=strictness):
        counts[valid] += 1
        if canonical is None:
            progress.clear()
            sys.stderr.write(_refusal(kind, lines, strictness, options) + "\n")
        elif not options.quiet:
            sys.stdout.write((kind.format(canonical) if options.masked else canonical) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tijolo.br_validators",
        description="Judge the numbers on standard input, one a line; blank lines are skipped.",
        epilog="exit status: 0 all valid, 1 some refused, 2 wrong command line or broken stream",
    )
    parser.add_argument(
        "kind", type=_kind, metavar="KIND", help=f"{', '.join(KINDS)}, or ie_sp for one state"
    )
    parser.add_argument("--lenient", action="store_true", help="as Strictness.LENIENT")
    parser.add_argument("--masked", action="store_true", help="print the masked form")
    parser.add_argument("--quiet", action="store_true", help="print no valid number")
    parser.add_argument("--show", action="store_true", help="show refused lines (personal data)")
    parser.add_argument("--lang", choices=("en", "pt"), default="en", help="of the messages")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _kind(name: str) -> str:
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"unknown kind {name!r}; one of {', '.join(KINDS)}")
    return name


def _refusal(kind: Kind, lines: _Lines, strictness: Strictness, options: argparse.Namespace) -> str:
    explanation = kind.explain(lines.text, strictness=strictness)
    where = f"{lines.number}:"
    if explanation is None:  # cannot be, after a verdict of not valid
        return where
    if explanation.position is not None:
        where += f"{explanation.position + 1}:"
    message = explanation.message_pt if options.lang == "pt" else explanation.message
    shown = f" {lines.text!a}" if options.show else ""
    return f"{where} {explanation.code}: {message}{shown}"


class _Lines:
    """The lines that are not blank, without their ends, and where the last one came from."""

    def __init__(self, source: BinaryIO, progress: _Progress) -> None:
        self._source = source
        self._progress = progress
        self.number = 0
        self.text = ""

    def __iter__(self) -> Iterator[str]:
        while line := self._source.readline(LONGEST_LINE):
            self.number += 1
            read = len(line)
            end = line
            while not end.endswith(b"\n") and (end := self._source.readline(LONGEST_LINE)):
                read += len(end)
            self._progress.advance(read)
            if self.number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # Windows programs put it there
            # what is no UTF-8 becomes characters that no number has
            self.text = line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")
            if self.text.strip():
                yield self.text


class _Progress:
    """A bar on a terminal, drawn ten times a second; nothing elsewhere."""

    def __init__(self, screen: TextIO, size: int) -> None:
        self._screen = screen if screen.isatty() else None
        self._size = size
        self._done = 0
        self._drawn_at = monotonic()
        self._drawn = False

    def advance(self, size: int) -> None:
        self._done += size
        if self._screen is None or monotonic() - self._drawn_at < _SECONDS_BETWEEN_BARS:
            return
        if self._size:
            share = min(1.0, self._done / self._size)
            bar = f"[{'#' * int(_WIDTH * share):<{_WIDTH}}] {share:4.0%}"
        else:
            bar = f"{self._done / 1e6:.1f} MB"
        self._screen.write(f"\r\x1b[K{bar}")
        self._screen.flush()
        self._drawn_at, self._drawn = monotonic(), True

    def clear(self) -> None:
        if self._screen is not None and self._drawn:
            self._screen.write("\r\x1b[K")
            self._screen.flush()
            self._drawn = False


def _size(source: BinaryIO) -> int:
    """How many bytes a file has; 0 for a pipe or a terminal."""
    try:
        status = os.fstat(source.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


if __name__ == "__main__":
    sys.exit(main())
