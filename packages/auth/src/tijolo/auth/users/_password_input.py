"""The password of an account that somebody makes by hand."""

from __future__ import annotations

import getpass
import sys
import warnings

_MOST_BYTES = 65_536


def read_password() -> str:
    """Twice from a terminal, unseen; otherwise the first line of the standard input, in UTF-8.

    Raises:
        ValueError: What was typed differs, cannot be hidden, is no text, or there is nothing.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - where it is closed
        raise ValueError("there is no standard input to read a password from")
    try:
        password = _typed() if sys.stdin.isatty() else _first_line()
        password.encode("utf-8")  # a terminal may give bytes that are none as lone surrogates
    except UnicodeError:
        raise ValueError("the password is no text in UTF-8") from None
    if not password:
        raise ValueError("no password was given")
    if "\0" in password:  # what PowerShell pipes is UTF-16
        raise ValueError("the password holds a NUL: is it another text than UTF-8?")
    return password


def _typed() -> str:
    with warnings.catch_warnings():
        # it would warn, and go on with everybody seeing what is typed
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            password, again = getpass.getpass("Password: "), getpass.getpass("Again: ")
        except getpass.GetPassWarning:
            raise ValueError(
                "this terminal would show the password; give it by the standard input"
            ) from None
        except EOFError:
            return ""
    if again != password:
        raise ValueError("the passwords differ")
    return password


def _first_line() -> str:
    line = sys.stdin.buffer.readline(_MOST_BYTES)
    if len(line) == _MOST_BYTES:
        raise ValueError("the first line of the standard input is too long for a password")
    # the bytes themselves: the locale might make another password of them
    # without the mark that some editors put first
    return line.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
