"""The endpoint that shows the service's log to its operators."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BeforeValidator, ConfigDict, TypeAdapter

from tijolo.core import (
    BaseSchema,
    CursorPaginationSchema,
    OpsAccess,
    ServiceUnavailableException,
    UTCDatetime,
    ValidationException,
    decode_cursor,
    encode_cursor,
)
from tijolo.observability.log_buffer import LogBuffer
from tijolo.observability.log_entries import LogFilter
from tijolo.observability.log_files import HTTP_500_LOG_FILE, LEVEL_LOG_FILES
from tijolo.observability.log_reader import MAX_SCAN_BYTES, LogPage, LogReader, invalid_position
from tijolo.observability.one_thread import BusyError, OneThread
from tijolo.observability.redaction import DEFAULT_REDACTOR, Redactor

logger = logging.getLogger(__name__)

LogSource = Literal["all", "debug", "info", "warning", "error", "critical", "500"]
"""Which file is read; `all` are those of the levels."""

LogLevel = Literal["debug", "info", "warning", "error", "critical"]

_WAITING = 8
"""Requests that may wait for their turn to read."""
_NO_STORE = {"Cache-Control": "no-store"}
_FILES: dict[str, str] = {
    **{name: logging.getLevelName(level) for level, name in LEVEL_LOG_FILES.items()},
    HTTP_500_LOG_FILE: logging.getLevelName(logging.ERROR),
}


class LogEntrySchema(BaseSchema):
    """A log record; the fields of the caller stand beside those named here."""

    model_config = ConfigDict(extra="allow", str_strip_whitespace=False)

    timestamp: str
    """Empty for a line that does not say."""
    level: str
    logger: str
    message: str
    request_id: str | None = None
    exception: str | None = None


LogPageSchema = CursorPaginationSchema[LogEntrySchema]
_PARAMETERS = frozenset({"source", "level", "q", "request_id", "start", "end", "cursor", "limit"})
_JSON: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_Source = Annotated[LogSource, BeforeValidator(_lower), Query(description="Which records.")]
_Level = Annotated[
    LogLevel | None, BeforeValidator(_lower), Query(description="This level or a higher one.")
]
_Text = Annotated[
    str | None,
    Query(max_length=200, description="Anywhere in the record; case does not matter."),
]
_RequestID = Annotated[str | None, Query(max_length=200)]
_Moment = Annotated[
    UTCDatetime | None, Query(description="Included; UTC where no offset is given.")
]
_Cursor = Annotated[
    str | None, Query(max_length=4096, description="`next_cursor` of the page before.")
]


class _Pages(Protocol):
    def page(
        self,
        wanted: LogFilter,
        *,
        limit: int,
        files: Iterable[str] | None = None,
        position: Mapping[str, Any] | None = None,
    ) -> LogPage: ...


def make_logs_router(
    *,
    access: OpsAccess,
    log_dir: str | Path = "logs",
    buffer: LogBuffer | None = None,
    prefix: str = "/logs",
    tag: str = "logs",
    default_page_size: int = 20,
    max_page_size: int = 200,
    max_scan_bytes: int = MAX_SCAN_BYTES,
    redactor: Redactor = DEFAULT_REDACTOR,
) -> APIRouter:
    """`GET <prefix>`: the records of `configure_logging(log_dir=...)`, newest first, in pages.

    Files are read backwards from their end by a thread of the router's own. A page ends when it
    is full or when it has read `max_scan_bytes`: one that was searched in vain is empty and has a
    `next_cursor`. Records are redacted when they are written and once more when they are read.
    No file is opened but those that `configure_logging` writes.

    Args:
        access: who may see it.
        log_dir: where the files are.
        buffer: records come from here instead.
        default_page_size, max_page_size: records on one page.
        max_scan_bytes: what one page may read.
        redactor: what is hidden.

    Raises:
        ValueError: a size makes no sense, or `log_dir` is empty.
    """
    if not 1 <= default_page_size <= max_page_size:
        raise ValueError(
            f"default_page_size must be from 1 to max_page_size={max_page_size}, got"
            f" {default_page_size}"
        )
    if not str(log_dir):
        raise ValueError("log_dir is empty, which means that no log files are written; use buffer=")
    reader = LogReader(Path(log_dir), _FILES, redactor=redactor, max_scan_bytes=max_scan_bytes)
    turns = _Turns(buffer or reader)
    page_size = Query(default=default_page_size, ge=1, le=max_page_size)

    async def read_logs(
        request: Request,
        source: _Source = "all",
        level: _Level = None,
        q: _Text = None,
        request_id: _RequestID = None,
        start: _Moment = None,
        end: _Moment = None,
        cursor: _Cursor = None,
        limit: int = page_size,
    ) -> Response:
        _refuse_unknown(request.query_params)
        wanted = _filter(level, q, request_id, start, end)
        position = None if cursor is None else _position(cursor)
        body = await turns.page(wanted, limit, _chosen(source, level), position)
        return Response(body, media_type="application/json", headers=_NO_STORE)

    router = APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(access)])
    router.add_api_route("", read_logs, response_model=LogPageSchema)
    return router


def _refuse_unknown(given: Iterable[str]) -> None:
    """A filter that is misspelt would show everything, as if it had matched."""
    unknown = sorted(set(given) - _PARAMETERS)
    if unknown:
        raise ValidationException(
            f"Unknown query parameter; known are {', '.join(sorted(_PARAMETERS))}",
            details={"field": unknown[0][:100]},
        )


def _filter(
    level: str | None,
    text: str | None,
    request_id: str | None,
    start: UTCDatetime | None,
    end: UTCDatetime | None,
) -> LogFilter:
    if start is not None and end is not None and start > end:
        raise ValidationException("start is after end", details={"field": "start"})
    return LogFilter(
        level=None if level is None else logging.getLevelNamesMapping()[level.upper()],
        text=text or None,
        request_id=request_id or None,
        start=start,
        end=end,
    )


def _chosen(source: str, level: str | None) -> list[str]:
    """The files that can hold what is asked for; what is in 500.log is in another one too."""
    if source != "all":
        return [f"{source}.log"]
    lowest = 0 if level is None else logging.getLevelNamesMapping()[level.upper()]
    return [name for number, name in LEVEL_LOG_FILES.items() if number >= lowest]


def _position(cursor: str) -> dict[str, Any]:
    position = decode_cursor(cursor).get("position")
    if not isinstance(position, dict):
        raise invalid_position()
    return position  # pyright: ignore[reportUnknownVariableType]


class _Turns:
    """One page at a time, off the event loop; whoever finds the queue full is told so."""

    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._thread = OneThread("tijolo-log-reader", waiting=_WAITING)

    async def page(
        self,
        wanted: LogFilter,
        limit: int,
        files: list[str],
        position: dict[str, Any] | None,
    ) -> bytes:
        def read() -> bytes:
            page = self._pages.page(wanted, limit=limit, files=files, position=position)
            return _JSON.dump_json(_envelope(page, limit))

        return await self._run(read)

    async def _run(self, read: Callable[[], bytes]) -> bytes:
        try:
            return await self._thread.run(read)
        except BusyError as exc:
            raise ServiceUnavailableException(
                "Too many are reading the log", code="LOGS_BUSY", retry_after_seconds=1
            ) from exc
        except OSError as exc:
            logger.warning("the log files cannot be read: %s", type(exc).__name__)
            raise ServiceUnavailableException(
                "The log files cannot be read", code="LOGS_UNREADABLE"
            ) from exc


def _envelope(page: LogPage, limit: int) -> dict[str, Any]:
    cursor = None if page.position is None else encode_cursor({"position": page.position})
    return {
        "items": page.entries,
        "next_cursor": cursor,
        "prev_cursor": None,
        "has_more": cursor is not None,
        "limit": limit,
    }
