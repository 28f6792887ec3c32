"""Accounts and logins of a service, in one object."""

from __future__ import annotations

from tijolo.auth.users.account_methods import AccountMethods
from tijolo.auth.users.login_methods import LoginMethods
from tijolo.auth.users.recovery_methods import RecoveryMethods


class UserAuthService(AccountMethods, LoginMethods, RecoveryMethods):
    """Sign-up, activation, login, refresh, recovery and administration of users. A ``Resource``.

    Every method takes the session of the caller's unit of work first and only flushes; e-mails,
    events and revocations follow the commit. Nothing that it answers, nor the time it takes, says
    whether an address has an account.

    Args:
        user_model: The service's own, derived from ``BaseUserModel``.
        token_model: Of ``make_user_token_model``.
        auth_settings: Lifetimes, links, policy.
        jwt_settings: What signs the access tokens, and how long refresh tokens live.
        db: For what must be saved although a request is refused, and what follows an answer.
        email: An ``EmailUtils`` of tijolo-email (extra ``email``), or any ``AuthMailer``.
        passwords: What makes hashes; as ``auth_settings`` say unless it is given.
        jwt: For claims of the service's own.
        refresh_model: Of ``make_refresh_token_model``; None for logins that nothing continues.
        hashing: Threads for ``passwords``; it stays the caller's to disconnect.
        issuer: Instead of the one that ``jwt_settings`` describe.
        revocation: Told what ended, for those who check tokens and do not see the table.
        policy: Which passwords are accepted.
        second_factor: Asked after the password.
        throttle: Attempts at logins; the router asks it.
        hierarchy: The roles that there are; accounts are given no other, where it is named.
        on_event: Told of every :class:`AuthEvent`.
        clock: The time.

    Raises:
        InsecureAuthSettingsError: There is no ``email``; or, outside development, tokens would be
            handed out in answers, or shown by a ``ConsoleBackend``.
    """
