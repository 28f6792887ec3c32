"""Certificates: what is wrong is refused at once, and not tried again."""

from __future__ import annotations

import datetime

import httpx
import pytest
import trustme

from tijolo.http import HTTPClient, RetryPolicy
from tijolo.http.guard import AddressGuard

QUICK = RetryPolicy(backoff_initial_seconds=0.001)


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(
        "localhost", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    )


async def test_a_good_certificate_is_accepted(tls_server, authority, trusting) -> None:
    server = await tls_server(authority.issue_cert("localhost"))
    async with HTTPClient(base_url=server.url, verify_tls=trusting) as client:
        assert (await client.get("/")).text == "ok"


@pytest.mark.parametrize("wrong", ["expired", "name", "authority"])
async def test_a_bad_certificate_is_refused_once_and_counts(
    tls_server, authority, trusting, wrong
) -> None:
    certificate = {
        "expired": lambda: expired(authority),
        "name": lambda: authority.issue_cert("other.example"),
        "authority": lambda: trustme.CA().issue_cert("localhost"),
    }[wrong]()
    server = await tls_server(certificate)
    async with HTTPClient(base_url=server.url, verify_tls=trusting, retry_policy=QUICK) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
        assert client.circuits()[0].failures == 1

    assert server.requests == []


async def test_the_systems_authorities_are_the_default(tls_server, authority) -> None:
    server = await tls_server(authority.issue_cert("localhost"))
    async with HTTPClient(base_url=server.url, retry_policy=QUICK) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
    async with HTTPClient(base_url=server.url, verify_tls=False) as client:
        assert (await client.get("/")).text == "ok"


@pytest.mark.parametrize("guard", [None, AddressGuard(ports=None, allow_networks=["127.0.0.0/8"])])
async def test_authorities_of_the_environment_are_trusted(
    tls_server, authority, tmp_path, monkeypatch, guard
) -> None:
    bundle = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    server = await tls_server(authority.issue_cert("127.0.0.1"), host="127.0.0.1")
    async with HTTPClient(base_url=server.url, guard=guard) as client:
        assert (await client.get("/")).text == "ok"


async def test_a_redirect_from_https_to_http_is_refused(
    tls_server, authority, trusting, server
) -> None:
    secure = await tls_server(authority.issue_cert("localhost"))
    secure.answers("/", (302, b"", {"Location": f"{server.url}/plain"}))
    async with HTTPClient(
        base_url=secure.url, verify_tls=trusting, follow_redirects=True
    ) as client:
        with pytest.raises(httpx.RequestError, match="HTTPS to HTTP"):
            await client.get("/")

    assert server.requests == []


async def test_plain_http_on_a_tls_port_and_the_other_way_round(
    tls_server, authority, trusting, server
) -> None:
    secure = await tls_server(authority.issue_cert("localhost"))
    # the plain server waits for the end of a request that the handshake is not
    options = {"retry_policy": RetryPolicy(1), "timeout": 0.1}
    async with HTTPClient(verify_tls=trusting, **options) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(secure.url.replace("https", "http"))
        with pytest.raises(httpx.TransportError):
            await client.get(server.url.replace("http", "https"))
