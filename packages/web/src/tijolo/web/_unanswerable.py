"""Recognise an error that a value of the request's JSON caused when it was to be written again.

``json.loads`` reads two things that nothing can encode: half a character (``"\\ud800"``, RFC 8259,
section 8.2) and the numbers ``NaN`` and ``Infinity``, which are no JSON at all (section 6). Both
fail far from where they came in, in a response or a driver, and are the caller's doing.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import Scope

INVALID_UNICODE = "INVALID_UNICODE"
INVALID_NUMBER = "INVALID_NUMBER"

_REASONS = {
    "surrogates not allowed": (
        INVALID_UNICODE,
        "Text in the request contains half of a surrogate pair.",
    ),
    "Out of range float values are not JSON compliant": (
        INVALID_NUMBER,
        "A number in the request is NaN or infinite, which JSON does not know.",
    ),
}
_MAX_CAUSES = 8


def blame_of_input(scope: Scope, exc: BaseException) -> tuple[str, str] | None:
    """Code and detail, if ``exc`` is such an error and the request had the JSON to cause it."""
    if not _has_json_body(scope):
        return None
    for cause in _causes(exc):
        for reason, answer in _REASONS.items():
            if reason in str(cause):
                return answer
    return None


def _has_json_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"json" in headers.get(b"content-type", b"").lower()


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """The errors behind ``exc`` that say why something could not be encoded."""
    for _ in range(_MAX_CAUSES):
        if exc is None:
            return
        # Pydantic's serializer keeps only the text of the encoder's error
        if isinstance(exc, ValueError) or type(exc).__name__ == "PydanticSerializationError":
            yield exc
        exc = exc.__cause__ or exc.__context__
