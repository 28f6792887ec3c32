"""Request id, timing and security headers in one pass over the response's headers.

What the three middleware of those names do one inside the other, for less than half their cost:
``create_app`` puts this layer on every service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from itertools import chain
from logging import INFO, getLogger
from time import perf_counter
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tijolo.core import REQUEST_ID_HEADER, request_id_ctx
from tijolo.web._cancellation import ends_the_task
from tijolo.web._exchange import EXCHANGE_KEY, Exchange, has_line_break, line_break_in
from tijolo.web.request_id import SCOPE_KEY, RequestIDMiddleware, assign_request_id
from tijolo.web.security_headers import FrozenHeaders, RawHeaders, SecurityPolicy
from tijolo.web.timing import TimingHeader, access_log, timing_stamp, write_access_log

_log = getLogger(__name__)
_ID_NAME = REQUEST_ID_HEADER.lower().encode("ascii")


class RequestMetrics(Protocol):
    """Counts requests: ``tijolo.observability.prometheus.HTTPMetrics``, or one of your own."""

    def begin(self, scope: Scope) -> bool:
        """A request has come; False when a layer further out measures it already."""
        ...

    def observe(
        self,
        scope: Scope,
        status: int,
        seconds: float,
        first_byte_seconds: float | None = None,
        size: int = 0,
        exception: BaseException | None = None,
        disconnected: bool = False,
    ) -> None:
        """The request is over; ``status`` is 0 where nothing was sent."""
        ...


class EnvelopeMiddleware:
    """Name, time and harden every HTTP exchange; give WebSockets their request id.

    Args:
        security_headers: Default :data:`DEFAULT_SECURITY_HEADERS`; an empty value leaves one out.
        hsts_max_age_seconds: As in ``SecurityHeadersMiddleware``.
        hsts_include_subdomains: As in ``SecurityHeadersMiddleware``.
        docs_paths: As in ``SecurityHeadersMiddleware``.
        timing_header: As ``header`` in ``RequestTimingMiddleware``.
        access_log: As in ``RequestTimingMiddleware``.
        metrics: Told of every request, in the same pass; what ``observe`` raises is logged once.
        unmeasured_paths: Paths, exactly as written, of which it is not told.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        security_headers: Mapping[str, str] | None = None,
        hsts_max_age_seconds: int = 31_536_000,
        hsts_include_subdomains: bool = False,
        docs_paths: Sequence[str] = (),
        timing_header: TimingHeader = "Server-Timing",
        access_log: bool = True,
        metrics: RequestMetrics | None = None,
        unmeasured_paths: Collection[str] = (),
    ) -> None:
        self.app = app
        self.access_log = access_log
        self.metrics = metrics
        self._metrics_failed = False
        self._unmeasured = frozenset(unmeasured_paths)
        self._policy = SecurityPolicy(
            security_headers,
            hsts_max_age_seconds=hsts_max_age_seconds,
            hsts_include_subdomains=hsts_include_subdomains,
            docs_paths=docs_paths,
        )
        self._stamp = timing_stamp(timing_header)
        self._id_only = RequestIDMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application between the two ends of the exchange."""
        if scope["type"] != "http" or SCOPE_KEY in scope:
            await self._id_only(scope, receive, send)
            return
        started = perf_counter()
        request_id = assign_request_id(scope, _ID_NAME)
        echoed = (_ID_NAME, request_id.encode())
        stamp, ours = self._stamp, self._policy.headers_for(scope)
        exchange = scope[EXCHANGE_KEY] = Exchange()
        metrics = self.metrics
        if metrics is not None and (scope["path"] in self._unmeasured or not metrics.begin(scope)):
            metrics = None

        def enveloping_send(message: Message) -> Awaitable[None]:
            kind = message["type"]
            # Exchange.note for the two common messages, without its calls
            if kind == "http.response.body":
                exchange.size += len(message.get("body", b""))
                exchange.finished = not message.get("more_body", False)
            elif kind == "http.response.start":
                headers = list(message.get("headers", ()))
                if has_line_break(b"".join(chain.from_iterable(headers))):
                    raise line_break_in(headers)
                exchange.status = message["status"]
                headers = message["headers"] = _completed(headers, ours, echoed)
                exchange.first_byte = seconds = perf_counter() - started
                if stamp is not None:
                    headers += stamp(seconds)
            else:
                exchange.note(message)
            return send(message)

        token = request_id_ctx.set(request_id)
        failed = False
        try:
            await self.app(scope, receive, enveloping_send)
        except BaseException as exc:
            failed = not ends_the_task(exc)
            if failed and exchange.error is None:
                exchange.error = exc
            raise
        finally:
            if metrics is not None:
                try:
                    metrics.observe(
                        scope,
                        exchange.status,
                        perf_counter() - started,
                        exchange.first_byte,
                        exchange.size,
                        exchange.error,
                        not (exchange.finished or exchange.error),
                    )
                except Exception:  # the answer was sent, and is worth more than its count
                    self._report_metrics()
            if self.access_log and access_log.isEnabledFor(INFO):
                write_access_log(scope, exchange, perf_counter() - started, failed=failed)
            request_id_ctx.reset(token)

    def _report_metrics(self) -> None:
        if not self._metrics_failed:
            self._metrics_failed = True
            _log.warning("The metrics of requests fail: %r", self.metrics, exc_info=True)


def _completed(headers: RawHeaders, ours: FrozenHeaders, echoed: tuple[bytes, bytes]) -> RawHeaders:
    """The headers, which may be changed, with the request's id and those of ours they lack."""
    pairs, names = ours
    for name, _ in headers:
        if name in names or name == _ID_NAME:
            present = {name for name, _ in headers}
            headers = [pair for pair in headers if pair[0] != _ID_NAME]
            pairs = [pair for pair in pairs if pair[0] not in present]
            break
    headers += pairs
    headers.append(echoed)
    return headers
