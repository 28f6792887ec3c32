from __future__ import annotations

import tijolo.email


def test_every_public_name_is_there() -> None:
    assert all(hasattr(tijolo.email, name) for name in tijolo.email.__all__)
