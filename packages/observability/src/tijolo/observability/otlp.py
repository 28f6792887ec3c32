"""Sending spans to a collector by OTLP over HTTP. Needs the extra `otlp`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from tijolo.core import MissingExtraError

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
except ImportError as exc:
    raise MissingExtraError(
        "tijolo-observability", "otlp", "opentelemetry-exporter-otlp-proto-http"
    ) from exc


def otlp_exporter(
    endpoint: str,
    *,
    headers: Mapping[str, str | SecretStr] | None = None,
    timeout_seconds: float = 5.0,
) -> OTLPSpanExporter:
    """An exporter for `setup_tracing`.

    Args:
        endpoint: the whole URL, such as `http://collector:4318/v1/traces`.
        headers: sent with each request, for instance the collector's token.
        timeout_seconds: how long one export may take, its retries included.

    Raises:
        ValueError: the endpoint is no HTTP URL.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise ValueError(
            "endpoint must be a URL such as 'http://collector:4318/v1/traces'; it begins neither"
            " with http:// nor with https://"
        )
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in (headers or {}).items()
    }
    return OTLPSpanExporter(endpoint=endpoint, headers=plain, timeout=timeout_seconds)
