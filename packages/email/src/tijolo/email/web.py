"""A page of what would have been sent, for development; needs the extra ``web``."""

from __future__ import annotations

from tijolo.core import MissingExtraError

try:
    from fastapi import APIRouter, Depends
    from fastapi.responses import HTMLResponse, PlainTextResponse, Response
except ImportError as exc:
    raise MissingExtraError("tijolo-email", "web", "fastapi") from exc

from tijolo.core import BaseSchema, NotFoundException, OpsAccess, UTCDatetime
from tijolo.email.local_backends import MemoryBackend

_HEADERS = {
    # somebody else's HTML: it may look like something, and do nothing
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline';"
    " img-src data: https:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class CapturedEmailResponse(BaseSchema):
    """One line of the list."""

    message_id: str
    subject: str
    recipients: tuple[str, ...]
    sent_at: UTCDatetime


def make_outbox_router(
    backend: MemoryBackend, *, access: OpsAccess, prefix: str = "/emails"
) -> APIRouter:
    """``GET /emails`` lists what ``backend`` holds, newest first; ``GET /emails/{id}`` shows one.

    For development: activation links are among what it shows.

    Args:
        backend: What the service sends with; ``EMAIL_BACKEND=memory``.
        access: Who may look.
        prefix: The path.
    """
    # the method, not the object: FastAPI 0.121 cannot read the annotations of the latter
    allowed = Depends(access.__call__)
    router = APIRouter(prefix=prefix, tags=["emails"], dependencies=[allowed])

    @router.get("")
    async def list_emails() -> list[CapturedEmailResponse]:
        return [CapturedEmailResponse.model_validate(each) for each in reversed(backend.outbox)]

    @router.get("/{message_id}", response_class=HTMLResponse)
    async def show_email(message_id: str) -> Response:
        for each in backend.outbox:
            if each.message_id == message_id:
                kind = HTMLResponse if each.html else PlainTextResponse
                return kind(each.html or each.text, headers=_HEADERS)
        raise NotFoundException(code="EMAIL_NOT_FOUND")

    return router
