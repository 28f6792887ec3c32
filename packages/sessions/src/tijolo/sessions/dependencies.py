"""The session as a parameter of a route."""

# No `from __future__ import annotations`: FastAPI 0.121 does not resolve the annotations of an
# object that is called.
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Literal, cast, overload
from uuid import UUID

from fastapi import Depends
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from tijolo.core import set_user_id
from tijolo.sessions.current import RequestSession, request_session
from tijolo.sessions.reading import OutagePolicy
from tijolo.sessions.refusals import ReauthenticationRequiredException, SessionRequiredException
from tijolo.sessions.session import Session

DEFAULT_COOKIE_NAME = "__Host-session"


class SessionDependency(SecurityBase):
    """What :func:`make_session_dependency` makes: a dependency and an OpenAPI security scheme."""

    def __init__(
        self,
        *,
        required: bool,
        policy: OutagePolicy,
        max_auth_age_seconds: float | None,
        cookie_name: str,
    ) -> None:
        if required and policy is OutagePolicy.ANONYMOUS:
            raise ValueError(
                "required=True with OutagePolicy.ANONYMOUS would tell users to sign in again while"
                " the store is down; use UNAVAILABLE or LAST_KNOWN_GOOD"
            )
        if max_auth_age_seconds is not None and (max_auth_age_seconds <= 0 or not required):
            raise ValueError("max_auth_age_seconds must be positive, and needs required=True")
        # fastapi.openapi.models declares this field by its alias
        self.model = APIKey.model_validate({"in": APIKeyIn.cookie, "name": cookie_name})
        self.scheme_name = "Session"
        self._required, self._policy = required, policy
        self._max_age = (
            None if max_auth_age_seconds is None else timedelta(seconds=max_auth_age_seconds)
        )

    async def __call__(self, connection: HTTPConnection) -> Any:
        """The session of somebody who is signed in, or None where that will do too.

        Raises:
            SessionRequiredException: Nobody is.
            ReauthenticationRequiredException: It is too long ago.
            SessionStoreUnavailableException: Nobody can tell.
        """
        current = request_session(connection)
        auth = current.auth
        if self._policy is OutagePolicy.LAST_KNOWN_GOOD and not auth.reader.has_last_known_good:
            raise RuntimeError(
                "OutagePolicy.LAST_KNOWN_GOOD needs SESSION_LAST_KNOWN_GOOD_SECONDS above 0"
            )
        session = await current.load(policy=self._policy)
        if session is None or session.user_id is None:
            if self._required:
                raise SessionRequiredException
            return None
        if self._max_age is not None and (
            session.auth_time is None or auth.now() - session.auth_time > self._max_age
        ):
            raise ReauthenticationRequiredException
        set_user_id(str(session.user_id))
        return session


@overload
def make_session_dependency(
    *,
    required: Literal[True] = True,
    policy: OutagePolicy | None = None,
    max_auth_age_seconds: float | None = None,
    cookie_name: str = DEFAULT_COOKIE_NAME,
) -> Callable[[HTTPConnection], Awaitable[Session]]: ...
@overload
def make_session_dependency(
    *,
    required: bool,
    policy: OutagePolicy | None = None,
    max_auth_age_seconds: float | None = None,
    cookie_name: str = DEFAULT_COOKIE_NAME,
) -> Callable[[HTTPConnection], Awaitable[Session | None]]: ...
def make_session_dependency(
    *,
    required: bool = True,
    policy: OutagePolicy | None = None,
    max_auth_age_seconds: float | None = None,
    cookie_name: str = DEFAULT_COOKIE_NAME,
) -> Callable[[HTTPConnection], Awaitable[Any]]:
    """A dependency, for routes and WebSockets, whose value is the signed-in user's session.

    A session of nobody, which only holds data, does not count; see ``CurrentRequestSession``.

    Args:
        required: Answer 401 when nobody is signed in; else the value is None.
        policy: What happens while the store is down. Default: a 503 where the session is
            required, nobody's request where it is not.
        max_auth_age_seconds: Answer 401 ``REAUTHENTICATION_REQUIRED`` when the user proved who
            they are longer ago than that.
        cookie_name: The name that OpenAPI shows.

    Raises:
        ValueError: for a combination that makes no sense.
    """
    if policy is None:
        policy = OutagePolicy.UNAVAILABLE if required else OutagePolicy.ANONYMOUS
    return cast(
        "Callable[[HTTPConnection], Awaitable[Any]]",
        SessionDependency(
            required=required,
            policy=policy,
            max_auth_age_seconds=max_auth_age_seconds,
            cookie_name=cookie_name,
        ),
    )


async def load_request_session(connection: HTTPConnection) -> RequestSession:
    """The request's session, loaded, whether somebody is signed in or not."""
    current = request_session(connection)
    await current.load()
    return current


_required = make_session_dependency()
_optional = make_session_dependency(required=False)


async def current_user_id(session: Annotated[Session, Depends(_required)]) -> UUID:
    """Who is signed in."""
    if session.user_id is None:
        raise SessionRequiredException
    return session.user_id


CurrentSession = Annotated[Session, Depends(_required)]
"""``async def orders(session: CurrentSession)``: 401 when nobody is signed in."""
OptionalSession = Annotated[Session | None, Depends(_optional)]
"""The same, None when nobody is."""
CurrentUserId = Annotated[UUID, Depends(current_user_id)]
"""Who is signed in; 401 when nobody is."""
CurrentRequestSession = Annotated[RequestSession, Depends(load_request_session)]
"""The session to read from, to write to, to sign in and out with."""
