from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from tijolo.core import OpsAccess, UnauthorizedException

TOKEN = "k3fJ0pZq9sVtXw2Yb7Rn5Lm8Hd4Gc6Ae"


def scope(
    headers: dict[str, bytes] | None = None, client: tuple[str, int] | None = ("203.0.113.9", 5)
) -> dict[str, Any]:
    pairs = [(name.lower().encode(), value) for name, value in (headers or {}).items()]
    return {"type": "http", "headers": pairs, "client": client}


@pytest.mark.parametrize("nothing", [{}, {"token": ""}, {"token": SecretStr("")}, {"networks": []}])
def test_without_a_rule_it_refuses_to_be_built(nothing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs a token or networks"):
        OpsAccess(**nothing)


def test_anonymous_access_is_said_aloud_and_alone() -> None:
    assert OpsAccess(allow_anonymous=True).allows(scope())
    with pytest.raises(ValueError, match="useless"):
        OpsAccess(token=TOKEN, allow_anonymous=True)


@pytest.mark.parametrize("name", ["X-Ops-Token", "x-OPS-token"])
@pytest.mark.parametrize("token", [TOKEN, SecretStr(TOKEN)])
def test_the_token_opens(name: str, token: str | SecretStr) -> None:
    access = OpsAccess(token=token)
    assert access.allows(scope({name: TOKEN.encode()}))
    assert access.allows(scope({"Authorization": b"Bearer " + TOKEN.encode()}))


@pytest.mark.parametrize(
    "given",
    [b"", b"wrong", TOKEN.encode()[:-1], TOKEN.encode() + b"x", b"\xff\xfe", "é".encode()],
)
def test_any_other_token_does_not(given: bytes) -> None:
    access = OpsAccess(token=TOKEN)
    assert not access.allows(scope({"X-Ops-Token": given}))
    assert not access.allows(scope({"Authorization": b"Bearer " + given}))
    assert not access.allows(scope({"Authorization": b"Basic " + TOKEN.encode()}))
    assert not access.allows(scope())


def test_a_token_of_another_alphabet_is_compared_as_bytes() -> None:
    access = OpsAccess(token="senha-do-painel-é-longa")
    assert access.allows(scope({"X-Ops-Token": "senha-do-painel-é-longa".encode()}))


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "192.0.2.1"])
def test_an_address_of_a_network_opens(address: str) -> None:
    access = OpsAccess(networks=["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"])
    assert access.allows(scope(client=(address, 0)))


@pytest.mark.parametrize(
    "client", [None, ("11.1.2.3", 0), ("testclient", 0), ("", 0), ("10.0.0.1.example", 0)]
)
def test_any_other_address_does_not(client: tuple[str, int] | None) -> None:
    assert not OpsAccess(networks=["10.0.0.0/8"]).allows(scope(client=client))


@pytest.mark.parametrize("network", ["10.0.0.1/8", "everywhere", "", "10.0.0.0/33"])
def test_a_network_that_is_none_is_named(network: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        OpsAccess(networks=[network])


def test_networks_given_as_one_text_are_refused() -> None:
    with pytest.raises(TypeError, match="list of networks"):
        OpsAccess(networks="10.0.0.0/8")


async def test_as_a_dependency_it_is_a_401() -> None:
    access = OpsAccess(token=TOKEN)
    await access(Request(scope({"X-Ops-Token": TOKEN.encode()})))
    with pytest.raises(UnauthorizedException) as refused:
        await access(Request(scope({"X-Ops-Token": b"wrong"})))
    assert (refused.value.status_code, refused.value.code) == (401, "OPS_ACCESS_DENIED")


def test_fastapi_needs_no_resolving_of_its_annotations() -> None:
    assert OpsAccess.__call__.__annotations__ == {"request": Request, "return": None}


def test_the_token_is_not_in_its_repr() -> None:
    assert TOKEN not in repr(OpsAccess(token=TOKEN))
    assert "networks=['::1/128']" in repr(OpsAccess(networks=["::1"]))
