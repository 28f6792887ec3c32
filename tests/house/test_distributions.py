"""What installing a package brings along."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench_import import pulled

SETTINGS = {"pydantic-settings", "python-dotenv"}
OWN = {
    "tijolo-web": {"tijolo-web", "tijolo-core", "tijolo-observability"},
    "tijolo-observability": {"tijolo-core", "tijolo-observability"},
}


@pytest.mark.parametrize("name", OWN)
def test_a_service_gets_fastapi_its_settings_and_the_package_alone(name):
    assert pulled(name) - pulled("fastapi") == SETTINGS | OWN[name]


def test_the_validators_bring_nothing():
    assert pulled("tijolo-br-validators") == {"tijolo-br-validators"}
