from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from tijolo.web import TrustedProxyMiddleware, get_client_ip, get_client_ip_from_scope

PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]


async def seen_by(scope, **options):
    """The scope as the application sees it behind the middleware."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    options.setdefault("trusted_proxies", PROXIES)
    await TrustedProxyMiddleware(app, **options)(scope, None, None)
    return seen[0]


async def client_ip(scope, **options):
    return get_client_ip_from_scope(await seen_by(scope, **options))


def from_peer(scope_of, peer, **headers):
    names = {k.replace("_", "-"): v for k, v in headers.items()}
    return scope_of(client=(peer, 5000), headers=names)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        # nobody but a proxy of ours is believed
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.2", "198.51.100.7", "192.0.2.2"),
        # what the client itself wrote on the left does not count
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        # all are ours: the request began inside
        ("10.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        # ports, brackets, mapped addresses, zones
        ("10.0.0.1", "198.51.100.7:1234", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::7]:1234", "2001:db8::7"),
        ("10.0.0.1", "2001:DB8:0::7", "2001:db8::7"),
        ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8:ffff::1", "198.51.100.7", "198.51.100.7"),
        # what is no address is nobody, not everybody
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", "1.1.1.1, _hidden", None),
        ("10.0.0.1", "1.1.1.1, <script>", None),
        ("10.0.0.1", "999.1.1.1", None),
        ("10.0.0.1", "x" * 65536, None),
        # no header: the proxy asked itself
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, ", "198.51.100.7"),
    ],
)
async def test_the_client_is_the_first_from_the_right_that_is_not_ours(
    scope_of, peer, forwarded, expected
):
    headers = {} if forwarded is None else {"x_forwarded_for": forwarded}
    assert await client_ip(from_peer(scope_of, peer, **headers)) == expected


async def test_several_lines_of_the_header_are_one_list(scope_of):
    scope = scope_of(client=("10.0.0.1", 1))
    scope["headers"] = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"198.51.100.7")]
    assert await client_ip(scope) == "198.51.100.7"


@pytest.mark.parametrize(
    ("header", "address", "scheme"),
    [
        ("for=198.51.100.7;proto=https", "198.51.100.7", "https"),
        ('for="[2001:db8::7]:99";proto=HTTPS;by=10.0.0.1', "2001:db8::7", "https"),
        ("for=1.1.1.1;proto=http, For=198.51.100.7; Proto=https", "198.51.100.7", "https"),
        ("for=198.51.100.7;proto=https, for=10.0.0.9;proto=http", "198.51.100.7", "https"),
        ("for=_hidden;proto=https", None, "https"),
        ("for=unknown", None, "http"),
        ("proto=https", None, "https"),
        ("garbage", None, "http"),
        ("", "10.0.0.1", "http"),
    ],
)
async def test_forwarded_is_read_when_it_is_the_header_of_the_proxies(
    scope_of, header, address, scheme
):
    scope = from_peer(scope_of, "10.0.0.1", forwarded=header, x_forwarded_for="1.2.3.4")
    seen = await seen_by(scope, header="Forwarded")
    assert get_client_ip_from_scope(seen) == address
    assert seen["scheme"] == scheme


async def test_the_other_header_is_the_clients_own_and_is_ignored(scope_of):
    scope = from_peer(scope_of, "10.0.0.1", forwarded="for=1.1.1.1", x_forwarded_for="1.2.3.4")
    assert await client_ip(scope) == "1.2.3.4"


@pytest.mark.parametrize(
    ("peer", "proto", "kind", "scheme"),
    [
        ("10.0.0.1", "https", "http", "https"),
        ("10.0.0.1", "HTTPS", "http", "https"),
        ("10.0.0.1", "https", "websocket", "wss"),
        ("10.0.0.1", "http, https", "http", "https"),
        ("10.0.0.1", "javascript", "http", "http"),
        ("203.0.113.9", "https", "http", "http"),
    ],
)
async def test_the_scheme_comes_from_a_trusted_proxy_only(scope_of, peer, proto, kind, scheme):
    scope = from_peer(scope_of, peer, x_forwarded_for="198.51.100.7", x_forwarded_proto=proto)
    seen = await seen_by({**scope, "type": kind})
    assert seen["scheme"] == scheme


async def test_a_header_of_a_cdn_is_believed_behind_our_proxies_only(scope_of):
    header = {"cf_connecting_ip": "198.51.100.7", "x_forwarded_for": "198.51.100.9"}
    behind = Request(await seen_by(from_peer(scope_of, "10.0.0.1", **header)))
    beside = Request(await seen_by(from_peer(scope_of, "203.0.113.9", **header)))
    without = Request(from_peer(scope_of, "10.0.0.1", **header))
    assert get_client_ip(behind, trusted_header="CF-Connecting-IP") == "198.51.100.7"
    assert get_client_ip(beside, trusted_header="CF-Connecting-IP") == "203.0.113.9"
    assert get_client_ip(without, trusted_header="CF-Connecting-IP") == "10.0.0.1"
    assert get_client_ip(behind) == "198.51.100.9"
    assert get_client_ip(behind, trusted_header="X-Absent") == "198.51.100.9"


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_nobody_is_none_and_never_a_name_that_strangers_share(scope_of, client):
    assert get_client_ip_from_scope(scope_of(client=client)) is None


def test_what_the_server_itself_says_is_kept(scope_of):
    assert get_client_ip_from_scope(scope_of(client=("testclient", 1))) == "testclient"
    assert get_client_ip_from_scope(scope_of(client=("::FFFF:1.2.3.4", 1))) == "1.2.3.4"


async def test_behind_two_of_our_applications_the_peer_is_looked_at_once(scope_of):
    scope = await seen_by(from_peer(scope_of, "10.0.0.1", x_forwarded_for="1.1.1.1, 10.3.3.3"))
    assert await client_ip(scope) == "1.1.1.1"


async def test_a_very_long_list_is_walked_for_a_bounded_number_of_hops(scope_of):
    forwarded = "198.51.100.7," + ",".join(["10.0.0.2"] * 50_000)
    assert await client_ip(from_peer(scope_of, "10.0.0.1", x_forwarded_for=forwarded)) == "10.0.0.2"


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxy.example", "", "*"])
def test_a_proxy_that_is_no_network_is_refused(network):
    with pytest.raises(ValueError, match="no address or CIDR network"):
        TrustedProxyMiddleware(None, trusted_proxies=[network])


@given(st.lists(st.ip_addresses() | st.text(max_size=12), max_size=5), st.ip_addresses())
async def test_whatever_the_client_writes_the_last_hop_before_us_decides(forged, real):
    if any(real in ipaddress.ip_network(n) for n in PROXIES if ":" in n or real.version == 4):
        return
    line = ", ".join([*map(str, forged), str(real)]).encode("utf-8", "replace")
    scope = {
        "type": "http",
        "scheme": "http",
        "client": ("10.0.0.1", 1),
        "headers": [(b"x-forwarded-for", line)],
    }
    mapped = getattr(real, "ipv4_mapped", None) or real
    if any(mapped in ipaddress.ip_network(n) for n in PROXIES):
        return
    assert await client_ip(scope) == str(mapped)
