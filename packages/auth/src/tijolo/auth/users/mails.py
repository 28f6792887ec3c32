"""E-mails about accounts: which there are, and when they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from tijolo.auth.users.outbox import Outbox
from tijolo.core import BaseStrEnum
from tijolo.db import on_commit


class MailKind(BaseStrEnum):
    """The e-mails; the value is the name of their templates."""

    ACTIVATION = "activation"
    """``url``, ``expires_at``."""
    ACCOUNT_EXISTS = "account_exists"
    """To the owner, when somebody signs up with their address. ``login_url``."""
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    """``url``, ``expires_at``."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    """``unlinked``: the providers whose logins a reset took away; empty for a change."""
    CREDENTIALS_CHANGED = "credentials_changed"
    """Another way in was added or taken away. ``change``: the kind of its event, such as
    ``oauth_linked``; ``provider``, where there is one."""
    EMAIL_CHANGE = "email_change"
    """To the new address. ``url``, ``expires_at``."""
    EMAIL_CHANGE_NOTICE = "email_change_notice"
    """To the old address, when a change is asked for."""
    EMAIL_CHANGED = "email_changed"
    """To the old address, when it was changed."""


@dataclass(frozen=True, kw_only=True)
class AuthMail:
    """One e-mail to be written and sent."""

    kind: MailKind
    to: str
    """A stored address, never one as it was typed."""
    context: Mapping[str, Any] = field(repr=False)
    """For the templates. It holds tokens, and nothing that a stranger chose."""
    locale: str


@runtime_checkable
class AuthMailer(Protocol):
    """Writes and sends e-mails, as ``tijolo.auth.users.email.TemplateMailer`` does."""

    async def deliver(self, mail: AuthMail) -> None:
        """Send it; what is raised is logged."""
        ...


class Mails:
    """Sends e-mails once a transaction is committed, and after the answer.

    Args:
        mailer: None drops them: only where tokens are handed out in the answer.
        outbox: Where they wait.
        locale: Of readers whose language is not known.
    """

    def __init__(self, mailer: AuthMailer | None, outbox: Outbox, *, locale: str) -> None:
        self._mailer = mailer
        self._locale = locale
        self.outbox = outbox

    def after_commit(
        self,
        session: AsyncSession,
        kind: MailKind,
        to: str,
        *,
        locale: str | None = None,
        **context: Any,
    ) -> None:
        """Send it when the transaction of ``session`` is committed."""
        mailer = self._mailer
        if mailer is None:
            return
        mail = AuthMail(kind=kind, to=to, context=context, locale=locale or self._locale)
        on_commit(session, lambda: self.outbox.put(lambda: mailer.deliver(mail)))
