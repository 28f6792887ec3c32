"""Routes whose answers are nobody's to keep."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send


class NoStoreRoute(APIRoute):
    """A route whose answers no cache keeps, refusals included (RFC 9111, section 5.2.2.5).

    What the handlers of exceptions answer passes here, too: also a body that is not understood.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; ``send`` is told."""

        async def send_unstored(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        await super().handle(scope, receive, send_unstored)
