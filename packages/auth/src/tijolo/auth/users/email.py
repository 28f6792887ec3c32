"""E-mails about accounts through tijolo-email. The extra ``email`` installs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tijolo.auth.users.mails import AuthMail, MailKind
from tijolo.core import MissingExtraError

try:
    from jinja2 import BaseLoader, ChoiceLoader, PackageLoader

    from tijolo.email import EmailUtils
    from tijolo.email.templates import EmailTemplates
except ImportError as exc:
    raise MissingExtraError("tijolo-auth", "email", "tijolo-email") from exc

__all__ = ["TemplateMailer"]


class TemplateMailer:
    """Writes e-mails from templates and sends them.

    A template of the sender's own ``template_dir`` goes before ours of the same name, such as
    ``activation.pt.txt`` or ``activation.subject.txt``; see ``EmailUtils.render``.

    Args:
        email: The sender; it stays the caller's to connect and to disconnect.
        names: Templates of other names than their :class:`MailKind`, without a suffix.
    """

    def __init__(self, email: EmailUtils, *, names: Mapping[MailKind, str] | None = None) -> None:
        own = None if email.templates is None else email.templates.environment.loader
        ours = PackageLoader("tijolo.auth.users", "mail_templates")
        loaders: list[BaseLoader] = [ours] if own is None else [own, ours]
        self._email = email
        self._names = dict(names or {})
        self._templates = EmailTemplates(ChoiceLoader(loaders))

    async def deliver(self, mail: AuthMail) -> None:
        """Write it, off the event loop, and send it."""
        name = self._names.get(mail.kind, str(mail.kind))
        subject, text, html = await asyncio.to_thread(
            self._templates.render_email, name, mail.context, locale=mail.locale
        )
        await self._email.send(mail.to, subject, text, html=html)
