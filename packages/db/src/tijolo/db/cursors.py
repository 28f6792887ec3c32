"""Cursors that say where a page ended: signed, typed, and good for one query only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import SecretStr

from tijolo.core import BadRequestException, Environment

SIGNER = "tijolo_cursor_signer"
"""Where a session's ``info`` carries the signer of its manager."""

_VERSION = 1
_TAG_BYTES = 16
_MAX_CHARS = 4096
_MIN_SECRET_BYTES = 32
_process_key = secrets.token_bytes(32)
_logger = logging.getLogger("tijolo.db")


class Position(NamedTuple):
    """A place in an ordering: the key values of the row next to it, and which way to go on."""

    values: tuple[Any, ...]
    backward: bool


class InvalidCursorException(BadRequestException):
    """The cursor is cut, forged, of another query, or of an older release."""

    code = "INVALID_CURSOR"
    message = "The cursor is not valid for this query; start again without it"


class CursorSigner:
    """Writes and reads cursors under one key.

    Without a secret a development environment uses a key that lives as long as the process;
    anywhere else asking for a cursor is an error, since the next replica could not read it.
    """

    def __init__(
        self,
        secret: SecretStr | str | None = None,
        *,
        environment: Environment = Environment.PRODUCTION,
    ) -> None:
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret or ""
        if text and len(text.encode()) < _MIN_SECRET_BYTES and not environment.is_development:
            raise ValueError(f"the cursor secret must have at least {_MIN_SECRET_BYTES} bytes")
        # a key of its own, whatever else the secret signs
        self._key = hashlib.sha256(b"tijolo.db.cursor\0" + text.encode()).digest() if text else None
        self._environment = environment
        self._warned = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(configured={self._key is not None})"

    def _signing_key(self) -> bytes:
        if self._key is not None:
            return self._key
        if not self._environment.is_development:
            raise RuntimeError(
                "cursor pagination needs a secret that all replicas share: set"
                " DATABASE_CURSOR_SECRET (or cursor_secret=) to 32 random bytes or more"
            )
        if not self._warned:
            self._warned = True
            _logger.warning("cursors are signed with a key of this process; set a cursor secret")
        return _process_key

    def dump(self, position: Position, shape: bytes) -> str:
        """The cursor for ``position`` in the query that ``shape`` describes."""
        body = json.dumps(
            [_VERSION, int(position.backward), [_encode(value) for value in position.values]],
            separators=(",", ":"),
        ).encode()
        return base64.urlsafe_b64encode(self._tag(body, shape) + body).decode().rstrip("=")

    def load(self, cursor: str, shape: bytes, count: int) -> Position:
        """The position in ``cursor``.

        Args:
            count: How many key values the query's order has.

        Raises:
            InvalidCursorException: It is not one that :meth:`dump` made for ``shape``.
        """
        key_check = self._signing_key()  # a missing secret is not the caller's fault
        try:
            if len(cursor) > _MAX_CHARS or not key_check:
                raise InvalidCursorException
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
            if not hmac.compare_digest(tag, self._tag(body, shape)):
                raise InvalidCursorException
            version, backward, values = json.loads(body)
            if version != _VERSION or len(values) != count:
                raise InvalidCursorException
            return Position(tuple(_decode(value) for value in values), bool(backward))
        except (ValueError, TypeError, binascii.Error):
            raise InvalidCursorException from None

    def _tag(self, body: bytes, shape: bytes) -> bytes:
        return hmac.digest(self._signing_key(), shape + b"\0" + body, "sha256")[:_TAG_BYTES]


_CODECS: tuple[tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    # the narrower first: a str enum is a str, a bool an int, a datetime a date
    ("e", Enum, lambda member: member.name, str),
    ("b", bool, bool, bool),
    ("i", int, str, int),
    ("f", float, float.hex, float.fromhex),
    ("s", str, str, str),
    ("u", UUID, str, UUID),
    ("t", datetime, datetime.isoformat, datetime.fromisoformat),
    ("d", date, date.isoformat, date.fromisoformat),
    ("h", time, time.isoformat, time.fromisoformat),
    ("n", Decimal, str, Decimal),
    ("x", bytes, bytes.hex, bytes.fromhex),
)
_DECODERS = {tag: decode for tag, _, _, decode in _CODECS}


def _encode(value: Any) -> list[Any] | None:
    if value is None:
        return None
    for tag, kind, encode, _ in _CODECS:
        if isinstance(value, kind):
            return [tag, encode(value)]
    raise TypeError(
        f"a column whose values are {type(value).__name__!r} cannot be paged by cursor; order by"
        " numbers, text, dates or identifiers"
    )


def _decode(item: Sequence[Any] | None) -> Any:
    return None if item is None else _DECODERS[item[0]](item[1])
