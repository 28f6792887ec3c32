"""The gate at the start: settings with which tokens would not be safe keep the service down."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel

from tijolo.auth.key_ring import KeyRing
from tijolo.auth.keys import InvalidKeyError
from tijolo.auth.revocation import FailureMode, TokenMode
from tijolo.auth.settings import DEFAULT_ISSUER, JWTSettings, TokenSettings
from tijolo.auth.user_settings import LINKS, AuthSettings
from tijolo.core import BaseAppSettings
from tijolo.core.secret_check import unfit_secrets

_LONG_TTL_SECONDS = 3600
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# what only says that this is no production
_FORGIVEN_IN_DEVELOPMENT = frozenset(
    {"UNFIT_SECRET", "PLAIN_HTTP", "LOCAL_LINK", "NO_MAILER", "TOKEN_IN_RESPONSE"}
)
_log = logging.getLogger("tijolo.auth.check")

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class AuthProblem:
    """One finding. ``code`` is stable; ``message`` names the setting and never its value."""

    severity: Severity
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.message}"


class InsecureAuthSettingsError(RuntimeError):
    """The settings are not safe to serve with; the service must not start."""


def check_auth_settings(settings: BaseModel, *, ignore: Iterable[str] = ()) -> list[AuthProblem]:
    """What is wrong with how ``settings`` protect the service, the worst first.

    In development, placeholders and plain HTTP are only warned of.

    Args:
        settings: Composed of the mixins that the service uses; what it lacks is not checked.
        ignore: Codes of risks that were accepted, such as ``PLAIN_HTTP`` inside a mesh.

    Raises:
        TypeError: for settings without any mixin of this package.
    """
    if not isinstance(settings, (AuthSettings, JWTSettings, TokenSettings)):
        raise TypeError(
            f"{type(settings).__name__} has none of AuthSettings, JWTSettings and TokenSettings"
        )
    forgiving = isinstance(settings, BaseAppSettings) and settings.ENVIRONMENT.is_development
    ignored = frozenset(ignore)
    found: list[AuthProblem] = []
    for severity, code, message in _problems(settings):
        if code not in ignored:
            mild = forgiving and code in _FORGIVEN_IN_DEVELOPMENT
            found.append(AuthProblem("warning" if mild else severity, code, message))
    return sorted(found, key=lambda problem: problem.severity)


def make_auth_validator(
    settings: BaseModel, *, ignore: Iterable[str] = ()
) -> Callable[[], Awaitable[None]]:
    """A validator for ``AppLifecycle(startup_validators=[...])``: warnings are logged.

    Args:
        settings: As for :func:`check_auth_settings`.
        ignore: The same.

    Raises:
        InsecureAuthSettingsError: from the validator, naming every error.
    """
    ignored = frozenset(ignore)

    async def validate() -> None:
        problems = check_auth_settings(settings, ignore=ignored)
        errors = [problem for problem in problems if problem.severity == "error"]
        for problem in problems:
            if problem.severity == "warning":
                _log.warning("%s: %s", problem.code, problem.message)
        if errors:
            listed = "; ".join(f"{problem.code}: {problem.message}" for problem in errors)
            raise InsecureAuthSettingsError(listed)

    return validate


Finding = tuple[Severity, str, str]


def _problems(settings: BaseModel) -> Iterator[Finding]:
    for sentence in unfit_secrets(settings):
        yield "error", "UNFIT_SECRET", sentence
    if isinstance(settings, TokenSettings) and not settings.TOKEN_SECRET.get_secret_value():
        yield "warning", "X_TOKEN_EMPTY", "TOKEN_SECRET is empty: routes behind it refuse everybody"
    if isinstance(settings, JWTSettings):
        yield from _key_problems(settings)
        yield from _lifetime_problems(settings)
        yield from _revocation_problems(settings)
        yield from _url_problems(settings)
    if isinstance(settings, AuthSettings):
        yield from _user_problems(settings)
        yield from _link_problems(settings)


def _key_problems(settings: JWTSettings) -> Iterator[Finding]:
    verifies_only = settings.JWT_JWKS_URL is not None or settings.AUTH_SERVICE_ROLE == "consumer"
    signing = _what_signs(settings)
    if settings.AUTH_SERVICE_ROLE == "consumer" and signing:
        yield (
            "warning",
            "CONSUMER_CAN_SIGN",
            f"a consumer that has {' and '.join(signing)} can make tokens; it needs the JWKS alone",
        )
    if settings.JWT_ISSUER == DEFAULT_ISSUER:
        yield (
            "warning",
            "DEFAULT_ISSUER",
            "JWT_ISSUER is the default; a name of one's own keeps services apart",
        )
    try:
        ring = settings.key_ring()
    except InvalidKeyError as error:
        yield "error", "UNUSABLE_KEY", str(error)
        return
    except ValueError as error:
        if settings.JWT_JWKS_URL is None:
            yield "error", "UNUSABLE_KEY", str(error)
        return
    yield from _ring_problems(settings, ring, verifies_only=verifies_only)


def _what_signs(settings: JWTSettings) -> list[str]:
    """The settings that hold what signs, whether or not it is used."""
    given = {
        "JWT_SECRET": settings.JWT_SECRET,
        "JWT_PRIVATE_KEY": settings.JWT_PRIVATE_KEY,
    }
    names = [name for name, value in given.items() if value and value.get_secret_value()]
    further = any(key.secret or key.private_key for key in settings.JWT_KEYS)
    return [*names, "JWT_KEYS"] if further else names


def _ring_problems(
    settings: JWTSettings, ring: KeyRing, *, verifies_only: bool
) -> Iterator[Finding]:
    if len({key.is_symmetric for key in ring.keys}) > 1:
        yield (
            "warning",
            "ALGORITHM_MIX",
            "secrets and key pairs are mixed; retire the secrets once all tokens are signed anew",
        )
    if verifies_only:
        return
    try:
        ring.signing_key()
    except RuntimeError as error:
        yield "error", "NOTHING_SIGNS", str(error)
        return
    signers = [key for key in ring.keys if key.signer is not None]
    if all(key.schedule.signs_until is not None for key in signers):
        yield "warning", "SIGNING_ENDS", "no key signs after the last signs_until of JWT_KEYS"
    lifetime = timedelta(seconds=settings.JWT_ACCESS_TTL_SECONDS)
    for key in signers:
        end, gone = key.schedule.signs_until, key.schedule.verifies_until
        if end is not None and gone is not None and gone - end < lifetime:
            yield (
                "warning",
                "KEY_RETIRES_EARLY",
                f"key {key.kid!r} stops verifying before its last tokens expire",
            )


def _lifetime_problems(settings: JWTSettings) -> Iterator[Finding]:
    if settings.JWT_REFRESH_TTL_SECONDS < settings.JWT_ACCESS_TTL_SECONDS:
        yield (
            "error",
            "REFRESH_SHORTER_THAN_ACCESS",
            "JWT_REFRESH_TTL_SECONDS is shorter than JWT_ACCESS_TTL_SECONDS",
        )
    long = settings.JWT_ACCESS_TTL_SECONDS > _LONG_TTL_SECONDS
    if long and settings.TOKEN_MODE is TokenMode.STATELESS:
        yield (
            "warning",
            "LONG_ACCESS_TTL",
            "JWT_ACCESS_TTL_SECONDS is over an hour, and a stateless token cannot be revoked",
        )


def _revocation_problems(settings: JWTSettings) -> Iterator[Finding]:
    if settings.INTROSPECTION_URL and settings.PRIVATE_API_SECRET is None:
        yield "error", "NO_PRIVATE_SECRET", "INTROSPECTION_URL needs PRIVATE_API_SECRET"
    if settings.TOKEN_MODE is TokenMode.STATELESS:
        return
    if settings.AUTH_SERVICE_ROLE == "consumer" and not settings.INTROSPECTION_URL:
        yield (
            "warning",
            "NOBODY_TO_ASK",
            "without INTROSPECTION_URL this TOKEN_MODE needs a store that the issuer shares",
        )
    if settings.ACCESS_REVOCATION_FAILURE_MODE is FailureMode.OPEN:
        yield (
            "warning",
            "FAILS_OPEN",
            "ACCESS_REVOCATION_FAILURE_MODE=fail_open: revoked tokens pass while nobody answers",
        )


def _url_problems(settings: JWTSettings) -> Iterator[Finding]:
    urls = {"JWT_JWKS_URL": settings.JWT_JWKS_URL, "INTROSPECTION_URL": settings.INTROSPECTION_URL}
    for name, url in urls.items():
        parts = urlsplit(url or "")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            yield (
                "error",
                "PLAIN_HTTP",
                f"{name} is plain http: whoever is in between can answer; use https",
            )


def _user_problems(settings: AuthSettings) -> Iterator[Finding]:
    if settings.AUTH_RETURN_TOKEN_IN_RESPONSE:
        yield (
            "error",
            "TOKEN_IN_RESPONSE",
            "AUTH_RETURN_TOKEN_IN_RESPONSE hands accounts to whoever asks for their link",
        )
    # EmailSettings of tijolo-email, where the service composes it; AUTO needs a server
    backend = getattr(settings, "EMAIL_BACKEND", None)
    sends = backend is None or backend == "smtp" or bool(getattr(settings, "SMTP_HOST", ""))
    if not sends:
        yield "error", "NO_MAILER", "without SMTP_HOST no link reaches its owner"
    if settings.AUTH_AUTO_ACTIVATE:
        yield (
            "warning",
            "UNPROVED_ADDRESSES",
            "AUTH_AUTO_ACTIVATE opens accounts with addresses that may be somebody else's",
        )


def _link_problems(settings: AuthSettings) -> Iterator[Finding]:
    for name in LINKS:
        link: str = getattr(settings, name)
        parts = urlsplit(link)
        if parts.hostname in _LOOPBACK:
            yield "error", "LOCAL_LINK", f"{name} leads to this machine: its readers have another"
        elif parts.scheme in ("", "http"):  # an app's own scheme is fine
            yield (
                "error",
                "PLAIN_HTTP",
                f"{name} is not https: whoever is in between reads the token",
            )
