"""Problem documents: the one shape of every error this package answers (RFC 9457).

A document has the standard members (``type``, ``title``, ``status``, ``detail``, ``instance``)
and four extensions: ``code`` that clients branch on, ``details``, ``errors`` for input that was
refused, and ``request_id`` to quote to whoever reads the logs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from tijolo.core import get_request_id

PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_INSTANCE_CHARACTERS = 1024
_OF_THE_DOCUMENT = {"content-type", "content-length", "content-encoding", "transfer-encoding"}

CODE_OF_STATUS: Mapping[int, str] = {
    **{status.value: status.name for status in HTTPStatus if status >= 400},
    413: "REQUEST_BODY_TOO_LARGE",
    414: "URI_TOO_LONG",
    416: "RANGE_NOT_SATISFIABLE",
    418: "IM_A_TEAPOT",
    422: "VALIDATION_ERROR",
}
"""The ``code`` of an error that was raised with a status and no code of its own."""


class ProblemError(BaseModel):
    """One field that was refused."""

    loc: list[str | int] = Field(
        description="Where: body, query, path, header or cookie, then keys."
    )
    message: str
    type: str = Field(description="Stable identifier of the rule that was broken.")
    pointer: str | None = Field(
        default=None, description="JSON Pointer into the request body (RFC 6901), as a fragment."
    )


class ProblemDocument(BaseModel):
    """RFC 9457 problem details; the schema that OpenAPI shows for every error."""

    type: str = Field(default="about:blank", description="RFC 9457 problem type.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What went wrong, for people.")
    instance: str | None = Field(default=None, description="Path of the request.")
    code: str = Field(description="Stable identifier to branch on.")
    details: dict[str, Any] = Field(default_factory=dict)
    errors: list[ProblemError] | None = Field(default=None, description="Fields that were refused.")
    request_id: str | None = None


class ProblemResponse(Response):
    """A response whose body is a problem document."""

    media_type = PROBLEM_MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Encode ``content``; a lone surrogate becomes the JSON escape it came from."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def problem_response(
    scope: Scope,
    status: int,
    *,
    code: str | None = None,
    detail: str | None = None,
    details: Mapping[str, Any] | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Build the response that tells ``status`` about the request in ``scope``.

    ``code`` defaults to that of the status, ``detail`` to the status in words. ``details`` that
    JSON cannot carry are left out rather than turning one error into another.
    """
    title = _title(status)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": title if detail is None else detail,
        "instance": _instance(scope),
        "code": code or CODE_OF_STATUS.get(status, "ERROR"),
        "details": _jsonable(details),
    }
    if errors is not None:
        body["errors"] = list(errors)
    body["request_id"] = request_id_of(scope)
    kept = {k: v for k, v in (headers or {}).items() if k.lower() not in _OF_THE_DOCUMENT}
    return ProblemResponse(body, status_code=status, headers=kept)


def request_id_of(scope: Scope) -> str | None:
    """Id of the request in ``scope``, as its middleware set it; None without one."""
    state: Mapping[str, Any] = scope.get("state") or {}
    request_id = state.get("request_id")
    return request_id if isinstance(request_id, str) else get_request_id()


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _instance(scope: Scope) -> str | None:
    path: str = scope.get("path", "")
    quoted = quote(path, safe="/:@!$&'()*+,;=~-._", errors="replace")
    return quoted if 0 < len(quoted) <= MAX_INSTANCE_CHARACTERS else None


def _jsonable(details: Mapping[str, Any] | None) -> dict[str, Any]:
    if not details:
        return {}
    try:
        encoded: dict[str, Any] = jsonable_encoder(dict(details))
        json.dumps(encoded, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return {}
    return encoded
