"""Reading what a caller gave, whatever it is, without running its code."""

from __future__ import annotations

LONGEST = 64
"""More characters than any accepted spelling has; longer texts are refused unread."""

_READ = slice(LONGEST + 1)

DRESSING = dict.fromkeys(map(ord, " \t\n\r\v\f.-/"))
"""What ``Strictness.LENIENT`` drops, as a table for ``str.translate``."""


def exact_str(value: object, longest: int = LONGEST) -> str | None:
    """The characters of ``value`` as a plain ``str``; None when it is not a string.

    ``isinstance`` would consult ``__class__``, and a subclass may override every method, so both
    are bypassed. Of a long text only ``longest`` + 1 characters come back: enough to be refused.
    """
    if not issubclass(type(value), str):
        return None
    part = _READ if longest == LONGEST else slice(longest + 1)
    return str.__getitem__(value, part)  # type: ignore[index]  # pyright: ignore[reportArgumentType]


def undress(text: str, dressing: dict[int, None] = DRESSING) -> str:
    """Drop what is in ``dressing`` and write ASCII letters in upper case.

    Texts outside ASCII are returned untouched: ``str.upper`` would turn a dotless i
    (U+0131) into ``I``.
    """
    return text.translate(dressing).upper() if text.isascii() else text
