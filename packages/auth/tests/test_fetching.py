"""The standard library's fetch, against servers that fail in every way they can."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tijolo.auth import FetchError, FetchRequest, JWKSClient, ThreadedFetch

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Hostile:
    """A server that sends ``first``, then ``piece`` again and again, and never ends."""

    def __init__(self, first=b"", piece=b""):
        self.first, self.piece = first, piece
        self.asked = self.open = 0
        self.tasks = set()

    async def __call__(self, reader, writer):
        self.asked += 1
        self.open += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.first)
            while not reader.at_eof():
                writer.write(self.piece)
                await writer.drain()
                await asyncio.sleep(0.02)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()


@pytest.fixture
async def start():
    """Starts a hostile server; gives its address."""
    started = []

    async def start(hostile, context=None):
        server = await asyncio.start_server(hostile, "127.0.0.1", 0, ssl=context)
        started.append((server, hostile))
        scheme = "http" if context is None else "https"
        return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"

    yield start
    for server, hostile in started:
        server.close()
        for task in list(hostile.tasks):
            task.cancel()


async def become(condition):
    """Wait for what happens in another thread; a busy machine has its time."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a thread sets no event of the loop
            await asyncio.sleep(0.01)


DRIPS = {
    "body": Hostile(HEAD, b"x"),
    "headers": Hostile(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "continue": Hostile(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "status line": Hostile(b"HTTP/1.1 200 O", b"O"),
    "chunks": Hostile(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("kind", DRIPS)
async def test_who_sends_a_byte_now_and_then_holds_no_thread(start, kind):
    """Each read is in time, and the answer never whole."""
    hostile = Hostile(DRIPS[kind].first, DRIPS[kind].piece)
    url = await start(hostile)
    fetch = ThreadedFetch(workers=1, queue_limit=0)
    with pytest.raises(FetchError, match="no answer"):
        await fetch(FetchRequest(url=url, timeout_seconds=0.3, max_bytes=10**6))
    await become(lambda: hostile.open == 0)
    await become(lambda: not fetch._threads.is_full)
    await fetch.close()


async def test_the_same_behind_tls(start):
    trustme = pytest.importorskip("trustme", reason="trustme is not installed")
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    hostile = Hostile(HEAD, b"x")
    url = await start(hostile, served)
    fetch = ThreadedFetch(workers=1, queue_limit=0, context=trusting)
    with pytest.raises(FetchError, match="no answer"):
        await fetch(FetchRequest(url=url, timeout_seconds=0.5, max_bytes=10**6))
    await become(lambda: not fetch._threads.is_full)
    await fetch.close()
    stranger = ThreadedFetch(workers=1)
    with pytest.raises(FetchError, match="SSLCertVerificationError"):
        await stranger(FetchRequest(url=url, timeout_seconds=5))
    await stranger.close()


async def test_calls_that_nobody_waits_for_are_not_made(start):
    """Behind an issuer that is silent, the queue would hold the dead in front of the living."""
    hostile = Hostile()
    url = await start(hostile)
    fetch = ThreadedFetch(workers=1, queue_limit=20)
    request = FetchRequest(url=url, timeout_seconds=60)
    calls = [asyncio.create_task(fetch(request)) for _ in range(21)]
    await become(lambda: hostile.open == 1)
    for call in reversed(calls):
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await become(lambda: fetch._threads._pending == 0)
    assert hostile.asked == 1
    await fetch.close()


async def test_a_caller_that_leaves_ends_the_call(start):
    hostile = Hostile(HEAD, b"x")
    url = await start(hostile)
    fetch = ThreadedFetch(workers=1, queue_limit=0)
    call = asyncio.create_task(fetch(FetchRequest(url=url, timeout_seconds=60, max_bytes=10**6)))
    await become(lambda: hostile.open == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await become(lambda: hostile.open == 0 and not fetch._threads.is_full)
    await fetch.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b" " * 200_000,
    ],
    ids=lambda answer: ascii(answer)[2:40],
)
async def test_no_answer_of_any_kind_is_taken_for_keys(start, answer):
    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    once.tasks = set()
    url = await start(once)
    fetch = ThreadedFetch(workers=1)
    client = JWKSClient(url, fetch, timeout_seconds=5)
    await client.connect()
    assert not await client.health_check()
    await client.disconnect()
    await fetch.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://:geheim@host/",
        "https://@host/",
        "https://user@host/",
        "http://ho st/",
        "http://host/a b",
        "http://host/\r\nX-Evil: 1",
        "http://host/é",
        "http://host:99999/",
    ],
)
def test_an_address_that_no_call_could_use_is_refused_at_the_start(url):
    with pytest.raises(ValueError, match="without credentials") as error:
        JWKSClient(url, ThreadedFetch())
    assert "geheim" not in str(error.value)
