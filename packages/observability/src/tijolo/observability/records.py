"""What one log record says, read once: redacted, bounded, with the ids of its request."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import Any, cast

from tijolo.core import request_id_ctx, user_id_ctx
from tijolo.observability.redaction import DEFAULT_REDACTOR, REDACTED, Redactor
from tijolo.observability.values import (
    plain_text,
    printable,
    scrubbed,
    scrubbed_fields,
    scrubbed_text,
)

try:  # FastAPI brings it since it has native telemetry; older ones do not
    # house: allow library, FastAPI brings it
    from opentelemetry.context import get_current as _telemetry_context

    # house: allow library, FastAPI brings it
    from opentelemetry.trace import get_current_span as _current_span
except ImportError:
    _telemetry_context = _current_span = None  # type: ignore[assignment]

FIELDS_ATTRIBUTE = "tijolo_fields"
"""Record attribute with fields of any name; `extra` itself refuses `name`, `message`, ..."""

CONTENT_ATTRIBUTE = "tijolo_content"

_PLAIN = logging.LogRecord("", 0, "", 0, "", None, None).__dict__
_PLAIN_LENGTH = len(_PLAIN)
_LAST_PLAIN = next(reversed(_PLAIN))  # extras come after it
_NO_FIELDS: dict[str, Any] = {}
_NOT_FIELDS = frozenset(_PLAIN) | {
    "asctime",
    "color_message",  # uvicorn's, the message once more with escape sequences
    "message",
    "taskName",
    CONTENT_ATTRIBUTE,
    FIELDS_ATTRIBUTE,
}

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


RecordContent = tuple[
    str, str | None, str | None, str | None, str | None, dict[str, Any], str | None, str | None
]
"""Message, request id, user id, trace id, span id, fields, exception, stack.

A bare tuple, because a named one costs as much to make as all the rest of a plain record.
"""


def content_of(record: logging.LogRecord, redactor: Redactor = DEFAULT_REDACTOR) -> RecordContent:
    """The content taken when the record was queued, or taken now; never raises."""
    taken: Any = record.__dict__.get(CONTENT_ATTRIBUTE)
    if type(taken) is tuple:
        return cast("RecordContent", taken)
    try:
        return _content(record, redactor)
    except Exception:
        where = f"{record.filename}:{record.lineno}"
        return f"<unprintable log record of {where}>", None, None, None, None, {}, None, None


def _content(record: logging.LogRecord, redactor: Redactor) -> RecordContent:
    # Straight and without helpers where nothing needs doing: every log call pays for this.
    trace_id = span_id = None
    if _telemetry_context is not None and _telemetry_context():
        trace_id, span_id = _trace_ids()
    state = record.__dict__
    message = record.msg
    if record.args or type(message) is not str:
        message = _formatted(record, redactor)
    plain = len(state) == _PLAIN_LENGTH and next(reversed(state)) == _LAST_PLAIN
    request_id, user_id = request_id_ctx.get(), user_id_ctx.get()
    return (
        scrubbed_text(message, redactor),
        None if request_id is None else _id(request_id),
        None if user_id is None else _id(user_id),
        trace_id,
        span_id,
        _NO_FIELDS if plain else _fields(record, redactor),
        _exception(record, redactor) if record.exc_info or record.exc_text else None,
        scrubbed_text(printable(record.stack_info), redactor) if record.stack_info else None,
    )


def detached(record: logging.LogRecord, redactor: Redactor) -> logging.LogRecord:
    """A copy that another thread may format later, also by a foreign formatter.

    It holds no arguments, exceptions or fields of the caller, so nothing secret or mutable
    leaves the thread that logged.
    """
    content = content_of(record, redactor)
    message, *_, fields, exception, stack = content
    copy = logging.LogRecord.__new__(logging.LogRecord)
    state = copy.__dict__
    state.update(record.__dict__)
    for name in [name for name in islice(state, _PLAIN_LENGTH, None) if name not in _NOT_FIELDS]:
        # `_fields` leaves out the id that the content has already.
        state[name] = fields.get(name, content[1] if name == "request_id" else REDACTED)
    state.pop(FIELDS_ATTRIBUTE, None)
    state.update(
        {
            CONTENT_ATTRIBUTE: content,
            "msg": message,
            "message": message,
            "args": None,
            "exc_info": None,
            "exc_text": exception,
            "stack_info": stack,
        }
    )
    return copy


def _formatted(record: logging.LogRecord, redactor: Redactor) -> str:
    """`record.getMessage()`, or what can be said where the arguments do not fit."""
    arguments = record.args
    if type(arguments) is tuple and not arguments:
        return printable(record.msg)
    try:
        if type(record.msg) is str and type(arguments) is tuple:
            return record.msg % arguments  # nearly every record; the rest is for the odd ones
        if type(arguments) is not tuple and isinstance(arguments, Mapping):
            arguments = {
                key: REDACTED if redactor.is_sensitive(printable(key)) else value
                for key, value in arguments.items()
            }
        message = plain_text(record.msg)
        return message % arguments if arguments else message
    except Exception:
        safe = scrubbed(arguments, redactor)
        return f"{printable(record.msg)} [arguments that do not fit: {safe!r}]"


def _id(value: Any) -> str | None:
    return value if value is None or type(value) is str else scrubbed_text(printable(value))


def _fields(record: logging.LogRecord, redactor: Redactor) -> dict[str, Any]:
    state = record.__dict__
    extra = islice(list(state.items()), _PLAIN_LENGTH, None)
    fields = {name: value for name, value in extra if name not in _NOT_FIELDS}
    request_id: Any = fields.get("request_id", _NO_FIELDS)
    if request_id is None or (type(request_id) is str and request_id == request_id_ctx.get()):
        # A filter or a record factory put there what the formatter writes anyway.
        del fields["request_id"]
    named: Any = state.get(FIELDS_ATTRIBUTE)
    if named is not None:
        try:
            fields.update(dict(named.items()))
        except Exception:
            fields[FIELDS_ATTRIBUTE] = named
    return scrubbed_fields(fields, redactor) if fields else fields


def _exception(record: logging.LogRecord, redactor: Redactor) -> str | None:
    exc_info = record.exc_info
    if exc_info and exc_info[0] is not None:
        try:
            text = "".join(traceback.format_exception(*exc_info)).rstrip("\n")
        except Exception:
            name = getattr(exc_info[0], "__name__", type(exc_info[0]).__name__)
            text = f"{name}: <unprintable traceback>"
    elif record.exc_text:
        text = printable(record.exc_text)
    else:
        return None
    return scrubbed_text(text, redactor)


def _trace_ids() -> tuple[str | None, str | None]:
    assert _current_span is not None  # noqa: S101 - both are there or neither
    context = _current_span().get_span_context()
    if not context.is_valid:
        return None, None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"
