"""Settings of sessions: the cookie, the clocks, the limits; refused at the start where unsafe."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tijolo.core import Environment
from tijolo.web.settings import StringList

_log = logging.getLogger("tijolo.sessions")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DOMAIN = re.compile(r"\.?(?=.{1,253}\Z)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_PREFIXES = ("__Host-", "__Secure-")


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """How long one session lives."""

    idle_seconds: int | None
    """It ends when it was not used for so long; None where only the absolute clock counts."""
    absolute_seconds: int
    """It ends so long after the sign-in, used or not."""


class RoleLifetime(BaseModel):
    """Shorter clocks for whoever has a role; what is None is not changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl_seconds: int | None = Field(default=None, ge=60)
    absolute_seconds: int | None = Field(default=None, ge=60)


def _by_role(value: object) -> object:
    """The clocks by role, from the JSON of an environment variable too."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not all(
        map(_may_be_lifetime, cast("Mapping[object, object]", value).values())
    ):
        raise ValueError(
            'expected a JSON object of clocks by role, each with "ttl_seconds",'
            ' "absolute_seconds" or both and no other key, such as {"admin": {"ttl_seconds": 1800}}'
        )
    return cast("object", value)


def _may_be_lifetime(value: object) -> bool:
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value).keys() <= RoleLifetime.model_fields.keys()
    return isinstance(value, RoleLifetime)


class SessionSettings(BaseSettings):
    """How sessions live, and what their cookie looks like.

    Three clocks (OWASP ASVS 5.0, 7.3): idle, ``SESSION_TTL_SECONDS``; absolute,
    ``SESSION_ABSOLUTE_SECONDS``; and renewal of the id, ``SESSION_RENEWAL_SECONDS``.

    Raises:
        ValidationError: for a cookie that browsers would drop or that anybody could read or
            plant, and for clocks that contradict each other.
    """

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    SESSION_TTL_SECONDS: int = Field(default=86_400, ge=60)
    """Idle clock: a session ends when it was not used for so long. With
    ``SESSION_SLIDING=false`` it ends so long after the sign-in, used or not."""
    SESSION_SLIDING: bool = True
    SESSION_ABSOLUTE_SECONDS: int = Field(default=604_800, ge=60)
    """A session ends so long after the sign-in, however much it is used."""
    SESSION_RENEWAL_SECONDS: int | None = Field(default=None, ge=60)
    """An id that is older is replaced by a new one. Unset: at sign-in and step-up only."""
    SESSION_RENEWAL_OVERLAP_SECONDS: int = Field(default=60, ge=0, le=3600)
    """How long the replaced id still works after the new one was first used, for requests that
    were under way."""
    SESSION_TOUCH_SECONDS: int | None = Field(default=None, ge=1)
    """The use of a session is written down at most so often. Unset: a twentieth of
    ``SESSION_TTL_SECONDS``, one minute at most."""
    SESSION_REMEMBER_TTL_SECONDS: int = Field(default=2_592_000, ge=60)
    """Idle clock of who asked to be remembered."""
    SESSION_REMEMBER_ABSOLUTE_SECONDS: int = Field(default=7_776_000, ge=60)
    SESSION_ROLE_LIFETIMES: Annotated[
        dict[str, RoleLifetime], NoDecode, BeforeValidator(_by_role)
    ] = {}
    """By role, as JSON: ``{"admin": {"ttl_seconds": 1800, "absolute_seconds": 43200}}``. The
    shortest clock counts, remembered or not."""
    SESSION_MAX_PER_USER: int = Field(default=20, ge=1, le=1000)
    """One sign-in more ends the session that was unused for the longest time."""
    SESSION_ROTATE_ON_LOGIN: bool = True
    """End the session that the browser had when its user signs in again, and carry over what it
    held. Off, it lives on beside the new one, whose id is new all the same."""

    SESSION_COOKIE_NAME: str = "session"
    """Without its prefix, which the other settings decide: see ``session_cookie_name``."""
    SESSION_COOKIE_DOMAIN: str | None = None
    """Shares the cookie with every subdomain, which can then overwrite it; better unset."""
    SESSION_COOKIE_PATH: str = "/"
    SESSION_COOKIE_SECURE: bool = True
    """Off only for development over plain http; refused in staging and production."""
    SESSION_COOKIE_HTTPONLY: bool = True
    """Cannot be switched off: no script has a use for the id."""
    SESSION_COOKIE_SAMESITE: Literal["lax", "strict", "none"] = "lax"
    SESSION_TRUSTED_ORIGINS: StringList = []
    """Other origins whose pages may open WebSockets with the session, and write where no
    ``CSRFMiddleware`` is, such as ``https://app.example.com``; several with commas between."""

    SESSION_USER_CHECK_SECONDS: float = Field(default=5.0, ge=0, le=300)
    """How long it is believed that a user may stay signed in; 0 asks at every request."""
    SESSION_LOCAL_CACHE_SECONDS: float = Field(default=0.0, ge=0, le=60)
    """How long a process believes what it loaded, without asking the store; 0 always asks. A
    session that another process ended lives so long here."""
    SESSION_LAST_KNOWN_GOOD_SECONDS: float = Field(default=0.0, ge=0, le=3600)
    """How long, while the store is down, routes that ask for it believe what was loaded last."""
    SESSION_LOCAL_CACHE_SIZE: int = Field(default=10_000, ge=1)
    """Sessions that a process remembers for the two settings above."""
    SESSION_STORE_RETRY_SECONDS: float = Field(default=1.0, ge=0, le=60)
    """How long a store, or a user check, that failed is left alone."""

    @field_validator("SESSION_COOKIE_NAME")
    @classmethod
    def _is_token(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a token (RFC 6265, section 4.1.1)")
        return name

    @field_validator("SESSION_COOKIE_DOMAIN")
    @classmethod
    def _is_domain(cls, domain: str | None) -> str | None:
        if domain and not _DOMAIN.fullmatch(domain):
            raise ValueError(f"{domain!r} is not a domain with a dot in it, such as 'example.com'")
        return domain or None

    @field_validator("SESSION_COOKIE_PATH")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} must start with a slash and be ASCII without ';'")
        return path

    @field_validator("SESSION_COOKIE_SAMESITE", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("SESSION_TRUSTED_ORIGINS")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin; write scheme://host[:port] in lower case,"
                    " without a path or a slash at the end"
                )
        return origins

    @model_validator(mode="after")
    def _cookie_is_safe(self) -> Self:
        if not self.SESSION_COOKIE_HTTPONLY:
            raise ValueError(
                "SESSION_COOKIE_HTTPONLY=false would show the id to every script of the page;"
                " remove it"
            )
        if self.SESSION_COOKIE_SECURE:
            self._check_given_prefix()
        else:
            self._check_insecure()
        if self.SESSION_COOKIE_DOMAIN:
            _log.warning(
                "SESSION_COOKIE_DOMAIN=%s: every subdomain can read and overwrite the session's"
                " cookie; leave it unset for a __Host- cookie",
                self.SESSION_COOKIE_DOMAIN,
            )
        return self

    def _check_insecure(self) -> None:
        if self.SESSION_COOKIE_SAMESITE == "none":
            raise ValueError(
                "SESSION_COOKIE_SAMESITE=none needs SESSION_COOKIE_SECURE=true: browsers drop the"
                " cookie otherwise"
            )
        if self.SESSION_COOKIE_NAME.startswith(_PREFIXES):
            raise ValueError(
                f"SESSION_COOKIE_NAME {self.SESSION_COOKIE_NAME!r} has a prefix that needs"
                " SESSION_COOKIE_SECURE=true"
            )
        environment: Environment | None = getattr(self, "ENVIRONMENT", None)
        if environment is not None and not environment.is_development:
            raise ValueError(
                "SESSION_COOKIE_SECURE=false sends the session in the clear and is refused with"
                f" ENVIRONMENT={environment.value}; unset it, or where this is development set"
                " ENVIRONMENT=development"
            )

    def _check_given_prefix(self) -> None:
        name = self.SESSION_COOKIE_NAME
        given = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if given is None and name.lower().startswith(("__host-", "__secure-")):
            raise ValueError(f"SESSION_COOKIE_NAME {name!r}: write the prefix as __Host-")
        if given not in (None, self._prefix):
            raise ValueError(
                f"SESSION_COOKIE_NAME {name!r} does not fit SESSION_COOKIE_DOMAIN and"
                f" SESSION_COOKIE_PATH, which make it {self._prefix}; leave the prefix out"
            )

    @model_validator(mode="after")
    def _clocks_agree(self) -> Self:
        for short, long in (
            ("SESSION_TTL_SECONDS", "SESSION_ABSOLUTE_SECONDS"),
            ("SESSION_REMEMBER_TTL_SECONDS", "SESSION_REMEMBER_ABSOLUTE_SECONDS"),
            ("SESSION_TOUCH_SECONDS", "SESSION_TTL_SECONDS"),
        ):
            if (getattr(self, short) or 0) > getattr(self, long):
                raise ValueError(
                    f"{short}={getattr(self, short)} is longer than {long}={getattr(self, long)}"
                )
        return self

    @model_validator(mode="after")
    def _use_is_written_down_in_time(self) -> Self:
        """Or who uses a session all the time is signed out."""
        if not self.SESSION_SLIDING:
            return self
        of_roles = (limits.ttl_seconds for limits in self.SESSION_ROLE_LIFETIMES.values())
        clocks = (self.SESSION_TTL_SECONDS, self.SESSION_REMEMBER_TTL_SECONDS, *of_roles)
        shortest = min(clock for clock in clocks if clock is not None)
        unseen = self.session_touch_seconds + self.SESSION_LOCAL_CACHE_SECONDS
        if unseen >= shortest:
            raise ValueError(
                "SESSION_TOUCH_SECONDS and SESSION_LOCAL_CACHE_SECONDS together must be less than"
                f" the shortest idle clock, {shortest} s, got {unseen:g}; set them lower"
            )
        return self

    @property
    def _prefix(self) -> str:
        if not self.SESSION_COOKIE_SECURE:
            return ""
        alone = self.SESSION_COOKIE_DOMAIN is None and self.SESSION_COOKIE_PATH == "/"
        return "__Host-" if alone else "__Secure-"

    @property
    def session_cookie_name(self) -> str:
        """The cookie's name: ``__Host-session``; ``__Secure-session`` with a domain or a path;
        ``session`` where the cookie is not secure (RFC 6265bis, section 4.1.3)."""
        name = self.SESSION_COOKIE_NAME
        return name if name.startswith(_PREFIXES) else self._prefix + name

    @property
    def session_touch_seconds(self) -> int:
        """``SESSION_TOUCH_SECONDS``, or what it is by default."""
        return self.SESSION_TOUCH_SECONDS or max(1, min(60, self.SESSION_TTL_SECONDS // 20))

    def session_lifetime(self, *, remember: bool = False, roles: Iterable[str] = ()) -> Lifetime:
        """The clocks of a new session.

        Args:
            remember: Whether the user asked to be remembered.
            roles: The user's roles; the shortest of their clocks counts.
        """
        ttl, absolute = self.SESSION_TTL_SECONDS, self.SESSION_ABSOLUTE_SECONDS
        if remember:
            ttl = self.SESSION_REMEMBER_TTL_SECONDS
            absolute = self.SESSION_REMEMBER_ABSOLUTE_SECONDS
        for role in self.SESSION_ROLE_LIFETIMES.keys() & set(roles):
            limits = self.SESSION_ROLE_LIFETIMES[role]
            ttl = min(ttl, limits.ttl_seconds or ttl)
            absolute = min(absolute, limits.absolute_seconds or absolute)
        if not self.SESSION_SLIDING:
            return Lifetime(idle_seconds=None, absolute_seconds=min(ttl, absolute))
        return Lifetime(idle_seconds=min(ttl, absolute), absolute_seconds=absolute)
