"""Why a request does not get what it asked of a session."""

from __future__ import annotations

from tijolo.core import ForbiddenException, NotFoundException, UnauthorizedException


class SessionRequiredException(UnauthorizedException):
    """The route needs somebody who is signed in, and nobody is."""

    code = "SESSION_REQUIRED"
    message = "Sign in first"
    # no registered scheme stands for a cookie, and Basic would make browsers ask
    challenge = "Session"


class InvalidCredentialsException(UnauthorizedException):
    """Who it was and what was wrong is not said: that would tell who has an account."""

    code = "INVALID_CREDENTIALS"
    message = "The credentials are not valid"
    challenge = "Session"


class SecondFactorRequiredException(UnauthorizedException):
    """The password was good, and a code must come with it."""

    code = "SECOND_FACTOR_REQUIRED"
    message = "Send the code of the second factor too"
    challenge = "Session"


class ReauthenticationRequiredException(UnauthorizedException):
    """The sign-in is too old for this; prove again who you are (OWASP ASVS 5.0, 7.5.1)."""

    code = "REAUTHENTICATION_REQUIRED"
    message = "Sign in again to do this"
    challenge = "Session"


class CrossSiteSessionException(ForbiddenException):
    """Another site's page sent the session's cookie along."""

    code = "CROSS_SITE_REQUEST"
    message = "This request must come from a page of the service itself"


class SessionNotFoundException(NotFoundException):
    """The user has no session of that public id."""

    code = "SESSION_NOT_FOUND"
    message = "There is no such session"
