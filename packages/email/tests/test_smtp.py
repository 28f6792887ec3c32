"""What a real server receives, and what we do when it misbehaves."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from tijolo.core import Resource
from tijolo.email import (
    Attachment,
    DeliveryStatus,
    EmailAuthenticationError,
    EmailBusyError,
    EmailConnectionError,
    EmailDeliveryError,
    EmailOutcomeUnknownError,
    EmailRejectedError,
    EmailTLSError,
    EmailTooLargeError,
    EmailUnsupportedError,
    EmailUtils,
    OutgoingEmail,
    PoolLimits,
    RetryPolicy,
    SMTPBackend,
    SMTPServer,
    SMTPTimeouts,
    TLSMode,
)

PASSWORD = "c0rrect-h0rse"


def hang_up(server, envelope):
    """Close the connection without a word."""
    server.transport.abort()
    return "421 gone"


async def until(condition):
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110, what is waited for happens on a server
            await asyncio.sleep(0.005)


async def send(email, to="ana@example.com", **options):
    return await email.send(to, "Hello", "How are you?\n", **options)


async def test_what_is_sent_arrives(sink, make_email):
    result = await send(
        make_email(sink.port),
        to=["Ana <ana@example.com>"],
        cc=["leo@example.com"],
        bcc=["audit@example.com"],
        reply_to="help@example.com",
        headers={"X-Order": "5"},
    )

    (mail,) = sink.received
    assert mail.sender == "shop@example.com"
    assert mail.recipients == ["ana@example.com", "leo@example.com", "audit@example.com"]
    assert mail.message["To"] == "Ana <ana@example.com>"
    assert mail.message["Cc"] == "leo@example.com"
    assert mail.message["Reply-To"] == "help@example.com"
    assert mail.message["X-Order"] == "5"
    assert mail.message["Message-ID"] == f"<{result.message_id}>"
    assert mail.text == "How are you?\n"
    assert b"audit" not in mail.content
    assert set(result.recipients) == set(mail.recipients)
    assert not result.refused


@pytest.mark.parametrize("mode", [TLSMode.STARTTLS, TLSMode.TLS])
async def test_encrypted_and_logged_in(mode, smtp_server, server_tls, ca_file, make_email):
    tls = {"tls_context": server_tls} if mode is TLSMode.STARTTLS else {"implicit_tls": server_tls}
    async with smtp_server(auth=True, **tls) as (sink, port):
        email = make_email(port, tls=mode, ca_file=ca_file, username="shop", password=PASSWORD)
        await send(email)

        assert sink.received[0].encrypted
        assert sink.received[0].login == b"shop"


@pytest.mark.parametrize("mode", list(TLSMode))
async def test_a_message_of_many_blocks_arrives_whole(
    mode, smtp_server, server_tls, ca_file, make_email
):
    tls = {"implicit_tls": server_tls} if mode is TLSMode.TLS else {"tls_context": server_tls}
    content = bytes(range(256)) * 6000
    async with smtp_server(**tls) as (sink, port):
        email = make_email(port, tls=mode, ca_file=ca_file)
        files = [Attachment(filename="a.bin", content=content)]
        await email.send("a@example.com", "big", "." * 100_000, attachments=files)

        (part,) = sink.received[0].message.iter_attachments()
        assert part.get_payload(decode=True) == content
        assert sink.received[0].text == "." * 100_000 + "\n"


async def test_a_server_without_starttls_gets_nothing(sink, make_email):
    """Also when somebody on the way took it out of the reply (RFC 3207, section 6)."""
    with pytest.raises(EmailTLSError):
        await send(make_email(sink.port, use_starttls=True))

    assert sink.received == []
    assert sink.commands["MAIL"] == 0


@pytest.mark.parametrize("mode", [TLSMode.STARTTLS, TLSMode.TLS])
async def test_a_certificate_of_nobody_we_know_is_refused(
    mode, smtp_server, server_tls, make_email
):
    tls = {"tls_context": server_tls} if mode is TLSMode.STARTTLS else {"implicit_tls": server_tls}
    async with smtp_server(**tls) as (sink, port):
        with pytest.raises(EmailTLSError) as error:
            await send(make_email(port, tls=mode))

        assert not error.value.transient
        assert sink.commands["MAIL"] == 0


async def test_no_password_goes_over_the_network_in_clear(smtp_server, make_email):
    with pytest.raises(ValueError, match="in clear"):
        SMTPServer(host="smtp.example.com", tls=TLSMode.PLAIN, username="shop", password="x")
    SMTPServer(
        host="10.0.0.5", tls=TLSMode.PLAIN, username="a", password="x", allow_insecure_auth=True
    )

    async with smtp_server(auth=True) as (sink, port):  # this machine is no network
        await send(make_email(port, username="shop", password=PASSWORD))
        assert sink.received[0].login == b"shop"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": ""}, "not the name"),
        ({"host": "a\nb"}, "not the name"),
        ({"host": "a", "port": 0}, "1 to 65535"),
        ({"host": "a", "port": 465}, "8314"),
        ({"host": "a", "password": "x"}, "without a user"),
        ({"host": "a", "username": "u", "password": "x", "oauth_token": print}, "either"),
    ],
)
def test_contradictory_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SMTPServer(**options)


def test_ports_go_with_the_encryption():
    ports = {mode: SMTPServer(host="a", tls=mode).effective_port for mode in TLSMode}
    assert ports == {TLSMode.PLAIN: 25, TLSMode.STARTTLS: 587, TLSMode.TLS: 465}
    # port 465 was unusable with the defaults of the contract
    assert EmailUtils("a", 465, from_addr="a@b.com", use_tls=True).use_tls


async def test_a_wrong_password_is_an_error_that_does_not_quote_it(smtp_server, make_email, caplog):
    async with smtp_server(auth=True) as (sink, port):
        email = make_email(port, username="shop", password="not-the-one")
        with caplog.at_level(logging.DEBUG), pytest.raises(EmailAuthenticationError) as error:
            await send(email)

        told = "".join(traceback.format_exception(error.value)) + caplog.text + repr(email.backend)
        assert error.value.smtp_code == 535
        assert "not-the-one" not in told
        assert "bm90LXRoZS1vbmU" not in told
        assert error.value.__context__ is None
        assert "not-the-one" not in repr(email.backend.server)
        assert sink.connections == 1, "a refused login is not tried again"


async def test_a_token_logs_in_where_a_password_may_not(smtp_server, make_email):
    tokens = ["t0ken", "expired"]

    async def fresh():
        return tokens.pop(0)

    async with smtp_server(auth=True) as (sink, port):
        email = make_email(port, username="shop", oauth_token=fresh)
        await send(email)
        assert sink.received[0].login == b"shop"
        await email.disconnect()
        with pytest.raises(EmailAuthenticationError) as error:
            await send(email)
        assert "expired" not in "".join(traceback.format_exception(error.value))
        assert tokens == []


async def test_connections_are_used_again(sink, make_email):
    email = make_email(sink.port)
    for _ in range(5):
        await send(email)

    assert len(sink.received) == 5
    assert sink.connections == 1


async def test_no_more_connections_than_allowed_under_fifty_senders(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_connections=3))
    sink.delay = 0.005
    await asyncio.gather(*(send(email, to=f"u{n}@example.com") for n in range(50)))

    assert sink.most_open <= 3
    assert sorted(mail.recipients[0] for mail in sink.received) == sorted(
        f"u{n}@example.com" for n in range(50)
    )


async def test_waiting_for_a_connection_ends(sink, make_email):
    limits = PoolLimits(max_connections=1, wait_seconds=0.05)
    email = make_email(sink.port, pool=limits)
    sink.delay = 0.2
    results = await asyncio.gather(send(email), send(email), return_exceptions=True)

    (error,) = [each for each in results if isinstance(each, Exception)]
    assert isinstance(error, EmailBusyError)
    assert error.transient
    assert email.waits == [], "who has waited enough does not wait three times"
    assert len(sink.received) == 1


async def test_a_connection_serves_so_many_messages(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_messages=2))
    for _ in range(5):
        await send(email)

    assert sink.connections == 3


async def test_an_idle_connection_is_closed_with_a_goodbye(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(idle_seconds=0.02))
    await send(email)
    await until(lambda: not (sink.open))

    assert sink.commands["QUIT"] == 1


async def test_the_last_idle_connection_is_closed_as_well(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(idle_seconds=0.05))
    sink.delay = 0.02
    await asyncio.gather(send(email), send(email))
    await send(email)
    assert sink.open == 2
    await until(lambda: not sink.open)
    assert sink.commands["QUIT"] == 2


async def test_the_server_is_asked_before_an_old_connection_is_used(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(noop_after_seconds=0))
    await send(email)
    await send(email)
    assert (sink.commands["NOOP"], sink.connections) == (1, 1)

    sink.script("NOOP", hang_up)
    await send(email)
    assert (len(sink.received), sink.connections) == (3, 2)


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_pooled_connection_that_dies_after_noop_is_replaced(command, sink, make_email):
    """NOOP says fine, and the send fails: once more on a fresh connection, without a pause."""
    email = make_email(
        sink.port, pool=PoolLimits(noop_after_seconds=0), retry=RetryPolicy(attempts=1)
    )
    await send(email)
    sink.script(command, hang_up)
    await send(email)

    assert sink.commands["NOOP"] == 1
    assert (len(sink.received), sink.connections) == (2, 2)


async def test_replacing_a_dead_connection_keeps_to_the_limit(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_connections=1))
    await send(email)
    mail = OutgoingEmail(to="ana@example.com", subject="x")
    first, second = await email.prepare(mail), await email.prepare(mail)
    sink.script("MAIL", hang_up)
    # the second has a connection of its own when it is the first one's turn to replace the dead
    await asyncio.gather(email.send_prepared(first), email.send_prepared(second))

    assert len(sink.received) == 3
    assert sink.connections == 3
    await asyncio.sleep(0.05)
    assert sink.open == 1


async def test_a_fresh_connection_that_dies_is_not_replaced_without_a_pause(sink, make_email):
    sink.script("MAIL", hang_up, hang_up, hang_up)
    email = make_email(sink.port, retry=RetryPolicy(attempts=2))
    with pytest.raises(EmailConnectionError):
        await send(email)

    assert sink.connections == 2
    assert len(email.waits) == 1


async def test_a_message_that_the_server_may_have_is_never_sent_again(sink, make_email):
    email = make_email(sink.port)
    await send(email)
    sink.script("DATA", lambda server, envelope: server.transport.abort())
    with pytest.raises(EmailOutcomeUnknownError):
        await send(email)

    assert len(sink.received) == 2, "it arrived, and only the answer was lost"
    assert sink.commands["DATA"] == 2
    assert email.waits == []


async def test_a_server_that_vanishes_in_the_middle_of_the_data(make_email, listening):
    class Vanishing(asyncio.Protocol):
        connections = 0

        def connection_made(self, transport):
            type(self).connections += 1
            self.transport = transport
            self.in_data = False
            transport.write(b"220 ready\r\n")

        def data_received(self, data):
            if self.in_data:
                self.transport.abort()
            elif data.startswith(b"DATA"):
                self.in_data = True
                self.transport.write(b"354 go on\r\n")
            else:
                self.transport.write(b"250 fine\r\n")

    async with listening(Vanishing) as port:
        email = make_email(port, max_message_bytes=10_000_000)
        with pytest.raises(EmailOutcomeUnknownError):
            await email.send("a@example.com", "big", "x" * 3_000_000)
        assert Vanishing.connections == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_transient_refusal_is_tried_again_and_a_permanent_one_is_not(
    command, sink, make_email
):
    email = make_email(sink.port)
    sink.script(command, "450 later", "451 later", None)
    await send(email)
    assert len(sink.received) == 1
    assert len(email.waits) == 2
    assert 0 <= email.waits[0] <= 0.5
    assert 0 <= email.waits[1] <= 1.0
    assert sink.connections == 1, "RSET brings the conversation back"

    sink.script(command, "550 no such user\x07", None)
    with pytest.raises(EmailRejectedError) as error:
        await send(email)
    assert len(sink.received) == 1
    assert (error.value.smtp_code, error.value.transient) == (550, False)
    assert "no such user" in error.value.reply
    assert "no such user" not in str(error.value), "that text reaches an HTTP caller"


async def test_retries_end(sink, make_email):
    sink.script("RCPT", *["450 later"] * 9)
    with pytest.raises(EmailRejectedError) as error:
        await send(make_email(sink.port))

    assert sink.commands["RCPT"] == 3
    assert error.value.transient
    assert error.value.recipients["ana@example.com"].status is DeliveryStatus.DEFERRED


async def test_a_server_that_is_closing_is_tried_again_elsewhere(sink, make_email):
    sink.script("MAIL", "421 closing")
    await send(make_email(sink.port))
    assert (len(sink.received), sink.connections) == (1, 2)


async def test_each_recipient_gets_an_answer_and_nobody_gets_it_twice(sink, make_email):
    #           ana    leo          eva          then leo alone
    sink.script("RCPT", None, "450 later", "550 no", None)
    result = await send(
        make_email(sink.port), to=["ana@example.com", "leo@example.com", "eva@example.com"]
    )

    assert [mail.recipients for mail in sink.received] == [["ana@example.com"], ["leo@example.com"]]
    assert sink.received[0].message["Message-ID"] == sink.received[1].message["Message-ID"]
    assert {name: each.status for name, each in result.recipients.items()} == {
        "ana@example.com": DeliveryStatus.ACCEPTED,
        "leo@example.com": DeliveryStatus.ACCEPTED,
        "eva@example.com": DeliveryStatus.REFUSED,
    }
    assert result.refused["eva@example.com"].smtp_code == 550


async def test_a_loss_after_some_got_it_says_so_for_the_others(sink, make_email):
    sink.script("RCPT", None, "450 later", None)
    sink.script("DATA", None, lambda server, envelope: server.transport.abort())
    result = await send(make_email(sink.port), to=["ana@example.com", "leo@example.com"])

    assert result.recipients["ana@example.com"].status is DeliveryStatus.ACCEPTED
    assert result.recipients["leo@example.com"].status is DeliveryStatus.UNKNOWN


async def test_a_message_over_the_servers_limit_is_not_even_offered(smtp_server, make_email):
    async with smtp_server(data_size_limit=1000) as (sink, port):
        email = make_email(port)
        with pytest.raises(EmailTooLargeError):
            await email.send("a@example.com", "big", "x" * 2000)
        await send(email)

        assert sink.commands["MAIL"] == 1
        assert sink.connections == 1


async def test_another_alphabet_needs_smtputf8(smtp_server, make_email):
    async with smtp_server(enable_SMTPUTF8=True) as (sink, port):
        await send(make_email(port), to="José <josé@exämple.com>")
        (mail,) = sink.received
        assert mail.recipients == ["josé@xn--exmple-cua.com"]
        assert "SMTPUTF8" in mail.options
        assert mail.message["To"].addresses[0].username == "josé"
        assert mail.message["To"].addresses[0].display_name == "José"

    async with smtp_server(enable_SMTPUTF8=False) as (sink, port):
        email = make_email(port)
        with pytest.raises(EmailUnsupportedError, match="SMTPUTF8"):
            await send(email, to="josé@example.com")
        await send(email, to="jose@exämple.com")
        assert sink.received[0].recipients == ["jose@xn--exmple-cua.com"]
        assert sink.received[0].options == [o for o in sink.received[0].options if "UTF8" not in o]


async def test_a_server_that_does_not_greet_is_given_up_in_bounded_time(make_email, listening):
    class Silent(asyncio.Protocol):
        pass

    async with listening(Silent) as port:
        email = make_email(
            port,
            timeouts=SMTPTimeouts(connect_seconds=0.05),
            retry=RetryPolicy(attempts=1),
        )
        with pytest.raises(EmailConnectionError, match="did not answer"):
            await send(email)
        assert await email.health_check() is False


@pytest.mark.parametrize("phase", ["command", "data"])
async def test_a_server_that_falls_silent_is_given_up_in_bounded_time(phase, make_email, listening):
    class FallsSilent(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            transport.write(b"220 ready\r\n")

        def data_received(self, data):
            if data.startswith(b"EHLO") or (phase == "data" and data[:4] in (b"MAIL", b"RCPT")):
                self.transport.write(b"250 fine\r\n")
            elif data.startswith(b"DATA"):
                self.transport.write(b"354 go on\r\n")

    timeouts = SMTPTimeouts(command_seconds=0.1, data_seconds=0.05)
    wanted = EmailConnectionError if phase == "command" else EmailOutcomeUnknownError
    async with listening(FallsSilent) as port:
        email = make_email(port, timeouts=timeouts, retry=RetryPolicy(attempts=1))
        with pytest.raises(wanted):
            await send(email)


async def test_a_server_that_is_not_there(make_email, unused_tcp_port):
    email = make_email(unused_tcp_port)
    with pytest.raises(EmailConnectionError) as error:
        await send(email)
    assert error.value.status_code == 503
    assert len(email.waits) == 2
    assert await email.health_check() is False


async def test_a_cancelled_sender_leaves_no_half_conversation_behind(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_connections=1))
    await send(email)
    sink.delay = 0.2
    task = asyncio.create_task(send(email))
    await until(lambda: not (sink.commands["DATA"] < 2))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sink.delay = 0
    await send(email)

    assert sink.connections == 2
    assert sink.received[-1].recipients == ["ana@example.com"]


async def test_a_server_that_does_not_read_cannot_hold_a_connection_of_ours(make_email, listening):
    lost = asyncio.Event()
    reading = []

    class Stalled(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            transport.write(b"220 ready\r\n")

        def data_received(self, data):
            if data.startswith(b"DATA"):
                self.transport.write(b"354 go on\r\n")
                self.transport.pause_reading()
                reading.append(self.transport)
            else:
                self.transport.write(b"250 fine\r\n")

        def connection_lost(self, error):
            lost.set()

    async with listening(Stalled) as port:
        email = make_email(port, max_message_bytes=2**26)
        files = [Attachment(filename="big.bin", content=bytes(20_000_000))]
        task = asyncio.create_task(email.send("a@b.com", "big", "x", attachments=files))
        await until(lambda: reading)
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for _ in range(5):
            reading[0].write(b"250 still there?\r\n")  # answered by a reset
            await asyncio.sleep(0.01)
        async with asyncio.timeout(2):
            await lost.wait()


async def test_cancelling_senders_at_any_moment_never_leaks_a_slot(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_connections=2, wait_seconds=5))
    for pause in range(20):
        tasks = [asyncio.create_task(send(email)) for _ in range(3)]
        await asyncio.sleep(pause * 0.001)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with asyncio.timeout(5):
        await asyncio.gather(*(send(email) for _ in range(4)))
    assert sink.most_open <= 2 + 3, "what was aborted may take a moment to be seen by the server"


async def test_disconnecting_waits_for_what_is_being_sent(sink, make_email):
    email = make_email(sink.port)
    sink.delay = 0.1
    task = asyncio.create_task(send(email))
    await until(lambda: bool(sink.commands["DATA"]))
    await email.disconnect()
    await email.disconnect()

    assert (await task).recipients
    assert sink.commands["QUIT"] == 1


async def test_nothing_is_sent_after_disconnecting(sink, make_email):
    email = make_email(sink.port)
    pausing, go = asyncio.Event(), asyncio.Event()

    async def pause(seconds):
        pausing.set()
        await go.wait()

    email.backend._sleep = pause
    sink.script("RCPT", "450 later")
    task = asyncio.create_task(send(email))
    await pausing.wait()
    await email.disconnect()
    go.set()
    with pytest.raises(EmailConnectionError, match="disconnected") as error:
        await task
    assert error.value.transient, "another process may send it"
    assert not sink.received
    assert sink.connections == 1

    assert (await send(email)).recipients, "it may be used again"


async def test_a_connection_that_opens_after_disconnecting_is_not_used(make_email, listening):
    made = []

    class Late(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)
            self.said = b""

        def data_received(self, data):
            self.said += data
            made[0].write(b"250 OK\r\n")

    async with listening(Late) as port:
        email = make_email(port)
        email.backend._grace = 0.01
        task = asyncio.create_task(send(email))
        await until(lambda: bool(made))
        await email.disconnect()
        made[0].write(b"220 hello\r\n")
        with pytest.raises(EmailConnectionError, match="disconnected"):
            await task
        assert b"MAIL" not in made[0].get_protocol().said


async def test_it_is_a_resource_whose_health_is_that_of_the_server(sink, make_email):
    email = make_email(sink.port)
    assert isinstance(email, Resource)
    await email.connect()
    assert sink.connections == 0, "a server that is down does not keep the service from starting"
    assert all(await asyncio.gather(*(email.health_check() for _ in range(20))))
    assert sink.connections == 1, "twenty probes ask once"


async def test_health_is_asked_again_after_a_while_and_logged_once_a_change(
    sink, make_email, caplog
):
    email = make_email(sink.port)
    now = 0.0
    email.backend._clock = lambda: now
    assert await email.health_check()
    good, email.backend._opening = email.backend._opening, None
    email.backend.server = SMTPServer(host="127.0.0.1", port=1, tls=TLSMode.PLAIN)
    assert await email.health_check(), "still the answer of a moment ago"
    for later in (11.0, 22.0, 33.0):
        now = later
        assert not await email.health_check()
    assert good
    assert caplog.text.count("does not let us in") == 1


def test_health_is_asked_in_one_loop_after_another():
    now = 0.0
    server = SMTPServer(host="127.0.0.1", port=1, tls=TLSMode.PLAIN, local_hostname="a.b")
    backend = SMTPBackend(server, clock=lambda: now)

    async def ask():
        return await asyncio.gather(*(backend.health_check() for _ in range(20)))

    assert asyncio.run(ask()) == [False] * 20
    now = 60.0
    assert asyncio.run(ask()) == [False] * 20


async def test_each_event_loop_has_a_pool_of_its_own(sink, make_email):
    email = make_email(sink.port, pool=PoolLimits(max_connections=2))

    def elsewhere():
        async def both():
            for _ in range(5):
                await asyncio.gather(*(send(email) for _ in range(4)))
            await email.disconnect()

        asyncio.run(both())

    other = asyncio.create_task(asyncio.to_thread(elsewhere))
    while not other.done():
        await asyncio.gather(*(send(email) for _ in range(4)))
    await other
    await email.disconnect()
    assert sink.most_open <= 4
    assert sink.connections <= 4, "used again, also while another loop sends"
    await until(lambda: not sink.open)
    assert len(email.backend._pools) == 0


async def test_no_answer_to_a_caller_names_the_server(make_email, unused_tcp_port, smtp_server):
    errors = []
    async with smtp_server() as (_, port):
        errors.append(await _failure(make_email(port, tls=TLSMode.STARTTLS)))
        errors.append(await _failure(make_email(port, tls=TLSMode.TLS)))
    errors.append(await _failure(make_email(unused_tcp_port)))
    for error in errors:
        assert "127.0.0.1" not in error.message
        assert str(unused_tcp_port) not in error.message


async def _failure(email):
    with pytest.raises(EmailDeliveryError) as error:
        await send(email)
    return error.value


async def test_a_token_that_cannot_be_had_is_one_of_our_errors(smtp_server, make_email):
    async def access_token():
        raise LookupError("the provider is down")

    async with smtp_server(auth=True) as (sink, port):
        email = make_email(port, username="shop", oauth_token=access_token)
        with pytest.raises(EmailAuthenticationError) as error:
            await send(email)
        assert error.value.transient
        assert isinstance(error.value.__cause__, LookupError)
        assert len(email.waits) == 2, "tried again"
        assert await email.health_check() is False
        assert not sink.received
    await until(lambda: not sink.open)


@pytest.mark.parametrize("reply", ["354 more", "150 perhaps", "999 no number of ours"])
async def test_an_answer_that_is_neither_yes_nor_no_leaves_the_outcome_unknown(
    reply, sink, make_email
):
    sink.script("DATA", reply)
    email = make_email(sink.port)
    with pytest.raises(EmailOutcomeUnknownError):
        await send(email, key="k")
    assert (await send(email, key="k")).duplicate
    assert len(sink.received) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"host": "smtp://shop:c0rrect-h0rse@mail.example.com:587"},
        {"host": "shop:c0rrect-h0rse@mail.example.com"},
        {"host": "a..example.com"},
        {"host": "a" * 64 + ".example.com"},
        {"local_hostname": "shop\r\nMAIL FROM:<a@b.com>"},
        {"local_hostname": ""},
    ],
)
def test_a_name_that_is_none_is_refused_without_quoting_a_password(options):
    with pytest.raises(ValueError, match="host") as error:
        SMTPServer(**({"host": "mail.example.com"} | options))
    assert PASSWORD not in str(error.value)


async def test_nothing_but_what_was_meant_travels(sink, make_email):
    """No line of a body can end the message (SMTP smuggling)."""
    body = "one\n.\ntwo\r\n.\r\nthree\r.\rfour\n.\r\nMAIL FROM:<evil@example.com>\n..\n"
    await make_email(sink.port).send("ana@example.com", "Dots", body)

    (mail,) = sink.received
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    assert mail.text == lines
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert b"\r" not in mail.content.replace(b"\r\n", b"")
