"""Small forms, read within bounds and without a further library."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

from tijolo.core import BadRequestException, FileTooLargeException

_MAX_FORM_BYTES = 16_384
_MOST_FIELDS = 20


class InvalidFormException(BadRequestException):
    """The request is no form, or one without the field that is asked for."""

    code = "INVALID_REQUEST"
    message = "Send a form"


async def read_form(request: Request) -> dict[str, list[str]]:
    """The fields of a form, each with its values exactly as they were typed.

    Raises:
        InvalidFormException: It is no ``application/x-www-form-urlencoded``.
        FileTooLargeException: It is larger than any form of ours.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_FORM_BYTES:
            raise FileTooLargeException("The form is too large")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidFormException
    try:
        return parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise InvalidFormException from None
