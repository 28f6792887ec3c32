"""The trace of the current span, as the exemplar of a measurement."""

from __future__ import annotations

try:  # FastAPI brings it since it has native telemetry; older ones do not
    # house: allow library, FastAPI brings it
    from opentelemetry.trace import get_current_span as _current_span
except ImportError:
    _current_span = None  # type: ignore[assignment]


def trace_exemplar() -> dict[str, str] | None:
    """`trace_id` and `span_id` of the current span; `{}` if it is not sampled, None without one."""
    if _current_span is None:
        return None
    context = _current_span().get_span_context()
    if not context.is_valid:
        return None
    if not context.trace_flags.sampled:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
