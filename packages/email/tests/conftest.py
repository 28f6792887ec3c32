"""An SMTP server that receives, and misbehaves as it is told."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import Counter
from contextlib import asynccontextmanager
from email import message_from_string
from email.message import EmailMessage
from email.policy import default as modern
from functools import partial

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from tijolo.email import EmailUtils, RetryPolicy

PASSWORD = "c0rrect-h0rse"


class Received:
    """One message as it arrived, with its envelope."""

    def __init__(self, envelope, session, transport):
        self.content = envelope.original_content
        self.sender = envelope.mail_from
        self.recipients = list(envelope.rcpt_tos)
        self.options = list(envelope.mail_options)
        self.encrypted = transport.get_extra_info("sslcontext") is not None
        self.login = session.auth_data
        self.message = message_from_string(
            self.content.decode(), _class=EmailMessage, policy=modern
        )

    @property
    def text(self):
        return self.message.get_body(("plain",)).get_content().replace("\r\n", "\n")


class Sink:
    """The handler of the server: ``on["RCPT"]`` is what it does at RCPT, once per item.

    An item is a reply, a callable ``(server, envelope) -> reply or None``, or None for "go on".
    """

    def __init__(self):
        self.on: dict[str, list] = {}
        self.received: list[Received] = []
        self.commands = Counter()
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.delay = 0.0

    def script(self, command, *items):
        self.on[command] = list(items)

    def _next(self, command, server, envelope):
        self.commands[command] += 1
        items = self.on.get(command)
        item = items.pop(0) if items else None
        return item(server, envelope) if callable(item) else item

    async def auth_XOAUTH2(self, server, args):  # noqa: N802
        said = base64.b64decode(args[1])
        good = said == b"user=shop\x01auth=Bearer t0ken\x01\x01"
        return AuthResult(success=good, handled=False, auth_data=b"shop")

    async def handle_NOOP(self, server, session, envelope, arg):  # noqa: N802
        return self._next("NOOP", server, envelope) or "250 OK"

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        self.commands["QUIT"] += 1
        return "221 Bye"

    async def handle_RSET(self, server, session, envelope):  # noqa: N802
        return self._next("RSET", server, envelope) or "250 OK"

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        if reply := self._next("MAIL", server, envelope):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if reply := self._next("RCPT", server, envelope):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        reply = self._next("DATA", server, envelope)
        if reply is None or not reply.startswith(("4", "5")):
            self.received.append(Received(envelope, session, server.transport))
        await asyncio.sleep(self.delay)
        return reply or "250 OK"


class Server(SMTP):
    def connection_made(self, transport):
        sink = self.event_handler
        if not getattr(self, "_counted", False):
            self._counted = True
            sink.connections += 1
            sink.open += 1
            sink.most_open = max(sink.most_open, sink.open)
        super().connection_made(transport)

    def connection_lost(self, error):
        self.event_handler.open -= 1
        super().connection_lost(error)


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@asynccontextmanager
async def _listening(factory, *, tls=None):
    """The port of a server that speaks what ``factory`` makes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)


@pytest.fixture
def listening():
    """``async with listening(protocol_factory) as port``."""
    return _listening


def check_password(server, session, envelope, mechanism, data):
    good = data.login == b"shop" and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=good, auth_data=data.login)


@pytest.fixture
def smtp_server():
    """``async with smtp_server(...) as (sink, port)``."""

    @asynccontextmanager
    async def start(*, implicit_tls=None, auth=False, **options):
        sink = Sink()
        if auth:
            options |= {"authenticator": check_password, "auth_require_tls": False}
        options = {"hostname": "localhost", "enable_SMTPUTF8": True} | options
        loop = asyncio.get_running_loop()
        factory = partial(Server, sink, loop=loop, **options)
        async with _listening(factory, tls=implicit_tls) as port:
            yield sink, port

    return start


@pytest.fixture
async def sink(smtp_server):
    """A plain server; its port is ``sink.port``."""
    async with smtp_server() as (sink, port):
        sink.port = port
        yield sink


@pytest.fixture
async def make_email():
    """(port, ...) -> EmailUtils that retries without waiting, disconnected at the end."""
    made = []

    async def no_wait(seconds):
        waits.append(seconds)

    waits: list[float] = []

    def make(port, **options):
        options = {"use_starttls": False, "local_hostname": "shop.example.com"} | options
        options.setdefault("retry", RetryPolicy(attempts=3))
        email = EmailUtils("127.0.0.1", port, from_addr="shop@example.com", **options)
        email.backend._sleep = no_wait
        email.waits = waits
        made.append(email)
        return email

    yield make
    for email in made:
        await email.disconnect()
