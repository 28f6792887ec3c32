"""A limit for how long a request may take before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.web._paths import PathSet, path_below_root
from tijolo.web.problems import problem_response

REQUEST_TIMED_OUT = "REQUEST_TIMED_OUT"


class RequestTimeoutMiddleware:
    """Cancel a request whose response has not started after ``seconds``; 504 is the answer.

    Everything that the handler waits for is cancelled with it, and its ``finally`` blocks run. A
    plain ``def`` handler runs on in its thread, which nothing can stop. A response that has
    started may take as long as it takes: streams and downloads are not cut.

    Args:
        seconds: Until the response starts.
        exclude_paths: Paths without a limit, each with everything below it.

    Raises:
        ValueError: for ``seconds`` that are not positive.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, exclude_paths: Iterable[str] = ()) -> None:
        if seconds <= 0:
            raise ValueError(f"seconds must be positive, got {seconds}")
        self.app = app
        self.seconds = seconds
        self._excluded = PathSet(exclude_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application against the clock."""
        if scope["type"] != "http" or path_below_root(scope) in self._excluded:
            await self.app(scope, receive, send)
            return
        started = False
        deadline = asyncio.timeout(self.seconds)

        def watching_send(message: Message) -> Awaitable[None]:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if not deadline.expired():  # or an answer to the cancellation itself, which stands
                    deadline.reschedule(None)
            return send(message)

        try:
            async with deadline:
                await self.app(scope, receive, watching_send)
        except TimeoutError:
            if started or not deadline.expired():
                raise  # the application's own
            response = problem_response(
                scope,
                504,
                code=REQUEST_TIMED_OUT,
                detail="The request took too long and was stopped.",
                details={"seconds": self.seconds},
            )
            await response(scope, receive, send)
