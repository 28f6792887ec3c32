from __future__ import annotations

import subprocess
import sys

import pytest

import tijolo.http

NAMES = """
REQUEST_ID_HEADER APIKeyAuth AddressNotAllowedError AttemptEvent Auth AuthenticationFailedError
BasicAuth BearerAuth CallEvent Circuit CircuitOpenError CircuitPolicy CircuitSnapshot CircuitState
DeadlineExceededError HTTPClient HTTPClientSettings HTTPObserver IntegrationError
OAuth2ClientCredentials PoolLimits RedirectNotAllowedError RequestOptions ResponseTooLargeError
RetryAfterTooLongError RetryBudget RetryPolicy Timeouts UpstreamError UpstreamUnreachableError
__version__ deadline_scope
parse_retry_after
"""


def test_no_public_name_comes_or_goes_unnoticed() -> None:
    assert tijolo.http.__all__ == NAMES.split()
    for name in NAMES.split():
        assert hasattr(tijolo.http, name)


def _python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def test_importing_the_package_imports_no_extra() -> None:
    code = (
        "import sys, tijolo.http, tijolo.http.guard, tijolo.http.integration, tijolo.http.testing"
    )
    extras = "[m for m in ('httpx2', 'fastapi', 'jinja2', 'truststore') if m in sys.modules]"
    assert _python(f"{code}; print({extras})").strip() == "[]"


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [("httpx2", "httpx2", "httpx2"), ("web", "fastapi", "web"), ("web", "jinja2", "web")],
)
def test_a_missing_extra_says_how_to_install_it(module, missing, extra) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import tijolo.http.{module}"
    output = _python(code)
    assert "MissingExtraError" in output
    assert f'pip install "tijolo-http[{extra}]"' in output
