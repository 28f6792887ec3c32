"""One SMTP connection: opening it, and one message over it."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import cast

import aiosmtplib

from tijolo.email.errors import (
    EmailAuthenticationError,
    EmailConnectionError,
    EmailDeliveryError,
    EmailOutcomeUnknownError,
    EmailRejectedError,
    EmailTLSError,
    EmailTooLargeError,
    EmailUnsupportedError,
)
from tijolo.email.prepared import PreparedEmail
from tijolo.email.results import ACCEPTED, RecipientResult, printable
from tijolo.email.smtp_options import SMTPServer, SMTPTimeouts, TLSMode

_HIGH_WATER = 256 * 1024
_GOODBYE_SECONDS = 2.0
_UNAVAILABLE = 421


class SMTPSession:
    """A connection that is ready for MAIL; not for use by two at once."""

    def __init__(self, client: aiosmtplib.SMTP, timeouts: SMTPTimeouts) -> None:
        self._client = client
        self._timeouts = timeouts
        self.messages = 0
        self.idle_since = 0.0
        self.reusable = True

    @property
    def is_open(self) -> bool:
        """Whether the other side has not hung up, as far as we know."""
        return self._client.is_connected

    @property
    def _write_transport(self) -> asyncio.WriteTransport | None:
        return cast("asyncio.WriteTransport | None", self._client.transport)

    async def answers(self) -> bool:
        """Whether the server is still there (NOOP)."""
        try:
            await self._client.noop(timeout=min(5.0, self._timeouts.command_seconds))
        except (aiosmtplib.SMTPException, OSError):
            return False
        return True

    async def quit(self) -> None:
        """Say goodbye, briefly; the connection is closed whatever comes."""
        try:
            if self.is_open:
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._client.quit(timeout=_GOODBYE_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once: what is not sent yet is dropped, not flushed."""
        self.reusable = False
        transport = self._write_transport
        if transport is not None:
            transport.abort()
        self._client.close()

    async def send(
        self, email: PreparedEmail, recipients: Iterable[str]
    ) -> dict[str, RecipientResult]:
        """One transaction: MAIL, RCPT for each, DATA.

        Raises:
            EmailConnectionError: lost before the server had agreed to take the data.
            EmailOutcomeUnknownError: lost after that.
            EmailDeliveryError: the server said no.
        """
        self.reusable = False  # until the conversation is back where it began
        self.messages += 1
        options = self._options(email)
        with _before_data():
            await self._mail(email, options)
            results = await self._offer(email, recipients)
            accepted = [each for each, result in results.items() if result is ACCEPTED]
            if not accepted:
                await self._start_over()
                return results
            start = await self._command("DATA")
        if start.code != 354:
            await self._start_over()
            return results | dict.fromkeys(accepted, _refusal(start))
        end = await self._data(email)
        if 200 <= end.code < 300:
            self.reusable = True
            return results
        if not 400 <= end.code < 600:
            raise EmailOutcomeUnknownError(
                "the e-mail server answered the message with what is neither yes nor no",
                smtp_code=end.code,
                reply=printable(end.message),
            )
        await self._start_over()
        return results | dict.fromkeys(accepted, _refusal(end))

    async def _command(self, *words: str) -> aiosmtplib.SMTPResponse:
        response = await self._client.execute_command(*(word.encode() for word in words))
        if response.code == _UNAVAILABLE:
            raise EmailConnectionError(
                "the e-mail server is closing", transient=True, smtp_code=response.code
            )
        return response

    async def _mail(self, email: PreparedEmail, options: list[str]) -> None:
        response = await self._command("MAIL", f"FROM:<{email.sender.spec}>", *options)
        if response.code != 250:
            await self._start_over()
            raise EmailRejectedError(
                "the e-mail server refused the sender",
                transient=400 <= response.code < 500,
                smtp_code=response.code,
                reply=printable(response.message),
            )

    def _options(self, email: PreparedEmail) -> list[str]:
        options = list[str]()
        if email.needs_smtputf8:
            if not self._client.supports_extension("smtputf8"):
                self.reusable = True
                raise EmailUnsupportedError(
                    "an address is in another alphabet before its @, and the e-mail server has no"
                    " SMTPUTF8 (RFC 6531)"
                )
            # RFC 6531, section 3.6: headers in UTF-8 are 8-bit data
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        if self._client.supports_extension("size"):
            limit = self._client.esmtp_extensions.get("size", "")
            if limit.isdecimal() and 0 < int(limit) < email.size_bytes:
                self.reusable = True
                raise EmailTooLargeError(
                    f"the e-mail has {email.size_bytes} bytes; the server takes {int(limit)}"
                )
            options.append(f"SIZE={email.size_bytes}")
        return options

    async def _offer(
        self, email: PreparedEmail, recipients: Iterable[str]
    ) -> dict[str, RecipientResult]:
        results: dict[str, RecipientResult] = {}
        for recipient in recipients:
            response = await self._command("RCPT", f"TO:<{recipient}>")
            results[recipient] = ACCEPTED if response.code in (250, 251) else _refusal(response)
        return results

    async def _data(self, email: PreparedEmail) -> aiosmtplib.SMTPResponse:
        """The message in blocks, each only when the last is on its way; then its end."""
        blocks = email.chunks(dot_stuffed=True)
        take = functools.partial(next, blocks, b"")
        try:
            while block := await asyncio.to_thread(take):
                await self._write(block)
            # execute_command adds the CRLF; the last block ended with one
            return await self._client.execute_command(b".", timeout=self._timeouts.data_seconds)
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise EmailOutcomeUnknownError(
                "the connection to the e-mail server was lost while it had the message"
            ) from exc

    async def _write(self, block: bytes) -> None:
        transport = self._write_transport
        pause = 0.001
        async with asyncio.timeout(self._timeouts.data_seconds):
            if transport is not None:
                transport.write(block)
            while self.is_open and transport and transport.get_write_buffer_size() > _HIGH_WATER:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.05)
        if not self.is_open:
            raise ConnectionResetError("lost while sending the message")

    async def _start_over(self) -> None:
        """RSET; a connection that cannot is not used again."""
        try:
            await self._client.rset()
            self.reusable = True
        except (aiosmtplib.SMTPException, OSError):
            self.reusable = False


async def open_session(
    server: SMTPServer,
    timeouts: SMTPTimeouts,
    context: ssl.SSLContext | None,
    local_hostname: str,
) -> SMTPSession:
    """Connect, encrypt, log in.

    Raises:
        EmailDeliveryError: the subclass for the step that failed.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.effective_port,
        use_tls=server.tls is TLSMode.TLS,
        start_tls=server.tls is TLSMode.STARTTLS,
        tls_context=context,
        local_hostname=local_hostname,
        timeout=timeouts.command_seconds,
    )
    try:
        async with asyncio.timeout(timeouts.connect_seconds):
            await _connect(client, server)
    except TimeoutError as exc:
        client.close()
        raise EmailConnectionError(
            f"the e-mail server did not answer in {timeouts.connect_seconds:g} s",
            transient=True,
        ) from exc
    except BaseException:
        client.close()
        raise
    return SMTPSession(client, timeouts)


async def _connect(client: aiosmtplib.SMTP, server: SMTPServer) -> None:
    try:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await _greet(client)
    except ssl.SSLError as exc:
        raise _tls_error(server) from exc
    except aiosmtplib.SMTPConnectResponseError as exc:
        raise _not_now(exc) from exc
    except aiosmtplib.SMTPConnectError as exc:
        if isinstance(exc.__cause__, ssl.SSLError):
            raise _tls_error(server) from exc
        raise _unreachable() from exc
    except aiosmtplib.SMTPServerDisconnected as exc:
        raise _unreachable() from exc
    except aiosmtplib.SMTPResponseException as exc:
        raise _not_now(exc) from exc
    except TimeoutError:
        raise
    except aiosmtplib.SMTPException as exc:
        # the server has no STARTTLS: it never had it, or somebody took it out of the reply
        raise _tls_error(server) from exc
    except OSError as exc:
        raise _unreachable() from exc
    if server.username:
        await _log_in(client, server, server.username)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()  # RFC 5321, section 3.2: a server from before extensions


async def _log_in(client: aiosmtplib.SMTP, server: SMTPServer, username: str) -> None:
    token = await _token(server.oauth_token) if server.oauth_token else None
    try:
        if token is None:
            await client.login(username, server.password or "")
        else:
            await client.auth_xoauth2(username, token)
    except aiosmtplib.SMTPAuthenticationError as exc:
        failure: EmailDeliveryError = EmailAuthenticationError(
            smtp_code=exc.code, transient=400 <= exc.code < 500
        )
    except TimeoutError:
        raise
    except OSError:
        failure = EmailConnectionError("the e-mail server hung up at the login", transient=True)
    except aiosmtplib.SMTPException:
        failure = EmailAuthenticationError("the e-mail server offers no login that we know")
    else:
        return
    # out here it has no cause: that may quote what we said, the password
    raise failure


async def _token(get: Callable[[], Awaitable[str]]) -> str:
    try:
        return await get()
    except Exception as exc:
        raise EmailAuthenticationError(
            "no access token for the e-mail server could be obtained", transient=True
        ) from exc


@contextmanager
def _before_data() -> Generator[None]:
    """What goes wrong here happened to a message that the server certainly does not have."""
    try:
        yield
    except (aiosmtplib.SMTPException, OSError) as exc:
        raise EmailConnectionError(
            "the connection to the e-mail server was lost", transient=True
        ) from exc


def _refusal(response: aiosmtplib.SMTPResponse) -> RecipientResult:
    return RecipientResult.of_reply(response.code, response.message)


def _tls_error(server: SMTPServer) -> EmailTLSError:
    return EmailTLSError(f"no verified TLS with the e-mail server ({server.tls}); nothing was sent")


# These texts may reach a caller: which server it is, is in the chained exception, for the log.


def _unreachable() -> EmailConnectionError:
    return EmailConnectionError("the e-mail server cannot be reached", transient=True)


def _not_now(exc: aiosmtplib.SMTPResponseException) -> EmailDeliveryError:
    return EmailConnectionError(
        "the e-mail server turned us away",
        transient=400 <= exc.code < 500,
        smtp_code=exc.code,
        reply=printable(exc.message),
    )


async def local_hostname(server: SMTPServer) -> str:
    """What we call ourselves in EHLO. Without a name: an address literal (RFC 5321, 4.1.3)."""
    if server.local_hostname is not None:
        return server.local_hostname
    name = await asyncio.to_thread(socket.getfqdn)
    return name if name.isascii() and name and not any(map(str.isspace, name)) else "[127.0.0.1]"
