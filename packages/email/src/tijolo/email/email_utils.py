"""Sending e-mail: one, many, from templates, after a commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from jinja2 import BaseLoader

from tijolo.core import utcnow
from tijolo.email._delivery import Delivery
from tijolo.email.addresses import EmailAddress
from tijolo.email.backend import EmailBackend
from tijolo.email.content import Attachment
from tijolo.email.errors import EmailError
from tijolo.email.message import Address, File, OutgoingEmail, Unsubscribe
from tijolo.email.prepared import DEFAULT_MAX_MESSAGE_BYTES, Preparation, PreparedEmail, Signer
from tijolo.email.results import BulkResult, SendEvent, SendResult
from tijolo.email.send_keys import MemorySendKeys, SendKeyStore
from tijolo.email.smtp import SMTPBackend
from tijolo.email.smtp_options import (
    PoolLimits,
    RetryPolicy,
    SMTPServer,
    SMTPTimeouts,
    TLSMode,
)
from tijolo.email.templates import EmailTemplates

if TYPE_CHECKING:
    from tijolo.email.settings import EmailSettings

_log = logging.getLogger("tijolo.email")


class EmailOptions(TypedDict, total=False):
    """What ``send`` and ``send_template`` take besides the text; see :class:`OutgoingEmail`."""

    cc: Iterable[Address] | None
    bcc: Iterable[Address] | None
    reply_to: Address | Iterable[Address] | None
    from_addr: Address | None
    attachments: Iterable[File] | None
    inline: Mapping[str, File] | None
    headers: Mapping[str, str] | None
    unsubscribe: Unsubscribe | None
    key: str | None


class SenderOptions(TypedDict, total=False):
    """What every :class:`EmailUtils` takes, whatever its backend."""

    template_dir: str | PathLike[str] | BaseLoader | None
    """Where templates are, or a loader of Jinja; None for no templates."""
    max_message_bytes: int
    """Largest e-mail, encoded; 25 MiB unless it is given."""
    signer: Signer | None
    """Signs, as ``tijolo.email.dkim.DKIMSigner`` does."""
    keys: SendKeyStore | None
    """Remembers idempotency keys; in memory unless it is given."""
    observer: Callable[[SendEvent], None] | None
    """Is called after each e-mail, for metrics."""
    now: Callable[[], datetime]
    """The time for ``Date``."""


class EmailUtils:
    """Sends e-mails from one address, and satisfies ``Resource``.

    ``EmailUtils("smtp.example.com", from_addr="shop@example.com", ...)`` sends over SMTP;
    :meth:`with_backend` over anything else; :meth:`from_settings` as the settings say.

    Args:
        host: The SMTP server.
        port: None takes 587, 465 or 25, as goes with the encryption.
        from_addr: The sender; its domain is that of ``Message-ID``.
        username: Logs in when it is given.
        password: Goes with it; never sent in clear, but to this machine.
        use_tls: TLS from the first byte, as on port 465; wins over ``use_starttls``.
        use_starttls: An upgrade to TLS, without which nothing is sent.
        tls: The same choice as one value; wins over both.
        timeout: Seconds that a reply of the server may take.
        oauth_token, allow_insecure_auth, local_hostname, ca_file: as in :class:`SMTPServer`.
        timeouts: All of them; wins over ``timeout``.
        pool, retry: as in :class:`SMTPBackend`.
        options: Those of :class:`SenderOptions`.

    Raises:
        ValueError: the options contradict each other, or would send a password in clear.
        InvalidAddressError: ``from_addr`` is not an address.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        from_addr: Address,
        username: str | None = None,
        password: str | None = None,
        use_tls: bool = False,
        use_starttls: bool = True,
        tls: TLSMode | None = None,
        timeout: float = 30.0,
        oauth_token: Callable[[], Awaitable[str]] | None = None,
        allow_insecure_auth: bool = False,
        local_hostname: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeouts: SMTPTimeouts | None = None,
        pool: PoolLimits | None = None,
        retry: RetryPolicy | None = None,
        **options: Unpack[SenderOptions],
    ) -> None:
        server = SMTPServer(
            host=host,
            port=port,
            tls=tls or _mode(use_tls=use_tls, use_starttls=use_starttls),
            username=username,
            password=password,
            oauth_token=oauth_token,
            allow_insecure_auth=allow_insecure_auth,
            local_hostname=local_hostname,
            ca_file=ca_file,
        )
        backend = SMTPBackend(
            server,
            timeouts=timeouts or SMTPTimeouts(command_seconds=timeout),
            pool=pool,
            retry=retry,
        )
        self._set_up(backend, from_addr, **options)

    @classmethod
    def with_backend(
        cls,
        backend: EmailBackend,
        *,
        from_addr: Address,
        **options: Unpack[SenderOptions],
    ) -> EmailUtils:
        """A sender with any backend; ``options`` are those of :class:`SenderOptions`."""
        email = cls.__new__(cls)
        email._set_up(backend, from_addr, **options)
        return email

    @classmethod
    def from_settings(cls, settings: EmailSettings) -> EmailUtils:
        """The sender that ``settings`` describe.

        Raises:
            ValueError: nothing is configured outside development, or what is contradicts itself.
        """
        backend, options = settings.email_arguments()
        return cls.with_backend(backend, **options)

    def _set_up(
        self, backend: EmailBackend, from_addr: Address, **options: Unpack[SenderOptions]
    ) -> None:
        max_bytes = options.get("max_message_bytes", DEFAULT_MAX_MESSAGE_BYTES)
        if max_bytes < 1:
            raise ValueError(f"max_message_bytes must be positive, got {max_bytes}")
        source = options.get("template_dir")
        sender = EmailAddress.parse(from_addr)
        self.backend = backend
        self.templates = None if source is None else EmailTemplates(source)
        self._from = sender
        keys = options.get("keys")
        # not "or": a store that counts its keys is false while it is empty
        keys = MemorySendKeys() if keys is None else keys
        self._delivery = Delivery(keys, options.get("observer"))
        self._prepare = Preparation(
            from_addr=sender,
            domain="localhost" if sender.domain.startswith("[") else sender.domain,
            max_bytes=max_bytes,
            signer=options.get("signer"),
            now=options.get("now", utcnow),
        )

    @property
    def from_addr(self) -> str:
        """The sender."""
        return str(self._from)

    @property
    def host(self) -> str:
        """The SMTP server; empty for another backend."""
        return self.backend.server.host if isinstance(self.backend, SMTPBackend) else ""

    @property
    def port(self) -> int:
        """Its port; 0 for another backend."""
        return self.backend.server.effective_port if isinstance(self.backend, SMTPBackend) else 0

    @property
    def use_tls(self) -> bool:
        """Whether it is TLS from the first byte."""
        return self._mode is TLSMode.TLS

    @property
    def use_starttls(self) -> bool:
        """Whether the connection is upgraded."""
        return self._mode is TLSMode.STARTTLS

    @property
    def _mode(self) -> TLSMode | None:
        return self.backend.server.tls if isinstance(self.backend, SMTPBackend) else None

    async def connect(self) -> None:
        """Get the backend ready; a server that is down does not matter yet."""
        await self.backend.connect()

    async def disconnect(self) -> None:
        """Let what is being sent end, and close the connections."""
        await self.backend.disconnect()

    async def health_check(self) -> bool:
        """Whether an e-mail could be sent now; never raises."""
        return await self.backend.health_check()

    async def send(
        self,
        to: Address | Iterable[Address],
        subject: str,
        body: str = "",
        *,
        html: str | None = None,
        **options: Unpack[EmailOptions],
    ) -> SendResult:
        """Send one e-mail; without ``body``, the text is made of ``html``.

        Returns:
            What became of it. When some recipients are refused and some are not, that is no
            error: look at ``refused``.

        Raises:
            InvalidEmailError: an address, a header or an attachment is not fit to be sent.
            EmailDeliveryError: nobody gets it.
            OSError: an attachment cannot be read.
        """
        return await self.send_email(_outgoing(to, subject, body, html, options))

    async def send_template(
        self,
        to: Address | Iterable[Address],
        template: str,
        context: Mapping[str, Any],
        *,
        subject: str | None = None,
        locale: str | None = None,
        **options: Unpack[EmailOptions],
    ) -> SendResult:
        """Send what :meth:`render` makes of ``template``.

        Raises:
            EmailTemplateError: a template is missing or broken.
            EmailError: as :meth:`send`.
        """
        found = await self.render(template, context, subject=subject, locale=locale)
        return await self.send_email(_outgoing(to, *found, options))

    async def render(
        self,
        template: str,
        context: Mapping[str, Any],
        *,
        subject: str | None = None,
        locale: str | None = None,
    ) -> tuple[str, str, str | None]:
        """Subject, text and HTML of ``template``, off the event loop.

        For ``"welcome"`` these are ``welcome.subject.txt`` (unless ``subject`` is given),
        ``welcome.txt`` and ``welcome.html``, each with or without ``.j2``; text or HTML may be
        missing. With ``locale="pt-BR"``, ``welcome.pt-BR.html`` and ``welcome.pt.html`` come first.

        Raises:
            EmailTemplateError: a template is missing, does not compile, or lacks a variable.
        """
        return await asyncio.to_thread(
            self._templates.render_email, template, context, subject=subject, locale=locale
        )

    @property
    def _templates(self) -> EmailTemplates:
        if self.templates is None:
            raise RuntimeError("EmailUtils was made without template_dir: there are no templates")
        return self.templates

    def render_template(self, template_name: str, context: Mapping[str, Any]) -> str:
        """The text of one template, by its whole name. Blocking: :meth:`render` is not.

        Raises:
            EmailTemplateError: it is missing, does not compile, or lacks a variable.
        """
        return self._templates.render(template_name, context)

    async def send_email(self, email: OutgoingEmail) -> SendResult:
        """:meth:`send`, of a value."""
        return await self.send_prepared(await self.prepare(email))

    async def prepare(self, email: OutgoingEmail) -> PreparedEmail:
        """Make it ready to be sent, off the event loop: files are read and everything is encoded.

        Raises:
            InvalidEmailError: it is not fit to be sent.
            OSError: an attachment cannot be read.
        """
        # in a thread a generator could be run twice; here it is read once
        return await asyncio.to_thread(self._prepare, _settled(email))

    async def send_prepared(self, email: PreparedEmail) -> SendResult:
        """Send what :meth:`prepare` made; with a key, unless one with that key was sent.

        Raises:
            EmailDeliveryError: nobody gets it. Its key is free again, unless the outcome is
                unknown or the sending was cancelled.
        """
        return await self._delivery.send(self.backend, email)

    async def send_many(
        self, emails: Iterable[OutgoingEmail], *, concurrency: int = 4
    ) -> list[BulkResult]:
        """Send many, each for itself, over the same few connections.

        Args:
            emails: Taken one by one as there is room, so a generator of a million is no problem.
            concurrency: How many are prepared and sent at once.

        Returns:
            One result for each, in order: an e-mail that fails does not stop the others. What is
            no ``EmailError`` (an attachment that cannot be read, a key store that is down) is the
            cause of one.
        """
        if concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, got {concurrency}")
        numbered = enumerate(emails)
        results: list[BulkResult] = []

        async def work() -> None:
            for position, email in numbered:
                results.append(await self._bulk(position, email))

        # what is being sent is sent, also when ``emails`` itself raises
        ended = await asyncio.gather(*(work() for _ in range(concurrency)), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure
        return sorted(results, key=lambda each: each.position)

    async def _bulk(self, position: int, email: OutgoingEmail) -> BulkResult:
        step = "made"
        try:
            prepared = await self.prepare(email)
            step = "sent"
            return BulkResult(position=position, result=await self.send_prepared(prepared))
        except EmailError as error:
            return BulkResult(position=position, error=error)
        except Exception as error:  # one of many: what became of the others must not be lost
            unread = step == "made" and isinstance(error, OSError)
            failure = EmailError(
                "an attachment cannot be read" if unread else f"the e-mail could not be {step}"
            )
            failure.__cause__ = error
            return BulkResult(position=position, error=failure)

    async def after_commit(self, email: OutgoingEmail) -> Callable[[], Awaitable[None]]:
        """Prepare ``email`` now; what is returned sends it, at each call unless it has a key::

            on_commit(session, await email.after_commit(OutgoingEmail(...)))

        What is wrong with it is raised here, in time to roll back. The callable raises nothing:
        the data is saved by then, so a failed delivery is logged. An e-mail that must survive a
        crash between the commit and the sending belongs into an outbox table.

        Raises:
            InvalidEmailError: it is not fit to be sent.
            OSError: an attachment cannot be read.
        """
        prepared = await self.prepare(email)

        async def send() -> None:
            try:
                await self.send_prepared(prepared)
            except Exception:
                _log.exception("e-mail %s was not sent after the commit", prepared.message_id)

        return send


def _mode(*, use_tls: bool, use_starttls: bool) -> TLSMode:
    if use_tls:
        return TLSMode.TLS
    return TLSMode.STARTTLS if use_starttls else TLSMode.PLAIN


def _outgoing(
    to: Address | Iterable[Address],
    subject: str,
    body: str,
    html: str | None,
    options: EmailOptions,
) -> OutgoingEmail:
    # the contract has None where nothing is given
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    return OutgoingEmail(to=to, subject=subject, body=body, html=html, **given)


def _settled(email: OutgoingEmail) -> OutgoingEmail:
    if isinstance(email.attachments, (str, PathLike, Attachment)):
        raise TypeError("attachments is a list, also for one attachment")

    def settled(value: Any) -> Any:
        return value if isinstance(value, (str, EmailAddress)) or value is None else tuple(value)

    return replace(
        email,
        to=settled(email.to),
        cc=settled(email.cc),
        bcc=settled(email.bcc),
        reply_to=settled(email.reply_to),
        attachments=settled(email.attachments),
    )
