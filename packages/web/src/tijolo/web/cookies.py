"""Cookies that are safe by default, and whose name prefixes tell the truth."""

from __future__ import annotations

import re
from typing import Literal

from starlette.responses import Response

SameSite = Literal["lax", "strict", "none"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_VALUE = re.compile(r"[\x20-\x7e]*")


def set_cookie(
    response: Response,
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    path: str = "/",
    domain: str | None = None,
    http_only: bool = True,
    secure: bool = True,
    samesite: SameSite = "lax",
) -> None:
    """Set a cookie on ``response``, by default HttpOnly, Secure and SameSite=Lax.

    Args:
        max_age: Seconds; without it the cookie ends with the browser's session.

    Raises:
        ValueError: for a combination that browsers drop without a word (RFC 6265bis, sections
            4.1.2.7 and 4.1.3), or characters that would end the attribute.
    """
    _check(name, value, path=path, domain=domain, secure=secure, samesite=samesite)
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        domain=domain,
        secure=secure,
        httponly=http_only,
        samesite=samesite,
    )


def clear_cookie(
    response: Response,
    name: str,
    *,
    path: str = "/",
    domain: str | None = None,
    http_only: bool = True,
    secure: bool = True,
    samesite: SameSite = "lax",
) -> None:
    """Tell the browser to forget a cookie; give the attributes that it was set with.

    Raises:
        ValueError: as :func:`set_cookie` does.
    """
    _check(name, "", path=path, domain=domain, secure=secure, samesite=samesite)
    response.delete_cookie(
        name, path=path, domain=domain, secure=secure, httponly=http_only, samesite=samesite
    )


def _check(
    name: str, value: str, *, path: str, domain: str | None, secure: bool, samesite: str
) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"cookie name {name!r} is not a token (RFC 6265, section 4.1.1)")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of cookie {name!r} must be printable ASCII; encode it first")
    for label, text in (("path", path), ("domain", domain or "")):
        if not _ATTRIBUTE.fullmatch(text):
            raise ValueError(f"{label} {text!r} of cookie {name!r} must be ASCII without ';'")
    if samesite not in ("lax", "strict", "none"):
        raise ValueError(f"samesite {samesite!r} of cookie {name!r}: use 'lax', 'strict' or 'none'")
    if samesite == "none" and not secure:
        raise ValueError(f"cookie {name!r} with samesite='none' needs secure=True")
    _check_prefix(name, path=path, domain=domain, secure=secure)


def _check_prefix(name: str, *, path: str, domain: str | None, secure: bool) -> None:
    lower = name.lower()
    if lower.startswith(("__host-", "__secure-")) and not secure:
        raise ValueError(f"cookie {name!r} needs secure=True for its prefix")
    if lower.startswith("__host-") and (path != "/" or domain is not None):
        raise ValueError(f"cookie {name!r} needs path='/' and no domain for its prefix")
