"""One, many, once, after a commit; and never on the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tijolo.email import (
    Attachment,
    ConsoleBackend,
    EmailBackend,
    EmailConnectionError,
    EmailDeliveryError,
    EmailError,
    EmailOutcomeUnknownError,
    EmailRejectedError,
    EmailTooLargeError,
    EmailUtils,
    FileBackend,
    InvalidAddressError,
    InvalidEmailError,
    MemoryBackend,
    MemorySendKeys,
    OutgoingEmail,
    PreparedEmail,
    RecipientResult,
    RetryPolicy,
    SMTPBackend,
)
from tijolo.email.backend import all_accepted
from tijolo.email.testing import EmailBackendContract, capture_emails


class Failing(MemoryBackend):
    """Raises what it is given, once each; then works."""

    def __init__(self, *failures):
        super().__init__()
        self.failures = list(failures)

    async def send(self, email):
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return await super().send(email)


def with_backend(backend=None, **options):
    return EmailUtils.with_backend(
        backend or MemoryBackend(), from_addr="shop@example.com", **options
    )


# -- the contract's signature ------------------------------------------------------------------


async def test_send_takes_what_the_contract_gives_it(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF")
    email = with_backend()
    await email.send(
        "ana@example.com",
        "Hi",
        "text",
        html="<p>html",
        cc=None,
        bcc=None,
        attachments=[path],
        reply_to=None,
        from_addr="other@example.com",
    )
    (mail,) = email.backend.outbox
    assert mail.sender == "other@example.com"
    assert mail.attachments == {"a.pdf": b"%PDF"}
    with pytest.raises(InvalidAddressError):
        await email.send("a@b.com, c@d.com", "Hi", "text")


def test_the_constructor_is_that_of_the_contract():
    email = EmailUtils(
        "smtp.example.com",
        587,
        from_addr="shop@example.com",
        username="u",
        password="hunter2-hunter2",
        use_tls=False,
        use_starttls=True,
        timeout=5.0,
        template_dir=None,
    )
    assert (email.host, email.port, email.from_addr) == (
        "smtp.example.com",
        587,
        "shop@example.com",
    )
    assert (email.use_tls, email.use_starttls) == (False, True)
    assert isinstance(email.backend, SMTPBackend)
    assert "hunter2" not in repr(vars(email)) + repr(vars(email.backend))
    with pytest.raises(ValueError, match="max_message_bytes"):
        EmailUtils("a", from_addr="a@b.com", max_message_bytes=0)
    with pytest.raises(InvalidAddressError):
        EmailUtils("a", from_addr="nobody")


# -- idempotency ---------------------------------------------------------------------------------


async def test_an_email_with_a_key_is_sent_once_under_fifty_racers():
    email = with_backend()
    results = await asyncio.gather(
        *(email.send("a@b.com", "Hi", "x", key="order-5-paid") for _ in range(50))
    )
    assert len(email.backend.outbox) == 1
    assert sum(not each.duplicate for each in results) == 1
    assert len({each.message_id for each in results}) == 1, "so that a receiver can tell as well"
    await email.send("a@b.com", "Hi", "x", key="order-6-paid")
    assert len(email.backend.outbox) == 2


async def test_racers_for_a_key_are_not_told_that_it_was_sent_when_it_was_not():
    email = with_backend(Failing(EmailConnectionError("down", transient=True)))
    prepared = await email.prepare(OutgoingEmail(to="a@b.com", subject="Hi", key="k"))
    results = await asyncio.gather(
        *(email.send_prepared(prepared) for _ in range(20)), return_exceptions=True
    )
    assert not email.backend.outbox
    assert {type(each) for each in results} == {EmailConnectionError}
    assert not (await email.send("a@b.com", "Hi", "x", key="k")).duplicate


async def test_a_racer_that_is_cancelled_takes_nobody_along():
    gate = asyncio.Event()

    class Waiting(MemoryBackend):
        async def send(self, email):
            await gate.wait()
            return await super().send(email)

    email = with_backend(Waiting())
    prepared = await email.prepare(OutgoingEmail(to="a@b.com", subject="Hi", key="k"))
    first, second, third = (asyncio.create_task(email.send_prepared(prepared)) for _ in range(3))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert [each.duplicate for each in await asyncio.gather(first, third)].count(False) == 1
    assert len(email.backend.outbox) == 1


async def test_a_key_store_that_is_empty_is_used():
    class Counting(MemorySendKeys):
        def __len__(self):
            return len(self._expiry)

    keys = Counting()
    await with_backend(keys=keys).send("a@b.com", "Hi", "x", key="k")
    assert len(keys) == 1


async def test_a_key_store_that_is_down_does_not_hide_why_an_email_failed(caplog):
    class Down(MemorySendKeys):
        async def release(self, key):
            raise ConnectionError("the store is gone")

    email = with_backend(Failing(EmailConnectionError("down", transient=True)), keys=Down())
    with pytest.raises(EmailConnectionError):
        await email.send("a@b.com", "Hi", "x", key="k")
    assert "could not be given back" in caplog.text


@pytest.mark.parametrize(
    "one", ["/etc/hostname", Path("/etc/hostname"), Attachment(filename="a", content=b"")]
)
async def test_one_attachment_is_a_list_as_well(one):
    with pytest.raises(TypeError, match="list"):
        await with_backend().send("a@b.com", "Hi", "x", attachments=one)


@pytest.mark.parametrize("key", ["", "k" * 1001])
async def test_a_key_that_is_none_is_refused(key):
    email = with_backend()
    with pytest.raises(InvalidEmailError):
        await email.send("a@b.com", "Hi", "x", key=key)
    with pytest.raises(TypeError, match="key"):
        await email.send("a@b.com", "Hi", "x", key=5)


@pytest.mark.parametrize("failure", [EmailConnectionError(transient=True), OSError("disk full")])
async def test_a_key_is_free_again_when_nothing_was_sent(failure):
    email = with_backend(Failing(failure))
    with pytest.raises(type(failure)):
        await email.send("a@b.com", "Hi", "x", key="k")
    assert not (await email.send("a@b.com", "Hi", "x", key="k")).duplicate


async def test_a_key_stays_taken_when_nobody_knows_what_was_sent():
    email = with_backend(Failing(EmailOutcomeUnknownError(), asyncio.CancelledError()))
    with pytest.raises(EmailOutcomeUnknownError):
        await email.send("a@b.com", "Hi", "x", key="k")
    assert (await email.send("a@b.com", "Hi", "x", key="k")).duplicate
    with pytest.raises(asyncio.CancelledError):
        await email.send("a@b.com", "Hi", "x", key="l")
    assert (await email.send("a@b.com", "Hi", "x", key="l")).duplicate
    assert len(email.backend.outbox) == 0


async def test_remembered_keys_are_bounded_in_number_and_time():
    now = 0.0
    keys = MemorySendKeys(2, ttl_seconds=10, clock=lambda: now)
    assert [await keys.claim(key) for key in "abab"] == [True, True, False, False]
    assert await keys.claim("c"), "the oldest is forgotten"
    assert await keys.claim("a")
    now = 11.0
    assert await keys.claim("c")
    with pytest.raises(ValueError, match="positive"):
        MemorySendKeys(0)


# -- many ------------------------------------------------------------------------------------------


async def test_many_are_sent_each_for_itself_over_few_connections(sink, make_email):
    email = make_email(sink.port)
    sink.script("RCPT", *[None] * 7, "550 no")

    def emails():
        for n in range(30):
            to = "not an address" if n == 3 else f"u{n}@example.com"
            yield OutgoingEmail(
                to=to, subject="News", body="x", attachments=["/x"] if n == 5 else ()
            )

    results = await email.send_many(emails())

    assert [each.position for each in results] == list(range(30))
    failed = {each.position: type(each.error) for each in results if each.error}
    assert failed.pop(3) is InvalidAddressError
    assert "attachment" in str(results[5].error)
    assert len(sink.received) == 27
    assert EmailRejectedError in failed.values()
    assert sink.most_open <= 4
    assert all(len(mail.recipients) == 1 for mail in sink.received)
    with pytest.raises(ValueError, match="concurrency"):
        await email.send_many([], concurrency=0)


async def test_no_more_are_taken_than_are_sent_at_once():
    taken, seen = 0, []

    class Slow(MemoryBackend):
        async def send(self, email):
            seen.append(taken)
            await asyncio.sleep(0)
            return all_accepted(email)

    def emails():
        nonlocal taken
        for n in range(40):
            taken = n + 1
            yield OutgoingEmail(to="a@b.com", subject="x")

    await with_backend(Slow()).send_many(emails(), concurrency=3)
    assert all(ahead - done <= 3 for done, ahead in enumerate(seen))


async def test_no_failure_of_one_loses_what_became_of_the_others():
    email = with_backend(Failing(RuntimeError("a bug of the backend")))
    results = await email.send_many(
        [
            OutgoingEmail(to="a@b.com", subject="the backend fails"),
            OutgoingEmail(to="a@b.com", subject=None),
            OutgoingEmail(to="a@b.com", subject="x", attachments=["/nowhere/at/all"]),
            OutgoingEmail(to="a@b.com", subject="good"),
        ],
        concurrency=1,
    )
    assert [type(each.error) for each in results] == [EmailError] * 3 + [type(None)]
    causes = [type(each.error.__cause__) for each in results[:3]]
    assert causes == [RuntimeError, TypeError, FileNotFoundError]
    assert [each.subject for each in email.backend.outbox] == ["good"]


async def test_emails_that_cannot_be_listed_let_those_under_way_end():
    class Slow(MemoryBackend):
        async def send(self, email):
            await asyncio.sleep(0.02)
            return await super().send(email)

    def emails():
        yield OutgoingEmail(to="a@b.com", subject="x")
        raise LookupError("the cursor is closed")

    email = with_backend(Slow())
    with pytest.raises(LookupError):
        await email.send_many(emails())
    assert len(email.backend.outbox) == 1


# -- after a commit --------------------------------------------------------------------------------


async def test_after_commit_renders_before_and_sends_after(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"then")
    email = with_backend()
    hooks = []  # what db's on_commit(session, hook) keeps
    hooks.append(
        await email.after_commit(OutgoingEmail(to="a@b.com", subject="x", attachments=[path]))
    )
    path.unlink()
    assert not email.backend.outbox, "rolled back until now: nobody would have heard of it"

    for hook in hooks:
        assert await hook() is None
    assert email.backend.outbox[0].attachments == {"a.txt": b"then"}

    with pytest.raises(InvalidAddressError):  # in time to roll back
        await email.after_commit(OutgoingEmail(to="nobody", subject="x"))


async def test_after_commit_never_fails_the_request(caplog):
    email = with_backend(Failing(EmailConnectionError("down", transient=True)))
    await (await email.after_commit(OutgoingEmail(to="a@b.com", subject="x")))()
    assert "was not sent after the commit" in caplog.text


@pytest.mark.parametrize(
    "failure", [EmailTooLargeError("the server takes less"), ConnectionError("the store is down")]
)
async def test_after_commit_raises_nothing_whatever_fails(failure, caplog):
    email = with_backend(Failing(failure))
    await (await email.after_commit(OutgoingEmail(to="a@b.com", subject="x")))()
    assert "was not sent after the commit" in caplog.text


# -- metrics and logs ------------------------------------------------------------------------------


async def test_each_email_is_reported_without_peoples_data(caplog):
    events = []
    email = with_backend(Failing(EmailConnectionError("down")), observer=events.append)
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(EmailConnectionError):
            await email.send("ana@private.example", "Secret subject", "secret body")
        await email.send(["ana@private.example", "b@c.com"], "Secret subject", "secret", key="k1")
        await email.send("ana@private.example", "Secret subject", "secret", key="k1")

    assert [each.outcome for each in events] == ["email_server_unreachable", "sent", "duplicate"]
    assert (events[1].backend, events[1].recipients) == ("Failing", 2)
    assert events[1].size_bytes > 100
    assert events[1].duration_seconds >= 0
    for word in ("private.example", "Secret", "secret", "k1"):
        assert word not in caplog.text
    assert "secret" not in repr(
        OutgoingEmail(to="a@b.com", subject="x", body="secret", key="secret")
    )


async def test_an_observer_that_fails_fails_nobody(caplog):
    email = with_backend(observer=lambda event: 1 / 0)
    await email.send("a@b.com", "x", "y")
    assert "observer" in caplog.text


async def test_a_backend_that_refuses_all_is_an_error_and_some_is_a_result():
    class Choosy(MemoryBackend):
        async def send(self, email):
            return {
                each: RecipientResult.of_reply(450 if each == "b@x.com" else 550, "no\r\nforged")
                for each in email.recipients
            }

    with pytest.raises(EmailRejectedError) as error:
        await with_backend(Choosy()).send(["a@x.com", "b@x.com"], "x", "y")
    assert error.value.transient
    assert error.value.recipients["a@x.com"].reply == "no  forged"


# -- the event loop --------------------------------------------------------------------------------

RECEIVER = """
import hashlib, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
file = connection.makefile("rb", buffering=1 << 20)
def say(text):
    connection.sendall(text + b"\\r\\n")
say(b"220 ready")
while line := file.readline():
    if line.startswith(b"EHLO"):
        say(b"250-fine"); say(b"250 SIZE 0")
    elif line.startswith(b"DATA"):
        say(b"354 go on")
        digest, size, last = hashlib.sha256(), 0, b""
        for line in file:
            if line == b".\\r\\n":
                break
            line = line[1:] if line[:1] == b"." else line
            digest.update(line); size += len(line)
        print(size, digest.hexdigest(), flush=True)
        say(b"250 taken")
    elif line.startswith(b"QUIT"):
        say(b"221 bye"); break
    else:
        say(b"250 fine")
"""


@pytest.mark.parametrize("megabytes", [80])
async def test_a_large_attachment_neither_stalls_the_loop_nor_changes(megabytes, make_email):
    """The server is another process, so that nothing but our own work is on this loop."""
    content = bytes(range(256)) * (megabytes * 4096)
    receiver = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(await asyncio.to_thread(receiver.stdout.readline))
        email = make_email(port, max_message_bytes=2 * len(content), retry=RetryPolicy(attempts=1))
        mail = OutgoingEmail(
            to="a@b.com",
            subject="big",
            attachments=[Attachment(filename="a.bin", content=content)],
        )
        gaps, done = [], asyncio.Event()

        async def tick():
            loop = asyncio.get_running_loop()
            last = loop.time()
            while not done.is_set():
                await asyncio.sleep(0.001)
                now = loop.time()
                gaps.append(now - last)
                last = now

        ticking = asyncio.create_task(tick())
        prepared = await email.prepare(mail)
        await email.send_prepared(prepared)
        done.set()
        await ticking
        size, digest = (await asyncio.to_thread(receiver.stdout.readline)).split()
        await email.disconnect()
    finally:
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()

    wanted = await asyncio.to_thread(
        lambda: hashlib.sha256(b"".join(prepared.chunks())).hexdigest()
    )
    assert (int(size), digest) == (prepared.size_bytes, wanted)
    # 3.8 s in the library that this replaces; a machine that is busy with others gets its share
    assert max(gaps) < 1.0, f"{max(gaps):.3f} s"


async def test_files_are_read_and_encoded_in_a_thread(tmp_path, monkeypatch):
    threads = []
    read = Attachment.read
    monkeypatch.setattr(
        Attachment,
        "read",
        lambda self, limit: threads.append(threading.current_thread()) or read(self, limit),
    )
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    await with_backend().send("a@b.com", "x", "y", attachments=iter([path]))
    assert threads
    assert threading.main_thread() not in threads


async def test_a_message_is_encoded_in_a_thread_as_it_is_sent(sink, make_email, monkeypatch):
    threads = []
    chunks = PreparedEmail.chunks

    def spied(self, **options):
        for each in chunks(self, **options):
            threads.append(threading.current_thread())
            yield each

    monkeypatch.setattr(PreparedEmail, "chunks", spied)
    files = [Attachment(filename="a.bin", content=bytes(200_000))]
    await make_email(sink.port).send("a@b.com", "x", "y", attachments=files)
    assert len(threads) > 3
    assert threading.main_thread() not in threads


# -- backends --------------------------------------------------------------------------------------


class TestMemory(EmailBackendContract):
    @pytest.fixture
    def backend(self):
        return MemoryBackend()


class TestConsole(EmailBackendContract):
    @pytest.fixture
    def backend(self):
        return ConsoleBackend()


class TestFile(EmailBackendContract):
    @pytest.fixture
    def backend(self, tmp_path):
        return FileBackend(tmp_path / "outbox")


class TestSMTP(EmailBackendContract):
    @pytest.fixture
    async def backend(self, sink, make_email):
        return make_email(sink.port).backend


def test_every_backend_is_one():
    for backend in (MemoryBackend(), ConsoleBackend(), FileBackend("x")):
        assert isinstance(backend, EmailBackend)


async def test_the_console_shows_what_matters_and_obeys_nothing(capsys):
    email = with_backend(ConsoleBackend())
    await email.send(
        "ana@example.com",
        "Olá",
        "click https://x.y/z \x1b[2J\x07",
        bcc=["b@c.com"],
        attachments=[Attachment(filename="a.pdf", content=b"%PDF")],
    )
    shown = capsys.readouterr().out
    for piece in ("Subject: Olá", "https://x.y/z", "ana@example.com, b@c.com", "'a.pdf', 4 bytes"):
        assert piece in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


async def test_a_console_without_the_letters_shows_their_codes():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    await with_backend(ConsoleBackend(stream)).send("a@b.com", "Olá", "x")
    assert b"Subject: Ol\\xe1" in stream.buffer.getvalue()


async def test_files_are_whole_private_and_unguessable(tmp_path):
    folder = tmp_path / "outbox"
    email = with_backend(FileBackend(folder))
    assert not await email.health_check()
    await email.connect()
    assert await email.health_check()
    await asyncio.gather(*(email.send("a@b.com", "x", f"number {n}") for n in range(20)))

    files = sorted(folder.iterdir())
    assert len(files) == 20
    assert all(file.suffix == ".eml" and len(file.stem) > 32 + 16 for file in files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert sorted(file.read_text().split("number ")[1] for file in files) == sorted(
        f"{n}\n" for n in range(20)
    )
    assert files[0].read_bytes().startswith(b"X-Envelope-To: a@b.com\r\nFrom:")


async def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "outbox"
    email = with_backend(FileBackend(folder))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(EmailDeliveryError) as error:
        await email.send("a@b.com", "x", "y")
    assert "space" in str(error.value.__cause__)
    assert list(folder.iterdir()) == []


async def test_memory_is_bounded():
    email = with_backend(MemoryBackend(max_emails=3))
    for n in range(5):
        await email.send("a@b.com", f"n{n}", "x")
    assert [mail.subject for mail in email.backend.outbox] == ["n2", "n3", "n4"]
    with pytest.raises(ValueError, match="max_emails"):
        MemoryBackend(0)


async def test_a_test_sees_what_its_service_sends():
    email = EmailUtils("smtp.nowhere.example", from_addr="shop@example.com")
    before = email.backend
    with capture_emails(email) as outbox:
        with pytest.raises(AssertionError, match="one e-mail"):
            _ = outbox.only
        await email.send(
            "ana@example.com", "Activate", "go to https://x.y/activate?t=1.", bcc=["b@c.com"]
        )
        assert outbox.only.subject == "Activate"
        assert outbox.links() == ("https://x.y/activate?t=1",)
        assert len(outbox.to("b@c.com")) == 1
        assert outbox.to("nobody@example.com") == ()
        assert outbox.only.html == ""
        outbox.clear()
        assert outbox.emails == ()
    assert email.backend is before
