"""The guard: every address, at the moment of connecting, however the name was dressed up."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tijolo.http import AddressNotAllowedError, HTTPClient, RetryPolicy
from tijolo.http.guard import AddressGuard

ANY = {"schemes": ("http", "https"), "ports": None}
LOCAL = {**ANY, "allow_networks": ["127.0.0.0/8"]}
ONCE = RetryPolicy(1)


def resolving(*answers):
    """A resolver that gives each of ``answers`` in turn, the last for ever, and counts."""
    left = list(answers)

    async def resolve(host: str, port: int):
        resolve.asked.append((host, port))
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    resolve.asked = []
    return resolve


NOT_PUBLIC = """
127.0.0.1 127.1.2.3 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1
169.254.169.254 169.254.0.1 100.64.0.1 100.127.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1
198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::2 fe80::1 fe80::1%eth0 fec0::1 fc00::1 fd00::1 fd00:ec2::254 ff02::1 ff0e::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1
2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 3fff::1 100::1 5f00::1 4000::1
"""

PUBLIC = """
1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 198.20.0.1
223.255.255.255 2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
async def test_no_address_that_is_not_public_passes(address) -> None:
    guard = AddressGuard(resolver=resolving([address]))
    with pytest.raises(AddressNotAllowedError):
        await guard.resolve("innocent.example", 443)
    if "%" not in address:
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(AddressNotAllowedError):
            guard.check_url(f"https://{host}/")


@pytest.mark.parametrize("address", PUBLIC.split())
async def test_public_addresses_pass(address) -> None:
    guard = AddressGuard(resolver=resolving([address]))
    assert await guard.resolve("innocent.example", 443) == (ipaddress.ip_address(address),)
    host = f"[{address}]" if ":" in address else address
    guard.check_url(f"https://{host}/")


@settings(deadline=None)
@given(st.ip_addresses())
def test_nothing_private_passes_in_any_form(address) -> None:
    guard = AddressGuard()
    try:
        guard.check_address("h", address)
    except AddressNotAllowedError:
        return
    plain = getattr(address, "ipv4_mapped", None) or address
    assert not plain.is_private
    assert not plain.is_loopback
    assert not plain.is_link_local
    assert not plain.is_multicast
    assert not plain.is_reserved or plain in ipaddress.ip_network("64:ff9b::/96")


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_means_the_same_inside_of_ipv6(address) -> None:
    guard = AddressGuard()

    def passes(form) -> bool:
        try:
            guard.check_address("h", form)
        except AddressNotAllowedError:
            return False
        return True

    mapped = ipaddress.ip_address(f"::ffff:{address}")
    nat64 = ipaddress.IPv6Address(int(ipaddress.ip_address("64:ff9b::")) | int(address))
    assert passes(mapped) == passes(address) == passes(nat64)


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    guard = AddressGuard(resolver=resolving(["93.184.216.34", "8.8.8.8", "10.0.0.1"]))
    with pytest.raises(AddressNotAllowedError):
        await guard.resolve("mixed.example", 443)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://example.com/", "scheme"),
        ("//example.com/", "scheme"),
        ("", "scheme"),
        ("https:///path", "host"),
        ("https://user@example.com/", "credentials"),
        ("https://u:p@example.com/", "credentials"),
        ("https://example.com@127.0.0.1/", "credentials"),
        ("https://example.com:22/", "port"),
        ("https://example.com:8443/", "port"),
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://exa mple.com:x/", "URL"),
        ("https://example.com:99999/", ""),
    ],
)
def test_urls_that_are_refused_before_anybody_is_asked(url, reason) -> None:
    with pytest.raises(AddressNotAllowedError) as caught:
        AddressGuard().check_url(url)
    assert reason in caught.value.reason
    assert caught.value.message == "The address is not allowed"  # and nothing of why
    assert (caught.value.status_code, caught.value.code) == (422, "ADDRESS_NOT_ALLOWED")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused_or_parsed(text) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        with contextlib.suppress(AddressNotAllowedError):
            AddressGuard().check_url(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0", "localhost"])
async def test_other_spellings_of_loopback_are_caught_when_they_resolve(host) -> None:
    """The system's own resolver reads them as addresses."""
    async with HTTPClient(guard=AddressGuard(**ANY), retry_policy=ONCE) as client:
        with pytest.raises(AddressNotAllowedError):
            await client.get(f"http://{host}:9/")


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.0.0.1.", "localhost.", "①②⑦.⓪.⓪.①"])
async def test_spellings_that_may_not_resolve_reach_nobody(server, host) -> None:
    async with HTTPClient(guard=AddressGuard(**ANY), retry_policy=ONCE) as client:
        with pytest.raises((AddressNotAllowedError, httpx.ConnectError, httpx.InvalidURL)):
            await client.get(f"http://{host}:{server.port}/")
    assert server.connections == 0


async def test_names_that_take_long_to_resolve_hold_up_nobody_else(monkeypatch) -> None:
    """Whoever chooses the name chooses the servers that are asked for it."""
    waiting = threading.Event()

    def slow(*args, **kwargs):
        assert waiting.wait(60)
        raise socket.gaierror("on demand")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    guard = AddressGuard()
    asking = [asyncio.create_task(guard.resolve(f"{n}.slow.example", 443)) for n in range(64)]
    try:
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 20) == "free"
    finally:
        waiting.set()
        await asyncio.gather(*asking, return_exceptions=True)


def test_hosts_on_a_list() -> None:
    guard = AddressGuard(hosts=["api.example.com", "*.push.example.org"])
    for good in ("api.example.com", "API.EXAMPLE.COM", "api.example.com.", "a.b.push.example.org"):
        guard.check_url(f"https://{good}/")
    for bad in (
        "example.com",
        "xapi.example.com",
        "api.example.com.evil.org",
        "push.example.org",
        "xpush.example.org",
    ):
        with pytest.raises(AddressNotAllowedError, match="list"):
            guard.check_url(f"https://{bad}/")


async def test_networks_may_be_allowed_and_denied(server) -> None:
    AddressGuard(**LOCAL).check_url(server.url)
    denied = AddressGuard(**LOCAL, deny_networks=["127.0.0.1/32", "8.8.8.0/24"])
    for url in (server.url, "https://8.8.8.8/", "https://[::ffff:8.8.8.8]/"):
        with pytest.raises(AddressNotAllowedError, match="denied"):
            denied.check_url(url)


@pytest.mark.parametrize(
    "options", [{"schemes": ["ftp"]}, {"schemes": []}, {"allow_networks": ["nonsense"]}]
)
def test_rules_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        AddressGuard(**options)


async def test_a_name_is_resolved_once_and_the_checked_address_is_dialled(server) -> None:
    """Rebinding: the second answer would be another address; nobody asks a second time."""
    resolver = resolving(["127.0.0.1"], ["10.0.0.1"])
    guard = AddressGuard(**LOCAL, resolver=resolver)
    async with HTTPClient(guard=guard, retry_policy=ONCE) as client:
        response = await client.get(f"http://rebind.example:{server.port}/")

    assert response.text == "ok"
    assert resolver.asked == [("rebind.example", server.port)]
    assert server.requests[0].headers["host"] == f"rebind.example:{server.port}"


async def test_a_name_that_rebinds_to_the_inside_is_refused_when_it_is_dialled(server) -> None:
    """The URL was checked when the webhook was registered; now the name has moved."""
    resolver = resolving(["93.184.216.34"], ["127.0.0.1"])
    guard = AddressGuard(**ANY, resolver=resolver)
    url = f"http://rebind.example:{server.port}/"
    guard.check_url(url)
    await guard.resolve("rebind.example", server.port)
    async with HTTPClient(guard=guard, retry_policy=RetryPolicy(3)) as client:
        with pytest.raises(AddressNotAllowedError, match=r"127\.0\.0\.1"):
            await client.get(url)
        assert client.circuits()[0].failures == 0  # no failure of the host

    assert server.connections == 0
    assert len(resolver.asked) == 2  # and not tried again


async def test_every_new_connection_is_checked_anew(server) -> None:
    resolver = resolving(["127.0.0.1"], ["169.254.169.254"])
    server.answers("/", (200, b"", {"Connection": "close"}))
    guard = AddressGuard(**LOCAL, resolver=resolver)
    async with HTTPClient(guard=guard, retry_policy=ONCE) as client:
        url = f"http://rebind.example:{server.port}/"
        assert (await client.get(url)).status_code == 200
        with pytest.raises(AddressNotAllowedError):
            await client.get(url)


async def test_redirects_are_checked_too(server) -> None:
    targets = {
        "/metadata": "http://169.254.169.254/latest/meta-data/",
        "/name": "http://inside.example/",
        "/file": "file:///etc/passwd",
    }
    for path, target in targets.items():
        server.answers(path, (302, b"", {"Location": target}))

    async def resolver(host: str, port: int):
        return ["10.0.0.1"] if host == "inside.example" else ["127.0.0.1"]

    guard = AddressGuard(**LOCAL, resolver=resolver)
    async with HTTPClient(guard=guard, follow_redirects=True, retry_policy=ONCE) as client:
        for path in targets:
            with pytest.raises(httpx.RequestError):
                await client.get(f"http://outside.example:{server.port}{path}")
    assert len(server.requests) == 3


async def test_it_works_under_httpx_alone_redirects_included(server) -> None:
    server.answers("/", (302, b"", {"Location": "http://10.0.0.1/"}))
    guard = AddressGuard(**LOCAL)
    async with httpx.AsyncClient(transport=guard.transport(), follow_redirects=True) as client:
        with pytest.raises(AddressNotAllowedError):
            await client.get(server.url)
        assert (await client.get(f"{server.url}/fine")).text == "ok"


async def test_lists_hold_for_redirects_too(server, other_server) -> None:
    server.answers("/port", (302, b"", {"Location": f"{other_server.url}/"}))
    server.answers("/host", (302, b"", {"Location": f"http://localhost:{server.port}/"}))
    server.answers("/user", (302, b"", {"Location": f"http://u:p@127.0.0.1:{server.port}/"}))
    guard = AddressGuard(
        schemes=["http"],
        ports=[server.port],
        hosts=["127.0.0.1"],
        allow_networks=["127.0.0.0/8", "::1/128"],
    )
    async with httpx.AsyncClient(transport=guard.transport(), follow_redirects=True) as client:
        for path in ("/port", "/host", "/user"):
            with pytest.raises(AddressNotAllowedError):
                await client.get(f"{server.url}{path}")
    assert other_server.requests == []
    assert len(server.requests) == 3


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(
    tls_server, authority, trusting
) -> None:
    server = await tls_server(authority.issue_cert("hooks.example"))
    guard = AddressGuard(
        ports=None, allow_networks=["127.0.0.0/8"], resolver=resolving(["127.0.0.1"])
    )
    async with HTTPClient(guard=guard, verify_tls=trusting, retry_policy=ONCE) as client:
        assert (await client.get(f"https://hooks.example:{server.port}/")).text == "ok"
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://other.example:{server.port}/")
    assert len(server.requests) == 1


async def test_another_names_certificate_cannot_be_asked_for(server) -> None:
    transport = AddressGuard(**LOCAL).transport()
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(AddressNotAllowedError):
            await client.get(server.url, extensions={"sni_hostname": "evil.example"})


async def test_addresses_are_tried_in_turn(server) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.2", 0))  # nobody listens there on the server's port
    guard = AddressGuard(**LOCAL, resolver=resolving(["127.0.0.2", "127.0.0.1"]))
    async with HTTPClient(guard=guard, retry_policy=ONCE) as client:
        assert (await client.get(f"http://two.example:{server.port}/")).text == "ok"
    listener.close()


async def test_a_name_that_does_not_resolve_is_a_connection_error() -> None:
    for answer in (socket.gaierror("no such name"), [], UnicodeError("label too long")):
        guard = AddressGuard(**ANY, resolver=resolving(answer))
        async with HTTPClient(guard=guard, retry_policy=ONCE) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://gone.example/")


async def test_a_resolver_that_hangs_ends_at_the_connect_timeout() -> None:
    async def hangs(host: str, port: int):
        await asyncio.sleep(60)

    async with HTTPClient(guard=AddressGuard(**ANY, resolver=hangs), retry_policy=ONCE) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("http://slow.example/", timeout=0.03)


async def test_garbage_from_a_resolver_is_refused() -> None:
    guard = AddressGuard(**ANY, resolver=resolving(["not an address"]))
    with pytest.raises(AddressNotAllowedError):
        await guard.resolve("odd.example", 80)


def test_a_guard_and_another_way_out_contradict_each_other() -> None:
    for other in ({"proxy": "http://p:1"}, {"transport": httpx.MockTransport(lambda r: None)}):
        with pytest.raises(ValueError, match="contradict"):
            HTTPClient(guard=AddressGuard(), **other)


async def test_errors_of_the_pool_are_httpxs(server) -> None:
    async def broken(_r, _in, out) -> None:
        await out.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        out.close()

    server.on("/")(broken)
    async with HTTPClient(guard=AddressGuard(**LOCAL), retry_policy=ONCE) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


def test_every_error_of_httpcore_is_translated() -> None:
    import httpcore

    from tijolo.http._pool_transport import _ERRORS

    known = {kind for kind, _ in _ERRORS}
    theirs = {
        value
        for name in httpcore.__all__
        if isinstance(value := getattr(httpcore, name), type) and issubclass(value, Exception)
    }
    assert theirs - known <= {httpcore.ConnectionNotAvailable}
