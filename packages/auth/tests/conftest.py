"""One issuer with a clock of its own, and whoever verifies its tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tijolo.auth import KeyRing, TokenIssuer, TokenKey, TokenVerifier

SECRET = "um-segredo-bem-comprido-de-verdade-0123456789"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(clock: Clock) -> KeyRing:
    return KeyRing([TokenKey.from_secret(SECRET, kid="k1")], clock=clock)


@pytest.fixture
def issuer(ring: KeyRing, clock: Clock) -> TokenIssuer:
    return TokenIssuer(ring, issuer="https://auth.example", audience="shop", clock=clock)


@pytest.fixture
def make_verifier(ring: KeyRing, clock: Clock) -> Callable[..., TokenVerifier]:
    def make(**options: object) -> TokenVerifier:
        chosen = {"issuer": "https://auth.example", "audience": "shop", "clock": clock, **options}
        return TokenVerifier(ring, **chosen)

    return make


@pytest.fixture
def verifier(make_verifier: Callable[..., TokenVerifier]) -> TokenVerifier:
    return make_verifier()
