"""What one log record says, read once: redacted, bounded, with the ids of its request."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from tijolo.core import request_id_ctx, user_id_ctx
from tijolo.observability.redaction import DEFAULT_REDACTOR, REDACTED, Redactor
from tijolo.observability.values import printable, scrubbed, scrubbed_text

if TYPE_CHECKING:
    from opentelemetry.trace import Span
try:  # FastAPI brings it since it has native telemetry; older ones do not
    from opentelemetry.trace import INVALID_SPAN
    from opentelemetry.trace import get_current_span as _current_span
except ImportError:
    _current_span = None  # type: ignore[assignment]

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


class RecordContent(NamedTuple):
    """The parts of a record that depend on when and where it was emitted."""

    message: str
    request_id: str | None
    user_id: str | None
    trace_id: str | None
    span_id: str | None
    fields: dict[str, Any]
    exception: str | None
    stack: str | None


def content_of(record: logging.LogRecord, redactor: Redactor = DEFAULT_REDACTOR) -> RecordContent:
    """The content taken when the record was queued, or taken now; never raises."""
    taken: RecordContent | None = record.__dict__.get(CONTENT_ATTRIBUTE)
    if taken is not None:
        return taken
    # Straight and without helpers where nothing needs doing: every log call pays for this.
    trace_id = span_id = None
    if _current_span is not None and (span := _current_span()) is not INVALID_SPAN:
        trace_id, span_id = _trace_ids(span)
    state = record.__dict__
    plain = len(state) == _PLAIN_LENGTH and next(reversed(state)) == _LAST_PLAIN
    return RecordContent(
        scrubbed_text(_message(record, redactor), redactor),
        request_id_ctx.get(),
        user_id_ctx.get(),
        trace_id,
        span_id,
        _NO_FIELDS if plain else _fields(record, redactor),
        _exception(record, redactor) if record.exc_info or record.exc_text else None,
        scrubbed_text(str(record.stack_info), redactor) if record.stack_info else None,
    )


def detached(record: logging.LogRecord, redactor: Redactor) -> logging.LogRecord:
    """A copy that another thread may format later, also by a foreign formatter.

    It holds no arguments, exceptions or fields of the caller, so nothing secret or mutable
    leaves the thread that logged.
    """
    content = content_of(record, redactor)
    copy = logging.LogRecord.__new__(logging.LogRecord)
    state = copy.__dict__
    state.update(record.__dict__)
    for name in state.keys() - _NOT_FIELDS:
        state[name] = content.fields.get(name, REDACTED)
    state.pop(FIELDS_ATTRIBUTE, None)
    state.update(
        {
            CONTENT_ATTRIBUTE: content,
            "msg": content.message,
            "message": content.message,
            "args": None,
            "exc_info": None,
            "exc_text": content.exception,
            "stack_info": content.stack,
        }
    )
    return copy


def _message(record: logging.LogRecord, redactor: Redactor) -> str:
    arguments = record.args
    if type(arguments) is not tuple and isinstance(arguments, Mapping):
        arguments = {
            key: REDACTED if redactor.is_sensitive(str(key)) else value
            for key, value in arguments.items()
        }
    try:
        message = record.msg if type(record.msg) is str else str(record.msg)
        return message % arguments if arguments else message
    except Exception:
        safe = scrubbed(arguments, redactor)
        return f"{printable(record.msg)} [arguments that do not fit: {safe!r}]"


def _fields(record: logging.LogRecord, redactor: Redactor) -> dict[str, Any]:
    state = record.__dict__
    fields = {name: value for name, value in state.items() if name not in _NOT_FIELDS}
    fields.update(state.get(FIELDS_ATTRIBUTE) or {})
    if not fields:
        return fields
    clean: dict[str, Any] = scrubbed(fields, redactor)
    return clean


def _exception(record: logging.LogRecord, redactor: Redactor) -> str | None:
    exc_info = record.exc_info
    if exc_info and exc_info[0] is not None:
        try:
            text = "".join(traceback.format_exception(*exc_info)).rstrip("\n")
        except Exception:
            text = f"{exc_info[0].__name__}: <unprintable traceback>"
    elif record.exc_text:
        text = record.exc_text
    else:
        return None
    return scrubbed_text(text, redactor)


def _trace_ids(span: Span) -> tuple[str | None, str | None]:
    context = span.get_span_context()
    if not context.is_valid:
        return None, None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"
